#include "support/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <ostream>
#include <string>

#include "support/eventually.h"
#include "support/sanitizers.h"

namespace ringside::test {
namespace {

// Entries of a directory, "." and ".." left out.
size_t count_entries(const char* path) {
    DIR* directory = opendir(path);
    size_t count = 0;
    while (readdir(directory) != nullptr) ++count;
    closedir(directory);
    return count - 2;
}

__user_cap_data_struct& word_of(__user_cap_data_struct (&sets)[2], unsigned capability) {
    return sets[CAP_TO_INDEX(capability)];
}

void read_capabilities(__user_cap_header_struct& header, __user_cap_data_struct (&sets)[2]) {
    header = {_LINUX_CAPABILITY_VERSION_3, 0};
    syscall(SYS_capget, &header, sets);
}

}  // namespace

// The descriptor that lists the directory is in the list.
size_t count_fds() { return count_entries("/proc/self/fd") - 1; }

size_t count_threads() { return count_entries("/proc/self/task"); }

size_t count_threads_named(std::string_view beginning) {
    size_t count = 0;
    std::error_code gone_meanwhile;
    for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task", gone_meanwhile)) {
        std::string name;
        std::getline(std::ifstream(thread.path() / "comm"), name);
        count += name.starts_with(beginning) ? 1 : 0;
    }
    return count;
}

size_t count_mappings() {
    // Read by system calls alone: a buffer from the heap would itself be a mapping more.
    const int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    size_t lines = 0;
    char chunk[4096];
    ssize_t count;
    while ((count = read(fd, chunk, sizeof(chunk))) > 0) {
        for (ssize_t index = 0; index < count; ++index) lines += chunk[index] == '\n' ? 1 : 0;
    }
    close(fd);
    return lines;
}

Holdings holdings() { return {count_fds(), count_threads(), count_mappings()}; }

testing::AssertionResult holds_no_more_than(const Holdings& before) {
    const bool settled = eventually([&] {
        const Holdings now = holdings();
        return now.fds <= before.fds && now.threads <= before.threads &&
               (freed_memory_is_kept || now.mappings <= before.mappings);
    });
    if (settled) return testing::AssertionSuccess();
    return testing::AssertionFailure() << holdings() << "; before: " << before;
}

bool has_capability(unsigned capability) {
    __user_cap_header_struct header;
    __user_cap_data_struct sets[2] = {};
    read_capabilities(header, sets);
    return word_of(sets, capability).effective & CAP_TO_MASK(capability);
}

void drop_capability(unsigned capability) {
    __user_cap_header_struct header;
    __user_cap_data_struct sets[2] = {};
    read_capabilities(header, sets);
    word_of(sets, capability).effective &= ~CAP_TO_MASK(capability);
    syscall(SYS_capset, &header, sets);
}

#if defined(__SANITIZE_ADDRESS__)
namespace {

// The address sanitizer's allocator has a lock that a child inherits as it is, so that a thread of the parent's which
// is just allocating keeps the child from it for ever. (That of the C library sees to forks.) One that sleeps is not,
// and one that is still busy after a while is spinning.
bool others_sleep() {
    const std::string self = std::to_string(gettid());
    std::error_code gone_meanwhile;
    for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task", gone_meanwhile)) {
        if (thread.path().filename() == self) continue;
        std::string line;
        std::getline(std::ifstream(thread.path() / "stat"), line);
        // "number (name) state ..."
        const size_t state = line.rfind(") ");
        if (state != std::string::npos && line[state + 2] != 'S') return false;
    }
    return true;
}

const pid_t started_as = getpid();
[[maybe_unused]] const int settles = pthread_atfork([] { eventually(others_sleep, 20); }, nullptr, nullptr);

}  // namespace

// Asked by the leak sanitizer when a process exits. A child that was forked without an exec has its parent's memory,
// and none of the threads that knew of it.
extern "C" int __lsan_is_turned_off() { return getpid() != started_as; }
#endif

int ending_of(pid_t child) {
    int status = 0;
    if (waitpid(child, &status, 0) != child) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

std::ostream& operator<<(std::ostream& out, const Holdings& held) {
    return out << held.fds << " file descriptors, " << held.threads << " threads, " << held.mappings << " mappings";
}

}  // namespace ringside::test
