#include <linux/io_uring.h>

#include "abi/facts_of_header.h"

Facts system_facts() { return facts_of_header(); }
