// IORING_REGISTER_PERSONALITY and IORING_UNREGISTER_PERSONALITY
#include "register/register.h"

namespace ringside::engine {

int register_personality(Ring& ring, uint64_t, unsigned) { return add_personality(ring.personalities); }

int unregister_personality(Ring& ring, uint64_t, unsigned id) { return remove_personality(ring.personalities, id); }

}  // namespace ringside::engine
