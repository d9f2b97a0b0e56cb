#include "fuzz/confinement.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <net/if.h>
#include <sanitizer/common_interface_defs.h>
#include <sched.h>
#include <seccomp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fuzz/arena.h"

namespace ringside::fuzz {
namespace {

int root = -1;  // the tmpfs, which is mounted nowhere

void must(bool done, const char* what) {
    if (done) return;
    dprintf(report_fd, "ringside-fuzz: %s: %s; nothing is run without it\n", what, strerror(errno));
    _exit(1);
}

void write_file(const char* path, const char* text) {
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    must(fd >= 0 && write(fd, text, strlen(text)) == static_cast<ssize_t>(strlen(text)), path);
    close(fd);
}

void become_root_of_nothing() {
    char users[64], groups[64];
    snprintf(users, sizeof(users), "0 %u 1", geteuid());
    snprintf(groups, sizeof(groups), "0 %u 1", getegid());
    must(unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) == 0, "unshare");
    write_file("/proc/self/setgroups", "deny");
    write_file("/proc/self/uid_map", users);
    write_file("/proc/self/gid_map", groups);
    must(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "mount");
}

void raise_loopback() {
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ifreq request{};
    strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    must(fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &request) == 0, "the loopback interface");
    close(fd);
}

void make_root() {
    const int context = fsopen("tmpfs", FSOPEN_CLOEXEC);
    must(context >= 0, "a tmpfs");
    must(fsconfig(context, FSCONFIG_SET_STRING, "size", "32m", 0) == 0, "the tmpfs's size");
    must(fsconfig(context, FSCONFIG_SET_STRING, "nr_inodes", "4096", 0) == 0, "the tmpfs's inodes");
    must(fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == 0, "the tmpfs");
    root = fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
    must(root >= 0, "mounting the tmpfs");
    close(context);
}

void drop_capabilities() {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct none[2]{};
    must(syscall(SYS_capset, &header, none) == 0, "dropping capabilities");
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
}

scmp_arg_cmp argument(unsigned index, scmp_compare compare, scmp_datum_t value) { return {index, compare, value, 0}; }

// What a request, or an engine that went astray, could still reach with neither files nor network nor capabilities.
void filter_calls() {
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    must(filter != nullptr, "a filter");
    const auto refuse = [filter](int call, unsigned count = 0, scmp_arg_cmp first = {}, scmp_arg_cmp second = {}) {
        must(seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), call, count, first, second) == 0, "a rule");
    };
    for (const int call : {SCMP_SYS(kill),
                           SCMP_SYS(tkill),
                           SCMP_SYS(rt_sigqueueinfo),
                           SCMP_SYS(pidfd_open),
                           SCMP_SYS(pidfd_send_signal),
                           SCMP_SYS(ptrace),
                           SCMP_SYS(execve),
                           SCMP_SYS(execveat),
                           SCMP_SYS(fork),
                           SCMP_SYS(vfork),
                           SCMP_SYS(setns),
                           SCMP_SYS(unshare),
                           SCMP_SYS(mount),
                           SCMP_SYS(bpf),
                           SCMP_SYS(keyctl),
                           SCMP_SYS(add_key),
                           SCMP_SYS(userfaultfd),
                           SCMP_SYS(perf_event_open),
                           SCMP_SYS(setpriority),
                           SCMP_SYS(sched_setscheduler)}) {
        refuse(call);
    }
    refuse(SCMP_SYS(tgkill), 1, argument(0, SCMP_CMP_NE, static_cast<scmp_datum_t>(getpid())));
    // Families that reach beyond a network namespace, or that are large and not ours to test.
    refuse(SCMP_SYS(socket), 1, argument(0, SCMP_CMP_GT, AF_INET6));
    for (unsigned family = AF_INET + 1; family < AF_INET6; ++family) {
        refuse(SCMP_SYS(socket), 1, argument(0, SCMP_CMP_EQ, family));
    }
    // Advice reaches over what is not mapped to what lies behind; some of it takes pages away for good.
    constexpr int highest_advice = 25;  // MADV_COLLAPSE
    const scmp_arg_cmp in_arena = argument(0, SCMP_CMP_GE, arena::base);
    refuse(SCMP_SYS(madvise), 2, in_arena, argument(1, SCMP_CMP_GT, uint64_t{1} << 40));
    refuse(SCMP_SYS(madvise), 1, argument(2, SCMP_CMP_GT, highest_advice));
    must(seccomp_load(filter) == 0, "loading the filter");
    seccomp_release(filter);
}

}  // namespace

void confine_process() {
    dup3(STDERR_FILENO, report_fd, O_CLOEXEC);
    rlimit descriptors{descriptor_limit, descriptor_limit};
    must(setrlimit(RLIMIT_NOFILE, &descriptors) == 0, "a limit");
    rlimit none{0, 0};
    setrlimit(RLIMIT_CORE, &none);
    __sanitizer_set_report_fd(reinterpret_cast<void*>(static_cast<intptr_t>(report_fd)));
    become_root_of_nothing();
    raise_loopback();
    make_root();
}

void confine_thread() {
    must(unshare(CLONE_FS | CLONE_FILES) == 0, "a thread's own root and descriptors");
    const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    must(nothing >= 0 && fchdir(root) == 0 && chroot(".") == 0, "chroot");
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO, null_fd})
        must(dup2(nothing, fd) == fd, "a descriptor");
    must(close_range(3, report_fd - 1, 0) == 0 && close_range(null_fd + 1, ~0u, 0) == 0, "closing descriptors");
    drop_capabilities();
    filter_calls();
}

void report_defect(const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vdprintf(report_fd, format, arguments);
    va_end(arguments);
    dprintf(report_fd, "\n");
    abort();
}

}  // namespace ringside::fuzz
