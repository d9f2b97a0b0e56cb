#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "hash.h"
#include "names.h"
#include "resources.h"

namespace ringside::lab {
namespace {

// Descriptors that requests gave are moved to numbers from here on.
constexpr int first_result_fd = 400;

// Stands where a program names a descriptor that it does not have.
constexpr int never_open = 190;

constexpr uint64_t largest_transfer = 4096;

std::string errno_text() { return result_text(-errno); }

bool has_descriptor(ResourceKind kind) { return kind != ResourceKind::ring && kind != ResourceKind::child; }

// Descriptors that are neither seekable nor have flags worth a look say so by themselves.
std::string descriptor_text(int fd) {
    const int flags = fcntl(fd, F_GETFL);
    if (flags < 0) return "closed";
    struct stat status = {};
    fstat(fd, &status);
    std::string text =
        fmt::format("type={:o} flags={:#x} fd_flags={}", status.st_mode & S_IFMT, flags, fcntl(fd, F_GETFD));
    if (S_ISREG(status.st_mode)) text += fmt::format(" position={}", lseek(fd, 0, SEEK_CUR));
    return text;
}

std::string file_text(const std::filesystem::path& path) {
    struct stat status = {};
    lstat(path.c_str(), &status);
    std::string text = fmt::format("file {} mode={:o}", path.string(), status.st_mode);
    if (S_ISLNK(status.st_mode)) return text + " -> " + std::filesystem::read_symlink(path).string();
    if (!S_ISREG(status.st_mode)) return text;
    std::vector<std::byte> bytes(std::min<uint64_t>(static_cast<uint64_t>(status.st_size), slot_bytes * 4));
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    const ssize_t got = ::read(fd, bytes.data(), bytes.size());
    ::close(fd);
    bytes.resize(static_cast<size_t>(std::max<ssize_t>(got, 0)));
    return text + fmt::format(" links={} size={} blocks={} contents={:x}", status.st_nlink, status.st_size,
                              status.st_blocks, hash_of(bytes));
}

// A struct statx without what differs from run to run: inode and device numbers, times, and the size of directories,
// which other files in them change.
std::vector<std::byte> stable_statx(std::span<const std::byte> bytes) {
    std::vector<std::byte> copy(bytes.begin(), bytes.end());
    if (copy.size() != sizeof(struct statx)) return copy;
    struct statx status;
    memcpy(&status, copy.data(), sizeof(status));
    struct statx stable = {};
    stable.stx_mask = status.stx_mask;
    stable.stx_blksize = status.stx_blksize;
    stable.stx_attributes = status.stx_attributes;
    stable.stx_mode = status.stx_mode;
    if (!S_ISDIR(status.stx_mode)) {
        stable.stx_nlink = status.stx_nlink;
        stable.stx_size = status.stx_size;
        stable.stx_blocks = status.stx_blocks;
    }
    memcpy(copy.data(), &stable, sizeof(stable));
    return copy;
}

bool ready(int fd, short events) {
    pollfd entry = {fd, events, 0};
    return poll(&entry, 1, 0) == 1;
}

std::string write_event(int fd, uint64_t amount) {
    if (!ready(fd, POLLOUT)) return "not ready";
    const std::vector<std::byte> bytes = pattern(5, std::min(amount, largest_transfer));
    // The other end may be gone: that is an error here, and no signal.
    const ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0 || errno != ENOTSOCK) return sent < 0 ? errno_text() : std::to_string(sent);
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    return written < 0 ? errno_text() : std::to_string(written);
}

std::string read_event(int fd, uint64_t amount) {
    if (!ready(fd, POLLIN)) return "not ready";
    std::vector<std::byte> bytes(std::min(amount, largest_transfer));
    const ssize_t got = ::read(fd, bytes.data(), bytes.size());
    if (got < 0) return errno_text();
    bytes.resize(static_cast<size_t>(got));
    return fmt::format("{} {:x}", got, hash_of(bytes));
}

int connect_to(int listener) {
    sockaddr_storage address = {};
    socklen_t length = sizeof(address);
    if (getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) < 0) return -1;
    const int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connect(fd, reinterpret_cast<sockaddr*>(&address), length) == 0) return fd;
    ::close(fd);
    return -1;
}

}  // namespace

World::World(provider::Kind kind, std::string directory) : kind_(kind), directory_(std::move(directory)) {
    // A process that was killed has left what it had.
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
    if (chdir(directory_.c_str()) != 0) throw std::runtime_error("no scratch directory: " + errno_text());
    umask(022);
}

World::~World() {
    if (chdir("/") == 0) std::filesystem::remove_all(directory_);
}

void World::keep(uint32_t id, int fd) {
    if (fd < 0) throw std::runtime_error(fmt::format("resource {} cannot be opened: {}", id, errno_text()));
    dup3(fd, first_resource_fd + static_cast<int>(id), O_CLOEXEC);
    ::close(fd);
}

void World::open(const Resource& resource) {
    resources_[resource.id] = resource.kind;
    if (resource.kind == ResourceKind::ring) {
        // A ring's number stays as it came, since the engine knows its rings by it.
        other_rings_.push_back(open_single(kind_, resource));
        return;
    }
    if (resource.kind == ResourceKind::child) {
        children_[resource.id] = start_child();
        return;
    }
    if (descriptors_of(resource.kind) == 1) {
        keep(resource.id, open_single(kind_, resource));
        return;
    }
    int fds[2] = {-1, -1};
    if (!open_pair(resource, fds)) throw std::runtime_error("a pair cannot be opened: " + errno_text());
    write_pattern(fds[1], static_cast<uint8_t>(resource.id + 1), resource.size);
    resources_[resource.id + 1] = resource.kind;
    keep(resource.id, fds[0]);
    keep(resource.id + 1, fds[1]);
}

