// Where requests of any kind can do no harm. The process gets namespaces of its own, with nothing but a loopback
// interface, and the thread that runs inputs gets a root of its own, an empty tmpfs, and a table of descriptors without
// any of the process's. Every thread that the engine starts from there has the same.
#pragma once

namespace ringside::fuzz {

// For main(), before there is a second thread. Ends the process where that is refused: without it nothing may run.
void confine_process();

// For the thread that runs inputs. Drops every capability, and system calls that are nobody's business in there.
void confine_thread();

// Where in the thread's table, and the process's, reports go.
inline constexpr int report_fd = 1000;

// In the thread's table, /dev/null, which its standard streams are.
inline constexpr int null_fd = report_fd + 1;

// The limit of descriptors: the engine's own begin at half of it.
inline constexpr int descriptor_limit = 1024;
inline constexpr int engines_first_fd = descriptor_limit / 2;

// Says what is wrong and ends the process as a finding.
[[noreturn]] void report_defect(const char* format, ...) __attribute__((format(printf, 1, 2)));

}  // namespace ringside::fuzz
