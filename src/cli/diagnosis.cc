#include "cli/diagnosis.h"

#include <errno.h>
#include <fmt/format.h>
#include <utility>

namespace ringside::cli {
namespace {

using Kind = Answer::Kind;

bool is_resource_error(int error) { return error == ENOMEM || error == EMFILE || error == ENFILE || error == EAGAIN; }

// A sysctl or a security module stops setup alone; where the other two are stopped as well, or a process is killed, or
// a call never returns, it is a filter.
bool filter_shows(const KernelAnswers& answers) {
    const auto stopped = [](const Answer& answer) {
        return answer.kind == Kind::refused || answer.kind == Kind::killed || answer.kind == Kind::silent;
    };
    return stopped(answers.enter) || stopped(answers.register_call) || answers.setup.kind == Kind::killed ||
           answers.setup.kind == Kind::silent;
}

bool filters_loaded(const Surroundings& here) { return here.seccomp && *here.seccomp == Seccomp::filter; }

std::vector<Cause> causes_of_missing_call(const KernelAnswers& answers, const Surroundings& here) {
    if (here.container == Container::gvisor) return {Cause::gvisor};
    if (here.older_than(5, 1)) return {Cause::old_kernel};
    return {filter_shows(answers) && filters_loaded(here) ? Cause::seccomp : Cause::no_kernel_part};
}

std::vector<Cause> causes_of_missing_permission(const KernelAnswers& answers, const Surroundings& here) {
    std::vector<Cause> causes;
    if (filter_shows(answers) && filters_loaded(here)) causes.push_back(Cause::seccomp);
    if (here.sysctl_refuses()) causes.push_back(Cause::sysctl);
    // A filter that refuses setup only cannot be told from its answers. The only sign is that a filter is installed.
    if (causes.empty() && filters_loaded(here) && answers.setup.refused_with(EPERM)) causes.push_back(Cause::seccomp);
    if (causes.empty()) causes.push_back(answers.setup.refused_with(EACCES) ? Cause::security_module : Cause::unknown);
    return causes;
}

std::vector<Cause> causes_of(const KernelAnswers& answers, const Surroundings& here) {
    if (here.under_run) return {Cause::under_run};
    if (answers.usable()) return {Cause::none};
    if (answers.setup.kind == Kind::not_asked) return {Cause::not_asked};
    if (answers.setup.kind == Kind::killed || answers.setup.kind == Kind::silent) return {Cause::seccomp};
    if (answers.setup.allowed()) return {Cause::seccomp};
    if (is_resource_error(answers.setup.number)) return {Cause::resources};
    if (answers.setup.refused_with(ENOSYS)) return causes_of_missing_call(answers, here);
    return causes_of_missing_permission(answers, here);
}

// "answers EPERM to" and the like, to be followed by the names of the calls.
std::string deed(const Answer& answer) {
    if (answer.kind == Kind::killed) return fmt::format("kills with {} for", name_of_number(answer));
    if (answer.kind == Kind::silent) return "never answers";
    return fmt::format("answers {} to", name_of_number(answer));
}

// One clause for each way in which calls are refused. In most places all three are refused in the same way.
std::string what_the_filter_does(const KernelAnswers& answers) {
    const std::pair<const char*, Answer> calls[] = {{"io_uring_setup", answers.setup},
                                                    {"io_uring_enter", answers.enter},
                                                    {"io_uring_register", answers.register_call}};
    std::vector<std::pair<std::string, std::string>> clauses;
    for (const auto& [call, answer] : calls) {
        if (answer.allowed()) continue;
        if (!clauses.empty() && clauses.back().first == deed(answer)) {
            clauses.back().second += fmt::format(", {}", call);
        } else {
            clauses.emplace_back(deed(answer), call);
        }
    }
    std::string text = "a seccomp filter";
    for (size_t i = 0; i < clauses.size(); ++i) {
        text += fmt::format("{} {} {}", i == 0 ? "" : " and", clauses[i].first, clauses[i].second);
    }
    return text;
}

std::string finding(Cause cause, const KernelAnswers& answers, const Surroundings& here) {
    const std::string number = name_of_number(answers.setup);
    switch (cause) {
        case Cause::none:
            return "the kernel serves all three io_uring system calls";
        case Cause::not_asked:
            return "the kernel was not asked, since RINGSIDE_PROVIDER=engine forbids it";
        case Cause::under_run:
            return "this runs under `ringside run`, whose engine answers io_uring's calls; the kernel was not asked";
        case Cause::old_kernel:
            return fmt::format("Linux {} has no io_uring; it came with 5.1", here.kernel_release);
        case Cause::no_kernel_part:
            return "this kernel was built without CONFIG_IO_URING, or an emulator stands in for it";
        case Cause::gvisor:
            return fmt::format("gVisor stands in for the kernel and answers {}", number);
        case Cause::sysctl:
            return fmt::format("sysctl kernel.io_uring_disabled={} refuses rings to this process",
                               here.io_uring_disabled.value_or(0));
        case Cause::seccomp:
            return what_the_filter_does(answers);
        case Cause::security_module:
            return fmt::format("a security module (SELinux, AppArmor) answers {}", number);
        case Cause::resources:
            return fmt::format("the kernel is short of memory or descriptors for a ring ({})", number);
        case Cause::unknown:
            return fmt::format("the kernel answers {}, and nothing seen here explains it", number);
    }
    return {};
}

// The option that allows the three calls, in the syntax of the program that installed the filter.
std::string filter_remedy(Container container) {
    switch (container) {
        case Container::docker:
        case Container::podman:
            return fmt::format(
                "{} run --security-opt seccomp=PROFILE.json, where PROFILE.json is the default profile "
                "with io_uring_setup, io_uring_enter and io_uring_register allowed "
                "(seccomp=unconfined allows everything)",
                name(container));
        case Container::kubernetes:
            return "the pod's securityContext.seccompProfile: type Localhost with a profile that allows "
                   "io_uring_setup, "
                   "io_uring_enter and io_uring_register (type Unconfined allows everything)";
        case Container::containerd:
            return "containerd: a seccomp profile that allows io_uring_setup, io_uring_enter and io_uring_register";
        case Container::lxc:
            return "lxc.seccomp.profile with the three io_uring calls allowed";
        default:
            return "whatever installed the filter (a container runtime, systemd's SystemCallFilter=, a sandbox) has to "
                   "allow io_uring_setup, io_uring_enter and io_uring_register";
    }
}

std::string sysctl_remedy(const Surroundings& here) {
    const std::string everyone = "as root: sysctl kernel.io_uring_disabled=0";
    if (here.io_uring_disabled != 1) return everyone;
    if (!here.io_uring_group)
        return everyone + ", or kernel.io_uring_group=GID with this user in that group, or CAP_SYS_ADMIN";
    return fmt::format("{}, or this user in group {}, or CAP_SYS_ADMIN", everyone, *here.io_uring_group);
}

std::string resources_remedy(const Surroundings& here, int error) {
    if (error == EMFILE || error == ENFILE) return "a higher limit of open files (ulimit -n, sysctl fs.file-max)";
    if (here.older_than(5, 12))
        return "a higher limit of locked memory (ulimit -l), which counts rings before Linux 5.12";
    return "more memory for this process or its control group";
}

std::vector<std::string> remedies_of(Cause cause, const KernelAnswers& answers, const Surroundings& here) {
    switch (cause) {
        case Cause::none:
        case Cause::not_asked:
        case Cause::under_run:
            return {};
        case Cause::old_kernel:
            return {"Linux 5.1 or later; 5.19 or later for what current programs use"};
        case Cause::no_kernel_part:
            return {"a kernel with CONFIG_IO_URING=y, without an emulator in between"};
        case Cause::gvisor:
            return {"a runtime that uses the host's kernel (runc, crun) in place of runsc"};
        case Cause::sysctl:
            return {sysctl_remedy(here)};
        case Cause::seccomp:
            return {filter_remedy(here.container)};
        case Cause::security_module:
            return {"a rule of that module which allows this domain to use io_uring"};
        case Cause::resources:
            return {resources_remedy(here, answers.setup.number)};
        case Cause::unknown:
            return {};
    }
    return {};
}

}  // namespace

Diagnosis diagnose(const KernelAnswers& answers, const Surroundings& here) {
    Diagnosis diagnosis;
    diagnosis.causes = causes_of(answers, here);
    for (const Cause cause : diagnosis.causes) {
        diagnosis.findings.push_back(finding(cause, answers, here));
        for (std::string& remedy : remedies_of(cause, answers, here)) diagnosis.remedies.push_back(std::move(remedy));
    }
    return diagnosis;
}

const char* name(Cause cause) {
    switch (cause) {
        case Cause::none:
            return "none";
        case Cause::not_asked:
            return "not asked";
        case Cause::under_run:
            return "under run";
        case Cause::old_kernel:
            return "old kernel";
        case Cause::no_kernel_part:
            return "no kernel part";
        case Cause::gvisor:
            return "gvisor";
        case Cause::sysctl:
            return "sysctl";
        case Cause::seccomp:
            return "seccomp";
        case Cause::security_module:
            return "security module";
        case Cause::resources:
            return "resources";
        case Cause::unknown:
            return "unknown";
    }
    return "unknown";
}

}  // namespace ringside::cli
