# What `cmake --install` puts where. Files named like liburing's go into directories of ringside's own: they stand beside
# the system's liburing, and replace it only for programs that ask for them:
#
#   include/ringside/           liburing.h, liburing/, ringside/
#   LIBDIR/                     libringside, pkgconfig/ringside.pc, cmake/ringside/
#   LIBDIR/ringside/            liburing.so.2, liburing-ffi.so.2, the static ones, pkgconfig/liburing{,-ffi}.pc, the library
#                               that `ringside run` preloads
#   bin/ringside, share/man/man1, share/man/man3, share/doc/ringside
#
# Each file belongs to one component, and debian/rules makes one package of each: tool, runtime (libringside.so.0),
# development, liburing (liburing.so.2, liburing-ffi.so.2) and documents.
include(CMakePackageConfigHelpers)

set(own_libdir ${CMAKE_INSTALL_LIBDIR}/ringside)
set(cmake_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/ringside)

install(DIRECTORY include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/ringside COMPONENT development)

set(own_libraries liburing-shared liburing-static liburing-ffi-shared liburing-ffi-static)
# install_libraries(DIRECTORY COMPONENT TARGET...): shared libraries are COMPONENT's, all else is for development.
function(install_libraries directory component)
  install(TARGETS ${ARGN} EXPORT ringside
          LIBRARY DESTINATION ${directory} COMPONENT ${component} NAMELINK_COMPONENT development
          ARCHIVE DESTINATION ${directory} COMPONENT development)
endfunction()
install_libraries(${CMAKE_INSTALL_LIBDIR} runtime ringside-shared ringside-static)
install_libraries(${own_libdir} liburing ${own_libraries})
install(TARGETS ringside-preload LIBRARY DESTINATION ${own_libdir} COMPONENT tool)

# find_package(ringside) gives ringside::ringside, ringside::liburing, ringside::liburing-ffi, and each with -static.
foreach(library ringside liburing liburing-ffi)
  set_target_properties(${library}-shared PROPERTIES EXPORT_NAME ${library})
endforeach()
install(EXPORT ringside NAMESPACE ringside:: FILE ringside-targets.cmake DESTINATION ${cmake_package_dir}
        COMPONENT development)
configure_package_config_file(cmake/install/ringside-config.cmake.in ${CMAKE_BINARY_DIR}/install/ringside-config.cmake
                              INSTALL_DESTINATION ${cmake_package_dir})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/install/ringside-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/install/ringside-config.cmake ${CMAKE_BINARY_DIR}/install/ringside-config-version.cmake
        DESTINATION ${cmake_package_dir} COMPONENT development)

# The pkg-config files find their folders from where they are, so that an installation can be moved.
file(RELATIVE_PATH to_include /x/${CMAKE_INSTALL_LIBDIR} /x/${CMAKE_INSTALL_INCLUDEDIR})
set(pc_include_from_libdir \${libdir}/${to_include})
set(pc_include_from_own_libdir \${libdir}/../${to_include})
configure_file(cmake/install/ringside.pc.in ${CMAKE_BINARY_DIR}/install/ringside.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/install/ringside.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
        COMPONENT development)
get_target_property(liburing_version liburing-shared VERSION)
foreach(name liburing liburing-ffi)
  string(REPLACE lib "" link_name ${name})
  configure_file(cmake/install/liburing.pc.in ${CMAKE_BINARY_DIR}/install/${name}.pc @ONLY)
  install(FILES ${CMAKE_BINARY_DIR}/install/${name}.pc DESTINATION ${own_libdir}/pkgconfig COMPONENT development)
endforeach()

file(GLOB function_pages CONFIGURE_DEPENDS docs/man/*.3)
if(function_pages)
  install(FILES ${function_pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man3 COMPONENT development)
endif()
if(TARGET ringside)
  install(TARGETS ringside RUNTIME COMPONENT tool)
  file(GLOB command_pages CONFIGURE_DEPENDS docs/man/*.1)
  install(FILES ${command_pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT tool)
endif()

# The documents keep their places relative to each other, so that their links work where they are installed
# (tests/install/check_links). The last group are files outside of docs/ that documents link to.
install(FILES README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR}
        COMPONENT documents)
install(DIRECTORY docs examples DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT documents)
foreach(document bench/README.md bench/instructions lab/README.md src/ops/ops.def tests/faults/own_calls.def
        include/ringside/provider.h)
  cmake_path(GET document PARENT_PATH folder)
  install(FILES ${document} DESTINATION ${CMAKE_INSTALL_DOCDIR}/${folder} COMPONENT documents)
endforeach()
