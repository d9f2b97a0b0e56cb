#include "resource/fixed_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "abi/syscall.h"
#include "os/fds.h"
#include "os/record_locks.h"
#include "service/helper.h"
#include "service/keeper.h"
#include "service/path_face.h"
#include "service/registrations.h"
#include "service/ring_file.h"

namespace ringside::engine {
namespace {

// One holder less. The completion that a tag asks for comes when the last is gone.
void release(Ring& ring, FixedFile& file) {
    if (--file.holders != 0) return;
    if (file.is_kept) return drop_kept(kept(file));
    forget_number(ring, file.fd);
    file.on_disk ? let_go_of_descriptor(file.fd) : close_fd(file.fd);
    if (file.tag != 0 && !ring.closing) post(ring, file.tag, 0, 0);
    free(&file);
}

// Puts a descriptor of our own into a slot. Uses it up.
int put(Ring& ring, uint32_t index, int own, uint64_t tag, bool on_disk) {
    auto* file = static_cast<FixedFile*>(malloc(sizeof(FixedFile)));
    if (file == nullptr) {
        let_go_of_descriptor(own);
        return -ENOMEM;
    }
    *file = {own, 1, tag, false, on_disk};
    FixedFiles& files = ring.files;
    FixedFile* former = files.slots[index];
    files.slots[index] = file;
    files.hint = index + 1;
    if (former != nullptr) release(ring, *former);
    return 0;
}

// The search for an empty slot begins behind the slot that was filled last, or at the one that was emptied last; at the
// front of the range where that one lies beyond it.
int find_empty(const FixedFiles& files) {
    const bool hint_is_good = files.hint >= files.range_begin && files.hint < files.range_end;
    const uint32_t first = hint_is_good ? files.hint : files.range_begin;
    for (uint32_t index = first; index < files.range_end; ++index) {
        if (files.slots[index] == nullptr) return static_cast<int>(index);
    }
    for (uint32_t index = files.range_begin; index < first; ++index) {
        if (files.slots[index] == nullptr) return static_cast<int>(index);
    }
    return -ENFILE;
}

// A descriptor of our own of what the kernel takes for a file: an O_PATH descriptor names none, and rings are kept out
// since a ring that holds itself would never go away.
int duplicate_file(int fd) {
    if (ring_named(fd) != nullptr) return -EBADF;
    if (!is_file(fd)) return -EBADF;
    const int parked = take_parked(fd);
    return parked >= 0 ? parked : duplicate_high(fd);
}

// The index of the slot that an SQE's `file_index` means, or -errno.
int resolve_slot(FixedFiles& files, uint32_t file_index) {
    if (file_index == IORING_FILE_INDEX_ALLOC) return find_empty(files);
    if (files.count == 0) return -ENXIO;
    return file_index - 1 < files.count ? static_cast<int>(file_index - 1) : -EINVAL;
}

// Puts a descriptor of our own into the slot that an SQE names. Uses it up.
int install_own(Ring& ring, int own, uint32_t file_index, bool on_disk) {
    const int index = resolve_slot(ring.files, file_index);
    if (index < 0) {
        let_go_of_descriptor(own);
        return index;
    }
    const int result = put(ring, static_cast<uint32_t>(index), own, 0, on_disk);
    return result == 0 && file_index == IORING_FILE_INDEX_ALLOC ? index : result;
}

}  // namespace

int make_table(FixedFiles& files, uint32_t count) {
    files.slots = static_cast<FixedFile**>(calloc(count, sizeof(FixedFile*)));
    if (files.slots == nullptr) return -ENOMEM;
    files.count = count;
    set_allocation_range(files, 0, count);
    return 0;
}

void drop_table(Ring& ring) {
    FixedFiles& files = ring.files;
    // From the last to the first: the order in which their tags are told.
    for (uint32_t index = files.count; index > 0; --index) empty_slot(ring, index - 1);
    free(files.slots);
    files = {};
}

void set_allocation_range(FixedFiles& files, uint32_t begin, uint32_t end) {
    files.range_begin = files.hint = begin;
    files.range_end = end;
}

int fill_slot(Ring& ring, uint32_t index, int fd, uint64_t tag) {
    const int own = duplicate_file(fd);
    return own < 0 ? own : put(ring, index, own, tag, true);
}

bool empty_slot(Ring& ring, uint32_t index) {
    FixedFiles& files = ring.files;
    FixedFile* file = files.slots[index];
    if (file == nullptr) return false;
    files.slots[index] = nullptr;
    files.hint = index;
    release(ring, *file);
    return true;
}

int install_direct(Ring& ring, int fd, uint32_t file_index, bool on_disk) {
    // To move it is to close the number that it has.
    const bool stays = on_disk && has_record_locks(fd);
    return install_own(ring, stays ? fd : move_high(fd), file_index, on_disk);
}

int install_copy(Ring& ring, int fd, uint32_t file_index) {
    const int own = duplicate_file(fd);
    return own < 0 ? own : install_own(ring, own, file_index, true);
}

int remove_direct(Ring& ring, uint32_t file_index) {
    if (ring.files.count == 0) return -ENXIO;
    if (file_index - 1 >= ring.files.count) return -EINVAL;
    return empty_slot(ring, file_index - 1) ? 0 : -EBADF;
}

void open_into_slot(Request& request, uint32_t file_index) {
    request.direct_slot = file_index;
    request.set(request_direct);
}

FixedFile* share_file(int fd) {
    const int own = duplicate_high(fd);
    if (own < 0) return nullptr;
    auto* file = static_cast<FixedFile*>(malloc(sizeof(FixedFile)));
    if (file == nullptr) {
        let_go_of_descriptor(own);
    } else {
        *file = {own, 0, 0, false, true};
    }
    return file;
}

KeptFile* share_kept(Ring& ring, int fd, const struct stat& status) {
    HeldByBatch& held = ring.held_by_batch;
    if (held.fd == fd && held.file != nullptr && held.file->is_kept) return &kept(*held.file);
    // Who waits for the same file already shares it, and goes behind those who come later, as in the kernel.
    KeptFile* file = ring.kept.waited_by(fd);
    while (file != nullptr && (file->sqe_number != fd || !is_kept_file(*file, fd, status))) file = file->next_waited;
    if (file != nullptr) return file;
    file = keep_file(ring, fd, status);
    if (file == nullptr || !ring.submitting_inline) return file;
    end_holding_with_batch(ring);
    held.fd = fd;
    held.file = file;
    ++file->holders;
    return file;
}

const FixedFile* held_by_batch(const Ring& ring, int fd) {
    return ring.held_by_batch.fd == fd ? ring.held_by_batch.file : nullptr;
}

bool hold_with_batch(Request& request) {
    Ring& ring = *request.ring;
    HeldByBatch& held = ring.held_by_batch;
    if (held.fd != request.fd || (held.file != nullptr && held.file->is_kept)) {
        end_holding_with_batch(ring);
        held.fd = request.fd;
        held.since = ring.registrations.made;
        return false;
    }
    if (held.file == nullptr) {
        held.file = share_file(request.fd);
        if (held.file == nullptr) return false;
        ++held.file->holders;
    }
    request.fixed_file = held.file;
    request.fd = held.file->fd;
    hold(request);
    return true;
}

void end_holding_with_batch(Ring& ring) {
    HeldByBatch& held = ring.held_by_batch;
    if (held.file != nullptr) release(ring, *held.file);
    held = {};
}

void hold(Request& request) {
    if (request.has(request_holds_slot)) return;
    ++request.fixed_file->holders;
    request.set(request_holds_slot);
}

void let_go_of_descriptor(int own) {
    if (!close_or_park(own)) keep_helper();
}

void let_go(Ring& ring, FixedFile& file) { release(ring, file); }

void let_go(Request& request) {
    if (request.has(request_holds_slot)) release(*request.ring, *request.fixed_file);
}

}  // namespace ringside::engine
