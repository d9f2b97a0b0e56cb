// Where threads and processes run.
#pragma once

#include <sched.h>

#include "die.h"

namespace bench {

// Everything that is compared runs on one core, threads that are started later included, unless a case says otherwise:
// a switch of cores would cost more than what is measured.
inline void pin_to(int core) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    must("sched_setaffinity", sched_setaffinity(0, sizeof set, &set));
}

// A core that this thread may use but is not pinned to; where there is no other, its own.
inline int other_core() {
    cpu_set_t mine, all;
    must("sched_getaffinity", sched_getaffinity(0, sizeof mine, &mine));
    for (int core = 0; core < CPU_SETSIZE; ++core) CPU_SET(core, &all);
    must("sched_setaffinity", sched_setaffinity(0, sizeof all, &all));
    must("sched_getaffinity", sched_getaffinity(0, sizeof all, &all));
    must("sched_setaffinity", sched_setaffinity(0, sizeof mine, &mine));
    int own = 0;
    for (int core = 0; core < CPU_SETSIZE; ++core) {
        if (!CPU_ISSET(core, &all)) continue;
        if (!CPU_ISSET(core, &mine)) return core;
        own = core;
    }
    return own;
}

}  // namespace bench
