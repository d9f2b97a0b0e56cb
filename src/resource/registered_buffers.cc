#include "resource/registered_buffers.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "service/path_face.h"
#include "state/ring.h"

namespace ringside::engine {
namespace {

constexpr uint64_t page = 4096;

// One holder less. The completion that a tag asks for comes when the last is gone.
void release(Ring& ring, RegisteredBuffer& buffer) {
    if (--buffer.holders != 0) return;
    if (buffer.tag != 0 && !ring.closing) post(ring, buffer.tag, 0, 0);
    unlock_memory(buffer.locked);
    free(&buffer);
}

RegisteredBuffer* find_buffer(Request& request) {
    if (request.has(request_holds_buffer)) return request.registered;
    return request.registered = request.ring->buffers.find(request.buf_index);
}

}  // namespace

int make_buffer_table(RegisteredBuffers& buffers, uint32_t count) {
    buffers.slots = static_cast<RegisteredBuffer**>(calloc(count, sizeof(RegisteredBuffer*)));
    if (buffers.slots == nullptr) return -ENOMEM;
    buffers.count = count;
    return 0;
}

void drop_buffers(Ring& ring) { drop_buffers(ring, ring.buffers); }

// From the last to the first, the order in which their tags are told.
void drop_buffers(Ring& ring, RegisteredBuffers& buffers) {
    for (uint32_t index = buffers.count; index-- > 0;) empty_buffer_slot(ring, buffers, index);
    free(buffers.slots);
    buffers = {};
}

int put_buffer(Ring& ring, RegisteredBuffers& buffers, uint32_t index, const iovec& range, uint64_t tag,
               const RegisteredBuffer* original) {
    const auto address = reinterpret_cast<uintptr_t>(range.iov_base);
    LockedMemory* locked = original != nullptr ? share(original->locked) : lock_memory(address, range.iov_len);
    if (locked == nullptr) return -ENOMEM;
    auto* buffer = static_cast<RegisteredBuffer*>(malloc(sizeof(RegisteredBuffer)));
    if (buffer == nullptr) {
        unlock_memory(locked);
        return -ENOMEM;
    }
    *buffer = {address, range.iov_len, tag, 1, locked};
    empty_buffer_slot(ring, buffers, index);
    buffers.slots[index] = buffer;
    return 0;
}

void empty_buffer_slot(Ring& ring, RegisteredBuffers& buffers, uint32_t index) {
    RegisteredBuffer* buffer = buffers.slots[index];
    if (buffer == nullptr) return;
    buffers.slots[index] = nullptr;
    release(ring, *buffer);
}

int import_buffer(Request& request, uint64_t address, uint64_t length) {
    const RegisteredBuffer* buffer = find_buffer(request);
    return buffer != nullptr && buffer->contains(address, length) ? 0 : -EFAULT;
}

int import_vectors(Request& request, const iovec* vectors, unsigned count) {
    const RegisteredBuffer* buffer = find_buffer(request);
    if (buffer == nullptr) return -EFAULT;
    // The pages that they may need are counted before they are looked at.
    uint64_t pages = 0;
    for (unsigned i = 0; i < count; ++i) pages += vectors[i].iov_len / page + 2;
    if (pages > INT_MAX) return -EOVERFLOW;
    for (unsigned i = 0; i < count; ++i) {
        const auto address = reinterpret_cast<uintptr_t>(vectors[i].iov_base);
        if (vectors[i].iov_len == 0 || !buffer->contains(address, vectors[i].iov_len)) return -EFAULT;
    }
    return 0;
}

void hold_buffer(Request& request) {
    if (request.has(request_holds_buffer)) return;
    ++request.registered->holders;
    request.buffer_use = BufferUse::registered;
    request.set(request_holds_buffer);
}

void let_go_of_buffer(Request& request) {
    if (request.has(request_holds_buffer)) release(*request.ring, *request.registered);
}

}  // namespace ringside::engine
