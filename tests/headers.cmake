# Each public header compiles alone, as C99 and as C++11, without a warning: building these libraries is the test.
file(GLOB headers CONFIGURE_DEPENDS RELATIVE "${PROJECT_SOURCE_DIR}/include" "${PROJECT_SOURCE_DIR}/include/proloop/*.h")
list(APPEND headers proloop/config.h)

add_library(headers_as_c99 OBJECT)
add_library(headers_as_cxx11 OBJECT)
foreach(header IN LISTS headers)
  string(MAKE_C_IDENTIFIER "${header}" name)
  foreach(language IN ITEMS c cpp)
    file(CONFIGURE
      OUTPUT "headers/${name}.${language}"
      CONTENT "#include <@header@>\nint ${name}(void);\nint ${name}(void)\n{\n    return 0;\n}\n"
      @ONLY
    )
  endforeach()
  target_sources(headers_as_c99 PRIVATE "${CMAKE_CURRENT_BINARY_DIR}/headers/${name}.c")
  target_sources(headers_as_cxx11 PRIVATE "${CMAKE_CURRENT_BINARY_DIR}/headers/${name}.cpp")
endforeach()

set_target_properties(headers_as_c99 PROPERTIES C_STANDARD 99 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF)
set_target_properties(headers_as_cxx11 PROPERTIES CXX_STANDARD 11 CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF)
foreach(target IN ITEMS headers_as_c99 headers_as_cxx11)
  target_link_libraries(${target} PRIVATE proloop::proloop)
  if(MSVC)
    target_compile_options(${target} PRIVATE /W4 /WX)
  else()
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wconversion -Werror)
  endif()
endforeach()
