// As facts_of_header.h, for a liburing.h.
#pragma once

#include <stddef.h>

#include "abi/facts.h"

static Facts layout_of_header() {
    Facts facts;
#define SIZE(type) facts["sizeof " #type] = sizeof(struct type);
#define OFFSET(type, field) facts[#type "." #field] = offsetof(struct type, field);
#include "abi/layout.inc"
#undef SIZE
#undef OFFSET
    return facts;
}
