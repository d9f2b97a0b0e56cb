// The memory that requests may name: at the same address in every process, so that an input can hold plain pointers.
// Some of it is read-only, some missing, and the end is followed by terabytes of nothing, into which whatever runs past
// the end falls. What lies on both sides belongs to the program and is not named by anybody: it must stay as it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace ringside::fuzz::arena {

inline constexpr size_t page = 4096;
inline constexpr uint64_t base = 0x200000000000;

// Pages, counted from the base. Rings that the program brings (IORING_SETUP_NO_MMAP) and buffer rings lie in the first
// two parts, which stay: an engine in the same process cannot outlive their going (docs/differences.md).
inline constexpr size_t ring_pages = 64;
inline constexpr size_t buffer_ring_page = ring_pages;
inline constexpr size_t fixture_page = buffer_ring_page + 4;
inline constexpr size_t scratch_page = fixture_page + 1;
inline constexpr size_t scratch_pages = 8;
inline constexpr size_t read_only_page = scratch_page + scratch_pages;
inline constexpr size_t missing_page = read_only_page + 1;
inline constexpr size_t last_page = missing_page + 1;
inline constexpr size_t pages = last_page + 1;
inline constexpr uint64_t end = base + pages * page;

inline constexpr uint64_t address_of_page(size_t index) { return base + index * page; }

// Things ready for use in the fixture page, where the arguments of most operations can be taken from.
inline constexpr uint64_t fixtures = address_of_page(fixture_page);
inline constexpr uint64_t paths = fixtures;                // 16 of 32 bytes
inline constexpr uint64_t vectors = fixtures + 0x200;      // 16 iovecs
inline constexpr uint64_t messages = fixtures + 0x400;     // 8 msghdrs, 64 bytes apart
inline constexpr uint64_t addresses = fixtures + 0x600;    // 8 socket addresses of 32 bytes
inline constexpr uint64_t times = fixtures + 0x700;        // 8 timespecs
inline constexpr uint64_t opens = fixtures + 0x780;        // 4 open_hows, 32 bytes apart
inline constexpr uint64_t events = fixtures + 0x800;       // 8 epoll_events, 16 bytes apart
inline constexpr uint64_t futexes = fixtures + 0x880;      // 8 futex_waitvs of 24 bytes
inline constexpr uint64_t descriptors = fixtures + 0x980;  // 32 ints
inline constexpr uint64_t control = fixtures + 0xa00;      // a control message that hands a descriptor over
inline constexpr uint64_t lengths = fixtures + 0xa40;      // 8 ints

// Maps it, once.
void create();

// Puts every page back, with its first contents.
void restore();

// Leaves alone what cannot do harm; brings whatever could be an address of the process into the arena.
uint64_t tame(uint64_t value);

// Writes to the arena, word by word tamed, as far as its pages are there and may be written.
void write(uint64_t address, std::span<const std::byte> bytes);

// Takes pages of the scratch part away, makes them read-only, or brings them back.
void change(size_t index, unsigned how);

// Whether nothing has been written outside of it, nor into what is read-only.
bool neighbours_untouched();

}  // namespace ringside::fuzz::arena
