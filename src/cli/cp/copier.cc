#include "cli/cp/copier.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

#include "cli/cp/attributes.h"
#include "cli/cp/place.h"
#include "cli/cp/report.h"

namespace ringside::cli::cp {

// The watch on signals is one request more than the user's.
Copier::Copier(const Options& options, Progress& progress, Report& report)
    : report_(report),
      most_jobs_(options.depth),
      queue_(options.depth + 1, options.provider),
      pool_(options.depth, queue_),
      workshop_{queue_, pool_, links_, progress, *this} {
    interruption_.watch(queue_);
}

int Copier::run(std::vector<Item> roots) {
    Walk walk(std::move(roots));
    bool stopped = false;
    for (;;) {
        while (!stopped && jobs_.size() < most_jobs_) {
            auto item = next_item(walk);
            if (!item) break;
            start(std::move(*item));
        }
        if (jobs_.empty()) break;
        queue_.wait_and_complete();
        over_.clear();
        workshop_.progress.tick();
        if (interruption_.signal() != 0 && !stopped) {
            stopped = true;
            stop();
        }
    }
    return interruption_.signal();
}

std::optional<Item> Copier::next_item(Walk& walk) {
    if (again_.empty()) return walk.next();
    Item item = std::move(again_.front());
    again_.pop_front();
    return item;
}

void Copier::start(Item item) {
    if (item.type != DT_REG && !item.follow) return copy_special_item(item);
    auto job = std::make_unique<CopyJob>(std::move(item), workshop_);
    CopyJob& started = *job;
    jobs_.emplace(&started, std::move(job));
    started.start();
}

void Copier::copy_special_item(const Item& item) {
    struct statx attributes;
    if (statx(item.parent->source_fd(), item.source_name.c_str(), AT_SYMLINK_NOFOLLOW, statx_mask, &attributes) != 0) {
        return report_.failure("examine", item.source_path(), errno);
    }
    // Made within this call, so that nobody ever has to wait for it.
    if (links_.claim(item, attributes) == HardLinks::Role::linker) {
        link_to_copy(item, links_.copy_of(attributes));
    } else if (copy_special(item, attributes)) {
        links_.settle(attributes, item.target_path());
    } else {
        links_.settle(attributes, std::nullopt);
    }
}

void Copier::finished(CopyJob& job) {
    const auto found = jobs_.find(&job);
    over_.push_back(std::move(found->second));
    jobs_.erase(found);
}

void Copier::start_again(std::vector<Item> items) {
    for (auto& item : items) again_.push_back(std::move(item));
}

void Copier::stop() {
    queue_.cancel_all();
    std::vector<CopyJob*> running;
    for (const auto& [job, owner] : jobs_) running.push_back(job);
    for (CopyJob* job : running) job->stop();
    over_.clear();
}

}  // namespace ringside::cli::cp
