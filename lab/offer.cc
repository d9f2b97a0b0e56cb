#include "offer.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <new>
#include <stdexcept>

#include "liburing/io_uring.h"
#include "names.h"
#include "operations.h"
#include "registrations.h"
#include "ring_memory.h"
#include "server.h"

namespace ringside::lab {
namespace {

// Flags that are only valid in company.
uint32_t company_of(uint32_t flag) {
    switch (flag) {
        case IORING_SETUP_TASKRUN_FLAG:
            return IORING_SETUP_COOP_TASKRUN;
        case IORING_SETUP_DEFER_TASKRUN:
            return IORING_SETUP_SINGLE_ISSUER;
        case IORING_SETUP_SQ_AFF:
            return IORING_SETUP_SQPOLL;
        case IORING_SETUP_HYBRID_IOPOLL:
            return IORING_SETUP_IOPOLL;
        case IORING_SETUP_REGISTERED_FD_ONLY:
            return IORING_SETUP_NO_MMAP;
        default:
            return 0;
    }
}

void ask_setup_flags(provider::Kind kind, Offer& offer) {
    for (const Name& name : setup_flag_names()) {
        const auto flag = static_cast<uint32_t>(name.value);
        Setup setup;
        setup.flags = flag | company_of(flag);
        setup.cq_entries = (flag & IORING_SETUP_CQSIZE) != 0 ? 16 : 0;
        if (RingMemory(kind, setup).usable()) offer.setup_flags |= flag;
    }
}

void ask_opcodes(provider::Kind kind, Offer& offer) {
    RingMemory ring(kind, Setup{});
    alignas(io_uring_probe) std::byte memory[sizeof(io_uring_probe) + 256 * sizeof(io_uring_probe_op)] = {};
    auto* probe = reinterpret_cast<io_uring_probe*>(memory);
    if (!ring.usable() || ring.register_call(IORING_REGISTER_PROBE, probe, 256) < 0) return;
    for (unsigned i = 0; i < probe->ops_len; ++i) {
        if ((probe->ops[i].flags & IO_URING_OP_SUPPORTED) != 0) offer.opcodes.set(probe->ops[i].op);
    }
}

// Asked in a child, as everything that touches a provider.
Offer ask_bits(provider::Kind kind) {
    void* memory = mmap(nullptr, sizeof(Offer), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::runtime_error("no memory to ask a provider with");
    Offer* answer = new (memory) Offer;
    const pid_t child = fork();
    if (child == 0) {
        ask_setup_flags(kind, *answer);
        ask_opcodes(kind, *answer);
        _exit(0);
    }
    waitpid(child, nullptr, 0);
    const Offer offer = *answer;
    munmap(memory, sizeof(Offer));
    return offer;
}

bool last_call_succeeds(Server& server, const Program& program) {
    std::string last;
    for (const std::string& line : server.run(to_text(program), 3000)) {
        if (line.starts_with("register ")) last = line;
    }
    return !last.empty() && last.find(" -") == last.npos;
}

// A register call is on offer if some use of it succeeds.
bool call_works(Server& server, uint32_t opcode, const Offer& offer) {
    for (uint64_t seed = 1; seed <= 20; ++seed) {
        Builder builder(seed, offer);
        if (opcode == IORING_REGISTER_ENABLE_RINGS) builder.program.setup.flags = IORING_SETUP_R_DISABLED;
        if (add_registration(builder, opcode) && last_call_succeeds(server, builder.program)) return true;
    }
    return false;
}

std::string missing_note(const char* what, const std::string& names) {
    return names.empty() ? "" : fmt::format("left out, since only one provider has it: {}{}\n", what, names);
}

}  // namespace

Offer common_offer(provider::Kind first, provider::Kind second, const std::string& scratch, std::string& notes) {
    const Offer a = ask_bits(first);
    const Offer b = ask_bits(second);
    Offer offer;
    offer.opcodes = a.opcodes & b.opcodes;
    offer.setup_flags = a.setup_flags & b.setup_flags;
    std::string missing;
    for (const Name& name : opcode_names()) {
        if (a.opcodes[name.value] && !b.opcodes[name.value]) missing += fmt::format(" {}", name.text);
    }
    notes += missing_note("operations", missing);
    const uint32_t flags = a.setup_flags & ~b.setup_flags;
    notes += missing_note("setup flags ", flags == 0 ? "" : bits_of(setup_flag_names(), flags));
    missing.clear();
    Server servers[] = {{first, scratch + "/offer-a", 1000}, {second, scratch + "/offer-b", 1000}};
    for (const uint32_t opcode : known_registrations()) {
        offer.registers.set(opcode);  // while it is tried
        if (!call_works(servers[0], opcode, offer)) offer.registers.reset(opcode);
        else if (!call_works(servers[1], opcode, offer)) {
            offer.registers.reset(opcode);
            missing.append(" ").append(name_of(register_names(), opcode));
        }
    }
    notes += missing_note("register calls", missing);
    return offer;
}

}  // namespace ringside::lab
