// The floors of src/: includes run downwards only. The plan is src/floors, docs/architecture.md draws it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace ringside::test {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;
using Lines = std::vector<std::string>;

std::ifstream open(const fs::path& path) {
    std::ifstream file(path);
    if (!file) throw std::runtime_error("cannot read " + path.string());
    return file;
}

// Rooms from the top to the bottom, and which rooms each may include.
struct Plan {
    Lines rooms;
    std::map<std::string, std::set<std::string>> may_include;
};

// A row of the plan is "room: the rooms that it may include"; `#` begins a comment.
Plan read_plan(const fs::path& path) {
    Plan plan;
    std::ifstream file = open(path);
    for (std::string line; std::getline(file, line);) {
        std::istringstream row(line.substr(0, line.find('#')));
        std::string room;
        if (!std::getline(row >> std::ws, room, ':')) continue;
        plan.rooms.push_back(room);
        std::set<std::string>& below = plan.may_include[room];
        for (std::string name; row >> name;) below.insert(name);
    }
    return plan;
}

// The rows that name a room which does not stand below them.
Lines rows_that_run_up(const Plan& plan) {
    Lines wrong;
    for (auto room = plan.rooms.begin(); room != plan.rooms.end(); ++room) {
        for (const std::string& name : plan.may_include.at(*room)) {
            if (std::find(room + 1, plan.rooms.end(), name) == plan.rooms.end()) wrong.push_back(*room + ": " + name);
        }
    }
    return wrong;
}

std::string room_of(const std::string& path) { return path.substr(0, path.find('/')); }

// What a file includes of the other files below `source`.
Lines includes_of(const fs::path& source, const std::string& path) {
    static const std::regex include("^\\s*#\\s*include\\s*\"([^\"]+)\"");
    Lines found;
    std::ifstream file = open(source / path);
    std::smatch match;
    for (std::string line; std::getline(file, line);) {
        if (std::regex_search(line, match, include) && fs::exists(source / match[1].str())) found.push_back(match[1]);
    }
    return found;
}

Lines files_below(const fs::path& source) {
    static const std::set<std::string> kinds = {".c", ".cc", ".h", ".hpp", ".def"};
    Lines files;
    for (const auto& entry : fs::recursive_directory_iterator(source)) {
        if (!kinds.contains(entry.path().extension())) continue;
        files.push_back(fs::relative(entry.path(), source));
    }
    std::sort(files.begin(), files.end());
    return files;
}

// The includes that the plan does not allow. All of a room that has no place in it are wrong.
Lines wrong_includes(const fs::path& source, const Plan& plan) {
    Lines wrong;
    for (const std::string& path : files_below(source)) {
        const auto row = plan.may_include.find(room_of(path));
        for (const std::string& included : includes_of(source, path)) {
            const std::string room = room_of(included);
            const bool right = row != plan.may_include.end() && (room == row->first || row->second.contains(room));
            if (!right) wrong.push_back(path + " includes " + included);
        }
    }
    return wrong;
}

Lines rooms_in(const fs::path& source) {
    Lines rooms;
    for (const auto& entry : fs::directory_iterator(source)) {
        if (entry.is_directory()) rooms.push_back(entry.path().filename());
    }
    return rooms;
}

// A house of the test's own.
class House {
  public:
    House() : root_(fs::temp_directory_path() / ("ringside-floors-" + std::to_string(getpid()))) {
        fs::create_directory(root_);
    }
    ~House() { fs::remove_all(root_); }
    House(const House&) = delete;
    House& operator=(const House&) = delete;

    void write(const std::string& path, const std::string& text) const {
        fs::create_directories((root_ / path).parent_path());
        std::ofstream(root_ / path) << text;
    }
    Lines wrong() const { return wrong_includes(root_, plan()); }
    Plan plan() const { return read_plan(root_ / "floors"); }

  private:
    fs::path root_;
};

const fs::path source = RINGSIDE_SOURCE "/src";

TEST(Floors, every_room_has_one_row) {
    EXPECT_THAT(rooms_in(source), testing::UnorderedElementsAreArray(read_plan(source / "floors").rooms));
}

TEST(Floors, rows_name_only_rooms_below_them) {
    EXPECT_THAT(rows_that_run_up(read_plan(source / "floors")), IsEmpty());
}

TEST(Floors, no_include_runs_up) { EXPECT_THAT(wrong_includes(source, read_plan(source / "floors")), IsEmpty()); }

TEST(FloorsCheck, finds_an_include_that_runs_up) {
    const House house;
    house.write("floors", "upper: lower\nlower:\n");
    house.write("upper/a.h", "#include \"lower/b.h\"\n");
    house.write("lower/b.h", "");
    EXPECT_THAT(house.wrong(), IsEmpty());
    house.write("lower/b.h", "#pragma once\n#include <stdint.h>\n#include \"upper/a.h\"\n");
    EXPECT_THAT(house.wrong(), ElementsAre("lower/b.h includes upper/a.h"));
}

TEST(FloorsCheck, finds_an_include_of_a_room_that_the_row_does_not_name) {
    const House house;
    house.write("floors", "top: middle\nmiddle: ground  # not top\nground:\n");
    house.write("top/deeper/a.cc", "  #  include \"ground/b.h\"\n");
    house.write("ground/b.h", "");
    EXPECT_THAT(house.wrong(), ElementsAre("top/deeper/a.cc includes ground/b.h"));
}

TEST(FloorsCheck, finds_a_room_that_the_plan_lacks) {
    const House house;
    house.write("floors", "ground:\n");
    house.write("attic/a.cc", "#include \"ground/b.h\"\n");
    house.write("ground/b.h", "");
    EXPECT_THAT(house.wrong(), ElementsAre("attic/a.cc includes ground/b.h"));
}

TEST(FloorsCheck, finds_a_row_that_runs_up) {
    const House house;
    house.write("floors", "# A comment.\nupper: lower\nlower: upper nowhere\n");
    EXPECT_THAT(rows_that_run_up(house.plan()), ElementsAre("lower: nowhere", "lower: upper"));
}

TEST(FloorsCheck, lets_files_of_other_folders_pass) {
    const House house;
    house.write("floors", "ground:\n");
    house.write("ground/a.cc", "#include \"liburing/io_uring.h\"\n");
    EXPECT_THAT(house.wrong(), IsEmpty());
}

}  // namespace
}  // namespace ringside::test
