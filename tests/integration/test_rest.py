#!/usr/bin/env python3
"""REST of a real `insula serve`: goal and method stand at each test.

Run:  test_rest.py [--loops=N] PATH-OF-INSULA [name of a test ...]
Starts the server on a free port and a temporary directory; needs nothing but the standard library.
"""
import http.client
import json
import math
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

PROGRAM = None
EXTRA = []  # arguments for every server


class Server:
    """One `insula serve`; survives restarts on the same directory."""

    def __init__(self, budget="512M", arguments=(), preexec=None):
        self.arguments, self.preexec = arguments, preexec
        self.directory = tempfile.mkdtemp(prefix="insula-rest-")
        self.budget = budget
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [PROGRAM, "serve", "--data", self.directory, "--http-port", "0", "--grpc-port", "6334",
             "--memory-budget", self.budget, *EXTRA, *self.arguments], preexec_fn=self.preexec,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.greeting = [self.process.stdout.readline() for _ in range(4)]
        self.port = int(self.greeting[0].rsplit(":", 1)[1])

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        rest = self.process.stdout.read()
        return self.process.wait(30), rest

    def remove(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        shutil.rmtree(self.directory, ignore_errors=True)


class Client:
    def __init__(self, server):
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)

    def call(self, method, path, body=None, headers=None):
        """Code, parsed body, response."""
        text = body if body is None or isinstance(body, (bytes, str)) else json.dumps(body)
        self.connection.request(method, path, text,
                                {"Content-Type": "application/json", **(headers or {})})
        response = self.connection.getresponse()
        data = response.read()
        if (response.headers.get("Content-Type") or "").startswith("application/json"):
            data = json.loads(data)
        else:
            data = data.decode(errors="surrogateescape")
        return response.status, data, response

    def ok(self, method, path, body=None):
        code, data, _ = self.call(method, path, body)
        assert code == 200, (method, path, code, data)
        assert data["status"] == "ok" and data["time"] >= 0
        return data["result"]

    def error(self, code, method, path, body=None):
        got, data, response = self.call(method, path, body)
        assert got == code, (method, path, got, data)
        assert "result" not in data
        return data["status"]["error"]


def wave(i, dim=4):
    generator = random.Random(i)
    return [generator.uniform(-1, 1) for _ in range(dim)]


def f32(value):
    return struct.unpack("f", struct.pack("f", value))[0]


