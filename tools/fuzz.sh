#!/bin/sh
# libFuzzer on one parser, under ASan and UBSan. What it finds lies in build-fuzz/; an input that
# crashes goes into tests/fuzz/corpus/NAME/ with the fix.
#     fuzz.sh NAME [SECONDS]
set -eu
cd "$(dirname "$0")/.."
name=${1:-}
seconds=${2:-60}
source=tests/fuzz/fuzz_$name.c
if [ ! -f "$source" ]; then
    echo "fuzz: no fuzzer '$name'; there are:" $(ls tests/fuzz/fuzz_*.c | sed 's/.*fuzz_//; s/\.c$//') >&2
    exit 2
fi
[ -f build-fuzz/build.ninja ] ||
    CC=clang CXX=clang++ meson setup build-fuzz -Dfuzz=true -Dwerror=false -Db_lundef=false \
        -Db_sanitize=address,undefined
ninja -C build-fuzz "tests/fuzz/fuzz_$name"
found=build-fuzz/corpus/$name
mkdir -p "$found" "tests/fuzz/corpus/$name"
dictionary=
[ ! -f "tests/fuzz/$name.dict" ] || dictionary=-dict=tests/fuzz/$name.dict
exec "build-fuzz/tests/fuzz/fuzz_$name" -max_total_time="$seconds" -artifact_prefix="build-fuzz/$name-" \
    -timeout=10 -rss_limit_mb=2048 $dictionary "$found" "tests/fuzz/corpus/$name"
