// Why io_uring is refused here and what would allow it. It is a pure function of the kernel's answers and of the
// surroundings, so tests on one machine can cover every place.
#pragma once

#include <string>
#include <vector>

#include "cli/kernel_answer.h"
#include "cli/surroundings.h"

namespace ringside::cli {

enum class Cause {
    none,            // not refused
    not_asked,       // the kernel was not asked
    under_run,       // nobody can ask the kernel, since `ringside run` answers
    old_kernel,      // before io_uring
    no_kernel_part,  // built without io_uring, or something that poses as a kernel
    gvisor,
    sysctl,
    seccomp,
    security_module,  // SELinux or another of its kind
    resources,        // memory or descriptors: may pass
    unknown,
};

struct Diagnosis {
    std::vector<Cause> causes;          // each of which refuses on its own; the one that answered first
    std::vector<std::string> findings;  // a sentence a cause
    std::vector<std::string> remedies;  // what would let the kernel serve; empty where nothing stands in its way
};

Diagnosis diagnose(const KernelAnswers& answers, const Surroundings& here);

// The word for a cause in the JSON answer.
const char* name(Cause cause);

}  // namespace ringside::cli
