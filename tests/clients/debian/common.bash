# What the tests of Debian's programs share; each test is a script that includes this file and is started by `run`, in an
# empty directory of its own, with RINGSIDE_BUILD in its environment.
#
# All programs run where the three system calls are refused, and come to the engine in one of two ways:
#
#   run    unchanged, under `ringside run`
#   swap   with ringside's liburing.so.2 in the place of Debian's, if they load one
set -euo pipefail

fail() { echo "FAILED: $*"; exit 1; }

# take_way WAY: sets `by`, the words before a command that bring it to the engine.
take_way() {
    by=("$RINGSIDE_BUILD/bin/refuse-io-uring" --)
    case $1 in
        run) by+=("$RINGSIDE_BUILD/bin/ringside" run --verbose --) ;;
        swap) by+=(env RINGSIDE_VERBOSE=1 "LD_LIBRARY_PATH=$RINGSIDE_BUILD/lib") ;;
    esac
}

# ways_for PROGRAM: the ways that it can be served in.
ways_for() {
    echo run
    [[ $(ldd "$1" 2>/dev/null) != *liburing.so.2* ]] || echo swap
}

# engine_serves WAY PROGRAM...: runs the program, which must succeed and must have used the engine: a program that quietly
# went on without io_uring would prove nothing. Its output is in the files `output` and `errors`.
engine_serves() {
    local way=$1 by
    shift
    take_way "$way"
    "${by[@]}" "$@" >output 2>errors </dev/null || { cat output errors; fail "$way: $* ended with $?"; }
    grep -q "^ringside: io_uring of .* is the engine's" errors || { cat output errors; fail "$way: $*: no ring was used"; }
}

passed() { echo "passed: $*"; }
