// Between admit and issue: attempts that go into the kernel together. Where a system call is dear, the first attempts
// of a batch's transfers are collected and made by one io_submit(2) (service/carrier.h). Each request is then issued in
// its turn, and its operation takes the answer in place of its first call. What follows (a second call, arming, a
// worker) is as without a carrier.
//
// Order is kept: a request that cannot be carried is only issued after all that were collected before it.
//
// Only what means the same to every file is carried: descriptors are numbers, and a number may stand for another file
// by the time of the call. A read is a read of whatever has the number, as preadv2(2) is. A receive is refused by all
// but sockets, which io_submit(2) cannot express, so it is carried for a registered file alone: what kind of file that
// is does not change.
#include "path/path.h"
#include "service/carrier.h"
#include "state/file_facts.h"
#include "state/ring.h"

namespace ringside::engine {
namespace {

constexpr uint64_t goes_alone =
    IOSQE_IO_LINK | IOSQE_IO_HARDLINK | IOSQE_ASYNC | request_ordered | request_failed | request_impersonates;

// The first of a batch is carried if another SQE follows. That is only a guess, as the SQE is the program's still.
bool begin(Ring& ring) {
    Carried& carried = ring.carried;
    if (queued_entries(ring) == 0 && least_carried() > 1) return false;
    if (carried.carrier == nullptr) carried.carrier = take_carrier();
    return carried.carrier != nullptr;
}

bool carry_attempt(Request& request, const iocb& attempt) {
    Ring& ring = *request.ring;
    Carried& carried = ring.carried;
    if (__builtin_expect(carried.poll_count != 0, 0)) issue_polls(ring);
    if (carried.count == 0 && !begin(ring)) return false;
    carried.carrier->attempts[carried.count] = attempt;
    carried.requests.push(request);
    ++carried.count;
    ring.has_collected = true;
    if (carried.count == most_carried) issue_carried(ring);
    return true;
}

void answer(Request& request, int64_t answer) {
    if (answer == Carrier::no_answer) {
        // A file that was refused once costs a call more each time.
        Ring& ring = *request.ring;
        FileFacts* facts = facts_of(ring.known_files, request.fd, ring.batch);
        if (facts != nullptr) facts->is_refused = true;
        return;
    }
    request.res = static_cast<int32_t>(answer);
    request.set(request_answered);
}

}  // namespace

bool carry(Request& request) {
    Ring& ring = *request.ring;
    if (request.has(goes_alone) || ring.chain.head != nullptr) return false;
    if ((ring.setup_flags & IORING_SETUP_IOPOLL) || resolve_file(request) != 0) return false;
    iocb attempt = {};
    attempt.aio_fildes = static_cast<uint32_t>(request.fd);
    if (!operation_of(request).carry(request, attempt)) return false;
    return attempt.aio_lio_opcode == IOCB_CMD_POLL ? carry_poll(request, attempt) : carry_attempt(request, attempt);
}

void issue_carried(Ring& ring) {
    Carried& carried = ring.carried;
    const unsigned count = carried.count;
    RequestQueue requests = carried.requests.take_all();
    carried.count = 0;
    const Carrier& carrier = *carried.carrier;
    const bool together = count >= least_carried();
    if (together) make_attempts(*carried.carrier, count);
    for (unsigned i = 0; Request* request = requests.pop(); ++i) {
        if (together) answer(*request, carrier.answers[i]);
        issue(*request);
    }
}

void issue_uncarried(Request& request) { issue(request); }

void end_carrying(Ring& ring) {
    give_back(*ring.carried.carrier);
    ring.carried.carrier = nullptr;
}

}  // namespace ringside::engine
