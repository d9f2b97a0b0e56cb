#include "cli/surroundings.h"

#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>
#include <vector>

#include "preload/question.h"

namespace ringside::cli {
namespace {

// Empty where the file cannot be read.
std::string text_of(const char* path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::optional<int> number_in(const char* path) {
    std::ifstream file(path);
    int number = 0;
    if (file >> number) return number;
    return std::nullopt;
}

// The value behind "NAME:" in a file of /proc/self/status's kind.
std::optional<std::string> field(const std::string& status, const std::string& name) {
    std::istringstream lines(status);
    for (std::string line; std::getline(lines, line);) {
        if (!line.starts_with(name + ":")) continue;
        const size_t start = line.find_first_not_of(" \t", name.size() + 1);
        return start == std::string::npos ? std::string() : line.substr(start);
    }
    return std::nullopt;
}

void look_at_kernel(Surroundings& here) {
    utsname system = {};
    uname(&system);
    here.kernel_release = system.release;
    here.machine = system.machine;
    sscanf(system.release, "%d.%d", &here.kernel_major, &here.kernel_minor);
}

bool is_member_of(gid_t group) {
    if (getegid() == group) return true;
    const int count = getgroups(0, nullptr);
    if (count <= 0) return false;
    // One more than needed, so that no compiler takes it for an empty one.
    std::vector<gid_t> groups(static_cast<size_t>(count) + 1);
    const int got = getgroups(count, groups.data());
    return std::find(groups.begin(), groups.begin() + std::max(got, 0), group) != groups.begin() + std::max(got, 0);
}

void look_at_sysctls(Surroundings& here) {
    here.io_uring_disabled = number_in("/proc/sys/kernel/io_uring_disabled");
    const auto group = number_in("/proc/sys/kernel/io_uring_group");
    if (!group || *group < 0) return;
    here.io_uring_group = static_cast<gid_t>(*group);
    here.in_io_uring_group = is_member_of(*here.io_uring_group);
}

void look_at_status(Surroundings& here) {
    const std::string status = text_of("/proc/self/status");
    if (const auto mode = field(status, "Seccomp")) here.seccomp = static_cast<Seccomp>(atoi(mode->c_str()));
    if (const auto filters = field(status, "Seccomp_filters")) here.seccomp_filters = atoi(filters->c_str());
    if (const auto effective = field(status, "CapEff")) {
        here.has_sys_admin = (strtoull(effective->c_str(), nullptr, 16) >> CAP_SYS_ADMIN & 1) != 0;
    }
}

struct Hint {
    Container container;
    std::string text;
};

bool exists(const char* path) { return access(path, F_OK) == 0; }

// gVisor presents itself as one kernel built at one moment, whatever it runs on.
bool looks_like_gvisor() {
    utsname system = {};
    uname(&system);
    return std::string(system.version).find("Sun Jan 10 15:06:54 PST 2016") != std::string::npos;
}

Hint hint_in_cgroup() {
    const std::string cgroup = text_of("/proc/self/cgroup");
    const struct {
        const char* word;
        Container container;
    } words[] = {{"kubepods", Container::kubernetes},
                 {"docker", Container::docker},
                 {"libpod", Container::podman},
                 {"containerd", Container::containerd},
                 {"lxc", Container::lxc}};
    for (const auto& [word, container] : words) {
        if (cgroup.find(word) != std::string::npos) return {container, std::string("/proc/self/cgroup names ") + word};
    }
    return {Container::none, {}};
}

// The innermost and most telling sign first: gVisor and Kubernetes run on top of what the others show.
Hint look_for_container() {
    if (looks_like_gvisor()) return {Container::gvisor, "uname -v is gVisor's"};
    if (getenv("KUBERNETES_SERVICE_HOST") != nullptr) return {Container::kubernetes, "KUBERNETES_SERVICE_HOST is set"};
    if (exists("/run/.containerenv")) return {Container::podman, "/run/.containerenv exists"};
    if (exists("/.dockerenv")) return {Container::docker, "/.dockerenv exists"};
    if (Hint hint = hint_in_cgroup(); hint.container != Container::none) return hint;
    if (getenv("container") != nullptr) return {Container::other, std::string("container=") + getenv("container")};
    return {Container::none, {}};
}

}  // namespace

Surroundings look_around() {
    Surroundings here;
    look_at_kernel(here);
    look_at_sysctls(here);
    look_at_status(here);
    here.under_run = preload::filter_answers(preload::about_filter);
    Hint hint = look_for_container();
    here.container = hint.container;
    here.container_hint = std::move(hint.text);
    return here;
}

const char* name(Container container) {
    switch (container) {
        case Container::none:
            return "none";
        case Container::docker:
            return "docker";
        case Container::podman:
            return "podman";
        case Container::kubernetes:
            return "kubernetes";
        case Container::containerd:
            return "containerd";
        case Container::lxc:
            return "lxc";
        case Container::gvisor:
            return "gvisor";
        case Container::other:
            return "other";
    }
    return "other";
}

const char* name(Seccomp mode) {
    switch (mode) {
        case Seccomp::off:
            return "off";
        case Seccomp::strict:
            return "strict";
        case Seccomp::filter:
            return "filter";
    }
    return "unknown";
}

}  // namespace ringside::cli
