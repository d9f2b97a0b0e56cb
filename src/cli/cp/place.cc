#include "cli/cp/place.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <optional>

#include "cli/cp/attributes.h"
#include "cli/cp/report.h"

namespace ringside::cli::cp {
namespace {

// Calls create(NAME) with one temporary name after the other until one is free. Returns the name, or nothing with
// errno.
template <typename Create>
std::optional<std::string> create_under_temporary_name(Create create) {
    for (;;) {
        auto name = temporary_name();
        if (create(name.c_str()) == 0) return name;
        if (errno != EEXIST) return std::nullopt;
    }
}

// The text of a symbolic link, or nothing with errno.
std::optional<std::string> link_text(const Item& item) {
    std::string text(256, '\0');
    for (;;) {
        const auto length = readlinkat(item.parent->source_fd(), item.source_name.c_str(), text.data(), text.size());
        if (length < 0) return std::nullopt;
        if (static_cast<size_t>(length) < text.size()) return text.substr(0, static_cast<size_t>(length));
        // It may have been cut off.
        text.resize(text.size() * 2);
    }
}

bool finish(const Item& item, const std::string& temporary) {
    const int error = give_final_name(item, temporary);
    if (error != 0) item.parent->report().failure("create", item.target_path(), error);
    return error == 0;
}

}  // namespace

std::string temporary_name() {
    static unsigned count = 0;
    return fmt::format(".ringside-cp-{}-{}", getpid(), ++count);
}

bool may_replace_target(const Item& item, const struct statx& attributes) {
    if (item.parent->fresh()) return true;
    auto& report = item.parent->report();
    struct statx target;
    if (statx(item.parent->target_fd(), item.target_name.c_str(), AT_SYMLINK_NOFOLLOW, statx_mask, &target) != 0) {
        if (errno == ENOENT) return true;
        report.failure("examine", item.target_path(), errno);
        return false;
    }
    if (same_file(attributes, target)) {
        report.failure(
            fmt::format("{} and {} are the same file", quoted(item.source_path()), quoted(item.target_path())));
        return false;
    }
    if (S_ISDIR(target.stx_mode)) {
        report.failure("replace", item.target_path(), EISDIR);
        return false;
    }
    if (S_ISREG(attributes.stx_mode) && !S_ISREG(target.stx_mode) && !S_ISLNK(target.stx_mode)) {
        report.failure(fmt::format("{} is not a regular file and stays as it is", quoted(item.target_path())));
        return false;
    }
    return true;
}

int give_final_name(const Item& item, const std::string& temporary) {
    const int directory = item.parent->target_fd();
    if (renameat(directory, temporary.c_str(), directory, item.target_name.c_str()) == 0) return 0;
    const int error = errno;
    unlinkat(directory, temporary.c_str(), 0);
    return error;
}

bool copy_special(const Item& item, const struct statx& attributes) {
    if (!may_replace_target(item, attributes)) return false;
    auto& report = item.parent->report();
    const int directory = item.parent->target_fd();
    std::optional<std::string> temporary;
    if (S_ISLNK(attributes.stx_mode)) {
        const auto text = link_text(item);
        if (!text) {
            report.failure("read the link", item.source_path(), errno);
            return false;
        }
        temporary =
            create_under_temporary_name([&](const char* name) { return symlinkat(text->c_str(), directory, name); });
    } else {
        const dev_t device = makedev(attributes.stx_rdev_major, attributes.stx_rdev_minor);
        const mode_t kind = attributes.stx_mode & S_IFMT;
        temporary = create_under_temporary_name(
            [&](const char* name) { return mknodat(directory, name, kind | S_IRUSR | S_IWUSR, device); });
    }
    if (!temporary) {
        report.failure("create", item.target_path(), errno);
        return false;
    }
    // A copy with a wrong date is still a copy: it is reported and kept.
    const int error = keep_attributes_at(directory, temporary->c_str(), attributes);
    if (error != 0) report.failure("keep the attributes of", item.target_path(), error);
    return finish(item, *temporary);
}

bool link_to_copy(const Item& item, const std::string& copy) {
    const auto temporary = create_under_temporary_name(
        [&](const char* name) { return linkat(AT_FDCWD, copy.c_str(), item.parent->target_fd(), name, 0); });
    if (!temporary) {
        item.parent->report().failure("link " + quoted(copy) + " to", item.target_path(), errno);
        return false;
    }
    const bool placed = finish(item, *temporary);
    // A rename onto another name of the same file does nothing and leaves both.
    unlinkat(item.parent->target_fd(), temporary->c_str(), 0);
    return placed;
}

}  // namespace ringside::cli::cp
