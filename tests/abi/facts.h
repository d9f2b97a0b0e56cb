// The io_uring ABI as a table of names and values, once by the system's header and once by ours. No file can include
// both, so each has a translation unit of its own (system_facts.cc, our_facts.cc) that defines one of these. The same
// for what liburing.h lays out (liburings_layout.cc, our_layout.cc).
#pragma once

#include <map>
#include <string>

using Facts = std::map<std::string, unsigned long long>;

Facts system_facts();
Facts our_facts();

Facts liburings_layout();
Facts our_layout();
