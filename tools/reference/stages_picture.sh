#!/usr/bin/env bash
# Puts the stage pictures of one radiograph side by side, as in the README: stages_picture.sh FOLDER OUT.png
# FOLDER is what `boneage score --stages` made for one image. Needs ImageMagick.
set -euo pipefail
[ $# -eq 2 ] || { sed -n '2,3s/^# //p' "$0" >&2; exit 2; }
tiles=()
for stage in "$1"/*.png; do
    label=$(basename "$stage" .png)
    tiles+=(-label "${label#*-}" "$stage")
done
montage -font DejaVu-Sans -pointsize 15 -background '#1c1c1c' -fill '#dddddd' "${tiles[@]}" -tile 6x -geometry '150x190>+6+4' \
    -depth 8 -colorspace gray -define png:compression-level=9 "$2"
