# proloop_googletest(): GTest::gtest, an installed one where it is compiled as this build is, else from source: the
# system's copy, or the release from the network.
function(proloop_googletest)
  if(NOT CMAKE_CROSSCOMPILING AND NOT PROLOOP_SANITIZE AND NOT MSVC)
    find_package(GTest QUIET)
    if(TARGET GTest::gtest)
      return()
    endif()
  endif()
  set(GTEST_SOURCE_DIR /usr/src/googletest/googletest CACHE PATH "The folder of GoogleTest's gtest/ and CMakeLists.txt")
  set(BUILD_SHARED_LIBS OFF)
  set(BUILD_GMOCK OFF)
  set(INSTALL_GTEST OFF)
  # CMAKE_MSVC_RUNTIME_LIBRARY chooses the runtime library, and GoogleTest does not meddle.
  set(CMAKE_POLICY_DEFAULT_CMP0091 NEW)
  set(gtest_force_shared_crt ON)
  if(EXISTS "${GTEST_SOURCE_DIR}/CMakeLists.txt")
    add_subdirectory("${GTEST_SOURCE_DIR}" "${CMAKE_CURRENT_BINARY_DIR}/googletest" EXCLUDE_FROM_ALL)
  else()
    if(POLICY CMP0135)
      cmake_policy(SET CMP0135 NEW) # unpacked files are as old as their unpacking
    endif()
    include(FetchContent)
    FetchContent_Declare(googletest
      URL https://github.com/google/googletest/archive/refs/tags/v1.14.0.tar.gz
      URL_HASH SHA256=8ad598c73ad796e0d8280b082cebd82a630d73e73cd3c70057938a6501bba5d7
    )
    FetchContent_MakeAvailable(googletest)
  endif()
  if(NOT TARGET GTest::gtest)
    add_library(GTest::gtest ALIAS gtest)
  endif()
endfunction()

proloop_googletest()