class ServerTest(unittest.TestCase):
    """One server for the tests of a class, a collection's path for each; for other files, too."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server()

    @classmethod
    def tearDownClass(cls):
        cls.server.remove()

    def setUp(self):
        self.client = Client(self.server)
        self.name = self.id().rsplit(".", 1)[1]
        self.path = "/collections/" + self.name


class RestTest(ServerTest):
    def create(self, distance="Dot", dim=4, **more):
        self.assertIs(self.client.ok("PUT", self.path,
                                     {"vectors": {"size": dim, "distance": distance}, **more}), True)

    def upsert(self, points):
        result = self.client.ok("PUT", self.path + "/points?wait=true", {"points": points})
        self.assertEqual(result["status"], "completed")
        return result["operation_id"]

    def count(self, filter_=None):
        return self.client.ok("POST", self.path + "/points/count", {"filter": filter_})["count"]

    # -- service

    def test_service(self):
        """Goal: what probes and clients ask first. Method: each path, with superfluous slashes."""
        code, root, _ = self.client.call("GET", "/")
        self.assertEqual(code, 200)
        self.assertEqual(root["version"], "1.19.0")
        self.assertRegex(root["commit"], "^[0-9a-f]{40}$")
        self.assertIn("insula", root)
        for path in ("/healthz", "/livez", "//healthz/"):
            self.assertEqual(self.client.call("GET", path)[:2], (200, "healthz check passed"))
        self.assertEqual(self.client.call("GET", "/readyz")[:2], (200, "all shards are ready"))
        stats = self.client.ok("GET", "/insula/stats")
        self.assertGreaterEqual(stats["memory"]["budget"], 512 << 20)
        self.assertEqual(stats["memory"]["held"], 0)
        self.assertGreater(stats["memory"]["held_limit"], 1 << 20)
        self.assertEqual(stats["graphs_waiting"], 0)
        self.assertFalse(stats["writes_stopped"])
        self.assertIn("gRPC", "".join(self.server.greeting))

    def test_budget(self):
        """Goal: the memory budget is shown and changed while it runs; what cannot be is refused with
        the bound. Method: each, and where it shows."""
        path = "/insula/budget"
        first = self.client.ok("GET", path)
        self.assertEqual((first["bytes"], first["asked"]), (512 << 20, 512 << 20))
        self.assertEqual(first["smallest"], 256 << 20)
        self.assertGreaterEqual(first["largest"], 512 << 20)
        self.assertGreater(first["machine_bytes"], 0)
        self.assertGreater(first["resident_bytes"], 1 << 20)
        self.assertTrue(first["settled"])
        self.create()
        self.upsert([{"id": i, "vector": wave(i)} for i in range(1, 200)])
        code, body, _ = self.client.call("PUT", path, {"bytes": 1000})
        self.assertEqual(code, 400)
        self.assertIn(str(256 << 20), body["status"]["error"])
        code, body, _ = self.client.call("PUT", path, {"bytes": first["largest"] + 1})
        self.assertEqual(code, 400)
        self.assertIn(str(first["largest"]), body["status"]["error"])
        for wrong, word in (({"byte": 1}, "byte"), ({}, "bytes"), ({"bytes": "1G"}, "bytes"),
                            ({"bytes": -1}, "bytes"), ({"bytes": 0}, "bytes")):
            code, body, _ = self.client.call("PUT", path, wrong)
            self.assertEqual(code, 422 if wrong == {"bytes": 0} else 400, (wrong, body))
            self.assertIn(word, body["status"]["error"])
        self.assertEqual(self.client.ok("GET", path)["bytes"], 512 << 20)
        self.assertEqual(self.client.ok("PUT", path, {"bytes": 300 << 20})["bytes"], 300 << 20)
        for _ in range(1000):
            now = self.client.ok("GET", path)
            if now["settled"]:
                break
        self.assertTrue(now["settled"])
        self.assertEqual(now["above_bytes"], 0)
        memory = self.client.ok("GET", "/insula/stats")["memory"]
        self.assertEqual((memory["budget"], memory["above"]), (300 << 20, 0))
        self.assertLess(memory["arena_limit"], 300 << 20)
        metrics = self.client.call("GET", "/metrics")[1]
        self.assertIn(f"insula_memory_budget_bytes {300 << 20}\n", metrics)
        self.assertIn("insula_memory_above_bytes 0\n", metrics)
        self.assertEqual(self.count(), 199)
        self.upsert([{"id": 1000, "vector": wave(1)}])
        by_machine = self.client.ok("PUT", path, {"bytes": None})
        self.assertIsNone(by_machine["asked"])
        self.assertLessEqual(abs(by_machine["bytes"] - by_machine["machine_bytes"] // 2), 1 << 20)
        self.assertEqual(self.client.ok("PUT", path, {"bytes": 512 << 20})["asked"], 512 << 20)
        self.assertEqual(self.count(), 200)

    def test_small_print(self):
        """Goal: what the tests of Qdrant and its clients look at besides. Method: one request each."""
        self.create(quantization={"scalar": {"type": "int8"}})
        info = self.client.ok("GET", self.path)
        self.assertNotIn("warnings", info)
        self.assertEqual(info["config"]["quantization_config"], {"scalar": {"type": "int8"}})
        uuid = "83901313-929a-4bc4-9a78-c323adbcfc43"
        self.upsert([{"id": 1, "vector": wave(1), "payload": {"u": uuid.replace("-", ""), "n": 1}},
                     {"id": 2, "vector": wave(2), "payload": {"u": uuid, "n": 2}},
                     {"id": 3, "vector": wave(3), "payload": {"u": ["none", 7]}}])
        for query in ({}, {"query": {"sample": "random"}}, {"query": {"order_by": "n"}}):
            points = self.client.ok("POST", self.path + "/points/query", query)["points"]
            self.assertEqual({point["score"] for point in points}, {1.0})
        facet = lambda: {hit["value"]: hit["count"] for hit in
                         self.client.ok("POST", self.path + "/facet", {"key": "u"})["hits"]}
        self.assertEqual(facet(), {uuid: 1, uuid.replace("-", ""): 1, "none": 1, 7: 1})
        self.client.ok("PUT", self.path + "/index?wait=true", {"field_name": "u", "field_schema": "uuid"})
        self.assertEqual(facet(), {uuid: 2})
        for code, method, path, body, words in (
                (422, "POST", "/points/scroll", {"filter": {"must": [{"key": "n"}]}},
                 "At least one field condition must be specified"),
                (400, "POST", "/points/scroll", {"filter": {"must": [{"slice": {"total": 0, "index": 0}}]}}, "total"),
                (422, "POST", "/points/scroll", {"filter": {"must": [{"slice": {"total": 2, "index": 2}}]}}, "index"),
                (422, "POST", "/points/query", {"query": {"recommend": {"positive": []}}}, "recommend"),
                (422, "PUT", "/points/vectors", {"points": [{"id": 1, "vector": {}}]}, "points[0].vector"),
                (501, "GET", "/optimizations?with=queued", None, "with"),
                (422, "PATCH", "", {"vectors": {"": {"memory": "pinned"}}}, "pinned"),
                (422, "GET", "x" * 256, None, "from 1 to 255")):
            self.assertIn(words, self.client.error(code, method, self.path + path, body))
        for settings in ({"payload": {"memory": "pinned"}}, {"quantization": 3}):
            self.client.call("DELETE", self.path)
            body = {"vectors": {"size": 4, "distance": "Dot"}, **settings}
            self.assertIn(self.client.call("PUT", self.path, body)[0], (400, 422))

    def test_indexed_ranks(self):
        """Goal: rankings, groups and facets whose filter an index in a large extent decides alone.
        Method: 3000 points in a file, an index on what is filtered; counts and order known."""
        self.create()
        self.client.ok("PUT", self.path + "/index?wait=true", {"field_name": "g", "field_schema": "integer"})
        for first in range(0, 3000, 1000):
            self.upsert([{"id": i, "vector": wave(i), "payload": {"g": i % 3, "n": i, "text": "x" * 100}}
                         for i in range(first, first + 1000)])
        self.client.ok("POST", "/insula/flush")
        filter_ = {"must": [{"key": "g", "match": {"value": 1}}]}
        mine = list(range(1, 3000, 3))
        query = lambda **more: self.client.ok(
            "POST", self.path + "/points/query", {"filter": filter_, "limit": 2000, **more})["points"]
        self.assertEqual([p["id"] for p in query(query={"order_by": {"key": "n", "direction": "desc"}})], mine[::-1])
        self.assertEqual(sorted(p["id"] for p in query(query={"sample": "random"})), mine)
        found = query(query={"recommend": {"positive": [1], "strategy": "best_score"}})
        self.assertEqual(sorted(p["id"] for p in found), mine[1:])
        hits = self.client.ok("POST", self.path + "/facet", {"key": "g", "filter": filter_})["hits"]
        self.assertEqual(hits, [{"value": 1, "count": 1000}])
        groups = self.client.ok("POST", self.path + "/points/query/groups", {
            "query": wave(7), "group_by": "g", "filter": filter_, "group_size": 5})["groups"]
        self.assertEqual([(group["id"], len(group["hits"])) for group in groups], [(1, 5)])
        self.assertEqual(self.count(filter_), 1000)

    def test_routes(self):
        """Goal: unknown paths, wrong methods and missing operations are told apart."""
        self.client.error(404, "GET", "/nothing")
        code, _, response = self.client.call("POST", "/collections")
        self.assertEqual((code, response.headers["Allow"]), (405, "GET"))
        self.assertIn("list issues", self.client.error(501, "GET", "/issues"))
        self.assertIn("audit", self.client.error(501, "POST", "/audit/logs", {}))

    # -- collections

    def test_collection(self):
        """Goal: the life of a collection. Method: create, twice, list, exists, delete, twice."""
        self.create()
        self.assertEqual(self.client.error(409, "PUT", self.path, {}),
                         f"Wrong input: Collection `{self.name}` already exists!")
        names = [c["name"] for c in self.client.ok("GET", "/collections")["collections"]]
        self.assertIn(self.name, names)
        self.assertTrue(self.client.ok("GET", self.path + "/exists")["exists"])
        self.assertIs(self.client.ok("DELETE", self.path), True)
        self.assertIs(self.client.ok("DELETE", self.path), False)
        self.assertFalse(self.client.ok("GET", self.path + "/exists")["exists"])
        self.assertEqual(self.client.error(404, "GET", self.path),
                         f"Not found: Collection `{self.name}` doesn't exist!")

    def test_names(self):
        """Goal: names of any script, up to 255 bytes. Method: create, list, delete by escape."""
        from urllib.parse import quote
        for name in ("caffè", "コレクション", "a b", "x" * 255, "100%", "collections"):
            path = "/collections/" + quote(name, safe="")
            self.client.ok("PUT", path, {})
            names = [c["name"] for c in self.client.ok("GET", "/collections")["collections"]]
            self.assertIn(name, names)
            self.assertIs(self.client.ok("DELETE", path), True)
        self.client.error(422, "PUT", "/collections/" + "x" * 256, {})
        self.client.error(422, "PUT", "/collections/a%2Fb", {})
        self.client.error(400, "PUT", "/collections/%ff", {})

    def test_settings(self):
        """Goal: Qdrant's recommended set-up works on the first call and is shown as given."""
        self.create(distance="Cosine", hnsw_config={"m": 0, "payload_m": 16}, shard_number=3,
                    quantization_config={"binary": {"always_ram": True}}, metadata={"owner": ["x", 1]},
                    on_disk_payload=False, optimizers_config={"indexing_threshold": 7})
        self.client.ok("PUT", self.path + "/index?wait=true", {
            "field_name": "tenant", "field_schema": {"type": "keyword", "is_tenant": True}})
        self.client.ok("PUT", self.path + "/index", {"field_name": "n", "field_schema": "integer"})
        info = self.client.ok("GET", self.path)
        config = info["config"]
        self.assertEqual(config["params"]["vectors"], {"size": 4, "distance": "Cosine"})
        self.assertEqual(config["params"]["shard_number"], 3)
        self.assertEqual(config["params"]["on_disk_payload"], False)
        self.assertEqual((config["hnsw_config"]["m"], config["hnsw_config"]["payload_m"]), (0, 16))
        self.assertEqual(config["optimizer_config"]["indexing_threshold"], 7)
        self.assertEqual(config["quantization_config"], {"binary": {"always_ram": True}})
        self.assertEqual(config["metadata"], {"owner": ["x", 1]})
        self.assertEqual(info["payload_schema"]["tenant"]["params"]["is_tenant"], True)
        self.assertEqual(info["payload_schema"]["n"]["data_type"], "integer")
        self.assertEqual((info["status"], info["optimizer_status"]), ("green", "ok"))
        self.client.ok("DELETE", self.path + "/index/n?wait=true")
        self.assertNotIn("n", self.client.ok("GET", self.path)["payload_schema"])

    def until_green(self, name=None):
        """Waits until the info of the collection warns of nothing: an index is in force."""
        deadline = time.monotonic() + 60
        while "warnings" in self.client.ok("GET", name or self.path):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    def test_late_tenant_index(self):
        """Goal: an is_tenant index on a filled collection moves its points to islands, and nobody sees more of it than a
        warning that ends. Method: every answer before, after, and after a restart; names of moves are nobody's."""
        self.create(metadata={"a": 1})
        points = [{"id": i, "vector": wave(i), "payload": {"t": f"t{i % 7}", "n": i}} for i in range(2000)]
        points += [{"id": 5000 + i, "vector": wave(i), "payload": {"n": i}} for i in range(5)]  # of no tenant
        for first in range(0, len(points), 500):
            self.upsert(points[first:first + 500])
        self.client.ok("PUT", self.path + "/index?wait=true", {"field_name": "n", "field_schema": "integer"})
        self.client.ok("POST", "/collections/aliases", {"actions": [
            {"create_alias": {"collection_name": self.name, "alias_name": self.name + "-too"}}]})
        tenant = {"must": [{"key": "t", "match": {"value": "t3"}}]}

        def answers():
            pages, body = [], {"limit": 700, "with_vector": True}
            while body.get("offset", 0) is not None:
                page = self.client.ok("POST", f"/collections/{self.name}-too/points/scroll", body)
                pages += page["points"]
                body["offset"] = page["next_page_offset"]
            near = self.client.ok("POST", self.path + "/points/query", {"query": wave(3), "filter": tenant, "limit": 5})
            return pages, [(one["id"], one["score"]) for one in near["points"]], self.count(), self.count(tenant)

        before = answers()
        self.assertEqual((before[2], before[3]), (2005, 286))
        self.client.ok("PUT", self.path + "/index?wait=true", {
            "field_name": "t", "field_schema": {"type": "keyword", "is_tenant": True}})
        self.until_green()
        self.assertEqual(answers(), before)
        self.server.stop(signal.SIGKILL)
        self.server.start()
        self.client = Client(self.server)
        self.assertEqual(answers(), before)
        self.assertEqual([one["tenant"] for one in self.client.ok("GET", self.path + "/tenants")["tenants"]],
                         [f"t{i}" for i in range(7)])
        info = self.client.ok("GET", self.path)
        self.assertEqual(info["config"]["metadata"], {"a": 1})
        self.assertEqual(set(info["payload_schema"]), {"t", "n"})
        self.assertEqual([one["name"] for one in self.client.ok("GET", "/collections")["collections"]].count(self.name), 1)
        for number in range(16, 200):  # of the name that it had meanwhile nothing is left
            self.assertEqual(self.client.call("GET", f"/collections/%3C{number}")[0], 404)
        self.client.ok("DELETE", self.path + "/index/t?wait=true")
        self.assertEqual(answers(), before)

    def test_graph(self):
        """Goal: a large extent gets a graph, and parameters say how it is used. Method: thresholds of 10 KB; hits of walks
        against exact ones; what is in memory is found by all of them."""
        small = {"full_scan_threshold": 10}
        self.create(distance="Euclid", dim=16, hnsw_config=small, optimizers_config={"indexing_threshold": 10})
        draw = random.Random(5)

        def points(first, count):
            return [{"id": i, "vector": [draw.gauss(0, 1) for _ in range(16)]} for i in range(first, first + count)]

        def ids(vector, **params):
            body = {"query": vector, "limit": 5, "params": params}
            return [one["id"] for one in self.client.ok("POST", self.path + "/points/query", body)["points"]]

        self.upsert(points(0, 3000))
        self.client.call("POST", "/insula/flush")
        while self.client.ok("GET", self.path)["indexed_vectors_count"] < 3000:
            pass
        before = self.client.ok("GET", "/insula/stats")["graph_searches"]
        right = 0
        for _ in range(20):
            query = [draw.gauss(0, 1) for _ in range(16)]
            right += len(set(ids(query, hnsw_ef=64)) & set(ids(query, exact=True)))
        self.assertGreaterEqual(right, 97)
        self.assertEqual(self.client.ok("GET", "/insula/stats")["graph_searches"], before + 20)
        self.assertEqual(len(ids([0.0] * 16, hnsw_ef=10 ** 9, indexed_only=True)), 5)
        for acorn in ({}, {"enable": True}, {"enable": True, "max_selectivity": 0.5}, {"max_selectivity": None}):
            self.assertEqual(len(ids([0.0] * 16, acorn=acorn)), 5)
        for acorn, code in ((1, 400), ({"enable": 1}, 400), ({"max_selectivity": "x"}, 400), ({"max_selectivity": 1.5}, 422)):
            body = {"query": [0.0] * 16, "params": {"acorn": acorn}}
            status, answer, _ = self.client.call("POST", self.path + "/points/query", body)
            self.assertEqual((acorn, status), (acorn, code), answer)
        self.client.ok("PATCH", self.path, {"hnsw_config": {"inline_storage": True}})
        self.assertTrue(self.client.ok("GET", self.path)["config"]["hnsw_config"]["inline_storage"])
        while self.client.ok("GET", "/insula/stats")["layouts"] == 0:
            ids([0.0] * 16, hnsw_ef=64)
        body = {"query": [0.0] * 16, "params": {"hnsw_ef": 64}, "explain": True}
        explained = self.client.call("POST", self.path + "/points/query", body)[1]["explain"]
        self.assertEqual(explained["plan"]["how"].get("fast graph"), 1, explained)
        right = 0
        for _ in range(20):
            query = [draw.gauss(0, 1) for _ in range(16)]
            right += len(set(ids(query, hnsw_ef=64)) & set(ids(query, exact=True)))
        self.assertGreaterEqual(right, 97)
        self.client.ok("PATCH", self.path, {"hnsw_config": {"inline_storage": False}})
        ids([0.0] * 16, hnsw_ef=64)
        self.assertEqual(self.client.ok("GET", "/insula/stats")["layouts"], 0)
        self.client.ok("PATCH", self.path, {"optimizers_config": {"indexing_threshold": 0}})
        self.upsert([{"id": 9000, "vector": [0.0] * 16}])
        self.assertEqual(ids([0.0] * 16, indexed_only=True)[0], 9000)

    def test_quantization(self):
        """Goal: what is not a quantization is refused by name; what is changes no score. Method: each member once."""
        taken = ({"scalar": {"type": "int8", "quantile": 0.99, "always_ram": True}}, {"product": {"compression": "x64", "memory": "pinned"}},
                 {"binary": {"encoding": "one_and_half_bits", "query_encoding": "scalar8bits"}}, {"turbo": {"bits": "bits2"}})
        for one in taken:
            self.create(quantization_config=one)
            self.assertEqual(self.client.ok("GET", self.path)["config"]["quantization_config"], one)
            self.client.ok("DELETE", self.path)
        wrong = ((400, {}, ""), (400, {"scalar": 3}, ".scalar"), (400, {"scalar": {}}, ".scalar.type"), (400, {"scalar": {"type": "int4"}}, ".scalar.type"),
                 (422, {"scalar": {"type": "int8", "quantile": 0.4}}, ".scalar.quantile"), (400, {"product": {}}, ".product.compression"),
                 (400, {"product": {"compression": "x5"}}, ".product.compression"), (400, {"binary": {"encoding": 1}}, ".binary.encoding"),
                 (400, {"turbo": {"bits": "bits3"}}, ".turbo.bits"), (400, {"binary": {"always_ram": 1}}, "always_ram"))
        for code, one, name in wrong:
            body = {"vectors": {"size": 16, "distance": "Euclid"}, "quantization_config": one}
            self.assertIn(name, self.client.error(code, "PUT", self.path, body), one)
        self.create()
        self.upsert([{"id": i, "vector": wave(i)} for i in range(20)])
        for code, one, name in wrong:
            self.assertIn(name, self.client.error(code, "PATCH", self.path, {"quantization_config": one}), one)
        query = {"query": wave(3), "limit": 5}
        usual = self.client.ok("POST", self.path + "/points/query", query)
        for one in ({"ignore": True}, {"rescore": False}, {"rescore": True, "oversampling": 2.4}, {"rescore": None}, {}):
            found = self.client.ok("POST", self.path + "/points/query", {**query, "params": {"quantization": one}})
            self.assertEqual(found, usual, one)
        for code, one, name in ((400, 3, "quantization"), (400, {"ignore": 1}, "ignore"), (400, {"rescore": "no"}, "rescore"),
                                (422, {"oversampling": 0.5}, "oversampling"), (400, {"oversampling": "2"}, "oversampling")):
            body = {**query, "params": {"quantization": one}}
            self.assertIn(name, self.client.error(code, "POST", self.path + "/points/query", body), one)

    def test_info(self):
        """Goal: counts and states are true. Method: a field that some points lack, and what tools ask."""
        self.create()
        for field, schema in (("a", "integer"), ("b", "keyword")):
            self.client.ok("PUT", self.path + "/index?wait=true", {"field_name": field, "field_schema": schema})
        self.upsert([{"id": i, "vector": wave(i), "payload": {"a": i} if i % 3 else {"b": "x", "a": []}} for i in range(30)])
        info = self.client.ok("GET", self.path)
        self.assertEqual({name: field["points"] for name, field in info["payload_schema"].items()}, {"a": 20, "b": 10})
        self.assertEqual((info["status"], info["optimizer_status"], info["points_count"]), ("green", "ok", 30))
        self.assertEqual(info["update_queue"]["length"], 0)
        self.client.ok("POST", "/insula/flush")
        optimizations = self.client.ok("GET", self.path + "/optimizations")
        self.assertEqual(optimizations["summary"]["queued_optimizations"], 0)
        self.assertEqual(optimizations["summary"]["idle_segments"], self.client.ok("GET", self.path)["segments_count"])
        cluster = self.client.ok("GET", self.path + "/cluster")
        self.assertEqual([(s["points_count"], s["state"]) for s in cluster["local_shards"]], [(30, "Active")])
        self.assertEqual(self.client.ok("GET", "/cluster"), {"status": "disabled"})
        for path in ("/optimizations", "/cluster"):
            self.client.error(404, "GET", "/collections/absent" + path)
        self.assertGreaterEqual(self.client.ok("GET", "/telemetry")["collections"]["number_of_collections"], 1)
        code, text, response = self.client.call("GET", "/metrics")
        self.assertEqual(code, 200)
        self.assertTrue(response.headers["Content-Type"].startswith("text/plain"))
        values = {}
        for line in text.splitlines():
            if not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                self.assertNotIn(name, values)
                values[name] = float(value)
        self.assertGreaterEqual(values["collections_total"], 1)
        self.assertGreater(values["insula_log_records_total"], 1)
        self.assertGreaterEqual(values['insula_memory_limit_bytes{purpose="cache"}'], 1 << 20)

    def test_update(self):
        """Goal: PATCH merges as Qdrant does, keeps what it does not name, and outlives a restart of
        the schema in memory. Method: settings before and after each change; refusals change nothing."""
        self.create(hnsw_config={"m": 8, "ef_construct": 64}, metadata={"a": 1, "b": {"c": [1, 2]}},
                    quantization_config={"scalar": {"type": "int8"}}, wal_config={"wal_capacity_mb": 7})
        patch = lambda **body: self.assertIs(self.client.ok("PATCH", self.path, body), True)
        config = lambda: self.client.ok("GET", self.path)["config"]
        before = config()
        patch()
        self.assertEqual(config(), before)
        patch(hnsw_config={"m": 24, "ef_construct": None, "on_disk": True})
        self.assertEqual([config()["hnsw_config"][key] for key in ("m", "ef_construct", "on_disk")], [24, 64, True])
        patch(optimizers_config={"indexing_threshold": 5, "max_optimization_threads": "auto"},
              params={"replication_factor": 2, "read_fan_out_factor": 3, "on_disk_payload": False})
        after = config()
        self.assertEqual(after["optimizer_config"]["indexing_threshold"], 5)
        self.assertEqual([after["params"][key] for key in ("replication_factor", "read_fan_out_factor", "on_disk_payload")],
                         [2, 3, False])
        self.assertEqual(after["wal_config"]["wal_capacity_mb"], 7)
        patch(quantization_config={"product": {"compression": "x16"}})
        self.assertEqual(config()["quantization_config"], {"product": {"compression": "x16"}})
        patch(quantization_config="Disabled")
        self.assertIsNone(config()["quantization_config"])
        patch(metadata={"a": None, "b": {"d": 1}, "e\u00e9": "x"})
        self.assertEqual(config()["metadata"], {"b": {"d": 1}, "e\u00e9": "x"})
        patch(vectors={"": {"on_disk": True, "hnsw_config": {"m": 3}, "quantization_config": {"scalar": {"type": "int8"}}}})
        patch(vectors={"": {"hnsw_config": {"ef_construct": 5}, "quantization_config": "Disabled"}})
        vectors = config()["params"]["vectors"]
        self.assertEqual(vectors["hnsw_config"], {"m": 3, "ef_construct": 5})
        self.assertEqual((vectors["size"], vectors["on_disk"]), (4, True))
        self.assertNotIn("quantization_config", vectors)
        patch(vectors={"": {"hnsw_config": {}}})
        self.assertNotIn("hnsw_config", config()["params"]["vectors"])
        patch(strict_mode_config={"enabled": False, "max_query_limit": 9})
        self.assertEqual(config()["strict_mode_config"], {"enabled": False, "max_query_limit": 9})
        before = config()
        for code, body in ((422, {"hnsw_config": {"ef_construct": 1}}), (400, {"hnsw_config": 7}), (400, {"vectors": [1]}),
                           (400, {"vectors": {"x": {}}}), (400, {"vectors": {"": 7}}), (400, {"metadata": 7}),
                           (400, {"quantization_config": "Off"}), (400, {"quantization_config": {}}), (400, {"params": 1}),
                           (422, {"params": {"replication_factor": 0}}), (501, {"sparse_vectors": {"s": {}}}),
                           (501, {"strict_mode_config": {"enabled": True}}),
                           (413, {"metadata": {"long": "x" * 300000}}),
                           (413, {"metadata": {str(i): i for i in range(2100)}})):
            self.client.error(code, "PATCH", self.path, body)
            self.assertEqual(config(), before, body)
        self.client.error(404, "PATCH", "/collections/absent", {})
        self.upsert([{"id": 1, "vector": wave(1)}])
        self.assertEqual(self.count(), 1)

    # -- aliases

    def aliases(self, *actions):
        return self.client.ok("POST", "/collections/aliases", {"actions": list(actions)})

    def test_aliases(self):
        """Goal: a list of changes is one change; an alias stands wherever a collection's name does.
        Method: blue and green collections, renames, lists that fail half-way, deletion, restart."""
        green = self.name + "-green"
        self.create()
        self.client.ok("PUT", "/collections/" + green, {"vectors": {"size": 4, "distance": "Dot"}})
        self.upsert([{"id": 1, "vector": wave(1), "payload": {"a": 1}}])
        names = [f"{self.name}-{i}" for i in range(3)]
        create = lambda i, to: {"create_alias": {"alias_name": names[i], "collection_name": to}}
        delete = lambda i: {"delete_alias": {"alias_name": names[i]}}
        rename = lambda i, k: {"rename_alias": {"old_alias_name": names[i], "new_alias_name": names[k]}}
        def of(collection):
            got = self.client.ok("GET", f"/collections/{collection}/aliases")["aliases"]
            self.assertTrue(all(a["collection_name"] == collection for a in got))
            return sorted(a["alias_name"] for a in got)
        self.assertIs(self.aliases(create(0, self.name)), True)
        self.assertEqual(of(self.name), [names[0]])
        by_alias = "/collections/" + names[0]
        self.assertEqual(self.client.ok("POST", by_alias + "/points/count", {})["count"], 1)
        self.assertEqual(self.client.ok("GET", by_alias)["points_count"], 1)
        self.assertTrue(self.client.ok("GET", by_alias + "/exists")["exists"])
        self.client.ok("PUT", by_alias + "/points?wait=true", {"points": [{"id": 2, "vector": wave(2)}]})
        self.client.ok("PUT", by_alias + "/index?wait=true", {"field_name": "a", "field_schema": "integer"})
        self.assertEqual(self.count(), 2)
        for method, path, body in (("POST", "/points/scroll", {}), ("POST", "/points", {"ids": [1]}),
                                   ("POST", "/points/query", {"query": wave(1)}), ("GET", "/points/1", None)):
            self.client.ok(method, by_alias + path, body)
        self.client.ok("POST", by_alias + "/points/delete?wait=true", {"points": [2]})
        # Deleting by the alias deletes nothing; a collection cannot take an alias's name.
        self.assertIs(self.client.ok("DELETE", by_alias), False)
        self.assertIn("Alias with the same name",
                      self.client.error(400, "PUT", by_alias, {"vectors": {"size": 4, "distance": "Dot"}}))
        # An alias that is there leads elsewhere, and back, within one list.
        self.aliases(create(0, green), create(1, green), rename(1, 2), delete(0), create(0, self.name))
        self.assertEqual((of(self.name), of(green)), ([names[0]], [names[2]]))
        self.aliases(rename(0, 2))
        self.assertEqual((of(self.name), of(green)), ([names[2]], []))
        self.aliases(delete(1))
        self.aliases()
        # All or nothing.
        for code, *actions in ((404, create(1, self.name), create(0, "absent")), (404, delete(2), rename(1, 0)),
                               (404, rename(2, 0), rename(2, 1)),
                               (409, create(1, self.name), {"create_alias": {"alias_name": green, "collection_name": self.name}}),
                               (422, create(1, self.name), {"create_alias": {"alias_name": "a/b", "collection_name": self.name}})):
            self.client.error(code, "POST", "/collections/aliases", {"actions": actions})
            self.assertEqual(of(self.name), [names[2]])
        for actions in ({}, [1], [{}], [{"create_alias": 1}], [{"create_alias": {"alias_name": "a"}}],
                        [{"delete_alias": {"alias_name": 7}}], [delete(0)] * 257, [{**delete(0), **rename(0, 1)}]):
            self.client.error(400, "POST", "/collections/aliases", {"actions": actions})
        self.client.error(400, "POST", "/collections/aliases", {})
        every = self.client.ok("GET", "/aliases")["aliases"]
        self.assertIn({"alias_name": names[2], "collection_name": self.name}, every)
        # A collection takes its aliases along, and the name is free again.
        self.assertIs(self.client.ok("DELETE", self.path), True)
        self.assertEqual(of(self.name), [])
        self.client.error(404, "GET", "/collections/" + names[2])
        self.client.ok("PUT", "/collections/" + names[2], {"vectors": {"size": 4, "distance": "Dot"}})

    # -- points

    def test_points(self):
        """Goal: points come back as given. Method: both forms of upsert, both kinds of id, payload
        of every type, numbers verbatim, all selections."""
        self.create()
        payload = ('{"a": 1.50, "b": [1, {"c": "\\u00e9 \\n"}], "d": null, "e": true,'
                   ' "big": 12345678901234567890, "f": 1e-7, "g": {"h": {"i": "j"}}}')
        uuid = "f47ac10b-58cc-4372-a567-0e02b2c3d479"
        body = ('{"points": [{"id": 18446744073709551615, "vector": [0.1, 0.2, 0.3, 0.4], "payload": '
                + payload + '}, {"id": "' + uuid.upper() + '", "vector": [1, 2, 3, 4]}]}')
        self.client.ok("PUT", self.path + "/points?wait=true", body)
        point = self.client.ok("GET", self.path + "/points/18446744073709551615")
        self.assertEqual(point["payload"], json.loads(payload))
        self.assertEqual(point["vector"], [0.1, 0.2, 0.3, 0.4])
        self.assertEqual(self.client.ok("GET", self.path + "/points/" + uuid),
                         {"id": uuid, "payload": {}, "vector": [1, 2, 3, 4]})
        acknowledged = self.client.ok("PUT", self.path + "/points", {"batch": {
            "ids": [1, 2], "vectors": [wave(1), wave(2)], "payloads": [{"k": 1, "l": 2}, None]}})
        self.assertEqual(acknowledged["status"], "acknowledged")
        get = self.path + "/points"
        self.assertEqual(self.client.ok("POST", get, {"ids": [1, 77], "with_payload": ["k"]}),
                         [{"id": 1, "payload": {"k": 1}}])
        self.assertEqual(
            self.client.ok("POST", get, {"ids": [1], "with_payload": {"exclude": ["k"]}}),
            [{"id": 1, "payload": {"l": 2}}])
        got = self.client.ok("POST", get, {"ids": [2], "with_payload": False, "with_vector": True})
        self.assertEqual((len(got), set(got[0])), (1, {"id", "vector"}))
        for stored, given in zip(got[0]["vector"], wave(2)):
            self.assertEqual(f32(stored), f32(given))
        self.assertEqual(self.client.error(404, "GET", self.path + "/points/5"),
                         "Not found: No point with id 5 found")
        self.client.ok("POST", self.path + "/points/delete?wait=true", {"points": [1, uuid]})
        self.assertEqual(self.count(), 2)
        self.client.ok("POST", self.path + "/points/delete", {"filter": {"must": {
            "key": "e", "match": {"value": True}}}})
        self.assertEqual(self.count(), 1)

    def test_plain_upserts(self):
        """Goal: the usual body, read in one pass, stores what the same body stores when it must be
        parsed whole. Method: each body plain and with a member that nobody knows, into two
        collections; points compared, vectors to the bit; what one refuses the other refuses."""
        other = self.path + "-parsed"
        vectors = {"": {"size": 4, "distance": "Cosine"}, "text": {"size": 2, "distance": "Dot"}}
        for path in (self.path, other):
            self.client.ok("PUT", path, {"vectors": vectors})
        uuid = "f47ac10b-58cc-4372-a567-0e02b2c3d479"
        numbers = ["0.1", "-0.123456", "1", "-0", "-0.0", "12345678901234567890", "1e-7", "2.5E+3",
                   "0.30000001192092896", "0.1000000014901161193847656", "1e-40", "16777217"]
        points = ['{"id":%d,"vector":[%s],"payload":{"a":%s}}' % (
            i + 1, ",".join(numbers[(i + at) % len(numbers)] for at in range(4)), number)
            for i, number in enumerate(numbers)]
        points += ['{"vector":{"text":[1,2]},"id":100}', '{ "id" : "%s" , "vector" : [ 1 , 2,3,4 ] }' % uuid,
                   '{"id":18446744073709551615,"payload":{},"vector":{"text":[3,4],"":[1,1,1,1]}}',
                   '{"id":200,"vector":[1,2,3,4],"payload":null}',
                   '{"id":201,"vector":[1,2,3,4],"payload":{"t":"\\u00e4 \\ud83d\\ude00 \u00e4","n":[[],{"x":{}}]}}',
                   '{"id":201,"vector":[4,3,2,1],"payload":{ "k" : [ 1 , 2 ] , "k" : 3 }}']
        for count in (1, len(points)):
            for at in range(0, len(points), count):
                body = '"points":[' + ",".join(points[at:at + count]) + "]}"
                self.client.ok("PUT", self.path + "/points?wait=true", ("{" + body).encode())
                self.client.ok("PUT", other + "/points?wait=true",
                               ('{"unknown":1,' + body).encode())
        read = {"limit": 100, "with_payload": True, "with_vector": True}
        got = [self.client.ok("POST", path + "/points/scroll", read) for path in (self.path, other)]
        self.assertEqual(got[0], got[1])
        self.assertEqual(len(got[0]["points"]), len(points) - 1)
        bad = ['{"id":1,"vector":[1,2,3]}', '{"id":1,"vector":[1,2,3,4e39]}', '{"id":-1,"vector":[1,2,3,4]}',
               '{"id":1,"vector":[1,2,3,04]}', '{"id":1,"vector":[1,2,3,4],"payload":{"a":tru}}',
               '{"id":1,"vector":[1,2,3,4],"payload":{"a":"\\ud800"}}', '{"id":1}', '{"vector":[1,2,3,4]}',
               '{"id":1,"vector":[1,2,3,4],"id":2}', '{"id":1,"vector":[1,2,3,4],"payload":[]}',
               '{"id":1,"vector":{"none":[1]}}', '{"id":1,"vector":{"text":[1,2],"text":[1,2]}}',
               '{"id":1,"vector":[1,2,3,4],"payload":%s1%s}' % ('{"a":' * 62, "}" * 62)]
        for point in bad:
            body = '"points":[%s,%s]}' % (points[0], point)
            says = [self.client.error(400, "PUT", path + "/points", start + body)
                    for path, start in ((self.path, "{"), (other, '{"other":1,'))]
            if "column" not in says[0]:
                self.assertEqual(says[0], says[1])
        for body in ('{"points":[%s]', '{"points":[%s]}}', '{"points":[%s,]}', '{"points":[%s]} x'):
            self.client.error(400, "PUT", self.path + "/points", body % points[0])
        self.assertEqual(self.client.ok("POST", self.path + "/points/scroll", read), got[0])

    def test_overwrite(self):
        """Goal: the newest version of a point is the only one. Method: 20 overwrites of one id, then
        delete and write again; versions rise."""
        self.create()
        last = 0
        for i in range(20):
            operation = self.upsert([{"id": 7, "vector": wave(i), "payload": {"i": i}}])
            self.assertGreater(operation, last)
            last = operation
            self.assertEqual(self.client.ok("GET", self.path + "/points/7")["payload"], {"i": i})
            self.assertEqual(self.count(), 1)
        self.client.ok("POST", self.path + "/points/delete?wait=true", {"points": [7]})
        self.assertEqual(self.count(), 0)
        self.upsert([{"id": 7, "vector": wave(0)}])
        self.assertEqual(self.client.ok("GET", self.path + "/points/7")["payload"], {})

    def test_scroll(self):
        """Goal: pages hold every point once, in the order of ids. Method: 100 points, pages of 7."""
        self.create()
        ids = random.Random(1).sample(range(10**6), 100)
        self.upsert([{"id": i, "vector": wave(i), "payload": {"odd": i % 2}} for i in ids])
        seen, offset = [], None
        while True:
            page = self.client.ok("POST", self.path + "/points/scroll", {
                "limit": 7, "offset": offset, "with_payload": False})
            seen += [point["id"] for point in page["points"]]
            offset = page["next_page_offset"]
            if offset is None:
                break
        self.assertEqual(seen, sorted(ids))
        odd = self.client.ok("POST", self.path + "/points/scroll", {
            "limit": 1000, "filter": {"must": [{"key": "odd", "match": {"value": 1}}]}})
        self.assertEqual([p["id"] for p in odd["points"]], sorted(i for i in ids if i % 2))

    # -- search

    def reference(self, distance, query, points):
        def score(vector):
            dot = sum(a * b for a, b in zip(query, vector))
            if distance == "Dot":
                return -dot
            if distance == "Euclid":
                return sum((a - b) ** 2 for a, b in zip(query, vector)) ** 0.5
            norm = lambda v: sum(x * x for x in v) ** 0.5
            return -dot / norm(query) / norm(vector)
        scored = sorted((score(p["vector"]), p["id"]) for p in points)
        return [(i, s if distance == "Euclid" else -s) for s, i in scored]

    def test_plain_searches(self):
        """Goal: the usual search, read in one pass, answers and fails as the same body that must be
        parsed. Method: each body as it is and with a member that nobody knows, before and behind."""
        self.client.ok("PUT", self.path, {"vectors": {"size": 16, "distance": "Cosine"}})
        self.upsert([{"id": i, "vector": wave(i, 16), "payload": {
            "g": i % 3, "t": ["x", "y\u00e4", 'q"'][i % 3], "b": i % 2 == 0}} for i in range(60)])
        vector = json.dumps(wave(10**6, 16))
        must = '"filter":{"must":[%s]}'
        match = '{"key":"%s","match":{"value":%s}}'
        nulls = ('"params":null,"score_threshold":null,"shard_key":null,"prefetch":null,"using":null,'
                 '"lookup_from":null,"explain":null,"offset":null,"with_payload":null,"with_vector":null,"filter":null')
        rests = ["", '"limit":3', '"limit" : 3 , "offset":2', '"with_payload":true', '"with_vector":true,"limit":1',
                 '"with_vectors":true,"limit":1', '"with_payload":false,"with_vector":false', nulls, '"limit":null',
                 must % match % ("g", "1"), must % match % ("t", '"x"'), must % match % ("t", '"y\u00e4"'),
                 must % match % ("t", '"y\\u00e4"'), must % match % ("t", '"q\\""'), must % match % ("b", "true"),
                 must % match % ("g", "-1"), must % match % ("g", "1.5"), must % match % ("g", "null"),
                 must % (match % ("g", "1") + "," + match % ("b", "false")), must % "", must % ",".join([match % ("g", "1")] * 6),
                 must % '{"key":"g","range":null,"match":{"value":2},"is_empty":null}', must % '{"key":"g","range":{"gte":1}}',
                 must % '{"match":{"value":1},"key":"g"}', must % '{"key":"g","key":"b","match":{"value":1}}',
                 must % '{"key":"g"}', must % '{"key":null,"match":{"value":1}}', must % '{"key":"g","match":{"any":[1,2]}}',
                 '"filter":{"must":[%s],"should":null,"must_not":null}' % (match % ("g", "1")),
                 '"filter":{"must":[%s],"must":[]}' % (match % ("g", "1")), '"filter":{"must":%s}' % (match % ("g", "1")),
                 '"filter":{"must_not":[%s]}' % (match % ("g", "1")), '"filter":{}', '"filter":[]', '"limit":0', '"limit":-1',
                 '"limit":3,"limit":4', '"limit":"3"', '"limit":10.0', '"offset":-1', '"with_payload":["g"]', '"with_payload":1',
                 '"with_vector":[]', '"params":{"exact":true}', '"score_threshold":0.1', '"query":[1]', '"vector":[1]', '"limit":tru',
                 '"limi\\u0074":2', '"with_payload":true,"with_vectors":true,"with_vector":false', '"limit":99999999999999999999']
        forms = [("query", ["%s", '{"nearest":%s}', '{"nearest":%s,"mmr":null}', " %s "]), ("search", ["%s"])]
        for route, queries in forms:
            key = "query" if route == "query" else "vector"
            for query in queries:
                for rest in rests:
                    named = '"%s":%s' % (key, query % vector)
                    members = [[named, rest] if rest else [named], [rest, named] if rest else [named]]
                    for order in members + [['"limit":2', *members[1]]]:
                        body = ",".join(order)
                        got = [self.client.call("POST", f"{self.path}/points/{route}", text.encode())[:2] for text in
                               ("{%s}" % body, '{"unknown":1,%s}' % body, '{%s,"unknown":{"a":[1]}}' % body)]
                        for code, data in got:
                            data.pop("time")
                            if code != 200 and "column" in data["status"]["error"]:
                                data.pop("status")
                        self.assertEqual(got[0], got[1], body)
                        self.assertEqual(got[0], got[2], body)
        for bad in ("[]", "[1,2]", "null", '{"nearest":[]}', '"x"', "[1,]", '["a"]', "[1e99]", "{}", '{"nearest":1,"a":2}'):
            for path in (f"{self.path}/points/query", f"{self.path}/points/search"):
                key = "query" if path.endswith("query") else "vector"
                got = [self.client.call("POST", path, text)[:2] for text in (
                    '{"%s":%s,"limit":1}' % (key, bad), '{"%s":%s,"limit":1,"unknown":1}' % (key, bad))]
                self.assertEqual(got[0][0], got[1][0], bad)
                if got[0][0] != 200 and "column" not in got[0][1]["status"]["error"]:
                    self.assertEqual(got[0][1]["status"], got[1][1]["status"], bad)
        for text in ('{"query":%s}x', '{"query":%s,}', '{"query":%s', '{"query":%s "limit":1}', '\xff{"query":%s}'):
            self.client.error(400, "POST", f"{self.path}/points/query", (text % vector).encode("latin-1"))

    def test_search(self):
        """Goal: exact neighbours and scores under each distance. Method: against a reference, by
        vector and by id, with offset, threshold, filter; the legacy form alike."""
        for distance in ("Dot", "Cosine", "Euclid"):
            self.client.ok("DELETE", self.path)
            self.create(distance=distance, dim=16)
            points = [{"id": i, "vector": wave(i, 16), "payload": {"g": i % 3}} for i in range(200)]
            self.upsert(points)
            query = wave(10**6, 16)
            expected = self.reference(distance, query, points)
            got = self.client.ok("POST", self.path + "/points/query",
                                 {"query": query, "limit": 10, "offset": 5})["points"]
            self.assertEqual([p["id"] for p in got], [i for i, _ in expected[5:15]])
            for hit, (_, score) in zip(got, expected[5:15]):
                self.assertAlmostEqual(hit["score"], score, places=4)
            threshold = expected[7][1]
            got = self.client.ok("POST", self.path + "/points/search", {
                "vector": query, "limit": 100,
                "score_threshold": threshold + (1e-4 if distance == "Euclid" else -1e-4)})
            self.assertEqual(len(got), 8)
            got = self.client.ok("POST", self.path + "/points/query", {
                "query": {"nearest": query}, "limit": 5, "with_payload": True,
                "filter": {"must": [{"key": "g", "match": {"value": 1}}]}})["points"]
            self.assertEqual([p["id"] for p in got],
                             [i for i, _ in expected if i % 3 == 1][:5])
            self.assertEqual(got[0]["payload"], {"g": 1})
            by_id = self.reference(distance, points[3]["vector"], points)
            got = self.client.ok("POST", self.path + "/points/query", {"query": 3, "limit": 4})
            self.assertEqual([p["id"] for p in got["points"]],
                             [i for i, _ in by_id if i != 3][:4])
        self.assertIn("No point with id 999", self.client.error(
            404, "POST", self.path + "/points/query", {"query": 999}))
        got = self.client.ok("POST", self.path + "/points/query", {"limit": 2, "offset": 1})
        self.assertEqual([(p["id"], p["score"]) for p in got["points"]], [(1, 1), (2, 1)])

    def test_tenants(self):
        """Goal: a search within a tenant sees its points alone; a point moves with its tenant value;
        points without one stay findable. Method: 50 tenants with the same vectors."""
        self.create(distance="Dot")
        self.client.ok("PUT", self.path + "/index?wait=true", {
            "field_name": "tenant", "field_schema": {"type": "keyword", "is_tenant": True}})
        self.upsert([{"id": t * 10 + i, "vector": wave(i), "payload": {"tenant": f"t{t}", "i": i}}
                     for t in range(50) for i in range(5)])
        self.upsert([{"id": 1000, "vector": wave(0)},
                     {"id": 1001, "vector": wave(0), "payload": {"tenant": ["t1", "t2"]}},
                     {"id": 1002, "vector": wave(0), "payload": {"tenant": 7}}])

        def within(value, key="value"):
            return {"must": [{"key": "tenant", "match": {key: value}}]}
        for flushed in (False, True):
            if flushed:
                self.assertIs(self.client.ok("POST", "/insula/flush"), True)
            hits = self.client.ok("POST", self.path + "/points/query", {
                "query": wave(0), "limit": 100, "filter": within("t7"), "with_payload": True})
            self.assertEqual(sorted(p["id"] for p in hits["points"]), list(range(70, 75)))
            self.assertEqual({p["payload"]["tenant"] for p in hits["points"]}, {"t7"})
            self.assertEqual(self.count(), 253)
            self.assertEqual(self.count(within("t1")), 6)  # an array holds its elements
            self.assertEqual(self.count(within(["t3", "t4"], "any")), 10)
            self.assertEqual(self.count(within("none")), 0)
            self.assertEqual(self.count(within(7)), 1)
            self.assertEqual(self.count({"must_not": within("t0")["must"]}), 248)
            for i in (1000, 1001, 1002):
                self.client.ok("GET", self.path + f"/points/{i}")
        self.upsert([{"id": 70, "vector": wave(0), "payload": {"tenant": "t8"}}])
        self.assertEqual((self.count(within("t7")), self.count(within("t8"))), (4, 6))
        self.assertEqual(self.count(), 253)
        self.client.ok("POST", self.path + "/points/delete?wait=true", {"filter": within("t9")})
        self.assertEqual((self.count(within("t9")), self.count()), (0, 248))

    def test_filters(self):
        """Goal: each condition selects what it says. Method: against the same condition in Python."""
        self.create()
        rows = {i: {"n": i / 2, "s": "abc"[i % 3], "l": [i % 4, 9], "o": {"p": i % 5}, "b": i % 2 == 0}
                for i in range(60)}
        for i, row in rows.items():
            row.update({"d": [{"x.y": i % 3, "z": 0}, {"x.y": i % 4, "z": 1}], "big": 9007199254740992 + i,
                        "when": f"2024-01-{i % 28 + 1:02}T00:00:00Z" if i < 28 else i})
            if i % 5:
                row["e"] = [None, None, [], "x", ["x"]][i % 5]
        self.upsert([{"id": i, "vector": wave(i), "payload": row} for i, row in rows.items()])

        def match(key, value):
            return {"key": key, "match": {"value": value}}
        cases = [
            ({"must": [match("s", "a")]}, lambda i, r: r["s"] == "a"),
            ({"must": [match("l", 3)]}, lambda i, r: 3 in r["l"]),
            ({"must": [match("o.p", 2)]}, lambda i, r: r["o"]["p"] == 2),
            ({"must": [match("b", True)]}, lambda i, r: r["b"]),
            ({"must_not": [match("s", "a"), match("s", "b")]}, lambda i, r: r["s"] == "c"),
            ({"should": [match("s", "a"), {"has_id": [1, 2, 99]}]},
             lambda i, r: r["s"] == "a" or i in (1, 2)),
            ({"must": {"key": "n", "range": {"gt": 3, "lte": 10.5}}}, lambda i, r: 3 < r["n"] <= 10.5),
            ({"must": {"key": "n", "range": {"gte": 3, "lt": 4}}}, lambda i, r: 3 <= r["n"] < 4),
            ({"must": {"key": "s", "match": {"any": ["a", "c"]}}}, lambda i, r: r["s"] in "ac"),
            ({"must": {"key": "s", "match": {"any": []}}}, lambda i, r: False),
            ({"must": [match("missing", 1)]}, lambda i, r: False),
            ({"must": [{"should": [match("s", "a"), match("s", "b")]}, match("b", False)]},
             lambda i, r: r["s"] in "ab" and not r["b"]),
            ({}, lambda i, r: True),
            ({"must": {"key": "s", "match": {"except": ["a", "b"]}}}, lambda i, r: r["s"] == "c"),
            ({"must": {"key": "l", "match": {"except": [9, 3]}}}, lambda i, r: r["l"][0] != 3),
            ({"must": {"key": "l", "values_count": {"gt": 1, "lte": 2}}}, lambda i, r: True),
            ({"must": {"key": "missing", "values_count": {"lt": 1}}}, lambda i, r: True),
            ({"must": {"is_empty": {"key": "e"}}}, lambda i, r: not r.get("e")),
            ({"must": {"key": "e", "is_empty": False}}, lambda i, r: bool(r.get("e"))),
            ({"must": {"is_null": {"key": "e"}}}, lambda i, r: i % 5 == 1),
            ({"must": {"key": "e", "is_null": False}}, lambda i, r: i % 5 != 1),
            ({"must": {"key": "n[0]", "match": {"value": 1}}}, lambda i, r: False),
            ({"must": {"key": "l[1]", "match": {"value": 9}}}, lambda i, r: True),
            ({"must": {"key": "d[].\"x.y\"", "match": {"value": 2}}},
             lambda i, r: any(x["x.y"] == 2 for x in r["d"])),
            ({"must": {"nested": {"key": "d", "filter": {"must": [
                match('"x.y"', 2), match("z", 1)]}}}},
             lambda i, r: any(x["x.y"] == 2 and x["z"] == 1 for x in r["d"])),
            ({"must": {"key": "when", "range": {"gte": "2024-01-05T00:00:00+02:00",
                                                "lt": "2024-01-20"}}}, lambda i, r: 5 <= i + 1 < 20),
            ({"must": {"key": "big", "range": {"gt": 9007199254740993}}}, lambda i, r: i > 1),
            ({"must": {"key": "big", "range": {"lte": 9007199254740993}}}, lambda i, r: i <= 1),
            ({"min_should": {"min_count": 2, "conditions": [
                match("s", "a"), match("b", True), match("o.p", 0)]}},
             lambda i, r: (r["s"] == "a") + r["b"] + (r["o"]["p"] == 0) >= 2),
            ({"must": {"has_vector": ""}}, lambda i, r: True),
            ({"must": {"has_vector": "other"}}, lambda i, r: False),
            ({"must": {"key": "s", "match": {"value": "a"}, "range": {"lt": 1},
                       "is_null": True}}, lambda i, r: r["s"] == "a"),
        ]
        for filter_, test in cases:
            self.assertEqual(self.count(filter_), sum(test(i, r) for i, r in rows.items()), filter_)
        slices = [self.count({"must": {"slice": {"total": 7, "index": i}}}) for i in range(7)]
        self.assertEqual(sum(slices), len(rows))
        self.assertGreater(min(slices), 0)
        for filter_, text in (
                ({"must": {"key": "when", "range": {"gt": "soon"}}}, "range.gt: \"soon\""),
                ({"must": {"key": "when", "range": {"gt": "2024-01-01", "lt": 7}}}, "mixed"),
                ({"must": {"is_empty": {"key": "a[x]"}}}, "a[x]")):
            message = self.client.error(400, "POST", self.path + "/points/count", {"filter": filter_})
            self.assertIn(text, message)

    def test_filter_work(self):
        """Goal: many conditions on a large array are refused with the point's id, and the server
        lives on. Method: 100 conditions on 200,000 numbers; then one."""
        self.create()
        self.upsert([{"id": 5, "vector": wave(1), "payload": {"a": [1] * 200000}}])
        conditions = [{"key": "a[]", "match": {"value": i}} for i in range(2, 102)]
        message = self.client.error(400, "POST", self.path + "/points/count",
                                    {"filter": {"should": conditions}})
        self.assertIn("point 5 takes more than 16777216 bytes of payload", message)
        message = self.client.error(400, "POST", self.path + "/points/query", {
            "query": wave(0), "filter": {"should": conditions}})
        self.assertIn("point 5 takes", message)
        self.assertEqual(self.count({"should": conditions[:3] + [{"key": "a", "match": {"value": 1}}]}), 1)

    def test_tenant_path(self):
        """Goal: an index may go into arrays, tenants' islands may not."""
        self.create()
        for schema, code in (("keyword", 200), ({"type": "keyword", "is_tenant": True}, 501)):
            got, answer, _ = self.client.call("PUT", self.path + "/index", {
                "field_name": "a[].b", "field_schema": schema})
            self.assertEqual(got, code, answer)
        self.assertIn("a[].b", answer["status"]["error"])

    # -- named vectors

    def test_named_vectors(self):
        """Goal: vectors by name, of other sizes and distances, each searched by itself; points may
        lack some. Method: three vectors, every point has another subset; in the memtable, in a
        segment, merged with newer rows and after a move between tenants."""
        size = {"": 4, "text": 3, "image": 6}
        self.client.ok("PUT", self.path, {"vectors": {
            "": {"size": 4, "distance": "Cosine"},
            "text": {"size": 3, "distance": "Dot", "on_disk": True},
            "image": {"size": 6, "distance": "Euclid"}}})
        shown = self.client.ok("GET", self.path)["config"]["params"]["vectors"]
        self.assertEqual(shown, {"": {"size": 4, "distance": "Cosine"},
                                 "text": {"size": 3, "distance": "Dot", "on_disk": True},
                                 "image": {"size": 6, "distance": "Euclid"}})
        points = self.path + "/points"

        def vectors(i):
            names = [name for bit, name in enumerate(size) if (i % 8) >> bit & 1]
            return {name: [float((i * 7 + at * 3 + len(name)) % 11 - 5) for at in range(size[name])]
                    for name in names}
        self.upsert([{"id": i, "vector": vectors(i)} for i in range(40)])
        score = {"text": lambda q, v: sum(a * b for a, b in zip(q, v)),
                 "image": lambda q, v: sum((a - b) ** 2 for a, b in zip(q, v)) ** 0.5}
        have = {i: vectors(i) for i in range(40)}

        def check():
            for name, reverse in (("text", True), ("image", False)):
                query = [1.0, -2.0, 0.5, 3.0, 1.5, -1.0][:size[name]]
                got = self.client.ok("POST", points + "/query", {
                    "query": query, "using": name, "limit": 100})["points"]
                want = sorted((score[name](query, v[name]) for v in have.values() if name in v),
                              reverse=reverse)
                self.assertEqual(len(got), len(want))
                for hit, expected in zip(got, want):
                    self.assertAlmostEqual(hit["score"], expected, places=4)
                self.assertEqual({h["id"] for h in got}, {i for i, v in have.items() if name in v})
            self.assertEqual(self.count(), len(have))
            shown = self.client.ok("POST", points, {"ids": list(have), "with_vector": ["text", "image"]})
            for point in shown:
                want = {k: v for k, v in have[point["id"]].items() if k}
                self.assertEqual(point["vector"], want)
            pages = self.client.ok("POST", points + "/scroll", {"limit": 100, "with_vector": True})["points"]
            for point in pages:
                names = set(have[point["id"]])
                self.assertEqual(isinstance(point["vector"], list), names == {""})
                if names != {""}:
                    self.assertEqual(set(point["vector"]), names)
        check()
        self.assertIs(self.client.ok("POST", "/insula/flush"), True)
        check()
        for turn in range(9):  # nine more runs: they are merged
            for i in range(turn, 60, 9):
                have[i] = vectors(i + turn + 1)
            self.upsert([{"id": i, "vector": have[i]} for i in range(turn, 60, 9)])
            self.assertIs(self.client.ok("POST", "/insula/flush"), True)
            check()
        by_id = self.client.ok("POST", points + "/query", {"query": 3, "using": "text", "limit": 100}) \
            if "text" in have[3] else {"points": []}
        self.assertNotIn(3, [p["id"] for p in by_id["points"]])
        lacking = next(i for i, v in have.items() if "image" not in v)
        self.assertIn("does not have a vector named `image`", self.client.error(
            404, "POST", points + "/query", {"query": lacking, "using": "image"}))
        self.client.ok("PUT", points + "?wait=true", {"batch": {
            "ids": [500, 501], "vectors": {"text": [[1, 2, 3], [4, 5, 6]], "": [[1, 0, 0, 0], [0, 1, 0, 0]]}}})
        self.assertEqual(self.client.ok("GET", points + "/501")["vector"],
                         {"": [0, 1, 0, 0], "text": [4, 5, 6]})

    def test_datatypes(self):
        """Goal: vectors of halves and bytes come back as they are stored, and are scored as such.
        Method: each datatype and distance against Python, in the memtable and in a segment."""
        rows = {i: [round(math.sin(i * 12.9898 + at * 78.233) * 300, 3) for at in range(5)] for i in range(30)}
        query = [200.5, 0.25, -3.0, 100.125, 17.3]

        def half(v):
            return struct.unpack("<e", struct.pack("<e", v))[0]

        def unit(v):
            norm = math.sqrt(sum(x * x for x in v))
            return [x / norm for x in v] if norm else v

        def stored(datatype, distance, v):
            if datatype == "uint8":
                return [float(max(0, min(255, int(x)))) for x in v]
            v = unit(v) if distance == "Cosine" else v
            return [half(x) for x in v] if datatype == "float16" else v

        def score(datatype, distance, a, b):
            if distance == "Manhattan":
                return sum(abs(x - y) for x, y in zip(a, b))
            if distance == "Euclid":
                return math.dist(a, b)
            if distance == "Cosine" and datatype == "uint8":  # bytes were not normalised
                a, b = unit(a), unit(b)
            return sum(x * y for x, y in zip(a, b))
        kinds = [(t, d) for t in ("float32", "float16", "uint8") for d in ("Cosine", "Dot", "Euclid", "Manhattan")]
        self.client.ok("PUT", self.path, {"vectors": {
            f"{t}-{d}": {"size": 5, "distance": d, "datatype": t} for t, d in kinds}})
        shown = self.client.ok("GET", self.path)["config"]["params"]["vectors"]
        self.assertEqual(shown["uint8-Dot"], {"size": 5, "distance": "Dot", "datatype": "uint8"})
        self.upsert([{"id": i, "vector": {f"{t}-{d}": v for t, d in kinds}} for i, v in rows.items()])
        for flushed in (False, True):
            if flushed:
                self.assertIs(self.client.ok("POST", "/insula/flush"), True)
            got = self.client.ok("POST", self.path + "/points", {"ids": [3], "with_vector": True})[0]["vector"]
            for t, d in kinds:
                for a, b in zip(got[f"{t}-{d}"], stored(t, d, rows[3])):
                    self.assertAlmostEqual(a, b, delta=0 if t == "uint8" else 1e-6 * max(1, abs(b)))
                asked = stored(t, d, query)
                want = sorted((score(t, d, asked, stored(t, d, v)) for v in rows.values()),
                              reverse=d in ("Cosine", "Dot"))
                hits = self.client.ok("POST", self.path + "/points/query", {
                    "query": query, "using": f"{t}-{d}", "limit": 30})["points"]
                for hit, expected in zip(hits, want):
                    self.assertAlmostEqual(hit["score"], expected, delta=1e-4 * max(1, abs(expected)), msg=(t, d))
                half_way = want[15]
                near = self.client.ok("POST", self.path + "/points/query", {
                    "query": query, "using": f"{t}-{d}", "limit": 30, "score_threshold": half_way})["points"]
                slack = 1e-4 * max(1, abs(half_way)) * (1 if d in ("Cosine", "Dot") else -1)
                least, most = (sum((w > half_way + s) if slack > 0 else (w < half_way + s) for w in want)
                               for s in (slack, -slack))
                self.assertTrue(least <= len(near) <= most, (t, d, least, len(near), most))
        self.assertIn("beyond the range of float16", self.client.error(
            400, "PUT", self.path + "/points",
            {"points": [{"id": 1, "vector": {"float16-Dot": [1, 2, 3, 4, 65520]}}]}))
        self.assertIn("beyond the range of float16", self.client.error(
            400, "POST", self.path + "/points/query",
            {"query": [1, 2, 3, 4, -1e6], "using": "float16-Dot"}))

    def test_named_vectors_bad(self):
        """Goal: what is wrong with vectors is named, and changes nothing."""
        params = {"size": 3, "distance": "Dot"}
        new, points = "/collections/new_named", self.path + "/points"
        self.client.ok("PUT", self.path, {"vectors": {"a": params}})
        many = {f"v{i}": params for i in range(65)}
        cases = [
            (422, "PUT", new, {"vectors": many}, "at most 64"),
            (422, "PUT", new, {"vectors": {"x" * 201: params}}, "at most 200"),
            (422, "PUT", new, {"vectors": {"a/b": params}}, "cannot contain"),
            (400, "PUT", new, {"vectors": {"a": {"distance": "Dot"}}}, "vectors.a.size"),
            (422, "PUT", new, {"vectors": {"a": {"size": 0, "distance": "Dot"}}}, "vectors.a.size: value 0"),
            (400, "PUT", new, {"vectors": {"a": {"size": 3, "distance": "Far"}}}, "vectors.a.distance"),
            (400, "PUT", new, {"vectors": {"a": dict(params, multivector_config={"comparator": "sum"})}},
             "vectors.a.multivector_config.comparator"),
            (422, "PUT", new, {"vectors": {f"v{i}": {"size": 65536, "distance": "Dot"} for i in range(4)}},
             "the limit is 786432"),
            (400, "PUT", points, {"points": [{"id": 1, "vector": {"b": [1, 2, 3]}}]},
             "Not existing vector name error: b"),
            (400, "PUT", points, {"points": [{"id": 1, "vector": [1, 2, 3]}]},
             "Not existing vector name error: "),
            (400, "PUT", points, {"points": [{"id": 1, "vector": {"a": [1, 2]}}]}, "expected dim: 3, got 2"),
            (400, "PUT", points, {"points": [{"id": 1, "vector": {"a": [[1, 2, 3]]}}]},
             "Conversion between multi and regular vectors failed"),
            (501, "PUT", points, {"points": [{"id": 1, "vector": {"a": {"indices": [1], "values": [1]}}}]},
             "sparse"),
            (400, "PUT", points, {"points": [{"id": 1, "vector": {"a": [1, 2, "x"]}}]}, "vector.a[2]"),
            (400, "PUT", points, {"batch": {"ids": [1, 2, 3], "vectors": {"a": [1, 2, 3]}}},
             "batch.vectors.a[0]"),
            (400, "POST", points + "/query", {"query": [1, 2, 3]}, "Not existing vector name error: "),
            (400, "POST", points + "/scroll", {"with_vector": ["b"]}, "Not existing vector name error: b"),
            (422, "PUT", points, {"batch": {"ids": [1], "vectors": {"a": []}}}, "batch.vectors.a"),
        ]
        for code, method, path, body, says in cases:
            self.assertIn(says, self.client.error(code, method, path, body), body)
        self.assertEqual(self.count(), 0)
        self.assertFalse(self.client.ok("GET", new + "/exists")["exists"])

    # -- other orders, groups, values

    def fill(self, tenants):
        """40 points in two flushes: numbers, arrays, moments, texts, some lacking, half of them overwritten."""
        self.create("Cosine")
        if tenants:
            self.client.ok("PUT", self.path + "/index?wait=true",
                           {"field_name": "who", "field_schema": {"type": "keyword", "is_tenant": True}})
        points = [{"id": i, "vector": wave(i), "payload": {
            "who": "abc"[i % 3], "n": [i, 100 + i] if i % 10 == 0 else i % 7, "x": i / 4,
            **({"when": f"2024-01-{i % 28 + 1:02}T00:00:00Z", "tags": ["t\u00e9", f"k{i % 4}", "t\u00e9"]} if i % 2 else {})}}
            for i in range(40)]
        self.upsert(points[:25])
        self.client.ok("POST", "/insula/flush")
        self.upsert(points[20:])
        return {point["id"]: point for point in points}

    def query(self, query, **more):
        return self.client.ok("POST", self.path + "/points/query", {"query": query, **more})["points"]

    def test_order_by(self):
        """Goal: scroll and query in the order of a field: numbers of all kinds, arrays, moments, both
        directions, start, in islands and without. Method: the same sorted in Python."""
        for tenants in (False, True):
            points = self.fill(tenants)
            values = lambda p: [v for v in ([p["payload"].get("n")] if not isinstance(p["payload"]["n"], list) else p["payload"]["n"])]
            expect = sorted((v, i) for i, p in points.items() for v in values(p))
            got = self.client.ok("POST", self.path + "/points/scroll", {"order_by": "n", "limit": 100})
            self.assertIsNone(got["next_page_offset"])
            self.assertEqual([(p["order_value"], p["id"]) for p in got["points"]], expect)
            self.assertEqual(got["points"][0]["payload"], points[got["points"][0]["id"]]["payload"])
            got = self.query({"order_by": {"key": "n", "direction": "desc", "start_from": 5}}, limit=20, offset=3)
            down = sorted(((v, i) for v, i in expect if v <= 5), key=lambda pair: (-pair[0], pair[1]))
            self.assertEqual([(p["order_value"], p["id"]) for p in got], down[3:23])
            got = self.client.ok("POST", self.path + "/points/scroll", {
                "order_by": {"key": "when", "start_from": "2024-01-10T00:00:00+00:00"}, "limit": 5,
                "filter": {"must": [{"key": "who", "match": {"value": "a"}}]}})["points"]
            when = sorted((p["payload"]["when"], i) for i, p in points.items()
                          if "when" in p["payload"] and p["payload"]["who"] == "a" and p["payload"]["when"] >= "2024-01-10")
            self.assertEqual([p["id"] for p in got], [i for _, i in when][:5])
            self.assertEqual(self.query({"order_by": "absent"}), [])
            for code, body in ((400, {"order_by": 7}), (400, {"order_by": {"key": "n", "direction": "up"}}),
                               (400, {"order_by": {"key": "n", "start_from": "soon"}}), (400, {"order_by": "n", "offset": 3}),
                               (400, {"order_by": {}}), (400, {"order_by": ""}), (422, {"order_by": "n", "limit": 20000})):
                self.client.error(code, "POST", self.path + "/points/scroll", body)
            self.client.ok("DELETE", self.path)

    def test_facet(self):
        """Goal: values with their counts, arrays and the tenant field too. Method: counted in Python."""
        for tenants in (False, True):
            points = self.fill(tenants)
            facet = lambda **body: [(hit["value"], hit["count"]) for hit in
                                    self.client.ok("POST", self.path + "/facet", body)["hits"]]
            self.assertEqual(facet(key="who"), [("a", 14), ("b", 13), ("c", 13)])
            self.assertEqual(facet(key="tags", limit=2), [("t\u00e9", 20), ("k1", 10)])
            self.assertEqual(facet(key="tags", exact=True, filter={"must": [{"key": "who", "match": {"value": "b"}}]})[0],
                             ("t\u00e9", sum(p["payload"]["who"] == "b" and "tags" in p["payload"] for p in points.values())))
            self.assertEqual(facet(key="x"), [])
            self.assertEqual(dict(facet(key="n", limit=100))[100], 1)
            for code, body in ((400, {}), (400, {"key": ""}), (422, {"key": "n", "limit": 0}), (400, {"key": "n", "shard_key": "a"})):
                self.client.error(code, "POST", self.path + "/facet", body)
            self.client.ok("DELETE", self.path)

    def test_groups(self):
        """Goal: the best groups and the best of each, best first. Method: the whole search, grouped in Python."""
        for tenants in (False, True):
            self.fill(tenants)
            hits = self.query(wave(77), limit=40, with_payload=True)
            for key, kind in (("who", str), ("tags", str), ("n", int)):
                expect = {}
                for hit in hits:
                    values = hit["payload"].get(key, [])
                    for value in dict.fromkeys(values if isinstance(values, list) else [values]):
                        expect.setdefault(value, []).append(hit["id"])
                order = [hit["id"] for hit in hits]  # groups with the same best hit stand by value
                expect = dict(sorted(expect.items(), key=lambda pair: (order.index(pair[1][0]), pair[0])))
                for path, body in (("/points/query/groups", {"query": wave(77)}), ("/points/search/groups", {"vector": wave(77)})):
                    got = self.client.ok("POST", self.path + path, {**body, "group_by": key, "group_size": 2, "limit": 3, "with_payload": True})["groups"]
                    self.assertEqual([(g["id"], [h["id"] for h in g["hits"]]) for g in got],
                                     [(value, ids[:2]) for value, ids in expect.items()][:3], key)
                    self.assertTrue(all(isinstance(g["id"], kind) for g in got))
            self.assertEqual(len(self.client.ok("POST", self.path + "/points/query/groups", {"group_by": "who"})["groups"]), 3)
            self.client.ok("POST", self.path + "/points/recommend/groups", {"positive": [1], "group_by": "who", "group_size": 1, "limit": 3})
            for code, body in ((400, {}), (400, {"group_by": 3}), (422, {"group_by": "who", "group_size": 0}), (501, {"group_by": "who", "with_lookup": "x"}),
                               (422, {"group_by": "who", "group_size": 2000, "limit": 2000})):
                self.client.error(code, "POST", self.path + "/points/query/groups", {"query": wave(1), **body})
            self.client.ok("DELETE", self.path)

    def test_batches(self):
        """Goal: a batch is its searches, in order, or the first error. Method: each alone."""
        self.fill(True)
        searches = [{"query": wave(i), "limit": i} for i in range(1, 6)] + [
            {"query": 3}, {}, {"query": {"order_by": "x"}}, {"query": {"recommend": {"positive": [1, 2]}}, "with_vector": True}]
        got = self.client.ok("POST", self.path + "/points/query/batch", {"searches": searches})
        self.assertEqual(got, [self.client.ok("POST", self.path + "/points/query", search) for search in searches])
        old = [{"vector": wave(i), "limit": 3} for i in range(70)]
        self.assertEqual(self.client.ok("POST", self.path + "/points/search/batch", {"searches": old}),
                         [self.client.ok("POST", self.path + "/points/search", search) for search in old])
        self.assertEqual(self.client.ok("POST", self.path + "/points/query/batch", {"searches": []}), [])
        for path, body in (("recommend", {"positive": [1], "limit": 2}), ("discover", {"target": 1, "context": [{"positive": 2, "negative": 3}], "limit": 4})):
            self.assertEqual(self.client.ok("POST", f"{self.path}/points/{path}/batch", {"searches": [body, body]}),
                             [self.client.ok("POST", f"{self.path}/points/{path}", body)] * 2)
        for code, body in ((400, {}), (400, {"searches": 1}), (400, {"searches": [1]}), (400, {"searches": [{}] * 257}),
                           (404, {"searches": [{"query": 1}, {"query": 999}]}), (400, {"searches": [{"query": [1]}]}),
                           (422, {"searches": [{"limit": 0}]})):
            self.client.error(code, "POST", self.path + "/points/query/batch", body)

    def test_rank_bad(self):
        """Goal: wrong examples are explained. Method: each kind of mistake."""
        self.fill(False)
        for code, query in ((404, {"recommend": {"positive": [999]}}), (400, {"recommend": {"positive": [[1, 2]]}}),
                            (400, {"recommend": {"negative": [1]}}), (422, {"recommend": {}}), (400, {"recommend": {"positive": 1}}),
                            (400, {"recommend": {"positive": [1], "strategy": "best"}}), (422, {"recommend": {"strategy": "best_score"}}),
                            (400, {"discover": {}}), (400, {"discover": {"target": 1, "context": [{"positive": 1}]}}),
                            (400, {"context": 7}), (400, {"sample": "all"}), (501, {"fusion": "rrf"}),
                            (400, {"recommend": 1}), (404, {"discover": {"target": 999}}),
                            (501, {"recommend": {"positive": [{"indices": [1], "values": [1]}]}})):
            self.client.error(code, "POST", self.path + "/points/query", {"query": query})
        self.client.error(404, "POST", "/collections/absent/points/query", {"query": {"sample": "random"}})
        sample = self.query({"sample": "random"}, limit=40)
        self.assertEqual(sorted(p["id"] for p in sample), list(range(40)))
        self.assertNotEqual([p["id"] for p in sample], [p["id"] for p in self.query({"sample": "random"}, limit=40)])

    # -- bad input

    def test_bad_input(self):
        """Goal: a clear error names field, value and limit, and nothing changes."""
        self.create()
        points, query = self.path + "/points", self.path + "/points/query"
        cases = [
            (400, "PUT", points, "{", "line 1 column"),
            (400, "PUT", points, b'{"points": "\xff"}', "Format error in JSON body"),
            (400, "PUT", points, {"points": [{"id": 1, "vector": [1, 2, 3]}]},
             "Wrong input: Vector dimension error: expected dim: 4, got 3"),
            (400, "PUT", points, '{"points":[{"id":1,"vector":[1,NaN,3,4]}]}', "Format error"),
            (400, "PUT", points, {"points": [{"id": 1}]}, "points[0].vector"),
            (400, "PUT", points, {"points": [{"id": "x", "vector": wave(1)}]}, "points[0].id"),
            (400, "PUT", points, {"points": [{"id": 1, "vector": wave(1)},
                                             {"id": -1, "vector": wave(1)}]}, "points[1].id"),
            (400, "POST", query, {"query": [1]}, "expected dim: 4, got 1"),
            (422, "POST", query, {"query": wave(1), "limit": 0},
             "value 0 invalid, must be 1 or larger"),
            (501, "POST", query, {"query": {"fusion": "rrf"}}, "query.fusion"),
            (400, "POST", query, {"query": wave(1), "using": "image"},
             "Wrong input: Not existing vector name error: image"),
            (404, "PUT", "/collections/none/points", {"points": []}, "`none` doesn't exist!"),
            (400, "POST", query, "[" * 100, "Format error"),
            (413, "PUT", points, {"points": [{"id": 1, "vector": wave(1),
                                              "payload": {"a": "x" * (1 << 20)}}]}, "1048576"),
            (422, "PUT", "/collections/new", {"vectors": {"size": 65537, "distance": "Dot"}},
             "[vectors.size: value 65537 invalid, must be from 1 to 65536]"),
        ]
        for code, method, path, body, says in cases:
            self.assertIn(says, self.client.error(code, method, path, body))
        self.assertEqual(self.count(), 0)
        self.assertFalse(self.client.ok("GET", "/collections/new/exists")["exists"])

    def test_body_limit(self):
        """Goal: 32 MiB is the limit of a body, and the refusal can be read. Method: one byte more."""
        raw = socket.create_connection(("127.0.0.1", self.server.port))
        raw.sendall(b"PUT /collections/x HTTP/1.1\r\nContent-Type: application/json\r\n"
                    b"Content-Length: 33554433\r\n\r\n")
        self.assertIn(b"413 Payload Too Large", raw.recv(1000))
        raw.close()

    def test_large(self):
        """Goal: 1,536 dimensions in batches of some MiB. Method: 300 points, then all of them back."""
        self.create(dim=1536)
        points = [{"id": i, "vector": wave(i, 1536), "payload": {"i": i}} for i in range(300)]
        self.upsert(points)
        self.assertEqual(self.count(), 300)
        page = self.client.ok("POST", self.path + "/points/scroll",
                              {"limit": 300, "with_vector": True})["points"]
        for point, given in zip(page, points):
            self.assertEqual(f32(point["vector"][7]), f32(given["vector"][7]))
        hit = self.client.ok("POST", self.path + "/points/query",
                             {"query": points[5]["vector"], "limit": 1})
        self.assertEqual(hit["points"][0]["id"], 5)

    # -- many at once, restarts

    def test_parallel(self):
        """Goal: writers and readers on many connections see whole points. Method: 8 writers of one
        tenant each, 4 readers; at the end everything acknowledged is there."""
        self.create()
        self.client.ok("PUT", self.path + "/index?wait=true", {
            "field_name": "t", "field_schema": {"type": "keyword", "is_tenant": True}})
        failures = []

        def write(t):
            try:
                client = Client(self.server)
                for i in range(60):
                    client.ok("PUT", self.path + "/points", {"points": [
                        {"id": t * 1000 + i, "vector": wave(i), "payload": {"t": str(t), "i": i}}]})
            except BaseException as failure:
                failures.append(failure)

        def read(t):
            try:
                client = Client(self.server)
                for _ in range(60):
                    hits = client.ok("POST", self.path + "/points/query", {
                        "query": wave(1), "limit": 50, "with_payload": True,
                        "filter": {"must": [{"key": "t", "match": {"value": str(t)}}]}})["points"]
                    assert all(h["payload"]["t"] == str(t) for h in hits)
                    assert len({h["id"] for h in hits}) == len(hits)
            except BaseException as failure:
                failures.append(failure)
        threads = [threading.Thread(target=write, args=(t,)) for t in range(8)]
        threads += [threading.Thread(target=read, args=(t,)) for t in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        self.assertEqual(self.count(), 480)


class RestartTest(unittest.TestCase):
    def test_live_vectors(self):
        """Goal: named vectors are added to a collection and dropped from it while it holds points,
        and none ever shows another one's values. Method: a model in Python; vectors of the same
        name and another size come and go; between the steps flushes, merges, kills and clean ends."""
        server = Server()
        try:
            client, path, sizes, rows = Client(server), "/collections/v", {}, {}
            client.ok("PUT", path, {"vectors": {"size": 4, "distance": "Dot"}})
            chance = random.Random(11)

            def values(size):
                return [float(chance.randint(-9, 9)) for _ in range(size)]

            def upsert(ids):
                for i in ids:
                    rows[i] = {name: values(size) for name, size in sizes.items() if chance.random() < 0.6}
                    rows[i][""] = values(4)
                client.ok("PUT", path + "/points?wait=true", {"points": [
                    {"id": i, "vector": rows[i]} for i in ids]})

            def check():
                page = client.ok("POST", path + "/points/scroll", {"limit": 1000, "with_vector": True})["points"]
                got = {p["id"]: p["vector"] if isinstance(p["vector"], dict) else {"": p["vector"]} for p in page}
                self.assertEqual(got, rows)
                for name, size in list(sizes.items()) + [("", 4)]:
                    query = values(size)
                    hits = client.ok("POST", path + "/points/query", {"query": query, "using": name, "limit": 1000})
                    want = {i: sum(a * b for a, b in zip(query, v[name])) for i, v in rows.items() if name in v}
                    self.assertEqual({h["id"]: h["score"] for h in hits["points"]}, want)
            for turn in range(24):
                name = chance.choice(["a", "b", "c"])
                if name in sizes:
                    client.ok("DELETE", f"{path}/vectors/{name}?wait=true")
                    del sizes[name]
                    for row in rows.values():
                        row.pop(name, None)
                    self.assertIn("Not existing vector name error: " + name, client.error(
                        400, "POST", path + "/points/query", {"query": [1], "using": name}))
                else:
                    sizes[name] = chance.randint(1, 6)
                    client.ok("PUT", f"{path}/vectors/{name}?wait=true",
                              {"dense": {"size": sizes[name], "distance": "Dot"}})
                check()
                upsert(chance.sample(range(60), 12))
                check()
                if chance.random() < 0.6:
                    client.ok("POST", "/insula/flush")
                    check()
                if turn % 6 == 5:
                    if turn % 12 == 5:
                        server.process.kill()
                        server.process.wait()
                    else:
                        self.assertEqual(server.stop()[0], 0)
                    server.process.stdout.close()
                    server.start()
                    client = Client(server)
                    check()
            shown = client.ok("GET", path)["config"]["params"]["vectors"]
            self.assertEqual({n: p["size"] for n, p in shown.items()} if sizes else {"": shown["size"]},
                             dict(sizes, **{"": 4}))
            cases = [
                (501, "PUT", "/vectors/x", {"sparse": {}}, "sparse"),
                (400, "PUT", "/vectors/x", {}, "missing field `dense`"),
                (400, "PUT", "/vectors/x", {"dense": {"size": 3}}, "vectors.x.distance"),
                (501, "PUT", "/vectors/x", {"dense": {"size": 3, "distance": "Dot", "datatype": "turbo4"}},
                 "vectors.x.datatype"),
                (422, "PUT", "/vectors/a%3Cb", {"dense": {"size": 3, "distance": "Dot"}}, "cannot contain"),
                (400, "DELETE", "/vectors/x", None, "Not existing vector name error: x"),
            ]
            for code, method, where, body, says in cases:
                self.assertIn(says, client.error(code, method, path + where, body), where)
            client.ok("PUT", path + "/vectors/d", {"dense": {"size": 3, "distance": "Dot"}})
            self.assertIn("already exists", client.error(
                409, "PUT", path + "/vectors/d", {"dense": {"size": 3, "distance": "Dot"}}))
            self.assertEqual(server.stop()[0], 0)
            server.process.stdout.close()
            found = subprocess.run([PROGRAM, "check", server.directory], capture_output=True, text=True)
            self.assertEqual(found.returncode, 0, found.stdout + found.stderr)
            server.start()
        finally:
            server.remove()

    def test_restart(self):
        """Goal: what was acknowledged is there after SIGTERM and after kill -9; exit codes and
        `insula check` are right. Method: fill, end, start, compare, five times over."""
        server = Server()
        try:
            expected = {}
            for round_ in range(5):
                client = Client(server)
                if round_ == 0:
                    client.ok("PUT", "/collections/r", {"vectors": {"size": 4, "distance": "Dot"},
                                                        "metadata": {"kept": True}})
                    client.ok("PUT", "/collections/r/index", {
                        "field_name": "t", "field_schema": {"type": "keyword", "is_tenant": True}})
                for i in range(round_ * 20, round_ * 20 + 30):
                    payload = {"t": f"t{i % 7}", "round": round_}
                    client.ok("PUT", "/collections/r/points", {"points": [
                        {"id": i, "vector": wave(i), "payload": payload}]})
                    expected[i] = payload
                if round_ == 2:
                    client.ok("POST", "/insula/flush")
                if round_ % 2 == 0:
                    code, rest = server.stop()
                    self.assertEqual(code, 0, rest)
                else:
                    server.process.kill()
                    server.process.wait()
                server.process.stdout.close()
                if round_ % 2 == 0:
                    check = subprocess.run([PROGRAM, "check", server.directory],
                                           capture_output=True, text=True)
                    self.assertEqual(check.returncode, 0, check.stdout + check.stderr)
                server.start()
                client = Client(server)
                page = client.ok("POST", "/collections/r/points/scroll", {"limit": 1000})["points"]
                self.assertEqual({p["id"]: p["payload"] for p in page}, expected)
                info = client.ok("GET", "/collections/r")
                self.assertEqual(info["config"]["metadata"], {"kept": True})
                self.assertEqual(info["points_count"], len(expected))
        finally:
            server.remove()

    def test_second_server(self):
        """Goal: one directory has one server. Method: start a second on the same."""
        server = Server()
        try:
            second = subprocess.run([PROGRAM, "serve", "--data", server.directory, "--http-port", "0"],
                                    capture_output=True, text=True, timeout=30)
            self.assertEqual(second.returncode, 1)
            self.assertNotEqual(second.stderr, "")
        finally:
            server.remove()

    def test_arguments(self):
        """Goal: wrong arguments are explained, help and version work."""
        def run(*arguments):
            done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=30)
            return done.returncode, done.stdout, done.stderr
        self.assertEqual(run("version")[0], 0)
        self.assertEqual(run("help", "serve")[0], 0)
        for arguments in (("nonsense",), ("serve", "--http-port", "70000"), ("serve", "--what"),
                          ("serve", "--memory-budget", "much"), ("serve", "--connections", "0"),
                          ("serve", "--client-timeout", "0"), ("serve", "--cors", "perhaps"), ("check",), ("help", "nonsense")):
            code, _, error = run(*arguments)
            self.assertEqual(code, 2, arguments)
            self.assertNotEqual(error, "")
        with tempfile.TemporaryDirectory() as directory:
            code, _, error = run("serve", "--data", directory, "--http-port", "0",
                                 "--memory-budget", "1M")
            self.assertEqual(code, 1)
            self.assertIn("at least 268435456", error)


def take_program():
    """PATH-OF-INSULA and, before it, --loops=N: every server has N event loops, and connections on
    all of them."""
    if sys.argv[1].startswith("--loops="):
        EXTRA.extend(["--loops", sys.argv.pop(1).split("=")[1], "--inline", "1"])
    return os.path.abspath(sys.argv.pop(1))


if __name__ == "__main__":
    PROGRAM = take_program()
    unittest.main(verbosity=2, warnings="ignore")
