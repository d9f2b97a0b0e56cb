// Linked statically, so that it has no dynamic loader.
int main(void) { return 7; }
