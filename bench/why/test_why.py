"""Goal: `./dev why` counts what is there, says where a rival stops, and survives one that fails.
Method: small subjects in Python with a known cost; some stop, end by themselves, lie or hang."""

import pathlib
import sys
import tempfile
import unittest

import measure
import packages
import table

BASELINES = pathlib.Path(__file__).resolve().parent.parent / "baselines"
# A tenant is two files of which one stays open, and a thread.
SUBJECT = """
import os, sys, threading, time
sys.path.insert(0, %(baselines)r)
import subject

class Known(subject.Subject):
    def __init__(self, folder):
        super().__init__(folder)
        self.kept, self.end = {}, threading.Event()

    def open(self, tenant):
        %(open)s
        self.kept[tenant] = open(os.path.join(self.folder, f"{tenant}.a"), "a+")
        threading.Thread(target=self.end.wait, daemon=True).start()

    def create(self, tenant):
        %(create)s
        self.open(tenant)
        with open(os.path.join(self.folder, f"{tenant}.b"), "w") as file:
            file.write("x" * 9000)

    def fill(self, tenant, ids, vectors):
        for id, vector in zip(ids, vectors):
            print(id, *vector[:4], file=self.kept[tenant], flush=True)

    def search(self, tenant, vector):
        %(search)s
        self.kept[tenant].seek(0)
        return next(int(line.split()[0]) for line in self.kept[tenant]
                    if list(map(float, line.split()[1:])) == vector[:4])

    def close(self):
        self.end.set()

subject.run(Known)
"""


class WhyTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.folder = pathlib.Path(directory.name)

    def measure(self, tenants, open="pass", create="pass", search="pass"):
        script = self.folder / "known.py"
        script.write_text(SUBJECT % {"baselines": str(BASELINES), "open": open, "create": create,
                                     "search": search})
        return measure.measure(lambda folder: [sys.executable, "-B", script, folder], tenants,
                               self.folder / "data", 20)

    def test_slopes_are_what_a_tenant_holds(self):
        small, large = self.measure(5), self.measure(15)
        each = table.slopes(small, large)
        self.assertAlmostEqual(each["descriptors"], 1)
        self.assertAlmostEqual(each["threads"], 1)
        self.assertAlmostEqual(each["files"], 2)
        self.assertAlmostEqual(each["processes"], 0)
        self.assertGreaterEqual(each["disk_kib"], 16)
        self.assertIsNone(large.stopped)
        cells, _ = table.line("known", small, large, {"descriptors": ("open files", 1000),
                                                      "threads": ("process ids", 500)})
        self.assertEqual(len(cells), len(table.COLUMNS))
        self.assertEqual(cells[-1], "500 (process ids)")
        self.assertFalse((self.folder / "data").exists())

    def test_a_rival_that_stops_says_where(self):
        size = self.measure(10, create="if tenant == 7: raise OSError(24, 'Too many open files')")
        self.assertEqual(size.tenants, 7)
        self.assertRegex(size.stopped, "create stops at 7: .*Too many open files")
        self.assertEqual(size.looks["disk"]["files"], 14)

    def test_a_rival_that_ends_gives_its_last_words(self):
        with self.assertRaisesRegex(measure.Broken, "ended by itself: last words"):
            self.measure(3, open="print('last words'); os._exit(3)")

    def test_a_wrong_answer_is_no_figure(self):
        with self.assertRaisesRegex(measure.Broken, "tenant .: point -1 instead of"):
            self.measure(3, search="self.count = getattr(self, 'count', 0) + 1\n"
                                   "        if self.count > 3: return -1")

    def test_a_rival_that_hangs_is_ended(self):
        limit, measure.ANSWER_S_MAX = measure.ANSWER_S_MAX, 1
        self.addCleanup(setattr, measure, "ANSWER_S_MAX", limit)
        with self.assertRaisesRegex(measure.Broken, "no answer within 1 s"):
            self.measure(3, create="time.sleep(60)")

    def test_a_package_that_cannot_be_had_has_a_reason(self):
        (self.folder / "venv" / "bin").mkdir(parents=True)
        (self.folder / "venv" / "bin" / "python").symlink_to(sys.executable)
        python, reason = packages.provide(self.folder / "venv", "pip", "0.0.0", install=False)
        self.assertIsNone(python)
        self.assertIn("pip 0.0.0 is not installed", reason)
        self.assertEqual(len(table.without("x", reason)), len(table.COLUMNS))


if __name__ == "__main__":
    unittest.main()
