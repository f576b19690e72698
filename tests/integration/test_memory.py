#!/usr/bin/env python3
"""Memory of requests: what large bodies, their parsing and large answers take is the budget's.

Run:  test_memory.py PATH-OF-INSULA [name of a test ...]
"""
import json
import os
import sys
import threading
import unittest

import test_rest
from test_rest import Client, Server

BUDGET = 256 << 20  # the smallest
DIM = 1024
POINTS = 20000  # 80 MB of values: more than the cache's share
BATCH = 500


def batch(first, count, digits="%d"):
    def vector(i):
        return ",".join(digits % ((i * 7 + at) % 10) for at in range(DIM))

    points = ",".join('{"id":%d,"vector":[%s]}' % (i, vector(i)) for i in range(first, first + count))
    return '{"points":[%s]}' % points


def operations(points):
    """The same as a batch of one operation: such a body is parsed as a whole before it is looked into."""
    return '{"operations":[{"upsert":%s}]}' % points


class MemoryTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(budget=str(BUDGET))
        cls.client = Client(cls.server)
        cls.path = "/collections/memory"
        cls.client.ok("PUT", cls.path, {"vectors": {"size": DIM, "distance": "Euclid"}})
        for first in range(0, POINTS, BATCH):
            code = 429
            while code == 429:  # it writes as fast as it is let
                code, answer, _ = cls.client.call("PUT", cls.path + "/points?wait=true", batch(first, BATCH))
            assert code == 200, answer
        cls.client.ok("POST", "/insula/flush")

    @classmethod
    def tearDownClass(cls):
        cls.client.connection.close()
        cls.server.remove()

    def peak(self, reset=False):
        """Most that was resident since the last reset; the kernel's own count."""
        proc = f"/proc/{self.server.process.pid}/"
        if reset:
            with open(proc + "clear_refs", "w", encoding="ascii") as file:
                file.write("5")
        with open(proc + "status", encoding="ascii") as file:
            return next(int(line.split()[1]) << 10 for line in file if line.startswith("VmHWM"))

    def fill_cache(self):
        query = {"query": [1] * DIM, "limit": 1, "params": {"exact": True}}
        for _ in range(2):
            self.client.ok("POST", self.path + "/points/query", query)

    def several(self, count, method, path, bodies):
        """Codes of what `count` clients got, each for every body."""
        codes, wrong = [], []

        def one(number):
            client = Client(self.server)
            for turn in range(len(bodies)):
                code, answer, _ = client.call(method, path, bodies[(turn + number) % len(bodies)])
                codes.append(code)
                if code != 200 and "error" not in answer["status"]:
                    wrong.append(answer)
            client.connection.close()

        threads = [threading.Thread(target=one, args=(i,)) for i in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])
        return codes

    def settled(self, codes):
        self.assertIn(200, codes)
        self.assertLessEqual(set(codes), {200, 413, 429, 507})
        self.assertLessEqual(self.peak(), BUDGET * 1.05)
        code, _, _ = self.client.call("GET", self.path)
        self.assertEqual(code, 200)

    def test_parsed_twice(self):
        """Goal: a search whose body does not parse without its vector is parsed once more, and what the parser holds
        counts once; the server goes on. Method: a field twice, and a text that ends too soon, behind so many ids that
        the parser's memory is counted."""
        ids = ",".join(map(str, range(200000)))
        query = '{"vector":[%s],"limit":3,"filter":{"must":[{"has_id":[%s]}]}' % (",".join(["1"] * DIM), ids)
        before = self.client.ok("POST", self.path + "/points/search", query + "}")
        for end, reason in ((',"limit":3}', "duplicate field `limit`"), (",", "the text ends")):
            code, answer, _ = self.client.call("POST", self.path + "/points/search", query + end)
            self.assertEqual(code, 400, answer)
            self.assertIn(reason, answer["status"]["error"])
        self.assertEqual(self.client.ok("POST", self.path + "/points/search", query + "}"), before)

    def test_bodies(self):
        """Goal: eight clients that send bodies of 15 MB, or of 4 MB of which parsing makes thirteen times
        as much, keep within the budget. Method: the kernel's peak. The latter are too large for a
        record of the log, which is seen when they were read."""
        self.fill_cache()
        self.peak(reset=True)
        bodies = [operations(batch(0, 800, "%.15f")), operations(batch(0, 2000)), batch(800, 800, "%.15f")]
        codes = self.several(8, "POST", self.path + "/points/batch?wait=true", bodies[:2])
        self.settled(codes + self.several(4, "PUT", self.path + "/points?wait=true", bodies[2:]))

    def test_answers(self):
        """Goal: likewise for eight clients that ask for answers of 8 MB and more."""
        self.fill_cache()
        self.peak(reset=True)
        bodies = [json.dumps({"limit": limit, "with_vector": True}) for limit in (2000, 3000, 4000)]
        self.settled(self.several(8, "POST", self.path + "/points/scroll", bodies))

    def test_too_large(self):
        """Goal: a body whose reading can never fit is refused with the numbers and changes nothing."""
        before = self.client.ok("POST", self.path + "/points/count", {})["count"]
        self.peak(reset=True)
        message = self.client.error(413, "POST", self.path + "/points/batch", operations(batch(10 ** 6, 7000)))
        self.assertRegex(message, r"^Payload too large: a body of \d+ bytes like this one takes \d+ to be read, "
                                  r"and this memory budget allows 67108864; send less at once$")
        self.assertEqual(self.client.ok("POST", self.path + "/points/count", {})["count"], before)
        self.assertLessEqual(self.peak(), BUDGET * 1.05)


if __name__ == "__main__":
    test_rest.PROGRAM = sys.argv.pop(1)
    os.environ.pop("MALLOC_PERTURB_", None)  # it makes all that is reserved resident
    unittest.main()
