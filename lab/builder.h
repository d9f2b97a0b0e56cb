// A program under construction, and the book that keeps its outcome determined.
//
// Requests in flight at the same time may run in any order. So each chain of requests states what it uses, and a chain
// may only use what no other chain in flight changes. An *epoch* ends where the program settles: chains that must have
// completed by then free what they used; chains that may still wait (a read of an empty pipe) keep it.
#pragma once

#include <bitset>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "program.h"
#include "random.h"

namespace ringside::lab {

// What both providers offer, so that programs are about behaviour and not about what is missing.
struct Offer {
    std::bitset<256> opcodes;
    std::bitset<64> registers;
    uint32_t setup_flags = 0;
};

enum class Access : uint8_t { shared, exclusive };

// One of the things a chain can use, as a number: resources by id, then names, memory, and user_data.
using Key = uint64_t;
inline constexpr Key name_key = 1000;
inline constexpr Key memory_key = 2000;
inline constexpr Key buffer_group_key = 3000;
inline constexpr Key fixed_table_key = 4000;
inline constexpr Key children_key = 5000;

// Two ends through which data flows, or one (eventfd, listener): who waits at it decides what else may happen there.
struct Channel {
    static constexpr int no_chain = -1;
    static constexpr int set_going = -2;  // somebody who waited was served: hands off until the epoch ends

    uint32_t id = 0;
    ResourceKind kind = ResourceKind::pipe;
    int epoch_chain = no_chain;  // the chain that uses it in this epoch
    int waiting[2] = {0, 0};     // how many requests may wait at each end
    bool waited_for = false;     // some request has ever waited there, and may still do so
};

// A descriptor that an earlier request gave, and the name it was opened by.
struct Opened {
    uint64_t user_data;
    Key key;
    bool closed = false;
};

// An attribute that a request may have set: on a resource, or a name.
struct Attribute {
    Key key;
    std::string name;
};

// A futex that a request waits for, if it came to that.
struct Sleeper {
    uint64_t user_data;
    Value word;
};

class Builder {
  public:
    Builder(uint64_t seed, const Offer& offer);

    Random random;
    Program program;
    const Offer& offer;

    // --- what there is ---
    uint32_t add_resource(ResourceKind kind, uint32_t flags = 0, uint64_t size = 0);
    // The id of a resource of one of these kinds that the current chain may use so, one that exists or a new one.
    std::optional<uint32_t> resource(std::initializer_list<ResourceKind> kinds, Access access);
    // A new memory object, used by the current chain; none where the program has enough of them.
    std::optional<Value> memory(Memory object);
    Value bytes(uint64_t size, uint8_t fill);
    Value cells(const std::string& label, std::vector<Cell> cells);
    Value path(const std::string& text);
    Value timespec(int64_t seconds, int64_t nanoseconds);

    // A channel of one of these kinds at which the current chain may wait (`waits`), or which it may set going.
    // Gives the descriptor id of the end.
    std::optional<uint32_t> channel(std::initializer_list<ResourceKind> kinds, unsigned end, bool waits);
    Channel* channel_of(uint32_t descriptor_id);
    // Whether a write that changes nothing may be made there: of 0 to an eventfd, or one to a pipe that fails. In the
    // kernel whoever makes such a write wakes those who wait, and a poll that is woken completes, though nothing has
    // come. User space learns nothing of that (docs/differences.md: readiness that passes at once).
    bool bears_empty_wake(uint32_t descriptor_id);
    // Whether a request may wait at this end for ever: nothing was ever sent to it.
    bool is_silent(uint32_t descriptor_id) const { return silent_.contains(descriptor_id); }

    // Whether the CQ takes that many completions: a multishot request that finds it full ends, and when that is is a
    // matter of timing.
    bool has_cq_room(uint32_t completions) const;

    // A name in the scratch directory for the current chain, and its key.
    std::optional<std::pair<std::string, Key>> name(Access access, bool must_exist);
    std::string name_text(Key key) const;

