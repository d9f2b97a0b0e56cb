#include "fuzz/scribbler.h"

#include <signal.h>

#include <atomic>
#include <cstring>
#include <semaphore>
#include <thread>

#include "random.h"

namespace ringside::fuzz {
namespace {

struct Assignment {
    engine::Ring* ring;
    std::span<const io_uring_sqe> entries;
};

bool running = false;
Assignment assignment;
std::binary_semaphore begin{0}, ended{0};
std::atomic<bool> stop{false};

using Word = std::atomic_ref<uint32_t>;

void scribble_word(const engine::RingMemory& memory, lab::Random& random) {
    constexpr size_t words = sizeof(engine::SharedHeader) / sizeof(uint32_t);
    auto* header = reinterpret_cast<uint32_t*>(memory.header);
    const Word word(header[random.below(words)]);
    // A little further on is what passes for a thing that happened.
    word.store(random.percent(70) ? word.load() + static_cast<uint32_t>(random.below(3))
                                  : static_cast<uint32_t>(random.next()));
}

void scribble_index(const engine::Ring& ring, lab::Random& random) {
    if (ring.memory.array == nullptr) return;
    auto* array = const_cast<uint32_t*>(reinterpret_cast<const uint32_t*>(ring.memory.array));
    const auto value = static_cast<uint32_t>(random.percent(80) ? random.below(8) : random.next());
    Word(array[random.below(ring.sq_entries)]).store(value);
}

// Eight bytes of one entry in place of another's, which is the most that a program can change at once.
void scribble_entry(const engine::Ring& ring, std::span<const io_uring_sqe> entries, lab::Random& random) {
    if (entries.empty()) return;
    uint64_t words[sizeof(io_uring_sqe) / sizeof(uint64_t)];
    memcpy(words, &entries[random.below(entries.size())], sizeof(words));
    auto* slot = reinterpret_cast<uint64_t*>(ring.memory.sqes + (random.below(ring.sq_entries) << ring.sqe_shift));
    const size_t which = random.below(std::size(words));
    std::atomic_ref(slot[which]).store(words[which]);
}

void scribble(const Assignment& on, lab::Random& random) {
    while (!stop.load(std::memory_order_relaxed)) {
        switch (random.below(4)) {
            case 0:
                scribble_word(on.ring->memory, random);
                break;
            case 1:
                scribble_index(*on.ring, random);
                break;
            default:
                scribble_entry(*on.ring, on.entries, random);
                break;
        }
    }
}

void be_the_thread() {
    lab::Random random(1);
    for (;;) {
        begin.acquire();
        scribble(assignment, random);
        ended.release();
    }
}

}  // namespace

Scribbler::Scribbler(engine::Ring& ring, std::span<const io_uring_sqe> entries) {
    if (!running) return;
    assignment = {&ring, entries};
    stop.store(false);
    begin.release();
}

Scribbler::~Scribbler() {
    if (!running) return;
    stop.store(true);
    ended.acquire();
}

void start_scribbling() {
    running = true;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    std::thread(be_the_thread).detach();
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace ringside::fuzz
