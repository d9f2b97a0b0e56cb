// Very many requests that wait for readiness, and what one more costs beside them.
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <vector>

#include "case.h"
#include "ring.h"

namespace bench {
namespace {

class EventFds {
  public:
    explicit EventFds(unsigned count) {
        for (unsigned i = 0; i < count; ++i) fds_.push_back(must("eventfd", eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)));
    }
    ~EventFds() {
        for (const int fd : fds_) close(fd);
    }
    EventFds(const EventFds&) = delete;
    EventFds& operator=(const EventFds&) = delete;

    int operator[](unsigned i) const { return fds_[i]; }
    void raise(unsigned i) const { must("eventfd_write", eventfd_write(fds_[i], 1)); }
    void lower(unsigned i) const {
        eventfd_t value;
        must("eventfd_read", eventfd_read(fds_[i], &value));
    }

  private:
    std::vector<int> fds_;
};

// So many polls on each of so many eventfds: a limit of a few thousand open files is common.
class Polls {
  public:
    static constexpr unsigned on_each = 100;

    explicit Polls(unsigned files) : events_(files) {}

    const EventFds& events() const { return events_; }
    Ring& ring() { return ring_; }
    // Polls are numbered, file by file.
    void arm(unsigned i) {
        io_uring_sqe* const sqe = ring_.sqe_after_submitting();
        io_uring_prep_poll_add(sqe, events_[i / on_each], POLLIN);
        sqe->user_data = i;
    }
    void remove(unsigned i) {
        io_uring_sqe* const sqe = ring_.sqe_after_submitting();
        io_uring_prep_poll_remove(sqe, i);
        sqe->user_data = ~0ULL;
    }

  private:
    EventFds events_;
    Ring ring_{512, with_cq_entries(4096)};
};

// Makes a file ready, reaps its polls, and makes it unready.
void fire(Polls& polls, unsigned file) {
    polls.events().raise(file);
    polls.ring().reap_all(Polls::on_each, [](const io_uring_cqe* cqe) { Ring::check(cqe, POLLIN); });
    polls.events().lower(file);
}

// So many are armed at all times; those of one file after the other fire and are armed again.
template <unsigned count>
class FireAmong final : public Case {
  public:
    FireAmong() {
        for (unsigned i = 0; i < count; ++i) polls_.arm(i);
        polls_.ring().submit();
    }
    unsigned batch() override {
        file_ = (file_ + 1) % files;
        fire(polls_, file_);
        for (unsigned i = 0; i < Polls::on_each; ++i) polls_.arm(file_ * Polls::on_each + i);
        polls_.ring().submit();
        return Polls::on_each;
    }

  private:
    static constexpr unsigned files = count / Polls::on_each;
    Polls polls_{files};
    unsigned file_ = 0;
};

constexpr unsigned many = 100'000;

class ArmAndFire final : public Case {
  public:
    unsigned batch() override {
        for (unsigned i = 0; i < many; ++i) polls_.arm(i);
        polls_.ring().submit();
        for (unsigned file = 0; file < many / Polls::on_each; ++file) fire(polls_, file);
        return many;
    }

  private:
    Polls polls_{many / Polls::on_each};
};

// Among so many that are armed, some are cancelled and armed again.
template <unsigned count>
class CancelAmong final : public Case {
  public:
    CancelAmong() {
        for (unsigned i = 0; i < count; ++i) polls_.arm(i);
        polls_.ring().submit();
    }
    unsigned batch() override {
        for (unsigned i = 0; i < at_once; ++i) polls_.remove((next_ + i) % count);
        unsigned removed = 0;
        polls_.ring().reap_all(2 * at_once, [&](const io_uring_cqe* cqe) { removed += cqe->res == -ECANCELED; });
        if (removed != at_once) die("polls that were not removed", EIO);
        for (unsigned i = 0; i < at_once; ++i) polls_.arm((next_ + i) % count);
        polls_.ring().submit();
        next_ = (next_ + at_once) % count;
        return at_once;
    }

  private:
    static constexpr unsigned at_once = 32;
    Polls polls_{count / Polls::on_each};
    unsigned next_ = 0;
};

const Row<FireAmong<100>> among_100("polls-among-100", "a poll fires and is armed again, 100 armed");
const Row<FireAmong<many>> among_many("polls-among-100k", "a poll fires and is armed again, 100,000 armed",
                                      Terms{.rounds = 5});
const Row<ArmAndFire> arm_fire("polls-100k-fire", "100,000 polls are armed and fire, each", Terms{.rounds = 5});
const Row<CancelAmong<100>> cancel_100("polls-cancel-100", "a poll is cancelled and armed again, 100 armed");
const Row<CancelAmong<many>> cancel_many("polls-cancel-100k", "a poll is cancelled and armed again, 100,000 armed",
                                         Terms{.rounds = 5});

}  // namespace
}  // namespace bench
