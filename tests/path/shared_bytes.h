// Bytes that a child reads into, so that its parent can see what it got.
#pragma once

#include <string.h>
#include <sys/mman.h>

namespace ringside::test {

class SharedBytes {
  public:
    SharedBytes() : start_(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {}
    ~SharedBytes() { munmap(start_, size); }
    SharedBytes(const SharedBytes&) = delete;
    SharedBytes& operator=(const SharedBytes&) = delete;

    char* at(size_t offset) const { return static_cast<char*>(start_) + offset; }
    // How many have been written to since the last time.
    size_t take_count() const {
        size_t count = 0;
        for (size_t offset = 0; offset < size; ++offset) count += *at(offset) != 0;
        memset(start_, 0, size);
        return count;
    }

  private:
    static constexpr size_t size = 64;
    void* start_;
};

}  // namespace ringside::test
