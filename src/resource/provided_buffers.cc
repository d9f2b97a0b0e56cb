#include "resource/provided_buffers.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "os/limits.h"
#include "resource/buffer_ring_memory.h"
#include "state/request.h"
#include "state/ring.h"

namespace ringside::engine {

struct BufferGroup {
    // A classic group.
    Queue<ProvidedBuffer, &ProvidedBuffer::next> buffers;
    unsigned count;

    // A buffer ring.
    BufferRingMemory memory;
    uint16_t entries;   // 0 in a classic group
    uint16_t head;      // the next to be taken; counts on and on, as the program's tail does
    uint32_t serial;    // which of all rings it is: another may follow it under the same id
    bool incremental;   // a buffer is used up piece by piece
    uint32_t min_left;  // one of an incremental ring with less than this left is used up, too
};

namespace {

constexpr unsigned groups_per_page = 256;
constexpr unsigned pages = most_groups / groups_per_page;
constexpr unsigned most_in_classic_group = UINT16_MAX;

// --- The table ------------------------------------------------------------------------------------------------------

// The group's place in the table, made if there is none; null when memory is out.
BufferGroup** place_of(ProvidedBuffers& provided, unsigned id) {
    if (provided.pages == nullptr) {
        provided.pages = static_cast<BufferGroup***>(calloc(pages, sizeof(BufferGroup**)));
        if (provided.pages == nullptr) return nullptr;
    }
    BufferGroup**& page = provided.pages[id / groups_per_page];
    if (page == nullptr) page = static_cast<BufferGroup**>(calloc(groups_per_page, sizeof(BufferGroup*)));
    return page == nullptr ? nullptr : &page[id % groups_per_page];
}

// --- Classic groups -------------------------------------------------------------------------------------------------

void spare(Ring& ring, ProvidedBuffer& buffer) {
    buffer.next = ring.provided.spare;
    ring.provided.spare = &buffer;
}

ProvidedBuffer* take_spare(Ring& ring) {
    ProvidedBuffer* buffer = ring.provided.spare;
    if (buffer == nullptr) return static_cast<ProvidedBuffer*>(malloc(sizeof(ProvidedBuffer)));
    ring.provided.spare = buffer->next;
    return buffer;
}

void hold(Request& request, BufferUse use, uint16_t id) {
    request.set(request_holds_buffer);
    request.buffer_use = use;
    request.buffer_id = id;
}

// A buffer at the address 0 is taken for none, but only when it has been selected.
int unless_nowhere(const iovec& buffer) { return buffer.iov_base == nullptr ? -ENOBUFS : 1; }

int select_classic(Request& request, BufferGroup& group, uint64_t wanted, iovec& buffer) {
    ProvidedBuffer* first = group.buffers.pop();
    if (first == nullptr) return -ENOBUFS;
    --group.count;
    hold(request, BufferUse::classic, first->id);
    request.provided = first;
    buffer = {reinterpret_cast<void*>(first->address), wanted != 0 && wanted < first->length ? wanted : first->length};
    return unless_nowhere(buffer);
}

// --- Buffer rings ---------------------------------------------------------------------------------------------------

io_uring_buf& entry_at(const BufferGroup& group, uint16_t at) {
    return group.memory.shared->bufs[at & (group.entries - 1)];
}

// The one read of a field of an entry: the program may change it at any time.
template <typename T>
T read_once(const T& field) {
    return __atomic_load_n(&field, __ATOMIC_RELAXED);
}

template <typename T>
void write_once(T& field, T value) {
    __atomic_store_n(&field, value, __ATOMIC_RELAXED);
}

// How many buffers the program has added that were not taken yet, by its word: never more than fit into a bundle.
unsigned available(const BufferGroup& group) {
    // Pairs with the program's release store of the tail: the entries before it are whole.
    const uint16_t tail = __atomic_load_n(&group.memory.shared->tail, __ATOMIC_ACQUIRE);
    const auto count = static_cast<uint16_t>(tail - group.head);
    return count < IOV_MAX ? count : IOV_MAX;
}

int select_from_ring(Request& request, BufferGroup& group, uint64_t wanted, iovec& buffer) {
    if (available(group) == 0) return -ENOBUFS;
    const io_uring_buf& next = entry_at(group, group.head);
    const uint32_t length = read_once(next.len);
    buffer = {reinterpret_cast<void*>(read_once(next.addr)), wanted != 0 && wanted < length ? wanted : length};
    hold(request, BufferUse::peeked, read_once(next.bid));
    return unless_nowhere(buffer);
}

// How many buffers a bundle may have. As in the kernel, which asks the length of the first for how many make up what is
// wanted, whatever the lengths of the others.
unsigned most_to_select(uint64_t wanted, uint32_t first_length, unsigned there) {
    if (wanted == 0) return first_length == 0 ? 1 : there;
    if (first_length == 0) return 0;
    const uint64_t needed = (wanted + first_length - 1) / first_length;
    return needed < there ? static_cast<unsigned>(needed) : there;
}

// Withdrawn buffers that nothing has come into are the next of their ring again, unless others have taken some since.
void put_back_unfilled(const Request& request, uint64_t bytes) {
    const WithdrawnBuffers& withdrawn = request.withdrawn;
    BufferGroup* group = find_group(*request.ring, request.buf_index);
    if (group == nullptr || group->serial != withdrawn.serial || group->head != withdrawn.head) return;
    auto at = static_cast<uint16_t>(withdrawn.head - withdrawn.count);
    for (; bytes != 0 && at != withdrawn.head; ++at) {
        const uint32_t length = read_once(entry_at(*group, at).len);
        bytes -= bytes < length ? bytes : length;
    }
    group->head = at;
}

// Moves an incremental ring on by this many bytes. Returns whether the last buffer touched is used up.
bool use_up(BufferGroup& group, uint64_t bytes) {
    if (bytes == 0) return false;
    while (bytes != 0) {
        io_uring_buf& buffer = entry_at(group, group.head);
        const uint32_t length = read_once(buffer.len);
        const auto used = static_cast<uint32_t>(bytes < length ? bytes : length);
        const uint32_t left = length - used;
        // A length of 0 would never be used up.
        if ((left != 0 && left >= group.min_left) || used == 0) {
            write_once<__u64>(buffer.addr, read_once(buffer.addr) + used);
            write_once<__u32>(buffer.len, left);
            return false;
        }
        write_once<__u32>(buffer.len, 0);
        ++group.head;
        bytes -= used;
    }
    return true;
}

}  // namespace

// --- Requests -------------------------------------------------------------------------------------------------------

int select_buffer(Request& request, uint64_t wanted, iovec& buffer) {
    BufferGroup* group = find_group(*request.ring, request.buf_index);
    if (group == nullptr) return -ENOBUFS;
    const int selected = is_buffer_ring(*group) ? select_from_ring(request, *group, wanted, buffer)
                                                : select_classic(request, *group, wanted, buffer);
    return selected < 0 ? selected : 0;
}

int select_bundle(Request& request, uint64_t wanted, iovec* vectors, unsigned count, Empty empty, bool* took_last) {
    BufferGroup* group = find_group(*request.ring, request.buf_index);
    if (group == nullptr) return -ENOBUFS;
    if (!is_buffer_ring(*group)) {
        if (took_last != nullptr) *took_last = group->count <= 1;
        return select_classic(request, *group, wanted, vectors[0]);
    }
    const unsigned there = available(*group);
    if (there == 0) return -ENOBUFS;

    const uint32_t first_length = read_once(entry_at(*group, group->head).len);
    const unsigned most = most_to_select(wanted, first_length, there < count ? there : count);
    if (most == 0) return -ENOBUFS;
    uint64_t left = wanted != 0 ? wanted : INT_MAX;
    unsigned selected = 0;
    while (selected < most && left != 0) {
        const io_uring_buf& buffer = entry_at(*group, static_cast<uint16_t>(group->head + selected));
        uint32_t length = read_once(buffer.len);
        if (length == 0 && selected != 0 && empty == Empty::ends_bundle && group->incremental) break;
        if (length > left) {
            // One that is not used up piece by piece is not begun after others.
            if (!group->incremental && selected != 0) break;
            length = static_cast<uint32_t>(left);
        }
        if (selected == 0) hold(request, BufferUse::peeked, read_once(buffer.bid));
        vectors[selected++] = {reinterpret_cast<void*>(read_once(buffer.addr)), length};
        left -= length;
    }
    if (took_last != nullptr) *took_last = selected == there && left != 0;
    return static_cast<int>(selected);
}

unsigned buffers_filled(const iovec* vectors, unsigned count, uint64_t bytes) {
    unsigned filled = 0;
    while (bytes != 0 && filled < count) {
        const size_t length = vectors[filled++].iov_len;
        bytes -= bytes < length ? bytes : length;
    }
    return filled;
}

void commit_buffer(Request& request, uint64_t bytes, unsigned count) {
    if (!request.has(request_holds_buffer) || request.buffer_use != BufferUse::peeked) return;
    request.buffer_use = BufferUse::committed;
    BufferGroup* group = find_group(*request.ring, request.buf_index);
    if (group == nullptr || !is_buffer_ring(*group)) return;
    if (!group->incremental) {
        group->head = static_cast<uint16_t>(group->head + count);
    } else if (!use_up(*group, bytes)) {
        request.buffer_use = BufferUse::unfinished;
    }
}

void withdraw_buffers(Request& request, unsigned count) {
    if (!request.has(request_holds_buffer) || request.buffer_use != BufferUse::peeked) return;
    BufferGroup* group = find_group(*request.ring, request.buf_index);
    if (group == nullptr || !is_buffer_ring(*group)) return;
    group->head = static_cast<uint16_t>(group->head + count);
    request.buffer_use = BufferUse::withdrawn;
    request.withdrawn = {group->serial, static_cast<uint16_t>(count), group->head};
}

uint32_t consume_buffer(Request& request, long bytes, unsigned count) {
    if (!request.has(request_holds_buffer) || request.buffer_use == BufferUse::registered) return 0;
    if (bytes >= 0) commit_buffer(request, static_cast<uint64_t>(bytes), count);
    if (request.buffer_use == BufferUse::withdrawn && bytes >= 0)
        put_back_unfilled(request, static_cast<uint64_t>(bytes));
    if (request.buffer_use == BufferUse::classic) spare(*request.ring, *request.provided);
    request.clear(request_holds_buffer);
    const uint32_t more = request.buffer_use == BufferUse::unfinished ? IORING_CQE_F_BUF_MORE : 0;
    return IORING_CQE_F_BUFFER | uint32_t{request.buffer_id} << IORING_CQE_BUFFER_SHIFT | more;
}

bool recycle_buffer(Request& request) {
    if (!request.has(request_holds_buffer)) return true;
    if (request.buffer_use == BufferUse::classic) {
        BufferGroup* group = need_group(*request.ring, request.buf_index);
        if (group == nullptr || is_buffer_ring(*group)) {
            spare(*request.ring, *request.provided);
        } else {
            group->buffers.push_front(*request.provided);
            ++group->count;
        }
    } else if (request.buffer_use != BufferUse::peeked) {
        return false;
    }
    request.clear(request_holds_buffer);
    return true;
}

// --- Groups ---------------------------------------------------------------------------------------------------------

BufferGroup* find_group(const Ring& ring, unsigned id) {
    if (ring.provided.pages == nullptr) return nullptr;
    BufferGroup** page = ring.provided.pages[id / groups_per_page];
    return page == nullptr ? nullptr : page[id % groups_per_page];
}

BufferGroup* need_group(Ring& ring, unsigned id) {
    BufferGroup** place = place_of(ring.provided, id);
    if (place == nullptr) return nullptr;
    if (*place == nullptr) *place = static_cast<BufferGroup*>(calloc(1, sizeof(BufferGroup)));
    return *place;
}

bool is_buffer_ring(const BufferGroup& group) { return group.entries != 0; }

int provide_buffer(Ring& ring, BufferGroup& group, uint64_t address, uint32_t length, uint16_t id) {
    if (group.count == most_in_classic_group) return -EOVERFLOW;
    ProvidedBuffer* buffer = take_spare(ring);
    if (buffer == nullptr) return -ENOMEM;
    *buffer = {nullptr, address, length < most_at_once ? length : most_at_once, id};
    group.buffers.push(*buffer);
    ++group.count;
    return 0;
}

unsigned remove_buffers(Ring& ring, BufferGroup& group, unsigned count) {
    unsigned removed = 0;
    while (removed < count && !group.buffers.empty()) {
        spare(ring, *group.buffers.pop());
        --group.count;
        ++removed;
    }
    return removed;
}

uint16_t head_of(const BufferGroup& group) { return group.head; }

int make_buffer_ring(Ring& ring, const io_uring_buf_reg& wanted) {
    BufferGroup* group = find_group(ring, wanted.bgid);
    if (group != nullptr && (is_buffer_ring(*group) || group->count != 0)) return -EEXIST;
    group = need_group(ring, wanted.bgid);
    if (group == nullptr) return -ENOMEM;
    const int result = open_buffer_ring_memory(ring, wanted, group->memory);
    if (result < 0) {
        drop_group(ring, wanted.bgid);
        return result;
    }
    group->serial = ++ring.provided.rings_made;
    group->entries = static_cast<uint16_t>(wanted.ring_entries);
    group->incremental = wanted.flags & IOU_PBUF_RING_INC;
    group->min_left = wanted.min_left;
    return 0;
}

void drop_group(Ring& ring, unsigned id) {
    BufferGroup** place = place_of(ring.provided, id);
    if (place == nullptr || *place == nullptr) return;
    remove_buffers(ring, **place, most_in_classic_group);
    close_buffer_ring_memory(ring, id, (*place)->memory);
    free(*place);
    *place = nullptr;
}

void drop_groups(Ring& ring) {
    ProvidedBuffers& provided = ring.provided;
    for (unsigned page = 0; provided.pages != nullptr && page < pages; ++page) {
        if (provided.pages[page] == nullptr) continue;
        for (unsigned i = 0; i < groups_per_page; ++i) drop_group(ring, page * groups_per_page + i);
        free(provided.pages[page]);
    }
    free(provided.pages);
    provided.pages = nullptr;
    while (ProvidedBuffer* buffer = provided.spare) {
        provided.spare = buffer->next;
        free(buffer);
    }
}

void* mapping_of(const Ring& ring, unsigned id, size_t length) {
    const BufferGroup* group = find_group(ring, id);
    if (group == nullptr || !group->memory.owned || length > group->memory.size) return nullptr;
    return group->memory.shared;
}

}  // namespace ringside::engine
