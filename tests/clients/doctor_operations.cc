// `ringside doctor --ops`: the operations, one by one.
#include <gmock/gmock.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include "clients/command.h"
#include "liburing/io_uring.h"

namespace ringside::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

constexpr size_t operation_count = IORING_OP_PIPE + 1;

Outcome list(std::vector<std::string> options, const std::string& provider = "auto") {
    options.insert(options.begin(), {built("ringside"), "doctor", "--ops"});
    return Command{std::move(options), {{"RINGSIDE_PROVIDER", provider}}}.run();
}

json operations(const std::string& provider) {
    const Outcome outcome = list({"--json"}, provider);
    EXPECT_EQ(outcome.status, 0) << outcome;
    return json::parse(outcome.output, nullptr, false)["operations"];
}

std::string text_of(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(RINGSIDE_SOURCE "/" + path).rdbuf();
    return text.str();
}

TEST(Operations, are_all_there_in_their_order_and_supported) {
    const json list = operations("auto");
    ASSERT_EQ(list.size(), operation_count);
    for (size_t opcode = 0; opcode < operation_count; ++opcode) {
        EXPECT_EQ(list[opcode]["opcode"], opcode);
        EXPECT_EQ(list[opcode]["engine"], true) << list[opcode];
        EXPECT_TRUE(list[opcode]["kernel"].is_boolean()) << list[opcode];
    }
    EXPECT_EQ(list[IORING_OP_READ]["name"], "IORING_OP_READ");
    EXPECT_EQ(list[IORING_OP_READ]["since"], "5.6");
    EXPECT_EQ(list[IORING_OP_READ]["kernel"], true);
    EXPECT_EQ(list[IORING_OP_PIPE]["since"], "6.16");
}

TEST(Operations, of_the_kernel_are_not_asked_for_where_the_engine_is_wished_for) {
    for (const json& row : operations("engine")) EXPECT_TRUE(row["kernel"].is_null()) << row;
    const Outcome killed =
        Command{refused("KILL", {built("ringside"), "doctor", "--ops"}), {{"RINGSIDE_PROVIDER", "auto"}}}.run();
    EXPECT_EQ(killed.status, 0) << killed;
    EXPECT_THAT(killed.output, HasSubstr("  0 NOP               5.1    yes     ?\n"));
}

TEST(Operations, make_a_table_of_a_line_each) {
    const Outcome outcome = list({});
    EXPECT_EQ(outcome.status, 0) << outcome;
    EXPECT_EQ(static_cast<size_t>(std::count(outcome.output.begin(), outcome.output.end(), '\n')), operation_count + 1);
    EXPECT_THAT(outcome.output, HasSubstr(" 40 MSG_RING          5.18   yes     "));
}

TEST(Operations, stand_in_their_document_as_the_table_has_them) {
    const Outcome outcome = list({"--markdown"});
    EXPECT_EQ(outcome.status, 0) << outcome;
    EXPECT_EQ(outcome.output, text_of("docs/opcodes.md"))
        << "write it anew: cmake --build build/release --target opcodes";
}

TEST(Operations, have_a_difference_where_the_list_of_differences_names_them) {
    const std::string differences = text_of("docs/differences.md");
    std::set<std::string> named;
    const std::regex name("IORING_OP_[A-Z0-9_]+");
    for (std::sregex_iterator at(differences.begin(), differences.end(), name), end; at != end; ++at) {
        named.insert(at->str());
    }
    std::set<std::string> different;
    for (const json& row : operations("engine")) {
        if (!row["difference"].is_null()) different.insert(row["name"]);
    }
    EXPECT_EQ(different, named) << "src/ops/differences.def and docs/differences.md";
}

TEST(Operations, are_a_document_only_when_they_are_listed) {
    const Outcome outcome = Command{{built("ringside"), "doctor", "--markdown"}}.run();
    EXPECT_EQ(outcome.status, 2) << outcome;
}

}  // namespace
}  // namespace ringside::test
