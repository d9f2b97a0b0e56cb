// The paths that procfs has for a descriptor of the calling thread. Nothing is allocated.
#pragma once

#include <stddef.h>
#include <string.h>

namespace ringside::engine {

class DescriptorPath {
  public:
    // By `files` the file can be opened once more, and its name read; `facts` is a text about the descriptor.
    static constexpr char files[] = "/proc/thread-self/fd/";
    static constexpr char facts[] = "/proc/thread-self/fdinfo/";

    explicit DescriptorPath(int fd, const char* folder = files) {
        char* end = text_ + sizeof text_;
        char* at = end;
        *--at = '\0';
        auto rest = static_cast<unsigned>(fd);
        do *--at = static_cast<char>('0' + rest % 10);
        while ((rest /= 10) != 0);
        memmove(stpcpy(text_, folder), at, static_cast<size_t>(end - at));
    }
    const char* text() const { return text_; }

  private:
    char text_[40];
};

}  // namespace ringside::engine
