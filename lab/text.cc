// The text form of programs: one resource, memory object or step a line, fields as name=value in any order.
#include <fmt/format.h>

#include <algorithm>

#include "names.h"
#include "program.h"

namespace ringside::lab {
namespace {

constexpr std::array<const char*, field_count> field_names = {
    "op",       "flags",     "ioprio",    "fd",          "off",        "addr",  "len",
    "op_flags", "user_data", "buf_index", "personality", "file_index", "addr3", "pad2",
};

std::string number_text(uint64_t value) {
    if (value >= ~uint64_t{0} - 4095) return std::to_string(static_cast<int64_t>(value));
    return value < 65536 ? std::to_string(value) : fmt::format("{:#x}", value);
}

std::string cells_text(const Memory& memory) {
    std::string text;
    for (const Cell& cell : memory.cells) text += fmt::format(" {}:{}", cell.width, to_text(cell.value));
    return text;
}

std::string memory_text(const Memory& memory) {
    std::string text = fmt::format("memory id={} label={}", memory.id, memory.label);
    if (!memory.text.empty()) return text + " text=" + memory.text;
    if (!memory.cells.empty()) return text + " cells" + cells_text(memory);
    return text + fmt::format(" size={} fill={}", memory.size, memory.fill);
}

std::string step_text(const Push& push) { return (push.sure ? "push sure=1 " : "push ") + to_text(push.sqe); }
std::string step_text(const Enter& enter) {
    return fmt::format("enter to_submit={} min_complete={} flags={} arg={} arg_size={}", enter.to_submit,
                       enter.min_complete, bits_of(enter_flag_names(), enter.flags), to_text(enter.arg),
                       enter.arg_size);
}
std::string step_text(const Settle& settle) {
    return fmt::format("settle linger_us={} reap={}", settle.linger_us, settle.reap ? 1 : 0);
}
std::string step_text(const Event& event) {
    return fmt::format("event what={} fd={} amount={}", name_of(event_names(), uint64_t(event.kind)), to_text(event.fd),
                       event.amount);
}
std::string step_text(const Register& call) {
    return fmt::format("register what={} arg={} nr_args={}", name_of(register_names(), call.opcode), to_text(call.arg),
                       call.nr_args);
}
std::string step_text(const Poke& poke) {
    return fmt::format("poke word={} index={} add={}", name_of(word_names(), uint64_t(poke.word)), poke.index,
                       poke.add);
}

// One line, taken apart.
class Line {
  public:
    explicit Line(std::string_view text) {
        while (!text.empty()) {
            const size_t start = text.find_first_not_of(' ');
            if (start == text.npos) break;
            text.remove_prefix(start);
            const size_t end = std::min(text.find(' '), text.size());
            words_.push_back(text.substr(0, end));
            text.remove_prefix(end);
        }
    }

    bool empty() const { return words_.empty(); }
    std::string_view head() const { return words_.front(); }
    bool good() const { return good_; }

    std::optional<std::string_view> text(std::string_view name) const {
        for (const std::string_view word : words_) {
            if (word.size() > name.size() && word.starts_with(name) && word[name.size()] == '=') {
                return word.substr(name.size() + 1);
            }
        }
        return std::nullopt;
    }
    uint64_t named(std::string_view name, std::span<const Name> names) {
        return read(name, [&](std::string_view word) { return value_of(names, word); });
    }
    uint64_t bits(std::string_view name, std::span<const Name> names) {
        return read(name, [&](std::string_view word) { return bits_from(names, word); });
    }
    template <typename Number = uint64_t>
    Number plain(std::string_view name) {
        return static_cast<Number>(read(name, number_from));
    }
    Value value(std::string_view name) {
        const std::optional<std::string_view> word = text(name);
        return word ? value_from(*word) : Value{};
    }
    std::vector<Cell> cells() {
        std::vector<Cell> cells;
        for (const std::string_view word : words_) {
            const size_t colon = word.find(':');
            if (colon == word.npos) continue;
            const std::optional<uint64_t> width = number_from(word.substr(0, colon));
            good_ = good_ && width.has_value();
            cells.push_back({static_cast<uint8_t>(width.value_or(8)), value_from(word.substr(colon + 1))});
        }
        return cells;
    }

  private:
    template <typename Reader>
    uint64_t read(std::string_view name, Reader reader) {
        const std::optional<std::string_view> word = text(name);
        if (!word) return 0;
        const std::optional<uint64_t> value = reader(*word);
        good_ = good_ && value.has_value();
        return value.value_or(0);
    }

    Value value_from(std::string_view word) {
        if (word == "ring") return {Value::Kind::ring, 0, 0};
        static constexpr std::pair<std::string_view, Value::Kind> prefixes[] = {
            {"fd", Value::Kind::fd}, {"m", Value::Kind::memory}, {"result", Value::Kind::result}};
        Value value;
        for (const auto& [prefix, kind] : prefixes) {
            if (!word.starts_with(prefix)) continue;
            value.kind = kind;
            word.remove_prefix(prefix.size());
            break;
        }
        const size_t plus = value.kind == Value::Kind::memory ? word.find('+') : word.npos;
        const std::optional<uint64_t> base = number_from(word.substr(0, plus));
        const std::optional<uint64_t> offset = plus == word.npos ? 0 : number_from(word.substr(plus + 1));
        good_ = good_ && base && offset;
        value.number = base.value_or(0);
        value.offset = static_cast<int64_t>(offset.value_or(0));
        return value;
    }

