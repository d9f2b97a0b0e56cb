// Messages on standard error: one line for each failure.
#pragma once

#include <string>
#include <string_view>

namespace ringside::cli::cp {

class Progress;

// A name in quotes, with what would confuse a terminal shown as an escape.
std::string quoted(std::string_view name);

class Report {
  public:
    explicit Report(Progress& progress) : progress_(progress) {}

    // A whole sentence; it gets the program's name in front.
    void failure(std::string_view sentence);
    // "cannot ACTION 'PATH': reason of this errno".
    void failure(std::string_view action, std::string_view path, int error);

    bool any() const { return any_; }

  private:
    Progress& progress_;
    bool any_ = false;
};

}  // namespace ringside::cli::cp
