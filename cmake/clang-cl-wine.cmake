# Cross build in the dialect and the ABI of MSVC: clang-cl and lld-link on Linux, with Wine's headers and import
# libraries. C only, and static libraries only. Programs start by crt0.c beside this file, and run under Wine.
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR AMD64)

set(WINE_INCLUDE_DIR /usr/include/wine/wine CACHE PATH "Wine's headers")
set(WINE_LIBRARY_DIR /usr/lib/x86_64-linux-gnu/wine/x86_64-windows CACHE PATH "Wine's import libraries")
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES WINE_INCLUDE_DIR WINE_LIBRARY_DIR)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)

find_program(CLANG_CL NAMES clang-cl-14 clang-cl REQUIRED)
find_program(LLD_LINK NAMES lld-link-14 lld-link REQUIRED)
find_program(LLVM_LIB NAMES llvm-lib-14 llvm-lib REQUIRED)
find_program(LLVM_MT NAMES llvm-mt-14 llvm-mt REQUIRED)
find_program(LLVM_RC NAMES llvm-rc-14 llvm-rc REQUIRED)
set(CMAKE_C_COMPILER "${CLANG_CL}")
set(CMAKE_C_COMPILER_TARGET x86_64-pc-windows-msvc)
set(CMAKE_LINKER "${LLD_LINK}")
set(CMAKE_AR "${LLVM_LIB}")
set(CMAKE_MT "${LLVM_MT}")
set(CMAKE_RC_COMPILER "${LLVM_RC}")
set(CMAKE_MSVC_RUNTIME_LIBRARY MultiThreadedDLL)

set(dialect "-fms-compatibility-version=19.38 /GS-")
set(headers "/winsysroot /none /imsvc ${WINE_INCLUDE_DIR}/msvcrt /imsvc ${WINE_INCLUDE_DIR}/windows")
set(CMAKE_C_FLAGS_INIT "${dialect} ${headers}")

# Wine names its import libraries as mingw does; lld-link looks for NAME.lib.
set(start_dir "${CMAKE_BINARY_DIR}/clang-cl-wine")
get_property(in_try_compile GLOBAL PROPERTY IN_TRY_COMPILE)
if(NOT in_try_compile AND NOT EXISTS "${start_dir}/crt0.obj")
  file(GLOB import_libraries "${WINE_LIBRARY_DIR}/lib*.a")
  file(MAKE_DIRECTORY "${start_dir}")
  foreach(library IN LISTS import_libraries)
    get_filename_component(name "${library}" NAME_WE)
    string(REGEX REPLACE "^lib" "" name "${name}")
    file(CREATE_LINK "${library}" "${start_dir}/${name}.lib" SYMBOLIC)
  endforeach()
  separate_arguments(arguments UNIX_COMMAND "--target=${CMAKE_C_COMPILER_TARGET} ${CMAKE_C_FLAGS_INIT}")
  execute_process(
    COMMAND "${CLANG_CL}" ${arguments} /c "/Fo${start_dir}/crt0.obj" -- "${CMAKE_CURRENT_LIST_DIR}/crt0.c"
    RESULT_VARIABLE failed
  )
  if(failed)
    message(FATAL_ERROR "crt0.c could not be compiled")
  endif()
endif()
set(CMAKE_EXE_LINKER_FLAGS_INIT "/nodefaultlib /manifest:no /libpath:${start_dir} ${start_dir}/crt0.obj")
set(CMAKE_C_STANDARD_LIBRARIES "kernel32.lib ucrtbase.lib vcruntime140.lib ntdll.lib" CACHE STRING "")

set(CMAKE_CROSSCOMPILING_EMULATOR sh "${CMAKE_CURRENT_LIST_DIR}/../scripts/wine.sh")
