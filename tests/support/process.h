// What this process holds, for tests that nothing is left behind; and children, for what can be tried only once.
#pragma once

#include <gtest/gtest.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <unistd.h>

#include <iosfwd>
#include <string_view>

namespace ringside::test {

struct Holdings {
    size_t fds;
    size_t threads;
    size_t mappings;

    bool operator==(const Holdings&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Holdings& holdings);

// Counted in /proc/self.
size_t count_fds();
size_t count_threads();
size_t count_mappings();
Holdings holdings();

// Whether this process comes to hold no more than it did: threads end a little after their ring is closed. (There may
// be fewer of them than before, as workers of earlier tests go, with the descriptors that they held.)
testing::AssertionResult holds_no_more_than(const Holdings& before);

// The threads of this process whose name begins so.
size_t count_threads_named(std::string_view beginning);

// Whether the calling thread has a capability (CAP_...), and how it gives one up; capabilities are a thread's own.
bool has_capability(unsigned capability);
void drop_capability(unsigned capability);

// The program's limit of descriptors, as it was before at the end.
class DescriptorLimit {
  public:
    explicit DescriptorLimit(rlim_t limit) {
        getrlimit(RLIMIT_NOFILE, &before_);
        const rlimit wanted = {limit, before_.rlim_max};
        EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &wanted), 0);
    }
    ~DescriptorLimit() { setrlimit(RLIMIT_NOFILE, &before_); }
    DescriptorLimit(const DescriptorLimit&) = delete;
    DescriptorLimit& operator=(const DescriptorLimit&) = delete;

  private:
    rlimit before_;
};

// How a child process ended: its exit status, or minus the number of the signal that killed it.
int ending_of(pid_t child);

// Runs `body` in a forked child, which exits with the status that it returns, and waits for it.
template <typename Body>
int ending_of_child(Body body) {
    const pid_t child = fork();
    if (child == 0) _exit(body());
    return ending_of(child);
}

}  // namespace ringside::test
