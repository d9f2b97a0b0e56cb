// Each operation has its tests: tests/ops/coverage.def says which, and this compares it with the tests that there are,
// with the operation table, with the list of what every operation is asked, and with the flags that the headers define.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "clients/command.h"
#include "state/operation.h"

namespace ringside::test {
namespace {

struct Shown {
    std::string aspect;
    std::string test;
};

struct Operation {
    std::string name;
    uint8_t opcode;
    std::vector<Shown> shown;

    bool shows(const std::string& aspect) const {
        for (const Shown& one : shown) {
            if (one.aspect == aspect) return true;
        }
        return false;
    }
};

const std::vector<Operation>& table() {
    static const std::vector<Operation> operations = {
#define SHOWN(aspect, test) {#aspect, test},
#define OPERATION(name, rows) {#name, IORING_OP_##name, {rows}},
#include "ops/coverage.def"
#undef OPERATION
#undef SHOWN
    };
    return operations;
}

// "Suite.test" of each that the program has; those with parameters without them.
void add_tests_of(const std::string& program, std::set<std::string>& tests) {
    const Outcome list = Command{{built(program), "--gtest_list_tests"}}.run();
    EXPECT_EQ(list.status, 0) << list;
    std::istringstream lines(list.output);
    std::string suite;
    for (std::string line; std::getline(lines, line);) {
        line = line.substr(0, line.find_first_of("# /", 2));
        if (line.starts_with("  ")) {
            tests.insert(suite + line.substr(2));
        } else {
            suite = line;
        }
    }
}

std::string text_of(const std::filesystem::path& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

// Names in the headers of the ABI that are flags of single operations (masks and counts are none).
std::set<std::string> flags_of_headers() {
    const std::regex flag(
        "#define\\s+(IORING_(?:NOP|FSYNC|POLL|TIMEOUT|LINK_TIMEOUT|ASYNC_CANCEL|RECVSEND|RECV|SEND|"
        "ACCEPT|MSG_RING|FIXED_FD|URING_CMD|NOTIF|RW_ATTR)_[A-Z0-9_]+|SPLICE_F_[A-Z_]+)");
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(RINGSIDE_SOURCE "/include/liburing")) {
        if (!entry.is_regular_file()) continue;
        const std::string text = text_of(entry.path());
        for (std::sregex_iterator at(text.begin(), text.end(), flag), end; at != end; ++at) {
            const std::string name = (*at)[1];
            if (!name.ends_with("_MASK")) names.insert(name);
        }
    }
    return names;
}

TEST(Coverage, has_each_operation_of_the_table_in_its_place) {
    ASSERT_EQ(table().size(), engine::operation_count);
    for (unsigned opcode = 0; opcode < engine::operation_count; ++opcode) {
        EXPECT_EQ(table()[opcode].name, engine::operations[opcode].name);
        EXPECT_EQ(table()[opcode].opcode, opcode);
    }
}

TEST(Coverage, names_tests_that_exist) {
    std::set<std::string> tests;
    for (const char* program : {"test-ops", "test-register", "test-path"}) add_tests_of(program, tests);
    ASSERT_GT(tests.size(), 500U);
    for (const Operation& operation : table()) {
        for (const Shown& one : operation.shown) {
            EXPECT_TRUE(tests.contains(one.test)) << operation.name << " " << one.aspect << ": " << one.test;
        }
    }
}

TEST(Coverage, shows_what_each_operation_is_for_and_how_it_waits) {
    for (const Operation& operation : table()) {
        EXPECT_TRUE(operation.shows("purpose")) << operation.name;
    }
    // Those of which every_operation.def says that they wait are cancelled there; here somebody ends their wait.
    std::map<std::string, bool> waits;
    const std::string every = text_of(RINGSIDE_SOURCE "/tests/ops/every_operation.def");
    const std::regex row("\nEVERY\\((\\w+),([^\\n]*)");
    for (std::sregex_iterator at(every.begin(), every.end(), row), end; at != end; ++at) {
        waits[(*at)[1]] = (*at)[2].str().find("never_waits") == std::string::npos;
    }
    EXPECT_EQ(waits.size(), engine::operation_count);
    // Fixed transfers and zero-copy sends wait as plain ones do.
    const std::set<std::string> as_others = {"READ_FIXED", "WRITE_FIXED", "SEND_ZC",
                                             "SENDMSG_ZC", "READV_FIXED", "WRITEV_FIXED"};
    for (const Operation& operation : table()) {
        if (waits[operation.name] && !as_others.contains(operation.name)) {
            EXPECT_TRUE(operation.shows("waits")) << operation.name;
        }
    }
}

TEST(Coverage, shows_each_flag_that_the_headers_define) {
    const std::set<std::string> flags = flags_of_headers();
    EXPECT_TRUE(flags.contains("IORING_RECV_MULTISHOT"));
    for (const std::string& flag : flags) {
        bool shown = false;
        for (const Operation& operation : table()) shown |= operation.shows(flag);
        EXPECT_TRUE(shown) << flag;
    }
}

}  // namespace
}  // namespace ringside::test
