#include "state/file_cache.h"

#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/syscall.h"
#include "os/clock.h"

namespace ringside::engine {
namespace {

// cachestat(2), of Linux 6.5.
constexpr long cachestat_call = 451;
struct CacheRange {
    uint64_t offset;
    uint64_t length;  // 0: to the end
};
struct CacheState {
    uint64_t cached;
    uint64_t dirty;
    uint64_t being_written;
    uint64_t evicted;
    uint64_t recently_evicted;
};

// A look goes over the pages of the file, so it is not taken oftener than its cost allows: a hundredth of the time.
constexpr int64_t least_between_looks_ns = 20'000'000;
constexpr int64_t looks_cost_one_in = 100;
constexpr int64_t dearest_look_ns = 2'000'000;
constexpr int64_t until_after_a_dear_look_ns = 10 * nanoseconds_per_second;

// A filter may kill for a call that it does not know.
bool is_filtered() { return abi::syscall(__NR_prctl, PR_GET_SECCOMP) != SECCOMP_MODE_DISABLED; }

bool is_wholly_cached(int fd) {
    struct stat status;
    if (is_filtered()) return false;
    if (abi::syscall(__NR_fstat, fd, &status) < 0 || !S_ISREG(status.st_mode) || status.st_size == 0) return false;
    const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    const uint64_t pages = (static_cast<uint64_t>(status.st_size) + page - 1) / page;
    const CacheRange whole = {0, 0};
    CacheState state = {};
    return abi::syscall(cachestat_call, fd, &whole, &state, 0) == 0 && state.cached >= pages;
}

void look(FileFacts& facts, int64_t now) {
    const int64_t begin = now_ns(CLOCK_MONOTONIC);
    const bool cached = is_wholly_cached(facts.fd);
    const int64_t cost = now_ns(CLOCK_MONOTONIC) - begin;
    const int64_t pause = cost > dearest_look_ns ? until_after_a_dear_look_ns : cost * looks_cost_one_in;
    facts.next_look_ns = now + (pause > least_between_looks_ns ? pause : least_between_looks_ns);
    // A guess is good for as long as one look in a hundred may take, and not for longer.
    facts.cached_until_ns = cached && cost <= dearest_look_ns ? facts.next_look_ns : 0;
}

}  // namespace

void look_whether_cached(FileFacts& facts, uint32_t batch) {
    const int64_t now = now_ns(CLOCK_MONOTONIC_COARSE);
    if (now >= facts.next_look_ns) look(facts, now);
    if (now < facts.cached_until_ns) facts.cached_in = batch;
}

}  // namespace ringside::engine
