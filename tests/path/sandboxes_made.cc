#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/openat2.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>

#include "path/sandboxes.h"
#include "support/sqe_files.h"

namespace ringside::test {
namespace {

constexpr unsigned somebody = 12345;
constexpr char attribute[] = "user.ringside";

Fd directory_at(const std::string& path) { return Fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)); }

long answer(long result) { return result < 0 ? -errno : result; }

template <typename... Arguments>
long tell(long number, Arguments... arguments) {
    return answer(syscall(number, arguments...));
}

void add_content(std::vector<std::string>& to, int directory, const char* prefix) {
    DIR* stream = fdopendir(openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    while (const dirent* entry = stream != nullptr ? readdir(stream) : nullptr) {
        struct stat status;
        fstatat(directory, entry->d_name, &status, AT_SYMLINK_NOFOLLOW);
        const bool has_size = S_ISREG(status.st_mode);
        to.push_back(std::string(prefix) + entry->d_name + (has_size ? " " + std::to_string(status.st_size) : ""));
    }
    if (stream != nullptr) closedir(stream);
}

const open_how for_reading = {.flags = O_RDONLY | O_CLOEXEC, .mode = 0, .resolve = 0};
const sockaddr_un address = {AF_UNIX, "socket"};
struct statx looked_at;
char value[8];

// --- Sandboxes ------------------------------------------------------------------------------------------------------

bool enter_landlock() {
    landlock_ruleset_attr rules = {};
    rules.handled_access_fs = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
                              LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
                              LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |
                              LANDLOCK_ACCESS_FS_MAKE_SYM;
    const Fd set(static_cast<int>(syscall(SYS_landlock_create_ruleset, &rules, sizeof(rules.handled_access_fs), 0)));
    return set >= 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           syscall(SYS_landlock_restrict_self, set.get(), 0) == 0;
}

bool enter_filter() {
    const scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (filter == nullptr) return false;
    bool good = true;
    for (const int call : {SCMP_SYS(openat), SCMP_SYS(openat2), SCMP_SYS(renameat2), SCMP_SYS(unlinkat),
                           SCMP_SYS(mkdirat), SCMP_SYS(symlinkat), SCMP_SYS(linkat), SCMP_SYS(statx),
                           SCMP_SYS(setxattr), SCMP_SYS(getxattr), SCMP_SYS(fsetxattr), SCMP_SYS(fgetxattr),
                           SCMP_SYS(ftruncate), SCMP_SYS(fallocate), SCMP_SYS(socket), SCMP_SYS(bind)}) {
        good = good && seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), call, 0) == 0;
    }
    good = good && seccomp_load(filter) == 0;
    seccomp_release(filter);
    return good;
}

// Nobody can tell from outside that it has happened, and no right is needed.
bool enter_own_directory() { return unshare(CLONE_FS) == 0; }

bool drop_capabilities() {
    __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
    return geteuid() == 0 && syscall(SYS_capset, &header, none) == 0;
}

bool become_somebody() {
    if (geteuid() != 0) return false;
    syscall(SYS_setfsuid, somebody);
    return syscall(SYS_setfsuid, -1) == somebody;
}

bool become_somebody_for_good() { return geteuid() == 0 && syscall(SYS_setresuid, somebody, somebody, somebody) == 0; }

}  // namespace

