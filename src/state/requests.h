// A ring's requests: the pool they come from, and the table in which those that wait can be found by user_data.
#pragma once

#include <stdint.h>

#include "state/list.h"
#include "state/request.h"

namespace ringside::engine {

// Requests that wait somewhere, hashed by user_data, newest first within one value. Grows with its content, so that
// finding one costs the same among a hundred and among a hundred thousand.
class RequestTable {
  public:
    void insert(Request& request);
    void remove(Request& request);
    unsigned size() const { return size_; }

    // The newest request with this user_data for which `wanted` says yes; null if there is none.
    template <typename Predicate>
    Request* find(uint64_t user_data, Predicate wanted) {
        if (size_ == 0) return nullptr;
        Bucket& bucket = bucket_of(user_data);
        for (Request* at = bucket.first(); at != nullptr; at = bucket.after(*at)) {
            if (at->user_data == user_data && wanted(*at)) return at;
        }
        return nullptr;
    }

    // Any request that `wanted` accepts, from bucket `from` on. Leaves in `from` the bucket in which it found one. So a
    // caller that takes all such requests out, one by one, goes through the table once.
    template <typename Predicate>
    Request* find_any(Predicate wanted, unsigned& from) {
        for (; from <= mask_ && size_ != 0; ++from) {
            Bucket& bucket = buckets()[from];
            for (Request* at = bucket.first(); at != nullptr; at = bucket.after(*at)) {
                if (wanted(*at)) return at;
            }
        }
        return nullptr;
    }
    template <typename Predicate>
    Request* find_any(Predicate wanted) {
        unsigned from = 0;
        return find_any(wanted, from);
    }

    void destroy();

  private:
    using Bucket = Circle<Request, &Request::hashed>;
    static constexpr unsigned first_buckets = 8;

    Bucket* buckets() { return grown_ != nullptr ? grown_ : small_; }
    Bucket& bucket_of(uint64_t user_data) {
        // Fibonacci hashing: pointers and small counters both spread well.
        return buckets()[(user_data * 0x9e3779b97f4a7c15u >> 40) & mask_];
    }
    void grow();

    Bucket small_[first_buckets];
    Bucket* grown_ = nullptr;
    unsigned mask_ = first_buckets - 1;
    unsigned size_ = 0;
};

class RequestPool {
  public:
    // A request with `ring` set and the rest undefined; null when memory is out.
    Request* take(Ring& ring) {
        Request* request = free_;
        if (__builtin_expect(request == nullptr, 0)) {
            request = add_chunk(ring);
            if (request == nullptr) return nullptr;
        }
        free_ = request->next;
        ++in_use_;
        return request;
    }

    void give_back(Request& request) {
        request.next = free_;
        free_ = &request;
        --in_use_;
    }

    unsigned in_use() const { return in_use_; }

    void destroy();

    RequestTable table;

  private:
    struct Chunk;
    Request* add_chunk(Ring& ring);

    Request* free_ = nullptr;
    Chunk* chunks_ = nullptr;
    unsigned in_use_ = 0;
};

}  // namespace ringside::engine
