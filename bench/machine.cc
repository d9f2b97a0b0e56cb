// What kind of machine the numbers are from.
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "results.h"

namespace bench {
namespace {

std::string processor() {
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);) {
        if (const auto colon = line.find(": "); line.starts_with("model name") && colon != std::string::npos)
            return line.substr(colon + 2);
    }
    return "unknown";
}

// The mitigations that are on: they decide what it costs to enter the kernel.
std::string mitigations() {
    std::string all;
    std::error_code missing;
    for (const auto& entry : std::filesystem::directory_iterator("/sys/devices/system/cpu/vulnerabilities", missing)) {
        std::string line;
        std::getline(std::ifstream(entry.path()) >> std::ws, line);
        if (!line.starts_with("Mitigation: ")) continue;
        all += (all.empty() ? "" : "; ") + entry.path().filename().string() + ": " + line.substr(12);
    }
    return all.empty() ? "none" : all;
}

// The file system that holds the folder: of its mount points the longest.
std::string file_system(const std::string& folder) {
    std::ifstream mounts("/proc/self/mounts");
    std::string best, type;
    for (std::string device, point, kind, rest; mounts >> device >> point >> kind && std::getline(mounts, rest);) {
        const bool holds = point == "/" || folder == point || folder.starts_with(point + "/");
        if (holds && point.size() >= best.size()) best = point, type = kind;
    }
    return type;
}

std::string today() {
    const time_t now = time(nullptr);
    char text[sizeof "2000-01-01"];
    tm local;
    strftime(text, sizeof text, "%F", localtime_r(&now, &local));
    return text;
}

// Who else wants the processors: with one runnable process for each there is no room for another.
std::string load() {
    double average = 0;
    getloadavg(&average, 1);
    char text[32];
    snprintf(text, sizeof text, "%.1f", average);
    return text;
}

}  // namespace

std::map<std::string, std::string> describe_machine(const std::string& folder) {
    utsname name;
    uname(&name);
    return {{"date", today()},
            {"kernel", std::string(name.release) + " " + name.machine},
            {"processor", processor() + ", " + std::to_string(sysconf(_SC_NPROCESSORS_ONLN)) + " cores"},
            {"file system", file_system(folder)},
            {"load at the start", load()},
            {"mitigations", mitigations()}};
}

}  // namespace bench
