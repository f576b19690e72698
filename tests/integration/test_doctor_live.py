#!/usr/bin/env python3
"""insula doctor on this machine, with something made wrong on purpose and then made right as it says.

Run:  test_doctor_live.py PATH-OF-INSULA [name of a test ...]
Goal: each finding comes first among what a server that nothing is wrong with does not show here (the machine may be
loaded by others), and is gone when its advice was followed. What needs root is skipped without.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

import test_rest
from test_rest import Client, Server

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "soak"))
import cage  # noqa: E402  pylint: disable=wrong-import-position

MIB, GIB = 1 << 20, 1 << 30
# What others do to the machine comes and goes.
OTHERS = {"disk-reads-slow", "disk-writes-slow", "io-pressure", "run-queue", "memory-pressure", "major-faults", "backlog"}
TRACER = """
import ctypes, sys
result = ctypes.CDLL(None, use_errno=True).ptrace(0x4206, int(sys.argv[1]), None, None)  # PTRACE_SEIZE
print(ctypes.get_errno() if result != 0 else 0, flush=True)
sys.stdin.read()
"""


class PlacedServer(Server):
    """On a directory of one's own, with a budget of one's own."""

    def __init__(self, directory, budget="512M", preexec=None):
        self.arguments, self.preexec = (), preexec
        self.directory, self.budget = directory, budget
        self.start()


class LiveTest(unittest.TestCase):
    usual = None

    def serve(self, **options):
        server = PlacedServer(**options) if "directory" in options else Server(**options)
        self.addCleanup(server.remove)
        return server

    def doctor(self, server):
        """Findings, the worst first."""
        run = subprocess.run([test_rest.PROGRAM, "doctor", "--json", "--seconds", "1", "--url",
                              f"http://127.0.0.1:{server.port}"], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(run.stderr, "")
        return {one["id"]: one for one in json.loads(run.stdout)["findings"]}

    def during(self, server, work):
        """The same while `work` is done again and again."""
        stop = threading.Event()

        def loop():
            while not stop.is_set():
                work()
        thread = threading.Thread(target=loop)
        thread.start()
        try:
            return self.doctor(server)
        finally:
            stop.set()
            thread.join()

    def first(self, found):
        if LiveTest.usual is None:
            LiveTest.usual = set(self.doctor(self.serve()))
        return next((name for name in found if name not in LiveTest.usual | OTHERS), None)

    def folder(self, parent=None):
        directory = tempfile.mkdtemp(prefix="insula-doctor-", dir=parent)
        self.addCleanup(shutil.rmtree, directory, True)
        return directory

    def root(self):
        if os.geteuid() != 0:
            self.skipTest("needs root")

    def test_in_memory(self):
        if not os.path.ismount("/dev/shm"):
            self.skipTest("/dev/shm is no file system of its own")
        directory = self.folder("/dev/shm")
        server = self.serve(directory=directory)
        self.assertEqual(self.first(self.doctor(server)), "data-in-memory")
        server.stop()
        server.process.stdout.close()
        server.directory = shutil.copytree(directory, self.folder(), dirs_exist_ok=True)
        server.start()
        self.assertNotIn("data-in-memory", self.doctor(server))

    def test_disk_full(self):
        try:
            disk = cage.Disk(40 * GIB)
        except cage.Forbidden as reason:
            self.skipTest(str(reason))
        self.addCleanup(disk.remove)
        server = self.serve(directory=disk.data)
        self.addCleanup(server.process.kill)
        disk.fill(GIB // 2)
        self.assertEqual(self.first(self.doctor(server)), "disk-full")
        disk.empty()
        self.assertNotIn("disk-full", self.doctor(server))
        server.stop()

    def test_tight_group(self):
        self.root()
        try:
            group = cage.MemoryGroup(400 * MIB)
        except cage.Forbidden as reason:
            self.skipTest(str(reason))
        self.addCleanup(group.remove)
        directory = self.folder()
        server = self.serve(directory=directory, budget="512M", preexec=group.enter)
        found = self.doctor(server)
        self.assertEqual(self.first(found), "budget-over-cgroup")
        advice = found["budget-over-cgroup"]["todo"]
        self.assertIn("--memory-budget 320M", advice)
        server.stop()
        server.process.stdout.close()
        server.budget = "320M"
        server.start()
        self.assertNotIn("budget-over-cgroup", self.doctor(server))
        server.stop()

    def test_traced(self):
        server = self.serve()
        with subprocess.Popen([sys.executable, "-c", TRACER, str(server.process.pid)], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True) as tracer:
            number = int(tracer.stdout.readline())
            try:
                if number != 0:
                    self.skipTest(f"ptrace: {os.strerror(number)}")
                self.assertEqual(self.first(self.doctor(server)), "traced")
            finally:
                tracer.stdin.close()
        self.assertNotIn("traced", self.doctor(server))

    def test_collections(self):
        """Method: 1,001 collections of one vector each; then one with a tenant key, as it says."""
        server = self.serve()
        client = Client(server)
        self.addCleanup(client.connection.close)
        for number in range(1001):
            client.ok("PUT", f"/collections/c{number}", {"vectors": {"size": 2, "distance": "Dot"}})
        self.assertEqual(self.first(self.doctor(server)), "collection-per-tenant")
        for number in range(1, 1001):
            client.ok("DELETE", f"/collections/c{number}")
        client.ok("PUT", "/collections/c0/index?wait=true",
                  {"field_name": "who", "field_schema": {"type": "keyword", "is_tenant": True}})
        self.assertNotIn("collection-per-tenant", self.doctor(server))

    def test_filters(self):
        """Method: a filter over 20,000 points; then the index that it asks for, which comes to the extent by itself."""
        server = self.serve()
        client = Client(server)
        self.addCleanup(client.connection.close)
        client.ok("PUT", "/collections/f", {"vectors": {"size": 8, "distance": "Dot"}})
        for first in range(0, 20000, 1000):
            client.ok("PUT", "/collections/f/points?wait=true", {"points": [
                {"id": i, "vector": [1, i] * 4, "payload": {"word": f"w{i}"}} for i in range(first, first + 1000)]})
        client.ok("POST", "/insula/flush")
        body = {"filter": {"must": [{"key": "word", "match": {"value": "w7"}}]}, "exact": True}

        def count():
            client.ok("POST", "/collections/f/points/count", body)
        found = self.during(server, count)
        self.assertEqual(self.first(found), "filters-unindexed")
        self.assertIn("/index", found["filters-unindexed"]["todo"])
        client.ok("PUT", "/collections/f/index?wait=true", {"field_name": "word", "field_schema": "keyword"})
        while "warnings" in client.ok("GET", "/collections/f"):
            pass
        self.assertNotIn("filters-unindexed", self.during(server, count))


if __name__ == "__main__":
    test_rest.PROGRAM = os.path.abspath(sys.argv[1])
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2)
