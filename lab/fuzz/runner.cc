#include "fuzz/runner.h"

#include <dirent.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <semaphore>
#include <thread>

#include "fuzz/arena.h"
#include "fuzz/confinement.h"
#include "fuzz/machine.h"
#include "fuzz/scribbler.h"
#include "fuzz/world.h"

namespace ringside::fuzz::runner {
namespace {

using namespace std::chrono_literals;

std::binary_semaphore begin{0}, ended{0};
std::span<const Step> work;
int engines_descriptors;
pthread_t thread;

struct Left {
    int descriptors;
    int threads;
};
// What the engine has kept so far from one input to the next: its threads and descriptors for every ring.
Left usual{};

void run_here() {
    arena::restore();
    world::open_files();
    Machine(work).run();
    world::clear();
    if (!arena::neighbours_untouched()) report_defect("memory was written that no request may write to");
    engines_descriptors = world::engines_descriptors();
}

void be_the_thread() {
    confine_thread();
    arena::create();
    ended.release();
    for (;;) {
        begin.acquire();
        run_here();
        ended.release();
    }
}

int count_threads() {
    DIR* tasks = opendir("/proc/self/task");
    if (tasks == nullptr) report_defect("no /proc/self/task");
    int count = 0;
    while (readdir(tasks) != nullptr) ++count;
    closedir(tasks);
    return count;
}

Left run_once(std::span<const Step> steps) {
    work = steps;
    begin.release();
    // Whoever waits too long is interrupted; one that does not mind is a finding of libFuzzer's, by -timeout.
    while (!ended.try_acquire_for(20ms)) pthread_kill(thread, SIGUSR1);
    return {engines_descriptors, count_threads()};
}

bool threads_are_gone(int allowed) {
    for (int round = 0; round < 200; ++round) {
        if (count_threads() <= allowed) return true;
        std::this_thread::sleep_for(100ms);
    }
    return false;
}

}  // namespace

void start(bool scribble) {
    struct sigaction ignored{};
    ignored.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &ignored, nullptr);
    struct sigaction interrupt{};
    interrupt.sa_handler = [](int) {};
    sigaction(SIGUSR1, &interrupt, nullptr);
    // Time-outs of libFuzzer's are for the first thread, which can write files.
    sigset_t alarm, before;
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &alarm, &before);
    std::thread runs(be_the_thread);
    thread = runs.native_handle();
    runs.detach();
    ended.acquire();
    if (scribble) start_scribbling();
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void run(std::span<const Step> steps) {
    const Left left = run_once(steps);
    if (left.descriptors <= usual.descriptors && left.threads <= usual.threads) return;
    // More than ever: once is a pool that grows, each time is a leak.
    constexpr int rounds = 8;
    Left last = left;
    for (int round = 0; round < rounds; ++round) last = run_once(steps);
    if (last.descriptors >= left.descriptors + rounds) {
        report_defect("each run of this input leaves a descriptor: %d, then %d", left.descriptors, last.descriptors);
    }
    if (last.threads >= left.threads + rounds && !threads_are_gone(left.threads + rounds - 1)) {
        report_defect("each run of this input leaves a thread: %d, then %d", left.threads, last.threads);
    }
    usual = {std::max(usual.descriptors, last.descriptors), std::max(usual.threads, last.threads)};
}

}  // namespace ringside::fuzz::runner