    std::vector<std::string_view> words_;
    bool good_ = true;
};

// Opcode and flags go by name; the other fields are values.
Sqe sqe_from(Line& line) {
    Sqe sqe;
    sqe[Field::opcode] = number(line.named(field_names[0], opcode_names()));
    sqe[Field::flags] = number(line.bits(field_names[1], sqe_flag_names()));
    for (size_t i = 2; i < field_count; ++i) sqe.fields[i] = line.value(field_names[i]);
    return sqe;
}

Memory memory_from(Line& line) {
    Memory memory;
    memory.id = line.plain<uint32_t>("id");
    memory.label = line.text("label").value_or("bytes");
    memory.size = line.plain("size");
    memory.fill = line.plain<uint8_t>("fill");
    memory.text = line.text("text").value_or("");
    memory.cells = line.cells();
    return memory;
}

bool add_line(Program& program, std::string_view text) {
    Line line(text);
    if (line.empty() || line.head().starts_with('#')) return true;
    const std::string_view head = line.head();
    if (head == "seed") {
        program.seed = line.plain("value");
    } else if (head == "setup") {
        program.setup = {
            line.plain<uint32_t>("entries"),    static_cast<uint32_t>(line.bits("flags", setup_flag_names())),
            line.plain<uint32_t>("cq_entries"), line.plain<uint32_t>("sq_thread_idle"),
            line.plain<uint32_t>("wq_fd"),      line.plain<uint32_t>("reserved")};
    } else if (head == "resource") {
        program.resources.push_back({line.plain<uint32_t>("id"),
                                     static_cast<ResourceKind>(line.named("kind", resource_names())),
                                     line.plain<uint32_t>("flags"), line.plain("size")});
    } else if (head == "memory") {
        program.memories.push_back(memory_from(line));
    } else if (head == "push") {
        program.steps.push_back(Push{sqe_from(line), line.plain("sure") != 0});
    } else if (head == "enter") {
        program.steps.push_back(Enter{line.plain<uint32_t>("to_submit"), line.plain<uint32_t>("min_complete"),
                                      static_cast<uint32_t>(line.bits("flags", enter_flag_names())), line.value("arg"),
                                      line.plain("arg_size")});
    } else if (head == "settle") {
        program.steps.push_back(Settle{line.plain<uint32_t>("linger_us"), line.plain("reap") != 0});
    } else if (head == "event") {
        program.steps.push_back(
            Event{static_cast<EventKind>(line.named("what", event_names())), line.value("fd"), line.plain("amount")});
    } else if (head == "register") {
        program.steps.push_back(Register{static_cast<uint32_t>(line.named("what", register_names())), line.value("arg"),
                                         line.plain<uint32_t>("nr_args")});
    } else if (head == "poke") {
        program.steps.push_back(Poke{static_cast<Word>(line.named("word", word_names())), line.plain<uint32_t>("index"),
                                     line.plain<uint32_t>("add")});
    } else {
        return false;
    }
    return line.good();
}

}  // namespace

unsigned descriptors_of(ResourceKind kind) {
    switch (kind) {
        case ResourceKind::pipe:
        case ResourceKind::stream:
        case ResourceKind::datagram:
        case ResourceKind::seqpacket:
            return 2;
        default:
            return 1;
    }
}

std::string to_text(const Value& value) {
    switch (value.kind) {
        case Value::Kind::number:
            return number_text(value.number);
        case Value::Kind::fd:
            return fmt::format("fd{}", value.number);
        case Value::Kind::result:
            return fmt::format("result{}", value.number);
        case Value::Kind::ring:
            return "ring";
        case Value::Kind::memory:
            break;
    }
    return value.offset == 0 ? fmt::format("m{}", value.number) : fmt::format("m{}+{}", value.number, value.offset);
}

std::string to_text(const Sqe& sqe) {
    std::string text =
        fmt::format("op={} flags={}", name_of(opcode_names(), sqe.opcode()), bits_of(sqe_flag_names(), sqe.flags()));
    for (size_t i = 2; i < field_count; ++i) {
        if (!sqe.fields[i].is_zero()) text += fmt::format(" {}={}", field_names[i], to_text(sqe.fields[i]));
    }
    return text;
}

std::string to_text(const Step& step) {
    return std::visit([](const auto& alternative) { return step_text(alternative); }, step);
}

std::string to_text(const Program& program) {
    const Setup& setup = program.setup;
    std::string text = fmt::format("seed value={}\n", program.seed);
    text += fmt::format("setup entries={} flags={} cq_entries={} sq_thread_idle={} wq_fd={} reserved={}\n",
                        setup.entries, bits_of(setup_flag_names(), setup.flags), setup.cq_entries, setup.sq_thread_idle,
                        setup.wq_fd, setup.reserved);
    for (const Resource& resource : program.resources) {
        text += fmt::format("resource id={} kind={} flags={:#x} size={}\n", resource.id,
                            name_of(resource_names(), uint64_t(resource.kind)), resource.flags, resource.size);
    }
    for (const Memory& memory : program.memories) text += memory_text(memory) + "\n";
    for (const Step& step : program.steps) text += to_text(step) + "\n";
    return text;
}

std::optional<Program> parse(std::string_view text, std::string* error) {
    Program program;
    for (unsigned number = 1; !text.empty(); ++number) {
        const size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = text.substr(0, end);
        if (!add_line(program, line)) {
            if (error != nullptr) *error = fmt::format("line {}: {}", number, line);
            return std::nullopt;
        }
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return program;
}

const Sqe* find_sqe(const Program& program, uint64_t user_data) {
    for (const Step& step : program.steps) {
        const Push* push = std::get_if<Push>(&step);
        if (push != nullptr && push->sqe.user_data() == user_data) return &push->sqe;
    }
    return nullptr;
}

}  // namespace ringside::lab
