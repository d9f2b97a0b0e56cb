#include "cli/cp/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

namespace ringside::cli::cp {
namespace {

namespace fs = std::filesystem;

constexpr auto draw_interval = std::chrono::milliseconds(100);
constexpr unsigned bar_width = 30;

std::string readable_size(double bytes) {
    static constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    for (; bytes >= 1024 && unit + 1 < std::size(units); ++unit) bytes /= 1024;
    return fmt::format("{:.{}f} {}", bytes, unit == 0 ? 0 : 1, units[unit]);
}

// An unreadable file counts as empty here; the copy itself reports it.
uint64_t size_of(const fs::directory_entry& entry) {
    std::error_code ignored;
    if (entry.is_symlink(ignored) || !entry.is_regular_file(ignored)) return 0;
    const auto size = entry.file_size(ignored);
    return ignored ? 0 : size;
}

uint64_t size_of_tree(const std::string& top) {
    std::error_code error;
    uint64_t sum = 0;
    fs::recursive_directory_iterator walk(top, fs::directory_options::skip_permission_denied, error);
    for (; !error && walk != fs::recursive_directory_iterator(); walk.increment(error)) sum += size_of(*walk);
    return sum;
}

}  // namespace

Progress::Progress(bool wanted) : shown_(wanted && isatty(STDERR_FILENO)) {}

void Progress::measure(const std::vector<std::string>& sources, bool recursive) {
    if (!shown_) return;
    for (const auto& source : sources) {
        std::error_code ignored;
        if (fs::is_directory(source, ignored)) {
            if (recursive) total_bytes_ += size_of_tree(source);
        } else if (const auto size = fs::file_size(source, ignored); !ignored) {
            total_bytes_ += size;
        }
    }
}

void Progress::tick() {
    if (!shown_) return;
    const auto now = Clock::now();
    if (now - last_draw_ < draw_interval) return;
    last_draw_ = now;
    drawn_ = true;

    // A file that grows while it is copied must not draw the bar beyond its end.
    const double share = total_bytes_ == 0 ? 0 : std::min(1.0, static_cast<double>(copied_bytes_) / total_bytes_);
    const auto filled = static_cast<unsigned>(share * bar_width);
    const double seconds = std::chrono::duration<double>(now - start_).count();
    fmt::print(stderr, "\r[{:=<{}}{: <{}}] {:3.0f}%  {} of {}  {} files  {}/s\x1b[K", "", filled, "",
               bar_width - filled, share * 100, readable_size(copied_bytes_), readable_size(total_bytes_),
               copied_files_, readable_size(copied_bytes_ / seconds));
}

void Progress::hide() {
    if (!drawn_) return;
    drawn_ = false;
    fmt::print(stderr, "\r\x1b[K");
}

}  // namespace ringside::cli::cp
