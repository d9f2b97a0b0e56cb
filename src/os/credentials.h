// Credentials: what the kernel asks for when a thread opens, binds or changes something. IORING_REGISTER_PERSONALITY
// keeps those of the calling thread, and a request that names them is made with them.
//
// Linux keeps credentials for each thread, and the bare system calls change the calling thread's alone (it is libc that
// carries a change to all threads). So a thread of ours, or the program's while it is inside the engine, can take
// others on for the length of a call. It takes on the identity and groups for file access and the effective
// capabilities; what it may always return from, since its real and saved ids and its permitted capabilities stay.
//
// For the same reason, and for others, a request that asks for credentials and names no personality is made by its
// submitter, or by a thread that the submitter has made (service/crew.h).
#pragma once

#include <linux/capability.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

namespace ringside::engine {

struct Credentials {
    unsigned holders;  // the table, and each request in flight that uses them; under the ring's lock
    uid_t fs_uid;
    gid_t fs_gid;
    uint32_t effective[_LINUX_CAPABILITY_U32S_3];
    int group_count;
    gid_t groups[];
};

// Registered credentials by their number, which counts up to 65535 and then begins again at 1.
struct Personalities {
    Credentials** entries = nullptr;
    unsigned capacity = 0;
    unsigned next = 1;

    Credentials* find(unsigned id) const { return id < capacity ? entries[id] : nullptr; }
};

// Whether the calling thread has a capability (CAP_...) in effect.
bool has_capability(unsigned capability);

// Keeps the calling thread's credentials. Returns their number, or -ENOMEM; -EBUSY when all numbers are taken.
int add_personality(Personalities& personalities);

// Returns 0, or -EINVAL when there are none with this number.
int remove_personality(Personalities& personalities, unsigned id);

void drop_personalities(Personalities& personalities);

void let_go(Credentials& credentials);

// Whether the calling thread may do what this capability (CAP_...) is asked for.
bool is_capable(unsigned capability);

// The calling thread's credentials, to be freed. Null when memory is out.
Credentials* read_credentials();

bool same(const Credentials& a, const Credentials& b);

// Whether this thread, whose credentials are `own`, can have them again after it has had `other`. A thread that took
// others on by setfsuid(2), and then gave up the right to, cannot.
bool can_return(const Credentials& own, const Credentials& other);

// Makes this thread, whose credentials are `from`, have `to`. Returns 0, or -EPERM after which it has a mixture.
int change(const Credentials& from, const Credentials& to);

}  // namespace ringside::engine
