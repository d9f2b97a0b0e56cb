// By its path, since our own liburing.h comes first in the search.
#include "/usr/include/liburing.h"

#include "abi/layout_of_header.h"

Facts liburings_layout() { return layout_of_header(); }
