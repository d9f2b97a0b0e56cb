#include "service/write_order.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "abi/syscall.h"
#include "os/fds.h"
#include "state/operation.h"
#include "state/ring.h"

namespace ringside::engine {
namespace {

constexpr uint64_t bit_of(uint8_t turn) { return uint64_t{1} << (turn - 1); }

Queue<Request, &Request::next>& line_of(const Request& request) {
    return request.ring->write_order.in_line[request.write_turn - 1];
}

}  // namespace

uint8_t turn_of(const Request& request) {
    if (!(operation_of(request).flags & op_in_order)) return 0;
    struct stat status;
    if (file_status(request.fd, status) != 0 || !S_ISREG(status.st_mode)) return 0;
    // Writes with O_DIRECT may run side by side.
    const long flags = abi::syscall(__NR_fcntl, request.fd, F_GETFL);
    if (flags >= 0 && (flags & O_DIRECT)) return 0;
    constexpr uint64_t golden_ratio = 0x9e3779b97f4a7c15;
    const uint64_t hash = (status.st_ino + status.st_dev * golden_ratio) * golden_ratio;
    return static_cast<uint8_t>(1 + (hash >> 58));
}

bool take_turn(Request& request, uint8_t turn) {
    request.write_turn = turn & 127;
    if (turn == 0) return true;
    WriteOrder& order = request.ring->write_order;
    if (order.taken & bit_of(turn)) {
        line_of(request).push(request);
        return false;
    }
    order.taken |= bit_of(turn);
    return true;
}

Request* end_turn(Request& request) {
    if (request.write_turn == 0) return nullptr;
    Request* next = line_of(request).pop();
    if (next == nullptr) request.ring->write_order.taken &= ~bit_of(request.write_turn);
    request.write_turn = 0;
    return next;
}

bool leave_line(Request& request) {
    if (request.write_turn == 0 || !line_of(request).remove(request)) return false;
    request.write_turn = 0;
    return true;
}

bool has_to_line_up(const Request& request) {
    const uint8_t turn = turn_of(request);
    return turn != 0 && (request.ring->write_order.taken & bit_of(turn));
}

}  // namespace ringside::engine