void World::build(const Program& program) {
    for (const Resource& resource : program.resources) open(resource);
    arena_.place(program.memories);
    write_cells(program);
    before_.clear();
    for (const Memory& memory : program.memories) before_[memory.id] = hash_of(arena_.bytes(memory.id));
}

void World::write_cells(const Program& program) {
    for (const Memory& memory : program.memories) {
        if (memory.id >= first_read_only_memory) continue;
        const std::span<std::byte> bytes = arena_.bytes(memory.id);
        size_t at = 0;
        for (const Cell& cell : memory.cells) {
            if (at + cell.width > bytes.size()) break;
            const uint64_t value = resolve(cell.value);
            memcpy(bytes.data() + at, &value, std::min<size_t>(cell.width, sizeof(value)));
            at += cell.width;
        }
    }
}

uint64_t World::resolve(const Value& value) const {
    switch (value.kind) {
        case Value::Kind::number:
            return value.number;
        case Value::Kind::memory:
            return arena_.address(value.number, value.offset);
        case Value::Kind::ring:
            return static_cast<uint64_t>(ring_fd_);
        case Value::Kind::result: {
            const auto found = results_.find(value.number);
            return static_cast<uint64_t>(found == results_.end() ? -1 : found->second);
        }
        case Value::Kind::fd:
            break;
    }
    const auto found = resources_.find(static_cast<uint32_t>(value.number));
    if (found == resources_.end()) return never_open;
    if (found->second == ResourceKind::ring) return static_cast<uint64_t>(other_rings_.front());
    if (found->second == ResourceKind::child) return static_cast<uint64_t>(children_.at(found->first));
    return first_resource_fd + value.number;
}

void World::add_result(uint64_t user_data, int fd) {
    // It moves to a number of its own at once: when the program closes it, nothing else can take that number, so that
    // closing it again in clear() hits nobody. Standard streams are not the program's, whatever a provider says.
    const int duplicate = fcntl(fd, F_GETFD) == 0 ? F_DUPFD : F_DUPFD_CLOEXEC;
    const int moved =
        fd <= STDERR_FILENO ? -1 : fcntl(fd, duplicate, first_result_fd + static_cast<int>(results_.size()));
    if (moved >= 0) ::close(fd);
    results_[user_data] = moved;
}

std::string World::run(const Event& event) {
    const int fd = static_cast<int>(resolve(event.fd));
    switch (event.kind) {
        case EventKind::write:
            return write_event(fd, event.amount);
        case EventKind::read:
            return read_event(fd, event.amount);
        case EventKind::close:
            return ::close(fd) == 0 ? "closed" : errno_text();
        case EventKind::shutdown:
            return ::shutdown(fd, static_cast<int>(event.amount)) == 0 ? "shut" : errno_text();
        default:
            break;
    }
    const int client = connect_to(fd);
    if (client < 0) return errno_text();
    clients_.push_back(client);
    return "connected";
}

void World::describe_memory(const Program& program, std::vector<std::string>& lines) const {
    for (const Memory& memory : program.memories) {
        const std::span<const std::byte> bytes = arena_.bytes(memory.id);
        const uint64_t now = hash_of(bytes);
        if (now == before_.at(memory.id)) continue;
        if (memory.label == "unstable") continue;
        std::string text = fmt::format("memory {} {}", memory.id, memory.label);
        if (bytes.size() > 32) {
            text += fmt::format(" hash {:x}", memory.label == "statx" ? hash_of(stable_statx(bytes)) : now);
        } else {
            for (const std::byte byte : bytes) text += fmt::format(" {:02x}", uint8_t(byte));
        }
        lines.push_back(text);
    }
}

void World::describe_files(std::vector<std::string>& lines) const {
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(".")) {
        files.push_back(file_text(entry.path().lexically_normal()));
    }
    std::sort(files.begin(), files.end());
    lines.insert(lines.end(), files.begin(), files.end());
}

void World::describe_descriptors(std::vector<std::string>& lines) const {
    for (const auto& [id, kind] : resources_) {
        if (!has_descriptor(kind)) continue;
        const int fd = first_resource_fd + static_cast<int>(id);
        lines.push_back(fmt::format("fd {} {} {}", id, name_of(resource_names(), uint64_t(kind)), descriptor_text(fd)));
    }
    for (const auto& [user_data, fd] : results_) {
        lines.push_back(fmt::format("fd of {} {}", user_data, descriptor_text(fd)));
    }
}

std::vector<std::string> World::describe(const Program& program) const {
    std::vector<std::string> lines;
    describe_memory(program, lines);
    describe_files(lines);
    describe_descriptors(lines);
    return lines;
}

void World::clear() {
    for (const auto& [id, kind] : resources_) {
        if (has_descriptor(kind)) ::close(first_resource_fd + static_cast<int>(id));
    }
    for (const auto& [user_data, fd] : results_) ::close(fd);
    for (const int fd : clients_) ::close(fd);
    for (const int fd : other_rings_) provider::close(kind_, fd);
    for (const auto& [id, child] : children_) waitpid(child, nullptr, 0);
    children_.clear();
    resources_.clear();
    results_.clear();
    clients_.clear();
    other_rings_.clear();
    ring_fd_ = -1;
    for (const auto& entry : std::filesystem::directory_iterator(".")) std::filesystem::remove_all(entry.path());
}

unsigned World::open_descriptors() {
    const auto entries = std::filesystem::directory_iterator("/proc/self/fd");
    return static_cast<unsigned>(std::distance(begin(entries), end(entries)));
}

}  // namespace ringside::lab
