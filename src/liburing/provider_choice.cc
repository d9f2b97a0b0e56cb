// ringside/provider.h: the choice of provider as programs see it.
#include "liburing/owner.h"
#include "liburing/rings.h"

using namespace ringside;
using namespace ringside::liburing;

namespace {

// The numbers are the same on both sides, and stay so: programs were compiled with them.
static_assert(static_cast<int>(provider::Kind::kernel) == RINGSIDE_PROVIDER_KERNEL);
static_assert(static_cast<int>(provider::Kind::engine) == RINGSIDE_PROVIDER_ENGINE);
static_assert(static_cast<int>(provider::Wish::automatic) == RINGSIDE_WISH_AUTO);
static_assert(static_cast<int>(provider::Wish::kernel) == RINGSIDE_WISH_KERNEL);
static_assert(static_cast<int>(provider::Wish::engine) == RINGSIDE_WISH_ENGINE);

provider::Kind kind_for(ringside_wish wish) {
    if (wish == RINGSIDE_WISH_KERNEL) return provider::Kind::kernel;
    if (wish == RINGSIDE_WISH_ENGINE) return provider::Kind::engine;
    return provider::choose().kind;
}

}  // namespace

ringside_choice ringside_choose(void) {
    const provider::Choice choice = provider::choose();
    return {static_cast<ringside_provider>(choice.kind), static_cast<ringside_wish>(choice.wish), choice.refusal,
            choice.reason};
}

void ringside_set_wish(ringside_wish wish) { provider::set_wish(static_cast<provider::Wish>(wish)); }

ringside_provider ringside_provider_of(const io_uring* ring) { return static_cast<ringside_provider>(owner(*ring)); }

const char* ringside_provider_name(ringside_provider which) {
    return provider::name(static_cast<provider::Kind>(which));
}

int ringside_queue_init(unsigned entries, io_uring* ring, io_uring_params* p, ringside_wish wish) {
    const int result = init(kind_for(wish), entries, *ring, *p, {});
    return result < 0 ? result : 0;
}
