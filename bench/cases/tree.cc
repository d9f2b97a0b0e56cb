// Looking at and opening the files of a tree.
#include <fcntl.h>
#include <sys/stat.h>

#include <vector>

#include "case.h"
#include "ring.h"
#include "tree.h"

namespace bench {
namespace {

constexpr unsigned batch_size = 32;

class StatTree final : public Case {
  public:
    unsigned batch() override {
        unsigned slot = 0;
        return ring_.batch(batch_size, 0, [&](io_uring_sqe* sqe) {
            io_uring_prep_statx(sqe, AT_FDCWD, tree_.next(), 0, STATX_BASIC_STATS, &status_[slot++]);
        });
    }

  private:
    Tree tree_;
    struct statx status_[batch_size];
    Ring ring_{batch_size};
};

// One file after the other is opened; its descriptor is closed in the batch that opens the next ones.
class OpenCloseTree final : public Case {
  public:
    unsigned batch() override {
        for (unsigned i = 0; i < batch_size; ++i) {
            io_uring_sqe* const sqe = ring_.sqe();
            io_uring_prep_openat(sqe, AT_FDCWD, tree_.next(), O_RDONLY | O_CLOEXEC, 0);
            sqe->user_data = opening;
        }
        for (const int fd : open_) {
            io_uring_sqe* const sqe = ring_.sqe();
            io_uring_prep_close(sqe, fd);
            sqe->user_data = closing;
        }
        ring_.submit_and_wait(batch_size + static_cast<unsigned>(open_.size()));
        open_.clear();
        ring_.reap([&](const io_uring_cqe* cqe) {
            if (cqe->res < 0) die("openat or close", cqe->res);
            if (cqe->user_data == opening) open_.push_back(cqe->res);
        });
        return batch_size;
    }

  private:
    static constexpr uint64_t opening = 0, closing = 1;
    Tree tree_;
    std::vector<int> open_;
    Ring ring_{2 * batch_size};
};

const Row<StatTree> stat_tree("statx", "statx, 10,000 files in 100 folders, 32 a batch", 1.1);
const Row<OpenCloseTree> open_close_tree("open-close", "openat and close, 10,000 files, 32 a batch", 1.1);

}  // namespace
}  // namespace bench
