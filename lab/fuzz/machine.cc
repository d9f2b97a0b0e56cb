#include "fuzz/machine.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "fuzz/arena.h"
#include "fuzz/confinement.h"
#include "fuzz/scribbler.h"
#include "fuzz/tame.h"
#include "fuzz/world.h"
#include "process/registered_rings.h"

namespace ringside::fuzz {
namespace {

constexpr size_t most_rings = 4;

using Word = std::atomic_ref<uint32_t>;
using Bytes = std::span<const std::byte>;

io_uring_sqe entry_of(const Step& step) {
    io_uring_sqe sqe;
    memcpy(&sqe, step.bytes, sizeof(sqe));
    tame_entry(std::as_writable_bytes(std::span(&sqe, 1)));
    return sqe;
}

// Where an argument lies, and what is wrong with that.
uint64_t place(Bytes bytes, uint64_t how) {
    constexpr uint64_t plain = arena::address_of_page(arena::scratch_page + arena::scratch_pages - 1);
    uint64_t address = plain;
    switch (how % 8) {
        case 4:
            address = plain + 1 + (how >> 3) % 8;
            break;
        case 5:
            address = arena::end - (how >> 3) % (bytes.size() + 8);
            break;
        case 6:
            address = arena::address_of_page(arena::read_only_page);
            break;
        case 7:
            address = arena::tame(how >> 3);
            break;
        default:
            break;
    }
    arena::write(address, bytes);
    return address;
}

void* pointer(uint64_t address) { return reinterpret_cast<void*>(address); }

}  // namespace

Machine::Machine(std::span<const Step> steps) : steps_(steps) {
    for (const Step& step : steps) {
        const Action action = action_of(step);
        if (action == Action::submit || action == Action::write_entry) entries_.push_back(entry_of(step));
    }
}

void Machine::run() {
    for (const Step& step : steps_) {
        take(step);
        forget_unregistered();
        rein_in();
    }
    while (!rigs_.empty()) close_ring(rigs_.size() - 1);
    for (unsigned index = 0; index < engine::most_registered_rings; ++index) engine::remove_registered_ring(index);
}

// A ring whose only name was a registered index ends when that is given up.
void Machine::forget_unregistered() {
    std::erase_if(rigs_, [](const Rig& rig) {
        engine::Ring* ring = nullptr;
        return rig.by_index &&
               (engine::find_registered_ring(static_cast<unsigned>(rig.name), ring) < 0 || ring != rig.ring);
    });
}

// To a thread that submits, a tail far ahead is work without an end: requests that wait, and completions that nobody
// takes, add up for as long as the ring is there, in the kernel too. One step is long enough for that.
void Machine::rein_in() {
    for (const Rig& rig : rigs_) {
        if (!(rig.ring->setup_flags & IORING_SETUP_SQPOLL)) continue;
        engine::SharedHeader& header = *rig.ring->memory.header;
        const uint32_t head = header.sq_head.load();
        if (header.sq_tail.load() - head > rig.ring->sq_entries) header.sq_tail.store(head);
    }
}

void Machine::take(const Step& step) {
    const Action action = action_of(step);
    if (action == Action::set_up) return set_up(step);
    if (action == Action::write_memory) return arena::write(arena::tame(step.big), step.bytes);
    if (action == Action::close_file) return close_file(step);
    if (action == Action::provide) return provide(step);
    if (action == Action::change_memory) {
        if (!memory_stays_) arena::change(step.small, step.word);
        return;
    }
    if (rigs_.empty()) return;
    switch (action) {
        case Action::submit:
            submit(step);
            break;
        case Action::write_entry:
            write_entry(step, step.small);
            break;
        case Action::set_index:
            set_index(step);
            break;
        case Action::enter:
            enter(step);
            break;
        case Action::register_call:
            register_call(step);
            break;
        case Action::reap:
            reap(step);
            break;
        case Action::duplicate: {
            const Rig& rig = rig_of(step);
            if (rig.by_index || rigs_.size() == most_rings) break;
            const int copy = fcntl(rig.name, F_DUPFD_CLOEXEC, 0);
            if (copy < 0) break;
            engine::note_dup(rig.name, copy);
            rigs_.push_back({copy, false, rig.ring});
            break;
        }
        case Action::poll:
            poll(step);
            break;
        default:
            close_ring(step.ring % rigs_.size());
            break;
    }
}

void Machine::set_up(const Step& step) {
    if (rigs_.size() == most_rings) return;
    io_uring_params params;
    memcpy(&params, step.bytes, sizeof(params));
    params.wq_fd = static_cast<uint32_t>(tame_fd(static_cast<int>(params.wq_fd)));
    // Threads that spin take the processors from everybody else.
    params.sq_thread_idle %= 4;
    // Memory that a program brings has to be in the part that stays.
    const auto part = [](uint64_t address) {
        return address < 4096 ? address : arena::base + address % (arena::ring_pages * arena::page);
    };
    params.sq_off.user_addr = part(params.sq_off.user_addr);
    params.cq_off.user_addr = part(params.cq_off.user_addr);
    const uint64_t address = place(std::as_bytes(std::span(&params, 1)), step.big);
    const auto face = step.small & 1 ? engine::Face::pollable : engine::Face::mappable;
    const int name = engine::setup(step.word, static_cast<io_uring_params*>(pointer(address)), face);
    if (name < 0) return;
    const bool by_index = params.flags & IORING_SETUP_REGISTERED_FD_ONLY;
    engine::Ring* ring = nullptr;
    if (by_index) {
        if (engine::find_registered_ring(static_cast<unsigned>(name), ring) < 0) report_defect("a ring without a name");
    } else {
        ring = engine::find(name);
        if (ring == nullptr) report_defect("a descriptor without a ring");
    }
    if (params.flags & IORING_SETUP_NO_MMAP) memory_stays_ = true;
    rigs_.push_back({name, by_index, ring});
}

void Machine::write_entry(const Step& step, unsigned slot) {
    const engine::Ring& ring = *rig_of(step).ring;
    std::byte entry[128]{};
    memcpy(entry, step.bytes, sizeof(step.bytes));
    tame_entry(entry);
    const size_t size = size_t{1} << ring.sqe_shift;
    memcpy(ring.memory.sqes + (slot % ring.sq_entries) * size, entry, size);
}

void Machine::submit(const Step& step) {
    const Rig& rig = rig_of(step);
    const engine::RingMemory& memory = rig.ring->memory;
    const uint32_t tail = memory.header->sq_tail.load();
    const uint32_t slot = rig.ring->setup_flags & IORING_SETUP_SQ_REWIND ? 0 : tail % rig.ring->sq_entries;
    write_entry(step, slot);
    if (memory.array != nullptr)
        Word(const_cast<uint32_t&>(reinterpret_cast<const uint32_t&>(memory.array[slot]))).store(slot);
    memory.header->sq_tail.store(tail + 1);
    if (step.big % 2) engine::enter(*rig.ring, 1, 0, 0, nullptr, 0);
}

void Machine::set_index(const Step& step) {
    const engine::Ring& ring = *rig_of(step).ring;
    constexpr unsigned words = sizeof(engine::SharedHeader) / sizeof(uint32_t);
    if (step.small < words) {
        Word(reinterpret_cast<uint32_t*>(ring.memory.header)[step.small]).store(step.word);
    } else if (ring.memory.array != nullptr) {
        const uint32_t at = step.small % ring.sq_entries;
        Word(const_cast<uint32_t&>(reinterpret_cast<const uint32_t&>(ring.memory.array[at]))).store(step.word);
    }
}

void Machine::enter(const Step& step) {
    const Rig rig = rig_of(step);
    const __kernel_timespec soon{0, 500'000};
    const io_uring_getevents_arg bounded{0, 0, static_cast<uint32_t>(step.big >> 32 & 0xff),
                                         reinterpret_cast<uint64_t>(&soon)};
    auto flags = static_cast<unsigned>(step.big & ~uint64_t{IORING_ENTER_EXT_ARG | IORING_ENTER_EXT_ARG_REG});
    const void* argument = nullptr;
    size_t size = 0;
    unsigned minimum = 0;  // whoever waits does so with a limit that nobody else can change
    switch (step.word >> 16 & 7) {
        case 1:
        case 2:
            flags |= IORING_ENTER_EXT_ARG;
            argument = &bounded;
            size = sizeof(bounded);
            minimum = step.word & 0xffff;
            break;
        case 3:
        case 4:
            flags |= IORING_ENTER_EXT_ARG;
            argument = pointer(place(Bytes(step.bytes).first(sizeof(bounded)), step.big >> 8));
            size = step.word & 1 ? step.word & 0xff : sizeof(bounded);
            break;
        case 5:
            flags |= IORING_ENTER_EXT_ARG | IORING_ENTER_EXT_ARG_REG;
            argument = pointer(step.big >> 32 & 0xfff);
            size = step.word & 1 ? step.word & 0xff : sizeof(io_uring_reg_wait);
            break;
        case 6:
            argument = pointer(place(Bytes(step.bytes).first(8), step.big >> 8));
            size = step.word & 1 ? step.word & 0xff : 8;
            break;
        default:
            break;
    }
    const bool scribbled = step.big >> 63;
    Scribbler* scribbler = nullptr;
    alignas(Scribbler) std::byte storage[sizeof(Scribbler)];
    if (scribbled) scribbler = new (storage) Scribbler(*rig.ring, entries_);
    if (rig.by_index) flags |= IORING_ENTER_REGISTERED_RING;
    engine::enter(static_cast<unsigned>(rig.name), step.small, minimum, flags, argument, size);
    if (scribbler != nullptr) scribbler->~Scribbler();
}

void Machine::register_call(const Step& step) {
    const Rig& rig = rig_of(step);
    unsigned opcode = step.small & 0xff;
    std::byte bytes[sizeof(step.bytes)];
    memcpy(bytes, step.bytes, sizeof(bytes));
    if (opcode == IORING_REGISTER_FILES || opcode == IORING_REGISTER_EVENTFD) tame_descriptors(bytes);
    if (opcode == IORING_REGISTER_SEND_MSG_RING) tame_entry(std::span(bytes).first(sizeof(io_uring_sqe)));
    const uint64_t address = step.big == no_argument ? 0 : place(bytes, step.big);
    if (opcode == IORING_REGISTER_PBUF_RING) memory_stays_ = true;
    if (rig.by_index || step.small & 0x8000) opcode |= IORING_REGISTER_USE_REGISTERED_RING;
    const int name = step.small & 0x4000 ? -1 : rig.name;
    engine::register_call(static_cast<unsigned>(name), opcode, pointer(address), step.word);
}

void Machine::reap(const Step& step) {
    engine::SharedHeader& header = *rig_of(step).ring->memory.header;
    const uint32_t tail = header.cq_tail.load();
    header.cq_head.store(step.small % 4 == 0 ? tail : std::min(tail, header.cq_head.load() + step.small % 4));
}

void Machine::provide(const Step& step) {
    const uint64_t group = arena::address_of_page(arena::buffer_ring_page + step.small % 4);
    auto& ring = *reinterpret_cast<io_uring_buf_ring*>(pointer(group));
    auto& buffer = ring.bufs[(step.small >> 2) % 64];
    buffer.addr = arena::tame(step.big);
    buffer.len = step.word;
    buffer.bid = static_cast<uint16_t>(step.small >> 4);
    std::atomic_ref(ring.tail).store(static_cast<uint16_t>(ring.tail + 1 + (step.small >> 12)));
}

void Machine::poll(const Step& step) {
    pollfd file{engine::readiness_fd(*rig_of(step).ring), POLLIN, 0};
    ::poll(&file, 1, 0);
}

void Machine::close_file(const Step& step) {
    const int fd = tame_fd(step.small);
    if (engine::find(fd) == nullptr) syscall(SYS_close, fd);
}

void Machine::close_ring(size_t index) {
    const Rig rig = rigs_[index];
    rigs_.erase(rigs_.begin() + static_cast<std::ptrdiff_t>(index));
    if (rig.by_index) {
        engine::remove_registered_ring(static_cast<unsigned>(rig.name));
        return;
    }
    if (engine::find(rig.name) != rig.ring) report_defect("descriptor %d is no longer its ring's", rig.name);
    engine::close(rig.name);
}

}  // namespace ringside::fuzz
