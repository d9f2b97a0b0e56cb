#include "preload/filter.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>

#include "abi/syscall.h"
#include "preload/question.h"

namespace ringside::preload {
namespace {

#if defined(__x86_64__)
constexpr uint32_t own_architecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t own_architecture = AUDIT_ARCH_AARCH64;
#endif

constexpr sock_filter load(size_t offset) { return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset)); }
constexpr sock_filter answer(uint32_t action) { return BPF_STMT(BPF_RET | BPF_K, action); }
constexpr sock_filter if_equal(uint32_t value, uint8_t yes, uint8_t no) {
    return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no);
}
constexpr sock_filter if_at_least(uint32_t value, uint8_t yes, uint8_t no) {
    return BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, value, yes, no);
}

constexpr size_t number_at = offsetof(seccomp_data, nr);
constexpr size_t architecture_at = offsetof(seccomp_data, arch);
// The low half of an argument, on processors that put it first.
constexpr size_t argument_at(size_t index) { return offsetof(seccomp_data, args) + index * sizeof(uint64_t); }

template <size_t length>
int load_filter(sock_filter (&program)[length]) {
    const sock_fprog filter = {length, program};
    // Without SPEC_ALLOW (Linux 4.17) a filter makes some processors slower for the whole process.
    constexpr unsigned every_thread = SECCOMP_FILTER_FLAG_TSYNC;
    constexpr unsigned at_full_speed = every_thread | SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    long result = abi::syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, at_full_speed, &filter);
    if (result == -EINVAL) result = abi::syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, every_thread, &filter);
    return static_cast<int>(result);
}

// Calls of another architecture and of the x32 ABI have other numbers. They pass.
int load_calls_filter() {
    constexpr Question question = about_filter;
    static_assert(__NR_io_uring_enter == __NR_io_uring_setup + 1 && __NR_io_uring_register == __NR_io_uring_setup + 2);
    sock_filter program[] = {
        load(architecture_at),
        if_equal(own_architecture, 0, 9),
        load(number_at),
        if_equal(__NR_close, 3, 0),
        if_at_least(__NR_io_uring_setup, 0, 6),
        if_at_least(__NR_io_uring_register + 1, 5, 0),
        answer(SECCOMP_RET_TRAP),
        // close(-1, mark) asks whether the filter is there (question.h). Any other close passes.
        load(argument_at(1)),
        if_equal(question.mark, 0, 2),
        load(argument_at(0)),
        if_equal(UINT32_MAX, 1, 0),
        answer(SECCOMP_RET_ALLOW),
        answer(SECCOMP_RET_ERRNO | question.answer),
    };
    return load_filter(program);
}

}  // namespace

bool is_filter_installed() { return filter_answers(about_filter); }

int install_filter() {
    if (is_filter_installed()) return 0;
    int result = load_calls_filter();
    if (result == -EACCES) {
        // Without CAP_SYS_ADMIN the kernel requires no_new_privs, so that no setuid program gains privileges under
        // the filter.
        abi::syscall(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        result = load_calls_filter();
    }
    // A positive result is the id of a thread whose own filters do not allow the synchronization.
    return result > 0 ? -ESRCH : result;
}

}  // namespace ringside::preload
