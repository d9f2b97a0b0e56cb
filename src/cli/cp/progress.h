// A line that shows how far the copy is, on a terminal and nowhere else.
#pragma once

#include <stdint.h>

#include <chrono>
#include <string>
#include <vector>

namespace ringside::cli::cp {

class Progress {
  public:
    // Not shown unless it is wanted and standard error is a terminal.
    explicit Progress(bool wanted);
    ~Progress() { hide(); }
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    // Adds up how much there is to copy, for the percentage. Costs a walk over the sources, which only a shown line
    // pays.
    void measure(const std::vector<std::string>& sources, bool recursive);

    void add_bytes(uint64_t count) { copied_bytes_ += count; }
    void add_file() { ++copied_files_; }

    // Draws the line anew if the last time is long enough ago.
    void tick();
    // Takes the line away, so that other text can be printed.
    void hide();

  private:
    using Clock = std::chrono::steady_clock;

    bool shown_;
    bool drawn_ = false;
    uint64_t total_bytes_ = 0;
    uint64_t copied_bytes_ = 0;
    uint64_t copied_files_ = 0;
    Clock::time_point start_ = Clock::now();
    Clock::time_point last_draw_ = start_;
};

}  // namespace ringside::cli::cp
