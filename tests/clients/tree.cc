#include "clients/tree.h"

#include <stdio.h>
#include <sys/stat.h>

#include <filesystem>
#include <functional>

#include "support/files.h"

namespace ringside::test {
namespace {

namespace fs = std::filesystem;

// A file as large as this is compared by its size alone.
constexpr off_t most_content = 64 << 20;

std::string content_fact(const fs::path& path, const struct stat& facts) {
    if (S_ISLNK(facts.st_mode)) return "-> " + fs::read_symlink(path).string();
    if (!S_ISREG(facts.st_mode) || facts.st_size > most_content) return "";
    const std::string content = content_of(path.string());
    return "hash " + std::to_string(std::hash<std::string>()(content));
}

std::string describe_one(const fs::path& path) {
    struct stat facts;
    if (lstat(path.c_str(), &facts) != 0) return "cannot be examined";
    char text[200];
    snprintf(text, sizeof text, "mode %o owner %u:%u changed %lld.%09ld", facts.st_mode, facts.st_uid, facts.st_gid,
             static_cast<long long>(facts.st_mtim.tv_sec), facts.st_mtim.tv_nsec);
    std::string description = text;
    if (S_ISDIR(facts.st_mode)) return description;
    return description + " names " + std::to_string(facts.st_nlink) + " size " + std::to_string(facts.st_size) + " " +
           content_fact(path, facts);
}

}  // namespace

std::map<std::string, std::string> describe(const std::string& top) {
    std::map<std::string, std::string> descriptions = {{".", describe_one(top)}};
    if (!fs::is_directory(fs::symlink_status(top))) return descriptions;
    for (const auto& entry : fs::recursive_directory_iterator(top)) {
        descriptions[fs::relative(entry.path().parent_path(), top) / entry.path().filename()] =
            describe_one(entry.path());
    }
    return descriptions;
}

std::set<std::string> names_in(const std::string& directory) {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(directory)) names.insert(entry.path().filename());
    return names;
}

}  // namespace ringside::test
