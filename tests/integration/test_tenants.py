#!/usr/bin/env python3
"""Tenants as a table over REST: goal and method stand at each test.

Run:  test_tenants.py PATH-OF-INSULA [name of a test ...]
"""
import json
import os
import signal
import subprocess
import threading
import time
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
        self.assertGreater(few.pop("incarnation"), 0)
        self.assertEqual(few, {"tenant": "few", "points_max": 3, "memory_rows": 3, "runs": 0,
                               "disk_bytes": 0, "expires_in_s": None})
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

    # ---- Quotas and usage ----

    def restart(self):
        self.server.stop()
        self.server.process.stdout.close()
        self.server.start()
        self.client = Client(self.server)

    def search(self, name, who, **more):
        return self.client.call("POST", f"/collections/{name}/points/query", {
            "query": wave(1, 4), "filter": {"must": [{"key": "who", "match": {"value": who}}]}, **more})

    def refused(self, count, call):
        """How many of `count` calls are refused; each with its reason and when to come again."""
        refused = 0
        for _ in range(count):
            code, answer, response = call()
            self.assertIn(code, (200, 429), answer)
            if code == 429:
                refused += 1
                self.message = answer["status"]["error"]
                self.assertGreaterEqual(int(response.getheader("Retry-After")), 1)
        return refused

    QUOTA = {"queries_per_second": None, "writes_per_second": None, "scan_bytes_per_second": None,
             "stored_bytes": None, "memory_floor": None, "memory_ceiling": None, "ttl": None, "priority": "normal", "pin": False, "own": False}

    def test_quota_kept(self):
        """Goal: a quota is what was put, whole, for one tenant or for all, and survives a restart;
        settings of the collection change nothing in it, nor it in them."""
        self.collection("c")
        self.fill("c", {"anna": 3, "a/b \"c\"?&%": 2})
        path = "/collections/c/tenants/anna/quota"
        odd = "/collections/c/tenants/" + quote("a/b \"c\"?&%", safe="") + "/quota"
        self.assertEqual(self.client.ok("GET", path), self.QUOTA)
        before = self.client.ok("GET", "/collections/c")["config"]
        self.client.ok("PUT", "/collections/c/quota", {"writes_per_second": 1000})
        self.assertEqual(self.client.ok("GET", path), {**self.QUOTA, "writes_per_second": 1000})
        self.client.ok("PUT", path, {"queries_per_second": 7, "stored_bytes": 10 ** 9})
        self.client.ok("PUT", path, {"queries_per_second": 5, "priority": "high"})
        self.client.ok("PUT", odd, {"scan_bytes_per_second": 12345, "priority": "low"})
        self.client.ok("PATCH", "/collections/c", {"optimizers_config": {"indexing_threshold": 12000}})
        for turn in range(2):
            self.assertEqual(self.client.ok("GET", path), {
                **self.QUOTA, "queries_per_second": 5, "priority": "high", "own": True})
            self.assertEqual(self.client.ok("GET", odd), {
                **self.QUOTA, "scan_bytes_per_second": 12345, "priority": "low", "own": True})
            self.assertEqual(self.client.ok("GET", "/collections/c/quota"),
                             {**self.QUOTA, "writes_per_second": 1000, "own": True})
            if turn == 0:
                self.restart()
        after = self.client.ok("GET", "/collections/c")["config"]
        self.assertEqual(after["optimizer_config"].pop("indexing_threshold"), 12000)
        before["optimizer_config"].pop("indexing_threshold")
        self.assertEqual(after, before)
        self.client.ok("DELETE", path)
        self.client.ok("DELETE", path)
        self.assertEqual(self.client.ok("GET", path), {**self.QUOTA, "writes_per_second": 1000})
        self.client.ok("DELETE", "/collections/c/quota")
        self.assertEqual(self.client.ok("GET", path), self.QUOTA)

    def test_rate_of_queries(self):
        """Goal: of many queries at once those beyond a second's worth are refused, by name, and only
        those of the tenant; also when its filter names several. Method: a rate so slow that no time
        that a test takes brings more than a few."""
        self.collection("c")
        self.fill("c", {"anna": 3, "bela": 3})
        path = "/collections/c/tenants/anna/quota"
        self.client.ok("PUT", path, {"queries_per_second": 1})
        began = time.monotonic()
        refused = self.refused(100, lambda: self.search("c", "anna"))
        took = time.monotonic() - began
        self.assertGreaterEqual(refused, 100 - 2 - int(took + 1))
        self.assertIn("tenant `anna` of collection `c`: queries_per_second is 1", self.message)
        both = {"filter": {"must": [{"key": "who", "match": {"any": ["bela", "anna"]}}]}, "query": wave(1, 4)}
        self.assertGreater(self.refused(20, lambda: self.client.call(
            "POST", "/collections/c/points/query", both)), 0)
        self.assertGreater(self.refused(20, lambda: self.client.call(
            "POST", "/collections/c/points/count", {"filter": both["filter"]})), 0)
        crowd = {"filter": {"must": [{"key": "who", "match": {"any": ["anna"] + [f"n{i}" for i in range(64)]}}]}}
        self.assertEqual(self.refused(20, lambda: self.client.call(
            "POST", "/collections/c/points/count", crowd)), 0)  # above 64 the collection's alone
        self.assertEqual(self.refused(100, lambda: self.search("c", "bela")), 0)
        usage = self.client.ok("GET", "/collections/c/tenants/anna/usage")
        self.assertGreaterEqual(usage["activity"]["refused"], refused)
        self.assertEqual(usage["points"], 3)
        bela = self.client.ok("GET", "/collections/c/tenants/bela/usage")["activity"]
        self.assertEqual((bela["queries"], bela["refused"]), (100, 0))
        self.client.ok("DELETE", path)
        self.assertEqual(self.refused(100, lambda: self.search("c", "anna")), 0)

    def test_rate_of_exports(self):
        """Goal: an export counts as a query and by its bytes, and is refused when it begins."""
        self.collection("c")
        self.fill("c", {"anna": 50, "bela": 3})
        path = "/collections/c/tenants/anna"
        self.client.ok("PUT", path + "/quota", {"queries_per_second": 1})
        self.assertGreater(self.refused(20, lambda: self.client.call("GET", path + "/export")), 15)
        self.assertEqual(self.search("c", "anna")[0], 429)
        self.client.ok("PUT", path + "/quota", {"scan_bytes_per_second": 100})
        activity = lambda: self.client.ok("GET", path + "/usage")["activity"]
        before = activity()
        code, _, headers = self.client.call("GET", path + "/export")
        self.assertEqual(code, 200)
        after = activity()
        self.assertEqual(after["queries"] - before["queries"], 1)
        self.assertGreaterEqual(after["rows_scanned"] - before["rows_scanned"], 50)
        self.assertGreater(after["bytes_scanned"] - before["bytes_scanned"], 50 * 16)
        self.assertEqual(self.search("c", "anna")[0], 429)
        self.assertEqual(self.search("c", "bela")[0], 200)

    def test_rate_of_writes(self):
        """Goal: points that a tenant writes are counted, whatever the request; a refused write has
        changed nothing, also of the other tenants in it; deletes by filter are refused as well."""
        self.collection("c")
        self.fill("c", {"anna": 3, "bela": 3})
        self.client.ok("PUT", "/collections/c/tenants/anna/quota", {"writes_per_second": 1})

        def put(*owners):
            return self.client.call("PUT", "/collections/c/points?wait=true", {"points": [
                {"id": 1000 + i, "vector": wave(i, 4), "payload": {"who": who}}
                for i, who in enumerate(owners)]})
        self.assertEqual(put(*["anna"] * 40)[0], 200)  # overdrawn by 39 s
        self.assertEqual(put("anna")[0], 429)
        for first in range(0, 1280, 64):  # more tenants than there are accounts: hers must stay
            names = [f"n{first + i}" for i in range(64)]
            self.client.ok("POST", "/collections/c/points/count",
                           {"filter": {"must": [{"key": "who", "match": {"any": names}}]}})
        self.assertEqual(put("anna")[0], 429)
        self.assertEqual(put("bela", "bela", "anna")[0], 429)
        code, answer, _ = self.client.call("POST", "/collections/c/points/delete?wait=true", {
            "filter": {"must": [{"key": "who", "match": {"value": "anna"}}]}})
        self.assertEqual(code, 429)
        self.assertIn("tenant `anna` of collection `c`: writes_per_second is 1", answer["status"]["error"])
        code, _, _ = self.client.call("POST", "/collections/c/points/delete?wait=true", {"points": [1000]})
        self.assertEqual(code, 429)
        self.assertEqual(put("bela")[0], 200)  # 1000 moves: a write of who gets it
        self.assertEqual(self.client.ok("POST", "/collections/c/points/count", {})["count"], 46)
        self.fill("c", {"bela": 50}, first=5000)
        anna = self.client.ok("GET", "/collections/c/tenants/anna/usage")
        self.assertEqual(anna["points"], 42)
        self.assertEqual(anna["activity"]["points_written"], 43)
        self.assertEqual(self.client.ok("GET", "/collections/c/tenants/bela/usage")["points"], 54)
        self.client.ok("DELETE", "/collections/c/tenants/anna?wait=true")  # the operator's is not refused
        self.assertEqual(self.client.ok("POST", "/collections/c/points/count", {})["count"], 54)

    def test_stored_and_scanned(self):
        """Goal: beyond stored_bytes points are refused and may be deleted; searches that compared more
        than a second's bytes stop the next one."""
        self.collection("c")
        self.fill("c", {"anna": 500, "bela": 500})
        self.client.ok("POST", "/insula/flush")
        stored = self.client.ok("GET", "/collections/c/tenants/anna/usage")
        work = {who: self.client.ok("GET", f"/collections/c/tenants/{who}/usage")["activity"] for who in ("anna", "bela")}
        self.assertGreater(work["anna"]["background_us"], 0)  # the flush was for both, alike
        self.assertEqual(work["anna"]["background_bytes"], stored["disk_bytes"] + 64)  # and its entry in the directory
        self.assertGreater(work["anna"]["background_us"], work["bela"]["background_us"] // 2)
        self.assertGreater(work["bela"]["background_us"], work["anna"]["background_us"] // 2)
        self.assertGreater(stored["disk_bytes"], 500 * 16)
        self.assertEqual(stored["live_bytes_min"], stored["disk_bytes"])
        self.client.ok("PUT", "/collections/c/tenants/anna/quota", {"stored_bytes": stored["disk_bytes"]})
        body = {"points": [{"id": 7000, "vector": wave(1, 4), "payload": {"who": "anna"}}]}
        code, answer, _ = self.client.call("PUT", "/collections/c/points?wait=true", body)
        self.assertEqual(code, 429)
        self.assertIn(f"stored_bytes is {stored['disk_bytes']}", answer["status"]["error"])
        self.client.ok("POST", "/collections/c/points/delete?wait=true", {"points": [0]})
        self.client.ok("PUT", "/collections/c/tenants/bela/quota", {"scan_bytes_per_second": 100})
        self.assertGreaterEqual(self.refused(20, lambda: self.search("c", "bela")), 18)
        self.assertEqual(self.refused(20, lambda: self.search("c", "anna")), 0)
        activity = self.client.ok("GET", "/collections/c/tenants/anna/usage")["activity"]
        self.assertIn(activity["rows_scanned"], range(20 * 499, 20 * 500 + 1))  # versions
        self.assertEqual(activity["bytes_scanned"], activity["rows_scanned"] * 16)
        self.assertGreater(activity["time_us"], 0)

    def test_turns(self):
        """Goal: a tenant with long searches on fifty connections does not take ten times the share of a
        tenant of the same size with five. Method: how many of each are answered in the same time: by
        requests it would be 10 to 1, by tenants 1 to 1 but for the pauses that the five leave."""
        self.collection("c")
        self.client.ok("PUT", "/collections/c/vectors/long", {"dense": {"size": 256, "distance": "Dot"}})
        vectors = ["[" + ",".join(str((i * 7 + j * j) % 9) for j in range(256)) + "]" for i in range(64)]
        for number in range(0, 32768, 2048):
            who = "quiet" if number < 16384 else "noisy"
            points = ",".join('{"id":%d,"vector":{"long":%s},"payload":{"who":"%s"}}'
                              % (number + i, vectors[i % 64], who) for i in range(2048))
            self.client.ok("PUT", "/collections/c/points?wait=true", ('{"points":[' + points + "]}").encode())

        def search(client, who):
            return client.call("POST", "/collections/c/points/query", {
                "query": [1] * 256, "using": "long", "limit": 1, "params": {"exact": True},
                "filter": {"must": [{"key": "who", "match": {"value": who}}]}})[0]
        answered, refused, stop = {"noisy": 0, "quiet": 0}, [0], threading.Event()

        def ask(who):
            client = Client(self.server)
            while not stop.is_set():
                if search(client, who) == 200:
                    answered[who] += 1
                else:
                    refused[0] += who == "quiet"
                    time.sleep(0.02)
        threads = [threading.Thread(target=ask, args=(who,)) for who in ["noisy"] * 50 + ["quiet"] * 5]
        for thread in threads:
            thread.start()
        try:
            while answered["noisy"] < 100 or answered["quiet"] < 10:
                time.sleep(0.01)
            before = dict(answered)
            while answered["quiet"] - before["quiet"] < 100:
                time.sleep(0.01)
            noisy, quiet = (answered[who] - before[who] for who in ("noisy", "quiet"))
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertLess(refused[0], answered["quiet"] / 10)  # the door refuses when the machine stands still
        self.assertLess(noisy, 6 * quiet)

    def test_other_styles(self):
        """Goal: a shard key, and a collection without tenants, have quotas and usage as tenants do."""
        self.collection("alone", tenants=False)
        self.fill("alone", {"x": 20})
        self.client.ok("PUT", "/collections/alone/quota", {"queries_per_second": 1})
        query = {"query": wave(1, 4)}
        self.assertGreater(self.refused(30, lambda: self.client.call(
            "POST", "/collections/alone/points/query", query)), 0)
        self.assertIn("collection `alone`", self.message)
        self.assertEqual(self.client.ok("GET", "/collections/alone/usage")["points"], 20)
        self.collection("s", sharded=True, tenants=False)
        for key in ("x", 5):
            self.client.ok("PUT", "/collections/s/shards", {"shard_key": key})
            self.fill("s", {"w": 4}, shard=key)
        self.client.ok("PUT", "/collections/s/tenants/5/quota", {"queries_per_second": 1})
        for key, limited in (("x", False), (5, True)):
            refused = self.refused(30, lambda: self.client.call(
                "POST", "/collections/s/points/query", {**query, "shard_key": key}))
            self.assertEqual(refused > 0, limited)
        self.assertEqual(self.client.ok("GET", "/collections/s/tenants/x/usage")["points"], 4)
        self.assertEqual(self.client.ok("GET", "/collections/s/usage")["points"], 8)
        self.assertIn("nokey", self.client.error(404, "GET", "/collections/s/tenants/nokey/quota"))
        self.assertEqual(self.pages("s", 1), ["5", "x"])
        self.assertEqual(self.client.ok("GET", "/collections/s/tenants/x")["points_max"], 4)
        self.assertIn("has no points", self.client.error(404, "GET", "/collections/s/tenants/nokey"))
        self.assertIn("shards/delete", self.client.error(400, "DELETE", "/collections/s/tenants/x"))
        self.assertIn("is_tenant", self.client.error(400, "GET", "/collections/alone/tenants"))

    def stats(self):
        return self.client.ok("GET", "/insula/stats")

    def test_warm(self):
        """Goal: what a warming brought is not read again, in the three styles of tenancy; of a pinned
        tenant it is kept apart, also after a restart. Method: the server's counters of cold reads."""
        self.collection("c")
        self.fill("c", {"anna": 50, "bela": 50})
        self.collection("alone", tenants=False)
        self.fill("alone", {"x": 40})
        self.collection("s", sharded=True, tenants=False)
        self.client.ok("PUT", "/collections/s/shards", {"shard_key": "k"})
        self.fill("s", {"w": 40}, shard="k")
        paths = {"/collections/c/tenants/anna": ("c", {"filter": {"must": [
                     {"key": "who", "match": {"value": "anna"}}]}}),
                 "/collections/alone": ("alone", {}), "/collections/s/tenants/k": ("s", {"shard_key": "k"})}
        for pinned in (False, True):
            for path in paths:
                self.client.ok("PUT", path + "/quota", {"pin": pinned, "priority": "high"})
            self.restart()
            for path, (name, more) in paths.items():
                before = self.stats()
                self.assertIs(self.client.ok("GET", path + "/quota")["pin"], pinned)
                done = self.client.ok("POST", path + "/warm?wait=true")
                self.assertEqual((done["status"], done["islands"], done["extents"], done["complete"]),
                                 ("completed", 1, 1, True), done)
                self.assertEqual(done["loaded_bytes"], done["bytes"])
                after = self.stats()
                self.assertEqual(after["cold_bytes"] - before["cold_bytes"], done["bytes"])
                self.assertEqual(after["kept_bytes"] - before["kept_bytes"], pinned * done["bytes"])
                hits = self.client.ok("POST", f"/collections/{name}/points/query", {
                    "query": wave(1, 4), "limit": 5, "with_payload": True, **more})["points"]
                self.assertEqual(len(hits), 5)
                self.assertEqual(self.stats()["cold_reads"], after["cold_reads"])
                self.assertEqual(self.client.ok("POST", path + "/warm"), {"status": "acknowledged"})
                self.assertEqual(self.client.ok("POST", path + "/warm?wait=true")["loaded_bytes"], 0)
        whole = self.client.ok("POST", "/collections/c/warm?wait=true")
        self.assertEqual((whole["islands"], whole["complete"]), (2, True))
        self.assertEqual(self.client.ok("POST", "/collections/c/tenants/nobody/warm?wait=true")["islands"], 0)
        self.assertIn("nowhere", self.client.error(404, "POST", "/collections/nowhere/warm"))
        self.assertIn("nokey", self.client.error(404, "POST", "/collections/s/tenants/nokey/warm?wait=true"))
        for name in ("c", "s"):
            self.assertIn("pin", self.client.error(400, "PUT", f"/collections/{name}/quota", {"pin": True}))
            self.assertFalse(self.client.ok("GET", f"/collections/{name}/quota")["own"])

    def test_quota_bad(self):
        self.collection("c")
        self.collection("plain", tenants=False)
        for method, body in (("GET", None), ("PUT", {}), ("DELETE", None)):
            self.assertIn("is_tenant", self.client.call(
                method, "/collections/plain/tenants/anna/quota", body)[1]["status"]["error"])
            self.assertIn("nowhere", self.client.call(
                method, "/collections/nowhere/quota", body)[1]["status"]["error"])
        for body, part in (({"queries_per_second": 0}, "queries_per_second"),
                           ({"writes_per_second": -1}, "writes_per_second"),
                           ({"stored_bytes": 10 ** 16}, "stored_bytes"),
                           ({"scan_bytes_per_second": "many"}, "scan_bytes_per_second"),
                           ({"priority": "highest"}, "priority"), ({"priority": 3}, "priority"),
                           ({"pin": 3}, "pin"), ({"ttl": 0}, "ttl"), ({"memory_ceiling": 1 << 20}, "memory_ceiling"), ({"memory_floor": -1}, "memory_floor"), ({"ttl": 3153600001}, "ttl"), ({"ttl": "1d"}, "ttl"), ({"querys_per_second": 3}, "querys_per_second")):
            for path in ("/collections/c/quota", "/collections/c/tenants/anna/quota"):
                code, answer, _ = self.client.call("PUT", path, body)
                self.assertIn(code, (400, 422), body)
                self.assertIn(part, answer["status"]["error"])
        self.assertEqual(self.client.ok("GET", "/collections/c/quota"), self.QUOTA)
        self.assertIsNone(self.client.ok("GET", "/collections/c/tenants/anna/usage")["activity"])

    def test_memory_limits(self):
        """Goal: a floor counts what its tenant read, of the tenant alone, until it is taken away; floors
        beyond the share, of all tenants, or above the ceiling are refused. (What stays and what leaves:
        unit, test_cache_owner.) Method: a tenant of some extents' bytes, warmed."""
        self.collection("c")
        self.collection("alone", tenants=False)
        self.client.ok("PUT", "/collections/c/points?wait=true", {"points": [
            {"id": i, "vector": wave(i, 4), "payload": {"who": "anna", "text": "x" * 200}} for i in range(5000)]})
        self.fill("c", {"bela": 3}, first=10000)
        self.client.ok("POST", "/insula/flush")
        anna = "/collections/c/tenants/anna"
        held = lambda: self.client.ok("GET", "/insula/stats")["floor_bytes"]
        message = self.client.error(507, "PUT", anna + "/quota", {"memory_floor": 10 ** 14})
        self.assertIn(str(10 ** 14), message)
        limit = int(message.split("together they may have ")[1].split(",")[0])
        self.assertIn("memory_floor", self.client.error(400, "PUT", "/collections/c/quota", {"memory_floor": 1}))
        self.assertIn("ceiling", self.client.error(400, "PUT", anna + "/quota", {
            "memory_floor": 17 << 20, "memory_ceiling": 16 << 20}))
        self.client.ok("PUT", "/collections/alone/quota", {"memory_floor": limit - 500000})
        self.assertIn(str(limit - 500000), self.client.error(507, "PUT", anna + "/quota", {"memory_floor": 500001}))
        self.client.ok("PUT", anna + "/quota", {"memory_floor": 500000, "memory_ceiling": 16 << 20})
        self.client.ok("PUT", anna + "/quota", {"memory_floor": 400000, "memory_ceiling": 16 << 20})
        self.client.ok("PUT", "/collections/c/quota", {"memory_ceiling": 16 << 20})
        self.restart()
        self.assertEqual(self.client.ok("GET", anna + "/quota"), {
            **self.QUOTA, "memory_floor": 400000, "memory_ceiling": 16 << 20, "own": True})
        self.client.ok("POST", "/collections/c/tenants/bela/warm?wait=true")
        self.assertEqual(held(), 0)
        done = self.client.ok("POST", anna + "/warm?wait=true")
        self.assertGreater(done["bytes"], 500000)
        self.assertGreater(held(), 0)
        self.assertLessEqual(held(), 400000)
        self.client.ok("PUT", anna + "/quota", {"memory_floor": 100})
        self.assertEqual(held(), 0)

    def test_command(self):
        """Goal: `insula tenant show` and `quota` say what the server does, and set what it takes."""
        self.collection("c")
        self.fill("c", {"a b": 3})

        def tenant(verb, *arguments):
            done = subprocess.run([test_rest.PROGRAM, "tenant", verb, "--url",
                                   f"http://127.0.0.1:{self.server.port}", *arguments],
                                  capture_output=True, text=True, timeout=60)
            answers = [json.loads(line)["result"] for line in done.stdout.splitlines()] if done.returncode == 0 else []
            return done.returncode, answers, done.stderr
        code, answers, _ = tenant("show", "c", "a b")
        self.assertEqual((code, answers[0]["tenant"], answers[1]["points"]), (0, "a b", 3))
        code, answers, _ = tenant("show", "c")
        self.assertEqual((code, len(answers[0]["tenants"]), answers[1]["points"]), (0, 1, 3))
        code, answers, _ = tenant("quota", "--set", '{"ttl": 5000, "priority": "low"}', "c", "a b")
        self.assertEqual((code, answers), (0, [{**self.QUOTA, "ttl": 5000, "priority": "low", "own": True}]))
        self.assertEqual(tenant("quota", "c")[1], [self.QUOTA])
        for arguments, says in ((("quota", "--set", '{"ttl": 0}', "c"), "ttl"), (("show", "c", "nobody"), "nobody"),
                                (("show",), "COLLECTION"), (("look", "c"), "none of")):
            code, _, message = tenant(*arguments)
            self.assertNotEqual(code, 0)
            self.assertIn(says, message)

    def test_expiry(self):
        """Goal: a time to live is told, for one tenant or for all, of tenants of a field alone; a
        change of the quota takes it away; what is left is kept over restarts. (That tenants go in
        time: sim, test_expiry.) Method: times that no test reaches."""
        self.collection("c")
        self.collection("plain", tenants=False)
        self.collection("s", sharded=True, tenants=False)
        self.client.ok("PUT", "/collections/s/shards", {"shard_key": "key"})
        self.fill("c", {"anna": 3, "bela": 2})
        for path in ("/collections/plain/quota", "/collections/s/quota", "/collections/s/tenants/key/quota"):
            self.assertIn("ttl", self.client.error(400, "PUT", path, {"ttl": 10 ** 6}))
        left = lambda who: self.client.ok("GET", f"/collections/c/tenants/{who}")["expires_in_s"]
        self.assertIsNone(left("anna"))
        self.client.ok("PUT", "/collections/c/quota", {"ttl": 10 ** 6})
        self.client.ok("PUT", "/collections/c/tenants/bela/quota", {"priority": "high", "ttl": 2000})
        for turn in range(2):
            self.assertLess(10 ** 6 - 100, left("anna"))
            self.assertLessEqual(left("anna"), 10 ** 6)
            self.assertLess(2000 - 100, left("bela"))
            self.assertEqual(self.client.ok("GET", "/collections/c/tenants/bela/quota"),
                             {**self.QUOTA, "priority": "high", "ttl": 2000, "own": True})
            self.restart()
        self.client.ok("PUT", "/collections/c/tenants/bela/quota", {"priority": "high"})
        self.assertIsNone(left("bela"))
        self.client.ok("DELETE", "/collections/c/tenants/bela/quota")
        self.assertLess(10 ** 6 - 100, left("bela"))
        self.assertEqual(self.client.ok("GET", "/insula/stats")["tenants_expired"], 0)
        self.client.ok("DELETE", "/collections/c/quota")
        self.assertIsNone(left("anna"))

    def renamed(self, name, old, new):
        return self.client.ok("POST", f"/collections/{name}/tenants/{quote(old, safe='')}/rename", {"to": new})

    def members(self, name, who, shard=None):
        body = {"limit": 1000, "filter": {"must": [{"key": "who", "match": {"value": who}}]}}
        if shard is not None:
            body["shard_key"] = shard
        points = self.client.ok("POST", f"/collections/{name}/points/scroll", body)["points"]
        for point in points:
            self.assertEqual(point["payload"]["who"], who)
        return [point["id"] for point in points]

    def test_rename(self):
        """Goal: points come with the new name, in memory and from disk, now and after kills; the old name is
        free; every way to ask for the tenant agrees; the quota goes along."""
        self.collection("c")
        self.fill("c", {"few": 3, "many": 200, "other": 5})
        self.client.ok("POST", "/insula/flush")
        self.fill("c", {"many": 7}, first=1000)
        self.client.ok("PUT", "/collections/c/tenants/many/quota", {"priority": "high", "stored_bytes": 10 ** 9})
        ids = self.members("c", "many")
        self.assertEqual(len(ids), 207)
        self.renamed("c", "many", "mo/re \u00e9")
        for turn in range(3):
            self.assertEqual(self.members("c", "mo/re \u00e9"), ids)
            self.assertEqual(self.members("c", "many"), [])
            self.assertEqual(len(self.members("c", "few")), 3)
            self.client.error(404, "GET", "/collections/c/tenants/many")
            self.assertEqual(self.pages("c", 10), ["few", "mo/re \u00e9", "other"])
            quota = self.client.ok("GET", "/collections/c/tenants/mo%2Fre%20%C3%A9/quota")
            self.assertEqual((quota["own"], quota["priority"], quota["stored_bytes"]), (True, "high", 10 ** 9))
            self.assertFalse(self.client.ok("GET", "/collections/c/tenants/many/quota")["own"])
            point = self.client.ok("GET", f"/collections/c/points/{ids[0]}")
            self.assertEqual(point["payload"]["who"], "mo/re \u00e9")
            facet = self.client.ok("POST", "/collections/c/facet", {"key": "who"})["hits"]
            self.assertEqual({hit["value"]: hit["count"] for hit in facet},
                             {"few": 3, "mo/re \u00e9": 207, "other": 5})
            if turn == 1:
                self.client.ok("POST", "/insula/flush")
            self.server.stop(signal.SIGKILL if turn == 0 else signal.SIGTERM)
            self.server.start()
            self.client = Client(self.server)
        self.fill("c", {"many": 2}, first=5000)
        self.assertEqual(self.members("c", "many"), [5000, 5001])
        self.assertEqual(self.members("c", "mo/re \u00e9"), ids)
        self.client.ok("POST", "/collections/c/points/payload?wait=true", {"payload": {"x": 1}, "points": ids[:1]})
        self.assertEqual(self.members("c", "mo/re \u00e9"), ids)
        self.client.ok("DELETE", "/collections/c/tenants/many?wait=true")
        names = ["mo/re \u00e9", "many", "third", "mo/re \u00e9"]
        for old, new in zip(names, names[1:]):
            self.renamed("c", old, new)
            self.assertEqual(self.members("c", new), ids)

    def test_receipt(self):
        """Goal: a deletion's receipt is pending until no file has a byte of the tenant, then done; a name that
        was deleted and made again is another tenant for whoever means the first. Method: the data
        directory's raw bytes."""
        self.collection("c")
        for who in ("anna", "bert"):
            self.client.ok("PUT", "/collections/c/points?wait=true", {"points": [
                {"id": i + (1000 if who == "anna" else 0), "vector": wave(i, 4),
                 "payload": {"who": who, "note": f"secret of {who} {i}"}} for i in range(300)]})
        self.client.ok("POST", "/insula/flush")
        first = self.client.ok("GET", "/collections/c/tenants/anna")["incarnation"]
        self.assertIn(str(first + 1), self.client.error(
            409, "DELETE", f"/collections/c/tenants/anna?incarnation={first + 1}"))
        self.assertEqual(len(self.members("c", "anna")), 300)
        deleted = self.client.ok("DELETE", f"/collections/c/tenants/anna?wait=true&incarnation={first}")
        receipt = deleted["receipt"]
        self.assertEqual(receipt["incarnation"], first)
        self.assertLess(abs(receipt["time"] - time.time()), 60)
        path = f"/insula/erasures/{receipt['erasure']}"
        state = self.client.ok("GET", path)
        self.assertEqual((state["status"], state["deadline_s"]), ("pending", 24 * 3600))
        self.assertTrue(self.found(b"secret of anna"))
        self.client.ok("POST", "/insula/erasures")
        end = time.monotonic() + 60
        while self.client.ok("GET", path)["status"] == "pending":
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)
        self.assertFalse(self.found(b"secret of anna"))
        self.assertFalse(self.found(b'"anna"'))
        self.server.stop(signal.SIGKILL)
        self.server.process.stdout.close()
        self.server.start()
        self.client = Client(self.server)
        self.assertEqual(self.client.ok("GET", path)["status"], "done")  # a restart knows it
        self.assertTrue(self.found(b"secret of bert"))
        self.fill("c", {"anna": 2}, first=5000)
        again = self.client.ok("GET", "/collections/c/tenants/anna")["incarnation"]
        self.assertGreater(again, first)
        for method, rest, body in (("GET", "", None), ("DELETE", "", None), ("POST", "/rename", {"to": "x"})):
            self.assertIn("made again", self.client.error(
                409, method, f"/collections/c/tenants/anna{rest}?incarnation={first}", body))
        self.client.ok("POST", f"/collections/c/tenants/anna/rename?incarnation={again}", {"to": "x"})
        self.assertEqual(self.client.ok("GET", f"/collections/c/tenants/x?incarnation={again}")["incarnation"], again)
        nobody = self.client.ok("DELETE", "/collections/c/tenants/nobody?wait=true")
        self.assertIsNone(nobody["receipt"]["incarnation"])
        self.client.error(404, "GET", f"/insula/erasures/{10 ** 12}")
        self.client.error(400, "GET", "/insula/erasures/x")
        self.client.error(400, "GET", "/collections/c/tenants/x?incarnation=0")

    def test_fence(self):
        """Goal: who writes for a tenant that was deleted is refused and brings nobody back; so is who meant the
        one before. Method: every kind of write, to the tenant that is meant, none, and the next one."""
        self.collection("c")
        self.fill("c", {"anna": 3, "bert": 3})
        kinds = (
            ("PUT", "/points", {"points": [{"id": 0, "vector": wave(9, 4), "payload": {"who": "anna"}}]}),
            ("PUT", "/points", {"points": [{"id": 99, "vector": wave(9, 4), "payload": {"who": "anna"}},
                                           {"id": 98, "vector": wave(9, 4), "payload": {"who": "anna", "x": [1]}}]}),
            ("POST", "/points/payload", {"payload": {"x": 1}, "points": [0, 1]}),
            ("PUT", "/points/payload", {"payload": {"who": "anna", "x": 2}, "points": [0]}),
            ("POST", "/points/payload", {"payload": {"y": 1},
                                         "filter": {"must": [{"key": "who", "match": {"value": "anna"}}]}}),
            ("PUT", "/points/vectors", {"points": [{"id": 0, "vector": wave(8, 4)}]}),
            ("POST", "/points/delete", {"points": [0]}),
            ("POST", "/points/delete", {"filter": {"must": [{"key": "who", "match": {"value": "anna"}}]}}))
        first = self.client.ok("GET", "/collections/c/tenants/anna")["incarnation"]
        for method, path, body in kinds[:7]:
            self.client.ok(method, f"/collections/c{path}?wait=true&incarnation={first}", body)
        self.assertEqual(self.members("c", "anna"), [1, 2, 98, 99])
        self.client.ok("DELETE", "/collections/c/tenants/anna?wait=true")
        for method, path, body in kinds[:2]:
            self.assertIn("was deleted", self.client.error(
                409, method, f"/collections/c{path}?wait=true&incarnation={first}", body))
        self.client.error(404, "GET", "/collections/c/tenants/anna")
        self.fill("c", {"anna": 3})
        before = self.client.ok("POST", "/collections/c/points/scroll", {"with_vector": True})
        for method, path, body in kinds:
            self.assertIn("made again", self.client.error(
                409, method, f"/collections/c{path}?wait=true&incarnation={first}", body))
        self.assertEqual(self.client.ok("POST", "/collections/c/points/scroll", {"with_vector": True}), before)
        second = self.client.ok("GET", "/collections/c/tenants/anna")["incarnation"]
        for method, path, body in kinds:
            self.client.ok(method, f"/collections/c{path}?wait=true&incarnation={second}", body)
        self.assertEqual(self.members("c", "anna"), [])
        self.assertEqual(len(self.members("c", "bert")), 3)
        for method, path, body in (
                ("POST", "/points/scroll", {}), ("POST", "/points/batch", {"operations": []}),
                ("PUT", "/points", {"points": [{"id": 7, "vector": wave(9, 4)}]}),
                ("POST", "/points/delete", {"filter": {"must": [{"key": "x", "match": {"value": 1}}]}})):
            self.assertIn("incarnation", self.client.error(
                400, method, f"/collections/c{path}?wait=true&incarnation={second}", body))

    def found(self, text):
        for folder, _, files in os.walk(self.server.directory):
            for name in files:
                try:
                    with open(os.path.join(folder, name), "rb") as file:
                        if text in file.read():
                            return True
                except FileNotFoundError:
                    continue  # gone since it was listed
        return False

    def test_rename_shards(self):
        """Goal: a tenant under several shard keys is renamed in all of them at once."""
        self.collection("s", sharded=True)
        for key in ("x", "y", 5):
            self.client.ok("PUT", "/collections/s/shards", {"shard_key": key})
            self.fill("s", {"w": 4, "v": 2}, shard=key)
        self.renamed("s", "w", "u")
        self.assertEqual(self.pages("s", 10), ["u", "v"])
        for key in ("x", "y", 5):
            self.assertEqual(len(self.members("s", "u", key)), 4)
        self.client.ok("DELETE", "/collections/s/tenants/v?wait=true")
        self.fill("s", {"v": 1}, first=50, shard="y")
        self.assertIn("v", self.client.error(409, "POST", "/collections/s/tenants/u/rename", {"to": "v"}))
        self.assertEqual(self.pages("s", 10), ["u", "v"])

    def test_rename_bad(self):
        self.collection("c")
        self.fill("c", {"a": 1, "b": 1})
        for code, name, body, part in ((409, "a", {"to": "b"}, "b"), (409, "a", {"to": "a"}, "a"),
                                       (404, "x", {"to": "y"}, "x"), (422, "a", {"to": "z" * 256}, "255"),
                                       (400, "a", {}, "to"), (400, "a", {"to": 5}, "to")):
            answer = self.client.error(code, "POST", f"/collections/c/tenants/{name}/rename", body)
            self.assertIn(part, answer)
        self.assertEqual(self.pages("c", 10), ["a", "b"])
        self.collection("plain", tenants=False)
        self.assertIn("is_tenant", self.client.error(400, "POST", "/collections/plain/tenants/a/rename", {"to": "b"}))
        self.assertIn("nowhere", self.client.error(404, "POST", "/collections/nowhere/tenants/a/rename", {"to": "b"}))
        self.client.ok("PUT", "/collections/u", {"vectors": {"size": 4, "distance": "Dot"}})
        self.client.ok("PUT", "/collections/u/index?wait=true", {
            "field_name": "who", "field_schema": {"type": "uuid", "is_tenant": True}})
        first, second = "550e8400-e29b-41d4-a716-446655440000", "6BA7B810-9DAD-11D1-80B4-00C04FD430C8"
        self.fill("u", {first: 2})
        self.assertIn("UUID", self.client.error(422, "POST", f"/collections/u/tenants/{first}/rename", {"to": "b"}))
        self.renamed("u", first, second)
        self.assertEqual(self.pages("u", 10), [second.lower()])

    def test_rename_under_load(self):
        """Goal: while readers and writers are busy, each answer has one name for all points, and none is lost."""
        self.collection("c")
        self.fill("c", {"a": 50})
        stop, wrong = threading.Event(), []

        def read():
            client = Client(self.server)
            while not stop.is_set():
                points = client.ok("POST", "/collections/c/points/scroll", {"limit": 100})["points"]
                names = {point["payload"]["who"] for point in points}
                if len(points) != 50 or len(names) != 1:
                    wrong.append((len(points), names))

        def write():
            client, turn = Client(self.server), 0
            while not stop.is_set():
                turn += 1
                client.ok("POST", "/collections/c/points/payload?wait=true",
                          {"payload": {"turn": turn}, "points": list(range(turn % 50, 50))})

        threads = [threading.Thread(target=read), threading.Thread(target=write), threading.Thread(target=write)]
        for thread in threads:
            thread.start()
        for turn in range(40):
            self.renamed("c", *(("a", "b") if turn % 2 == 0 else ("b", "a")))
        stop.set()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])
        self.assertEqual(len(self.members("c", "a")), 50)

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
