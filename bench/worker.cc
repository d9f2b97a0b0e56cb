// One column of the table: a process that holds one case ready and takes a sample of it for each line it is sent.
//
//   WORKER --list               prints what case.h's CaseRow says of each case
//   WORKER CASE SAMPLE_MS CORE  for each line on standard input, prints a sample
//   WORKER CASE --batches N     does N batches and prints how many operations those were: for callgrind, perf, strace
//
// Compiled from this source against ringside, against liburing, and with the peers.
#include <sys/resource.h>

#include <algorithm>
#include <string_view>

#include "case.h"
#include "cores.h"
#include "die.h"

namespace bench {
namespace {

// Some cases wait on very many files. Where the limit may not be raised they say what is missing.
void raise_file_limit() {
    rlimit limit = {1 << 19, 1 << 19};
    if (setrlimit(RLIMIT_NOFILE, &limit) == 0 || getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int list() {
    for (const CaseRow& row : cases()) {
        printf("%s\t%s\t%g\t%u\t%s\n", row.name, row.what, row.wanted, row.rounds, row.unit);
    }
    return 0;
}

int serve(const CaseRow& row, double sample_ns) {
    const auto work = row.make();
    work->prepare(sample_ns);
    for (int byte; (byte = getchar()) != EOF;) {
        if (byte != '\n') continue;
        printf("%.2f\n", work->sample());
        fflush(stdout);
    }
    return 0;
}

int do_batches(const CaseRow& row, unsigned long count) {
    const auto work = row.make();
    auto* const batches = dynamic_cast<Case*>(work.get());
    if (batches == nullptr) die(row.name, EOPNOTSUPP);
    unsigned long operations = 0;
    for (unsigned long i = 0; i < count; ++i) operations += batches->batch();
    printf("%lu\n", operations);
    return 0;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
    using namespace bench;
    if (argc == 2 && std::string_view(argv[1]) == "--list") return list();
    if (argc != 4) {
        fputs("usage: WORKER --list | WORKER CASE SAMPLE_MS CORE | WORKER CASE --batches N\n", stderr);
        return 2;
    }
    const auto row = std::find_if(cases().begin(), cases().end(),
                                  [&](const CaseRow& each) { return std::string_view(argv[1]) == each.name; });
    if (row == cases().end()) {
        fprintf(stderr, "bench: no such case: %s\n", argv[1]);
        return 2;
    }
    raise_file_limit();
    if (std::string_view(argv[2]) == "--batches") return do_batches(*row, strtoul(argv[3], nullptr, 10));
    pin_to(atoi(argv[3]));
    return serve(*row, atof(argv[2]) * 1e6);
}
