#!/bin/sh
# Runs the tests in a build made with coverage and prints lines covered by file of src/.
#     cover.sh BUILD_DIRECTORY
set -eu
cd "$(dirname "$0")/.."
find "$1" -name '*.gcda' -delete
failed=0
python3 tools/run_tests.py "$1" --timeout-multiplier 3 || failed=1 # the figures are of use all the same
gcovr --root . --filter src/ --object-directory "$1" --exclude-unreachable-branches --sort-percentage | cut -c 1-72 # without the list of lines
exit $failed
