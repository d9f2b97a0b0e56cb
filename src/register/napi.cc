// IORING_REGISTER_NAPI and IORING_UNREGISTER_NAPI: busy polling of network devices. Which of a device's queues to poll
// is nothing that a process can tell the kernel, so the settings are kept and reported and have no effect.
#include <errno.h>
#include <stdlib.h>

#include "memory/user_memory.h"
#include "register/register.h"

namespace ringside::engine {
namespace {

// What the ABI header does not name: the first padding byte is a command, the first half of `resv` its parameter.
enum Command : uint8_t { command_register, command_add_id, command_remove_id };

constexpr uint32_t lowest_id = 8192 + 1;  // numbers below are processors'

io_uring_napi describe(const Napi& napi) {
    io_uring_napi described = {};
    described.busy_poll_to = napi.busy_poll_us;
    described.prefer_busy_poll = napi.prefer_busy_poll;
    described.resv = napi.tracking;
    return described;
}

NapiId** find_id(Napi& napi, uint32_t id) {
    NapiId** at = &napi.ids;
    while (*at != nullptr && (*at)->id != id) at = &(*at)->next;
    return at;
}

int add_id(Napi& napi, uint32_t id) {
    if (napi.tracking != napi_tracking_static || id < lowest_id) return -EINVAL;
    NapiId** at = find_id(napi, id);
    if (*at != nullptr) return -EEXIST;
    *at = static_cast<NapiId*>(malloc(sizeof(NapiId)));
    if (*at == nullptr) return -ENOMEM;
    **at = {nullptr, id};
    return 0;
}

int remove_id(Napi& napi, uint32_t id) {
    if (napi.tracking != napi_tracking_static || id < lowest_id) return -EINVAL;
    NapiId** at = find_id(napi, id);
    NapiId* found = *at;
    if (found == nullptr) return -ENOENT;
    *at = found->next;
    free(found);
    return 0;
}

int set_up(Napi& napi, const io_uring_napi& wanted, uint32_t tracking) {
    if (tracking != napi_tracking_dynamic && tracking != napi_tracking_static) return -EINVAL;
    if (tracking != napi.tracking) drop_napi(napi);
    napi.busy_poll_us = wanted.busy_poll_to;
    napi.prefer_busy_poll = wanted.prefer_busy_poll != 0;
    napi.tracking = tracking;
    return 0;
}

}  // namespace

void drop_napi(Napi& napi) {
    while (NapiId* first = napi.ids) {
        napi.ids = first->next;
        free(first);
    }
    napi = {};
}

int register_napi(Ring& ring, uint64_t address, unsigned) {
    if (ring.setup_flags & IORING_SETUP_IOPOLL) return -EINVAL;
    io_uring_napi wanted;
    if (read_user(wanted, address) < 0) return -EFAULT;
    if (wanted.pad[1] != 0 || wanted.pad[2] != 0 || wanted.resv >> 32 != 0) return -EINVAL;
    // The caller learns what was in force, whatever becomes of the command.
    if (write_user(address, describe(ring.napi)) < 0) return -EFAULT;
    const auto parameter = static_cast<uint32_t>(wanted.resv);
    switch (wanted.pad[0]) {
        case command_register:
            return set_up(ring.napi, wanted, parameter);
        case command_add_id:
            return add_id(ring.napi, parameter);
        case command_remove_id:
            return remove_id(ring.napi, parameter);
        default:
            return -EINVAL;
    }
}

int unregister_napi(Ring& ring, uint64_t address, unsigned) {
    io_uring_napi former = describe(ring.napi);
    former.resv = 0;
    if (address != 0 && write_user(address, former) < 0) return -EFAULT;
    drop_napi(ring.napi);
    return 0;
}

}  // namespace ringside::engine
