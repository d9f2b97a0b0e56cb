// A directory of the source together with its copy, both open. Names are looked up relative to them, so a path that
// another process changes meanwhile does no harm.
#pragma once

#include <sys/stat.h>

#include <memory>
#include <string>

namespace ringside::cli::cp {

class Report;

std::string join(const std::string& directory, const std::string& name);

// All items below a directory share it. When the last one releases it, the destructor finishes the copy: only then
// does nothing change the directory's times any more, and a mode without write permission does no harm.
class Directory {
  public:
    struct Ends {
        int source_fd;
        int target_fd;
        std::string source_path;
        std::string target_path;
    };

    // Where the command line's names are looked up and placed: not itself a copy of anything.
    Directory(Ends ends, bool fsync, Report& report);
    // The copy of a directory with these attributes, inside `parent`. `fresh`: this copy created the directory.
    Directory(Ends ends, std::shared_ptr<Directory> parent, bool fresh, const struct statx& attributes);
    ~Directory();
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;

    int source_fd() const { return ends_.source_fd; }
    int target_fd() const { return ends_.target_fd; }
    const std::string& source_path() const { return ends_.source_path; }
    const std::string& target_path() const { return ends_.target_path; }

    // Nothing was in the target before this copy.
    bool fresh() const { return fresh_; }
    bool fsync() const { return fsync_; }
    Report& report() const { return report_; }

  private:
    Ends ends_;
    std::shared_ptr<Directory> parent_;
    bool fresh_ = false;
    bool fsync_;
    struct statx attributes_ = {};
    Report& report_;
};

}  // namespace ringside::cli::cp
