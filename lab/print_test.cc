#include "print_test.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "names.h"

namespace ringside::lab {
namespace {

// Fields of an SQE as io_uring_sqe names them.
constexpr const char* member_names[field_count] = {
    "opcode",   "flags", "ioprio",    "fd",          "off",        "addr",  "len",
    "rw_flags", "",      "buf_index", "personality", "file_index", "addr3", "__pad2",
};

std::string flags_expression(std::span<const Name> names, const char* prefix, uint32_t bits) {
    std::string text;
    for (const Name& name : names) {
        if ((bits & name.value) == 0) continue;
        text += (text.empty() ? "" : " | ") + std::string(prefix) + name.text;
        bits &= ~static_cast<uint32_t>(name.value);
    }
    if (bits != 0 || text.empty()) text += (text.empty() ? "" : " | ") + fmt::format("{:#x}", bits);
    return text;
}

std::string opcode_expression(uint8_t opcode) {
    const std::string name = name_of(opcode_names(), opcode);
    return name[0] >= '0' && name[0] <= '9' ? name : "IORING_OP_" + name;
}

std::string expression(const Value& value) {
    switch (value.kind) {
        case Value::Kind::number:
            return to_text(value);
        case Value::Kind::fd:
            return fmt::format("fd{}.get()", value.number);
        case Value::Kind::result:
            return fmt::format("result{}", value.number);
        case Value::Kind::ring:
            return "ring.fd()";
        case Value::Kind::memory:
            break;
    }
    return fmt::format("address_of(m{} + {})", value.number, value.offset);
}

// The trace, line by line, as the steps go by.
class Expectations {
  public:
    explicit Expectations(const Trace& trace) : trace_(trace) {}

    // What follows `start` in the next line, if the next line begins so.
    std::string take(const std::string& start) {
        if (at_ >= trace_.size() || !trace_[at_].starts_with(start + " ")) return "";
        return trace_[at_++].substr(start.size() + 1);
    }
    void skip_setup() {
        while (take("setup") != "" || take("ring") != "") {
        }
    }
    // The completions up to "settled".
    std::vector<std::string> completions() {
        std::vector<std::string> list;
        for (; at_ < trace_.size() && trace_[at_] != "settled"; ++at_) {
            if (trace_[at_].starts_with("cqe ")) list.push_back(matcher(trace_[at_].substr(4)));
        }
        ++at_;
        return list;
    }

  private:
    static std::string matcher(const std::string& line) {
        std::istringstream words(line);
        std::string user_data;
        std::string result;
        std::string flags;
        words >> user_data >> result >> flags;
        if (result == "fd") return fmt::format("testing::Field(&Cqe::user_data, {})", user_data);
        return fmt::format("Completes({}, {}, {})", user_data, result, flags.substr(flags.find('=') + 1));
    }

