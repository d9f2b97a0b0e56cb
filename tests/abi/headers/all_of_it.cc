// The same program in C++.
#include "all_of_it.c"
