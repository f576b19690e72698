#!/bin/sh
# Every tracked C and C++ file is formatted as .clang-format says. `--fix` formats them instead.
set -eu
cd "$(dirname "$0")/.."
sources() { # the tree may belong to another user, as in a container
    git -c safe.directory='*' ls-files -z -- '*.c' '*.h' '*.cc'
}
if [ "${1:-}" = --fix ]; then
    sources | xargs -0 -r clang-format -i
elif ! out=$(sources | xargs -0 -r clang-format --dry-run -Werror 2>&1); then
    printf '%s\n' "$out" | sed -n 's/^\([^ :]*\):[0-9]*:[0-9]*: error: .*/\1/p' | sort | uniq -c
    printf '%s\n' "$out" | grep -v 'clang-format-violations' | grep -i 'error:' || true
    echo "not formatted (places, file); tools/check_format.sh --fix formats them"
    exit 1
fi
