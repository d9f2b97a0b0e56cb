#include "os/fds.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <atomic>

#include "abi/syscall.h"
#include "os/descriptor_path.h"
#include "os/limits.h"

namespace ringside::engine {
namespace {

// The id that procfs shows for an eventfd (Linux 5.2). Other files have none.
class EventfdId {
  public:
    explicit EventfdId(int fd) {
        const DescriptorPath path(fd, DescriptorPath::facts);
        char facts[512];
        const long file = abi::syscall(__NR_openat, AT_FDCWD, path.text(), O_RDONLY | O_CLOEXEC);
        if (file < 0) return;
        const long length = abi::syscall(__NR_read, file, facts, sizeof facts - 1);
        close_fd(static_cast<int>(file));
        if (length <= 0) return;
        facts[length] = '\0';
        constexpr char label[] = "\neventfd-id:";
        const char* found = strstr(facts, label);
        if (found == nullptr) return;
        found += sizeof label - 1;
        const size_t size = strcspn(found, "\n");
        if (size >= sizeof text_) return;
        memcpy(text_, found, size);
    }
    bool is_known() const { return text_[0] != '\0'; }
    const char* text() const { return text_; }

  private:
    char text_[24] = {};
};

// The highest number at which ours begin. The kernel's table of the process grows to the highest number in use, so it
// must not become large for our sake.
constexpr int highest_floor = 10000;

std::atomic<int> number_floor{0};  // 0: not looked up yet

int look_up_floor() {
    constexpr uint64_t usual_limit = 1024;
    const uint64_t half = limit_of(RLIMIT_NOFILE, usual_limit) / 2;
    return half > highest_floor ? highest_floor : static_cast<int>(half);
}

}  // namespace

int duplicate_high(int fd) {
    int floor = number_floor.load(std::memory_order_relaxed);
    if (floor == 0) {
        floor = look_up_floor();
        number_floor.store(floor, std::memory_order_relaxed);
    }
    int high = static_cast<int>(abi::syscall(__NR_fcntl, fd, F_DUPFD_CLOEXEC, floor));
    // The program has lowered its limit since. It may raise it again, so that this is not remembered.
    if (high == -EINVAL) high = static_cast<int>(abi::syscall(__NR_fcntl, fd, F_DUPFD_CLOEXEC, look_up_floor()));
    return high;
}

int move_high(int fd) {
    if (fd < 0) return fd;
    const int high = duplicate_high(fd);
    if (high < 0) return fd;
    close_fd(fd);
    return high;
}

// libc's struct is the kernel's on the processors that we know.
int file_status(int fd, struct stat& status) { return static_cast<int>(abi::syscall(__NR_fstat, fd, &status)); }

bool is_file(int fd) {
    const long flags = abi::syscall(__NR_fcntl, fd, F_GETFL);
    return flags >= 0 && !(flags & O_PATH);
}

bool has_mode(long file_flags, bool writes) {
    const long mode = file_flags & O_ACCMODE;
    return file_flags >= 0 && !(file_flags & O_PATH) && (mode == O_RDWR || mode == (writes ? O_WRONLY : O_RDONLY));
}

mode_t kind_of(int fd) {
    struct stat status;
    return file_status(fd, status) == 0 ? status.st_mode & S_IFMT : 0;
}

bool is_on_disk(int fd) { return is_kind_on_disk(kind_of(fd)); }

int compare_files(int a, int b) {
    if (a == b) return 1;
    constexpr int f_dupfd_query = 1024 + 3;  // Linux 6.10
    constexpr long kcmp_file = 0;
    const long answer = abi::syscall(__NR_fcntl, a, f_dupfd_query, b);
    if (answer >= 0) return answer == 1 ? 1 : 0;
    const long self = abi::syscall(__NR_getpid);
    const long order = abi::syscall(__NR_kcmp, self, self, kcmp_file, a, b);
    return order >= 0 ? order == 0 : static_cast<int>(order);
}

bool same_file(int a, int b) {
    const int answer = compare_files(a, b);
    if (answer >= 0) return answer == 1;
    // On an old kernel whose policy refuses kcmp, the inode is all there is: it cannot tell one open of a file from
    // another.
    struct stat first, second;
    if (file_status(a, first) < 0 || file_status(b, second) < 0) return false;
    if (first.st_dev != second.st_dev || first.st_ino != second.st_ino) return false;
    // All eventfds, timers and the like are of one inode.
    if ((first.st_mode & S_IFMT) != 0) return true;
    const EventfdId id(a), other(b);
    return id.is_known() && strcmp(id.text(), other.text()) == 0;
}

int grow_file(int fd, uint64_t size) {
    struct rlimit64 limit = {RLIM_INFINITY, RLIM_INFINITY};
    abi::syscall(__NR_prlimit64, 0, RLIMIT_FSIZE, nullptr, &limit);
    // Asked first, since growing a file beyond the limit brings a signal.
    const bool hindered = size > limit.rlim_cur;
    if (hindered && size > limit.rlim_max) return -EFBIG;
    const struct rlimit64 widened = {limit.rlim_max, limit.rlim_max};
    if (hindered) abi::syscall(__NR_prlimit64, 0, RLIMIT_FSIZE, &widened, nullptr);
    const long result = abi::syscall(__NR_ftruncate, fd, size);
    if (hindered) abi::syscall(__NR_prlimit64, 0, RLIMIT_FSIZE, &limit, nullptr);
    return static_cast<int>(result);
}

void close_fd(int fd) { abi::syscall(__NR_close, fd); }

void drop_fd(int& fd) {
    if (fd >= 0) close_fd(fd);
    fd = -1;
}

}  // namespace ringside::engine
