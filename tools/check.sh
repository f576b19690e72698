#!/bin/sh
# `./dev check`: all static checks, then the unit tests. Goes on after a failure, so that one run
# tells everything; the last line is the tests' summary.
#     check.sh BUILD_DIRECTORY [BASE]
set -u
cd "$(dirname "$0")/.."
failed=0
check() { # NAME COMMAND...
    name=$1
    shift
    if "$@"; then
        echo "check $name: ok"
    else
        echo "check $name: FAILED" && failed=1
    fi
}
check format tools/check_format.sh
check layers python3 tools/check_layers.py
check cppcheck tools/check_cppcheck.sh "$1"
check tidy tools/check_tidy.sh "$1" "${2:-}"
python3 tools/run_tests.py "$1" --suite unit --suite tools || failed=1
exit $failed
