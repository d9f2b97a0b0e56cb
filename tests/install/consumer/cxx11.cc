#include "reads_itself.h"

int main(void) { return read_itself(); }