    const Trace& trace_;
    size_t at_ = 0;
};

std::string pair_text(const Resource& resource) {
    const uint32_t id = resource.id;
    const char* type = resource.kind == ResourceKind::stream     ? "SOCK_STREAM"
                       : resource.kind == ResourceKind::datagram ? "SOCK_DGRAM"
                                                                 : "SOCK_SEQPACKET";
    const std::string call = resource.kind == ResourceKind::pipe
                                 ? fmt::format("pipe2(pair{}, {:#x})", id, resource.flags)
                                 : fmt::format("socketpair(AF_UNIX, {} | {:#x}, 0, pair{})", type, resource.flags, id);
    std::string text = fmt::format("    int pair{}[2];\n    ASSERT_EQ({}, 0);\n", id, call);
    text += fmt::format("    const Fd fd{}(pair{}[0]);\n    const Fd fd{}(pair{}[1]);\n", id, id, id + 1, id);
    if (resource.size > 0) {
        text += fmt::format("    ASSERT_EQ(write(fd{0}, pattern({1}, {2}).data(), {2}), {2});\n", id + 1, id + 1,
                            resource.size);
    }
    return text;
}

std::string single_text(const Resource& resource) {
    const uint32_t id = resource.id;
    const auto fd = [&](const std::string& call) { return fmt::format("    const Fd fd{}({});\n", id, call); };
    switch (resource.kind) {
        case ResourceKind::file:
        case ResourceKind::path_only:
            return fd(fmt::format("open(scratch.add(\"f{}\", pattern({}, {})).c_str(), {:#x})", id, id + 1,
                                  resource.size, resource.kind == ResourceKind::file ? resource.flags : 010000000));
        case ResourceKind::directory:
            return fmt::format("    ASSERT_EQ(mkdir(\"d{}\", 0755), 0);\n", id) +
                   fd(fmt::format("open(\"d{}\", O_RDONLY | O_DIRECTORY)", id));
        case ResourceKind::scratch:
            return fd("open(\".\", O_RDONLY | O_DIRECTORY)");
        case ResourceKind::eventfd:
            return fd(fmt::format("eventfd({}, {:#x})", resource.size, resource.flags));
        case ResourceKind::null:
            return fd("open(\"/dev/null\", O_RDWR)");
        case ResourceKind::zero:
            return fd("open(\"/dev/zero\", O_RDWR)");
        case ResourceKind::epoll:
            return fd("epoll_create1(0)");
        case ResourceKind::memfd:
            return fmt::format("    const Fd fd{} = memory_file_with(pattern({}, {}));\n", id, id + 1, resource.size);
        default:
            break;
    }
    return fd(fmt::format("/* {} */ -1", name_of(resource_names(), uint64_t(resource.kind))));
}

std::string memory_text(const Memory& memory) {
    if (!memory.text.empty()) return fmt::format("    char m{}[] = \"{}\";\n", memory.id, memory.text);
    uint64_t size = memory.size;
    for (const Cell& cell : memory.cells) size += cell.width;
    std::string text = fmt::format("    alignas(16) char m{}[{}] = {{}};  // {}\n", memory.id,
                                   std::max<uint64_t>(size, 1), memory.label);
    if (memory.cells.empty() && memory.fill != 0) {
        text += fmt::format("    memcpy(m{0}, pattern({1}, {2}).data(), {2});\n", memory.id, memory.fill, size);
    }
    uint64_t at = 0;
    for (const Cell& cell : memory.cells) {
        text +=
            fmt::format("    store<uint{}_t>(m{} + {}, {});\n", cell.width * 8, memory.id, at, expression(cell.value));
        at += cell.width;
    }
    return text;
}

std::string sqe_text(const Sqe& sqe) {
    std::string text = fmt::format("Sqe({}, {}).data({})", opcode_expression(sqe.opcode()), expression(sqe[Field::fd]),
                                   sqe.user_data());
    if (sqe.flags() != 0) text += fmt::format(".flag({})", flags_expression(sqe_flag_names(), "IOSQE_", sqe.flags()));
    for (size_t i = 0; i < field_count; ++i) {
        const auto field = static_cast<Field>(i);
        const bool printed = field == Field::opcode || field == Field::flags || field == Field::fd ||
                             field == Field::user_data || field == Field::pad2;
        if (printed || sqe.fields[i].is_zero()) continue;
        text += fmt::format(".set(&Sqe::{}, {})", member_names[i], expression(sqe.fields[i]));
    }
    return text;
}

struct StepPrinter {
    Expectations& expected;

