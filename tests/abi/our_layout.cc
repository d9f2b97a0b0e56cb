#include "liburing.h"

#include "abi/layout_of_header.h"

Facts our_layout() { return layout_of_header(); }
