#include "cli/cp/plan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <unistd.h>

#include <optional>
#include <set>

#include "cli/cp/attributes.h"
#include "cli/cp/report.h"

namespace ringside::cli::cp {
namespace {

// "a/b//" names what "a/b" names. A path of slashes alone stays one slash.
std::string without_trailing_slashes(std::string path) {
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    return path;
}

struct PathParts {
    std::string directory;  // "" for the current one
    std::string name;
};

PathParts split(const std::string& path) {
    const auto whole = without_trailing_slashes(path);
    const auto slash = whole.rfind('/');
    if (slash == std::string::npos) return {"", whole};
    return {without_trailing_slashes(whole.substr(0, slash + 1)), whole.substr(slash + 1)};
}

std::optional<struct statx> examine(const std::string& path, int flags) {
    struct statx attributes;
    if (statx(AT_FDCWD, path.c_str(), flags, statx_mask, &attributes) != 0) return std::nullopt;
    return attributes;
}

// The directory that the copies go into, and under which name if the command line gives one.
struct Target {
    std::shared_ptr<Directory> directory;
    std::optional<std::string> name;
};

std::shared_ptr<Directory> open_target(const std::string& path, const Options& options, Report& report) {
    const char* name = path.empty() ? "." : path.c_str();
    int fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    // A directory without read permission can still be written to.
    if (fd < 0 && errno == EACCES) fd = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        report.failure("open directory", name, errno);
        return nullptr;
    }
    return std::make_shared<Directory>(Directory::Ends{AT_FDCWD, fd, "", path}, options.fsync, report);
}

// The place of a destination that is not a directory yet: a name in its parent.
std::optional<Target> target_by_name(const Options& options, Report& report) {
    std::string path = options.destination;
    if (const auto link = examine(path, AT_SYMLINK_NOFOLLOW); link && S_ISLNK(link->stx_mode)) {
        // The file behind a link is what gets replaced, as with cp. A link to nowhere is more likely a mistake.
        char* const real = realpath(path.c_str(), nullptr);
        if (real == nullptr) {
            report.failure("write through the link", path, errno);
            return std::nullopt;
        }
        path = real;
        free(real);
    }
    auto parts = split(path);
    auto directory = open_target(parts.directory, options, report);
    if (!directory) return std::nullopt;
    return Target{std::move(directory), std::move(parts.name)};
}

std::optional<Target> find_target(const Options& options, Report& report) {
    const auto existing = examine(options.destination, 0);
    if (existing && S_ISDIR(existing->stx_mode)) {
        auto directory = open_target(options.destination, options, report);
        if (!directory) return std::nullopt;
        return Target{std::move(directory), std::nullopt};
    }
    if (options.sources.size() > 1) {
        report.failure("copy several things to", options.destination, existing ? ENOTDIR : ENOENT);
        return std::nullopt;
    }
    return target_by_name(options, report);
}

// Whether the target directory is the source directory or somewhere below it.
bool lies_within(int target_fd, const struct statx& source) {
    int fd = openat(target_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct statx here;
    struct statx above;
    bool within = false;
    while (fd >= 0 && statx(fd, "", AT_EMPTY_PATH, statx_mask, &here) == 0) {
        within = same_file(here, source);
        const int parent = within ? -1 : openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
        close(fd);
        fd = parent;
        // The root directory is its own parent.
        if (fd >= 0 && statx(fd, "", AT_EMPTY_PATH, statx_mask, &above) == 0 && same_file(here, above)) break;
    }
    if (fd >= 0) close(fd);
    return within;
}

// The name that a source gets inside an existing directory. The contents of "." and ".." go into the directory itself.
std::string name_inside(const std::string& source) {
    const auto name = split(source).name;
    return name.empty() || name == ".." ? "." : name;
}

std::optional<Item> plan_one(const std::string& source, const Target& target, const Options& options, Report& report) {
    // A tree is copied as it is; a link that is named by itself means the file behind it.
    const bool follow = !options.recursive;
    const auto attributes = examine(source, follow ? 0 : AT_SYMLINK_NOFOLLOW);
    if (!attributes) {
        report.failure("copy", source, errno);
        return std::nullopt;
    }
    Item item = {target.directory, source, target.name ? *target.name : name_inside(source),
                 static_cast<unsigned char>(IFTODT(attributes->stx_mode)), follow};
    if (!S_ISDIR(attributes->stx_mode)) {
        if (!options.destination.empty() && options.destination.back() == '/' && target.name) {
            report.failure("create", options.destination, ENOTDIR);
            return std::nullopt;
        }
        return item;
    }
    if (!options.recursive) {
        report.failure(fmt::format("{} is a directory and left out without --recursive", quoted(source)));
        return std::nullopt;
    }
    if (lies_within(target.directory->target_fd(), *attributes)) {
        report.failure(
            fmt::format("cannot copy the directory {} into itself, {}", quoted(source), quoted(item.target_path())));
        return std::nullopt;
    }
    return item;
}

}  // namespace

std::vector<Item> plan(const Options& options, Report& report) {
    std::vector<Item> items;
    const auto target = find_target(options, report);
    if (!target) return items;
    std::set<std::string> taken;
    for (const auto& source : options.sources) {
        auto item = plan_one(source, *target, options, report);
        if (!item) continue;
        if (!taken.insert(item->target_name).second) {
            report.failure(fmt::format("{} is left out: {} is taken by an earlier source", quoted(source),
                                       quoted(item->target_path())));
            continue;
        }
        items.push_back(std::move(*item));
    }
    return items;
}

}  // namespace ringside::cli::cp
