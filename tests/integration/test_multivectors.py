#!/usr/bin/env python3
"""Multivectors over REST: goal and method stand at each test.

Run:  test_multivectors.py PATH-OF-INSULA [name of a test ...]
"""
import math
import random
import struct
import unittest

import test_rest
from test_rest import Client, ServerTest

MAX_SIM = {"comparator": "max_sim"}
DISTANCES = ("Cosine", "Dot", "Euclid", "Manhattan")
DATATYPES = ("float32", "float16", "uint8")


def rounded(value, datatype):
    if datatype == "uint8":
        return float(min(255, max(0, math.trunc(value))))
    return struct.unpack("e" if datatype == "float16" else "f",
                         struct.pack("e" if datatype == "float16" else "f", value))[0]


def stored(row, distance, datatype):
    if distance == "Cosine" and datatype != "uint8":
        length = math.sqrt(sum(x * x for x in row)) or 1.0
        row = [x / length for x in row]
    return [rounded(x, datatype) for x in row]


def similarity(a, b, distance, datatype):
    if distance == "Euclid":
        return -sum((x - y) ** 2 for x, y in zip(a, b))
    if distance == "Manhattan":
        return -sum(abs(x - y) for x, y in zip(a, b))
    dot = sum(x * y for x, y in zip(a, b))
    if distance == "Cosine" and datatype == "uint8":
        lengths = math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))
        return dot / lengths if lengths else 0.0
    return dot


def max_sim(query, rows, distance, datatype):
    """As it is shown."""
    query, rows = ([stored(row, distance, datatype) for row in side] for side in (query, rows))
    total = sum(max(similarity(q, row, distance, datatype) for row in rows) for q in query)
    if distance == "Euclid":
        return math.sqrt(-total)
    return -total if distance == "Manhattan" else total


