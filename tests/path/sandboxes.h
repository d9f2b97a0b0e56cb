// Sandboxes that a thread enters for itself, and operations on names and rights, for tests of what is left of the one
// for the other.
#pragma once

#include <string>
#include <vector>

#include "support/files.h"
#include "support/sqe.h"

namespace ringside::test {

// A directory `outside`, with things in it, and an empty one beside it, `jail`.
class World {
  public:
    // Whose the things in it are.
    explicit World(unsigned owner);

    // Makes `outside` the calling thread's current directory; or `jail`.
    void go(bool to_jail) const;

    // What there is in both, by names and sizes.
    std::vector<std::string> content() const;

    int file() const { return file_; }
    int socket() const { return socket_; }

  private:
    TemporaryDirectory directory_;
    Fd outside_, jail_, file_, socket_;
};

// A request, and the system call that does the same. The answers of the latter are as in a CQE.
struct Deed {
    const char* name;
    Sqe (*ask)(const World&);
    long (*tell)(const World&);
};
extern const std::vector<Deed> deeds;

struct Sandbox {
    const char* name;
    bool (*enter)();  // false if it cannot be had here
    unsigned owner;   // of the world outside
    bool has_jail;
    // The kernel's io_uring does what a filter of system calls forbids. The engine's requests are system calls.
    bool is_of_calls;
};
extern const std::vector<Sandbox> sandboxes;

}  // namespace ringside::test
