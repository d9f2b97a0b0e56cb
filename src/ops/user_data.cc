#include "ops/user_data.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "memory/user_memory.h"
#include "ops/vectors.h"
#include "state/ring.h"

namespace ringside::engine {
namespace {

constexpr size_t longest_path = 4096;  // with its end
constexpr uint64_t page = 4096;
constexpr size_t piece = 256;

int keep_copy(Request& request, const char* text, size_t length) {
    void* copy = malloc(length);
    if (copy == nullptr) return -ENOMEM;
    memcpy(copy, text, length);
    request.keep(copy);
    return 0;
}

}  // namespace

long read_string(char* to, uint64_t from, size_t most) {
    size_t length = 0;
    while (length < most) {
        const uint64_t at = from + length;
        size_t now = page - at % page;
        if (now > most - length) now = most - length;
        // Few strings are long.
        if (now > piece) now = piece;
        if (read_user(to + length, at, now) < 0) return -EFAULT;
        const void* end = memchr(to + length, 0, now);
        if (end != nullptr) return static_cast<const char*>(end) - to + 1;
        length += now;
    }
    return -ENAMETOOLONG;
}

long read_path(char* to, uint64_t from, bool may_be_empty) {
    const long length = read_string(to, from, longest_path);
    return length == 1 && !may_be_empty ? -ENOENT : length;
}

int keep_path(Request& request, uint64_t address, bool may_be_empty) {
    char text[longest_path];
    const long length = read_path(text, address, may_be_empty);
    return length < 0 ? static_cast<int>(length) : keep_copy(request, text, static_cast<size_t>(length));
}

int keep_two_paths(Request& request, uint64_t first, uint64_t second, bool first_may_be_empty) {
    char text[2 * longest_path];
    const long first_length = read_path(text, first, first_may_be_empty);
    if (first_length < 0) return static_cast<int>(first_length);
    const long second_length = read_path(text + first_length, second, false);
    if (second_length < 0) return static_cast<int>(second_length);
    return keep_copy(request, text, static_cast<size_t>(first_length + second_length));
}

int prepare_path(Request& request, Path& path, uint64_t address, bool may_be_empty) {
    path = {address, may_be_empty, false};
    if (!starts_later(request)) return 0;
    path.kept = true;
    return keep_path(request, address, may_be_empty);
}

const char* text_of(const Request& request, const Path& path) {
    return path.kept ? first_path(request) : user_pointer<const char>(path.address);
}

int keep_for_later(Request& request, Path& path) {
    if (path.kept) return 0;
    const int kept = keep_path(request, path.address, path.may_be_empty);
    path.kept = kept == 0;
    if (kept < 0) request.ring->batch_failed = true;
    return kept;
}

long blame_path(Request& request, Path& path, long fault) {
    if (fault != -EFAULT && fault != -ENOENT && fault != -ENAMETOOLONG) return fault;
    const int kept = keep_for_later(request, path);
    return kept < 0 ? kept : fault;
}

const char* second_path(const Request& request) { return first_path(request) + strlen(first_path(request)) + 1; }

}  // namespace ringside::engine
