#!/bin/sh
# Runs a .vpy script and encodes its video; sound, subtitles, chapters and attachments come unchanged from the source.
#
#   sh examples/encode.sh SOURCE OUTPUT.mkv [SCRIPT.vpy [MASK]]
#
# SOURCE and MASK reach the script as the arguments `clip` and `mask`. As it stands, after `vswipe demo`:
#   sh examples/encode.sh demo/input.mkv demo/encoded.mkv
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

# vspipe works in the script's folder, so what it is given must not depend on this one.
absolute() {
    case $1 in
        /*) printf '%s\n' "$1" ;;
        *) printf '%s/%s\n' "$PWD" "$1" ;;
    esac
}

if [ $# -lt 2 ] || [ $# -gt 4 ]; then
    echo "usage: sh $0 SOURCE OUTPUT.mkv [SCRIPT.vpy [MASK]]" >&2
    exit 2
fi
source=$(absolute "$1")
output=$(absolute "$2")
script=${3:-$here/inpaint_mask.vpy}
mask=$(absolute "${4:-$(dirname -- "$1")/mask.mkv}")
for file in "$source" "$script" "$mask"; do
    if [ ! -f "$file" ]; then
        echo "encode.sh: $file: no such file" >&2
        exit 1
    fi
done
if [ -e "$output" ]; then
    echo "encode.sh: $output exists; it is not written over" >&2
    exit 1
fi

# POSIX sh only sees the last program of a pipe fail: a mark on disk tells that one of the two did.
failed=$output.failed
part=$(dirname -- "$output")/.part.$(basename -- "$output")
trap 'rm -f -- "$failed" "$part"' EXIT
trap 'exit 130' INT TERM

# Video from the pipe (input 0), everything else from the source (input 1).
{ vspipe -p -c y4m -a "clip=$source" -a "mask=$mask" "$script" - || : >"$failed"; } |
    ffmpeg -v warning -y -i - -i "file:$source" \
        -map 0:v -map '1:a?' -map '1:s?' -map '1:t?' -map_metadata 1 -map_chapters 1 \
        -c:v libx264 -crf 16 -preset slow -c:a copy -c:s copy -c:t copy "file:$part" || : >"$failed"

if [ -e "$failed" ]; then
    echo "encode.sh: failed, see above; nothing was written" >&2
    exit 1
fi
mv -- "$part" "$output"
echo "$output"
