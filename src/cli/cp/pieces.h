// Where a file has data: the pieces that are worth reading, in order, so that holes stay holes.
#pragma once

#include <stdint.h>
#include <sys/stat.h>

#include <optional>

namespace ringside::cli::cp {

struct Piece {
    uint64_t offset;
    unsigned length;
};

class DataPieces {
  public:
    DataPieces() = default;
    // The pieces of the file behind `fd`, each at most `most` bytes long. The caller keeps `fd`. Holes are searched
    // for only in a file that occupies less than its size.
    DataPieces(int fd, const struct statx& attributes, unsigned most);

    // The next piece, or nothing at the end.
    std::optional<Piece> next();

    // Whether parts of the file were or may be left out, its end among them.
    bool may_have_holes() const { return sparse_; }

  private:
    bool find_data();

    int fd_ = -1;
    uint64_t size_ = 0;
    unsigned most_ = 0;
    bool sparse_ = false;
    uint64_t position_ = 0;
    uint64_t data_end_ = 0;
};

}  // namespace ringside::cli::cp
