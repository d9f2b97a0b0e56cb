#include "liburing/io_uring.h"

#include "abi/facts_of_header.h"

Facts our_facts() { return facts_of_header(); }
