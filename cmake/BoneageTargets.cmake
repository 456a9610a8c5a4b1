# How every target of this project is compiled: one place for the language, the warnings and the sanitizers.

# Unfused arithmetic everywhere: a*b+c must round twice, as the references that our bytes are compared with do.
add_library(boneage_options INTERFACE)
target_compile_features(boneage_options INTERFACE cxx_std_20)
target_include_directories(boneage_options INTERFACE "${PROJECT_SOURCE_DIR}")
target_compile_options(boneage_options INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-ffp-contract=off -fno-math-errno -fno-trapping-math -Wall -Wextra -Wpedantic -Wshadow
    -Wnon-virtual-dtor -Woverloaded-virtual -Wnull-dereference -Wimplicit-fallthrough>)
if(BONEAGE_WARNINGS_AS_ERRORS)
    target_compile_options(boneage_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Werror>)
endif()
# No library that a program does not call: OpenCV's reader of image files alone brings a hundred others.
target_link_options(boneage_options INTERFACE -Wl,--as-needed)
if(BONEAGE_HAS_CUDA)
    # CMake 3.25 knows no C++20 feature for this compiler, so the flag is spelt out.
    # 554: Image<const T> never uses its conversion to Image<const T>; the host compiler drops it by its constraint.
    target_compile_options(boneage_options INTERFACE
        $<$<COMPILE_LANGUAGE:CUDA>:-std=c++20 -fmad=false --expt-relaxed-constexpr -lineinfo --diag-suppress=554>)
    if(BONEAGE_WARNINGS_AS_ERRORS)
        target_compile_options(boneage_options INTERFACE $<$<COMPILE_LANGUAGE:CUDA>:--Werror=all-warnings>)
    endif()
endif()
if(BONEAGE_NATIVE)
    target_compile_options(boneage_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-march=native>)
endif()
if(BONEAGE_SANITIZE)
    # Instrumented standard library code misleads the compiler's analysis of null pointers.
    target_compile_options(boneage_options INTERFACE -fsanitize=${BONEAGE_SANITIZE} -fno-omit-frame-pointer
                                                     -fno-sanitize-recover=all -Wno-null-dereference)
    target_link_options(boneage_options INTERFACE -fsanitize=${BONEAGE_SANITIZE})
endif()

# boneage_library(NAME SOURCES... [LINK targets...]): a static library of one floor of the house.
function(boneage_library name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LINK")
    add_library(${name} STATIC ${arg_SOURCES})
    target_link_libraries(${name} PUBLIC boneage_options ${arg_LINK})
endfunction()

# How the code of tests is compiled. Barely optimised: it is compiled far more often than it has to run fast.
function(boneage_compile_as_test target)
    target_compile_options(${target} PRIVATE $<$<NOT:$<CONFIG:Debug>>:-O1>)
    target_compile_definitions(${target} PRIVATE BONEAGE_TEST_DATA="${PROJECT_SOURCE_DIR}/tests/data"
                                                 BONEAGE_GOLDEN="${PROJECT_SOURCE_DIR}/tests/golden")
endfunction()

# boneage_test_objects(NAME SOURCES... [LINK targets...]): tests that are compiled once for several programs, each of which
# takes all of $<TARGET_OBJECTS:NAME> or some.
function(boneage_test_objects name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LINK")
    add_library(${name} OBJECT ${arg_SOURCES})
    target_link_libraries(${name} PRIVATE boneage_options ${arg_LINK} GTest::gtest)
    boneage_compile_as_test(${name})
endfunction()

# boneage_test(NAME SOURCES... [LINK targets...] [LABELS labels...] [TIMEOUT seconds]): a GoogleTest program; each of
# its tests is a test of CTest's under the given labels.
function(boneage_test name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT" "SOURCES;LINK;LABELS")
    if(NOT arg_TIMEOUT)
        set(arg_TIMEOUT 300)
    endif()
    if(BONEAGE_SANITIZE)
        math(EXPR arg_TIMEOUT "4 * ${arg_TIMEOUT}")
    endif()
    add_executable(${name} ${arg_SOURCES})
    target_link_libraries(${name} PRIVATE boneage_options ${arg_LINK} GTest::gtest_main)
    boneage_compile_as_test(${name})
    gtest_discover_tests(${name} TEST_PREFIX "${name}." DISCOVERY_TIMEOUT 60 TEST_LIST ${name}_tests
                         PROPERTIES TIMEOUT ${arg_TIMEOUT})
    # Discovery flattens lists among its PROPERTIES, so several labels are set afterwards, when CTest reads the tests.
    string(REPLACE "\\;" ";" labels "${arg_LABELS}")
    set(labels_file "${CMAKE_CURRENT_BINARY_DIR}/${name}_labels.cmake")
    file(WRITE "${labels_file}" "set_tests_properties(\${${name}_tests} PROPERTIES LABELS \"${labels}\")\n")
    set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES "${labels_file}")
endfunction()
