"""Goal: ./dev stops where a step fails, says what it can do, and stays small enough to read.
Method: a copy of dev and install.sh in an empty directory; false programs in PATH write down calls."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).parent.parent
PROGRAM = '#!/bin/sh\necho "{name} $*" >> "$CALLS"\ncase " $FAILING " in *" {name} "*) exit 1 ;; esac\n'
NEEDS_PACKAGES = ["run", "demo", "build", "test", "check", "asan", "tsan", "fuzz", "sim", "bench",
                  "why", "clients", "gates", "soak", "cover"]


class DevTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = pathlib.Path(directory.name)
        (self.root / "tools").mkdir()
        for name in ["dev", "tools/install.sh", "tools/help.txt"]:
            shutil.copy(ROOT / name, self.root / name)
        self.programs = self.root / "programs"
        self.programs.mkdir()
        for name in ["meson", "ninja", "sudo", "apt-get", "python3"]:
            self.program(name, PROGRAM.format(name=name))
        self.program("id", "#!/bin/sh\necho 1000\n")
        # All packages are there, unless told otherwise.
        self.program("dpkg-query", '#!/bin/sh\n[ -z "$BARE" ] || exit 1\nshift 2\n'
                                   'for package; do printf "installed:%s " "$package"; done\n')

    def program(self, name, text):
        path = self.programs / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)

    def dev(self, *arguments, failing="", bare=""):
        calls = self.root / "calls"
        calls.unlink(missing_ok=True)
        environment = dict(os.environ, PATH=f"{self.programs}:{os.environ['PATH']}", BARE=bare,
                           CALLS=str(calls), FAILING=failing)
        done = subprocess.run([self.root / "dev", *arguments], env=environment, cwd="/",
                              capture_output=True, text=True)
        lines = calls.read_text(encoding="utf-8").splitlines() if calls.exists() else []
        return done, [line.split()[0] for line in lines]

    def test_bare_machine_without_root_gets_one_line_and_nothing_else_happens(self):
        for command in NEEDS_PACKAGES:
            with self.subTest(command):
                done, calls = self.dev(command, failing="sudo", bare="1")
                self.assertNotEqual(done.returncode, 0)
                self.assertIn("sudo apt-get install", done.stderr.splitlines()[-1])
                self.assertEqual(calls, ["sudo"])

    def test_failed_configuration_stops_the_build(self):
        done, calls = self.dev("build", failing="meson")
        self.assertEqual((done.returncode, calls), (1, ["meson"]))

    def test_failed_build_does_not_start_the_server(self):
        done, calls = self.dev("run", failing="ninja")
        self.assertEqual((done.returncode, calls), (1, ["meson", "ninja"]))
        self.assertFalse((self.root / "build/insula").is_symlink())

    def test_failed_tests_fail(self):
        for command in ["test", "asan", "tsan"]:
            done, calls = self.dev(command, failing="python3")
            self.assertEqual((done.returncode, calls), (1, ["meson", "python3"]), command)

    def test_configured_directory_is_not_configured_again(self):
        (self.root / "build").mkdir()
        (self.root / "build/build.ninja").touch()
        self.assertEqual(self.dev("test")[1], ["python3"])

    def test_help_names_every_command(self):
        done, _ = self.dev()
        self.assertEqual(done.returncode, 0)
        text = (ROOT / "dev").read_text(encoding="utf-8")
        commands = re.findall(r"^([a-z]+)\) ", text, re.MULTILINE)
        self.assertEqual(sorted(commands), sorted([*NEEDS_PACKAGES, "help"]))
        for command in set(commands) - {"help"}:
            self.assertRegex(done.stdout, rf"(?m)(^\./dev|\|) {command}\b")

    def test_unknown_command(self):
        done, calls = self.dev("frobnicate")
        self.assertEqual((done.returncode, calls), (2, []))
        self.assertIn("frobnicate", done.stderr)

    def test_at_most_60_lines(self):
        self.assertLessEqual(len((ROOT / "dev").read_text(encoding="utf-8").splitlines()), 60)


if __name__ == "__main__":
    unittest.main()
