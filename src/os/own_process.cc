#include "os/own_process.h"

#include <errno.h>
#include <sys/mman.h>

#include "abi/page.h"
#include "abi/syscall.h"
#include "os/signals_wait.h"

namespace ringside::engine {
namespace {

constinit ProcessMark no_rings_yet{Residence::settled, 0};

// Where the kernel does not know MADV_WIPEONFORK: a page that copies of the address space lack, while the mark stands
// at Residence::left for good.
std::atomic<void*> missing_in_copies{nullptr};

int current_pid() { return static_cast<int>(abi::syscall(__NR_getpid)); }

void* new_page(int advice) {
    const long address =
        abi::syscall(__NR_mmap, nullptr, abi::page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (address < 0 && address >= -4095) return nullptr;
    if (abi::syscall(__NR_madvise, address, abi::page_size(), advice) == 0) return reinterpret_cast<void*>(address);
    abi::syscall(__NR_munmap, address, abi::page_size());
    return nullptr;
}

// The mark for a kernel that does not empty pages. It is never unmapped, as the other is not.
ProcessMark* make_unwiped_mark() {
    static constinit ProcessMark mark{Residence::left, 0};
    missing_in_copies.store(new_page(MADV_DONTFORK));
    return missing_in_copies.load() != nullptr ? &mark : nullptr;
}

void settle(ProcessMark& mark, Inheritance noticed) {
    leave_rings_to_parent(noticed);
    mark.pid.store(current_pid(), std::memory_order_relaxed);
}

void settle_wiped(ProcessMark& mark, Inheritance noticed) {
    const SignalsWait signals;
    Residence residence = Residence::left;
    if (mark.residence.compare_exchange_strong(residence, Residence::moving_in)) {
        settle(mark, noticed);
        mark.residence.store(Residence::settled, std::memory_order_release);
        return;
    }
    while (mark.residence.load(std::memory_order_acquire) != Residence::settled) abi::syscall(__NR_sched_yield);
}

// Whether the page is not there. (In a child, something else may be there by now: then the child counts as one that
// shares its parent's memory.)
bool is_copy() {
    unsigned char resident;
    return abi::syscall(__NR_mincore, missing_in_copies.load(), abi::page_size(), &resident) == -ENOMEM;
}

void settle_unwiped(ProcessMark& mark, Inheritance noticed) {
    settle(mark, noticed);
    missing_in_copies.store(new_page(MADV_DONTFORK));
}

}  // namespace

constinit std::atomic<ProcessMark*> process_mark{&no_rings_yet};

void mark_own_process() {
    come_in();
    if (process_mark.load() != &no_rings_yet) return;
    auto* mark = static_cast<ProcessMark*>(new_page(MADV_WIPEONFORK));
    const bool wiped = mark != nullptr;
    if (!wiped) mark = make_unwiped_mark();
    if (mark == nullptr) return;
    mark->pid.store(current_pid());
    if (wiped) mark->residence.store(Residence::settled);
    ProcessMark* none = &no_rings_yet;
    // Another thread may have been here at the same time.
    if (!process_mark.compare_exchange_strong(none, mark) && wiped) abi::syscall(__NR_munmap, mark, abi::page_size());
}

void settle_in_child() {
    ProcessMark& mark = *process_mark.load();
    if (missing_in_copies.load(std::memory_order_relaxed) == nullptr)
        return settle_wiped(mark, Inheritance::of_unknown);
    if (mark.pid.load(std::memory_order_relaxed) != current_pid() && is_copy()) {
        settle_unwiped(mark, Inheritance::of_unknown);
    }
}

void settle_after_fork() {
    ProcessMark& mark = *process_mark.load();
    const bool wiped = &mark != &no_rings_yet && missing_in_copies.load() == nullptr;
    if (wiped) return settle_wiped(mark, Inheritance::of_fork);
    settle_unwiped(mark, Inheritance::of_fork);
}

int own_process() {
    const int pid = process_mark.load(std::memory_order_relaxed)->pid.load(std::memory_order_relaxed);
    return pid != 0 ? pid : current_pid();
}

bool is_own_process() { return own_process() == current_pid(); }

}  // namespace ringside::engine