class MultivectorTest(ServerTest):
    def setUp(self):
        super().setUp()
        self.random = random.Random(self.path)

    def create(self, **vectors):
        """Vectors by name, ("size", "distance" ...); `unnamed`: that one alone."""
        self.client.ok("PUT", self.path, {"vectors": vectors.pop("unnamed", None) or vectors})

    def upsert(self, points):
        self.client.ok("PUT", self.path + "/points?wait=true", {"points": points})

    def flush(self):
        self.client.ok("POST", "/insula/flush")

    def query(self, query, **more):
        return self.client.ok("POST", self.path + "/points/query", {"query": query, **more})["points"]

    def vector_of(self, id):
        return self.client.ok("GET", f"{self.path}/points/{id}")["vector"]

    def rows(self, dim, most, scale=1.0):
        return [[self.random.uniform(-1, 1) * scale for _ in range(dim)] for _ in range(self.random.randint(1, most))]

    def check_query(self, query, points, distance, datatype, limit=10, wanted=None, **more):
        """`points`: id → rows of those that may be found."""
        best = sorted(((max_sim(query, rows, distance, datatype), id) for id, rows in points.items()),
                      reverse=distance in ("Cosine", "Dot"))[:limit]
        hits = self.query(query, limit=limit, **more)
        self.assertEqual(len(hits), len(best))
        for hit, (score, _) in zip(hits, best):
            self.assertAlmostEqual(hit["score"], score, delta=2e-3 * max(1, abs(score)))
            own = max_sim(query, points[hit["id"]], distance, datatype)
            self.assertAlmostEqual(hit["score"], own, delta=2e-3 * max(1, abs(own)))

    def test_kinds(self):
        """Goal: every metric with every datatype, in memory and in files, beside a plain vector.
        Method: random rows against a sum of maxima in Python."""
        for distance in DISTANCES:
            for datatype in DATATYPES:
                with self.subTest(distance=distance, datatype=datatype):
                    self.client.call("DELETE", self.path)
                    self.create(rows={"size": 5, "distance": distance, "datatype": datatype,
                                      "multivector_config": MAX_SIM},
                                plain={"size": 3, "distance": "Dot"})
                    scale = 200.0 if datatype == "uint8" else 1.0
                    points = {id: self.rows(5, 7, scale) for id in range(60)}
                    self.upsert([{"id": id, "vector": {"rows": rows, "plain": [id, 1, 2]}}
                                 for id, rows in points.items()])
                    self.upsert([{"id": id, "vector": {"plain": [id, 1, 2]}} for id in range(100, 110)])
                    for turn in range(2):
                        for _ in range(3):
                            query = self.rows(5, 4, scale)
                            self.check_query(query, points, distance, datatype, using="rows")
                        one = self.vector_of(7)
                        self.assertEqual(one["plain"], [7, 1, 2])
                        for row, given in zip(one["rows"], points[7]):
                            for x, y in zip(row, stored(given, distance, datatype)):
                                self.assertAlmostEqual(x, y, delta=1e-3)
                        self.assertEqual(len(one["rows"]), len(points[7]))
                        if turn == 0:
                            self.flush()

    def test_unnamed(self):
        """Goal: the unnamed vector as a multivector; a flat vector counts as one row, in points and in
        queries; config is shown."""
        self.create(unnamed={"size": 2, "distance": "Dot", "multivector_config": MAX_SIM})
        shown = self.client.ok("GET", self.path)["config"]["params"]["vectors"]
        self.assertEqual(shown["multivector_config"], MAX_SIM)
        self.upsert([{"id": 1, "vector": [[1, 0], [0, 1]]}, {"id": 2, "vector": [3, 0]}])
        self.assertEqual(self.vector_of(1), [[1, 0], [0, 1]])
        self.assertEqual(self.vector_of(2), [[3, 0]])
        self.assertEqual([(p["id"], p["score"]) for p in self.query([1, 1])], [(2, 3), (1, 1)])
        self.assertEqual([(p["id"], p["score"]) for p in self.query([[1, 0], [0, 1]])], [(2, 3), (1, 2)])
        old = self.client.ok("POST", self.path + "/points/search", {"vector": [[1, 0], [0, 1]], "limit": 1})
        self.assertEqual([(p["id"], p["score"]) for p in old], [(2, 3)])
        nearest = self.query({"nearest": [[0, 1]]}, with_vector=True, score_threshold=0.5)
        self.assertEqual([(p["id"], p["vector"]) for p in nearest], [(1, [[1, 0], [0, 1]])])
        page = self.client.ok("POST", self.path + "/points/scroll", {"with_vector": True})["points"]
        self.assertEqual([p["vector"] for p in page], [[[1, 0], [0, 1]], [[3, 0]]])

    def test_life(self):
        """Goal: overwrites, updates and deletes of multivectors, vectors that are added and dropped,
        through flushes, merges and a restart. Method: a dict of what should be there."""
        self.create(a={"size": 4, "distance": "Euclid", "multivector_config": MAX_SIM},
                    b={"size": 2, "distance": "Dot"})
        there = {}
        points = self.path + "/points"
        for turn in range(12):
            for id in self.random.sample(range(50), 12):
                there[id] = {"a": self.rows(4, 6), "b": [id, turn]}
                if self.random.random() < 0.3:
                    del there[id]["a"]
                self.upsert([{"id": id, "vector": there[id], "payload": {"turn": turn}}])
            some = self.random.sample(sorted(there), 6)
            for id in some[:3]:
                there[id]["a"] = self.rows(4, 6)
            self.client.ok("PUT", points + "/vectors?wait=true",
                           {"points": [{"id": id, "vector": {"a": there[id]["a"]}} for id in some[:3]]})
            for id in some[3:5]:
                there[id].pop("a", None)
            self.client.ok("POST", points + "/vectors/delete?wait=true", {"points": some[3:5], "vector": ["a"]})
            self.client.ok("POST", points + "/payload?wait=true", {"points": some, "payload": {"seen": turn}})
            self.client.ok("POST", points + "/delete?wait=true", {"points": some[5:]})
            del there[some[5]]
            if turn % 2 == 1:
                self.flush()
            if turn == 8:
                self.server.stop()
                self.server.start()
                self.client = Client(self.server)
            self.check_there(there)
        add = {"dense": {"size": 3, "distance": "Dot", "multivector_config": MAX_SIM}}
        self.client.ok("PUT", self.path + "/vectors/c", add)
        id = min(there)
        there[id]["c"] = [[1, 2, 3], [4, 5, 6]]
        self.client.ok("PUT", points + "/vectors?wait=true", {"points": [{"id": id, "vector": {"c": there[id]["c"]}}]})
        self.flush()
        self.assertEqual(self.query([1, 1, 1], using="c")[0]["score"], 15)
        self.client.ok("DELETE", self.path + "/vectors/a")
        for vectors in there.values():
            vectors.pop("a", None)
        page = self.client.ok("POST", points + "/scroll", {"with_vector": True, "limit": 100})["points"]
        self.assertEqual({p["id"]: p["vector"] for p in page}, there)

    def check_there(self, there):
        page = self.client.ok("POST", self.path + "/points/scroll", {"with_vector": True, "limit": 100})["points"]
        self.assertEqual({p["id"] for p in page}, set(there))
        for point in page:
            wanted = there[point["id"]]
            self.assertEqual(set(point["vector"]), set(wanted))
            self.assertEqual(point["vector"]["b"], wanted["b"])
            for row, given in zip(point["vector"].get("a", []), wanted.get("a", [])):
                self.assertEqual([test_rest.f32(x) for x in given], [test_rest.f32(x) for x in row])
            self.assertEqual(len(point["vector"].get("a", [])), len(wanted.get("a", [])))
        with_rows = {id: vectors["a"] for id, vectors in there.items() if "a" in vectors}
        self.check_query(self.rows(4, 3), with_rows, "Euclid", "float32", limit=20, using="a")
        has = {"must": [{"has_vector": "a"}]}
        count = self.client.ok("POST", self.path + "/points/count", {"filter": has, "exact": True})["count"]
        self.assertEqual(count, len(with_rows))

    def test_large(self):
        """Goal: values that cross chunks of files and steps of a search; filters with and without an
        index; a query by id. Method: rows of 1 KiB, up to 700 a point, one of the largest."""
        dim = 256
        self.create(rows={"size": dim, "distance": "Dot", "multivector_config": MAX_SIM})
        counts = {id: [1, 3, 700, 40, 520][id % 5] for id in range(20)}

        def rows(id):
            return [[(id * 7 + i) % 11 - 5, i % 13 - 6] + [0] * (dim - 2) for i in range(counts[id])]

        points = {id: rows(id) for id in counts}
        for id, value in points.items():
            self.upsert([{"id": id, "vector": {"rows": value}, "payload": {"third": id % 3, "plain": id % 4}}])
        self.client.ok("PUT", self.path + "/index?wait=true", {"field_name": "third", "field_schema": "integer"})
        for turn in range(2):
            for id in (2, 4, 7):
                self.assertEqual(self.vector_of(id)["rows"], points[id])
            query = [[1, 2] + [0] * (dim - 2), [-1, 0.5] + [0] * (dim - 2)]
            small = {id: [row[:2] for row in value] for id, value in points.items()}
            for key, mod in (("third", 3), ("plain", 4)):
                some = {id: value for id, value in small.items() if id % mod == 1}
                chosen = {"must": [{"key": key, "match": {"value": 1}}]}
                for exact in (False, True):
                    hits = self.query(query, using="rows", limit=5, filter=chosen, params={"exact": exact})
                    best = sorted((max_sim([q[:2] for q in query], value, "Dot", "float32")
                                   for value in some.values()), reverse=True)[:5]
                    self.assertEqual([hit["score"] for hit in hits], best)
            hits = self.query(2, using="rows", limit=3)
            self.assertNotIn(2, [hit["id"] for hit in hits])
            best = sorted((max_sim(small[2], value, "Dot", "float32")
                           for id, value in small.items() if id != 2), reverse=True)[:3]
            for hit, score in zip(hits, best):
                self.assertAlmostEqual(hit["score"], score, delta=1e-3 * abs(score))
            self.flush()

    def test_ranks(self):
        """Goal: recommend, discover, context and groups mean what they mean for plain vectors: a
        multivector of one row gives the same. Method: one collection with both."""
        self.create(multi={"size": 3, "distance": "Cosine", "multivector_config": MAX_SIM},
                    plain={"size": 3, "distance": "Cosine"})
        rows = {id: self.rows(3, 1)[0] for id in range(30)}
        self.upsert([{"id": id, "vector": {"multi": [row], "plain": row}, "payload": {"k": id % 4}}
                     for id, row in rows.items()])
        pairs = [{"positive": 1, "negative": 2}, {"positive": [1, 0, 0], "negative": 5}]
        multi_pairs = [pairs[0], {"positive": [[1, 0, 0]], "negative": 5}]
        queries = [({"recommend": {"positive": [1, 2], "negative": [3], "strategy": strategy}},) * 2
                   for strategy in ("best_score", "sum_scores")]
        queries += [({"discover": {"target": 4, "context": multi_pairs}}, {"discover": {"target": 4, "context": pairs}}),
                    ({"context": multi_pairs}, {"context": pairs})]
        for multi, plain in queries:
            ours, theirs = (self.query(query, using=using) for query, using in ((multi, "multi"), (plain, "plain")))
            self.assertEqual(len(ours), 10)
            for a, b in zip(ours, theirs):
                self.assertAlmostEqual(a["score"], b["score"], places=5)
        average = {"recommend": {"positive": [1, [[0, 1, 0], [1, 0, 0]]], "negative": [3]}}
        for hit in self.query(average, using="multi"):
            query = [rows[1], [0, 1, 0], [1, 0, 0], [-x for x in rows[3]]]
            self.assertAlmostEqual(hit["score"], max_sim(query, [rows[hit["id"]]], "Cosine", "float32"), places=5)
        body = {"query": [[1, 0, 0], [0, 0, 1]], "using": "multi", "group_by": "k", "limit": 4, "group_size": 2}
        groups = self.client.ok("POST", self.path + "/points/query/groups", body)["groups"]
        self.assertEqual(len(groups), 4)
        for group in groups:
            for hit in group["hits"]:
                self.assertEqual(hit["id"] % 4, group["id"])
                score = max_sim(body["query"], [rows[hit["id"]]], "Cosine", "float32")
                self.assertAlmostEqual(hit["score"], score, places=5)

    def test_bad(self):
        """Goal: what is wrong is named, and changes nothing."""
        self.create(a={"size": 3, "distance": "Dot", "multivector_config": MAX_SIM},
                    h={"size": 3, "distance": "Dot", "datatype": "float16", "multivector_config": MAX_SIM},
                    b={"size": 3, "distance": "Dot"})
        points = self.path + "/points"
        row = [1, 2, 3]

        def put(**vector):
            return {"points": [{"id": 1, "vector": {"b": row}}, {"id": 2, "vector": vector}]}

        cases = [
            (422, "PUT", points, put(a=[]), "[points[1].vector.a: dense vector must not be empty]"),
            (422, "PUT", points, put(a=[[]]), "[points[1].vector.a[0]: all vectors must be non-empty]"),
            (422, "PUT", points, put(a=[row, []]), "[points[1].vector.a[1]: all vectors must be non-empty]"),
            (422, "PUT", points, put(a=[row, [1, 2]]), "[points[1].vector.a[1]: all vectors must have the same "
             "dimension, found vector with dimension 2"),
            (400, "PUT", points, put(a=[[1, 2], [3, 4]]), "expected dim: 3, got 2"),
            (400, "PUT", points, put(a=[row, 7]), "points[1].vector.a[1]: expected an array"),
            (400, "PUT", points, put(a=[row, [1, "x", 2]]), "points[1].vector.a[1][1]: expected a number"),
            (400, "PUT", points, put(a=[[row]]), "points[1].vector.a[0][0]: expected a number"),
            (400, "PUT", points, put(a=[row, [1, 2, 1e39]]), "points[1].vector.a[1][2] is beyond"),
            (400, "PUT", points, put(h=[row, [1, 70000, 3]]), "vector.h[1][1] is beyond the range of float16"),
            (400, "PUT", points, put(b=[row]), "Conversion between multi and regular vectors failed: vector `b`"),
            (400, "PUT", points, put(a=[[1, 2, 3]] * 40000), "in this collection the limit is"),
            (400, "PUT", points, put(a=[[1, 2, 3]] * 140000), "a multivector may have 393216 numbers"),
            (400, "POST", points + "/query", {"query": [[1, 2]], "using": "a"}, "expected dim: 3, got 2"),
            (422, "POST", points + "/query", {"query": [row, [1]], "using": "a"}, "found vector with dimension 1"),
            (400, "POST", points + "/query", {"query": [row], "using": "b"}, "Conversion between multi"),
            (400, "POST", points + "/query", {"query": {"recommend": {"positive": [[row]]}}, "using": "b"},
             "Conversion between multi"),
            (404, "POST", points + "/query", {"query": 9, "using": "a"}, "No point with id 9"),
        ]
        for code, method, path, body, message in cases:
            with self.subTest(message=message):
                self.assertIn(message, self.client.error(code, method, path, body))
        self.assertEqual(self.client.ok("POST", points + "/count", {})["count"], 0)

    def test_work(self):
        """Goal: a ranking that would compare too much with one point is refused with the numbers."""
        self.create(unnamed={"size": 1, "distance": "Dot", "multivector_config": MAX_SIM})
        self.upsert([{"id": 1, "vector": [[1]] * 60000}])
        self.assertEqual(len(self.query({"recommend": {"positive": [[[1]] * 4000], "strategy": "best_score"}})), 1)
        message = self.client.error(400, "POST", self.path + "/points/query",
                                    {"query": {"recommend": {"positive": [[[1]] * 5000], "strategy": "best_score"}}})
        self.assertIn("point 1: 60000 rows of its multivector are compared with 5000 rows", message)


if __name__ == "__main__":
    test_rest.PROGRAM = test_rest.take_program()
    unittest.main(verbosity=2, warnings="ignore")
