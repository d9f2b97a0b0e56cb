// One scenario under one fault, in a child process: what it submits has to complete once, each request with its result
// or with an error that says what was missing; nothing hangs, and afterwards the ring works and leaves nothing behind.
#pragma once

#include <errno.h>
#include <gmock/gmock.h>
#include <sys/syscall.h>

#include <algorithm>
#include <map>
#include <vector>

#include "faults/injector.h"
#include "support/eventually.h"
#include "support/raw_ring.h"

namespace ringside::test {

class Trial {
  public:
    Trial(const Fault& fault, Sightings& sightings) : fault_(fault), sightings_(sightings) {}

    // The fault may come from here on.
    void begin() {
        ASSERT_EQ(inject(fault_, sightings_), 0);
        begun_ = true;
    }
    bool begun() const { return begun_; }

    bool has_failed() const { return sightings_.injected; }

    // Whether the engine has made a system call of this number; and waits until it has.
    bool has_made(long number) const {
        bool made = false;
        sightings_.for_each([&](long seen, uintptr_t, unsigned) { made = made || seen == number; });
        return made;
    }
    void await_call(long number) const {
        EXPECT_TRUE(eventually([&] { return has_made(number); })) << "call " << number;
    }

    // Whether a result is an error that the fault excuses: its own, or what the engine makes of it.
    bool excuses(int result) const {
        constexpr int shortages[] = {ENOMEM, EMFILE, EAGAIN, ECANCELED};
        const bool shortage = std::find(std::begin(shortages), std::end(shortages), -result) != std::end(shortages);
        // Some of the engine's fcntl(2) ask whether there is such a descriptor, and hear that there is none.
        const bool no_file = fault_.number == SYS_fcntl && result == -EBADF;
        return sightings_.injected && (result == -fault_.error || shortage || no_file);
    }

    // Waits for the end of a request and of its cancellation. What a worker does for want of something better is told
    // to stop.
    void expect_cancelled(RawRing& ring, uint64_t target, uint64_t cancellation) {
        std::map<uint64_t, int> results;
        for (const Cqe& completion : ring.wait(2)) results[completion.user_data] = completion.res;
        const bool was_told = results[cancellation] == -EALREADY && results[target] == -EINTR;
        if (!(was_told && sightings_.injected)) {
            const std::map<uint64_t, int> usual = {{target, -ECANCELED}, {cancellation, 0}};
            EXPECT_EQ(results, usual);
        }
    }

    // Submits all of it. A call that fails is made again, since the fault comes once.
    template <typename... Sqes>
    void submit(RawRing& ring, const Sqes&... sqes) {
        (ring.push(sqes), ...);
        unsigned left = sizeof...(sqes);
        for (int tries = 0; left != 0 && tries < 3; ++tries) {
            const int submitted = ring.submit_pushed(left);
            EXPECT_TRUE(submitted >= 0 || excuses(submitted)) << submitted;
            left -= submitted > 0 ? static_cast<unsigned>(submitted) : 0;
        }
        EXPECT_EQ(left, 0u);
    }

    // Waits for one completion of each of these requests and compares its result.
    void expect(RawRing& ring, std::map<uint64_t, int> results) { compare(ring.wait(count(results)), results); }
    // The same without entering. That takes a thread of the engine's, and a place among those that it looks after; a
    // program that there is none for has to enter (docs/differences.md).
    void watch(RawRing& ring, std::map<uint64_t, int> results) {
        const bool cannot = fault_.number == SYS_clone3 || fault_.number == call_realloc;
        compare(cannot && sightings_.injected ? ring.wait(count(results)) : ring.watch(count(results)), results);
    }

  private:
    static unsigned count(const std::map<uint64_t, int>& results) { return static_cast<unsigned>(results.size()); }

    void compare(const std::vector<Cqe>& completions, std::map<uint64_t, int> results) {
        for (const Cqe& completion : completions) {
            const auto found = results.find(completion.user_data);
            ASSERT_NE(found, results.end()) << "twice, or never submitted: " << completion.user_data;
            EXPECT_TRUE(completion.res == found->second || excuses(completion.res))
                << "request " << completion.user_data << " gave " << completion.res << ", not " << found->second;
            results.erase(found);
        }
        for (const auto& [user_data, result] : results) ADD_FAILURE() << "request " << user_data << " was lost";
    }

    const Fault fault_;
    Sightings& sightings_;
    bool begun_ = false;
};

// A named way to use a ring.
struct Scenario {
    const char* name;
    void (*run)(Trial& trial);
};
extern const std::vector<Scenario> scenarios;

}  // namespace ringside::test
