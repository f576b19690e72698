#!/bin/sh
# cppcheck over what the build compiles in src/ and cli/.
#     check_cppcheck.sh BUILD_DIRECTORY
# It does not find facts.h from there, whose lists of names are macros.
# unknownEvaluationOrder is off: it takes `.count =` of an initialiser for an assignment to `count`,
# and gcc's -Wsequence-point finds the real ones.
set -eu
cd "$(dirname "$0")/.."
mkdir -p "$1/cppcheck"
exec cppcheck --project="$1/compile_commands.json" --cppcheck-build-dir="$1/cppcheck" \
    --file-filter='*src/*.c' --file-filter='*cli/*.c' \
    --enable=warning,performance,portability --inline-suppr --suppress=missingIncludeSystem \
    --suppress=unknownEvaluationOrder --suppress=unknownMacro:cli/doctor/facts.c \
    --error-exitcode=1 --quiet -j 2
