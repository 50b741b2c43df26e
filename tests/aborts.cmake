# Cases that end the program on purpose, each in a process of its own. Included by CMakeLists.txt it adds a test for each
# case; run as a script (cmake -D PROGRAM=... -D CASE=... -P aborts.cmake) it runs one and looks at its end.
if(DEFINED CASE)
  execute_process(COMMAND ${PROGRAM} ${CASE} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE error)
  message("${output}${error}result: ${result}")
  if(output MATCHES "expect abort")
    # The message says where the scope began, or which operation is meant.
    if(result STREQUAL "0" OR output MATCHES "result " OR NOT error MATCHES "proloop: .*(abort_program\\.c:[0-9]+|operation|not open|is still open)")
      message(FATAL_ERROR "it did not abort with a message")
    endif()
  elseif(output MATCHES "expect interrupt")
    if(output MATCHES "went on")
      message(FATAL_ERROR "the program went on") # its exit code is 0 under Wine
    endif()
  elseif(NOT result STREQUAL "0" OR NOT output MATCHES "passed")
    message(FATAL_ERROR "it failed")
  endif()
  return()
endif()

add_executable(proloop_abort_program abort_program.c)
if(WIN32)
  target_sources(proloop_abort_program PRIVATE process_win.c threads_win.c)
else()
  target_sources(proloop_abort_program PRIVATE process_posix.c threads_posix.c)
endif()
proloop_compile_options(proloop_abort_program)
target_link_libraries(proloop_abort_program PRIVATE proloop::proloop)

file(STRINGS abort_program.c abort_cases REGEX "^    {\"[a-z_]+\",")
list(TRANSFORM abort_cases REPLACE "^    {\"([a-z_]+)\",.*" "\\1")
foreach(case IN LISTS abort_cases)
  add_test(NAME abort_${case}
    COMMAND "${CMAKE_COMMAND}" "-DPROGRAM=${CMAKE_CROSSCOMPILING_EMULATOR};$<TARGET_FILE:proloop_abort_program>"
      -DCASE=${case} -P "${CMAKE_CURRENT_LIST_DIR}/aborts.cmake"
  )
  set_tests_properties(abort_${case} PROPERTIES LABELS abort TIMEOUT 60
    ENVIRONMENT ASAN_OPTIONS=detect_leaks=0) # what is left behind is a leak, by design
endforeach()
