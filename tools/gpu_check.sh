#!/usr/bin/env bash
# Proves the GPU back end on a machine with an NVIDIA GPU, in under ten minutes.
#
#   tools/gpu_check.sh bundle [FOLDER]    builds, and gathers programs, libraries and samples (default build/gpu_bundle)
#   FOLDER/gpu_check.sh run [OUT]         there: tests, compute-sanitizer, ages against the CPU's, benchmarks
#   tools/gpu_check.sh                    both, on a machine that has toolkit and GPU
#
# The run ends in a table and writes OUT/gpu_check.json; its exit status is 0 only when everything passed.
# It needs cuDNN 9 (beside the toolkit, in CUDNN_PATH, or as Python's nvidia-cudnn wheel) and, for the sanitizer, the toolkit.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

programs=(boneage tests/kernels/test_image_gpu tests/engine/test_pipeline_gpu)
benchmarks=(bench/bench_gpu_kernels)

bundle() {
    cd "$here/.."
    source tools/packages.sh
    install_packages "${packages_to_build[@]}" "${packages_to_test[@]}"
    prepare_cuda
    mapfile -t options < <(build_options)
    cmake --preset release -DBONEAGE_CUDA=ON -DBONEAGE_BENCH=ON "${options[@]}" >/dev/null
    cmake --build --preset release --target "${programs[@]##*/}" "${benchmarks[@]##*/}"
    rm -rf "$1"
    mkdir -p "$1/bin" "$1/lib"
    local program
    for program in "${programs[@]}" "${benchmarks[@]}"; do
        cp "build/release/$program" "$1/bin/"
        # What the other machine may lack; the C and C++ run-time libraries come with it.
        ldd "build/release/$program" | awk '/=> \// && !/\/(libc|libm|libdl|libpthread|librt|libstdc\+\+|libgcc_s|ld-linux[^ ]*)\.so/ {print $3}'
    done | sort -u | xargs -r cp -L -t "$1/lib"
    cp -r tests/data/radiographs "$1/radiographs"
    cp tools/gpu_check.sh "$1/"
    git rev-parse HEAD >"$1/commit"
    strip "$1"/bin/* "$1"/lib/*
    echo "The bundle is $1 ($(du -sh "$1" | cut -f1))"
}

cudnn_folder() {
    local folder
    for folder in "${CUDNN_PATH:-/nowhere}/lib" "${CUDNN_PATH:-/nowhere}/lib64" /usr/local/cuda/lib64 \
        "$(python3 -c 'import nvidia.cudnn as c; print(list(c.__path__)[0] + "/lib")' 2>/dev/null || true)"; do
        [ -e "$folder/libcudnn.so.9" ] && echo "$folder" && return
    done
    echo "cuDNN 9 was not found; set CUDNN_PATH" >&2
    return 1
}

rows=()
failures=0
# check NAME COMMAND...: runs it, keeps its output, and notes how it went.
check() {
    local name=$1 start=$SECONDS verdict=passed
    shift
    "$@" >"$out/$name.log" 2>&1 || { verdict=FAILED; failures=$((failures + 1)); tail -n 15 "$out/$name.log"; }
    rows+=("$name|$verdict|$((SECONDS - start))")
    echo "$name: $verdict"
}

# A test program in which nothing may be skipped.
tests() {
    "$@" && ! grep -q '\[  SKIPPED \]' "$out/$(basename "$1").log"
}

# Ages of the samples on the GPU, in float32 and bfloat16, against the CPU's.
compare_ages() {
    local models=$out/models
    mkdir -p "$models"
    "$here/bin/boneage" init resnet34 --seed 1 -o "$models/resnet34.safetensors"
    "$here/bin/boneage" init unet --start brightness -o "$models/unet.safetensors"
    local run
    for run in cpu:f32 cuda:f32 cuda:bf16; do
        "$here/bin/boneage" score "$here/radiographs" --weights "$models/resnet34.safetensors" \
            --segmenter "$models/unet.safetensors" --device "${run%:*}" --precision "${run#*:}" -o "$out/${run/:/-}.csv"
    done
    python3 - "$out" <<'PYTHON'
import csv, sys
ages = {run: {row["source"]: row for row in csv.DictReader(open(f"{sys.argv[1]}/{run}.csv"))}
        for run in ("cpu-f32", "cuda-f32", "cuda-bf16")}
worst = {}
for run, most in (("cuda-f32", 0.01), ("cuda-bf16", 0.25)):
    assert ages[run].keys() == ages["cpu-f32"].keys() and ages[run], "other rows"
    for source, row in ages[run].items():
        want = ages["cpu-f32"][source]
        assert (row["status"], row["reason"]) == (want["status"], want["reason"]), (run, source, row, want)
        if row["bone_age_months"]:
            distance = abs(float(row["bone_age_months"]) - float(want["bone_age_months"]))
            worst[run] = max(worst.get(run, 0.0), distance)
    print(run, "differs from the CPU by at most", worst[run], "months")
    assert worst[run] <= most, f"more than {most} months"
PYTHON
}

run() {
    out=$(mkdir -p "$1" && cd "$1" && pwd)
    LD_LIBRARY_PATH=$here/lib:$(cudnn_folder):${LD_LIBRARY_PATH:-}
    export LD_LIBRARY_PATH BONEAGE_CACHE=$out/cache
    nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv | tee "$out/device.csv"
    check test_image_gpu tests "$here/bin/test_image_gpu"
    check test_pipeline_gpu tests "$here/bin/test_pipeline_gpu"
    check ages compare_ages
    local sanitizer
    sanitizer=$(command -v compute-sanitizer || echo /usr/local/cuda/bin/compute-sanitizer)
    local tool
    for tool in memcheck racecheck initcheck; do
        check "$tool" "$sanitizer" --tool "$tool" --error-exitcode 1 "$here/bin/test_image_gpu"
    done
    check bench_gpu_kernels "$here/bin/bench_gpu_kernels" --benchmark_out="$out/bench_gpu_kernels.json" --benchmark_out_format=json
    echo
    printf '%-20s %-8s %5s s\n' $(printf '%s\n' "${rows[@]}" | tr '|' ' ')
    python3 - "$out" "$(cat "$here/commit")" "${rows[@]}" <<'PYTHON'
import json, os, sys
out, commit, *rows = sys.argv[1:]
report = {"commit": commit, "device": open(f"{out}/device.csv").read().splitlines()[-1],
          "checks": [dict(zip(("name", "verdict", "seconds"), row.split("|"))) for row in rows]}
benchmarks = f"{out}/bench_gpu_kernels.json"
if os.path.exists(benchmarks):
    report["bench_gpu_kernels"] = json.load(open(benchmarks))
json.dump(report, open(f"{out}/gpu_check.json", "w"), indent=1)
PYTHON
    [ "$failures" -eq 0 ]
}

case ${1:-both} in
    bundle) bundle "$(realpath -m "${2:-$here/../build/gpu_bundle}")" ;;
    run) run "${2:-gpu_check_results}" ;;
    both) bundle "$(realpath -m "$here/../build/gpu_bundle")" && "$here/../build/gpu_bundle/gpu_check.sh" run "$here/../build/gpu_check" ;;
    *) sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
