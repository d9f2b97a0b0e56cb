#include "faults/injector.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <semaphore>
#include <thread>

// Where the linker has put this program's code.
extern "C" const char __executable_start, etext;

namespace ringside::test {
namespace {

constexpr uint32_t offset_of_number = offsetof(seccomp_data, nr);
constexpr uint32_t offset_of_place = offsetof(seccomp_data, instruction_pointer);

sock_filter load(uint32_t offset) { return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset); }
sock_filter answer(uint32_t action) { return BPF_STMT(BPF_RET | BPF_K, action); }

// Installs the filter on the calling thread. Returns the descriptor on which the calls are told, or -errno.
int watch_calls() {
    const auto begin = reinterpret_cast<uintptr_t>(&__executable_start);
    const auto end = reinterpret_cast<uintptr_t>(&etext);
    if (begin >> 32 != end >> 32) return -ERANGE;
    const auto low = [](uintptr_t address) { return static_cast<uint32_t>(address); };
    sock_filter code[] = {
        load(offset_of_number),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_clone3, 5, 0),
        load(offset_of_place + 4),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(begin >> 32), 0, 4),
        load(offset_of_place),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, low(begin), 0, 2),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, low(end), 1, 0),
        answer(SECCOMP_RET_USER_NOTIF),
        answer(SECCOMP_RET_ALLOW),
    };
    const sock_fprog program = {sizeof(code) / sizeof(*code), code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -errno;
    const long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    return fd < 0 ? -errno : static_cast<int>(fd);
}

void supervise(int fd, Fault fault, Sightings& sightings) {
    for (;;) {
        seccomp_notif call = {};
        if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &call) != 0) {
            // A call that was interrupted before it was told is none.
            if (errno == EINTR || errno == ENOENT) continue;
            return;
        }
        const unsigned count = call.data.nr < most_numbers ? ++sightings.calls[call.data.nr] : 0;
        seccomp_notif_resp response = {};
        response.id = call.id;
        if (call.data.nr == fault.number && count == fault.nth) {
            response.error = -fault.error;
            sightings.injected = true;
        } else {
            response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
        }
        ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &response);
    }
}

}  // namespace

int inject(const Fault& fault, Sightings& sightings) {
    static std::atomic<int> descriptor{-1};
    static std::binary_semaphore known(0);
    // Started before there is a filter, which threads inherit from who starts them.
    std::thread supervisor([fault, &sightings] {
        known.acquire();
        if (descriptor >= 0) supervise(descriptor, fault, sightings);
    });
    supervisor.detach();
    descriptor = watch_calls();
    known.release();
    return descriptor < 0 ? descriptor.load() : 0;
}

}  // namespace ringside::test
