#include "cli/cp/links.h"

#include "cli/cp/attributes.h"

namespace ringside::cli::cp {

HardLinks::Identity HardLinks::identity_of(const struct statx& attributes) {
    return {device_of(attributes), attributes.stx_ino};
}

HardLinks::Role HardLinks::claim(const Item& item, const struct statx& attributes) {
    if (attributes.stx_nlink < 2) return Role::copier;
    const auto [copy, first] = copies_.try_emplace(identity_of(attributes));
    if (first) return Role::copier;
    if (!copy->second.path.empty()) return Role::linker;
    copy->second.waiting.push_back(item);
    return Role::waiter;
}

const std::string& HardLinks::copy_of(const struct statx& attributes) const {
    return copies_.at(identity_of(attributes)).path;
}

std::vector<Item> HardLinks::settle(const struct statx& attributes, std::optional<std::string> path) {
    const auto copy = copies_.find(identity_of(attributes));
    if (copy == copies_.end()) return {};
    auto waiting = std::exchange(copy->second.waiting, {});
    if (path) {
        copy->second.path = std::move(*path);
    } else {
        copies_.erase(copy);
    }
    return waiting;
}

}  // namespace ringside::cli::cp
