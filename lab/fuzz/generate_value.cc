#include "fuzz/generate_value.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "fuzz/arena.h"
#include "fuzz/world.h"

namespace ringside::fuzz {
namespace {

uint64_t anywhere(lab::Random& random) {
    constexpr uint64_t odd[] = {0,
                                8,
                                arena::end - 4,
                                arena::end,
                                arena::address_of_page(arena::missing_page),
                                arena::address_of_page(arena::read_only_page),
                                arena::address_of_page(arena::missing_page) - 8,
                                0xffff800000000000,
                                ~uint64_t{0},
                                uint64_t{1} << 47};
    if (random.percent(50)) return odd[random.below(std::size(odd))];
    return arena::base + random.below(arena::pages * arena::page);
}

uint64_t one_of(uint64_t array, size_t count, size_t stride, lab::Random& random) {
    return array + random.below(count) * stride;
}

}  // namespace

uint64_t value_for(Holds holds, lab::Random& random) {
    switch (holds) {
        case Holds::number:
            return random.percent(60) ? 0 : random.below(20);
        case Holds::offset:
            return random.one_of<uint64_t>({0, 0, ~uint64_t{0}, 1, 4096, uint64_t{1} << 40, uint64_t{1} << 63});
        case Holds::user_data:
            return random.below(8);
        default:
            break;
    }
    if (random.percent(12)) return anywhere(random);
    switch (holds) {
        case Holds::vectors:
            return one_of(arena::vectors, 16, 16, random);
        case Holds::message:
            return one_of(arena::messages, 8, 64, random);
        case Holds::path:
            return one_of(arena::paths, 16, 32, random);
        case Holds::time:
            return one_of(arena::times, 8, 16, random);
        case Holds::how:
            return one_of(arena::opens, 4, 32, random);
        case Holds::event:
            return one_of(arena::events, 8, 16, random);
        case Holds::futexes:
            return one_of(arena::futexes, 8, 24, random);
        case Holds::socket_address:
            return one_of(arena::addresses, 8, 32, random);
        case Holds::length:
            return one_of(arena::lengths, 8, 4, random);
        case Holds::descriptors:
            return one_of(arena::descriptors, 32, 4, random);
        default:
            return arena::address_of_page(arena::scratch_page) + random.below(arena::scratch_pages * 512) * 8;
    }
}

uint32_t random_length(lab::Random& random) {
    if (random.percent(70)) return static_cast<uint32_t>(random.below(17));
    return random.one_of({24u, 56u, 100u, 1024u, 4096u, 4097u, 8192u, 0x10000u, 0x7fffffffu, 0x80000000u, 0xffffffffu});
}

int random_fd(const Shape& shape, lab::Random& random) {
    const auto from = [&random](int first, int last) {
        return world::first_fd +
               static_cast<int>(random.between(static_cast<uint64_t>(first), static_cast<uint64_t>(last)));
    };
    constexpr int futex_flags = 2 | 128;  // 32 bits, private
    if (shape.fd != Names::domain && random.percent(5)) return random.one_of({-1, AT_FDCWD, 63, 0x7fffffff, 600});
    if (random.percent(5)) return from(0, world::file_count + 4);
    switch (shape.fd) {
        case Names::socket:
            return from(6, 12);
        case Names::pipe:
            return from(2, 7);
        case Names::epoll:
            return from(14, 14);
        case Names::directory:
            return random.percent(80) ? AT_FDCWD : from(1, 1);
        case Names::ring:
            return from(world::file_count, world::file_count + 2);
        case Names::count:
            return static_cast<int>(random.between(3, 20));
        case Names::futex_flags:
            return futex_flags;
        case Names::domain:
            return random.one_of({AF_INET6, AF_INET6, AF_INET6, 50});
        default:
            return from(0, world::file_count - 1);
    }
}

uint64_t random_word(lab::Random& random) {
    if (random.percent(50)) return random.below(20);
    if (random.percent(30)) return uint64_t{random_length(random)} << (random.percent(50) ? 32 : 0) | random.below(4);
    return value_for(random.one_of({Holds::buffer, Holds::vectors, Holds::path, Holds::descriptors, Holds::time}),
                     random);
}

}  // namespace ringside::fuzz
