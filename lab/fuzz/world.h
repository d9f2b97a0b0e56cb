// The files that requests find: the same descriptors for each input, in an empty directory.
#pragma once

namespace ringside::fuzz::world {

// Opens them, from descriptor 3 on.
void open_files();

// Closes whatever is open below the engine's own descriptors, and removes every file.
void clear();

// How many descriptors of the engine's own are open.
int engines_descriptors();

// What open_files() opened.
inline constexpr int first_fd = 3;
inline constexpr int file_count = 17;

}  // namespace ringside::fuzz::world
