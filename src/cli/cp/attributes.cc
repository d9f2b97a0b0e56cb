#include "cli/cp/attributes.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace ringside::cli::cp {
namespace {

constexpr mode_t permission_bits = 07777;

struct TimePair {
    timespec times[2];  // of the last access and the last change, as utimensat takes them
};

TimePair times_of(const struct statx& attributes) {
    const auto& access = attributes.stx_atime;
    const auto& change = attributes.stx_mtime;
    return {{{access.tv_sec, access.tv_nsec}, {change.tv_sec, change.tv_nsec}}};
}

// The mode that the copy may have, given whether its owner could be changed.
mode_t mode_after(int chown_result, const struct statx& attributes) {
    const mode_t mode = attributes.stx_mode & permission_bits;
    return chown_result == 0 ? mode : mode & ~(S_ISUID | S_ISGID);
}

// Only root may change a file's owner. Other users expect to own their copies.
bool is_expected(int chown_result) { return chown_result == 0 || errno == EPERM || errno == EINVAL; }

}  // namespace

int keep_attributes(int fd, const struct statx& attributes) {
    const int owned = fchown(fd, attributes.stx_uid, attributes.stx_gid);
    if (!is_expected(owned)) return errno;
    // After the owner: changing the owner takes the set-id bits away.
    if (fchmod(fd, mode_after(owned, attributes)) != 0) return errno;
    return futimens(fd, times_of(attributes).times) == 0 ? 0 : errno;
}

int keep_attributes_at(int directory, const char* name, const struct statx& attributes) {
    const int owned = fchownat(directory, name, attributes.stx_uid, attributes.stx_gid, AT_SYMLINK_NOFOLLOW);
    if (!is_expected(owned)) return errno;
    // A symbolic link has no mode of its own.
    if (!S_ISLNK(attributes.stx_mode) && fchmodat(directory, name, mode_after(owned, attributes), 0) != 0) return errno;
    return utimensat(directory, name, times_of(attributes).times, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : errno;
}

dev_t device_of(const struct statx& attributes) { return makedev(attributes.stx_dev_major, attributes.stx_dev_minor); }

bool same_file(const struct statx& one, const struct statx& other) {
    return one.stx_ino == other.stx_ino && device_of(one) == device_of(other);
}

}  // namespace ringside::cli::cp
