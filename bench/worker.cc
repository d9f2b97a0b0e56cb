// One column of the table: a process that holds one case ready and times a sample of it for each line it is sent.
//
//   WORKER --list               prints name, description and wanted ratio of each case
//   WORKER CASE SAMPLE_MS CORE  for each line on standard input, prints the nanoseconds an operation took
//
// Compiled twice from this source: against ringside and against liburing.
#include <sched.h>
#include <time.h>

#include <string_view>

#include "case.h"
#include "ring.h"

namespace bench {
namespace {

double now_ns() {
    timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

// Everything that is compared runs on one core, threads that are started later included: a switch of cores would cost
// more than what is measured.
void pin_to(int core) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0) die("sched_setaffinity", errno);
}

// How many batches take about as long as a sample should. Warms up as well.
unsigned long batches_in(double sample_ns, Case& work) {
    unsigned long batches = 1;
    for (;;) {
        const double begin = now_ns();
        for (unsigned long i = 0; i < batches; ++i) work.batch();
        const double took = now_ns() - begin;
        if (took >= sample_ns) return static_cast<unsigned long>(static_cast<double>(batches) * sample_ns / took) + 1;
        batches *= 2;
    }
}

double sample(Case& work, unsigned long batches) {
    for (unsigned stale = 0; stale < 2 * work.in_flight();) stale += work.batch();
    unsigned long operations = 0;
    const double begin = now_ns();
    for (unsigned long i = 0; i < batches; ++i) operations += work.batch();
    return (now_ns() - begin) / static_cast<double>(operations);
}

int list() {
    for (const CaseRow& row : cases()) printf("%s\t%s\t%g\n", row.name, row.what, row.wanted);
    return 0;
}

int serve(const CaseRow& row, double sample_ns) {
    const auto work = row.make();
    const unsigned long batches = batches_in(sample_ns, *work);
    for (int byte; (byte = getchar()) != EOF;) {
        if (byte != '\n') continue;
        printf("%.2f\n", sample(*work, batches));
        fflush(stdout);
    }
    return 0;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
    using namespace bench;
    if (argc == 2 && std::string_view(argv[1]) == "--list") return list();
    if (argc != 4) {
        fputs("usage: WORKER --list | WORKER CASE SAMPLE_MS CORE\n", stderr);
        return 2;
    }
    pin_to(atoi(argv[3]));
    for (const CaseRow& row : cases()) {
        if (std::string_view(row.name) == argv[1]) return serve(row, atof(argv[2]) * 1e6);
    }
    fprintf(stderr, "bench: no such case: %s\n", argv[1]);
    return 2;
}
