// What is measured: a case does a batch of operations, again and again. Cases in cases/ do it through the liburing API:
// the same source is compiled against ringside's liburing.h and against liburing itself, so it uses nothing that only
// one of them has.
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
    // How many operations are left in flight between batches. They complete while others take their samples, so as many
    // are done again before the clock runs.
    virtual unsigned in_flight() const { return 0; }
};

struct CaseRow {
    const char* name;
    const char* what;  // for people: the work, and how much of it at a time
    double wanted;     // how many times the kernel's rate the engine is to reach; 0 if we ask for nothing
    std::unique_ptr<Case> (*make)();
};

inline std::vector<CaseRow>& cases() {
    static std::vector<CaseRow> rows;
    return rows;
}

// A case joins the table by declaring one of these in its file. Its class sets up in the constructor.
template <typename Work>
struct Row {
    Row(const char* name, const char* what, double wanted = 0) {
        cases().push_back({name, what, wanted, []() -> std::unique_ptr<Case> { return std::make_unique<Work>(); }});
    }
};

}  // namespace bench
