// By its path, since our own liburing.h comes first in the search.
#include "/usr/include/liburing.h"

#include "abi/prep_bytes.h"

PreparedSqes liburings_sqes() { return prepare_all(); }
