# Options every target of the project carries.
add_library(millrace_options INTERFACE)
target_compile_options(millrace_options INTERFACE
  -Wall -Wextra -Wno-unused-parameter -fno-math-errno -fno-trapping-math
  $<$<AND:$<CONFIG:Dev>,$<CXX_COMPILER_ID:GNU>>:-Werror>)
# False alarms of g++ 12's optimizer about inlined strings and optionals (GCC bugs 105651, 105562); the development
# configuration, which inlines less, keeps these warnings, as errors.
target_compile_options(millrace_options INTERFACE
  $<$<AND:$<NOT:$<CONFIG:Dev>>,$<CXX_COMPILER_ID:GNU>>:-Wno-restrict;-Wno-stringop-overflow;-Wno-stringop-overread;-Wno-maybe-uninitialized>)
if(MILLRACE_SANITIZE)
  target_compile_options(millrace_options INTERFACE -fsanitize=${MILLRACE_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(millrace_options INTERFACE -fsanitize=${MILLRACE_SANITIZE})
endif()
if(MILLRACE_SANITIZE STREQUAL thread)
  # protobuf's map fields have two more members where this macro is defined, which Debian's libprotobuf was built without.
  # The standard library needs to be told in its own way then.
  target_compile_options(millrace_options INTERFACE -U__SANITIZE_THREAD__ -D_GLIBCXX_TSAN=1)
endif()
if(MILLRACE_FUZZ)
  target_compile_options(millrace_options INTERFACE -fsanitize=fuzzer-no-link)  # so that the fuzzer sees which paths ran
endif()
# The development configuration, where the preset gives no flags of its own: the sanitizers' do, because clang spends three
# times as long on optimizing instrumented code as on compiling it plain. A plain variable: project() has already made an
# empty cache entry of this name.
if(NOT CMAKE_CXX_FLAGS_DEV)
  set(CMAKE_CXX_FLAGS_DEV "-O1 -g1")
endif()

# millrace_layer(NAME SOURCES a.cc ... LINKS layer-or-library ... [PCH pch.h])
# One static library per layer of docs/architecture.md, called millrace_NAME.
function(millrace_layer name)
  cmake_parse_arguments(L "" "PCH" "SOURCES;LINKS" ${ARGN})
  add_library(millrace_${name} STATIC ${L_SOURCES})
  target_link_libraries(millrace_${name} PUBLIC ${L_LINKS} PRIVATE millrace_options)
  target_include_directories(millrace_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
  if(L_PCH AND MILLRACE_PCH)
    target_precompile_headers(millrace_${name} PRIVATE ${L_PCH})
  endif()
endfunction()

# millrace_tests(NAME SOURCES a_test.cc ... LINKS ...)
# One GoogleTest program per layer, called NAME_test, each of its tests known to CTest.
function(millrace_tests name)
  if(NOT MILLRACE_TESTS)
    return()
  endif()
  cmake_parse_arguments(T "" "" "SOURCES;LINKS" ${ARGN})
  add_executable(${name}_test ${T_SOURCES})
  target_link_libraries(${name}_test PRIVATE ${T_LINKS} millrace_options GTest::gtest GTest::gmock GTest::gtest_main)
  # "if (x) EXPECT_EQ(...)" is fine: GoogleTest's macros block the ambiguous else, but g++ 12 warns all the same.
  target_compile_options(${name}_test PRIVATE -Wno-dangling-else)
  target_compile_definitions(${name}_test PRIVATE MILLRACE_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  add_test(NAME ${name} COMMAND ${name}_test WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
endfunction()

# millrace_benchmarks(NAME SOURCES a_bench.cc ... LINKS ...)
# One Google Benchmark program, called NAME_bench. `scripts/dev bench` runs them.
function(millrace_benchmarks name)
  if(NOT MILLRACE_BENCH)
    return()
  endif()
  cmake_parse_arguments(B "" "" "SOURCES;LINKS" ${ARGN})
  add_executable(${name}_bench ${B_SOURCES})
  target_link_libraries(${name}_bench PRIVATE ${B_LINKS} millrace_options benchmark::benchmark benchmark::benchmark_main)
endfunction()
