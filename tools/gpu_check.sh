#!/usr/bin/env bash
# Proves the GPU back end on a machine with an NVIDIA GPU, in under ten minutes.
#
#   tools/gpu_check.sh bundle [FOLDER]    builds, and gathers programs, libraries and samples (default build/gpu_bundle),
#                                         also as FOLDER.tar.xz, which resnet34.safetensors is too large for: to compare
#                                         the shipped model's ages there, put weights/resnet34.safetensors into FOLDER
#   FOLDER/gpu_check.sh run [OUT] [PART]  there: tests, compute-sanitizer, ages and training against the CPU's (PART tests),
#                                         and benchmarks (PART figures); both by default
#   FOLDER/gpu_check.sh train OUT DATA LABELS EPOCHS   there: a ResNet34 from radiographs, see train()
#   tools/gpu_check.sh                    bundle and run, on a machine that has toolkit and GPU
#
# The run ends in a table and writes OUT/gpu_check.json, to be kept in bench/baselines/; its exit status is 0 only when
# everything passed. It needs cuDNN 9 (beside the toolkit, in CUDNN_PATH, or as Python's nvidia-cudnn wheel) and, for the
# sanitizer, the toolkit; where Python has PyTorch 2, the networks are also timed in turns with it. No step may take
# longer than its share, so that a step that hangs costs only itself; what has no time left (GPU_CHECK_SECONDS, 600) is a failure.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

tests=(tests/kernels/test_image_gpu tests/engine/test_layers_gpu tests/engine/test_pipeline_gpu
    tests/engine/test_training_gpu)
benchmarks=(bench/bench_gpu_kernels bench/bench_gpu_net)
seconds_in_all=${GPU_CHECK_SECONDS:-600}

