// Reads and writes of files that were opened with O_DIRECT. They end when the disk has answered, RWF_NOWAIT or not, so
// the submitter does not make them: they are handed to the disk (service/disk.h).
#include <errno.h>
#include <linux/fs.h>

#include "memory/user_memory.h"
#include "ops/ops.h"
#include "ops/rw.h"
#include "ops/vectors.h"
#include "os/fds.h"
#include "service/disk.h"
#include "service/keeper.h"
#include "service/path_face.h"
#include "state/file_facts.h"
#include "state/operation.h"
#include "state/ring.h"

namespace ringside::engine {
namespace {

// No disk has smaller blocks, and transfers of anything but whole ones are refused.
constexpr uint64_t smallest_block = 512;

uint16_t operation_of(const Transfer& transfer) {
    if (transfer.vectored) return transfer.writes ? IOCB_CMD_PWRITEV : IOCB_CMD_PREADV;
    return transfer.writes ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
}

iocb command_of(const Request& request) {
    const auto& transfer = request.as<Transfer>();
    iocb command = {};
    command.aio_lio_opcode = operation_of(transfer);
    command.aio_fildes = static_cast<uint32_t>(request.fd);
    command.aio_buf = transfer.address;
    command.aio_nbytes = transfer.length;
    command.aio_offset = transfer.offset;
    command.aio_rw_flags = transfer.flags | RWF_NOWAIT;
    return command;
}

// Whether the program's number still stands for the file that was given to the disk. While its call goes on it does.
bool is_still_there(const Request& request) {
    const Ring& ring = *request.ring;
    if (ring.submitting_inline || request.has(request_holds_slot)) return true;
    const FileFacts* facts = ring.known_files.facts;
    if (facts == nullptr) return false;
    facts += static_cast<unsigned>(request.fd) % files_known_at_once;
    struct stat status;
    return facts->fd == request.fd && facts->direct && file_status(request.fd, status) == 0 &&
           status.st_dev == facts->device && status.st_ino == facts->inode;
}

// The disk has answered.
void transferred(Request& request, long result) {
    if (result == -EAGAIN && !request.has(request_nowait) && is_still_there(request)) {
        // It would have had to wait for more than the disk.
        return punt(request);
    }
    complete(request, result);
    finish(request);
}

// To copy the one iovec of a request that is submitted alone takes a system call, and another to begin the transfer,
// which reads the iovec too: so that comes first. If it fails, what is wrong is found out in the usual way.
bool begins_with_own_call(const Request& request) {
    const auto& transfer = request.as<Transfer>();
    const Ring& ring = *request.ring;
    return transfer.vectored && !transfer.kept && transfer.length == 1 && transfer.offset != current_position &&
           ring.submitting_inline && queued_entries(ring) == 0;
}

bool begin_with_own_call(Request& request) {
    request.ring->disk.transferred = transferred;
    if (!start_transfer_at_once(request, command_of(request))) return false;
    request.set(request_bounded);
    // What it named is known now to be there, for a worker that might have to do it after all.
    auto& transfer = request.as<Transfer>();
    iovec only;
    read_touched(&only, transfer.address, sizeof(only));
    transfer.address = reinterpret_cast<uintptr_t>(only.iov_base);
    transfer.length = only.iov_len < most_at_once ? static_cast<uint32_t>(only.iov_len) : most_at_once;
    transfer.vectored = false;
    return true;
}

}  // namespace

bool bypasses_cache(const Transfer& transfer, const FileFacts* facts) {
    // The numbers that the way to the disk uses are the program's.
    if (facts == nullptr || !facts->direct || has_own_table()) return false;
    const uint64_t offset = transfer.offset == current_position ? 0 : static_cast<uint64_t>(transfer.offset);
    const uint64_t memory = transfer.vectored ? 0 : transfer.address | transfer.length;
    return ((offset | memory) & (smallest_block - 1)) == 0 && transfer.length != 0;
}

Outcome attempt_direct(Request& request) {
    if (begins_with_own_call(request) && begin_with_own_call(request)) return Outcome::queued;
    const auto& transfer = request.as<Transfer>();
    const int kept = keep_iovecs(request);
    if (kept < 0) return request.done(blame(request, kept));
    request.set(request_bounded);
    if (transfer.offset == current_position) return Outcome::punt;
    if (request.has(IOSQE_FIXED_FILE)) pin_file(request);
    request.ring->disk.transferred = transferred;
    return start_transfer(request, command_of(request)) ? Outcome::queued : Outcome::punt;
}

}  // namespace ringside::engine
