# Thin over the presets of CMakePresets.json: each target names a preset and what to do with it.
#
#   make           the tool, the libraries and the examples, in build/tool
#   make demo      what ringside is for, on this machine, with numbers
#   make test      every test: on the kernel's io_uring, on the engine, and where the three calls are refused
#   make faults    each system call that the engine makes for itself fails once; make test does this too
#   make clients   Debian's programs that use io_uring, unchanged, on the engine; they are installed, servers among them
#   make upstream  liburing's own test suite against both providers, in one table
#   make bench     the engine against the kernel's io_uring; make bench-quick: a look at it, within a minute;
#                  make bench-instructions: instructions an operation, counted and compared with bench/instructions;
#                  make bench-programs: fio and qemu-img bench under ringside run, and by themselves;
#                  make bench-report: all of it at length, with plots, into docs/performance
#   make check     the tests again under sanitizers and clang, and the formatting
#   make coverage  which lines of the engine the tests run, file by file
#   make soak      ten million random requests on the engine, and a million on the kernel's io_uring; make races: each of
#                  the tests of two things at the same moment, 100,000 times
#   make dist      the source tarball of the commit that is checked out, in build/dist; the same bytes each time
#   make deb       Debian packages, in build/package; make deb-check: lintian looks at them
#   make abi-check libringside.so against its recorded ABI, types and all; make abi-record records it, for a release
#   make docs      the API reference and the documents as HTML, in build/docs
#   make lab       the differential tests, for LAB_MINUTES minutes, and until every operation, SQE flag and setup flag
#                  was exercised; make lab-long: for an hour
#   make fuzz      the engine under libFuzzer, for FUZZ_MINUTES minutes

JOBS ?= $(shell nproc)
LAB_MINUTES ?= 1
FUZZ_MINUTES ?= 2
MAKEFLAGS += --no-print-directory

# A compiler cache is used where there is one.
ifneq ($(shell command -v ccache),)
export CMAKE_C_COMPILER_LAUNCHER := ccache
export CMAKE_CXX_COMPILER_LAUNCHER := ccache
endif

# Where nobody looks on, a build says nothing unless it fails: what matters in a log is what comes after.
BUILD_FLAGS ?= $(shell test -t 2 || echo -- --quiet)
# For CTest, as in: make test CTEST_FLAGS='--repeat until-pass:3'
CTEST_FLAGS ?=
# $(call build,PRESET): says nothing about the configuration unless it fails.
build = cmake --preset $(1) >/dev/null && cmake --build --preset $(1) --parallel $(JOBS) $(BUILD_FLAGS)
# $(call run_tests,PRESET): CTest's summary comes last, and what failed.
run_tests = $(call build,$(1)) && scripts/run_tests $(1) $(CTEST_FLAGS)

.PHONY: all demo dist deb deb-check abi-check abi-record docs test faults clients upstream bench bench-quick bench-instructions bench-report bench-programs check coverage asan tsan clang soak run-soak races run-races format format-check lab lab-long fuzz clean

all:
	@scripts/setup build
	@$(call build,tool)

demo: all
	@scripts/demo build/tool

deb:
	@scripts/setup build package
	@scripts/deb build/package

deb-check: deb
	@scripts/setup check-package
	@# No bug of Debian's asks for the package, which lintian expects of a first upload.
	@lintian --fail-on error,warning --allow-root --suppress-tags initial-upload-closes-no-bugs build/package/ringside_*.changes && echo "lintian: nothing to complain of"

abi-check abi-record:
	@scripts/setup build abi
	@$(call build,abi)
	@scripts/abi $(patsubst abi-%,%,$@)

docs:
	@scripts/setup docs
	@scripts/docs build/docs

dist:
	@scripts/dist build/dist

test:
	@scripts/setup build test
	@$(call run_tests,release)

clients:
	@scripts/setup build clients
	@$(call build,tool)
	@tests/clients/debian/run build/tool

upstream:
	@scripts/setup build upstream
	@$(call build,tool)
	@source=$$(tests/upstream/fetch liburing build/upstream/source) && tests/upstream/build "$$source" build/tool build/upstream
	@tests/upstream/run build/tool build/upstream

bench bench-quick:
	@scripts/setup build bench
	@$(call build,bench)
	@build/bench/bin/ringside-bench $(if $(filter bench-quick,$@),--quick)

bench-report:
	@scripts/setup build bench report
	@$(call build,bench)
	@build/bench/bin/ringside-bench --json build/bench/results.json --commit $$(git rev-parse --short HEAD)
	@build/bench/bin/bench-report docs/performance build/bench/results.json

bench-programs:
	@scripts/setup build bench programs
	@$(call build,bench)
	@bench/programs

bench-instructions:
	@scripts/setup build bench
	@$(call build,bench)
	@bench/check_instructions

faults:
	@scripts/setup build test
	@$(call build,release) && scripts/run_tests release --tests-regex '^faults$$'

check: format-check asan tsan clang

asan tsan:
	@scripts/setup build test
	@$(call run_tests,$@)

clang:
	@scripts/setup build test check
	@$(call run_tests,clang)

# $(call long_test,PROVIDER,TEST,SECONDS,ARGUMENTS)
long_test = RINGSIDE_PROVIDER=$(1) timeout -s KILL $(3) build/release/bin/test-$(2) --gtest_brief=1 $(4)

soak races:
	@scripts/setup build test
	@$(call build,release)
	@$(MAKE) run-$@

run-soak:
	RINGSIDE_SOAK=10000000 $(call long_test,engine,soak,300)
	RINGSIDE_SOAK=1000000 $(call long_test,kernel,soak,300)

# Ends of threads and processes are dear: in the kernel a turn takes some ten milliseconds.
run-races:
	RINGSIDE_RACES=100000 $(call long_test,engine,path,900,--gtest_filter='*Race*-RaceOfExits*')
	RINGSIDE_RACES=100000 $(call long_test,kernel,path,900,--gtest_filter='*Race*-RaceOfExits*')
	RINGSIDE_RACES=100000 $(call long_test,engine,path,1800,--gtest_filter='RaceOfExits*')
	RINGSIDE_RACES=100000 $(call long_test,kernel,path,3600,--gtest_filter='RaceOfExits*')

# The engine's own lines. Those that run in children that are killed are not counted.
engine = (entry|path|ops|register|resource|service|process|state|memory|os)
coverage:
	@scripts/setup build test coverage
	@find build/coverage -name '*.gcda' -delete 2>/dev/null || true
	@$(call run_tests,coverage)
	@gcovr --root . --filter 'src/$(engine)/' build/coverage

sources = git ls-files --cached --others --exclude-standard '*.cc' '*.h' '*.hpp'

format:
	@scripts/setup check
	@$(sources) | xargs clang-format-19 -i

format-check:
	@scripts/setup check
	@$(sources) | xargs clang-format-19 --dry-run --Werror && echo "formatting: as .clang-format says"

lab: LAB_TIME = --minutes $(LAB_MINUTES)
lab-long: LAB_TIME = --minutes 60
lab lab-long:
	@scripts/setup build test
	@$(call build,lab)
	@build/lab/bin/ringside-lab run $(LAB_TIME) --programs 1000000000 --jobs $(JOBS) --require-coverage --findings build/lab-findings

fuzz:
	@scripts/setup build fuzz
	@$(call build,fuzz)
	@lab/fuzz/run build/fuzz $(FUZZ_MINUTES)

clean:
	rm -rf build
