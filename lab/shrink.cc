#include "shrink.h"

#include <algorithm>
#include <set>

namespace ringside::lab {
namespace {

using Fails = std::function<bool(const Program&)>;

// A change that makes the program smaller; nothing where it would change nothing.
bool try_it(Program& program, const Program& candidate, const Fails& fails) {
    if (candidate == program || !fails(candidate)) return false;
    program = candidate;
    return true;
}

// Delta debugging: drops halves, then quarters, and so on down to single elements.
template <typename T>
bool drop_elements(Program& program, std::vector<T> Program::* list, const Fails& fails) {
    bool smaller = false;
    for (size_t chunk = std::max<size_t>((program.*list).size() / 2, 1);; chunk /= 2) {
        for (size_t at = 0; at < (program.*list).size();) {
            Program candidate = program;
            std::vector<T>& elements = candidate.*list;
            const size_t end = std::min(at + chunk, elements.size());
            elements.erase(elements.begin() + static_cast<std::ptrdiff_t>(at),
                           elements.begin() + static_cast<std::ptrdiff_t>(end));
            if (try_it(program, candidate, fails)) smaller = true;
            else at += chunk;
        }
        if (chunk <= 1) return smaller;
    }
}

// After steps have gone: enters submit what is there.
bool simplify_enters(Program& program, const Fails& fails) {
    bool smaller = false;
    for (size_t i = 0; i < program.steps.size(); ++i) {
        if (!std::holds_alternative<Enter>(program.steps[i])) continue;
        for (const auto& change : {+[](Enter& enter) { enter = Enter{.to_submit = enter.to_submit}; },
                                   +[](Enter& enter) { enter.min_complete = 0; },
                                   +[](Enter& enter) { enter.to_submit = std::min(enter.to_submit, 1u); },
                                   +[](Enter& enter) { enter.to_submit /= 2; }}) {
            Program candidate = program;
            change(std::get<Enter>(candidate.steps[i]));
            smaller |= try_it(program, candidate, fails);
        }
    }
    return smaller;
}

bool simplify_sqes(Program& program, const Fails& fails) {
    bool smaller = false;
    for (size_t i = 0; i < program.steps.size(); ++i) {
        if (!std::holds_alternative<Push>(program.steps[i])) continue;
        for (size_t field = 0; field < field_count; ++field) {
            if (field == static_cast<size_t>(Field::user_data)) continue;
            Program candidate = program;
            Value& value = std::get<Push>(candidate.steps[i]).sqe.fields[field];
            if (field == static_cast<size_t>(Field::flags)) {
                for (unsigned bit = 0; bit < 8; ++bit) {
                    candidate = program;
                    std::get<Push>(candidate.steps[i]).sqe.fields[field].number &= ~(uint64_t{1} << bit);
                    smaller |= try_it(program, candidate, fails);
                }
                continue;
            }
            // Descriptor 0 would be somebody's.
            value = field == static_cast<size_t>(Field::fd) ? number(~uint64_t{0}) : Value{};
            smaller |= try_it(program, candidate, fails);
        }
    }
    return smaller;
}

bool simplify_setup(Program& program, const Fails& fails) {
    bool smaller = false;
    Program candidate = program;
    candidate.setup = Setup{};
    if (try_it(program, candidate, fails)) return true;
    for (unsigned bit = 0; bit < 32; ++bit) {
        candidate = program;
        candidate.setup.flags &= ~(1u << bit);
        smaller |= try_it(program, candidate, fails);
    }
    candidate = program;
    candidate.setup.entries = 8;
    return try_it(program, candidate, fails) || smaller;
}

}  // namespace

Program shrink(Program program, const Fails& fails) {
    for (bool smaller = true; smaller;) {
        smaller = drop_elements(program, &Program::steps, fails);
        smaller |= simplify_enters(program, fails);
        smaller |= simplify_sqes(program, fails);
        smaller |= drop_elements(program, &Program::resources, fails);
        smaller |= drop_elements(program, &Program::memories, fails);
        smaller |= simplify_setup(program, fails);
    }
    return program;
}

}  // namespace ringside::lab
