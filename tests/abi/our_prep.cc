#include "liburing.h"

#include "abi/prep_bytes.h"

PreparedSqes our_sqes() { return prepare_all(); }
