# What `cmake --install` puts where, and the Debian package. All that has a name of liburing's lies in folders of
# ringside's own, so that it stands beside the liburing that the system may have and replaces it only for who asks:
#
#   include/ringside/           liburing.h, liburing/, ringside/
#   LIBDIR/                     libringside, pkgconfig/ringside.pc, cmake/ringside/
#   LIBDIR/ringside/            liburing.so.2, liburing-ffi.so.2, the static ones, pkgconfig/liburing{,-ffi}.pc, the library
#                               that `ringside run` preloads
#   bin/ringside, share/man/man1, share/doc/ringside
include(CMakePackageConfigHelpers)

set(own_libdir ${CMAKE_INSTALL_LIBDIR}/ringside)
set(cmake_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/ringside)

install(DIRECTORY include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/ringside)

set(own_libraries liburing-shared liburing-static liburing-ffi-shared liburing-ffi-static)
install(TARGETS ringside-shared ringside-static EXPORT ringside)
install(TARGETS ${own_libraries} EXPORT ringside DESTINATION ${own_libdir})
install(TARGETS ringside-preload DESTINATION ${own_libdir})

# find_package(ringside) gives ringside::ringside, ringside::liburing, ringside::liburing-ffi, and each with -static.
foreach(library ringside liburing liburing-ffi)
  set_target_properties(${library}-shared PROPERTIES EXPORT_NAME ${library})
endforeach()
install(EXPORT ringside NAMESPACE ringside:: FILE ringside-targets.cmake DESTINATION ${cmake_package_dir})
configure_package_config_file(cmake/install/ringside-config.cmake.in ${CMAKE_BINARY_DIR}/install/ringside-config.cmake
                              INSTALL_DESTINATION ${cmake_package_dir})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/install/ringside-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/install/ringside-config.cmake ${CMAKE_BINARY_DIR}/install/ringside-config-version.cmake
        DESTINATION ${cmake_package_dir})

# The pkg-config files find their folders from where they are, so that an installation can be moved.
file(RELATIVE_PATH to_include /x/${CMAKE_INSTALL_LIBDIR} /x/${CMAKE_INSTALL_INCLUDEDIR})
set(pc_include_from_libdir \${libdir}/${to_include})
set(pc_include_from_own_libdir \${libdir}/../${to_include})
configure_file(cmake/install/ringside.pc.in ${CMAKE_BINARY_DIR}/install/ringside.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/install/ringside.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
get_target_property(liburing_version liburing-shared VERSION)
foreach(name liburing liburing-ffi)
  string(REPLACE lib "" link_name ${name})
  configure_file(cmake/install/liburing.pc.in ${CMAKE_BINARY_DIR}/install/${name}.pc @ONLY)
  install(FILES ${CMAKE_BINARY_DIR}/install/${name}.pc DESTINATION ${own_libdir}/pkgconfig)
endforeach()

if(TARGET ringside)
  install(TARGETS ringside)
  file(GLOB man_pages CONFIGURE_DEPENDS docs/man/*.1)
  install(FILES ${man_pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
endif()
install(FILES README.md docs/differences.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME ringside)
set(CPACK_PACKAGE_CONTACT "the ringside developers")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY ${PROJECT_DESCRIPTION})
set(CPACK_PACKAGE_DESCRIPTION
    "Runs programs that use io_uring where the kernel or a policy refuses it: unchanged by `ringside run`, or linked with \
a liburing of its own. Stands beside Debian's liburing2.")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# The liburing.so.2 in our folder is nobody's dependency but its users', who name the folder.
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS OFF)
set(CPACK_STRIP_FILES ON)
include(CPack)
