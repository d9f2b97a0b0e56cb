#include "preload/rewrite.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <atomic>

#include "abi/syscall.h"
#include "preload/x86_64/call_site.h"
#include "preload/x86_64/patch.h"
#include "preload/x86_64/trampoline.h"

namespace ringside::preload {
namespace {

// Sites that were examined. A program has only a few. If the table is full, further sites stay trapped.
constexpr size_t most_sites = 64;
std::atomic<uintptr_t> sites[most_sites] = {};
std::atomic_flag busy = ATOMIC_FLAG_INIT;

// A policy or a lack of memory prevents rewriting. Only the thread that holds `busy` accesses it.
bool given_up = false;

// Held around a fork. Other holders keep it for microseconds, with all signals blocked.
void hold() {
    while (busy.test_and_set(std::memory_order_acquire)) abi::syscall(__NR_sched_yield);
}
void release() { busy.clear(std::memory_order_release); }

// Notes the site; false if it was noted before, or cannot be.
bool note(uintptr_t next) {
    for (std::atomic<uintptr_t>& slot : sites) {
        const uintptr_t known = slot.load(std::memory_order_relaxed);
        if (known == next) return false;
        if (known != 0) continue;
        slot.store(next, std::memory_order_relaxed);
        return true;
    }
    return false;
}

bool is_noted(uintptr_t next) {
    for (const std::atomic<uintptr_t>& slot : sites) {
        const uintptr_t known = slot.load(std::memory_order_relaxed);
        if (known == next) return true;
        if (known == 0) return false;
    }
    return true;
}

bool wanted() {
    const char* value = secure_getenv("RINGSIDE_REWRITE");
    return value == nullptr || strcmp(value, "0") != 0;
}

void rewrite(uintptr_t next) {
    CallSite site;
    if (given_up || !wanted() || !recognize(next, site) || !can_patch(site)) return;
    const uintptr_t trampoline = make_trampoline(site);
    if (trampoline != 0 && !patch(site, trampoline)) given_up = true;
}

// No signal handler of the program may run, and leave by a jump, while code is half written.
class SignalsBlocked {
  public:
    SignalsBlocked() { change(~uint64_t{0}); }
    ~SignalsBlocked() { change(before_); }
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;

  private:
    void change(uint64_t mask) {
        uint64_t old = 0;
        abi::syscall(__NR_rt_sigprocmask, SIG_SETMASK, &mask, &old, sizeof mask);
        before_ = old;
    }
    uint64_t before_ = 0;
};

}  // namespace

void prepare_rewriting() { pthread_atfork(hold, release, release); }

void consider_rewriting(uintptr_t next) {
    if (is_noted(next)) return;
    const SignalsBlocked blocked;
    // Another thread is rewriting a site. This site is tried again at its next trap.
    if (busy.test_and_set(std::memory_order_acquire)) return;
    if (note(next)) rewrite(next);
    release();
}

}  // namespace ringside::preload
