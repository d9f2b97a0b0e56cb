// What the io_uring_prep_... helpers make of their arguments, once by the liburing that is installed and once by ours.
// No file can include both, so each has a translation unit of its own that defines one of these.
#pragma once

#include <array>
#include <map>
#include <string>

using PreparedSqes = std::map<std::string, std::array<unsigned char, 64>>;

PreparedSqes liburings_sqes();
PreparedSqes our_sqes();
