// The copy of one file's content, as a small state machine: each step submits a request and names the step that takes
// its result. Only the data itself moves through several requests at a time.
//
//   open source -> examine -> open temporary -> [pieces of data] -> attributes, [fsync] -> close, rename -> close
//   source
//
// Whatever fails on the way, or a stop from outside, leads to abandon(), which leaves nothing behind.
#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>

#include "cli/cp/block.h"
#include "cli/cp/item.h"
#include "cli/cp/links.h"
#include "cli/cp/progress.h"
#include "cli/cp/queue.h"

namespace ringside::cli::cp {

class CopyJob;

// Starts the jobs and is notified by them.
class Foreman {
  public:
    // The job is over. It may be destroyed once the current completion has returned.
    virtual void finished(CopyJob& job) = 0;
    // Items that waited for another name of their file.
    virtual void start_again(std::vector<Item> items) = 0;

  protected:
    ~Foreman() = default;
};

// The objects that all jobs share.
struct Workshop {
    RequestQueue& queue;
    BlockPool& pool;
    HardLinks& links;
    Progress& progress;
    Foreman& foreman;
};

class CopyJob final : public Request, public BlockOwner {
  public:
    CopyJob(Item item, Workshop& workshop);

    void start();
    // Ends the job without an error message, because the whole copy was interrupted.
    void stop();
    void complete(int result) override;

    int source_fd() const override { return source_fd_; }
    int target_fd() const override { return target_fd_; }
    bool streaming() const override { return streaming_; }
    bool stopped() const override { return stopped_; }
    void block_available() override { copy_pieces(); }
    void read_failed(int error) override;
    void write_failed(int error) override;
    void piece_done(const Piece& piece, unsigned copied) override;

  private:
    using Step = void (CopyJob::*)(int result);

    template <typename Prepare>
    void submit(Step next, Prepare prepare) {
        next_step_ = next;
        workshop_.queue.submit(*this, prepare);
    }

    void source_opened(int result);
    void source_examined(int result);
    void open_temporary();
    void temporary_opened(int result);
    void copy_pieces();
    std::optional<Piece> next_piece();
    void data_copied();
    void synced(int result);
    void close_target();
    void target_closed(int result);
    void close_source();
    void source_closed(int result);

    void fail(const char* action, const std::string& path, int error);
    void give_up();
    void abandon();

    Workshop& workshop_;
    const Item item_;
    Step next_step_ = nullptr;  // the step that waits for a result, if one does

    struct statx attributes_ = {};
    bool claimed_ = false;  // the other names of this file wait for settle()
    int source_fd_ = -1;
    int target_fd_ = -1;
    std::string temporary_;  // its name, while it may exist

    DataPieces pieces_;
    bool streaming_ = false;
    bool sized_ = true;  // the size is known beforehand; otherwise one piece is read after the other
    uint64_t stream_offset_ = 0;
    std::optional<Piece> ahead_;  // the piece that waits for a block
    unsigned pieces_under_way_ = 0;
    bool all_begun_ = false;
    uint64_t end_ = 0;  // where the data ends, holes included

    bool stopped_ = false;
};

}  // namespace ringside::cli::cp
