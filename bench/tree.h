// A tree of 100 folders with 100 empty files each, all known to the kernel's name cache.
#pragma once

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "die.h"
#include "file.h"

namespace bench {

// The tree is the same for all columns of a run. The first one makes it.
class Tree {
  public:
    static constexpr unsigned folders = 100, files = 100;

    Tree() {
        std::string top = shared_folder();
        alone_ = top.empty();
        if (alone_) {
            top = std::filesystem::temp_directory_path() / "ringside-bench-XXXXXX";
            if (mkdtemp(top.data()) == nullptr) die("mkdtemp", errno);
        }
        top_ = top;
        const int lock = must("open", open(top.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        must("flock", flock(lock, LOCK_EX));
        for (unsigned folder = 0; folder < folders; ++folder) {
            const std::string path = top + "/folder" + std::to_string(folder);
            mkdir(path.c_str(), 0700);
            for (unsigned file = 0; file < files; ++file) add(path + "/file" + std::to_string(file));
        }
        close(lock);
    }
    ~Tree() {
        std::error_code ignored;
        if (alone_) std::filesystem::remove_all(top_, ignored);
    }

    const char* next() { return names_[next_++ % names_.size()].c_str(); }

  private:
    void add(const std::string& name) {
        close(must("open", open(name.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0600)));
        names_.push_back(name);
    }

    bool alone_;
    std::string top_;
    std::vector<std::string> names_;
    size_t next_ = 0;
};

}  // namespace bench
