"""Goal: install.sh installs only what is missing, by the way that is open, and else prints one line.
Method: false dpkg-query, apt-get, id and sudo in PATH; apt-get writes down how it was called."""

import os
import pathlib
import subprocess
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).parent / "install.sh"
FAKES = {
    # Knows "have" as installed and "gone" as removed; fails when asked for anything else, as it does.
    "dpkg-query": 'printf "installed:have config-files:gone "\ncase "$*" in *new*) exit 1 ;; esac\n',
    "apt-get": 'echo "apt-get $*" >> "$CALLS"\ncase "$1 $2" in *update*) exit "$UPDATE_CODE" ;; esac\n',
    "id": 'echo "$FAKE_UID"\n',
    "sudo": '[ "$SUDO_WORKS" = 1 ] || exit 1\necho "sudo $*" >> "$CALLS"\nshift\nexec "$@"\n',
}


class InstallTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = pathlib.Path(directory.name)
        self.calls = self.root / "calls"
        for name, body in FAKES.items():
            path = self.root / name
            path.write_text("#!/bin/sh\n" + body, encoding="utf-8")
            path.chmod(0o755)

    def install(self, *packages, uid=0, sudo=False, update_code=0):
        self.calls.unlink(missing_ok=True)
        environment = dict(os.environ, PATH=f"{self.root}:{os.environ['PATH']}",
                           CALLS=str(self.calls), FAKE_UID=str(uid), SUDO_WORKS=str(int(sudo)),
                           UPDATE_CODE=str(update_code))
        done = subprocess.run(["sh", SCRIPT, *packages], env=environment, capture_output=True,
                              text=True)
        calls = self.calls.read_text().splitlines() if self.calls.exists() else []
        return done, calls

    def test_nothing_missing_calls_nothing(self):
        done, calls = self.install("have")
        self.assertEqual((done.returncode, done.stdout + done.stderr, calls), (0, "", []))

    def test_root_installs_what_is_missing_only(self):
        done, calls = self.install("have", "gone", "new")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(calls), 2, calls)
        self.assertIn("update", calls[0])
        self.assertTrue(calls[1].endswith(" gone new"), calls[1])
        self.assertIn("--no-install-recommends", calls[1])

    def test_sudo_is_used_when_it_asks_nothing(self):
        done, calls = self.install("new", uid=1000, sudo=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(any(call.startswith("sudo -n env") and call.endswith(" new") for call in calls),
                        calls)

    def test_no_root_and_no_sudo_prints_the_line_and_stops(self):
        done, calls = self.install("have", "new", uid=1000)
        self.assertEqual((done.returncode, calls), (1, []))
        self.assertTrue(done.stderr.splitlines()[-1].startswith("sudo apt-get update && sudo apt-get"))
        self.assertTrue(done.stderr.splitlines()[-1].endswith(" new"))

    def test_failed_update_still_tries_to_install(self):
        done, calls = self.install("new", update_code=100)
        self.assertEqual((done.returncode, len(calls)), (0, 2), done.stderr)


if __name__ == "__main__":
    unittest.main()
