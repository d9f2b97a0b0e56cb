#include "cli/cp/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "cli/cp/attributes.h"
#include "cli/cp/report.h"

namespace ringside::cli::cp {

std::string join(const std::string& directory, const std::string& name) {
    if (directory.empty()) return name;
    return directory.back() == '/' ? directory + name : directory + "/" + name;
}

Directory::Directory(Ends ends, bool fsync, Report& report) : ends_(std::move(ends)), fsync_(fsync), report_(report) {}

Directory::Directory(Ends ends, std::shared_ptr<Directory> parent, bool fresh, const struct statx& attributes)
    : ends_(std::move(ends)),
      parent_(std::move(parent)),
      fresh_(fresh),
      fsync_(parent_->fsync()),
      attributes_(attributes),
      report_(parent_->report()) {}

Directory::~Directory() {
    if (parent_) {
        const int error = keep_attributes(ends_.target_fd, attributes_);
        if (error != 0) report_.failure("keep the attributes of", ends_.target_path, error);
        close(ends_.source_fd);
    }
    if (fsync_ && ::fsync(ends_.target_fd) != 0) report_.failure("write to disk", ends_.target_path, errno);
    close(ends_.target_fd);
}

}  // namespace ringside::cli::cp
