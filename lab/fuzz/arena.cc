#include "fuzz/arena.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "liburing/io_uring.h"

namespace ringside::fuzz::arena {
namespace {

// What a request may reach from the arena without a fault on the way: the number of buffers that are provided times
// their largest length.
constexpr uint64_t reach = uint64_t{8} << 40;
constexpr uint64_t canary_before = base - 2 * page;
constexpr uint64_t canary_after = base + reach;
constexpr uint8_t canary = 0xc5;
constexpr uint8_t constant = 0x3a;

uint8_t* pointer(uint64_t address) { return reinterpret_cast<uint8_t*>(address); }

// Not by libc, which the sanitizer would have look after the shadow of terabytes.
void map(uint64_t address, uint64_t size, int protection) {
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    if (syscall(SYS_mmap, address, size, protection, flags, -1, 0) != static_cast<long>(address)) abort();
}

bool all_are(uint64_t address, size_t size, uint8_t value) {
    const uint8_t* bytes = pointer(address);
    return bytes[0] == value && memcmp(bytes, bytes + 1, size - 1) == 0;
}

template <typename T>
void put(uint64_t address, const T& value) {
    memcpy(pointer(address), &value, sizeof(T));
}

void put_paths() {
    constexpr const char* names[] = {"a",      "b",  "d",         "d/x", "/a",     "..", "../../a", "",
                                     "socket", "./", "missing/x", "l",   "user.x", "ok", "/d/../b", "/"};
    for (size_t index = 0; index < std::size(names); ++index) {
        memcpy(pointer(paths + 32 * index), names[index], strlen(names[index]) + 1);
    }
}

void put_vectors() {
    constexpr uint64_t scratch = address_of_page(scratch_page);
    constexpr uint64_t starts[] = {scratch,
                                   scratch + 1,
                                   scratch + page - 8,
                                   address_of_page(read_only_page),
                                   end - 16,
                                   address_of_page(missing_page),
                                   0,
                                   scratch + 3 * page};
    constexpr uint64_t sizes[] = {16, 0, 64, 4096, 16, 1, ~uint64_t{0}, 3 * 4096};
    for (size_t index = 0; index < 16; ++index) {
        const size_t which = index % 8;
        put(vectors + 16 * index, iovec{pointer(starts[which]), index < 8 ? sizes[which] : 8});
    }
}

void put_addresses() {
    sockaddr_in internet{AF_INET, htons(7), {htonl(INADDR_LOOPBACK)}, {}};
    put(addresses, internet);
    internet.sin_port = 0;
    put(addresses + 32, internet);
    sockaddr_un local{AF_UNIX, "/socket"};
    memcpy(pointer(addresses + 64), &local, 16);
    put(addresses + 96, sockaddr_in6{AF_INET6, htons(7), 0, IN6ADDR_LOOPBACK_INIT, 0});
    put(addresses + 128, sa_family_t{AF_UNSPEC});
}

void put_messages() {
    for (size_t index = 0; index < 8; ++index) {
        msghdr header{};
        header.msg_iov = reinterpret_cast<iovec*>(pointer(vectors + 16 * index));
        header.msg_iovlen = index;
        if (index & 1) {
            header.msg_control = pointer(control);
            header.msg_controllen = CMSG_LEN(sizeof(int));
        }
        if (index & 2) {
            header.msg_name = pointer(addresses + 32 * index);
            header.msg_namelen = 16;
        }
        put(messages + 64 * index, header);
    }
    cmsghdr rights{CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
    put(control, rights);
    put(control + sizeof(rights), 3);
}

void put_small_things() {
    constexpr int64_t nanoseconds[] = {0, 1'000'000, 50'000, 999'999'999, -1, 1'000'000'000, 10'000'000, 0};
    for (size_t index = 0; index < 8; ++index) {
        const int64_t seconds = index == 7 ? INT64_MAX : index == 3 ? -1 : 0;
        put(times + 16 * index, __kernel_timespec{seconds, nanoseconds[index]});
        put(events + 16 * index, epoll_event{EPOLLIN | (index & 1 ? EPOLLET : EPOLLOUT), {.u64 = index}});
        const uint64_t word = address_of_page(scratch_page) + 8 * index;
        put(futexes + 24 * index, futex_waitv{index == 5, word, FUTEX_32 | FUTEX_PRIVATE_FLAG, 0});
        put(lengths + 4 * index, 16);
    }
    constexpr uint64_t open_flags[] = {O_RDWR | O_CREAT, O_RDONLY | O_DIRECTORY, O_PATH, O_WRONLY | O_NONBLOCK};
    for (size_t index = 0; index < 4; ++index) {
        put(opens + 32 * index, open_how{open_flags[index], index == 0 ? 0600u : 0u, index & 1 ? RESOLVE_CACHED : 0u});
    }
    for (int index = 0; index < 32; ++index)
        put(descriptors + 4 * static_cast<uint64_t>(index), index % 5 ? index : -1);
}

// Buffer rings with something in them, for groups 0 to 3.
void put_buffers() {
    for (uint64_t group = 0; group < 4; ++group) {
        const uint64_t ring = address_of_page(buffer_ring_page + group);
        for (uint16_t id = 0; id < 8; ++id) {
            const uint64_t start = address_of_page(scratch_page) + 64 * id;
            // The first one's reserved field is the ring's tail.
            put(ring + sizeof(io_uring_buf) * id, io_uring_buf{start, 64, id, id == 0 ? uint16_t{8} : uint16_t{0}});
        }
    }
}

}  // namespace

void create() {
    map(canary_before, page, PROT_READ | PROT_WRITE);
    map(base - page, page, PROT_NONE);
    map(base, reach, PROT_NONE);
    map(canary_after, page, PROT_READ | PROT_WRITE);
    memset(pointer(canary_before), canary, page);
    memset(pointer(canary_after), canary, page);
}

void restore() {
    map(base, (missing_page)*page, PROT_READ | PROT_WRITE);
    map(address_of_page(missing_page), page, PROT_NONE);
    map(address_of_page(last_page), page, PROT_READ | PROT_WRITE);
    put_paths();
    put_vectors();
    put_addresses();
    put_messages();
    put_small_things();
    put_buffers();
    memset(pointer(address_of_page(read_only_page)), constant, page);
    syscall(SYS_mprotect, address_of_page(read_only_page), page, PROT_READ);
}

uint64_t tame(uint64_t value) {
    constexpr uint64_t lowest_mapping = 0x10000;
    constexpr uint64_t highest = uint64_t{1} << 47;
    if (value < lowest_mapping || value >= highest || (value >= base && value < end + page)) return value;
    return base + value % (pages * page);
}

void write(uint64_t address, std::span<const std::byte> bytes) {
    uint64_t words[15];
    if (bytes.size() > sizeof(words)) bytes = bytes.first(sizeof(words));
    memcpy(words, bytes.data(), bytes.size());
    for (uint64_t& word : words) word = tame(word);
    iovec from{words, bytes.size()};
    iovec to{pointer(address), bytes.size()};
    // By the kernel, since the pages may be gone.
    syscall(SYS_process_vm_writev, getpid(), &from, 1, &to, 1, 0);
}

void change(size_t index, unsigned how) {
    const uint64_t address = address_of_page(scratch_page + index % scratch_pages);
    switch (how % 4) {
        case 0:
            return map(address, page, PROT_NONE);
        case 1:
            syscall(SYS_mprotect, address, page, PROT_READ);
            return;
        case 2:
            syscall(SYS_munmap, address, page);
            return;
        default:
            return map(address, page, PROT_READ | PROT_WRITE);
    }
}

bool neighbours_untouched() {
    // Advice can have emptied the read-only page.
    constexpr uint64_t read_only = address_of_page(read_only_page);
    return all_are(canary_before, page, canary) && all_are(canary_after, page, canary) &&
           (all_are(read_only, page, constant) || all_are(read_only, page, 0));
}

}  // namespace ringside::fuzz::arena