bundle() {
    cd "$here/.."
    source tools/packages.sh
    install_packages "${packages_to_build[@]}" "${packages_to_test[@]}"
    prepare_cuda
    mapfile -t options < <(build_options)
    cmake --preset release -DBONEAGE_CUDA=ON -DBONEAGE_BENCH=ON "${options[@]}" >/dev/null
    local programs=(boneage "${tests[@]}" "${benchmarks[@]}") program
    cmake --build --preset release --target "${programs[@]##*/}"
    rm -rf "$1"
    mkdir -p "$1/bin" "$1/lib" "$1/peers"
    for program in "${programs[@]}"; do
        cp "build/release/$program" "$1/bin/"
        # What the other machine may lack; the C and C++ run-time libraries come with it.
        ldd "build/release/$program" | awk '/=> \// && !/\/(libc|libm|libdl|libpthread|librt|libstdc\+\+|libgcc_s|ld-linux[^ ]*)\.so/ {print $3}'
    done | sort -u | xargs -r cp -L -t "$1/lib"
    cp -r tests/data/radiographs "$1/radiographs"
    cp weights/resnet34.safetensors weights/unet.safetensors "$1/"
    cp bench/peers/torch_gpu.py tools/reference/networks.py "$1/peers/"
    cp tools/gpu_check.sh "$1/"
    git rev-parse HEAD >"$1/commit"
    strip "$1"/bin/* "$1"/lib/*
    tar -C "$(dirname "$1")" --exclude resnet34.safetensors -c "$(basename "$1")" | xz -T0 -3 >"$1.tar.xz"
    echo "The bundle is $1 ($(du -sh "$1" | cut -f1)) and $1.tar.xz ($(du -h "$1.tar.xz" | cut -f1))"
}

cudnn_folder() {
    local folder
    for folder in "${CUDNN_PATH:-/nowhere}/lib" "${CUDNN_PATH:-/nowhere}/lib64" /usr/local/cuda/lib64 \
        "$(python3 -c 'import nvidia.cudnn as c; print(list(c.__path__)[0] + "/lib")' 2>/dev/null || true)"; do
        [ -e "$folder/libcudnn.so.9" ] && echo "$folder" && return
    done
    echo "cuDNN 9 was not found; set CUDNN_PATH to the folder that holds its lib/libcudnn.so.9" >&2
    return 1
}

use_libraries() {
    LD_LIBRARY_PATH=$here/lib:$(cudnn_folder):${LD_LIBRARY_PATH:-}
    export LD_LIBRARY_PATH BONEAGE_CACHE=$out/plans
}

# The GPU's name, driver, memory, and the clocks it ran at: they are half of what a figure means.
device() {
    command -v nvidia-smi >/dev/null || {
        echo "There is no NVIDIA driver here (nvidia-smi was not found): run this on a machine with a GPU" >&2
        return 1
    }
    nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.sm,clocks.mem,clocks.max.sm,power.limit,temperature.gpu \
        --format=csv || {
        echo "nvidia-smi finds no GPU here: run this on a machine with one" >&2
        return 1
    }
}

# check SECONDS NAME COMMAND...: runs it, keeps its output, and writes "NAME|verdict|seconds" beside it.
check() {
    local most=$1 name=$2 start=$SECONDS verdict=passed left=$((seconds_in_all - SECONDS)) status=0
    shift 2
    [ "$most" -le "$left" ] || most=$left
    if [ "$most" -lt 5 ]; then
        verdict="FAILED (no time left)"
    else
        timeout -k 5 "$most" "$@" >"$out/$name.log" 2>&1 || status=$?
        case $status in
            0) ;;
            124 | 137) verdict="FAILED (longer than $most s)" ;;
            *) verdict=FAILED ;;
        esac
        # Nothing may be skipped: neither a test nor a benchmark. A shard without a test proves nothing.
        if [ $status -eq 0 ] && grep -qE '\[  SKIPPED \]|ERROR OCCURRED' "$out/$name.log"; then
            verdict="FAILED (something was skipped)"
        elif [ $status -eq 0 ] && grep -qE '\[  PASSED  \] 0 tests' "$out/$name.log"; then
            verdict="FAILED (it ran no test)"
        fi
        [ "$verdict" = passed ] || tail -n 15 "$out/$name.log"
    fi
    echo "$name|$verdict|$((SECONDS - start))" >"$out/$name.result"
    echo "$name: $verdict"
}

# check_shards SECONDS COUNT PROGRAM: a test program as COUNT processes side by side; most of its time goes into plans that
# cuDNN compiles one after another.
check_shards() {
    local index
    for ((index = 0; index < $2; index++)); do
        check "$1" "$3.$index" env GTEST_TOTAL_SHARDS="$2" GTEST_SHARD_INDEX=$index "$here/bin/$3" &
        names+=("$3.$index")
    done
}

# Ages of the samples on the GPU, in every precision, against the CPU's: by the shipped models where the bundle has both,
# otherwise by random weights, whose ages are hundreds of months, so that 16 bits move them by several.
compare_ages() {
    local resnet34=$here/resnet34.safetensors unet=$here/unet.safetensors limits='{"cuda-f32": 0.05, "cuda-bf16": 0.25, "cuda-f16": 0.25}' run
    if [ -e "$resnet34" ] && [ -e "$unet" ]; then
        echo "Ages by the shipped models"
    else
        echo "Ages by random weights: $here has no resnet34.safetensors and unet.safetensors"
        mkdir -p "$out/models"
        resnet34=$out/models/resnet34.safetensors unet=$out/models/unet.safetensors
        limits='{"cuda-f32": 0.01, "cuda-bf16": 10, "cuda-f16": 2}'
        "$here/bin/boneage" init resnet34 --seed 1 -o "$resnet34"
        "$here/bin/boneage" init unet --start brightness -o "$unet"
    fi
    for run in cpu:f32 cuda:f32 cuda:bf16 cuda:f16; do
        "$here/bin/boneage" score "$here/radiographs" --weights "$resnet34" --segmenter "$unet" \
            --device "${run%:*}" --precision "${run#*:}" -o "$out/${run/:/-}.csv"
    done
    python3 - "$out" "$limits" <<'PYTHON'
import csv, json, sys
limits = json.loads(sys.argv[2])
ages = {run: {row["source"]: row for row in csv.DictReader(open(f"{sys.argv[1]}/{run}.csv"))}
        for run in ("cpu-f32", *limits)}
for run, most in limits.items():
    assert ages[run].keys() == ages["cpu-f32"].keys() and ages[run], "other rows"
    worst = None
    for source, row in ages[run].items():
        want = ages["cpu-f32"][source]
        assert (row["status"], row["reason"]) == (want["status"], want["reason"]), (run, source, row, want)
        if row["bone_age_months"]:
            worst = max(worst or 0.0, abs(float(row["bone_age_months"]) - float(want["bone_age_months"])))
    assert worst is not None, "no image had an age"
    print(run, "differs from the CPU by at most", worst, "months")
    assert worst <= most, f"more than {most} months"
PYTHON
}

# A short training on the samples, and its resumption, on the GPU and on the CPU: the first epoch's losses are the same.
compare_training() {
    local work=$out/training device
    rm -rf "$work"
    mkdir -p "$work"
    awk -F, 'NR == 1 {print $0 ",split"; next} {print $0 "," (NR % 3 ? "train" : "val")}' "$here/radiographs/labels.csv" \
        >"$work/labels.csv"
    "$here/bin/boneage" prepare "$here/radiographs" --labels "$work/labels.csv" --input 64x80 -o "$work/cache"
    for device in cpu cuda; do
        local train=("$here/bin/boneage" train "$work/cache" -o "$work/$device" --device "$device" --batch 2 --rate 1e-4)
        [ $device = cuda ] || train+=(--convolutions direct)
        "${train[@]}" --epochs 2
        "${train[@]}" --epochs 4 --resume
    done
    python3 - "$work" <<'PYTHON'
import json, math, sys
epochs = {device: [json.loads(line) for line in open(f"{sys.argv[1]}/{device}/train.jsonl")] for device in ("cpu", "cuda")}
assert all(len(run) == 4 and all(math.isfinite(epoch["train_loss"]) for epoch in run) for run in epochs.values()), epochs
cpu, cuda = (epochs[device][0]["train_loss"] for device in ("cpu", "cuda"))
print("losses of the first epoch:", cpu, "on the CPU,", cuda, "on the GPU")
assert abs(cpu - cuda) <= 1e-3 * cpu
PYTHON
    rm -f "$work"/*/checkpoint.safetensors*  # hundreds of megabytes that nobody wants to carry home
}