World::World(unsigned owner) {
    chmod(directory_.path().c_str(), 0755);
    const std::string outside = directory_.path_of("outside"), jail = directory_.path_of("jail");
    const std::string file = directory_.path_of("outside/file"), empty = directory_.path_of("outside/empty");
    mkdir(outside.c_str(), 0755);
    mkdir(jail.c_str(), 0777);
    chmod(jail.c_str(), 0777);
    mkdir(empty.c_str(), 0755);
    file_ = Fd(open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    fsetxattr(file_, attribute, "value", 5, 0);
    if (write(file_, "content", 7) != 7) abort();
    if (owner != geteuid()) {
        for (const std::string& path : {outside, file, empty}) {
            if (chown(path.c_str(), owner, owner) != 0) abort();
        }
    }
    outside_ = directory_at(outside);
    jail_ = directory_at(jail);
    socket_ = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

void World::go(bool to_jail) const {
    if (fchdir(to_jail ? jail_ : outside_) != 0) abort();
}

std::vector<std::string> World::content() const {
    std::vector<std::string> all;
    add_content(all, outside_, "outside/");
    add_content(all, jail_, "jail/");
    std::sort(all.begin(), all.end());
    return all;
}

const std::vector<Deed> deeds = {
    {"openat", [](const World&) { return sqe::openat(AT_FDCWD, "file", O_RDONLY | O_CLOEXEC); },
     [](const World&) { return tell(SYS_openat, AT_FDCWD, "file", O_RDONLY | O_CLOEXEC, 0); }},
    {"openat_that_creates",
     [](const World&) { return sqe::openat(AT_FDCWD, "new", O_WRONLY | O_CREAT | O_CLOEXEC, 0600); },
     [](const World&) { return tell(SYS_openat, AT_FDCWD, "new", O_WRONLY | O_CREAT | O_CLOEXEC, 0600); }},
    {"openat_that_truncates",
     [](const World&) { return sqe::openat(AT_FDCWD, "file", O_WRONLY | O_TRUNC | O_CLOEXEC); },
     [](const World&) { return tell(SYS_openat, AT_FDCWD, "file", O_WRONLY | O_TRUNC | O_CLOEXEC, 0); }},
    {"openat2", [](const World&) { return sqe::openat2(AT_FDCWD, "file", &for_reading); },
     [](const World&) { return tell(SYS_openat2, AT_FDCWD, "file", &for_reading, sizeof(for_reading)); }},
    {"renameat", [](const World&) { return sqe::renameat(AT_FDCWD, "file", AT_FDCWD, "moved"); },
     [](const World&) { return tell(SYS_renameat2, AT_FDCWD, "file", AT_FDCWD, "moved", 0); }},
    {"unlinkat", [](const World&) { return sqe::unlinkat(AT_FDCWD, "file"); },
     [](const World&) { return tell(SYS_unlinkat, AT_FDCWD, "file", 0); }},
    {"rmdir", [](const World&) { return sqe::unlinkat(AT_FDCWD, "empty", AT_REMOVEDIR); },
     [](const World&) { return tell(SYS_unlinkat, AT_FDCWD, "empty", AT_REMOVEDIR); }},
    {"mkdirat", [](const World&) { return sqe::mkdirat(AT_FDCWD, "new", 0700); },
     [](const World&) { return tell(SYS_mkdirat, AT_FDCWD, "new", 0700); }},
    {"symlinkat", [](const World&) { return sqe::symlinkat("file", AT_FDCWD, "new"); },
     [](const World&) { return tell(SYS_symlinkat, "file", AT_FDCWD, "new"); }},
    {"linkat", [](const World&) { return sqe::linkat(AT_FDCWD, "file", AT_FDCWD, "new"); },
     [](const World&) { return tell(SYS_linkat, AT_FDCWD, "file", AT_FDCWD, "new", 0); }},
    {"statx", [](const World&) { return sqe::statx(AT_FDCWD, "file", 0, STATX_SIZE, &looked_at); },
     [](const World&) { return tell(SYS_statx, AT_FDCWD, "file", 0, STATX_SIZE, &looked_at); }},
    {"setxattr", [](const World&) { return sqe::setxattr("file", attribute, "other", 5); },
     [](const World&) { return tell(SYS_setxattr, "file", attribute, "other", 5, 0); }},
    {"getxattr", [](const World&) { return sqe::getxattr("file", attribute, value, sizeof(value)); },
     [](const World&) { return tell(SYS_getxattr, "file", attribute, value, sizeof(value)); }},
    {"fsetxattr", [](const World& world) { return sqe::fsetxattr(world.file(), attribute, "other", 5); },
     [](const World& world) { return tell(SYS_fsetxattr, world.file(), attribute, "other", 5, 0); }},
    {"fgetxattr", [](const World& world) { return sqe::fgetxattr(world.file(), attribute, value, sizeof(value)); },
     [](const World& world) { return tell(SYS_fgetxattr, world.file(), attribute, value, sizeof(value)); }},
    {"ftruncate", [](const World& world) { return sqe::ftruncate(world.file(), 1); },
     [](const World& world) { return tell(SYS_ftruncate, world.file(), 1); }},
    {"fallocate", [](const World& world) { return sqe::fallocate(world.file(), 0, 0, 100); },
     [](const World& world) { return tell(SYS_fallocate, world.file(), 0, 0L, 100L); }},
    {"socket_for_raw_packets",
     [](const World&) {
         return Sqe(IORING_OP_SOCKET, AF_INET).set(&Sqe::off, SOCK_RAW | SOCK_CLOEXEC).set(&Sqe::len, 1);
     },
     [](const World&) { return tell(SYS_socket, AF_INET, SOCK_RAW | SOCK_CLOEXEC, 1); }},
    {"bind_to_a_name",
     [](const World& world) {
         return Sqe(IORING_OP_BIND, world.socket())
             .set(&Sqe::addr, address_of(&address))
             .set(&Sqe::addr2, sizeof(address));
     },
     [](const World& world) { return tell(SYS_bind, world.socket(), &address, sizeof(address)); }},
};

const std::vector<Sandbox> sandboxes = {
    {"landlock", enter_landlock, 0, false, false},
    {"filter_of_calls", enter_filter, 0, false, true},
    {"directory_of_its_own", enter_own_directory, 0, true, false},
    {"no_capabilities", drop_capabilities, somebody, false, false},
    {"other_user_for_files", become_somebody, 0, false, false},
    {"other_user_for_good", become_somebody_for_good, 0, false, false},
};

}  // namespace ringside::test
