#!/usr/bin/env python3
"""Tenants as a table over REST: goal and method stand at each test.

Run:  test_tenants.py PATH-OF-INSULA [name of a test ...]
"""
import unittest
from urllib.parse import quote

import test_rest
from test_rest import Client, Server, wave


class TenantTest(unittest.TestCase):
    def setUp(self):
        self.server = Server()
        self.addCleanup(self.server.remove)
        self.client = Client(self.server)

    def collection(self, name, sharded=False, tenants=True):
        body = {"vectors": {"size": 4, "distance": "Dot"}}
        if sharded:
            body["sharding_method"] = "custom"
        self.client.ok("PUT", f"/collections/{name}", body)
        if tenants:
            self.client.ok("PUT", f"/collections/{name}/index?wait=true", {
                "field_name": "who", "field_schema": {"type": "keyword", "is_tenant": True}})

    def fill(self, name, sizes, first=0, shard=None):
        points = []
        for who, size in sizes.items():
            for _ in range(size):
                points.append({"id": first + len(points), "vector": wave(len(points), 4),
                               "payload": {"who": who}})
        body = {"points": points}
        if shard is not None:
            body["shard_key"] = shard
        self.client.ok("PUT", f"/collections/{name}/points?wait=true", body)

    def pages(self, name, limit, **more):
        names, offset, turns = [], None, 0
        while turns == 0 or offset is not None:
            body = {"limit": limit, **more}
            if offset is not None:
                body["offset"] = offset
            page = self.client.ok("POST", f"/collections/{name}/tenants", body)
            self.assertLessEqual(len(page["tenants"]), limit)
            names += [each["tenant"] for each in page["tenants"]]
            offset = page["next_page_offset"]
            turns += 1
            self.assertLess(turns, 1000)
        return names

    def test_list(self):
        """Goal: every tenant comes once, in the order of bytes, whatever the page; prefixes. Method:
        names of all kinds, against Python's sort."""
        self.collection("c")
        names = [f"t{i * 7919 % 1000:03}" for i in range(700)] + ["", "t", "\u00e9t\u00e9", "a/b c?&%", "T1"]
        self.fill("c", {name: 1 + i % 3 for i, name in enumerate(names)})
        wanted = sorted(set(names), key=lambda name: name.encode())
        for limit in (1000, 97, 7):
            self.assertEqual(self.pages("c", limit), wanted)
        self.assertEqual(self.pages("c", 10, prefix="t00"),
                         [name for name in wanted if name.startswith("t00")])
        self.assertEqual(self.pages("c", 10, prefix="nobody"), [])
        first = self.client.ok("GET", "/collections/c/tenants")
        self.assertEqual([each["tenant"] for each in first["tenants"]], wanted[:100])
        self.client.ok("POST", "/insula/flush")
        self.assertEqual(self.pages("c", 100), wanted)

    def test_sizes(self):
        """Goal: sizes are right in memory and on disk; a restart tells the same."""
        self.collection("c")
        self.fill("c", {"few": 3, "many": 200})
        few = self.client.ok("GET", "/collections/c/tenants/few")
        self.assertEqual(few, {"tenant": "few", "points_max": 3, "memory_rows": 3, "runs": 0,
                               "disk_bytes": 0})
        self.client.ok("POST", "/insula/flush")
        for turn in range(2):
            many = self.client.ok("GET", "/collections/c/tenants/many")
            self.assertEqual((many["points_max"], many["memory_rows"], many["runs"]), (200, 0, 1))
            self.assertGreater(many["disk_bytes"], 200 * 16)
            if turn == 0:
                self.server.stop()
                self.server.process.stdout.close()
                self.server.start()
                self.client = Client(self.server)
        self.fill("c", {"many": 10}, first=1000)
        self.assertEqual(self.client.ok("GET", "/collections/c/tenants/many")["points_max"], 210)

    def test_delete(self):
        """Goal: a tenant that is deleted is gone with its points, the others are not; names that
        need escapes are reached."""
        self.collection("c")
        self.fill("c", {"anna": 5, "bela": 4, "a/b c?&%": 3})
        for who in ("anna", "a/b c?&%"):
            path = "/collections/c/tenants/" + quote(who, safe="")
            self.assertEqual(self.client.ok("GET", path)["tenant"], who)
            self.assertEqual(self.client.ok("DELETE", path + "?wait=true")["status"], "completed")
            self.assertIn("has no points", self.client.error(404, "GET", path))
            self.assertEqual(self.client.ok("DELETE", path + "?wait=true")["status"], "completed")
        self.assertEqual(self.pages("c", 10), ["bela"])
        self.assertEqual(self.client.ok("POST", "/collections/c/points/count", {})["count"], 4)
        self.fill("c", {"anna": 2}, first=100)
        self.assertEqual(self.client.ok("GET", "/collections/c/tenants/anna")["points_max"], 2)

    def test_shards(self):
        """Goal: a tenant in several shard keys is one row, and goes from all."""
        self.collection("s", sharded=True)
        self.client.ok("DELETE", "/collections/s/tenants/anna?wait=true")
        for number, key in enumerate(["x", 5]):
            self.client.ok("PUT", "/collections/s/shards", {"shard_key": key})
            self.fill("s", {"anna": 2 + number, f"only{number}": 1}, shard=key)
        self.assertEqual(self.pages("s", 2), ["anna", "only0", "only1"])
        self.assertEqual(self.client.ok("GET", "/collections/s/tenants/anna")["points_max"], 5)
        self.client.ok("DELETE", "/collections/s/tenants/anna?wait=true")
        self.assertEqual(self.pages("s", 2), ["only0", "only1"])
        self.assertEqual(self.client.ok("POST", "/collections/s/points/count", {})["count"], 2)

    def test_bad(self):
        self.collection("plain", tenants=False)
        for method, path in (("GET", ""), ("GET", "/anna"), ("DELETE", "/anna")):
            self.assertIn("is_tenant", self.client.error(
                400, method, "/collections/plain/tenants" + path))
            self.assertIn("nowhere", self.client.error(
                404, method, "/collections/nowhere/tenants" + path))
        self.collection("c")
        for body, part in (({"limit": 0}, "limit"), ({"limit": 1001}, "limit"),
                           ({"prefix": 5}, "prefix"), ({"offset": ["a"]}, "offset")):
            code, answer, _ = self.client.call("POST", "/collections/c/tenants", body)
            self.assertIn(code, (400, 422), body)
            self.assertIn(part, answer["status"]["error"])


if __name__ == "__main__":
    test_rest.PROGRAM = test_rest.take_program()
    unittest.main(verbosity=2, warnings="ignore")
