#!/usr/bin/env bash
# Builds the tests and runs all that need no GPU. Last line: "N passed, N failed". Exit status 0 only when all passed.
#
#   tools/check.sh               the release preset
#   tools/check.sh --quick       of it only what builds and runs fast: no training, no CUDA-on-CPU runner, no cuDNN graphs
#   tools/check.sh --sanitizers  also the asan (AddressSanitizer, UndefinedBehaviorSanitizer) and tsan presets
#   tools/check.sh --tidy        also clang-tidy over every source file (slow)
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/packages.sh

presets=(release)
tidy=no
# What --quick narrows building and testing to.
targets=()
filter=()
quick_programs=(test_base test_image test_nn test_io test_net test_eval test_pipeline test_cli)
for option in "$@"; do
    case $option in
        --quick)
            targets=(--target boneage "${quick_programs[@]}")
            filter=(-R "^($(IFS='|' && echo "${quick_programs[*]}")|lint)\\." -E '\.TrainTest\.|headers_compile_alone')
            ;;
        --sanitizers) presets+=(asan tsan) ;;
        --tidy) tidy=yes ;;
        *) sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
done

install_packages "${packages_to_build[@]}" "${packages_to_test[@]}"
prepare_cuda
mapfile -t options < <(build_options)

passed=0
failed=0
for preset in "${presets[@]}"; do
    echo "== $preset: configure and build"
    mkdir -p "build/$preset"
    cmake --preset "$preset" -DBONEAGE_TESTS=ON "${options[@]}" >"build/$preset/configure.log" 2>&1 || {
        cat "build/$preset/configure.log"
        echo "The $preset preset could not be configured."
        echo "$passed passed, $((failed + 1)) failed"
        exit 1
    }
    cmake --build --preset "$preset" "${targets[@]}" || {
        echo "The $preset preset could not be built."
        echo "$passed passed, $((failed + 1)) failed"
        exit 1
    }
    echo "== $preset: test"
    # The counts come from the report, so a failing ctest must not end the script here.
    rm -f "build/$preset/results.xml"
    # Side by side: OpenMP's threads, while they wait, must leave the processor to another test's.
    OMP_WAIT_POLICY=passive ctest --preset "$preset" "${filter[@]}" --parallel "$(nproc)" --no-tests=error --output-junit results.xml || echo "ctest reports failures"
    count() { grep -oE "[[:space:]]$1=\"[0-9]+\"" "build/$preset/results.xml" | head -n 1 | grep -oE '[0-9]+'; }
    passed=$((passed + $(count tests) - $(count failures) - $(count disabled) - $(count skipped)))
    failed=$((failed + $(count failures) + $(count skipped)))
done

if [ $tidy = yes ]; then
    echo "== clang-tidy"
    install_packages clang-tidy clang-tools
    if run-clang-tidy -quiet -extra-arg=-Wno-unknown-warning-option -p build/release "$PWD/(kernels|engine|tools|tests|bench)/.*\.cpp$" >build/clang-tidy.log 2>/dev/null; then
        passed=$((passed + 1))
    else
        grep -E 'warning:|error:' build/clang-tidy.log | sort -u
        failed=$((failed + 1))
    fi
fi

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
