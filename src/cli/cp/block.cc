#include "cli/cp/block.h"

#include <errno.h>

#include <algorithm>

namespace ringside::cli::cp {
namespace {

constexpr uint64_t current_position = UINT64_MAX;  // the offset that means "where the file stands"

bool is_worth_a_retry(int result) { return result == -EINTR || result == -EAGAIN; }

}  // namespace

// The buffer is left uninitialised, so that blocks which are never used cost no memory.
Block::Block(BlockPool& pool, RequestQueue& queue)
    : pool_(pool), queue_(queue), buffer_(new char[BlockPool::block_size]) {}

void Block::begin(BlockOwner& owner, const Piece& piece) {
    owner_ = &owner;
    piece_ = piece;
    filled_ = 0;
    written_ = 0;
    read();
}

void Block::complete(int result) { writing_ ? write_done(result) : read_done(result); }

void Block::read() {
    writing_ = false;
    queue_.submit(*this, [this](io_uring_sqe* sqe) {
        const uint64_t offset = owner_->streaming() ? current_position : piece_.offset + filled_;
        io_uring_prep_read(sqe, owner_->source_fd(), &buffer_[filled_], piece_.length - filled_, offset);
    });
}

void Block::write() {
    writing_ = true;
    queue_.submit(*this, [this](io_uring_sqe* sqe) {
        io_uring_prep_write(sqe, owner_->target_fd(), &buffer_[written_], filled_ - written_, piece_.offset + written_);
    });
}

void Block::read_done(int result) {
    if (owner_->stopped()) return leave();
    if (is_worth_a_retry(result)) return read();
    if (result < 0) {
        owner_->read_failed(-result);
        return leave();
    }
    filled_ += static_cast<unsigned>(result);
    const bool end_of_file = result == 0;
    const bool full = filled_ == piece_.length;
    // Data of a stream is written at once, since more may be long in coming.
    if (!end_of_file && !full && !owner_->streaming()) return read();
    if (filled_ == 0) return leave();
    write();
}

void Block::write_done(int result) {
    if (owner_->stopped()) return leave();
    if (is_worth_a_retry(result)) return write();
    if (result <= 0) {
        // A write of no bytes without an error means that the file is full.
        owner_->write_failed(result == 0 ? ENOSPC : -result);
        return leave();
    }
    written_ += static_cast<unsigned>(result);
    if (written_ < filled_) return write();
    leave();
}

void Block::leave() {
    BlockOwner& owner = *owner_;
    const Piece piece = piece_;
    const unsigned copied = written_;
    owner_ = nullptr;
    pool_.give_back(*this);
    owner.piece_done(piece, copied);
}

BlockPool::BlockPool(unsigned blocks, RequestQueue& queue) {
    for (unsigned i = 0; i < blocks; ++i) {
        blocks_.push_back(std::make_unique<Block>(*this, queue));
        free_.push_back(blocks_.back().get());
    }
}

bool BlockPool::begin(BlockOwner& owner, const Piece& piece) {
    if (free_.empty()) {
        // An owner is queued once, however often it calls begin().
        if (std::find(waiting_.begin(), waiting_.end(), &owner) == waiting_.end()) waiting_.push_back(&owner);
        return false;
    }
    Block* const block = free_.back();
    free_.pop_back();
    block->begin(owner, piece);
    return true;
}

void BlockPool::forget(BlockOwner& owner) { std::erase(waiting_, &owner); }

void BlockPool::give_back(Block& block) {
    free_.push_back(&block);
    if (waiting_.empty()) return;
    BlockOwner* const next = waiting_.front();
    waiting_.pop_front();
    next->block_available();
}

}  // namespace ringside::cli::cp
