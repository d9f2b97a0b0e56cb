// Facts about this machine and process that bear on io_uring: the kernel, its sysctls, seccomp, the container.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

namespace ringside::cli {

// Where a program runs, as far as its surroundings let it see.
enum class Container { none, docker, podman, kubernetes, containerd, lxc, gvisor, other };

// The seccomp mode as /proc/self/status numbers it.
enum class Seccomp { off = 0, strict = 1, filter = 2 };

struct Surroundings {
    std::string kernel_release;
    std::string machine;
    int kernel_major = 0;
    int kernel_minor = 0;

    std::optional<int> io_uring_disabled;  // sysctl kernel.io_uring_disabled, since Linux 6.6
    std::optional<gid_t> io_uring_group;   // sysctl kernel.io_uring_group; none for -1 too
    bool in_io_uring_group = false;
    bool has_sys_admin = false;

    std::optional<Seccomp> seccomp;
    int seccomp_filters = 0;

    // This process runs under `ringside run`: its library answers the calls, so the kernel cannot be asked.
    bool under_run = false;

    Container container = Container::none;
    std::string container_hint;  // what gave it away

    bool older_than(int major, int minor) const {
        return kernel_major < major || (kernel_major == major && kernel_minor < minor);
    }
    // Whether the sysctl alone refuses rings to this process.
    bool sysctl_refuses() const {
        if (!io_uring_disabled) return false;
        return *io_uring_disabled == 2 || (*io_uring_disabled == 1 && !has_sys_admin && !in_io_uring_group);
    }
};

Surroundings look_around();

const char* name(Container container);
const char* name(Seccomp mode);

}  // namespace ringside::cli