    std::string operator()(const Push& push) const {
        if (!expected.take(fmt::format("push {}", push.sqe.user_data())).empty()) return "";  // there was no room
        const Value& pad = push.sqe[Field::pad2];
        const std::string note = pad.is_zero() ? "" : fmt::format("  // and __pad2[0] = {}", to_text(pad));
        return fmt::format("    ring.push({});{}\n", sqe_text(push.sqe), note);
    }
    std::string operator()(const Enter& enter) const {
        const std::string arg =
            enter.arg.is_zero() ? "nullptr" : fmt::format("reinterpret_cast<const void*>({})", expression(enter.arg));
        const std::string call =
            fmt::format("ring.enter({}, {}, {}, {}, {})", enter.to_submit, enter.min_complete,
                        flags_expression(enter_flag_names(), "IORING_", enter.flags), arg, enter.arg_size);
        return checked(call, expected.take("enter"));
    }
    std::string operator()(const Settle&) const {
        std::string text;
        for (std::string rest; !(rest = expected.take("enter rest")).empty();) {
            text +=
                checked("ring.enter(ring.sq_tail().load() - ring.sq_head().load(), 0, IORING_ENTER_GETEVENTS)", rest);
        }
        const std::vector<std::string> completions = expected.completions();
        if (completions.empty()) return text + "    EXPECT_THAT(ring.linger(), IsEmpty());\n";
        text += fmt::format("    EXPECT_THAT(ring.wait({}), UnorderedElementsAre(", completions.size());
        for (size_t i = 0; i < completions.size(); ++i) text += (i == 0 ? "" : ", ") + completions[i];
        return text + "));\n";
    }
    std::string operator()(const Event& event) const {
        expected.take("event");
        return fmt::format("    // event: {} {} {}\n", name_of(event_names(), uint64_t(event.kind)),
                           expression(event.fd), event.amount);
    }
    std::string operator()(const Register& call) const {
        const std::string name = name_of(register_names(), call.opcode);
        std::string result = expected.take("register");
        result = result.substr(std::min(result.find(' ') + 1, result.size()));
        return checked(fmt::format("ring.register_call(IORING_{}, reinterpret_cast<void*>({}), {})", name,
                                   expression(call.arg), call.nr_args),
                       result);
    }
    std::string operator()(const Poke& poke) const {
        const std::string index = poke.word == Word::sq_array ? std::to_string(poke.index) : "";
        return fmt::format("    ring.{}({}).fetch_add({});\n", name_of(word_names(), uint64_t(poke.word)), index,
                           poke.add);
    }

    static std::string checked(const std::string& call, const std::string& result) {
        return result.empty() ? fmt::format("    {};\n", call)
                              : fmt::format("    EXPECT_THAT({}, Gives({}));\n", call, result);
    }
};

}  // namespace

std::string print_test(const Program& program, const Trace& trace) {
    const Setup& setup = program.setup;
    std::string text = fmt::format(
        "// Found by the lab with seed {0}. Over tests/support (raw_ring.h, files.h); there, pattern(fill, size) gives "
        "a\n"
        "// string of that size, and store<T>(where, value) writes an unaligned number.\n"
        "TEST(Lab, seed_{0}) {{\n"
        "    const TemporaryDirectory scratch;\n"
        "    ASSERT_EQ(chdir(scratch.path().c_str()), 0);\n",
        program.seed);
    text += fmt::format("    io_uring_params params = params_with({});\n",
                        flags_expression(setup_flag_names(), "IORING_", setup.flags));
    if (setup.cq_entries != 0) text += fmt::format("    params.cq_entries = {};\n", setup.cq_entries);
    if (setup.sq_thread_idle != 0) text += fmt::format("    params.sq_thread_idle = {};\n", setup.sq_thread_idle);
    text += fmt::format("    RawRing ring({}, params);\n", setup.entries);
    for (const Resource& resource : program.resources) {
        text += descriptors_of(resource.kind) == 2 ? pair_text(resource) : single_text(resource);
    }
    for (const Memory& memory : program.memories) text += memory_text(memory);
    text += "\n";
    Expectations expected(trace);
    expected.skip_setup();
    for (const Step& step : program.steps) text += std::visit(StepPrinter{expected}, step);
    if (!trace.empty()) text += StepPrinter{expected}(Settle{});
    return text + "}\n";
}

}  // namespace ringside::lab