    // --- who uses it ---
    bool may_use(Key key, Access access) const;
    void use(Key key, Access access);
    bool take(Key key, Access access);
    // Two keys may name one thing from now on: after a rename or a hard link.
    void merge(Key one, Key other);

    int begin_chain();
    void chain_may_wait() { waiting_chains_.insert(chain_); }
    bool chain_waits() const { return waiting_chains_.contains(chain_); }
    // Whether the current chain has requests already: the next may then run in a worker.
    bool chain_begun() const { return chain_begun_; }
    bool anyone_waits() const { return !waiting_chains_.empty(); }
    // What is in the SQ goes in one submission. Where that ends within a chain the rest is another, and what came last
    // is a worker's. So of two that wait at one end the first would block there and the other poll, and who is served
    // first is open; and what a time-out counts would depend on when the worker comes to it.
    void submit_in_one() { in_one_ = true; }
    bool is_in_one() const { return in_one_; }
    // From here on nothing is sure to complete: a drain stands behind something that may wait.
    void everything_waits() { stuck_ = true; }
    bool stuck() const { return stuck_; }
    void end_epoch();
    // In a program of drains nothing waits: whether a request behind a drain takes the kernel's slow way depends on how
    // far those before it have come, and one that waits would show the difference.
    bool may_wait = true;
    // Whether the next of the current chain may. Behind a request that a worker of the kernel's has done it waits
    // there, and with all of them occupied nothing else that needs one would begin (docs/differences.md).
    bool can_wait() const;

    // Set once a time-out counts completions. The kernel may look at its count between the moment at which another time
    // is up, which it takes off, and that one's completion, which it adds: less than none is then taken for enough. Set
    // also by one that repeats itself, which must not be given a short time. So no time is up from then on.
    bool no_time_is_up = false;

    // --- requests ---
    uint64_t next_user_data() { return ++last_user_data_; }
    uint64_t last_user_data() const { return last_user_data_; }
    void push(const Sqe& sqe);
    std::vector<uint64_t> settled_requests() const;
    // Those of them that may still wait.
    std::vector<uint64_t> waiting_requests() const;
    bool settled(uint64_t user_data) const { return user_data <= settled_up_to_; }
    uint32_t queued = 0;  // SQEs pushed and not yet entered
    uint32_t linger_us = 0;

    std::vector<Opened> opened;
    std::vector<Key> created;  // names that requests may have made
    std::vector<Attribute> attributes;
    std::vector<Sleeper> sleepers;
    std::set<Key> watched;             // resources that may have been added to epoll instances
    std::set<Key> watching;            // and those instances
    std::vector<int64_t> fixed_files;  // resource ids in the registered table, -1 for empty slots
    std::set<uint64_t> buffer_groups;  // groups that buffers were provided for
    std::set<uint64_t> ring_groups;    // groups that are rings of buffers
    std::vector<Value> fixed_buffers;  // registered buffers
    std::vector<uint64_t> fixed_buffer_sizes;

  private:
    struct Use {
        int chain;
        Access access;
    };

    uint32_t add_new(ResourceKind kind);
    Key canonical(Key key) const;

    std::map<Key, std::vector<Use>> uses_;
    std::map<Key, Key> same_as_;
    std::map<uint32_t, Channel> channels_;
    std::set<uint32_t> silent_;
    std::set<int> waiting_chains_;
    std::set<int> silent_chains_;  // chains in which a success posts nothing
    int chain_ = 0;
    bool stuck_ = false;
    bool in_one_ = false;
    bool chain_begun_ = false;
    uint64_t last_user_data_ = 0;
    uint64_t settled_up_to_ = 0;
    std::vector<uint64_t> unsure_;  // requests of which nobody knows whether they have completed
    uint32_t next_resource_ = 0;
    uint32_t next_memory_ = 0;
};

}  // namespace ringside::lab
