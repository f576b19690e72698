#!/bin/sh
# Every tracked C and C++ file is formatted as .clang-format says. `--fix` formats them instead.
set -eu
cd "$(dirname "$0")/.."
mode='--dry-run -Werror'
[ "${1:-}" != --fix ] || mode='-i'
# The tree may belong to another user, as in a container.
git -c safe.directory='*' ls-files -z -- '*.c' '*.h' '*.cc' | xargs -0 -r clang-format $mode
