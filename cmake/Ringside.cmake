# Compile rules that every target of the project shares.

include(GNUInstallDirs)
find_package(Threads REQUIRED)

add_library(ringside-options INTERFACE)
target_compile_options(ringside-options INTERFACE -Wall -Wextra -Wshadow -Wpointer-arith -Wvla
                       $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor -Woverloaded-virtual>
                       $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>)
if(RINGSIDE_WERROR)
  target_compile_options(ringside-options INTERFACE -Werror)
endif()
if(RINGSIDE_SANITIZE)
  target_compile_options(ringside-options INTERFACE -fsanitize=${RINGSIDE_SANITIZE} -fno-omit-frame-pointer
                         -fno-sanitize-recover=all)
  target_link_options(ringside-options INTERFACE -fsanitize=${RINGSIDE_SANITIZE})
  # To look at an object's type the sanitizer opens a pipe, and some tests leave no descriptor for one.
  target_compile_options(ringside-options INTERFACE -fno-sanitize=vptr)
  # GCC says that its thread sanitizer does not follow fences. Ours stand beside sequentially consistent accesses.
  target_compile_options(ringside-options INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-tsan>)
endif()
if(RINGSIDE_FUZZ)
  # What libFuzzer goes by: the edges that an input takes and what it compares. The library itself is linked where main() is.
  target_compile_options(ringside-options INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(RINGSIDE_COVERAGE)
  # Counted by all threads at once.
  target_compile_options(ringside-options INTERFACE --coverage -fprofile-update=atomic)
  target_link_options(ringside-options INTERFACE --coverage)
endif()
# Libraries with something in them that is not ours: not for programs that are built without it.
if(RINGSIDE_SANITIZE OR RINGSIDE_COVERAGE)
  set(RINGSIDE_INSTRUMENTED ON)
endif()
target_include_directories(ringside-options INTERFACE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)

# What ends up in a library that C programs load: no exceptions, no RTTI, nothing that would need the C++ runtime.
add_library(ringside-freestanding INTERFACE)
target_link_libraries(ringside-freestanding INTERFACE ringside-options)
target_compile_options(ringside-freestanding INTERFACE
                       $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions -fno-rtti -fno-threadsafe-statics>
                       -fvisibility=hidden -ftls-model=initial-exec -fno-strict-aliasing)

# ringside_core_sources(DIR...): every .cc of these folders below src joins the core that all faces share.
function(ringside_core_sources target)
  foreach(folder IN LISTS ARGN)
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*.cc)
    target_sources(${target} PRIVATE ${sources})
  endforeach()
endfunction()

# ringside_installed_headers(TARGET): who links the target finds the public headers, in this tree as in an installation,
# where they have a folder of their own beside the liburing.h that the system may have.
function(ringside_installed_headers target)
  target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                             $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/ringside>)
endfunction()
