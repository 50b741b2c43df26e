# Installs the library, its headers, the package files by which CMake and pkg-config find it, the licence, and what
# a debugger wants. Nothing installed holds an absolute path.
include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/proloop")
set(pc_dir "${CMAKE_INSTALL_LIBDIR}/pkgconfig")

install(TARGETS proloop
  EXPORT proloop
  RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}"
  LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
)
install(DIRECTORY include/proloop "${PROJECT_BINARY_DIR}/include/proloop"
  DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
  FILES_MATCHING PATTERN "*.h"
)

install(EXPORT proloop
  NAMESPACE proloop::
  FILE proloop-targets.cmake
  DESTINATION "${package_dir}"
)
configure_package_config_file(cmake/proloop-config.cmake.in proloop-config.cmake INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file(proloop-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES
  "${PROJECT_BINARY_DIR}/proloop-config.cmake"
  "${PROJECT_BINARY_DIR}/proloop-config-version.cmake"
  DESTINATION "${package_dir}"
)

# How a static proloop is linked is part of its .pc's Libs: whoever asks for it has no other proloop to link.
if(WIN32)
  list(TRANSFORM windows_libraries PREPEND " -l" OUTPUT_VARIABLE system_libs)
  list(JOIN system_libs "" system_libs)
else()
  set(system_libs " -pthread")
endif()
if(BUILD_SHARED_LIBS)
  set(libs "")
  set(libs_private "${system_libs}")
else()
  set(libs "${system_libs}")
  set(libs_private "")
endif()
file(RELATIVE_PATH prefix_from_pc "/prefix/${pc_dir}" "/prefix")
string(REGEX REPLACE "/$" "" prefix_from_pc "${prefix_from_pc}")
configure_file(cmake/proloop.pc.in proloop.pc @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/proloop.pc" DESTINATION "${pc_dir}")

install(FILES LICENSE DESTINATION "${CMAKE_INSTALL_DATADIR}/licenses/proloop")
install(FILES visualizers/proloop.natvis DESTINATION "${CMAKE_INSTALL_DATADIR}/proloop")
if(MSVC)
  if(BUILD_SHARED_LIBS)
    install(FILES "$<TARGET_PDB_FILE:proloop>" DESTINATION "${CMAKE_INSTALL_BINDIR}" OPTIONAL)
  else()
    get_property(multi_config GLOBAL PROPERTY GENERATOR_IS_MULTI_CONFIG)
    install(FILES "${PROJECT_BINARY_DIR}/pdb/$<$<BOOL:${multi_config}>:$<CONFIG>/>proloop.pdb"
      DESTINATION "${CMAKE_INSTALL_LIBDIR}"
      OPTIONAL
    )
  endif()
endif()
