#include "coverage.h"

#include <fmt/format.h>

#include <map>
#include <sstream>

#include "liburing/io_uring.h"
#include "names.h"

namespace ringside::lab {
namespace {

void count_bits(Tally* tallies, unsigned width, uint32_t bits, bool good) {
    for (unsigned bit = 0; bit < width; ++bit) {
        if ((bits >> bit & 1) != 0) tallies[bit].add(good);
    }
}

// Results in the order of the steps that they belong to: "enter" and "register" lines.
std::vector<bool> outcomes(const Trace& trace, const std::string& start) {
    std::vector<bool> list;
    for (const std::string& line : trace) {
        if (line.starts_with(start) && !line.starts_with("enter rest")) list.push_back(line.find(" -") == line.npos);
    }
    return list;
}

void print(std::string& text, const std::string& name, const Tally& tally) {
    text += fmt::format("  {:<24} {:>10} {:>10}\n", name, tally.success.load(), tally.error.load());
}

// What a timer says when its time is up is what it is for.
bool succeeds(const Sqe& sqe, const std::string& result) {
    const bool is_timer = sqe.opcode() == IORING_OP_TIMEOUT || sqe.opcode() == IORING_OP_LINK_TIMEOUT;
    return !result.starts_with('-') || (is_timer && result == "-ETIME");
}

struct Table {
    std::string text;
    std::vector<std::string> missing;

    void section(const char* title) { text += fmt::format("{:<26} {:>10} {:>10}\n", title, "success", "error"); }
    // A row that must have been exercised: with success, unless an error is all there is to have.
    void row(const std::string& name, const Tally& tally, bool required, bool error_suffices = false) {
        if (!required && tally.success == 0 && tally.error == 0) return;
        print(text, name, tally);
        const bool exercised = tally.success != 0 || (error_suffices && tally.error != 0);
        if (required && !exercised) missing.push_back(name);
    }
};

}  // namespace

void Coverage::count(const Program& program, const Trace& trace) {
    if (trace.empty()) return;
    const bool set_up = trace[0] == "setup ok";
    count_bits(setup_flags, 32, program.setup.flags, set_up);
    std::map<uint64_t, const Sqe*> sqes;
    const std::vector<bool> enters = outcomes(trace, "enter");
    const std::vector<bool> calls = outcomes(trace, "register");
    size_t enter_at = 0;
    size_t call_at = 0;
    for (const Step& step : program.steps) {
        if (const Push* push = std::get_if<Push>(&step)) sqes[push->sqe.user_data()] = &push->sqe;
        const Enter* enter = std::get_if<Enter>(&step);
        if (enter != nullptr && enter_at < enters.size()) count_bits(enter_flags, 32, enter->flags, enters[enter_at++]);
        const Register* call = std::get_if<Register>(&step);
        if (call != nullptr && call_at < calls.size() && call->opcode < 64)
            registers[call->opcode].add(calls[call_at++]);
    }
    for (const std::string& line : trace) {
        if (!line.starts_with("cqe ")) continue;
        std::istringstream words(line.substr(4));
        uint64_t user_data = 0;
        std::string result;
        words >> user_data >> result;
        const auto found = sqes.find(user_data);
        if (found == sqes.end()) continue;
        const bool good = succeeds(*found->second, result);
        opcodes[found->second->opcode()].add(good);
        count_bits(sqe_flags, 8, found->second->flags(), good);
    }
}

namespace {

Table table_of(const Coverage& coverage, const Offer& offer) {
    Table table;
    table.section("operation");
    for (const Name& name : opcode_names()) {
        const auto opcode = static_cast<uint8_t>(name.value);
        // It takes a queue of a network card, of which there is none.
        const bool is_refused = opcode == IORING_OP_RECV_ZC;
        table.row(name.text, coverage.opcodes[opcode], offer.opcodes.test(opcode), is_refused);
    }
    table.section("SQE flag");
    for (unsigned bit = 0; bit < 7; ++bit) {
        // Nothing that is on offer may select buffers as long as no buffers can be provided.
        const bool required = bit != IOSQE_BUFFER_SELECT_BIT || offer.opcodes.test(IORING_OP_PROVIDE_BUFFERS);
        table.row(bits_of(sqe_flag_names(), 1u << bit), coverage.sqe_flags[bit], required);
    }
    table.section("setup flag");
    for (const Name& name : setup_flag_names()) {
        const auto bit = static_cast<unsigned>(__builtin_ctzll(name.value));
        table.row(name.text, coverage.setup_flags[bit], (offer.setup_flags >> bit & 1) != 0);
    }
    table.section("enter flag");
    for (const Name& name : enter_flag_names()) {
        table.row(name.text, coverage.enter_flags[__builtin_ctzll(name.value)], name.value <= IORING_ENTER_GETEVENTS);
    }
    table.section("register call");
    for (const Name& name : register_names()) {
        table.row(name.text, coverage.registers[name.value], offer.registers.test(name.value));
    }
    return table;
}

}  // namespace

bool is_complete(const Coverage& coverage, const Offer& offer) { return table_of(coverage, offer).missing.empty(); }

std::string coverage_table(const Coverage& coverage, const Offer& offer) {
    Table table = table_of(coverage, offer);
    for (const std::string& name : table.missing) table.text += "never exercised: " + name + "\n";
    return table.text;
}

}  // namespace ringside::lab
