"""Goal: check_layers.py finds each kind of fault, names its line, and is silent on a good tree.
Method: a tiny tree of four layers in a temporary directory; each test spoils one thing in it."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

import check_layers

GOOD_TREE = {
    "meson.build": """
project('tiny', 'c')
subdir('src/base')
subdir('src/mem')
# subdir('src/ghost') is not built
subdir('src/engine')
subdir('src/api')
subdir('src/server')
subdir('cli')
""",
    "include/insula.h": "#include <stdint.h>\n",
    "src/base/README.md": "base\n",
    "src/base/bytes.h": '#include "insula.h"\n',
    "src/base/json.cc": "#include <simdjson.h>\n",
    "src/mem/README.md": "mem\n",
    "src/mem/mem.h": '#include "base/bytes.h"\n',
    "src/mem/mem_private.h": "",
    "src/mem/arena.c": '#include "mem/mem.h"\n#include "mem/mem_private.h"\n#include <stdlib.h>\n',
    "src/engine/README.md": "engine\n",
    "src/engine/engine.h": '#include "mem/mem.h"\n',
    "src/api/README.md": "api\n",
    "src/api/rest.h": '#include "insula.h"\n#include "base/bytes.h"\n',
    "src/server/README.md": "server\n",
    "src/server/http1.c": '#include "api/rest.h"\n#include <uv.h>\n',
    "cli/main.c": '#include "insula.h"\n#include "cli/demo.h"\n#include "server/serve.h"\n',
    "cli/demo.h": "",
}


class CheckLayersTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = pathlib.Path(directory.name)
        for name, text in GOOD_TREE.items():
            self.write(name, text)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def expect_one_fault(self, begin, contains):
        faults = check_layers.check_tree(self.root)
        self.assertEqual(len(faults), 1, faults)
        self.assertTrue(faults[0].startswith(begin), faults[0])
        self.assertIn(contains, faults[0])

    def test_good_tree_is_silent(self):
        self.assertEqual(check_layers.check_tree(self.root), [])

    def test_order_is_meson_builds(self):
        text = GOOD_TREE["meson.build"]
        self.assertEqual(check_layers.layers_of(text), ["base", "mem", "engine", "api", "server"])

    def test_include_of_a_higher_folder(self):
        self.write("src/base/bytes.h", '#include "insula.h"\n\n  #  include "mem/mem.h"\n')
        self.expect_one_fault("src/base/bytes.h:3:", "mem stands above base")

    def test_include_without_folder(self):
        self.write("src/mem/arena.c", '#include "mem_private.h"\n')
        self.expect_one_fault("src/mem/arena.c:1:", "written from src/")

    def test_include_of_an_unknown_folder(self):
        self.write("src/mem/arena.c", '#include "ghost/ghost.h"\n')
        self.expect_one_fault("src/mem/arena.c:1:", "no layer")

    def test_private_header_of_another_folder(self):
        self.write("src/engine/engine.h", '#include "mem/mem_private.h"\n')
        self.expect_one_fault("src/engine/engine.h:1:", "belongs to src/mem alone")

    def test_api_past_the_public_header(self):
        self.write("src/api/rest.h", '#include "engine/engine.h"\n')
        self.expect_one_fault("src/api/rest.h:1:", "insula.h alone")

    def test_server_past_the_public_header(self):
        self.write("src/server/http1.c", '#include "mem/mem.h"\n')
        self.expect_one_fault("src/server/http1.c:1:", "insula.h alone")

    def test_api_may_not_include_server(self):
        self.write("src/api/rest.h", '#include "server/serve.h"\n')
        self.expect_one_fault("src/api/rest.h:1:", "server stands above api")

    def test_cli_past_the_public_header(self):
        self.write("cli/main.c", '#include "engine/engine.h"\n')
        self.expect_one_fault("cli/main.c:1:", "insula.h alone")

    def test_library_outside_its_home(self):
        self.write("src/engine/loop.c", "#include <uv.h>\n")
        self.expect_one_fault("src/engine/loop.c:1:", "stays inside server")

    def test_folder_without_header(self):
        (self.root / "src/engine/engine.h").unlink()
        self.expect_one_fault("src/engine:", "has no engine.h")

    def test_folder_without_readme(self):
        (self.root / "src/mem/README.md").unlink()
        self.expect_one_fault("src/mem:", "has no README.md")

    def test_readme_of_40_lines_passes_and_41_do_not(self):
        self.write("src/mem/README.md", "line\n" * 40)
        self.assertEqual(check_layers.check_tree(self.root), [])
        self.write("src/mem/README.md", "line\n" * 41)
        self.expect_one_fault("src/mem/README.md:", "41 lines")

    def test_folder_that_meson_does_not_build(self):
        self.write("src/ghost/ghost.h", "")
        self.expect_one_fault("src/ghost:", "not in meson.build")

    def test_public_header_stands_alone(self):
        self.write("include/insula.h", '#include <stdint.h>\n#include "base/bytes.h"\n')
        self.expect_one_fault("include/insula.h:2:", "stands alone")

    def test_parts_of_the_public_header_are_its_own(self):
        self.write("include/insula.h", '#include "insula/call.h"\n')
        self.assertEqual(check_layers.check_tree(self.root), [])
        self.write("src/base/bytes.h", '#include "insula/call.h"\n')
        self.expect_one_fault("src/base/bytes.h:1:", "include that")

    def test_exit_code_and_output(self):
        def run():
            script = pathlib.Path(check_layers.__file__)
            return subprocess.run([sys.executable, script, self.root], capture_output=True, text=True)

        self.assertEqual((run().returncode, run().stdout), (0, ""))
        self.write("src/mem/arena.c", '#include "engine/engine.h"\n')
        bad = run()
        self.assertEqual(bad.returncode, 1)
        self.assertIn("src/mem/arena.c:1: ", bad.stdout)


if __name__ == "__main__":
    unittest.main()
