#include "os/credentials.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/syscall.h"
#include "os/growing.h"

namespace ringside::engine {
namespace {

constexpr unsigned highest_id = 65535;

using CapabilitySets = __user_cap_data_struct[_LINUX_CAPABILITY_U32S_3];

void read_capabilities(CapabilitySets& sets) {
    __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    abi::syscall(__NR_capget, &header, sets);
}

// A thread gets those of the wanted capabilities that are permitted to it.
void set_effective(const uint32_t* effective) {
    __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    CapabilitySets sets;
    read_capabilities(sets);
    for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; ++i) sets[i].effective = effective[i] & sets[i].permitted;
    abi::syscall(__NR_capset, &header, sets);
}

void raise_all_permitted() {
    const uint32_t all[_LINUX_CAPABILITY_U32S_3] = {~0u, ~0u};
    set_effective(all);
}

// These two answer with the former id whether they changed it or not; asking for none changes nothing.
uid_t current_fs_uid() { return static_cast<uid_t>(abi::syscall(__NR_setfsuid, -1)); }
gid_t current_fs_gid() { return static_cast<gid_t>(abi::syscall(__NR_setfsgid, -1)); }

bool same_groups(const Credentials& a, const Credentials& b) {
    return a.group_count == b.group_count &&
           memcmp(a.groups, b.groups, static_cast<size_t>(a.group_count) * sizeof(gid_t)) == 0;
}

bool is_among(unsigned id, const unsigned (&ids)[3]) { return id == ids[0] || id == ids[1] || id == ids[2]; }

// The next number that is free, 0 when none is.
unsigned free_id(const Personalities& personalities) {
    unsigned id = personalities.next;
    for (unsigned tried = 0; tried < highest_id; ++tried) {
        if (id > highest_id) id = 1;
        if (personalities.find(id) == nullptr) return id;
        ++id;
    }
    return 0;
}

}  // namespace

Credentials* read_credentials() {
    const long count = abi::syscall(__NR_getgroups, 0, nullptr);
    auto* read = static_cast<Credentials*>(malloc(sizeof(Credentials) + static_cast<size_t>(count) * sizeof(gid_t)));
    if (read == nullptr) return nullptr;
    read->holders = 1;
    read->fs_uid = current_fs_uid();
    read->fs_gid = current_fs_gid();
    read->group_count = static_cast<int>(abi::syscall(__NR_getgroups, count, read->groups));
    CapabilitySets sets;
    read_capabilities(sets);
    for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; ++i) read->effective[i] = sets[i].effective;
    return read;
}

bool same(const Credentials& a, const Credentials& b) {
    return a.fs_uid == b.fs_uid && a.fs_gid == b.fs_gid && same_groups(a, b) &&
           memcmp(a.effective, b.effective, sizeof(a.effective)) == 0;
}

bool can_return(const Credentials& own, const Credentials& other) {
    CapabilitySets sets = {};
    read_capabilities(sets);
    const auto permits = [&sets](unsigned capability) {
        return (sets[CAP_TO_INDEX(capability)].permitted & CAP_TO_MASK(capability)) != 0;
    };
    // Where a policy refuses the two calls, only the capabilities count.
    constexpr unsigned nobody = ~0u;
    uid_t users[3] = {nobody, nobody, nobody};
    gid_t groups[3] = {nobody, nobody, nobody};
    abi::syscall(__NR_getresuid, &users[0], &users[1], &users[2]);
    abi::syscall(__NR_getresgid, &groups[0], &groups[1], &groups[2]);
    const bool user = own.fs_uid == other.fs_uid || permits(CAP_SETUID) || is_among(own.fs_uid, users);
    const bool group = own.fs_gid == other.fs_gid || permits(CAP_SETGID) || is_among(own.fs_gid, groups);
    return user && group && (same_groups(own, other) || permits(CAP_SETGID));
}

int change(const Credentials& from, const Credentials& to) {
    raise_all_permitted();
    if (!same_groups(from, to) && abi::syscall(__NR_setgroups, to.group_count, to.groups) < 0) return -EPERM;
    abi::syscall(__NR_setfsgid, to.fs_gid);
    abi::syscall(__NR_setfsuid, to.fs_uid);
    if (current_fs_gid() != to.fs_gid || current_fs_uid() != to.fs_uid) return -EPERM;
    set_effective(to.effective);
    CapabilitySets sets;
    read_capabilities(sets);
    for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; ++i) {
        if (sets[i].effective != to.effective[i]) return -EPERM;
    }
    return 0;
}

bool has_capability(unsigned capability) {
    CapabilitySets sets = {};
    read_capabilities(sets);
    return sets[capability / 32].effective >> capability % 32 & 1;
}

int add_personality(Personalities& personalities) {
    const unsigned id = free_id(personalities);
    if (id == 0) return -EBUSY;
    if (!make_room(personalities.entries, personalities.capacity, id)) return -ENOMEM;
    personalities.entries[id] = read_credentials();
    if (personalities.entries[id] == nullptr) return -ENOMEM;
    personalities.next = id + 1;
    return static_cast<int>(id);
}

int remove_personality(Personalities& personalities, unsigned id) {
    Credentials* credentials = personalities.find(id);
    if (credentials == nullptr) return -EINVAL;
    personalities.entries[id] = nullptr;
    let_go(*credentials);
    return 0;
}

void drop_personalities(Personalities& personalities) {
    for (unsigned id = 1; id < personalities.capacity; ++id) remove_personality(personalities, id);
    free(personalities.entries);
    personalities = {};
}

void let_go(Credentials& credentials) {
    if (--credentials.holders == 0) free(&credentials);
}

bool is_capable(unsigned capability) {
    CapabilitySets sets = {};
    read_capabilities(sets);
    return sets[CAP_TO_INDEX(capability)].effective & CAP_TO_MASK(capability);
}

}  // namespace ringside::engine
