#include "preload/x86_64/trampoline.h"

#include <string.h>
#include <sys/mman.h>

#include "abi/syscall.h"
#include "preload/x86_64/rewritten_call.h"

namespace ringside::preload {
namespace {

constexpr uintptr_t page_size = 4096;
// How far a jump with 32 bits reaches, less a margin for the jump back.
constexpr uintptr_t reach = 0x7fff0000;
// Where to look for free memory: as many places, this far apart.
constexpr uintptr_t stride = 16 << 20;

uintptr_t map_page(uintptr_t address) {
    const long result = abi::syscall(__NR_mmap, address, page_size, PROT_READ | PROT_WRITE,
                                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (result < 0 && result > -4096) return 0;
    // Kernels before 4.17 take the address as a hint.
    if (static_cast<uintptr_t>(result) == address) return address;
    abi::syscall(__NR_munmap, result, page_size);
    return 0;
}

// The last two bytes of the jump are those of the system call, 0f 05. So its distance is 0x050f0000 plus up to 65535.
uintptr_t map_for_short(const CallSite& site) {
    const uintptr_t first = site.behind_jump() + 0x050f0000;
    for (uintptr_t page = (first + page_size - 1) & -page_size; page <= first + 0xffff; page += page_size) {
        if (const uintptr_t mapped = map_page(page)) return mapped;
    }
    return 0;
}

uintptr_t map_near(const CallSite& site) {
    const uintptr_t middle = site.behind_jump() & -page_size;
    for (uintptr_t distance = stride; distance < reach; distance += stride) {
        if (middle > distance) {
            if (const uintptr_t mapped = map_page(middle - distance)) return mapped;
        }
        if (const uintptr_t mapped = map_page(middle + distance)) return mapped;
    }
    return 0;
}

class Writer {
  public:
    explicit Writer(uintptr_t at) : at_(at) {}

    void copy(const void* bytes, size_t size) {
        memcpy(reinterpret_cast<void*>(at_), bytes, size);
        at_ += size;
    }
    template <size_t size>
    void code(const uint8_t (&bytes)[size]) {
        copy(bytes, size);
    }
    void jump(uintptr_t target) {
        code({0xe9});
        const auto distance = static_cast<int32_t>(target - (at_ + sizeof(int32_t)));
        copy(&distance, sizeof distance);
    }

  private:
    uintptr_t at_;
};

// Nothing here but the last system call changes a flag, and only rcx and r11 are changed that a system call leaves
// alone.
void write_trampoline(uintptr_t page, const CallSite& site) {
    Writer writer(page);
    writer.copy(reinterpret_cast<const void*>(site.start()), site.load_length);
    static_assert(__NR_io_uring_enter == 426);
    writer.code({0x48, 0x8d, 0x88, 0x56, 0xfe, 0xff, 0xff});  // lea -426(%rax), %rcx
    writer.code({0xe3, 0x07});                                // jrcxz over the next two
    writer.code({0x0f, 0x05});                                // syscall: another one than ours
    writer.jump(site.next);
    writer.code({0x48, 0x8d, 0x64, 0x24, 0x80});           // lea -128(%rsp), %rsp: the red zone is the program's
    writer.code({0xff, 0x15, 0x0d, 0x00, 0x00, 0x00});     // call *13(%rip): what stands behind all this
    writer.code({0x48, 0x8d, 0xa4, 0x24, 0x80, 0, 0, 0});  // lea 128(%rsp), %rsp
    writer.jump(site.next);
    const uintptr_t entry = rewritten_call();
    writer.copy(&entry, sizeof entry);
}

}  // namespace

uintptr_t make_trampoline(const CallSite& site) {
    const uintptr_t page = site.is_short() ? map_for_short(site) : map_near(site);
    if (page == 0) return 0;
    write_trampoline(page, site);
    if (abi::syscall(__NR_mprotect, page, page_size, PROT_READ | PROT_EXEC) == 0) return page;
    abi::syscall(__NR_munmap, page, page_size);
    return 0;
}

}  // namespace ringside::preload
