// Operations on names in the scratch directory.
#include <fcntl.h>
#include <linux/stat.h>

#include "liburing/io_uring.h"
#include "operations.h"

namespace ringside::lab {
namespace {

using enum ResourceKind;

uint32_t some_open_flags(Random& random) {
    const uint32_t access = random.one_of<uint32_t>({O_RDONLY, O_WRONLY, O_RDWR});
    const uint32_t more = random.one_of<uint32_t>({0, 0, O_CREAT, O_CREAT, O_CREAT | O_EXCL, O_TRUNC, O_APPEND,
                                                   O_DIRECTORY, O_NOFOLLOW, O_PATH, O_NONBLOCK, O_CREAT | O_TRUNC});
    return access | more | (random.percent(50) ? O_CLOEXEC : 0);
}

void remember(Draft& draft, Key key) {
    draft.builder.created.push_back(key);
    // generate.cc gives the request its user_data right after this.
    draft.builder.opened.push_back({draft.builder.last_user_data() + 1, key});
}

bool openat(Draft& draft) {
    const std::optional<Key> key = draft.use_path(Access::exclusive, draft.random.percent(70));
    if (!key) return false;
    draft.set(Field::op_flags, some_open_flags(draft.random));
    draft.set(Field::len, draft.random.one_of<uint32_t>({0644, 0600, 0755}));
    remember(draft, *key);
    return true;
}

bool openat2(Draft& draft) {
    const std::optional<Key> key = draft.use_path(Access::exclusive, draft.random.percent(70));
    if (!key) return false;
    const uint32_t flags = some_open_flags(draft.random);
    const uint64_t mode = (flags & O_CREAT) != 0 || draft.random.percent(5) ? 0644 : 0;
    const uint64_t resolve =
        draft.random.one_of<uint64_t>({0, 0, 1, 2, 4, 8, 16});  // RESOLVE_NO_XDEV ... RESOLVE_IN_ROOT
    draft[Field::off] = draft.builder.cells("open_how", {{8, number(flags)}, {8, number(mode)}, {8, number(resolve)}});
    draft.set(Field::len, draft.random.percent(95) ? 24 : 8);
    remember(draft, *key);
    return true;
}

bool statx(Draft& draft) {
    Memory result;
    result.label = "statx";
    result.size = 256;
    draft.set(Field::len, draft.random.one_of<uint32_t>({STATX_BASIC_STATS, STATX_SIZE, STATX_MODE | STATX_TYPE, 0}));
    draft[Field::off] = draft.builder.memory(result).value_or(number(0));
    if (draft.random.percent(60)) {
        draft.set(Field::op_flags, draft.random.one_of<uint32_t>({0, AT_SYMLINK_NOFOLLOW, AT_STATX_DONT_SYNC}));
        return draft.use_path(Access::shared, true).has_value();
    }
    draft[Field::addr] = draft.builder.path("");
    draft.set(Field::op_flags, AT_EMPTY_PATH);
    return draft.use_resource({file, memfd, directory, null, path_only}, Access::shared);
}

bool mkdirat(Draft& draft) {
    const std::optional<Key> key = draft.use_path(Access::exclusive, false);
    if (!key) return false;
    draft.set(Field::len, draft.random.one_of<uint32_t>({0755, 0700, 01777}));
    draft.builder.created.push_back(*key);
    return true;
}

bool unlinkat(Draft& draft) {
    draft.set(Field::op_flags, draft.random.percent(30) ? AT_REMOVEDIR : 0);
    return draft.use_path(Access::exclusive, true).has_value();
}

// Two names: the second in off, its directory in len.
bool two_names(Draft& draft, bool first_must_exist) {
    const std::optional<Key> first = draft.use_path(Access::exclusive, first_must_exist);
    if (!first) return false;
    const auto second = draft.builder.name(Access::exclusive, draft.random.percent(40));
    if (!second) return false;
    draft[Field::off] = draft.builder.path(second->first);
    draft.set(Field::len, static_cast<uint32_t>(AT_FDCWD));
    draft.builder.created.push_back(second->second);
    draft.builder.merge(*first, second->second);
    return true;
}

bool renameat(Draft& draft) {
    draft.set(Field::op_flags, draft.random.one_of<uint32_t>({0, 0, 1, 2}));  // RENAME_NOREPLACE, RENAME_EXCHANGE
    return two_names(draft, true);
}

bool linkat(Draft& draft) { return two_names(draft, true); }

bool symlinkat(Draft& draft) {
    // Here addr is what the link says, and off its name below fd.
    const auto link = draft.builder.name(Access::exclusive, draft.random.percent(20));
    if (!link) return false;
    draft[Field::addr] = draft.builder.path(draft.random.one_of<std::string>({"nowhere", "/dev/null", link->first}));
    draft[Field::off] = draft.builder.path(link->first);
    draft.set(Field::fd, static_cast<uint64_t>(AT_FDCWD));
    return true;
}

void fill_value(Draft& draft, bool set) {
    const uint64_t length = draft.random.one_of<uint64_t>({0, 1, 10, 100});
    draft[Field::off] = draft.builder.bytes(length, set ? 7 : 0);
    draft.set(Field::len, length);
}

// One that an earlier request may have set.
bool known_xattr(Draft& draft, bool by_path) {
    for (const Attribute& attribute : draft.builder.attributes) {
        const bool has_descriptor = attribute.key < name_key;
        if ((!by_path && !has_descriptor) || draft.random.percent(30)) continue;
        if (!draft.builder.take(attribute.key, Access::exclusive)) continue;
        draft[Field::addr] = draft.builder.path(attribute.name);
        if (by_path) draft[Field::addr3] = draft.builder.path(draft.builder.name_text(attribute.key));
        else draft[Field::fd] = fd_of(attribute.key);
        return true;
    }
    return false;
}

bool xattr(Draft& draft, bool set, bool by_path) {
    fill_value(draft, set);
    if (!set && draft.random.percent(70) && known_xattr(draft, by_path)) return true;
    const std::string attribute = draft.random.one_of<std::string>({"user.a", "user.b", "bad", ""});
    draft[Field::addr] = draft.builder.path(attribute);
    if (set) draft.set(Field::op_flags, draft.random.one_of<uint32_t>({0, 0, 1, 2}));  // XATTR_CREATE, XATTR_REPLACE
    if (!by_path) {
        if (!draft.use_resource({file, file, directory, memfd, null}, Access::exclusive)) return false;
        if (set) draft.builder.attributes.push_back({draft.fd_resource, attribute});
        return true;
    }
    const auto name = draft.builder.name(Access::exclusive, true);
    if (!name) return false;
    draft[Field::addr3] = draft.builder.path(name->first);
    if (set) draft.builder.attributes.push_back({name->second, attribute});
    return true;
}

bool fsetxattr(Draft& draft) { return xattr(draft, true, false); }
bool setxattr(Draft& draft) { return xattr(draft, true, true); }
bool fgetxattr(Draft& draft) { return xattr(draft, false, false); }
bool getxattr(Draft& draft) { return xattr(draft, false, true); }

constexpr Operation table[] = {
    {.opcode = IORING_OP_OPENAT, .weight = 8, .fill = openat},
    {.opcode = IORING_OP_OPENAT2, .weight = 4, .fill = openat2},
    {.opcode = IORING_OP_STATX, .weight = 5, .fill = statx},
    {.opcode = IORING_OP_MKDIRAT, .weight = 2, .fill = mkdirat},
    {.opcode = IORING_OP_UNLINKAT, .weight = 2, .fill = unlinkat},
    {.opcode = IORING_OP_RENAMEAT, .weight = 2, .fill = renameat},
    {.opcode = IORING_OP_LINKAT, .weight = 2, .fill = linkat},
    {.opcode = IORING_OP_SYMLINKAT, .weight = 2, .fill = symlinkat},
    {.opcode = IORING_OP_FSETXATTR, .weight = 2, .fill = fsetxattr},
    {.opcode = IORING_OP_SETXATTR, .weight = 2, .fill = setxattr},
    {.opcode = IORING_OP_FGETXATTR, .weight = 2, .fill = fgetxattr},
    {.opcode = IORING_OP_GETXATTR, .weight = 2, .fill = getxattr},
};

}  // namespace

std::span<const Operation> name_operations() { return table; }

}  // namespace ringside::lab