# How long every step of scoring and training takes.
measure_steps() {
    local network
    for network in resnet34 unet; do
        "$here/bin/boneage" plan $network --size 256 --batch 64 --precision bf16 --device cuda --measure --json >"$out/steps_$network.json"
        "$here/bin/boneage" plan $network --size 256 --batch 64 --precision bf16 --device cuda --measure --json --train >"$out/steps_${network}_training.json"
    done
}

run() {
    out=$(mkdir -p "$1" && cd "$1" && pwd)
    SECONDS=0
    device | tee "$out/device.csv"
    use_libraries
    # Threads that wait must not keep a processor from the check beside them.
    export OMP_WAIT_POLICY=passive here out
    export -f compare_ages compare_training measure_steps
    export BONEAGE_TEST_DATA=$here
    rm -f "$out"/*.result
    local names=()
    [ "$2" = figures ] || run_tests
    [ "$2" = tests ] || run_benchmarks
    report
}

# What is not timed runs side by side: most of it waits for a processor that compiles plans.
run_tests() {
    local sanitizer tool
    sanitizer=$(command -v compute-sanitizer || echo /usr/local/cuda/bin/compute-sanitizer)
    check_shards 60 1 test_image_gpu
    check_shards 240 4 test_layers_gpu
    check_shards 120 2 test_pipeline_gpu
    check_shards 240 4 test_training_gpu
    check 180 ages bash -ec compare_ages &
    check 240 training bash -ec compare_training &
    for tool in memcheck racecheck initcheck; do
        check 240 "$tool" "$sanitizer" --tool "$tool" --error-exitcode 1 "$here/bin/test_image_gpu" &
    done
    names+=(ages training memcheck racecheck initcheck)
    wait
}

# What is timed has the machine to itself.
run_benchmarks() {
    check 90 bench_gpu_kernels "$here/bin/bench_gpu_kernels" --benchmark_min_time=0.1 \
        --benchmark_out="$out/bench_gpu_kernels.json" --benchmark_out_format=json
    check 180 bench_gpu_net "$here/bin/bench_gpu_net" --benchmark_min_time=0.1 \
        --benchmark_out="$out/bench_gpu_net.json" --benchmark_out_format=json
    check 120 measure_steps bash -ec measure_steps
    names+=(bench_gpu_kernels bench_gpu_net measure_steps)
    if python3 -c 'import torch, sys; sys.exit(int(torch.__version__.split(".")[0]) < 2 or not torch.cuda.is_available())' 2>/dev/null; then
        check 180 torch_gpu python3 "$here/peers/torch_gpu.py" "$here/bin/bench_gpu_net" --json "$out/torch_gpu.json"
        names+=(torch_gpu)
        cat "$out/torch_gpu.log"
    else
        echo "PyTorch 2 with a GPU is not installed here: no comparison with it"
    fi
}

# train OUT DATA LABELS EPOCHS: OUT/resnet34.safetensors, in 16 bits, from a folder of radiographs and their table. An epoch
# draws every radiograph five times; on an H100 it takes about 10 s for the 9,600 of the RSNA set's split. The
# rate falls by half a cosine until the last one, so EPOCHS is to be what the time allows.
train() {
    out=$(mkdir -p "$1" && cd "$1" && pwd)
    use_libraries
    "$here/bin/boneage" prepare "$2" --labels "$3" --restore-aspect --segmenter "$here/unet.safetensors" --canvas 288 \
        --input 224x288 -o "$out/cache"
    "$here/bin/boneage" train "$out/cache" -o "$out/run" --device "${GPU_CHECK_DEVICE:-cuda}" --precision bf16 --batch 64 --hidden 128 --repeats 5 \
        --epochs "$4" --schedule cosine --rate 1e-3 --min-rate 2e-6 --warmup 0.4 --ema 0.998 --optimiser adamw \
        --weight-decay 0.05 --balance 0.2 --unknown-sex 0.2 --contrast 0.3 --erase 0.25 --erase-area 0.1
    "$here/bin/boneage" convert "$out/run/resnet34.safetensors" "$out/resnet34.safetensors" --type f16
}

report() {
    device >"$out/device_after.csv"
    local rows=() failures=0
    for name in "${names[@]}"; do
        rows+=("$(cat "$out/$name.result")")
        [[ ${rows[-1]} == *"|passed|"* ]] || failures=$((failures + 1))
    done
    python3 - "$out" "$(cat "$here/commit")" "${rows[@]}" <<'PYTHON'
import json, os, sys
out, commit, *rows = sys.argv[1:]
checks = [dict(zip(("name", "verdict", "seconds"), row.split("|"))) for row in rows]
def device(name):
    head, *lines = open(f"{out}/{name}.csv").read().splitlines()
    return dict(zip((cell.strip() for cell in head.split(",")), (cell.strip() for cell in lines[0].split(","))))
report = {"commit": commit, "device": device("device"), "device_after_benchmarks": device("device_after"), "checks": checks}
for name in ("bench_gpu_kernels", "bench_gpu_net", "torch_gpu", "steps_resnet34", "steps_resnet34_training", "steps_unet",
             "steps_unet_training"):
    try:
        report[name] = json.load(open(f"{out}/{name}.json"))
    except (OSError, ValueError):
        pass  # its check says that it failed, or that it did not run
json.dump(report, open(f"{out}/gpu_check.json", "w"), indent=1)
print(f"\n{'check':20} {'seconds':>7}  verdict")
for check in checks:
    print(f"{check['name']:20} {check['seconds']:>7}  {check['verdict']}")
def benchmarks(name):
    return [row for row in report.get(name, {}).get("benchmarks", []) if not row.get("error_occurred")]
if benchmarks("bench_gpu_kernels"):
    print(f"\n{'kernel':36} {'us':>9} {'GB/s':>7} {'share of copy':>14}")
for row in benchmarks("bench_gpu_kernels"):
    print(f"{row['name'].split('/')[0]:36} {row['median_us']:9.1f} {row['GB_per_s']:7.0f} {row['share_of_copy']:14.2f}")
if benchmarks("bench_gpu_net"):
    print(f"\n{'network':42} {'us':>9} {'p10':>9} {'p90':>9} {'images/s':>9}")
for row in benchmarks("bench_gpu_net"):
    print(f"{row['name'].replace('/manual_time', ''):42} {row['median_us']:9.1f} {row['p10_us']:9.1f} {row['p90_us']:9.1f} {row['images_per_s']:9.0f}")
print(f"\nAll of it is in {out}/gpu_check.json")
PYTHON
    [ "$failures" -eq 0 ]
}

case ${1:-both} in
    bundle) bundle "$(realpath -m "${2:-$here/../build/gpu_bundle}")" ;;
    run) run "${2:-gpu_check_results}" "${3:-all}" ;;
    train) train "$2" "$3" "$4" "$5" ;;
    both)
        # Two statements: in `bundle && run` a failing build would not end the script.
        bundle "$(realpath -m "$here/../build/gpu_bundle")"
        "$here/../build/gpu_bundle/gpu_check.sh" run "$here/../build/gpu_check" all
        ;;
    *) sed -n '2,15s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
