// Reads and writes of files that were opened with O_DIRECT. They end when the disk has answered, RWF_NOWAIT or not, so
// the submitter does not make them: they are handed to the disk (service/disk.h).
#include <errno.h>
#include <linux/fs.h>

#include "ops/ops.h"
#include "ops/rw.h"
#include "path/path.h"
#include "service/disk.h"
#include "state/file_facts.h"
#include "state/ring.h"

namespace ringside::engine {
namespace {

// No disk has smaller blocks, and transfers of anything but whole ones are refused.
constexpr uint64_t smallest_block = 512;

uint16_t command_of(const Transfer& transfer) {
    if (transfer.vectored) return transfer.writes ? IOCB_CMD_PWRITEV : IOCB_CMD_PREADV;
    return transfer.writes ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
}

// The disk has answered.
void transferred(Request& request, long result) {
    if (result == -EAGAIN && !request.has(request_nowait)) {
        // It would have had to wait for more than the disk.
        return punt(request);
    }
    complete(request, result);
    finish(request);
}

}  // namespace

bool bypasses_cache(const Transfer& transfer, const FileFacts* facts) {
    if (facts == nullptr || !facts->direct) return false;
    const uint64_t offset = transfer.offset == current_position ? 0 : static_cast<uint64_t>(transfer.offset);
    const uint64_t memory = transfer.vectored ? 0 : transfer.address | transfer.length;
    return ((offset | memory) & (smallest_block - 1)) == 0 && transfer.length != 0;
}

Outcome attempt_direct(Request& request) {
    const auto& transfer = request.as<Transfer>();
    const int kept = keep_iovecs(request);
    if (kept < 0) return request.done(blame(request, kept));
    request.set(request_bounded);
    if (transfer.offset == current_position) return Outcome::punt;
    const int pinned = pin_file(request);
    if (pinned == -EBADF) return request.done(pinned);
    request.ring->disk.transferred = transferred;
    iocb command = {};
    command.aio_lio_opcode = command_of(transfer);
    command.aio_fildes = static_cast<uint32_t>(request.fd);
    command.aio_buf = transfer.address;
    command.aio_nbytes = transfer.length;
    command.aio_offset = transfer.offset;
    command.aio_rw_flags = transfer.flags | RWF_NOWAIT;
    return start_transfer(request, command) ? Outcome::queued : Outcome::punt;
}

}  // namespace ringside::engine
