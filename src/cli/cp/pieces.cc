#include "cli/cp/pieces.h"

#include <errno.h>
#include <unistd.h>

#include <algorithm>

namespace ringside::cli::cp {

constexpr uint64_t bytes_per_block_count = 512;  // the unit of stx_blocks, whatever the file system's own is

DataPieces::DataPieces(int fd, const struct statx& attributes, unsigned most)
    : fd_(fd),
      size_(attributes.stx_size),
      most_(most),
      sparse_(attributes.stx_blocks * bytes_per_block_count < attributes.stx_size),
      data_end_(sparse_ ? 0 : size_) {}

std::optional<Piece> DataPieces::next() {
    if (position_ == data_end_ && !find_data()) return std::nullopt;
    const auto length = static_cast<unsigned>(std::min<uint64_t>(most_, data_end_ - position_));
    const Piece piece = {position_, length};
    position_ += length;
    return piece;
}

// Moves on to the next run of data. lseek is no io_uring operation; it reads no data and does not disturb reads that
// name their offset.
bool DataPieces::find_data() {
    if (position_ >= size_) return false;
    const off_t data = lseek(fd_, static_cast<off_t>(position_), SEEK_DATA);
    if (data < 0) {
        // ENXIO: nothing but a hole up to the end. Any other answer comes from a file system that knows no holes, where
        // all that is left counts as data.
        if (errno == ENXIO) {
            position_ = data_end_ = size_;
            return false;
        }
        data_end_ = size_;
        return true;
    }
    const off_t hole = lseek(fd_, data, SEEK_HOLE);
    position_ = static_cast<uint64_t>(data);
    data_end_ = hole < 0 ? size_ : std::min(size_, static_cast<uint64_t>(hole));
    // The file may have shrunk or changed since its size was read.
    return position_ < data_end_;
}

}  // namespace ringside::cli::cp
