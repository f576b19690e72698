#!/usr/bin/env python3
"""Changes of parts of points over REST: goal and method stand at each test.

Run:  test_updates.py PATH-OF-INSULA [name of a test ...]
"""
import os
import subprocess
import sys
import unittest

import test_rest
from test_rest import Client, ServerTest, wave


class UpdatesTest(ServerTest):
    def setUp(self):
        super().setUp()
        self.points = self.path + "/points"

    def create(self, tenants=False, distance="Dot", dim=4):
        self.client.ok("PUT", self.path, {"vectors": {"size": dim, "distance": distance}})
        if tenants:
            self.client.ok("PUT", self.path + "/index?wait=true", {
                "field_name": "who", "field_schema": {"type": "keyword", "is_tenant": True}})

    def upsert(self, *points, **more):
        return self.client.ok("PUT", self.points + "?wait=true", {"points": points, **more})

    def update(self, method, path, body):
        result = self.client.ok(method, self.points + path + "?wait=true", body)
        self.assertEqual(result["status"], "completed")
        return result

    def point(self, number):
        return self.client.ok("GET", f"{self.points}/{number}")

    def payload(self, number):
        return self.point(number)["payload"]

    def count(self, who=None):
        filter_ = who and {"must": [{"key": "who", "match": {"value": who}}]}
        return self.client.ok("POST", self.points + "/count", {"filter": filter_})["count"]

    def flush(self):
        self.assertIs(self.client.ok("POST", "/insula/flush"), True)

    def both_states(self):
        """The old rows in the memtable, then in a segment."""
        for flushed in (False, True):
            if flushed:
                self.flush()
            with self.subTest(flushed=flushed):
                yield flushed

    def test_payload(self):
        """Goal: set merges, null removes, overwrite replaces, delete and clear remove; vectors stay to
        the bit. Method: each on old rows in memory and in a segment, of a normalised vector."""
        self.create(distance="Cosine")
        for flushed in self.both_states():
            self.upsert({"id": 1, "vector": wave(1), "payload": {"a": 1, "b": {"c": [1, 2]}, "d": 2.50}},
                        {"id": 2, "vector": wave(2)})
            if flushed:
                self.flush()
            vector = self.point(1)["vector"]
            self.update("POST", "/payload", {"payload": {"a": 7, "e\u00e9": "x"}, "points": [1, 2]})
            self.assertEqual(self.payload(1), {"a": 7, "b": {"c": [1, 2]}, "d": 2.5, "e\u00e9": "x"})
            self.assertEqual(self.payload(2), {"a": 7, "e\u00e9": "x"})
            self.update("POST", "/payload", {"payload": {"d": None, "zz": None}, "points": [1]})
            self.assertEqual(self.payload(1), {"a": 7, "b": {"c": [1, 2]}, "e\u00e9": "x"})
            self.update("POST", "/payload", {"payload": {"n": 1}, "points": [1], "key": "b"})
            self.update("POST", "/payload", {"payload": {"n": 1}, "points": [1], "key": "b.deep.er"})
            self.update("POST", "/payload", {"payload": {"n": 1}, "points": [1], "key": "a"})
            self.assertEqual(self.payload(1), {"a": {"n": 1}, "b": {"c": [1, 2], "n": 1, "deep": {"er": {"n": 1}}},
                                               "e\u00e9": "x"})
            self.update("POST", "/payload/delete", {"keys": ["b.deep.er", "a", "no.such", "e\u00e9"], "points": [1]})
            self.assertEqual(self.payload(1), {"b": {"c": [1, 2], "n": 1, "deep": {}}})
            self.update("PUT", "/payload", {"payload": {"l": [{"a": 1, "b": 1}, 7, {"a": 2}], "m": [[1, {"x": 1}]]}, "points": [1]})
            for key, change in (("l[]", {"c": 0}), ("l[0]", {"d": None, "b": [2]}), ("l[9]", {"no": 1}), ("m[0][1].x", {"y": 1}),
                                ("n[].o", {"p": 1}), ("q[0]", {"p": 1})):
                self.update("POST", "/payload", {"payload": change, "points": [1], "key": key})
            self.assertEqual(self.payload(1), {"l": [{"a": 1, "b": [2], "c": 0}, {"c": 0}, {"a": 2, "c": 0}],
                                               "m": [[1, {"x": {"y": 1}}]], "n": [], "q": []})
            self.update("POST", "/payload/delete", {"keys": ["l[].a", "l[0].b[]", "l[1]", "m[0][1].x.y", "q[]"], "points": [1]})
            self.assertEqual(self.payload(1), {"l": [{"b": [], "c": 0}, {"c": 0}, {"c": 0}], "m": [[1, {"x": {}}]], "n": [], "q": []})
            self.update("PUT", "/payload", {"payload": {"k": [None]}, "points": [1]})
            self.assertEqual(self.payload(1), {"k": [None]})
            self.update("POST", "/payload/clear", {"points": [1, 2]})
            self.assertEqual((self.payload(1), self.payload(2)), ({}, {}))
            self.assertEqual(self.point(1)["vector"], vector)

    def test_missing(self):
        """Goal: an id that is not there is 404 with its name, and the others stay as they were."""
        self.create()
        for flushed in self.both_states():
            self.upsert({"id": 1, "vector": wave(1), "payload": {"a": 1}}, {"id": 2, "vector": wave(2)})
            self.client.ok("POST", self.points + "/delete", {"points": [2]})
            for method, path, more in (("POST", "/payload", {"payload": {"a": 2}}),
                                       ("PUT", "/payload", {"payload": {"a": 2}}),
                                       ("POST", "/payload/delete", {"keys": ["a"]}), ("POST", "/payload/clear", {})):
                for absent in (2, 77):
                    message = self.client.error(404, method, self.points + path, {**more, "points": [1, absent]})
                    self.assertEqual(message, f"Not found: No point with id {absent} found")
            body = {"points": [{"id": 1, "vector": wave(5)}, {"id": 3, "vector": wave(5)}]}
            self.assertIn("No point with id 3", self.client.error(404, "PUT", self.points + "/vectors", body))
            self.assertEqual(self.payload(1), {"a": 1})
            self.assertEqual([round(x, 5) for x in self.point(1)["vector"]], [round(x, 5) for x in wave(1)])

    def test_tenants(self):
        """Goal: a change that touches the tenant field moves the point, whole. Method: by set, by key, by
        overwrite, delete and clear; counts within tenants, and the way back."""
        self.create(tenants=True)
        for flushed in self.both_states():
            self.upsert(*({"id": i, "vector": wave(i), "payload": {"who": "a", "n": i}} for i in range(8)))
            vector = self.point(1)["vector"]
            self.update("POST", "/payload", {"payload": {"n": 100}, "points": [0]})
            self.assertEqual(self.payload(0), {"who": "a", "n": 100})
            self.update("POST", "/payload", {"payload": {"who": "b"}, "points": [1, 2]})
            self.assertEqual((self.count("a"), self.count("b"), self.count()), (6, 2, 8))
            self.assertEqual(self.payload(1), {"who": "b", "n": 1})
            self.assertEqual(self.point(1)["vector"], vector)
            self.update("PUT", "/payload", {"payload": {"n": 3}, "points": [3]})
            self.update("POST", "/payload/delete", {"keys": ["who"], "points": [4]})
            self.update("POST", "/payload/clear", {"points": [5]})
            self.update("POST", "/payload", {"payload": {"x": 1}, "key": "who", "points": [6]})
            self.assertEqual((self.count("a"), self.count()), (2, 8))
            self.assertEqual([self.payload(i) for i in (3, 4, 5, 6)],
                             [{"n": 3}, {"n": 4}, {}, {"who": {"x": 1}, "n": 6}])
            self.update("POST", "/payload", {"payload": {"who": "a"}, "points": [1, 3, 4, 5, 6]})
            self.assertEqual((self.count("a"), self.count("b")), (7, 1))
            scrolled = self.client.ok("POST", self.points + "/scroll", {"limit": 100})["points"]
            self.assertEqual([p["id"] for p in scrolled], list(range(8)))

    def test_vectors(self):
        """Goal: new vectors, the same payload and tenant. Method: with and without update_filter."""
        self.create(tenants=True)
        for flushed in self.both_states():
            self.upsert(*({"id": i, "vector": wave(i), "payload": {"who": "a", "n": i}} for i in range(4)))
            self.update("PUT", "/vectors", {"points": [{"id": 1, "vector": [1, 2, 3, 4]},
                                                       {"id": 2, "vector": {"": [4, 3, 2, 1]}}]})
            self.assertEqual(self.point(1)["vector"], [1, 2, 3, 4])
            self.assertEqual(self.point(2)["vector"], [4, 3, 2, 1])
            self.assertEqual((self.payload(1), self.count("a")), ({"who": "a", "n": 1}, 4))
            condition = {"must": [{"key": "n", "range": {"gte": 3}}]}
            self.update("POST", "/vectors/delete", {"points": [0], "vector": [""]})
            self.assertEqual((self.point(0)["vector"], self.payload(0)), ({}, {"who": "a", "n": 0}))
            self.update("PUT", "/vectors", {"points": [{"id": i, "vector": [9, 9, 9, 9]} for i in (1, 3)],
                                            "update_filter": condition})
            self.assertEqual((self.point(1)["vector"], self.point(3)["vector"]), ([1, 2, 3, 4], [9, 9, 9, 9]))

    def test_named_vectors(self):
        """Goal: vectors are updated and deleted one by one; the others and the payload stay. Method: two
        named ones; the unnamed one; a point without any is found by everything but a search."""
        self.client.ok("PUT", self.path, {"vectors": {"a": {"size": 2, "distance": "Cosine"},
                                                      "b": {"size": 3, "distance": "Dot"}}})
        for flushed in self.both_states():
            self.upsert(*({"id": i, "vector": {"a": [3, 4], "b": [1, 2, i]}, "payload": {"i": i}} for i in range(4)))
            if flushed:
                self.flush()
            a = self.point(0)["vector"]["a"]
            self.update("PUT", "/vectors", {"points": [{"id": 0, "vector": {"b": [7, 7, 7]}}, {"id": 1, "vector": {"a": [0, 2]}},
                                                       {"id": 1, "vector": {"b": [5, 5, 5]}}]})
            self.assertEqual(self.point(0)["vector"], {"a": a, "b": [7, 7, 7]})
            self.assertEqual(self.point(1)["vector"], {"a": [0, 1], "b": [5, 5, 5]})
            self.update("POST", "/payload", {"payload": {"x": 1}, "points": [0]})
            self.assertEqual(self.point(0)["vector"], {"a": a, "b": [7, 7, 7]})
            self.update("POST", "/vectors/delete", {"points": [0, 2], "vector": ["a"]})
            self.update("POST", "/vectors/delete", {"filter": {"must": [{"has_id": [2, 3]}]}, "vector": ["b", "a"]})
            self.assertEqual([self.point(i)["vector"] for i in (0, 2, 3)], [{"b": [7, 7, 7]}, {}, {}])
            self.assertEqual((self.payload(0), self.payload(2), self.count()), ({"i": 0, "x": 1}, {"i": 2}, 4))
            hits = self.client.ok("POST", self.points + "/query", {"query": [1, 1, 1], "using": "b"})["points"]
            self.assertEqual(sorted(p["id"] for p in hits), [0, 1])

    def test_conditions(self):
        """Goal: update_mode and update_filter decide by what is there. Method: each mode on points that
        pass, that do not and that are absent; as a list and as columns."""
        self.create(tenants=True)
        passes = {"must": [{"key": "n", "match": {"value": 1}}]}
        for flushed in self.both_states():
            for mode, condition, changed in (
                    ("upsert", None, {1, 2, 3}), ("insert_only", None, {3}), ("update_only", None, {1, 2}),
                    (None, passes, {1, 3}), ("update_only", passes, {1}), ("insert_only", passes, {3})):
                self.client.ok("POST", self.points + "/delete", {"points": [3]})
                self.upsert({"id": 1, "vector": wave(1), "payload": {"n": 1, "who": "a"}},
                            {"id": 2, "vector": wave(2), "payload": {"n": 2, "who": "b"}})
                columns = {"ids": [1, 2, 3], "vectors": [[0, 0, 0, i] for i in range(3)],
                           "payloads": [{"new": True, "who": "c"}] * 3}
                body = {"batch": columns, "update_mode": mode, "update_filter": condition}
                self.update("PUT", "", body)
                got = {p["id"] for p in self.client.ok("POST", self.points, {"ids": [1, 2, 3]}) if "new" in p["payload"]}
                self.assertEqual(got, changed, (mode, condition))
                self.assertEqual(self.count("c"), len(changed))

    def test_batch(self):
        """Goal: operations of a batch take effect in their order; the first that fails ends it, those
        before it stand. Method: one of each kind on the same points."""
        self.create(tenants=True)
        for flushed in self.both_states():
            operations = [
                {"upsert": {"points": [{"id": i, "vector": wave(i), "payload": {"who": "a", "i": i}} for i in range(6)]}},
                {"set_payload": {"payload": {"who": "b", "x": {"y": 1}}, "points": [0, 1, 2]}},
                {"set_payload": {"payload": {"z": 2}, "key": "x", "points": [0]}},
                {"overwrite_payload": {"payload": {"o": 1}, "points": [3]}},
                {"delete_payload": {"keys": ["i", "x.y"], "filter": {"must": [{"key": "who", "match": {"value": "b"}}]}}},
                {"update_vectors": {"points": [{"id": 4, "vector": [1, 1, 1, 1]}]}},
                {"clear_payload": {"points": [4]}},
                {"delete": {"filter": {"must": [{"has_id": [5]}]}}},
                {"upsert": {"batch": {"ids": [5], "vectors": [[5, 5, 5, 5]]}, "update_mode": "insert_only"}}]
            result = self.client.ok("POST", self.points + "/batch?wait=true", {"operations": operations})
            self.assertEqual(len(result), len(operations))
            self.assertTrue(all(r["status"] == "completed" for r in result))
            lsns = [r["operation_id"] for r in result]
            self.assertEqual(lsns, sorted(lsns))
            self.assertEqual([self.payload(i) for i in range(6)],
                             [{"who": "b", "x": {"z": 2}}, {"who": "b", "x": {}}, {"who": "b", "x": {}}, {"o": 1}, {}, {}])
            self.assertEqual((self.point(4)["vector"], self.point(5)["vector"]), ([1] * 4, [5] * 4))
            bad = [{"set_payload": {"payload": {"q": 1}, "points": [0]}},
                   {"set_payload": {"payload": {"q": 2}, "points": [0, 99]}},
                   {"set_payload": {"payload": {"q": 3}, "points": [0]}}]
            message = self.client.error(404, "POST", self.points + "/batch", {"operations": bad})
            self.assertEqual(message, "Not found: No point with id 99 found")
            self.assertEqual(self.payload(0)["q"], 1)
        self.assertEqual(self.client.ok("POST", self.points + "/batch", {"operations": []}), [])
        many = [{"set_payload": {"payload": {f"k{i % 7}": i}, "points": [i % 3]}} for i in range(500)]
        self.assertEqual(len(self.client.ok("POST", self.points + "/batch", {"operations": many})), 500)
        self.assertEqual([self.payload(i)["k0"] for i in range(3)], [483, 490, 497])

    def test_many_records(self):
        """Goal: a change by filter of many records is whole, also when nobody waits and the process is
        killed. Method: 30,000 points, changes with wait=false, kill -9, a start, until none is under way."""
        server = test_rest.Server()
        try:
            client = test_rest.Client(server)
            client.ok("PUT", "/collections/c", {"vectors": {"size": 1, "distance": "Dot"}})
            total = 30000
            for first in range(0, total, 10000):
                client.ok("PUT", "/collections/c/points", {"batch": {
                    "ids": list(range(first, first + 10000)), "vectors": [[1]] * 10000,
                    "payloads": [{"n": i % 3} for i in range(first, first + 10000)]}})
            is_ = lambda n: {"must": [{"key": "n", "match": {"value": n}}]}
            for body, what in (({"filter": is_(0)}, "/delete"), ({"filter": is_(1), "payload": {"n": 5}}, "/payload")):
                answer = client.ok("POST", "/collections/c/points" + what, body)
                self.assertEqual(answer["status"], "acknowledged")
                server.process.kill()
                server.process.wait()
                server.process.stdout.close()
                server.start()
                client = test_rest.Client(server)
                while client.ok("GET", "/collections/c")["update_queue"]["length"] > 0:
                    pass
            count = lambda n: client.ok("POST", "/collections/c/points/count", {"filter": is_(n)})["count"]
            self.assertEqual([count(n) for n in (0, 1, 2, 5)], [0, 0, total // 3, total // 3])
            client.ok("PUT", "/collections/c/points?wait=true", {"points": [{"id": 0, "vector": [1], "payload": {"n": 2}}]})
            self.assertEqual(client.ok("POST", "/collections/c/points/delete?wait=true", {"filter": is_(2)})["status"], "completed")
            self.assertEqual(count(2), 0)
            big = {"must": [{"has_id": list(range(20000))}, {"key": "n", "match": {"value": 5}}]}
            self.assertIn("327680", client.error(413, "POST", "/collections/c/points/delete", {"filter": big}))
            self.assertEqual(count(5), total // 3)
        finally:
            server.remove()

    def test_by_filter(self):
        """Goal: changes by filter reach every point that passes, of all tenants, however many. Method:
        more points than one write may have; each kind of change; then deletes."""
        self.create(tenants=True, dim=1)
        total, tenants = 20000, 25
        for first in range(0, total, 5000):
            self.upsert(*({"id": i, "vector": [i], "payload": {"who": f"t{i % tenants}", "n": i % 10}}
                          for i in range(first, first + 5000)))

        def passing(key, value):
            return self.client.ok("POST", self.points + "/count", {"filter": {"must": [
                {"key": key, "match": {"value": value}}]}})["count"]
        for flushed in self.both_states():
            mark = f"m{flushed}"
            self.update("POST", "/payload", {"payload": {"mark": mark}, "filter": {}})
            self.assertEqual(passing("mark", mark), total)
            self.update("POST", "/payload", {"payload": {"five": mark}, "filter": {"must": [
                {"key": "n", "match": {"value": 5}}]}})
            self.assertEqual(passing("five", mark), total // 10)
        self.update("POST", "/payload/delete", {"keys": ["mark"], "filter": {"must": [
            {"key": "who", "match": {"value": "t3"}}]}})
        self.assertEqual(passing("mark", "mTrue"), total - total // tenants)
        self.update("POST", "/payload", {"payload": {"who": "moved"}, "filter": {"must": [
            {"key": "who", "match": {"any": ["t1", "t2"]}}]}})
        self.assertEqual((self.count("moved"), self.count("t1"), self.count()), (2 * total // tenants, 0, total))
        self.update("POST", "/delete", {"filter": {"must": [{"key": "n", "range": {"lt": 9}}]}})
        self.assertEqual(self.count(), total // 10)
        self.update("POST", "/payload/clear", {"filter": {"must": [{"key": "who", "match": {"value": "moved"}}]}})
        self.assertEqual(self.count("moved"), 0)
        self.update("POST", "/delete", {"filter": {"must_not": [{"has_id": [9]}]}})
        self.assertEqual(self.count(), 1)
        self.update("POST", "/delete", {"filter": {"must": [{"key": "who", "match": {"value": "nobody"}}]}})

    def test_drop(self):
        """Goal: a delete of all that a tenant has costs what a small write costs, however much it is; what
        the common island holds of it goes too; the name lives on. Method: records and bytes of the log,
        reads; points of many, one after the other; a restart."""
        self.create(tenants=True, dim=2)
        for first in range(0, 60000, 5000):
            self.upsert(*({"id": i, "vector": [i, 1], "payload": {"who": f"t{i % 3}", "i": i}} for i in range(first, first + 5000)))
        self.flush()
        self.upsert({"id": 70000, "vector": [1, 1], "payload": {"who": "t0"}}, {"id": 70001, "vector": [1, 1], "payload": {"who": "t1"}})

        def who(*values):
            return {"filter": {"must": [{"key": "who", "match": {"any": list(values)}}]}}

        def drop(*values):
            before = self.client.ok("GET", "/insula/stats")
            self.update("POST", "/delete", who(*values))
            after = self.client.ok("GET", "/insula/stats")
            self.assertEqual(after["tenants"], before["tenants"] - len(values))
            return after["log"]["records"] - before["log"]["records"], after["log"]["bytes"] - before["log"]["bytes"]
        records, size = drop("t0")
        self.assertEqual(records, 1)
        self.assertLessEqual(size, 8192)
        self.assertEqual((self.count("t0"), self.count("t1"), self.count()), (0, 20001, 40001))
        self.client.error(404, "GET", self.points + "/0")
        self.client.error(404, "POST", self.points + "/payload", {"payload": {"x": 1}, "points": [3]})
        self.upsert({"id": 3, "vector": [9, 9], "payload": {"who": "t0"}}, {"id": 1, "vector": [9, 9], "payload": {"who": "t0"}})
        self.assertEqual((self.count("t0"), self.count("t1"), self.count()), (2, 20000, 40002))
        self.upsert({"id": 80000, "vector": [1, 1], "payload": {"who": ["t0", "t2"]}}, {"id": 80001, "vector": [1, 1]})
        self.update("POST", "/delete", who("t0", "nobody"))
        self.assertEqual((self.count("t0"), self.count("t2"), self.count()), (0, 20000, 40001))
        scrolled = self.client.ok("POST", self.points + "/scroll", {"limit": 5, "offset": 59995})["points"]
        self.assertEqual([p["id"] for p in scrolled], [59995, 59996, 59998, 59999, 70001])
        self.assertEqual(self.server.stop()[0], 0)
        self.server.start()
        self.client = Client(self.server)
        self.assertEqual((self.count("t0"), self.count("t1"), self.count()), (0, 20000, 40001))
        drop("t1", "t2")
        self.flush()
        self.assertEqual(self.count(), 1)
        self.server.stop(9)
        check = subprocess.run([test_rest.PROGRAM, "check", self.server.directory], capture_output=True, text=True)
        self.assertEqual(check.returncode, 0, check.stdout + check.stderr)
        self.server.start()
        self.client = Client(self.server)
        self.assertEqual(self.count(), 1)
        self.upsert({"id": 5, "vector": [9, 9], "payload": {"who": "t1"}})
        self.assertEqual(self.count("t1"), 1)

    def test_bad(self):
        """Goal: a clear error that names the field, and nothing changes."""
        self.create()
        self.upsert({"id": 1, "vector": wave(1), "payload": {"a": 1, "big": "x" * 900000}})
        payload, points, batch = self.points + "/payload", self.points, self.points + "/batch"
        cases = [
            (400, "POST", payload, {"payload": {"b": 1}}, "missing field `points`"),
            (400, "POST", payload, {"points": [1]}, "missing field `payload`"),
            (400, "POST", payload, {"points": [1], "payload": 7}, "payload: expected an object"),
            (400, "POST", payload, {"points": [1], "filter": {}, "payload": {}}, "both `points` and `filter`"),
            (400, "POST", payload, {"points": [1], "payload": {"b": 1}, "key": "a..b"}, "a..b"),
            (400, "POST", payload, {"points": [1], "payload": {"b": 1}, "key": 1}, "key: expected a string"),
            (400, "POST", payload, {"points": ["x"], "payload": {}}, "points"),
            (413, "POST", payload, {"points": [1], "payload": {"c": "y" * 200000}}, "point 1, payload"),
            (400, "PUT", payload, {"points": [1], "payload": {}, "key": "a"}, "`key`"),
            (400, "POST", payload + "/delete", {"points": [1]}, "missing field `keys`"),
            (400, "POST", payload + "/delete", {"points": [1], "keys": [1]}, "keys"),
            (400, "POST", payload + "/delete", {"points": [1], "keys": ["k"] * 257}, "keys: 257 in one request"),
            (400, "POST", payload + "/clear", {}, "missing field `points`"),
            (404, "POST", "/collections/none/points/payload/clear", {"points": [1]}, "`none` doesn't exist!"),
            (404, "POST", "/collections/none/points/payload/clear", {"filter": {}}, "`none` doesn't exist!"),
            (422, "PUT", points + "/vectors", {"points": []}, "must specify points to update"),
            (400, "PUT", points + "/vectors", {"points": [{"id": 1, "vector": [1]}]}, "expected dim: 4, got 1"),
            (422, "POST", points + "/vectors/delete", {"points": [1], "vector": []}, "vector"),
            (400, "POST", points + "/vectors/delete", {"points": [1], "vector": ["image"]},
             "Not existing vector name error: image"),
            (400, "PUT", points, {"points": [], "update_mode": "replace"}, "update_mode"),
            (400, "PUT", points, {"points": [], "update_filter": []}, "filter: expected an object"),
            (400, "POST", batch, {}, "missing field `operations`"),
            (400, "POST", batch, {"operations": [{"delete": {"points": [1]}}, {"remove": {}}]}, "operations[1]"),
            (400, "POST", batch, {"operations": [{"delete": {"points": [1]}, "upsert": {"points": []}}]}, "operations[0]"),
            (400, "POST", batch, {"operations": [{"delete": {"points": [1]}}, {"set_payload": {"points": [1]}}]},
             "missing field `payload` (operations[1])"),
            (400, "POST", batch, '{"operations":[{"delete":{"points":[1],"points":[2]}}]}', "duplicate field `points`"),
            (400, "POST", batch, {"operations": [{}] * 4097}, "at most 4096"),
        ]
        for code, method, path, body, says in cases:
            self.assertIn(says, self.client.error(code, method, path, body))
        self.assertEqual(list(self.payload(1)), ["a", "big"])


if __name__ == "__main__":
    test_rest.PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2, warnings="ignore")
