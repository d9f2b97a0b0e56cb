// What a program finds around it while it runs in this process: a scratch directory, descriptors with chosen numbers,
// and memory at chosen addresses. Built anew for every program; what is left of it is described at the end.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "arena.h"
#include "program.h"
#include "provider/provider.h"

namespace ringside::lab {

// Descriptors of resources have these numbers, far above those that open(2) hands out by itself.
inline constexpr int first_resource_fd = 200;

class World {
  public:
    // Makes `directory` the process's own and its working directory; it must be empty.
    World(provider::Kind kind, std::string directory);
    ~World();

    // Opens the program's resources and fills its memory. The ring comes later: cells that name it read -1.
    void build(const Program& program);

    // The number behind a name.
    uint64_t resolve(const Value& value) const;
    void set_ring(int fd) { ring_fd_ = fd; }

    // Remembers the descriptor that a request gave, under its user_data; they are closed with the world.
    void add_result(uint64_t user_data, int fd);

    // Runs an event; the line says what it did.
    std::string run(const Event& event);

    // Writes the cells of all objects (again: their values may have become known).
    void write_cells(const Program& program);

    // One line for everything that can be seen afterwards: memory that changed, files, descriptors.
    std::vector<std::string> describe(const Program& program) const;

    // Closes and removes everything, for the next program.
    void clear();

    // Descriptors open in this process.
    static unsigned open_descriptors();

  private:
    void open(const Resource& resource);
    void keep(uint32_t id, int fd);
    void describe_memory(const Program& program, std::vector<std::string>& lines) const;
    void describe_files(std::vector<std::string>& lines) const;
    void describe_descriptors(std::vector<std::string>& lines) const;

    provider::Kind kind_;
    std::string directory_;
    Arena arena_;
    int ring_fd_ = -1;
    std::map<uint32_t, ResourceKind> resources_;  // by descriptor id
    std::map<uint64_t, int> results_;
    std::vector<int> clients_;  // sockets that events connected
    std::vector<int> other_rings_;
    std::map<uint32_t, pid_t> children_;
    std::map<uint32_t, uint64_t> before_;  // hash of each object at the start
};

}  // namespace ringside::lab
