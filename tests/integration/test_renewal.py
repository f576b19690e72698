#!/usr/bin/env python3
"""What a large extent has beside its rows is made again when it is damaged, is lacking, or was not ended.

Run:  test_renewal.py PATH-OF-INSULA [name of a test ...]
"""
import glob
import json
import os
import random
import struct
import subprocess
import sys
import unittest

import test_rest
from test_rest import Client, Server

DIM, COUNT = 16, 3000
LINKS, HEAD = 14, 19  # kinds of sections, as docs/FORMATS.md numbers them


def sections(path):
    """(kind, place in the file, size) of each section of each large extent, by their headers."""
    with open(path, "rb") as file:
        data = file.read()
    at = data.find(b"IEXT")
    while at >= 0:
        chunks, count = struct.unpack_from("<IH", data, at + 64)
        size, = struct.unpack_from("<Q", data, at + 72)
        header = -(-(80 + 40 * count + 8 * chunks) // 64) * 64
        large = struct.unpack_from("<H", data, at + 6)[0] & 1 == 0
        for i in range(count if at % 64 == 0 and large else 0):
            kind, _, _, _, place, bytes_, _ = struct.unpack_from("<4H3Q", data, at + 80 + 40 * i)
            yield kind, at + header - size + place, bytes_
        at = data.find(b"IEXT", at + 1)


class RenewalTest(unittest.TestCase):
    def setUp(self):
        self.draw = random.Random(7)
        self.server = Server()
        self.addCleanup(self.server.remove)
        self.connect()
        self.path = "/collections/c"

    def connect(self):
        if hasattr(self, "client"):
            self.client.connection.close()
        self.client = Client(self.server)

    def tearDown(self):
        self.client.connection.close()

    def fill(self, count=COUNT, **settings):
        self.client.ok("PUT", self.path, {"vectors": {"size": DIM, "distance": "Euclid"}, **settings})
        for first in range(0, count, 1000):
            self.client.ok("PUT", self.path + "/points?wait=true", {"points": [
                {"id": i, "vector": [self.draw.gauss(0, 1) for _ in range(DIM)], "payload": {"n": i % 100, "w": f"w{i}"}}
                for i in range(first, min(first + 1000, count))]})
        self.client.ok("POST", "/insula/flush")

    def info(self):
        return self.client.ok("GET", self.path)

    def stats(self):
        return self.client.ok("GET", "/insula/stats")

    def restart(self):
        said = self.server.stop()[1]
        self.server.process.stdout.close()
        self.server.start()
        self.connect()
        return said

    def files(self):
        return glob.glob(os.path.join(self.server.directory, "**", "*.seg"), recursive=True)

    def check(self):
        done = subprocess.run([test_rest.PROGRAM, "check", self.server.directory], capture_output=True, text=True,
                              timeout=60, check=False)
        return done.returncode, done.stdout + done.stderr

    def until(self, condition):
        """Each look is a request: the server works meanwhile."""
        while not condition():
            pass

    def ids(self, vector, **params):
        body = {"query": vector, "limit": 5, "params": params}
        return [one["id"] for one in self.client.ok("POST", self.path + "/points/query", body)["points"]]

    def doctor(self):
        run = subprocess.run([test_rest.PROGRAM, "doctor", "--json", "--seconds", "1", "--url",
                              f"http://127.0.0.1:{self.server.port}"], capture_output=True, text=True, timeout=60, check=False)
        return {one["id"]: one for one in json.loads(run.stdout)["findings"]}

    def damage(self, kind):
        self.server.stop()
        self.server.process.stdout.close()
        for path in self.files():
            for found, at, size in sections(path):
                if found == kind:
                    with open(path, "r+b") as file:
                        file.seek(at + size // 2)
                        byte = file.read(1)[0]
                        file.seek(at + size // 2)
                        file.write(bytes([byte ^ 1]))
                    self.server.start()
                    self.connect()
                    return os.path.basename(path).replace("+", "/")
        raise AssertionError(f"no section of kind {kind}")

    def test_damage(self):
        """Goal: a byte that changed on the disk in a graph or in codes is found by the search that meets it, costs no
        answer, is told (a line, a metric, a finding of doctor), and goes: the extent is written anew. Method: one is
        flipped while the server is stopped."""
        small = {"full_scan_threshold": 10}
        for kind, settings in ((LINKS, {"hnsw_config": small, "optimizers_config": {"indexing_threshold": 10}}),
                               (HEAD, {"hnsw_config": small, "optimizers_config": {"indexing_threshold": 10}})):
            with self.subTest(kind):
                self.fill(**settings)
                self.until(lambda: self.info()["indexed_vectors_count"] == COUNT)
                name = self.damage(kind)
                self.assertNotEqual(self.doctor().keys() & {"extents-damaged"}, {"extents-damaged"})
                for _ in range(10):
                    query = [self.draw.gauss(0, 1) for _ in range(DIM)]
                    self.assertEqual(len(self.ids(query, hnsw_ef=64)), 5)
                self.until(lambda: self.stats()["extents_renewed"] == 1)
                stats = self.stats()
                self.assertEqual((stats["extents_damaged"], stats["graph_fallbacks"]), (1, 1))
                self.assertIn(name, stats["graph_damage"])
                metrics = self.client.call("GET", "/metrics")[1]
                self.assertIn("insula_extents_damaged_total 1\n", metrics)
                self.assertIn("extents-damaged", self.doctor())
                self.client.ok("POST", "/insula/erasures", {})
                self.until(lambda: self.info()["indexed_vectors_count"] == COUNT)
                said = self.restart()  # as the finding says, with a check before
                self.assertIn(f"insula: warning: {stats['graph_damage']}\n", said)
                self.assertEqual(said.count("insula: warning: "), 1, said)
                self.assertNotIn("extents-damaged", self.doctor())
                before = self.stats()["graph_searches"]
                right = 0
                for _ in range(20):
                    query = [self.draw.gauss(0, 1) for _ in range(DIM)]
                    right += len(set(self.ids(query, hnsw_ef=64)) & set(self.ids(query, exact=True)))
                self.assertGreaterEqual(right, 95)
                self.assertEqual(self.stats()["graph_searches"], before + 20)
                self.client.ok("DELETE", self.path)

    def looked_at(self, condition):
        """Rows that a count looks at one by one."""
        before = self.client.call("GET", "/metrics")[1]
        count = self.client.ok("POST", self.path + "/points/count", {"exact": True, "filter": {"must": [condition]}})["count"]
        after = self.client.call("GET", "/metrics")[1]
        name = "insula_filtered_rows_total "
        numbers = [float(text.split(name)[-1].split("\n")[0]) for text in (before, after)]
        return count, numbers[1] - numbers[0]

    def test_late_index(self):
        """Goal: an index that is made on a full collection comes to its large extents by itself, also to those of a
        collection with a graph, which stays; the info says how far that is, and stops. Answers are right meanwhile."""
        for settings in ({}, {"hnsw_config": {"full_scan_threshold": 10}, "optimizers_config": {"indexing_threshold": 10}}):
            with self.subTest(settings):
                self.fill(**settings)
                graphs = COUNT if settings else 0
                self.until(lambda: self.info()["indexed_vectors_count"] == graphs)
                number = {"key": "n", "match": {"value": 7}}
                word = {"key": "w", "match": {"value": "w7"}}
                self.assertEqual(self.looked_at(number), (30, COUNT))
                self.client.ok("PUT", self.path + "/index?wait=true", {"field_name": "n", "field_schema": "integer"})
                self.client.ok("PUT", self.path + "/index?wait=true", {"field_name": "w", "field_schema": "keyword"})
                while True:
                    info = self.info()
                    self.assertEqual(self.looked_at(number)[0], 30)
                    if "warnings" not in info:
                        break
                    for one in info["warnings"]:
                        self.assertRegex(one["message"], "1 of 1 large extents, with 3000 points, are searched without it")
                self.assertEqual(self.looked_at(number), (30, 0))
                self.assertEqual(self.looked_at(word), (1, 0))
                self.until(lambda: self.info()["status"] == "green")
                renewed = self.stats()["extents_renewed"]
                self.assertGreaterEqual(renewed, 1)
                self.assertEqual(self.info()["indexed_vectors_count"], graphs)
                self.restart()
                self.until(lambda: "warnings" not in self.info() and self.info()["status"] == "green")
                self.assertEqual(self.stats()["extents_renewed"], 0)  # looked at, no more
                self.assertEqual(self.looked_at(number), (30, 0))
                self.client.ok("DELETE", self.path)

    def test_small(self):
        """Goal: of what was never in a large extent nothing is said. Method: points in memory, then in a small one."""
        self.fill(30)
        self.client.ok("PUT", self.path + "/index?wait=true", {"field_name": "n", "field_schema": "integer"})
        self.assertNotIn("warnings", self.info())

    def test_killed(self):
        """Goal: however often the making of a graph, or of an index, is cut off, it is made in the end, and the directory
        is clean at each moment. Method: SIGKILL at random moments of it."""
        count = 8000
        self.fill(count, hnsw_config={"full_scan_threshold": 10}, optimizers_config={"indexing_threshold": 10})
        for number in range(8):
            self.client.ok("PUT", self.path + "/index?wait=true",
                           {"field_name": ("n", "w")[number % 2], "field_schema": ("integer", "keyword")[number % 2]})
            for _ in range(self.draw.randrange(120)):
                self.info()
            self.server.process.kill()
            self.server.process.wait()
            self.server.process.stdout.close()
            self.assertEqual(self.check()[0], 0, self.check()[1])
            self.server.start()
            self.connect()
        self.until(lambda: self.info()["status"] == "green")
        info = self.info()
        self.assertEqual((info["indexed_vectors_count"], info["points_count"]), (count, count))
        self.assertNotIn("warnings", info)
        self.assertEqual(self.looked_at({"key": "n", "match": {"value": 7}}), (80, 0))
        right = 0
        for _ in range(20):
            query = [self.draw.gauss(0, 1) for _ in range(DIM)]
            right += len(set(self.ids(query, hnsw_ef=128)) & set(self.ids(query, exact=True)))
        self.assertGreaterEqual(right, 95)


if __name__ == "__main__":
    test_rest.PROGRAM = os.path.abspath(sys.argv[1])
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2)
