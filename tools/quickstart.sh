#!/usr/bin/env bash
# From a fresh checkout to scored radiographs: installs what is needed, builds build/release/boneage and runs it on the shipped
# samples. Prints the table of results and says where the picture of every stage lies.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/packages.sh

samples=tests/data/radiographs
out=build/quickstart
boneage=build/release/boneage

install_packages "${packages_to_build[@]}"
prepare_cuda
mapfile -t options < <(build_options)
# An existing build keeps its choice about tests; a new one does without them.
[ -f build/release/CMakeCache.txt ] || options+=(-DBONEAGE_TESTS=OFF)
mkdir -p build/release "$out"
if ! cmake --preset release "${options[@]}" >build/release/configure.log 2>&1; then
    cat build/release/configure.log
    exit 1
fi
cmake --build --preset release --target boneage

# Without trained models in weights/, initial ones show that everything runs: the mask is what is bright, and the ages mean
# nothing.
models=()
if [ ! -f weights/resnet34.safetensors ]; then
    [ -f "$out/resnet34.safetensors" ] || "$boneage" init resnet34 --seed 1 -o "$out/resnet34.safetensors"
    models+=(--weights "$out/resnet34.safetensors")
fi
if [ ! -f weights/unet.safetensors ]; then
    [ -f "$out/unet.safetensors" ] || "$boneage" init unet --start brightness -o "$out/unet.safetensors"
    models+=(--segmenter "$out/unet.safetensors")
fi

"$boneage" score "$samples" "${models[@]}" --sex-csv "$samples/labels.csv" --stages "$out/stages" -o "$out/scores.csv"

echo
column -s, -t "$out/scores.csv" 2>/dev/null || cat "$out/scores.csv"
echo
echo "The table is $out/scores.csv; the picture of every stage of every radiograph lies in $out/stages/."
