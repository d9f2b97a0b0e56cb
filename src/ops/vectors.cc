#include "ops/vectors.h"

#include <errno.h>

#include "memory/user_memory.h"
#include "ops/user_data.h"
#include "state/ring.h"

namespace ringside::engine {

namespace {

// The file is looked up after prep, so the iovecs of a request without a file are checked all the same.
bool has_no_file(const Request& request) {
    if (!request.has(IOSQE_FIXED_FILE)) return false;
    return request.ring->files.find(static_cast<uint32_t>(request.sqe_fd)) == nullptr;
}

}  // namespace

bool starts_later(const Request& request) {
    return has_no_file(request) ||
           request.has(IOSQE_IO_LINK | IOSQE_IO_HARDLINK | IOSQE_ASYNC | IOSQE_IO_DRAIN | request_ordered) ||
           request.ring->chain.head != nullptr;
}

int copy_iovecs(iovec* to, uint64_t from, unsigned count, bool touched) {
    const bool readable = read_user(to, from, count * sizeof(iovec), touched) == 0;
    for (unsigned i = 0; i < count; ++i) {
        // If the array is only partly readable, an invalid length in the readable part wins over -EFAULT.
        if (!readable && read_user(to[i], from + i * sizeof(iovec)) < 0) return -EFAULT;
        if (static_cast<ssize_t>(to[i].iov_len) < 0) return -EINVAL;
    }
    return 0;
}

int check_ranges(const iovec* vectors, unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
        const auto address = reinterpret_cast<uintptr_t>(vectors[i].iov_base);
        if (!is_user_range(address, vectors[i].iov_len)) return -EFAULT;
    }
    return 0;
}

uint64_t total_length(const iovec* vectors, unsigned count) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < count; ++i) sum += vectors[i].iov_len;
    return sum;
}

RestOfVectors::RestOfVectors(iovec* vectors, unsigned count, uint64_t bytes)
    : first_(vectors), count_(count), whole_{} {
    while (count_ > 0 && bytes >= first_->iov_len) {
        bytes -= first_->iov_len;
        ++first_;
        --count_;
    }
    if (count_ == 0) return;
    whole_ = *first_;
    *first_ = {static_cast<char*>(whole_.iov_base) + bytes, whole_.iov_len - bytes};
}

RestOfVectors::~RestOfVectors() {
    if (count_ != 0) *first_ = whole_;
}

}  // namespace ringside::engine
