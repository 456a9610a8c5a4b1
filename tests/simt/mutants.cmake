# Kernels of this project with one planted bug each, made from the real files when CMake runs: the device tests, on the
# CUDA-on-CPU runner, must fail on every one of them. What the tests could not see, they would not protect.

# The device tests of these kernels, which live in tests/kernels.
function(boneage_device_tests_of result)
    list(JOIN ARGN "|" kernels)
    set(${result} "$<FILTER:$<TARGET_OBJECTS:boneage_device_tests>,INCLUDE,/(${kernels})_device_test>" PARENT_SCOPE)
endfunction()

# boneage_mutant(NAME KERNEL TESTED FROM TO [SOURCES...] [CHECKS_SAY WORDS]): kernels/KERNEL with its only FROM replaced by
# TO, run through the device tests of TESTED. Passes when that program says that a test failed. SOURCES include a KERNEL that
# is a header. With CHECKS_SAY the kernel announces its accesses, and it passes when the checks say WORDS.
function(boneage_mutant name kernel tested from to)
    cmake_parse_arguments(PARSE_ARGV 5 arg "" "CHECKS_SAY" "")
    file(READ ${PROJECT_SOURCE_DIR}/kernels/${kernel} text)
    string(FIND "${text}" "${from}" first)
    string(FIND "${text}" "${from}" last REVERSE)
    if(first EQUAL -1 OR NOT first EQUAL last)
        message(FATAL_ERROR "The mutant ${name} wants to change a text that does not stand once in kernels/${kernel}: ${from}")
    endif()
    string(REPLACE "${from}" "${to}" text "${text}")
    # A header's mutant is found before the header by whatever includes it.
    set(folder ${CMAKE_CURRENT_BINARY_DIR}/mutants/${name})
    set(sources ${arg_UNPARSED_ARGUMENTS})
    if(NOT kernel MATCHES "\\.cuh$")
        list(APPEND sources ${kernel})
    endif()
    file(CONFIGURE OUTPUT ${folder}/kernels/${kernel} CONTENT "${text}" @ONLY)
    set(compiled)
    foreach(source ${sources})
        set(file ${PROJECT_SOURCE_DIR}/kernels/${source})
        if(source STREQUAL kernel)
            set(file ${folder}/kernels/${kernel})
        endif()
        cmake_path(GET source STEM stem)
        set(copy ${folder}/${stem}_mutant.cpp)
        file(CONFIGURE OUTPUT ${copy} CONTENT "#include \"${file}\"\n" @ONLY)
        list(APPEND compiled ${copy})
    endforeach()
    boneage_device_tests_of(tests ${tested})
    add_executable(mutant_${name} ${compiled} ${tests} $<TARGET_OBJECTS:boneage_racing_order>)
    target_include_directories(mutant_${name} BEFORE PRIVATE ${folder})
    # A mutant's warnings say nothing: its bug is there on purpose.
    target_compile_options(mutant_${name} PRIVATE -w -fno-strict-aliasing)
    target_link_libraries(mutant_${name} PRIVATE boneage_options boneage_kernels_simt boneage_test_support GTest::gtest_main)
    add_test(NAME mutant.${name}_is_caught COMMAND mutant_${name} --gtest_fail_fast)
    # A sanitizer may see it before the test does.
    set(sign "[0-9]+ FAILED TEST|ERROR: AddressSanitizer")
    if(DEFINED arg_CHECKS_SAY)
        target_sources(mutant_${name} PRIVATE $<TARGET_OBJECTS:boneage_simt_checks>)
        set_source_files_properties(${compiled} PROPERTIES COMPILE_OPTIONS "${BONEAGE_ANNOUNCING}")
        set(sign "${arg_CHECKS_SAY}")
    endif()
    set_tests_properties(mutant.${name}_is_caught PROPERTIES LABELS "simt" TIMEOUT 300 PASS_REGULAR_EXPRESSION "${sign}")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/kernels/${kernel})
endfunction()

# boneage_mutant_that_checks_see(NAME WORDS KERNEL TESTED FROM TO): a mutant whose results stay right, whatever the order of
# threads.
function(boneage_mutant_that_checks_see name words kernel tested from to)
    if(NOT BONEAGE_SANITIZE)
        boneage_mutant(${name} ${kernel} ${tested} "${from}" "${to}" CHECKS_SAY "${words}")
    endif()
