// IORING_OP_FSETXATTR, SETXATTR, FGETXATTR, GETXATTR: extended attributes. They are on the disk, so a worker does it.
#include <errno.h>
#include <linux/limits.h>
#include <stdlib.h>
#include <sys/xattr.h>

#include "memory/user_memory.h"
#include "ops/one_call.h"
#include "ops/ops.h"
#include "ops/user_data.h"

namespace ringside::engine {
namespace {

struct Attribute {
    uint64_t value;  // the program's, or of a value to set: our copy
    uint32_t size;
    uint32_t flags;
};

// Copies of the program's strings, and of the value to set.
struct Kept {
    char name[XATTR_NAME_MAX + 1];
    char path[PATH_MAX];
    unsigned char value[];
};

Kept& kept(Request& request) { return *static_cast<Kept*>(request.memory); }

// Makes room for the strings and a value of this size. Returns 0 or -ENOMEM.
int make_room(Request& request, size_t value_size) {
    void* memory = malloc(sizeof(Kept) + value_size);
    if (memory == nullptr) return -ENOMEM;
    request.keep(memory);
    return 0;
}

// An empty or too long name is -ERANGE; for a path these are other errors.
int keep_name(Request& request, uint64_t address) {
    const long length = read_string(kept(request).name, address, sizeof(Kept::name));
    if (length == -ENAMETOOLONG || length == 1) return -ERANGE;
    return length < 0 ? static_cast<int>(length) : 0;
}

int keep_file_path(Request& request, uint64_t address) {
    const long length = read_path(kept(request).path, address);
    return length < 0 ? static_cast<int>(length) : 0;
}

int keep_value(Request& request) {
    auto& attribute = request.as<Attribute>();
    if (attribute.size > XATTR_SIZE_MAX) return -E2BIG;
    unsigned char* copy = kept(request).value;
    const int result = read_user(copy, attribute.value, attribute.size);
    attribute.value = reinterpret_cast<uintptr_t>(copy);
    return result;
}

int prepare(Request& request, const io_uring_sqe& sqe, uint32_t known_flags, size_t value_size) {
    request.as<Attribute>() = {sqe.addr2, sqe.len, sqe.xattr_flags};
    request.set(request_bounded);
    if (sqe.xattr_flags & ~known_flags) return -EINVAL;
    const int result = make_room(request, value_size);
    return result < 0 ? result : keep_name(request, sqe.addr);
}

}  // namespace

int fsetxattr_prep(Request& request, const io_uring_sqe& sqe) {
    const size_t value_size = sqe.len <= XATTR_SIZE_MAX ? sqe.len : 0;
    const int result = prepare(request, sqe, XATTR_CREATE | XATTR_REPLACE, value_size);
    return result < 0 ? result : keep_value(request);
}

Outcome fsetxattr_work(Request& request) {
    const auto& attribute = request.as<Attribute>();
    return one_call(request, __NR_fsetxattr, request.fd, kept(request).name, attribute.value, attribute.size,
                    attribute.flags);
}

int setxattr_prep(Request& request, const io_uring_sqe& sqe) {
    if (request.has(IOSQE_FIXED_FILE)) return -EBADF;
    const int result = fsetxattr_prep(request, sqe);
    return result < 0 ? result : keep_file_path(request, sqe.addr3);
}

Outcome setxattr_work(Request& request) {
    const auto& attribute = request.as<Attribute>();
    return one_call(request, __NR_setxattr, kept(request).path, kept(request).name, attribute.value, attribute.size,
                    attribute.flags);
}

int fgetxattr_prep(Request& request, const io_uring_sqe& sqe) { return prepare(request, sqe, 0, 0); }

Outcome fgetxattr_work(Request& request) {
    const auto& attribute = request.as<Attribute>();
    return one_call(request, __NR_fgetxattr, request.fd, kept(request).name, attribute.value, attribute.size);
}

int getxattr_prep(Request& request, const io_uring_sqe& sqe) {
    if (request.has(IOSQE_FIXED_FILE)) return -EBADF;
    const int result = prepare(request, sqe, 0, 0);
    return result < 0 ? result : keep_file_path(request, sqe.addr3);
}

Outcome getxattr_work(Request& request) {
    const auto& attribute = request.as<Attribute>();
    return one_call(request, __NR_getxattr, kept(request).path, kept(request).name, attribute.value, attribute.size);
}

}  // namespace ringside::engine
