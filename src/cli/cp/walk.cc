#include "cli/cp/walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <string.h>
#include <unistd.h>

#include "cli/cp/attributes.h"
#include "cli/cp/report.h"

namespace ringside::cli::cp {
namespace {

// Until its copy is complete, only the user who copies may use a directory.
constexpr mode_t mode_while_copying = 0700;

// Opens a directory to look names up in it and, where it may be read, to list it.
int open_directory(int at, const std::string& name) {
    return openat(at, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

bool is_dot_or_dot_dot(const char* name) { return strcmp(name, ".") == 0 || strcmp(name, "..") == 0; }

}  // namespace

Walk::Walk(std::vector<Item> roots) : roots_(std::move(roots)) {}

std::optional<Item> Walk::next() {
    while (auto item = next_item()) {
        if (item->type != DT_DIR) return item;
        enter(*item);
    }
    return std::nullopt;
}

std::optional<Item> Walk::next_item() {
    while (!levels_.empty()) {
        auto& level = levels_.back();
        if (level.next < level.entries.size()) {
            const auto& entry = level.entries[level.next++];
            return Item{level.directory, entry.name, entry.name, entry.type};
        }
        levels_.pop_back();
    }
    if (next_root_ == roots_.size()) return std::nullopt;
    return std::move(roots_[next_root_++]);
}

void Walk::enter(const Item& item) {
    auto directory = open_pair(item);
    if (!directory) return;
    auto entries = read_entries(*directory);
    levels_.push_back({std::move(directory), std::move(entries)});
}

// Opens a source directory and its copy. Creates the copy if it does not exist.
std::shared_ptr<Directory> Walk::open_pair(const Item& item) {
    auto& report = item.parent->report();
    const auto source_path = item.source_path();
    const auto target_path = item.target_path();

    const int source = open_directory(item.parent->source_fd(), item.source_name);
    struct statx attributes;
    if (source < 0 || statx(source, "", AT_EMPTY_PATH, statx_mask, &attributes) != 0) {
        report.failure("open", source_path, errno);
        if (source >= 0) close(source);
        return nullptr;
    }
    const char* target_name = item.target_name.c_str();
    const bool fresh = mkdirat(item.parent->target_fd(), target_name, mode_while_copying) == 0;
    const int made = fresh ? 0 : errno;
    const int target = fresh || made == EEXIST ? open_directory(item.parent->target_fd(), item.target_name) : -1;
    if (target < 0) {
        if (made == EEXIST && (errno == ENOTDIR || errno == ELOOP)) {
            report.failure(fmt::format("cannot replace {}, which is no directory, by the directory {}",
                                       quoted(target_path), quoted(source_path)));
        } else {
            report.failure("create directory", target_path, made != 0 && made != EEXIST ? made : errno);
        }
        close(source);
        return nullptr;
    }
    struct statx existing;
    if (!fresh && statx(target, "", AT_EMPTY_PATH, statx_mask, &existing) == 0 && same_file(existing, attributes)) {
        report.failure(fmt::format("{} and {} are the same directory", quoted(source_path), quoted(target_path)));
        close(source);
        close(target);
        return nullptr;
    }
    return std::make_shared<Directory>(Directory::Ends{source, target, source_path, target_path}, item.parent, fresh,
                                       attributes);
}

std::vector<Walk::Entry> Walk::read_entries(const Directory& directory) {
    std::vector<Entry> entries;
    // A descriptor of its own, since closedir() closes the one it was given.
    const int fd = openat(directory.source_fd(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR* const stream = fd < 0 ? nullptr : fdopendir(fd);
    if (stream == nullptr) {
        directory.report().failure("read directory", directory.source_path(), errno);
        if (fd >= 0) close(fd);
        return entries;
    }
    errno = 0;
    while (const dirent* entry = readdir(stream)) {
        if (is_dot_or_dot_dot(entry->d_name)) continue;
        unsigned char type = entry->d_type;
        struct stat attributes;
        // Some file systems do not report the type here.
        if (type == DT_UNKNOWN && fstatat(fd, entry->d_name, &attributes, AT_SYMLINK_NOFOLLOW) == 0) {
            type = IFTODT(attributes.st_mode);
        }
        entries.push_back({entry->d_name, type});
        errno = 0;
    }
    if (errno != 0) directory.report().failure("read directory", directory.source_path(), errno);
    closedir(stream);
    return entries;
}

}  // namespace ringside::cli::cp
