#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <atomic>

#include "provider/kernel.h"
#include "provider/provider.h"

namespace ringside::provider {
namespace {

constexpr int not_asked = -1;

// The wish as set by set_wish(), or `unset`: then the environment decides.
constexpr int unset = -1;
std::atomic<int> wish_override{unset};

// What the kernel answered when it was asked for a ring: not_asked, 0, or the errno of a refusal for good.
std::atomic<int> kernel_answer{not_asked};

Wish wish_of_environment() {
    const char* text = secure_getenv("RINGSIDE_PROVIDER");
    if (text != nullptr && strcmp(text, "kernel") == 0) return Wish::kernel;
    if (text != nullptr && strcmp(text, "engine") == 0) return Wish::engine;
    return Wish::automatic;
}

Wish current_wish() {
    const int set = wish_override.load(std::memory_order_relaxed);
    return set == unset ? wish_of_environment() : static_cast<Wish>(set);
}

// A refusal that no waiting and no freeing of resources will turn into a yes.
bool refused_for_good(int error) { return error == EPERM || error == ENOSYS || error == EACCES || error == EOPNOTSUPP; }

// Asks the kernel for the smallest ring there is. Only a refusal for good is remembered as such: a process that is out
// of memory or descriptors now still has a kernel that would serve it later.
int ask_kernel() {
    int answer = kernel_answer.load(std::memory_order_relaxed);
    if (answer != not_asked) return answer;
    io_uring_params params = {};
    const int fd = kernel::setup(1, &params);
    if (fd >= 0) ::close(fd);
    answer = fd < 0 && refused_for_good(-fd) ? -fd : 0;
    kernel_answer.store(answer, std::memory_order_relaxed);
    return answer;
}

}  // namespace

void set_wish(Wish wish) { wish_override.store(static_cast<int>(wish), std::memory_order_relaxed); }

Choice choose() {
    const Wish wish = current_wish();
    if (wish == Wish::kernel) return {Kind::kernel, wish, 0, "the kernel's io_uring was asked for"};
    if (wish == Wish::engine) return {Kind::engine, wish, 0, "the engine was asked for"};
    const int refusal = ask_kernel();
    if (refusal == 0) return {Kind::kernel, wish, 0, "the kernel allows io_uring here"};
    return {Kind::engine, wish, refusal, "the kernel refuses io_uring here"};
}

}  // namespace ringside::provider
