// The buffers that data moves through, each with the one request that fills or empties it.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "cli/cp/pieces.h"
#include "cli/cp/queue.h"

namespace ringside::cli::cp {

class BlockPool;

// Whose data a block moves.
class BlockOwner {
  public:
    virtual int source_fd() const = 0;
    virtual int target_fd() const = 0;
    // The source is read where it stands, since it has no offsets.
    virtual bool streaming() const = 0;
    // Nothing more is wanted: a block goes no further than its current request.
    virtual bool stopped() const = 0;

    // A block may be free, after begin() had none.
    virtual void block_available() = 0;
    virtual void read_failed(int error) = 0;
    virtual void write_failed(int error) = 0;
    // The block is done with this piece and has left. `copied` falls short of its length where the file ends, and after
    // a failure.
    virtual void piece_done(const Piece& piece, unsigned copied) = 0;

  protected:
    ~BlockOwner() = default;
};

// Reads a piece and writes it, going on after a short read and a short write.
class Block final : public Request {
  public:
    Block(BlockPool& pool, RequestQueue& queue);

    void begin(BlockOwner& owner, const Piece& piece);
    void complete(int result) override;

  private:
    void read();
    void write();
    void read_done(int result);
    void write_done(int result);
    void leave();

    BlockPool& pool_;
    RequestQueue& queue_;
    std::unique_ptr<char[]> buffer_;

    BlockOwner* owner_ = nullptr;
    Piece piece_ = {};
    unsigned filled_ = 0;
    unsigned written_ = 0;
    bool writing_ = false;
};

class BlockPool {
  public:
    // Large enough to make a request worth its cost, small enough for the processor's cache.
    static constexpr unsigned block_size = 128 * 1024;

    BlockPool(unsigned blocks, RequestQueue& queue);
    BlockPool(const BlockPool&) = delete;
    BlockPool& operator=(const BlockPool&) = delete;

    // Begins to copy the piece, or returns false if no block is free. The pool then calls block_available() when the
    // owner can try again.
    bool begin(BlockOwner& owner, const Piece& piece);
    // This owner does not call begin() any more.
    void forget(BlockOwner& owner);
    void give_back(Block& block);

  private:
    std::vector<std::unique_ptr<Block>> blocks_;
    std::vector<Block*> free_;  // the last one back is the next one out: its memory is still in the cache
    std::deque<BlockOwner*> waiting_;
};

}  // namespace ringside::cli::cp
