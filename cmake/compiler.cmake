# How every target of this project is compiled: language level, warnings, hardening, analysis, sanitizers.

# Sanitizers must cover every object of the build, GoogleTest's included.
if(PROLOOP_SANITIZE)
  if(MSVC)
    add_compile_options("/fsanitize=${PROLOOP_SANITIZE}")
    add_link_options(/INCREMENTAL:NO)
  else()
    add_compile_options("-fsanitize=${PROLOOP_SANITIZE}" -fno-sanitize-recover=all -fno-omit-frame-pointer)
    add_link_options("-fsanitize=${PROLOOP_SANITIZE}")
  endif()
endif()

set(gnu_warnings
  -Wall
  -Wextra
  -Wpedantic
  -Wconversion
  -Wshadow
  -Wvla
  -Wpointer-arith
)
set(gnu_c_warnings -Wstrict-prototypes -Wmissing-prototypes)
set(clang_warnings -Wgnu -Wshorten-64-to-32 -Wno-string-conversion) # CHECK(!"why") is meant

# proloop_compile_options(<target>): C11, warnings, and what the PROLOOP_ options add; private to the target.
function(proloop_compile_options target)
  set_target_properties(${target} PROPERTIES
    C_STANDARD 11
    C_STANDARD_REQUIRED ON
    C_EXTENSIONS OFF
  )
  if(WIN32)
    target_compile_definitions(${target} PRIVATE _WIN32_WINNT=0x0A00)
  else()
    target_compile_definitions(${target} PRIVATE _GNU_SOURCE)
  endif()

  if(MSVC)
    target_compile_definitions(${target} PRIVATE _CRT_SECURE_NO_WARNINGS)
    target_compile_options(${target} PRIVATE /W4)
    if(CMAKE_C_COMPILER_ID MATCHES "Clang")
      # To clang-cl -Wall means every warning there is; /W4 is what others call -Wall -Wextra.
      set(clang_cl_warnings ${gnu_warnings} ${clang_warnings})
      list(REMOVE_ITEM clang_cl_warnings -Wall)
      target_compile_options(${target} PRIVATE
        ${clang_cl_warnings}
        "$<$<COMPILE_LANGUAGE:C>:${gnu_c_warnings}>"
      )
    else()
      # Not worth a warning: initializers that are not constant (C99), and padding that was asked for.
      target_compile_options(${target} PRIVATE
        /utf-8
        "$<$<COMPILE_LANGUAGE:C>:/wd4204;/wd4221;/wd4324>"
        "$<$<COMPILE_LANGUAGE:CXX>:/permissive->"
      )
    endif()
  else()
    target_compile_options(${target} PRIVATE
      "$<$<COMPILE_LANGUAGE:C,CXX>:${gnu_warnings}>"
      "$<$<COMPILE_LANGUAGE:C>:${gnu_c_warnings}>"
    )
    if(CMAKE_C_COMPILER_ID MATCHES "Clang")
      target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:C,CXX>:${clang_warnings}>")
    endif()
  endif()

  if(PROLOOP_WERROR)
    if(MSVC)
      target_compile_options(${target} PRIVATE /WX)
    else()
      target_compile_options(${target} PRIVATE -Werror)
    endif()
  endif()

  if(PROLOOP_HARDEN)
    if(MSVC)
      target_compile_options(${target} PRIVATE /guard:cf)
      target_link_options(${target} PRIVATE /guard:cf)
      if(NOT CMAKE_C_COMPILER_ARCHITECTURE_ID MATCHES "ARM")
        target_link_options(${target} PRIVATE /CETCOMPAT)
      endif()
    else()
      target_compile_options(${target} PRIVATE
        -fstack-protector-strong
        "$<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE;-D_FORTIFY_SOURCE=2>"
      )
      if(UNIX AND NOT APPLE)
        target_link_options(${target} PRIVATE LINKER:-z,relro,-z,now)
      endif()
    endif()
  endif()

  if(PROLOOP_ANALYZE)
    if(MSVC)
      target_compile_options(${target} PRIVATE /analyze)
    elseif(CMAKE_C_COMPILER_ID STREQUAL "GNU")
      target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:C>:-fanalyzer>")
    endif()
  endif()
endfunction()
