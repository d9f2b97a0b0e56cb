#include "faults/injector.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <new>
#include <semaphore>
#include <thread>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

// Where the linker has put this program's code.
extern "C" const char __executable_start, etext;

namespace ringside::test {
namespace {

constexpr uint32_t offset_of_number = offsetof(seccomp_data, nr);
constexpr uint32_t offset_of_place = offsetof(seccomp_data, instruction_pointer);

// What is to be done, from inject() on. For the supervisor, and for those who ask for memory.
struct Orders {
    Fault fault;
    Sightings* sightings = nullptr;
    const std::atomic<bool>* go_on = nullptr;  // where the call is only held back
};
Orders orders;
std::atomic<bool> watching = false;

sock_filter load(uint32_t offset) { return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset); }
sock_filter answer(uint32_t action) { return BPF_STMT(BPF_RET | BPF_K, action); }

// Installs the filter on the calling thread. Returns the descriptor on which the calls are told, or -errno. Where a
// call is held back, no signal gets its thread out of that.
int watch_calls(bool holds_back) {
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
    const unsigned long flags =
        SECCOMP_FILTER_FLAG_NEW_LISTENER | (holds_back ? SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV : 0);
    const long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
    return fd < 0 ? -errno : static_cast<int>(fd);
}

// Waking at a futex of one's own cannot fail, unlike waiting at one.
bool cannot_fail(const seccomp_data& call) {
    return call.nr == __NR_futex && (call.args[1] & FUTEX_CMD_MASK) == FUTEX_WAKE;
}

bool is_meant(long number, uintptr_t place) {
    const unsigned count = orders.sightings->note(number, place);
    const bool meant = number == orders.fault.number && place == orders.fault.place && count == orders.fault.nth;
    if (meant) orders.sightings->injected = true;
    return meant;
}

// The place in the C library where a thread is started is not ours to tell.
uintptr_t place_of(const seccomp_data& call) { return call.nr == __NR_clone3 ? 0 : call.instruction_pointer; }

void supervise(int fd) {
    for (;;) {
        seccomp_notif call = {};
        if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &call) != 0) {
            // A call that was interrupted before it was told is none.
            if (errno == EINTR || errno == ENOENT) continue;
            return;
        }
        seccomp_notif_resp response = {};
        response.id = call.id;
        const bool meant = !cannot_fail(call.data) && is_meant(call.data.nr, place_of(call.data));
        if (meant && orders.go_on == nullptr) {
            response.error = -orders.fault.error;
        } else {
            response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
        }
        if (meant && orders.go_on != nullptr) {
            std::thread([fd, response]() mutable {
                orders.go_on->wait(false);
                ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &response);
            }).detach();
            continue;
        }
        ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &response);
    }
}

int begin(const Orders& given) {
    static std::atomic<int> descriptor{-1};
    static std::binary_semaphore known(0);
    orders = given;
    // Started before there is a filter, which threads inherit from who starts them.
    std::thread([] {
        known.acquire();
        if (descriptor >= 0) supervise(descriptor);
    }).detach();
    descriptor = watch_calls(given.go_on != nullptr);
    watching = descriptor >= 0;
    known.release();
    return descriptor < 0 ? descriptor.load() : 0;
}

}  // namespace

unsigned Sightings::note(long number, uintptr_t place) {
    const uint64_t key = static_cast<uint64_t>(number) << place_bits | place;
    for (Site& site : sites_) {
        uint64_t present = 0;
        if (site.key.compare_exchange_strong(present, key) || present == key) return ++site.calls;
    }
    return 0;
}

Sightings& fresh_sightings() {
    static void* const memory =
        mmap(nullptr, sizeof(Sightings), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return *new (memory) Sightings{};
}

int inject(const Fault& fault, Sightings& sightings) { return begin({fault, &sightings, nullptr}); }

int hold_back(const Fault& call, Sightings& sightings, const std::atomic<bool>& go_on) {
    return begin({call, &sightings, &go_on});
}

bool fails(Call call, const void* place) { return watching && is_meant(call, reinterpret_cast<uintptr_t>(place)); }

}  // namespace ringside::test
