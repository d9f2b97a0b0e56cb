// Fills a table from whichever header the including file has included before.
#pragma once

#include <stddef.h>

#include "abi/facts.h"

static Facts facts_of_header() {
    Facts facts;
#define NUMBER(name) facts[#name] = static_cast<unsigned long long>(name);
#define SIZE(type) facts["sizeof " #type] = sizeof(struct type);
#define OFFSET(type, field) facts[#type "." #field] = offsetof(struct type, field);
#include "abi/facts.inc"
#undef NUMBER
#undef SIZE
#undef OFFSET
    return facts;
}