endfunction()

# The same tests of the real kernels, in the same order of threads, pass.
boneage_device_tests_of(tests clahe components contrast morphology overlay sharpen linear loss pool)
boneage_test(test_no_mutant
    SOURCES ${tests} $<TARGET_OBJECTS:boneage_racing_order>
    LINK boneage_kernels_simt boneage_test_support
    LABELS "simt;twin"
)

# Dropped barriers.
boneage_mutant(clahe_without_barrier_after_counting image/clahe.cu clahe
    "    count_tile(src, tile, counts);\n    __syncthreads();" "    count_tile(src, tile, counts);")
boneage_mutant(clahe_without_barrier_after_counting_in_halves image/clahe_halves.cuh clahe
    "    count_tile_in_halves(src, tile, words, ceiling);\n    __syncthreads();" "    count_tile_in_halves(src, tile, words, ceiling);"
    image/clahe.cu)
boneage_mutant(contrast_without_barrier_after_clearing image/contrast.cu contrast
    "    clear_counters(counters);\n    __syncthreads();\n    constexpr int kShift" "    clear_counters(counters);\n    constexpr int kShift")
boneage_mutant(loss_without_barrier_before_the_total nn/loss.cu loss
    "    __syncthreads();\n    if (threadIdx.x == 0) {\n        *loss = whole_loss" "    if (threadIdx.x == 0) {\n        *loss = whole_loss")
boneage_mutant(components_without_barrier_after_uniting image/components_forest.cuh components
    "    __syncthreads();\n    if constexpr (about != About::nothing) {" "    if constexpr (about != About::nothing) {" image/components.cu)
boneage_mutant(morphology_without_barrier_after_widening image/morphology_bits.cuh morphology
    "    widen_windows(rows, element.last_level, words);\n    __syncthreads();" "    widen_windows(rows, element.last_level, words);" image/morphology.cu)

# Lost updates.
boneage_mutant(contrast_counts_without_atomics image/contrast.cu contrast
    "atomicAdd(&counters[counter<1>(0, pixel >> kShift)], 1U);"
    "auto* const count = &counters[counter<1>(0, pixel >> kShift)]; const auto seen = load_relaxed(count); simt::maybe_yield(); *count = seen + 1U;")
boneage_mutant(components_lose_the_largest image/components.cu components
    "atomicMax(&block_largest, largest);"
    "if (load_relaxed(&block_largest) < largest) { simt::maybe_yield(); block_largest = largest; }")

# Counters that run over.
boneage_mutant(clahe_adds_beyond_the_clip image/clahe_halves.cuh clahe
    " && seen[i] << shift < ceiling << 16" "" image/clahe.cu)

# Off by one.
boneage_mutant(sharpen_one_row_late image/sharpen.cu sharpen
    "edges.load(src, begin - 1, x, vectors)" "edges.load(src, begin, x, vectors)")
boneage_mutant(pool_one_row_too_many nn/pool.cu pool "v < bottom" "v <= bottom")
boneage_mutant(linear_misses_the_last_weight nn/linear.cu linear "k < src.c" "k < src.c - 1")
boneage_mutant(overlay_one_column_short image/overlay.cu overlay
    "if (x >= dst.width)" "if (x + 1 >= dst.width)")

# What the runner, which runs one block after another, cannot show in results: an update that blocks lose to each other.
boneage_mutant_that_checks_see(contrast_adds_blocks_without_atomics "of another block .*, and nothing orders the two"
    image/contrast.cu contrast
    "atomicAdd(counts + table * kDigits + digit, sum);" "counts[table * kDigits + digit] += sum;")
# Threads that all read the same before one of them changes it: a barrier that no order of this runner misses.
boneage_mutant_that_checks_see(contrast_without_barrier_before_the_next_search "of this block .*, and nothing orders the two"
    image/contrast.cu contrast
    "    const RankedDigit answer = found;\n    __syncthreads();  // `found` may be reused by the next call\n"
    "    const RankedDigit answer = found;\n")
# A row behind the last is read, and what it gives is thrown away.
boneage_mutant_that_checks_see(linear_reads_one_row_too_many "reads .* but the buffer there has"
    nn/linear.cu linear "    if (inside) {" "    if (output <= dst.size()) {")
