// What the tests of `ringside cp` share: a directory to work in and the command itself, on one provider.
#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <vector>

#include "clients/child.h"
#include "clients/tree.h"
#include "support/files.h"

namespace ringside::test {

class Copy : public testing::TestWithParam<const char*> {
  protected:
    std::string path(std::string_view name) const { return directory_.path_of(name); }
    std::string add(std::string_view name, std::string_view content) const { return directory_.add(name, content); }
    // A file of this size whose bytes differ from place to place.
    std::string add_large(std::string_view name, size_t size) const;

    // The command line of a copy by this test's provider.
    static std::vector<std::string> command(std::initializer_list<std::string> arguments);
    static Ended cp(std::initializer_list<std::string> arguments) { return run(command(arguments)); }

    static inline const Ended done = {};  // exit status 0 and not a word

  private:
    TemporaryDirectory directory_;
};

}  // namespace ringside::test
