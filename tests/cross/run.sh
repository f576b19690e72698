#!/bin/sh
# run.sh SOURCES BUILD: cross-builds the tests of kernels and formats for 64-bit Arm and runs them
# under qemu-user. Exits 77 with a reason where the compiler or the emulator is absent.
#
# Only what these tests need is built, without libraries of the target but the C library: xxHash is a
# header, cmocka and isa-l have stand-ins beside this file. Nothing is written outside of BUILD.
set -eu
sources=$1 build=$2
cc=aarch64-linux-gnu-gcc run=qemu-aarch64

for program in $cc $run; do
    command -v "$program" >/dev/null || {
        echo "skipped: no $program (Debian: gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user)"
        exit 77
    }
done
xxhash=$(pkg-config --variable=includedir libxxhash)
rm -rf "$build"
mkdir -p "$build/include"
cp "$xxhash/xxhash.h" "$build/include/"

flags="-std=gnu17 -O2 -D_GNU_SOURCE -DXXH_INLINE_ALL -Wall -Wextra -Werror
    -I$build/include -I$sources/tests/cross -I$sources/src -I$sources/include"
cd "$sources"
# The kernels' references must not be contracted, as in src/kernel/meson.build.
files="src/kernel/*.c src/base/hash.c src/base/id.c src/base/status.c src/base/json_check.c
    src/base/json_escape.c src/base/json_text.c src/base/json_write.c tests/cross/json_numbers.c src/mem/*.c src/store/*.c src/index/*.c
    src/segment/*.c src/payload/*.c src/engine/record.c tests/unit/segment/segment_kit.c"
for file in $files; do
    case $file in
    *avx2.c | *avx512.c | *avx512vnni.c) ;;
    *) echo "$file" ;;
    esac
done | xargs -P 2 -I FILE sh -c '
    object=$1/$(echo "$2" | tr / _).o
    case $2 in src/kernel/*) extra="-O3 -ffp-contract=off" ;; *) extra= ;; esac
    '"$cc $(echo $flags)"' $extra -c "$2" -o "$object"' build "$build" FILE
aarch64-linux-gnu-ar rcs "$build/all.a" "$build"/*.o

for test in kernel/test_kernels kernel/test_types kernel/test_values kernel/test_codes index/test_flat index/test_topk \
    segment/test_extent segment/test_fuse_filter segment/test_manifest segment/test_segment_file \
    engine/test_record; do
    program=$build/$(basename "$test")
    $cc $flags -Wno-unused "tests/unit/$test.c" "$build/all.a" -o "$program" -static -lm -lpthread
    echo "== $test"
    $run "$program"
done
