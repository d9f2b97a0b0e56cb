// The threads of all services, as the process sees them.
#include "os/record_locks.h"
#include "process/callbacks.h"
#include "service/carrier.h"
#include "service/disk.h"
#include "service/helper.h"
#include "service/keeper.h"
#include "service/ring_file.h"
#include "service/stand_ins.h"
#include "service/workers.h"

namespace ringside::engine {

void allow_services() {
    read_carrier_wish();
    allow_workers();
    allow_stand_ins();
    reserve_keeper();
    // Parked by rings of before.
    if (look_at_parked()) keep_helper();
}

void end_services() {
    end_helper();
    end_workers();
    end_stand_ins();
    end_keeper();
}

void hold_services() RINGSIDE_UNCHECKED {
    hold_workers();
    hold_keeper();
    hold_helper();
    hold_parked();
}

void release_services() RINGSIDE_UNCHECKED {
    release_parked();
    release_helper();
    release_keeper();
    release_workers();
}

void forget_services(bool closes_descriptors) {
    forget_helper(closes_descriptors);
    forget_workers();
    forget_keeper(closes_descriptors);
    forget_stand_ins();
    forget_carriers();
    forget_idle_contexts();
    forget_watches();
    forget_parked(closes_descriptors);
}

}  // namespace ringside::engine
