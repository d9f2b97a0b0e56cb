#include "state/requests.h"

#include <stdlib.h>

#include "state/ring.h"
#include "state/submitter.h"

namespace ringside::engine {

// About a page and a half of requests at a time: small for a ring that never waits, few calls for one that waits a lot.
struct RequestPool::Chunk {
    static constexpr unsigned count = 32;
    Chunk* next;
    Request requests[count];
};

Request* RequestPool::add_chunk(Ring& ring) {
    auto* chunk = static_cast<Chunk*>(calloc(1, sizeof(Chunk)));
    if (chunk == nullptr) return nullptr;
    chunk->next = chunks_;
    chunks_ = chunk;
    for (unsigned i = Chunk::count; i-- > 0;) {
        Request& request = chunk->requests[i];
        request.ring = &ring;
        request.next = free_;
        free_ = &request;
    }
    return free_;
}

void RequestPool::destroy() {
    table.destroy();
    while (chunks_ != nullptr) {
        Chunk* next = chunks_->next;
        free(chunks_);
        chunks_ = next;
    }
    free_ = nullptr;
    in_use_ = 0;
}

void RequestTable::insert(Request& request) {
    if (request.has(request_hashed)) return;
    if (request.ring->submitting_inline) note_submitter(request);
    if (size_ > 2 * mask_) grow();
    bucket_of(request.user_data).push_front(request);
    request.set(request_hashed);
    ++size_;
}

void RequestTable::remove(Request& request) {
    if (!request.has(request_hashed)) return;
    bucket_of(request.user_data).remove(request);
    request.clear(request_hashed);
    --size_;
}

// Four times the buckets, so that moving is rare. Where there is no memory the table stays as it is: slower, not wrong.
void RequestTable::grow() {
    const unsigned wanted = 4 * (mask_ + 1);
    auto* larger = static_cast<Bucket*>(calloc(wanted, sizeof(Bucket)));
    if (larger == nullptr) return;
    Bucket* smaller = buckets();
    const unsigned smaller_mask = mask_;
    Bucket* const old_grown = grown_;
    grown_ = larger;
    mask_ = wanted - 1;
    for (unsigned i = 0; i <= smaller_mask; ++i) {
        // From the front to the back, so that the newest stays in front.
        while (Request* newest = smaller[i].first()) {
            smaller[i].remove(*newest);
            bucket_of(newest->user_data).push_back(*newest);
        }
    }
    free(old_grown);
}

void RequestTable::destroy() {
    free(grown_);
    grown_ = nullptr;
    mask_ = first_buckets - 1;
    size_ = 0;
    for (Bucket& bucket : small_) bucket = {};
}

}  // namespace ringside::engine
