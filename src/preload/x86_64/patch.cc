#include "preload/x86_64/patch.h"

#include <linux/membarrier.h>
#include <string.h>
#include <sys/mman.h>
#include <atomic>

#include "abi/syscall.h"

namespace ringside::preload {
namespace {

constexpr uintptr_t page_size = 4096;
constexpr uintptr_t cache_line = 64;

constexpr uint8_t jump_opcode = 0xe9;
constexpr uint16_t jump_to_itself = 0xfeeb;  // eb fe: a thread that comes here loops until the bytes change

// When it returns, no processor executes code of this process that it fetched before the call.
bool synchronize_processors() {
    return abi::syscall(__NR_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0) == 0;
}

// A processor fetches two bytes of one cache line together: both old or both new.
void store_at_once(uintptr_t address, uint16_t bytes) {
    __atomic_store_n(reinterpret_cast<uint16_t*>(address), bytes, __ATOMIC_SEQ_CST);
}

bool protect(const CallSite& site, int protection) {
    const uintptr_t first = site.start() & -page_size;
    const uintptr_t end = (site.behind_jump() + page_size - 1) & -page_size;
    for (int attempt = 0; attempt < 3; ++attempt) {
        if (abi::syscall(__NR_mprotect, first, end - first, protection) == 0) return true;
    }
    return false;
}

//    this thread                                  a thread that comes along
//    first two bytes: jump to itself              the load, or it waits in the jump to itself
//    synchronize processors                       it waits
//    the other bytes of the jump                  it waits
//    synchronize processors                       it waits
//    first two bytes: those of the jump           the jump
void replace(const CallSite& site, const uint8_t (&jump)[jump_size]) {
    const uintptr_t start = site.start();
    uint16_t beginning;
    memcpy(&beginning, jump, sizeof beginning);
    store_at_once(start, jump_to_itself);
    synchronize_processors();
    // The last two bytes of a short load's jump are there already: they are the system call.
    const size_t written = site.is_short() ? site.load_length : jump_size;
    auto* rest = reinterpret_cast<volatile uint8_t*>(start);
    for (size_t i = sizeof beginning; i < written; ++i) rest[i] = jump[i];
    synchronize_processors();
    store_at_once(start, beginning);
    synchronize_processors();
}

}  // namespace

bool can_patch(const CallSite& site) {
    if (site.start() % cache_line == cache_line - 1) return false;
    return abi::syscall(__NR_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0) == 0 &&
           synchronize_processors();
}

bool patch(const CallSite& site, uintptr_t trampoline) {
    uint8_t jump[jump_size] = {jump_opcode};
    const auto distance = static_cast<int32_t>(trampoline - site.behind_jump());
    memcpy(jump + 1, &distance, sizeof distance);
    // Writable for a moment, and executable all the while, since other threads may be running other code of the page.
    if (!protect(site, PROT_READ | PROT_WRITE | PROT_EXEC)) return false;
    replace(site, jump);
    // The kernel may lack the memory for it. The page then stays writable, and the caller changes no other one.
    return protect(site, PROT_READ | PROT_EXEC);
}

}  // namespace ringside::preload
