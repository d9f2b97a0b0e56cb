// The copy as a whole: starts items while there is room for them, waits for their requests, and stops at an
// interruption.
#pragma once

#include <deque>
#include <memory>
#include <unordered_map>
#include <vector>

#include "cli/cp/interruption.h"
#include "cli/cp/job.h"
#include "cli/cp/options.h"
#include "cli/cp/walk.h"

namespace ringside::cli::cp {

class Copier final : public Foreman {
  public:
    Copier(const Options& options, Progress& progress, Report& report);

    // Copies all items. Returns the signal that cut it short, or 0.
    int run(std::vector<Item> roots);

    void finished(CopyJob& job) override;
    void start_again(std::vector<Item> items) override;

  private:
    std::optional<Item> next_item(Walk& walk);
    void start(Item item);
    void copy_special_item(const Item& item);
    void stop();

    Report& report_;
    unsigned most_jobs_;
    Interruption interruption_;
    RequestQueue queue_;
    BlockPool pool_;
    HardLinks links_;
    Workshop workshop_;
    std::deque<Item> again_;
    std::unordered_map<CopyJob*, std::unique_ptr<CopyJob>> jobs_;
    // Jobs that are over, kept until no completion of theirs is on the stack.
    std::vector<std::unique_ptr<CopyJob>> over_;
};

}  // namespace ringside::cli::cp
