# For the tests of the installed packages: a folder for what they make, and a command that refuses io_uring.
set -euo pipefail

: "${AUTOPKGTEST_TMP:=$(mktemp -d)}"

# make_refuse: builds refuse-io-uring, which runs a command where the three calls fail with EPERM.
make_refuse() {
    read -ra seccomp < <(pkg-config --cflags --libs libseccomp)
    g++ -std=c++20 -Itests -Iinclude tests/support/refuse_io_uring.cc tests/support/seccomp_filter.cc \
        -o "$AUTOPKGTEST_TMP/refuse-io-uring" "${seccomp[@]}"
}

refuse() { "$AUTOPKGTEST_TMP/refuse-io-uring" -- "$@"; }

fail() { echo "FAILED: $*"; exit 1; }
