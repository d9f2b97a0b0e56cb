// What doctor makes of answers and surroundings: each place a user may be in, without being there.
#include "cli/diagnosis.h"

#include <errno.h>
#include <gmock/gmock.h>
#include <signal.h>

namespace ringside::test {
namespace {

using cli::Answer;
using cli::Cause;
using cli::Container;
using cli::Diagnosis;
using cli::KernelAnswers;
using cli::Seccomp;
using cli::Surroundings;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr Answer allowed = {Answer::Kind::allowed, 0};
constexpr Answer refused(int error) { return {Answer::Kind::refused, error}; }
constexpr Answer killed(int signal) { return {Answer::Kind::killed, signal}; }

KernelAnswers all(Answer answer) { return {answer, answer, answer}; }
KernelAnswers setup_alone(Answer answer) { return {answer, allowed, allowed}; }

Surroundings plain_machine() {
    Surroundings here;
    here.kernel_release = "6.12.1";
    here.kernel_major = 6;
    here.kernel_minor = 12;
    here.io_uring_disabled = 0;
    here.seccomp = Seccomp::off;
    return here;
}

Surroundings container(Container kind) {
    Surroundings here = plain_machine();
    here.seccomp = Seccomp::filter;
    here.seccomp_filters = 1;
    here.container = kind;
    return here;
}

TEST(Diagnosis, finds_nothing_where_all_calls_are_served) {
    const Diagnosis diagnosis = diagnose(all(allowed), container(Container::docker));
    EXPECT_THAT(diagnosis.causes, ElementsAre(Cause::none));
    EXPECT_TRUE(diagnosis.remedies.empty());
}

TEST(Diagnosis, says_that_nobody_asked) {
    EXPECT_THAT(diagnose(KernelAnswers{}, plain_machine()).causes, ElementsAre(Cause::not_asked));
}

TEST(Diagnosis, names_the_filter_and_the_option_of_the_container) {
    const Diagnosis docker = diagnose(all(refused(EPERM)), container(Container::docker));
    EXPECT_THAT(docker.causes, ElementsAre(Cause::seccomp));
    EXPECT_THAT(docker.findings,
                ElementsAre("a seccomp filter answers EPERM to io_uring_setup, io_uring_enter, io_uring_register"));
    EXPECT_THAT(docker.remedies, ElementsAre(HasSubstr("docker run --security-opt seccomp=")));
    EXPECT_THAT(diagnose(all(refused(ENOSYS)), container(Container::podman)).remedies,
                ElementsAre(HasSubstr("podman run --security-opt seccomp=")));
    EXPECT_THAT(diagnose(all(refused(EPERM)), container(Container::kubernetes)).remedies,
                ElementsAre(HasSubstr("securityContext.seccompProfile")));
    EXPECT_THAT(diagnose(all(refused(EPERM)), container(Container::none)).remedies,
                ElementsAre(HasSubstr("SystemCallFilter=")));
}

TEST(Diagnosis, tells_calls_that_are_refused_from_calls_that_kill) {
    const KernelAnswers answers = {refused(EPERM), killed(SIGSYS), killed(SIGSYS)};
    EXPECT_THAT(
        diagnose(answers, container(Container::other)).findings,
        ElementsAre("a seccomp filter answers EPERM to io_uring_setup and kills with SIGSYS for io_uring_enter, "
                    "io_uring_register"));
}

TEST(Diagnosis, sees_a_ring_that_cannot_be_used) {
    const KernelAnswers answers = {allowed, refused(EPERM), allowed};
    EXPECT_FALSE(answers.usable());
    const Diagnosis diagnosis = diagnose(answers, container(Container::docker));
    EXPECT_THAT(diagnosis.causes, ElementsAre(Cause::seccomp));
    EXPECT_THAT(diagnosis.findings, ElementsAre("a seccomp filter answers EPERM to io_uring_enter"));
}

TEST(Diagnosis, takes_a_kill_for_a_filter_even_where_proc_shows_none) {
    Surroundings here = plain_machine();
    here.seccomp.reset();
    EXPECT_THAT(diagnose(all(killed(SIGKILL)), here).causes, ElementsAre(Cause::seccomp));
    EXPECT_TRUE(all(killed(SIGKILL)).deadly());
}

TEST(Diagnosis, names_the_sysctl_that_refuses_everybody) {
    Surroundings here = plain_machine();
    here.io_uring_disabled = 2;
    here.has_sys_admin = true;
    const Diagnosis diagnosis = diagnose(setup_alone(refused(EPERM)), here);
    EXPECT_THAT(diagnosis.causes, ElementsAre(Cause::sysctl));
    EXPECT_THAT(diagnosis.remedies, ElementsAre("as root: sysctl kernel.io_uring_disabled=0"));
}

TEST(Diagnosis, names_the_group_that_the_sysctl_lets_in) {
    Surroundings here = plain_machine();
    here.io_uring_disabled = 1;
    EXPECT_THAT(diagnose(setup_alone(refused(EPERM)), here).remedies,
                ElementsAre(HasSubstr("kernel.io_uring_group=GID with this user in that group")));
    here.io_uring_group = 1234;
    EXPECT_THAT(diagnose(setup_alone(refused(EPERM)), here).remedies,
                ElementsAre(HasSubstr("this user in group 1234")));
}

TEST(Diagnosis, does_not_blame_a_sysctl_that_lets_this_process_in) {
    Surroundings here = plain_machine();
    here.io_uring_disabled = 1;
    here.in_io_uring_group = true;
    EXPECT_THAT(diagnose(setup_alone(refused(EPERM)), here).causes, ElementsAre(Cause::unknown));
}

TEST(Diagnosis, names_both_the_filter_and_the_sysctl_where_both_refuse) {
    Surroundings here = container(Container::docker);
    here.io_uring_disabled = 2;
    const Diagnosis diagnosis = diagnose(all(refused(EPERM)), here);
    EXPECT_THAT(diagnosis.causes, ElementsAre(Cause::seccomp, Cause::sysctl));
    EXPECT_EQ(diagnosis.remedies.size(), 2U);
    // Behind the filter of a container, the other two calls show that the filter is not to blame.
    EXPECT_THAT(diagnose(setup_alone(refused(EPERM)), here).causes, ElementsAre(Cause::sysctl));
}

TEST(Diagnosis, knows_kernels_from_before_io_uring) {
    Surroundings here = container(Container::docker);
    here.kernel_release = "4.18.0-553.el8";
    here.kernel_major = 4;
    here.kernel_minor = 18;
    const Diagnosis diagnosis = diagnose(all(refused(ENOSYS)), here);
    EXPECT_THAT(diagnosis.causes, ElementsAre(Cause::old_kernel));
    EXPECT_THAT(diagnosis.findings, ElementsAre("Linux 4.18.0-553.el8 has no io_uring; it came with 5.1"));
}

TEST(Diagnosis, tells_a_kernel_without_io_uring_from_a_filter) {
    EXPECT_THAT(diagnose(all(refused(ENOSYS)), plain_machine()).causes, ElementsAre(Cause::no_kernel_part));
}

TEST(Diagnosis, knows_gvisor) {
    Surroundings here = plain_machine();
    here.container = Container::gvisor;
    here.kernel_major = 4;
    here.kernel_minor = 4;
    EXPECT_THAT(diagnose(all(refused(ENOSYS)), here).causes, ElementsAre(Cause::gvisor));
}

TEST(Diagnosis, takes_EACCES_for_a_security_module) {
    EXPECT_THAT(diagnose(setup_alone(refused(EACCES)), plain_machine()).causes, ElementsAre(Cause::security_module));
}

TEST(Diagnosis, tells_a_shortage_from_a_refusal) {
    EXPECT_THAT(diagnose(setup_alone(refused(EMFILE)), plain_machine()).remedies, ElementsAre(HasSubstr("ulimit -n")));
    Surroundings here = plain_machine();
    EXPECT_THAT(diagnose(setup_alone(refused(ENOMEM)), here).remedies, ElementsAre(HasSubstr("more memory")));
    here.kernel_major = 5;
    here.kernel_minor = 4;
    EXPECT_THAT(diagnose(setup_alone(refused(ENOMEM)), here).remedies, ElementsAre(HasSubstr("ulimit -l")));
}

}  // namespace
}  // namespace ringside::test
