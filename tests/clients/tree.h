// What can be known of a tree of files, in a form that two trees can be compared in.
#pragma once

#include <map>
#include <set>
#include <string>

namespace ringside::test {

// For each path below `top`, and for `top` itself as ".": kind, mode, owner, time of the last change, and, except for
// directories, the number of names, the size and the content.
std::map<std::string, std::string> describe(const std::string& top);

// The names in a directory, hidden ones too.
std::set<std::string> names_in(const std::string& directory);

}  // namespace ringside::test
