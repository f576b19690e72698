#!/usr/bin/env python3
"""Builds and runs the tests of a build directory; the last line says how they went, alone.

    run_tests.py DIRECTORY [ARGUMENT OF MESON TEST]...

Prints "N passed, N failed, N skipped" and exits with 0 only when something passed and nothing
failed. A build that fails, and a run without a test, count as one failure.
"""

import json
import os
import pathlib
import subprocess
import sys

PASSED = {"OK", "EXPECTEDFAIL"}
SKIPPED = {"SKIP"}
# What a sanitizer finds must end the test, not only be printed.
SANITIZERS = {
    "ASAN_OPTIONS": "halt_on_error=1:abort_on_error=1:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "halt_on_error=1:abort_on_error=1:print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1:abort_on_error=1:second_deadlock_stack=1",
}


def count(log_lines):
    """(passed, failed, skipped) of meson's testlog.json: one JSON object a test and line."""
    passed = failed = skipped = 0
    for line in log_lines:
        if not line.strip():
            continue
        result = json.loads(line)["result"]
        if result in PASSED:
            passed += 1
        elif result in SKIPPED:
            skipped += 1
        else:  # FAIL, ERROR, TIMEOUT, INTERRUPT, UNEXPECTEDPASS and what may come
            failed += 1
    return passed, failed, skipped


def run(directory, arguments):
    environment = dict(os.environ)
    for name, value in SANITIZERS.items():
        environment.setdefault(name, value)
    log = pathlib.Path(directory, "meson-logs", "testlog.json")
    log.unlink(missing_ok=True)  # an old log must not pass for this run's
    command = ["meson", "test", "-C", str(directory), "--print-errorlogs", *arguments]
    code = subprocess.run(command, env=environment).returncode
    if not log.exists():
        return 0, 1, 0
    passed, failed, skipped = count(log.read_text(encoding="utf-8").splitlines())
    if failed == 0 and (code != 0 or passed + skipped == 0):
        failed = 1  # meson is not content, whatever the log says
    return passed, failed, skipped


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    passed, failed, skipped = run(sys.argv[1], sys.argv[2:])
    print(f"{passed} passed, {failed} failed, {skipped} skipped", flush=True)
    sys.exit(0 if failed == 0 else 1)


if __name__ == "__main__":
    main()
