// What is measured: a case does a batch of operations through the liburing API, again and again. The same source is
// compiled against ringside's liburing.h and against liburing itself, so it uses nothing that only one of them has.
#pragma once

#include <memory>
#include <vector>

namespace bench {

class Case {
  public:
    virtual ~Case() = default;
    // Does one batch and returns how many operations that was. Aborts when an operation fails: a wrong answer has no
    // speed.
    virtual unsigned batch() = 0;
};

struct CaseRow {
    const char* name;
    const char* what;  // for people: the work, and how much of it at a time
    double wanted;     // how many times the kernel's rate the engine is to reach
    std::unique_ptr<Case> (*make)();
};

inline std::vector<CaseRow>& cases() {
    static std::vector<CaseRow> rows;
    return rows;
}

// A case joins the table by declaring one of these in its file. Its class sets up in the constructor.
template <typename Work>
struct Row {
    Row(const char* name, const char* what, double wanted) {
        cases().push_back({name, what, wanted, []() -> std::unique_ptr<Case> { return std::make_unique<Work>(); }});
    }
};

}  // namespace bench
