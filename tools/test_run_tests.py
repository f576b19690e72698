"""Goal: the summary line counts what meson reports, and no failure passes for success.
Method: result lines as meson writes them; a false `meson` in PATH that writes such a log."""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import run_tests

FAKE_MESON = """#!/bin/sh
mkdir -p "$3/meson-logs"
[ -z "$FAKE_LOG" ] || printf '%s\\n' "$FAKE_LOG" > "$3/meson-logs/testlog.json"
exit "$FAKE_CODE"
"""


def log(*results):
    return "\n".join(json.dumps({"name": "a", "result": result}) for result in results)


class RunTestsTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = pathlib.Path(directory.name)
        meson = self.root / "meson"
        meson.write_text(FAKE_MESON, encoding="utf-8")
        meson.chmod(0o755)

    def run_with(self, log_text, code):
        environment = dict(os.environ, FAKE_LOG=log_text, FAKE_CODE=str(code))
        environment["PATH"] = f"{self.root}:{environment['PATH']}"
        script = pathlib.Path(run_tests.__file__)
        done = subprocess.run([sys.executable, script, self.root / "build"], env=environment,
                              capture_output=True, text=True)
        return done.returncode, done.stdout.splitlines()[-1]

    def test_each_result_is_counted(self):
        text = log("OK", "EXPECTEDFAIL", "SKIP", "FAIL", "ERROR", "TIMEOUT", "UNEXPECTEDPASS",
                   "INTERRUPT", "SOMETHING NEW")
        self.assertEqual(run_tests.count(text.splitlines() + [""]), (2, 6, 1))

    def test_all_passed(self):
        self.assertEqual(self.run_with(log("OK", "SKIP"), 0), (0, "1 passed, 0 failed, 1 skipped"))

    def test_one_failed(self):
        self.assertEqual(self.run_with(log("OK", "FAIL"), 1), (1, "1 passed, 1 failed, 0 skipped"))

    def test_failed_build_is_a_failure(self):
        self.assertEqual(self.run_with("", 1), (1, "0 passed, 1 failed, 0 skipped"))

    def test_old_log_is_not_taken(self):
        self.assertEqual(self.run_with(log("OK"), 0)[0], 0)
        self.assertEqual(self.run_with("", 1), (1, "0 passed, 1 failed, 0 skipped"))

    def test_no_test_at_all_is_a_failure(self):
        self.assertEqual(self.run_with("\n", 0), (1, "0 passed, 1 failed, 0 skipped"))

    def test_meson_fails_with_a_good_log(self):
        self.assertEqual(self.run_with(log("OK"), 2), (1, "1 passed, 1 failed, 0 skipped"))

    def test_line_is_what_ci_reads(self):
        pattern = re.compile(r"^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$")
        self.assertRegex(self.run_with(log("OK"), 0)[1], pattern)


if __name__ == "__main__":
    unittest.main()
