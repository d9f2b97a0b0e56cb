#include "builder.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>

#include "liburing/io_uring.h"

namespace ringside::lab {
namespace {

constexpr size_t most_resources = 14;
constexpr uint64_t free_names = 6;

bool is_channel(ResourceKind kind) {
    switch (kind) {
        case ResourceKind::pipe:
        case ResourceKind::stream:
        case ResourceKind::datagram:
        case ResourceKind::seqpacket:
        case ResourceKind::eventfd:
        case ResourceKind::listener:
        case ResourceKind::inet_listener:
            return true;
        default:
            return false;
    }
}

bool contains(std::initializer_list<ResourceKind> kinds, ResourceKind kind) {
    return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
}

}  // namespace

Builder::Builder(uint64_t seed, const Offer& what) : random(seed), offer(what) { program.seed = seed; }

uint32_t Builder::add_resource(ResourceKind kind, uint32_t flags, uint64_t size) {
    const uint32_t id = next_resource_;
    next_resource_ += descriptors_of(kind);
    program.resources.push_back({id, kind, flags, size});
    if (is_channel(kind)) channels_[id] = Channel{.id = id, .kind = kind};
    if (is_channel(kind) && size == 0 && (flags & O_NONBLOCK) == 0) silent_.insert(id);
    return id;
}

// A resource of a kind with the variety that kind allows.
uint32_t Builder::add_new(ResourceKind kind) {
    const auto small_size = [&] { return random.one_of<uint64_t>({0, 1, 10, 100, 1000}); };
    switch (kind) {
        case ResourceKind::file:
            return add_resource(kind,
                                random.one_of<uint32_t>({O_RDWR, O_RDWR, O_RDWR, O_RDWR, O_RDONLY, O_WRONLY,
                                                         O_RDWR | O_APPEND, O_RDWR | O_NONBLOCK}),
                                random.one_of<uint64_t>({0, 10, 512, 4096, 10000}));
        case ResourceKind::memfd:
            return add_resource(kind, 0, random.one_of<uint64_t>({0, 10, 4096, 10000}));
        case ResourceKind::path_only:
            return add_resource(kind, 0, 10);
        case ResourceKind::null:
        case ResourceKind::zero:
            return add_resource(kind, O_RDWR);
        case ResourceKind::eventfd:
            return add_resource(kind, random.percent(20) ? O_NONBLOCK : 0, random.one_of<uint64_t>({0, 0, 1, 7}));
        case ResourceKind::pipe:
        case ResourceKind::stream:
        case ResourceKind::datagram:
        case ResourceKind::seqpacket:
            return add_resource(kind, random.percent(15) ? O_NONBLOCK : 0, random.percent(60) ? 0 : small_size());
        default:
            return add_resource(kind);
    }
}

std::optional<uint32_t> Builder::resource(std::initializer_list<ResourceKind> kinds, Access access) {
    std::vector<uint32_t> usable;
    for (const Resource& resource : program.resources) {
        if (contains(kinds, resource.kind) && may_use(resource.id, access)) usable.push_back(resource.id);
    }
    const bool room = program.resources.size() < most_resources;
    if (usable.empty() && !room) return std::nullopt;
    const bool fresh = usable.empty() || (room && random.percent(30));
    const uint32_t id = fresh ? add_new(random.one_of(kinds)) : random.one_of(usable);
    use(id, access);
    return id;
}

bool Builder::can_wait() const {
    constexpr size_t workers = 8;  // on two processors (ring_memory.h)
    return may_wait && (!chain_begun_ || waiting_chains_.size() + 1 < workers);
}

std::optional<uint32_t> Builder::channel(std::initializer_list<ResourceKind> kinds, unsigned end, bool waits) {
    if (waits && !can_wait()) return std::nullopt;
    std::vector<uint32_t> usable;
    for (const auto& [id, channel] : channels_) {
        if (!contains(kinds, channel.kind)) continue;
        const bool own = channel.epoch_chain == chain_;
        if (channel.epoch_chain != Channel::no_chain && !own) continue;
        // Behind those who wait, only the same chain may wait too; and whoever serves them must be another.
        const bool someone_waits = channel.waiting[0] + channel.waiting[1] != 0;
        if (someone_waits && own != waits) continue;
        usable.push_back(id);
    }
    const bool room = program.resources.size() < most_resources;
    if (usable.empty() && !room) return std::nullopt;
    const bool fresh = usable.empty() || (room && random.percent(30));
    Channel& channel = channels_[fresh ? add_new(random.one_of(kinds)) : random.one_of(usable)];
    const bool pair = descriptors_of(channel.kind) == 2;
    const unsigned at = pair ? end : 0;
    const unsigned other = pair ? 1 - end : 0;
    channel.epoch_chain = chain_;
    if (waits) {
        if (++channel.waiting[at] > 1) submit_in_one();
        channel.waited_for = true;
        chain_may_wait();
    } else {
        silent_.erase(channel.id);
        // Whoever was to serve those who waited before may have failed.
        if (channel.waited_for) channel.epoch_chain = Channel::set_going;
        channel.waiting[other] = std::max(0, channel.waiting[other] - 1);
    }
    return channel.id + at;
}

bool Builder::has_cq_room(uint32_t completions) const {
    const Setup& setup = program.setup;
    return ((setup.flags & IORING_SETUP_CQSIZE) != 0 ? setup.cq_entries : 2 * setup.entries) >= completions;
}

bool Builder::bears_empty_wake(uint32_t descriptor_id) {
    const Channel* channel = channel_of(descriptor_id);
    if (channel == nullptr || !channel->waited_for) return true;
    return channel->kind != ResourceKind::eventfd && channel->kind != ResourceKind::pipe;
}

Channel* Builder::channel_of(uint32_t descriptor_id) {
    for (auto& [id, channel] : channels_) {
        if (descriptor_id >= id && descriptor_id < id + descriptors_of(channel.kind)) return &channel;
    }
    return nullptr;
}

std::optional<Value> Builder::memory(Memory object) {
    if (next_memory_ >= first_read_only_memory) return std::nullopt;
    object.id = next_memory_++;
    use(memory_key + object.id, Access::exclusive);
    program.memories.push_back(object);
    return memory_at(object.id);
}

// The helpers below answer with a bad address where there is no room for more objects: rare, and just as good a test.
Value Builder::bytes(uint64_t size, uint8_t fill) {
    Memory object;
    object.size = size;
    object.fill = fill;
    return memory(object).value_or(number(0));
}

Value Builder::cells(const std::string& label, std::vector<Cell> list) {
    Memory object;
    object.label = label;
    object.cells = std::move(list);
    return memory(object).value_or(number(0));
}

Value Builder::path(const std::string& text) {
    Memory object;
    object.label = "path";
    object.text = text;
    if (text.empty()) object.size = 1;
    return memory(object).value_or(number(0));
}

Value Builder::timespec(int64_t seconds, int64_t nanoseconds) {
    return cells("timespec",
                 {{8, number(static_cast<uint64_t>(seconds))}, {8, number(static_cast<uint64_t>(nanoseconds))}});
}

std::string Builder::name_text(Key key) const {
    if (key >= name_key) return fmt::format("n{}", key - name_key);
    for (const Resource& resource : program.resources) {
        if (resource.id == key && resource.kind == ResourceKind::directory) return fmt::format("d{}", key);
    }
    return fmt::format("f{}", key);
}

std::optional<std::pair<std::string, Key>> Builder::name(Access access, bool must_exist) {
    std::vector<Key> usable;
    for (const Resource& resource : program.resources) {
        const bool named = resource.kind == ResourceKind::file || resource.kind == ResourceKind::directory;
        if (named && may_use(resource.id, access)) usable.push_back(resource.id);
    }
    for (const Key key : created) {
        if (may_use(key, access)) usable.push_back(key);
    }
    if (usable.empty() || !must_exist || random.percent(25)) {
        const Key key = name_key + random.below(free_names);
        if (may_use(key, access)) usable.push_back(key);
    }
    if (usable.empty()) return std::nullopt;
    const Key key = random.one_of(usable);
    use(key, access);
    return std::pair(name_text(key), key);
}

bool Builder::may_use(Key key, Access access) const {
    const auto found = uses_.find(canonical(key));
    if (found == uses_.end()) return true;
    return std::all_of(found->second.begin(), found->second.end(), [&](const Use& use) {
        return use.chain == chain_ || (use.access == Access::shared && access == Access::shared);
    });
}

void Builder::merge(Key one, Key other) {
    const Key first = canonical(one);
    const Key second = canonical(other);
    if (first == second) return;
    same_as_[second] = first;
    std::vector<Use>& uses = uses_[first];
    uses.insert(uses.end(), uses_[second].begin(), uses_[second].end());
}

Key Builder::canonical(Key key) const {
    for (auto found = same_as_.find(key); found != same_as_.end(); found = same_as_.find(key)) {
        key = found->second;
    }
    return key;
}

void Builder::use(Key key, Access access) { uses_[canonical(key)].push_back({chain_, access}); }

bool Builder::take(Key key, Access access) {
    if (!may_use(key, access)) return false;
    use(key, access);
    return true;
}

int Builder::begin_chain() {
    ++chain_;
    chain_begun_ = false;
    if (stuck_) chain_may_wait();
    return chain_;
}

void Builder::end_epoch() {
    for (auto& [key, list] : uses_) {
        std::erase_if(list, [&](const Use& use) { return !waiting_chains_.contains(use.chain); });
    }
    for (auto& [id, channel] : channels_) channel.epoch_chain = Channel::no_chain;
    in_one_ = false;
    settled_up_to_ = last_user_data_;
    ++chain_;
}

void Builder::push(const Sqe& sqe) {
    if ((sqe.flags() & IOSQE_CQE_SKIP_SUCCESS) != 0) silent_chains_.insert(chain_);
    const bool sure = !chain_waits() && !stuck_ && !silent_chains_.contains(chain_);
    program.steps.push_back(Push{sqe, sure});
    if (!sure) unsure_.push_back(sqe.user_data());
    ++queued;
    chain_begun_ = true;
}

std::vector<uint64_t> Builder::waiting_requests() const {
    std::vector<uint64_t> waiting;
    std::copy_if(unsure_.begin(), unsure_.end(), std::back_inserter(waiting),
                 [&](uint64_t each) { return settled(each); });
    return waiting;
}

std::vector<uint64_t> Builder::settled_requests() const {
    std::vector<uint64_t> settled;
    for (uint64_t user_data = 1; user_data <= settled_up_to_; ++user_data) settled.push_back(user_data);
    return settled;
}

}  // namespace ringside::lab
