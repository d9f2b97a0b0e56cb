// Record locks of the process on a file (fcntl(2), F_SETLK), and whether another process is kept out by them.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/eventually.h"
#include "support/files.h"
#include "support/process.h"
#include "support/raw_ring.h"

namespace ringside::test {

inline constexpr unsigned page = 4096;
inline constexpr unsigned file_pages = 4;

struct Range {
    short kind;  // F_RDLCK or F_WRLCK
    off_t start;
    off_t length;  // 0: to the end of the file, wherever that is
};

inline int set_lock(int fd, const Range& range) {
    struct flock lock = {};
    lock.l_type = range.kind;
    lock.l_whence = SEEK_SET;
    lock.l_start = range.start;
    lock.l_len = range.length;
    return fcntl(fd, F_SETLK, &lock) == 0 ? 0 : -errno;
}

// Which of these another process, with a descriptor of its own, gets a lock of: a bit for each.
inline int another_process_gets(const std::string& path, const std::vector<Range>& ranges) {
    return ending_of_child([&] {
        const int own = open(path.c_str(), O_RDWR | O_CLOEXEC);
        int got = 0;
        for (size_t i = 0; i < ranges.size(); ++i) got |= own >= 0 && set_lock(own, ranges[i]) == -EAGAIN ? 0 : 1 << i;
        return got;
    });
}

// What the program has locked, and what another process tries to get.
struct Held {
    const char* name;
    std::vector<Range> locked;
    std::vector<Range> refused;
};

inline const Held held_whole = {"whole_file", {{F_WRLCK, 0, 0}}, {{F_WRLCK, 0, 0}, {F_RDLCK, 5, 1}}};
inline const Held held_ranges = {"ranges_for_writing",
                                 {{F_WRLCK, 0, 10}, {F_WRLCK, page, 100}, {F_WRLCK, 1 << 20, 0}},
                                 {{F_RDLCK, 9, 1}, {F_WRLCK, page + 99, 1}, {F_WRLCK, 1 << 24, 1}}};
inline const Held held_shared = {
    "ranges_for_reading", {{F_RDLCK, 0, 10}, {F_RDLCK, page, 0}}, {{F_WRLCK, 9, 1}, {F_WRLCK, page + 1, 1}}};
inline const Held held_both = {
    "a_range_of_each_kind", {{F_RDLCK, 100, 100}, {F_WRLCK, 300, 100}}, {{F_WRLCK, 100, 1}, {F_RDLCK, 300, 1}}};

// A file of four pages, open and locked.
struct LockedFile {
    explicit LockedFile(const Held& wanted, int open_flags = 0) : held(wanted) {
        fd = Fd(open(path.c_str(), O_RDWR | O_CLOEXEC | open_flags));
        EXPECT_GE(fd.get(), 0);
        for (const Range& range : held.locked) EXPECT_THAT(set_lock(fd, range), Gives(0));
        expect_kept("before anything");
    }
    // An engine that lets go of a file late gets the time for it.
    void expect_kept(const char* when) const {
        for (const int64_t pause_ms : {0, 5}) {
            sleep_ms(pause_ms);
            EXPECT_EQ(another_process_gets(path, held.refused), 0) << when;
        }
    }

    const Held& held;
    TemporaryDirectory directory;
    std::string path = directory.add("file", std::string(file_pages* page, 'c'));
    Fd fd;
};

}  // namespace ringside::test
