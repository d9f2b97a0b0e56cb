#include "cli/cp/job.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "cli/cp/attributes.h"
#include "cli/cp/place.h"
#include "cli/cp/report.h"

namespace ringside::cli::cp {
namespace {

// One file must not take all blocks while others wait. More blocks than this make a file no faster.
constexpr unsigned most_pieces_under_way = 16;

constexpr mode_t mode_while_copying = 0600;

}  // namespace

CopyJob::CopyJob(Item item, Workshop& workshop) : workshop_(workshop), item_(std::move(item)) {}

void CopyJob::complete(int result) {
    const Step step = std::exchange(next_step_, nullptr);
    (this->*step)(result);
}

void CopyJob::start() {
    submit(&CopyJob::source_opened, [this](io_uring_sqe* sqe) {
        const int flags = O_RDONLY | O_CLOEXEC | (item_.follow ? 0 : O_NOFOLLOW);
        io_uring_prep_openat(sqe, item_.parent->source_fd(), item_.source_name.c_str(), flags, 0);
    });
}

void CopyJob::source_opened(int result) {
    if (result < 0) return fail("open", item_.source_path(), -result);
    source_fd_ = result;
    if (stopped_) return abandon();
    submit(&CopyJob::source_examined, [this](io_uring_sqe* sqe) {
        io_uring_prep_statx(sqe, source_fd_, "", AT_EMPTY_PATH, statx_mask, &attributes_);
    });
}

void CopyJob::source_examined(int result) {
    if (result < 0) return fail("examine", item_.source_path(), -result);
    if (stopped_ || !may_replace_target(item_, attributes_)) return give_up();

    switch (workshop_.links.claim(item_, attributes_)) {
        case HardLinks::Role::copier:
            claimed_ = true;
            break;
        case HardLinks::Role::linker:
            if (link_to_copy(item_, workshop_.links.copy_of(attributes_))) workshop_.progress.add_file();
            return close_source();
        case HardLinks::Role::waiter:
            return close_source();
    }
    streaming_ = !S_ISREG(attributes_.stx_mode);
    // Files of /proc and the like have content and no size.
    sized_ = !streaming_ && attributes_.stx_size > 0;
    if (sized_) pieces_ = DataPieces(source_fd_, attributes_, BlockPool::block_size);
    end_ = sized_ ? attributes_.stx_size : 0;
    open_temporary();
}

void CopyJob::open_temporary() {
    temporary_ = temporary_name();
    submit(&CopyJob::temporary_opened, [this](io_uring_sqe* sqe) {
        const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
        io_uring_prep_openat(sqe, item_.parent->target_fd(), temporary_.c_str(), flags, mode_while_copying);
    });
}

void CopyJob::temporary_opened(int result) {
    if (result == -EEXIST && !stopped_) return open_temporary();
    if (result < 0) {
        temporary_.clear();
        return fail("create", item_.target_path(), -result);
    }
    target_fd_ = result;
    if (stopped_) return abandon();
    copy_pieces();
}

void CopyJob::copy_pieces() {
    while (!all_begun_ && pieces_under_way_ < most_pieces_under_way) {
        if (!ahead_) ahead_ = next_piece();
        if (!ahead_) break;
        if (!workshop_.pool.begin(*this, *ahead_)) return;
        ahead_.reset();
        ++pieces_under_way_;
    }
    if (all_begun_ && pieces_under_way_ == 0) data_copied();
}

// Without a size nothing is known about the next piece before the last one has come.
std::optional<Piece> CopyJob::next_piece() {
    if (!sized_) {
        if (pieces_under_way_ > 0) return std::nullopt;
        return Piece{stream_offset_, BlockPool::block_size};
    }
    auto piece = pieces_.next();
    all_begun_ = !piece;
    return piece;
}

void CopyJob::piece_done(const Piece& piece, unsigned copied) {
    --pieces_under_way_;
    workshop_.progress.add_bytes(copied);
    if (stopped_) {
        if (pieces_under_way_ == 0) abandon();
        return;
    }
    if (sized_) {
        // The file has become shorter since it was examined.
        if (copied < piece.length) end_ = std::min(end_, piece.offset + copied);
    } else {
        stream_offset_ += copied;
        end_ = stream_offset_;
        all_begun_ = copied == 0;
    }
    copy_pieces();
}

void CopyJob::read_failed(int error) { fail("read", item_.source_path(), error); }

void CopyJob::write_failed(int error) { fail("write", item_.target_path(), error); }

void CopyJob::data_copied() {
    // The size alone makes a hole at the end.
    if (pieces_.may_have_holes() && ftruncate(target_fd_, static_cast<off_t>(end_)) != 0) {
        return fail("set the size of", item_.target_path(), errno);
    }
    if (const int error = keep_attributes(target_fd_, attributes_); error != 0) {
        // A copy with a wrong date is still a copy: it is reported and kept.
        item_.parent->report().failure("keep the attributes of", item_.target_path(), error);
    }
    if (!item_.parent->fsync()) return close_target();
    submit(&CopyJob::synced, [this](io_uring_sqe* sqe) { io_uring_prep_fsync(sqe, target_fd_, 0); });
}

void CopyJob::synced(int result) {
    if (result < 0) return fail("write to disk", item_.target_path(), -result);
    if (stopped_) return abandon();
    close_target();
}

void CopyJob::close_target() {
    submit(&CopyJob::target_closed, [this](io_uring_sqe* sqe) { io_uring_prep_close(sqe, target_fd_); });
}

// Some file systems report only now that data could not be kept.
void CopyJob::target_closed(int result) {
    if (result != -ECANCELED) target_fd_ = -1;
    if (result < 0) return fail("finish writing", item_.target_path(), -result);
    if (stopped_) return abandon();
    const int error = give_final_name(item_, std::exchange(temporary_, {}));
    if (error != 0) return fail("create", item_.target_path(), error);
    workshop_.progress.add_file();
    claimed_ = false;
    workshop_.foreman.start_again(workshop_.links.settle(attributes_, item_.target_path()));
    close_source();
}

void CopyJob::close_source() {
    submit(&CopyJob::source_closed, [this](io_uring_sqe* sqe) { io_uring_prep_close(sqe, source_fd_); });
}

void CopyJob::source_closed(int result) {
    if (result == -ECANCELED) close(source_fd_);
    workshop_.foreman.finished(*this);
}

void CopyJob::fail(const char* action, const std::string& path, int error) {
    if (!stopped_) item_.parent->report().failure(action, path, error);
    give_up();
}

void CopyJob::stop() { give_up(); }

// Ends at once, or when the requests in flight have completed.
void CopyJob::give_up() {
    stopped_ = true;
    workshop_.pool.forget(*this);
    if (next_step_ == nullptr && pieces_under_way_ == 0) abandon();
}

void CopyJob::abandon() {
    if (target_fd_ >= 0) close(target_fd_);
    if (!temporary_.empty()) unlinkat(item_.parent->target_fd(), temporary_.c_str(), 0);
    if (source_fd_ >= 0) close(source_fd_);
    if (claimed_) workshop_.foreman.start_again(workshop_.links.settle(attributes_, std::nullopt));
    workshop_.foreman.finished(*this);
}

}  // namespace ringside::cli::cp
