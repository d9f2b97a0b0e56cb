// The functions that the rows of register.def name, one family a file of the same name.
//
// Each is called under the ring's lock, gets the call's two arguments and answers with a value >= 0 or -errno. `address`
// is the program's and not yet known to be good.
#pragma once

#include <stdint.h>

#include "state/ring.h"

namespace ringside::engine {

using Registration = int (*)(Ring&, uint64_t address, unsigned count);

// --- files.cc -------------------------------------------------------------------------------------------------------
int register_files(Ring&, uint64_t fds, unsigned count);
int unregister_files(Ring&, uint64_t, unsigned);
int register_files_update(Ring&, uint64_t update, unsigned count);
int register_files2(Ring&, uint64_t description, unsigned size);
int register_files_update2(Ring&, uint64_t update, unsigned size);
int register_file_alloc_range(Ring&, uint64_t range, unsigned);

// New files for the slots from `offset` on, from arrays in the program's memory: of descriptors, and of tags unless that
// address is 0. Returns how many slots were dealt with, or -errno if that is none.
int update_files(Ring& ring, uint32_t offset, uint64_t fds, uint64_t tags, uint32_t count);

// --- provided.cc ----------------------------------------------------------------------------------------------------
int register_pbuf_ring(Ring&, uint64_t description, unsigned);
int unregister_pbuf_ring(Ring&, uint64_t description, unsigned);
int register_pbuf_status(Ring&, uint64_t status, unsigned);

// --- probe.cc -------------------------------------------------------------------------------------------------------
int register_probe(Ring&, uint64_t probe, unsigned count);

// --- enable.cc ------------------------------------------------------------------------------------------------------
int enable_rings(Ring&, uint64_t, unsigned);

}  // namespace ringside::engine
