#include "preload/x86_64/call_site.h"

#include <fcntl.h>
#include <string.h>

#include "abi/syscall.h"

namespace ringside::preload {
namespace {

// /proc/self/maps, read character by character through a small buffer: this runs on whatever stack the program was on.
class Maps {
  public:
    Maps() : fd_(static_cast<int>(abi::syscall(__NR_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC))) {}
    ~Maps() {
        if (fd_ >= 0) abi::syscall(__NR_close, fd_);
    }
    Maps(const Maps&) = delete;
    Maps& operator=(const Maps&) = delete;

    // The next character, or 0 at the end.
    char next() {
        if (at_ == end_) {
            const long got = fd_ < 0 ? 0 : abi::syscall(__NR_read, fd_, buffer_, sizeof buffer_);
            if (got <= 0) return 0;
            at_ = 0;
            end_ = static_cast<size_t>(got);
        }
        return buffer_[at_++];
    }

    // Reads a hexadecimal number and the separator behind it.
    uintptr_t number() {
        uintptr_t value = 0;
        for (char c = next(); (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); c = next()) {
            value = value * 16 + static_cast<uintptr_t>(c <= '9' ? c - '0' : c - 'a' + 10);
        }
        return value;
    }

    void skip(char separator) {
        for (char c = next(); c != separator && c != 0; c = next()) {
        }
    }

  private:
    int fd_;
    size_t at_ = 0;
    size_t end_ = 0;
    char buffer_[512];
};

// Whether [begin, end) lies in one mapping of the kind that linkers make for code. A line of the table:
//   55d0c8a00000-55d0c8a5f000 r-xp 00002000 fd:01 1234567    /usr/bin/program
bool is_code_of_a_file(uintptr_t begin, uintptr_t end) {
    Maps maps;
    for (;;) {
        const uintptr_t from = maps.number();
        const uintptr_t to = maps.number();
        if (to == 0) return false;
        char permissions[4];
        for (char& permission : permissions) permission = maps.next();
        maps.skip(' ');
        maps.skip(' ');  // the offset
        maps.skip(' ');  // the device
        const bool has_file = maps.next() != '0';
        if (begin >= from && end <= to) return has_file && memcmp(permissions, "r-xp", sizeof permissions) == 0;
        maps.skip('\n');
    }
}

constexpr uint8_t move_number_to_eax[] = {0xb8, __NR_io_uring_enter & 0xff, __NR_io_uring_enter >> 8, 0, 0};
constexpr uint8_t move_high_register[] = {0x44, 0x89};  // the third byte selects which of r8d ... r15d goes to eax

// Between a long load and the system call there may be other instructions, which load arguments.
constexpr size_t most_between = 12;

bool is_rex(uint8_t byte) { return (byte & 0xf0) == 0x40; }
bool is_prefix(uint8_t byte) { return is_rex(byte) || byte == 0x66; }

// The length of an instruction that does the same at any address and does not change eax, or 0. It knows only the
// instructions with which compilers load arguments: xor and mov between registers, mov of a number.
size_t length_of_argument_load(const uint8_t* code, const uint8_t* end) {
    const size_t prefix = is_rex(code[0]) ? 1 : 0;
    const uint8_t rex = prefix != 0 ? code[0] : 0;
    const uint8_t opcode = code[prefix];
    const bool between_registers = (opcode == 0x31 || opcode == 0x89) && (code[prefix + 1] & 0xc0) == 0xc0;
    const bool of_number = (opcode & 0xf8) == 0xb8 && (rex & 0x08) == 0;
    const uint8_t low_bits = (between_registers ? code[prefix + 1] : opcode) & 7;
    const bool into_eax = low_bits == 0 && (rex & 0x01) == 0;
    const size_t length = prefix + (between_registers ? 2 : of_number ? 5 : 0);
    return length == prefix || into_eax || code + length > end ? 0 : length;
}

bool all_are_argument_loads(const uint8_t* code, const uint8_t* end) {
    while (code < end) {
        const size_t length = length_of_argument_load(code, end);
        if (length == 0) return false;
        code += length;
    }
    return true;
}

bool recognize_long(const uint8_t* call, CallSite& site) {
    constexpr size_t size = sizeof move_number_to_eax;
    for (size_t between = 0; between <= most_between; ++between) {
        const uint8_t* load = call - between - size;
        if (memcmp(load, move_number_to_eax, size) != 0 || is_prefix(load[-1])) continue;
        if (!all_are_argument_loads(load + size, call)) return false;
        site.load_length = size + between;
        return true;
    }
    return false;
}

bool recognize_short(const uint8_t* call, CallSite& site) {
    const uint8_t* load = call - 3;
    const bool to_eax = (load[2] & 0xc7) == 0xc0;
    if (memcmp(load, move_high_register, sizeof move_high_register) != 0 || !to_eax || is_prefix(load[-1]))
        return false;
    site.load_length = 3;
    return true;
}

}  // namespace

bool recognize(uintptr_t next, CallSite& site) {
    constexpr size_t most_looked_at = syscall_size + most_between + sizeof move_number_to_eax + 1;
    if (!is_code_of_a_file(next - most_looked_at, next)) return false;
    const auto* call = reinterpret_cast<const uint8_t*>(next - syscall_size);
    if (call[0] != 0x0f || call[1] != 0x05) return false;
    site.next = next;
    return recognize_long(call, site) || recognize_short(call, site);
}

}  // namespace ringside::preload
