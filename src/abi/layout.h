// What the layout checks are written in. Each is a static_assert, and names what differs.
#pragma once

#include <stddef.h>

#define SIZE(type, size) static_assert(sizeof(struct type) == (size), #type)
#define OFFSET(type, field, offset) static_assert(offsetof(struct type, field) == (offset), #type "." #field)
#define FIELD(type, field, offset, size) \
    OFFSET(type, field, offset);         \
    static_assert(sizeof(type::field) == (size), #type "." #field)
#define CONSTANT(name, value) static_assert((name) == (value), #name)
