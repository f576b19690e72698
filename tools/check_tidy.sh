#!/bin/sh
# clang-tidy, as .clang-tidy says, over the C files of src/ and cli/ that the build compiles.
#     check_tidy.sh BUILD_DIRECTORY [BASE]
# With BASE (a commit): only files that changed since, and all when a header did.
set -eu
cd "$(dirname "$0")/.."
build=$1
base=${2:-}

git() {
    command git -c safe.directory='*' "$@"
}
changed() {
    git diff --name-only "$base" -- src cli include
    git ls-files --others --exclude-standard -- src cli include
}
compiled() { # the build's own C files, as paths from here
    python3 -c '
import json, os, sys
commands = json.load(open(sys.argv[1] + "/compile_commands.json"))
files = {os.path.relpath(os.path.join(c["directory"], c["file"])) for c in commands}
print("\n".join(sorted(f for f in files if f.endswith(".c") and f.startswith(("src/", "cli/")))))
' "$build"
}

if [ -n "$base" ] && ! changed | grep -q '\.h$'; then
    files=$(compiled | grep -Fx -e "$(changed)" || true)
else
    files=$(compiled)
fi
# One file a call, two at a time: a file takes a second or two. Clang does not know all of gcc's words.
# The log has the path to each finding; a finding in a header comes up once for each user of it.
code=0
printf '%s\n' "$files" | grep . | xargs -r -P 2 -n 1 clang-tidy --quiet -p "$build" \
    --extra-arg=-Wno-unknown-warning-option >"$build/tidy.log" 2>/dev/null || code=$?
sed -n 's#^\(.*/\)\{0,1\}\(\(src\|cli\|include\)/.*: error: .*\)#\2#p' "$build/tidy.log" | sort -u
[ "$code" -eq 0 ] || echo "clang-tidy: how each comes about stands in $build/tidy.log"
exit "$code"
