// The functions that the rows of register.def name, one family a file of the same name.
//
// Each is called under the ring's lock, gets the call's two arguments and answers with a value >= 0 or -errno.
// `address` is the program's and not yet known to be good.
#pragma once

#include <errno.h>
#include <stdint.h>

#include "state/ring.h"

namespace ringside::engine {

using Registration = int (*)(Ring&, uint64_t address, unsigned count);

inline constexpr unsigned registration_count = IORING_REGISTER_QUERY + 1;

// --- files.cc -------------------------------------------------------------------------------------------------------
int register_files(Ring&, uint64_t fds, unsigned count);
int unregister_files(Ring&, uint64_t, unsigned);
int register_files_update(Ring&, uint64_t update, unsigned count);
int register_files2(Ring&, uint64_t description, unsigned size);
int register_files_update2(Ring&, uint64_t update, unsigned size);
int register_file_alloc_range(Ring&, uint64_t range, unsigned);

// --- buffers.cc -----------------------------------------------------------------------------------------------------
int register_buffers(Ring&, uint64_t ranges, unsigned count);
int unregister_buffers(Ring&, uint64_t, unsigned);
int register_buffers2(Ring&, uint64_t description, unsigned size);
int register_buffers_update(Ring&, uint64_t update, unsigned size);

// --- clone_buffers.cc -----------------------------------------------------------------------------------------------
int register_clone_buffers(Ring&, uint64_t description, unsigned);

// --- resources.cc ---------------------------------------------------------------------------------------------------

// Reads the description of a table or of an update to one, and checks what is alike for files and buffers. Returns 0,
// -EINVAL or -EFAULT.
int read_table(io_uring_rsrc_register& wanted, uint64_t address, unsigned size);
int read_table_update(io_uring_rsrc_update2& update, uint64_t address, unsigned size);

// A table that could not be filled goes as if it had never been: no completion tells of its tags.
template <typename Table>
void forget_tags(Table& table) {
    for (uint32_t index = 0; index < table.count; ++index) {
        if (table.slots[index] != nullptr) table.slots[index]->tag = 0;
    }
}

// --- provided.cc ----------------------------------------------------------------------------------------------------
int register_pbuf_ring(Ring&, uint64_t description, unsigned);
int unregister_pbuf_ring(Ring&, uint64_t description, unsigned);
int register_pbuf_status(Ring&, uint64_t status, unsigned);

// --- probe.cc -------------------------------------------------------------------------------------------------------
int register_probe(Ring&, uint64_t probe, unsigned count);

// --- enable.cc ------------------------------------------------------------------------------------------------------
int enable_rings(Ring&, uint64_t, unsigned);

// --- notify.cc ------------------------------------------------------------------------------------------------------
int register_eventfd(Ring&, uint64_t eventfd, unsigned);
int register_eventfd_async(Ring&, uint64_t eventfd, unsigned);
int unregister_eventfd(Ring&, uint64_t, unsigned);

// --- personality.cc -------------------------------------------------------------------------------------------------
int register_personality(Ring&, uint64_t, unsigned);
int unregister_personality(Ring&, uint64_t, unsigned id);

// --- restrictions.cc ------------------------------------------------------------------------------------------------
int register_restrictions(Ring&, uint64_t rules, unsigned count);

// --- workers.cc -----------------------------------------------------------------------------------------------------
int register_iowq_max_workers(Ring&, uint64_t limits, unsigned);
int register_iowq_aff(Ring&, uint64_t processors, unsigned size);
int unregister_iowq_aff(Ring&, uint64_t, unsigned);

// --- ring_fds.cc: without the ring's lock ---------------------------------------------------------------------------
int register_ring_fds(Ring&, uint64_t updates, unsigned count);
int unregister_ring_fds(Ring&, uint64_t updates, unsigned count);

// --- cancel.cc ------------------------------------------------------------------------------------------------------
int register_sync_cancel(Ring&, uint64_t cancel, unsigned);

// --- clock.cc -------------------------------------------------------------------------------------------------------
int register_clock(Ring&, uint64_t clock, unsigned);

// --- napi.cc --------------------------------------------------------------------------------------------------------
int register_napi(Ring&, uint64_t settings, unsigned);
int unregister_napi(Ring&, uint64_t settings, unsigned);
void drop_napi(Napi& napi);

// --- resize.cc ------------------------------------------------------------------------------------------------------
int register_resize_rings(Ring&, uint64_t params, unsigned);

// --- regions.cc -----------------------------------------------------------------------------------------------------
int register_mem_region(Ring&, uint64_t region, unsigned);
// Whether such a region could be made, of the program's memory if it is to be that. Returns 0 or -errno.
int check_region(const io_uring_region_desc& wanted);
void drop_region(const Ring& ring, Region& region);

// --- zcrx.cc --------------------------------------------------------------------------------------------------------
int register_zcrx_ifq(Ring&, uint64_t queue, unsigned);

// --- query.cc and send_msg.cc: calls that need no ring --------------------------------------------------------------
int register_query(Ring&, uint64_t questions, unsigned count);
int query(uint64_t questions, unsigned count);
int send_message_ring(uint64_t sqe, unsigned count);

}  // namespace ringside::engine
