#!/usr/bin/env bash
# Puts the headers of cudnn-frontend, which the CUDA back end is built with, into build/cudnn_frontend. They come from its
# official Python wheel; nothing of it runs.
set -euo pipefail
cd "$(dirname "$0")/.."

version=1.23.0
sha256=7bdae232a3071501012611fab14aae34dd16983205e56d3c1641317910fdd385
folder=build/cudnn_frontend
[ -f "$folder/$version" ] && exit 0

mkdir -p build
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m pip download --quiet --no-deps --only-binary=:all: --python-version 3.11 --platform manylinux_2_28_x86_64 \
    --dest "$work" "nvidia-cudnn-frontend==$version"
wheel=("$work"/*.whl)
echo "$sha256  ${wheel[0]}" | sha256sum --check --quiet
python3 -m zipfile -e "${wheel[0]}" "$work/wheel"
rm -rf "$folder"
mkdir -p "$folder"
mv "$work/wheel/include" "$folder/"
touch "$folder/$version"
