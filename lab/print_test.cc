#include "print_test.h"
namespace ringside::lab {
std::string print_test(const Program&, const Trace&) { return ""; }
}
