// The examples do what they say, on the provider that this run is about: they inherit the environment.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdio.h>

#include <string>

#include "support/files.h"

namespace ringside::test {
namespace {

struct Outcome {
    std::string output;  // both streams, as far as the command does not redirect them
    int status;
};

Outcome run(const std::string& command) {
    FILE* const stream = popen((std::string(RINGSIDE_BIN) + "/" + command).c_str(), "r");
    if (stream == nullptr) return {"", -1};
    Outcome result;
    char block[4096];
    while (const size_t size = fread(block, 1, sizeof(block), stream)) result.output.append(block, size);
    result.status = pclose(stream);
    return result;
}

std::string lines(unsigned count) {
    std::string text;
    for (unsigned i = 0; i < count; i++) text += "line " + std::to_string(i) + "\n";
    return text;
}

TEST(CatExample, prints_files_one_after_the_other) {
    const TemporaryDirectory directory;
    const std::string large = lines(50'000);
    const std::string first = directory.add("first", large), second = directory.add("second", "the end\n");
    const Outcome cat = run("example-cat " + first + " " + second);
    EXPECT_EQ(cat.status, 0);
    EXPECT_TRUE(cat.output == large + "the end\n") << cat.output.size() << " bytes";
}

TEST(CatExample, goes_on_after_a_file_that_is_not_there) {
    const TemporaryDirectory directory;
    const std::string file = directory.add("file", "here\n");
    const Outcome cat = run("example-cat /nonexistent/file " + file + " 2>&1");
    EXPECT_NE(cat.status, 0);
    EXPECT_THAT(cat.output, testing::HasSubstr("No such file or directory"));
    EXPECT_THAT(cat.output, testing::HasSubstr("here\n"));
}

TEST(CountLinesExample, counts_many_files_at_once) {
    const TemporaryDirectory directory;
    std::string arguments, expected;
    for (unsigned i = 0; i < 100; i++) {
        const std::string path = directory.add("file" + std::to_string(i), lines(i * 37));
        arguments += " " + path;
        expected += std::to_string(i * 37) + " " + path + "\n";
    }
    const Outcome count = run("example-count-lines" + arguments + " 2>/dev/null");
    EXPECT_EQ(count.status, 0);
    EXPECT_EQ(count.output, expected);
}

TEST(CountLinesExample, tells_who_runs_its_ring) {
    const Outcome count = run("example-count-lines 2>&1");
    EXPECT_EQ(count.status, 0);
    EXPECT_THAT(count.output, testing::HasSubstr("count-lines: on the "));
}

}  // namespace
}  // namespace ringside::test
