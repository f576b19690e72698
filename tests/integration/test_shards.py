#!/usr/bin/env python3
"""Shard keys over REST: goal and method stand at each test.

Run:  test_shards.py PATH-OF-INSULA [name of a test ...]
"""
import random
import unittest

import test_rest
from test_rest import Client, Server, wave

try:
    from qdrant_client import QdrantClient, models
except ImportError:
    QdrantClient = None


def text(key):
    return f'"{key}"' if isinstance(key, str) else str(key)


class Model:
    """What the collection holds: points by shard key and id."""

    def __init__(self, test, seed, tenants):
        self.test, self.random, self.shards = test, random.Random(seed), {}
        self.server = Server()
        self.path = "/collections/m"
        self.connect()
        self.client.ok("PUT", self.path, {"vectors": {"size": 4, "distance": "Dot"}, "sharding_method": "custom"})
        if tenants:
            self.client.ok("PUT", self.path + "/index?wait=true", {
                "field_name": "who", "field_schema": {"type": "keyword", "is_tenant": True}})

    def connect(self):
        self.client = Client(self.server)

    def key(self, exists=None):
        keys = ["a", "b", "5", 5, 6, "long " * 40]
        if exists is not None:
            keys = [key for key in keys if (key in self.shards) == exists]
        return self.random.choice(keys) if keys else None

    def post(self, what, body, code=200):
        if code != 200:
            return self.client.error(code, "POST", self.path + what, body)
        return self.client.ok("POST", self.path + what, body)

    # -- what is done

    def create(self):
        key = self.key()
        body = {"shard_key": key}
        if key in self.shards:
            self.test.assertIn("already exists", self.client.error(400, "PUT", self.path + "/shards", body))
        else:
            self.client.ok("PUT", self.path + "/shards", body)
            self.shards[key] = {}

    def drop(self):
        key = self.key()
        if self.random.random() < 0.6:
            return
        if key in self.shards:
            self.post("/shards/delete", {"shard_key": key})
            del self.shards[key]
        else:
            self.test.assertIn("does not exists", self.post("/shards/delete", {"shard_key": key}, 400))

    def selector(self):
        """A selector, and the keys that it means; None when the answer is an error, and its code."""
        choice = self.random.random()
        if choice < 0.5:
            key = self.key()
            return key, ([key] if key in self.shards else None), 400
        if choice < 0.75:
            target, fallback = self.key(), self.key()
            there = [key for key in (target, fallback) if key in self.shards]
            return {"target": target, "fallback": fallback}, there[:1] or None, 404
        keys = [self.key() for _ in range(self.random.randint(1, 3))]
        return keys, (list(dict.fromkeys(keys)) if all(key in self.shards for key in keys) else None), 400

    def write(self, what, method, body, change):
        selector, keys, code = self.selector()
        body = {**body, "shard_key": selector}
        if keys is None:
            self.client.error(code, method, self.path + what, body)
            return
        result = self.client.ok(method, self.path + what + "?wait=true", body)
        self.test.assertEqual(result["status"], "completed")
        for key in keys:
            change(self.shards[key])

    def ids(self):
        return self.random.sample(range(40), self.random.randint(1, 8))

    def upsert(self):
        points = [{"id": i, "vector": wave(self.random.random()), "payload": {
            "who": self.random.choice(["x", "y", "z"]), "n": self.random.randint(0, 5)}} for i in self.ids()]
        self.write("/points", "PUT", {"points": points}, lambda shard: shard.update({p["id"]: p for p in points}))

    def delete(self):
        ids = self.ids()
        self.write("/points/delete", "POST", {"points": ids}, lambda shard: [shard.pop(i, None) for i in ids])

    def delete_filter(self):
        who, n = self.random.choice(["x", "y", "z"]), self.random.randint(0, 5)
        conditions = [{"key": "who", "match": {"value": who}}]
        both = self.random.random() < 0.7
        if both:
            conditions.append({"key": "n", "match": {"value": n}})

        def change(shard):
            for i in [i for i, p in shard.items() if p["payload"]["who"] == who and (p["payload"]["n"] == n or not both)]:
                del shard[i]
        self.write("/points/delete", "POST", {"filter": {"must": conditions}}, change)

    def set_payload(self):
        n, m = self.random.randint(0, 5), self.random.randint(0, 5)

        def change(shard):
            for i, p in shard.items():
                if p["payload"]["n"] == n:
                    shard[i] = {**p, "payload": {**p["payload"], "n": m}}
        self.write("/points/payload", "POST", {"payload": {"n": m}, "filter": {"must": [
            {"key": "n", "match": {"value": n}}]}}, change)

    def restart(self):
        choice = self.random.random()
        if choice < 0.3:
            self.client.ok("POST", "/insula/flush")
        elif choice < 0.5:
            if self.random.random() < 0.5:
                self.server.process.kill()
                self.server.process.wait()
            else:
                self.test.assertEqual(self.server.stop()[0], 0)
            self.server.process.stdout.close()
            self.server.start()
            self.connect()

    # -- what is seen

    def check(self):
        test, path = self.test, self.path
        listed = self.client.ok("GET", path + "/shards")["shard_keys"]
        test.assertEqual(sorted((text(one["key"]) for one in listed)), sorted(map(text, self.shards)))
        cluster = self.client.ok("GET", path + "/cluster")
        test.assertEqual(cluster["shard_count"], len(self.shards))
        test.assertEqual({text(one["shard_key"]): one["points_count"] for one in cluster["local_shards"]},
                         {text(key): len(shard) for key, shard in self.shards.items()})
        test.assertEqual(self.client.ok("GET", path)["points_count"], sum(map(len, self.shards.values())))
        selectors = [(None, list(self.shards))] + [(key, [key]) for key in self.shards]
        selector, keys, code = self.selector()
        if keys is None:
            self.post("/points/scroll", {"shard_key": selector}, code)
        else:
            selectors.append((selector, keys))
        for selector, keys in selectors:
            self.check_reads({"shard_key": selector}, keys)

    def check_reads(self, more, keys):
        test = self.test
        shards = [(key, self.shards[key]) for key in keys]
        total = sum(len(shard) for _, shard in shards)
        test.assertEqual(self.post("/points/count", more)["count"], total)
        places = {}
        for key, shard in shards:
            for i in shard:
                places.setdefault(i, []).append(key)
        got, offset = [], None
        while True:
            page = self.post("/points/scroll", {**more, "limit": 7, "offset": offset, "with_vector": True})
            got += page["points"]
            offset = page["next_page_offset"]
            if offset is None:
                break
        test.assertEqual([p["id"] for p in got], sorted(places))
        for point in got:
            want = self.shards[point["shard_key"]][point["id"]]
            test.assertIn(point["shard_key"], places[point["id"]])
            test.assertEqual(point["payload"], want["payload"])
        one = self.random.randint(0, 39)
        found = self.post("/points", {**more, "ids": [one, 39, 1]})
        test.assertEqual([p["id"] for p in found], [i for i in (one, 39, 1) if i in places])
        for point in found:
            test.assertIn(point["shard_key"], places[point["id"]])
        who = self.random.choice([None, "x"])
        filter_ = None if who is None else {"must": [{"key": "who", "match": {"value": who}}]}
        query = wave(self.random.random())
        best = {}  # score and keys: one point may have been written to several
        for key, shard in shards:
            for i, p in shard.items():
                score = sum(a * b for a, b in zip(query, p["vector"]))
                if (who is None or p["payload"]["who"] == who) and score >= best.get(i, (-9,))[0]:
                    best[i] = (score, [key] + (best[i][1] if i in best and best[i][0] == score else []))
        order = sorted(best, key=lambda i: -best[i][0])
        for limit in (3, 100):
            hits = self.post("/points/query", {**more, "query": query, "limit": limit, "filter": filter_})["points"]
            test.assertEqual([h["id"] for h in hits], order[:limit])
            for hit in hits:
                test.assertAlmostEqual(hit["score"], best[hit["id"]][0], places=4)
                test.assertIn(hit["shard_key"], best[hit["id"]][1])
        ranked = self.post("/points/query", {**more, "query": {"recommend": {"positive": [query], "strategy": "best_score"}},
                                             "limit": 100, "filter": filter_, "with_payload": True})["points"]
        test.assertEqual(sorted(h["id"] for h in ranked), sorted(best))
        few = self.post("/points/query", {**more, "query": {"order_by": "n"}, "limit": 5, "filter": filter_})["points"]
        test.assertEqual(len(few), min(5, sum(who in (None, p["payload"]["who"]) for _, p in {
            (i, p["payload"]["n"]): (i, p) for _, shard in shards for i, p in shard.items()}.values())))
        few = self.post("/points/query", {**more, "query": {"sample": "random"}, "limit": 5, "filter": filter_})["points"]
        test.assertEqual(len(set(h["id"] for h in few)), min(5, len(best)))
        for hit in ranked:
            test.assertEqual(hit["payload"], self.shards[hit["shard_key"]][hit["id"]]["payload"])
        facet = self.post("/facet", {**more, "key": "who"})["hits"]
        want = {}
        for _, shard in shards:
            for p in shard.values():
                want[p["payload"]["who"]] = want.get(p["payload"]["who"], 0) + 1
        test.assertEqual({hit["value"]: hit["count"] for hit in facet}, want)
        if order:
            near = self.post("/points/query", {**more, "query": order[0], "limit": 100})["points"]
            test.assertEqual(sorted(h["id"] for h in near), sorted(set(places) - {order[0]}))


class ShardTest(unittest.TestCase):
    def run_model(self, seed, tenants, steps=120):
        model = Model(self, seed, tenants)
        try:
            for step in range(steps):
                self.random = model.random
                with self.subTest(seed=seed, step=step):
                    model.random.choice([model.create, model.drop, model.upsert, model.upsert, model.upsert, model.delete,
                                         model.delete_filter, model.set_payload, model.restart])()
                    if step % 3 == 0:
                        model.check()
        finally:
            model.server.remove()

    def test_model(self):
        """Goal: shard keys keep their points apart, whatever happens. Method: random operations
        against a model in Python; flushes, kills and clean ends between them."""
        self.run_model(1, False)
        self.run_model(2, False)

    def test_model_tenants(self):
        """Goal: the same with a tenant field: every shard key has islands of its own."""
        self.run_model(3, True)
        self.run_model(4, True)

    def test_errors(self):
        """Goal: what is wrong is said as Qdrant says it, and changes nothing."""
        server = Server()
        try:
            client = Client(server)
            client.ok("PUT", "/collections/auto", {"vectors": {"size": 4, "distance": "Dot"}})
            client.ok("PUT", "/collections/own", {"vectors": {"size": 4, "distance": "Dot"}, "sharding_method": "custom"})
            self.assertEqual(client.ok("GET", "/collections/own")["config"]["params"]["sharding_method"], "custom")
            self.assertIsNone(client.ok("GET", "/collections/auto/shards")["shard_keys"])
            self.assertEqual(client.ok("GET", "/collections/own/shards")["shard_keys"], [])
            self.assertIn('Shard Key "a" cannot be created with Auto sharding method',
                          client.error(400, "PUT", "/collections/auto/shards", {"shard_key": "a"}))
            client.error(400, "POST", "/collections/auto/shards/delete", {"shard_key": "a"})
            client.error(404, "PUT", "/collections/none/shards", {"shard_key": "a"})
            client.error(422, "PUT", "/collections/own/shards", {"shard_key": ""})
            client.error(422, "PUT", "/collections/own/shards", {"shard_key": "x" * 256})
            points = {"points": [{"id": 1, "vector": wave(1)}]}
            self.assertEqual(client.error(400, "PUT", "/collections/own/points", points), "Wrong input: Shard key not specified")
            self.assertEqual(client.error(400, "PUT", "/collections/own/points", {**points, "shard_key": 7}),
                             "Wrong input: Shard key 7 not found")
            self.assertEqual(client.error(400, "PUT", "/collections/auto/points", {**points, "shard_key": "a"}),
                             'Wrong input: Shard key "a" not found')
            self.assertEqual(client.error(404, "POST", "/collections/own/points/count", {"shard_key": {"target": "t", "fallback": 1}}),
                             'Not found: Neither target shard key "t" nor fallback shard key 1 exist')
            client.ok("PUT", "/collections/own/shards", {"shard_key": "a", "shards_number": 2, "replication_factor": 1})
            client.error(400, "PUT", "/collections/own/points", {**points, "shard_key": ["a", "b"]})
            client.error(400, "PUT", "/collections/own/points", {**points, "shard_key": []})
            self.assertEqual(client.ok("POST", "/collections/own/points/count", {})["count"], 0)
            self.assertEqual(client.ok("POST", "/collections/own/points/count", {"shard_key": []})["count"], 0)
            batch = {"operations": [{"upsert": {**points, "shard_key": "a"}},
                                    {"set_payload": {"payload": {"n": 1}, "points": [1], "shard_key": ["a"]}}]}
            self.assertEqual(len(client.ok("POST", "/collections/own/points/batch?wait=true", batch)), 2)
            self.assertEqual(client.ok("GET", "/collections/own/points/1")["payload"], {"n": 1})
            self.assertEqual(client.ok("GET", "/collections/own/points/1")["shard_key"], "a")
            client.ok("POST", "/collections/own/cluster", {"create_sharding_key": {"shard_key": 9}})
            client.ok("POST", "/collections/own/cluster", {"drop_sharding_key": {"shard_key": "a"}})
            self.assertEqual(client.ok("GET", "/collections/own/shards")["shard_keys"], [{"key": 9}])
            client.error(404, "GET", "/collections/own/points/1")
            # A key that is made again is empty; a collection takes its keys along.
            client.ok("PUT", "/collections/own/shards", {"shard_key": "a"})
            self.assertEqual(client.ok("POST", "/collections/own/points/count", {})["count"], 0)
            client.ok("DELETE", "/collections/own")
            client.ok("PUT", "/collections/own", {"sharding_method": "custom"})
            self.assertEqual(client.ok("GET", "/collections/own/shards")["shard_keys"], [])
        finally:
            server.remove()

    def test_many(self):
        """Goal: a shard key costs what a tenant costs. Method: many of them, one point each, a
        restart, all deleted with their collection."""
        server = Server()
        try:
            client, count = Client(server), 3000
            client.ok("PUT", "/collections/many", {"vectors": {"size": 4, "distance": "Dot"}, "sharding_method": "custom"})
            before = client.ok("GET", "/insula/stats")["memory"]
            for i in range(count):
                client.ok("PUT", "/collections/many/shards", {"shard_key": f"tenant {i}"})
            after = client.ok("GET", "/insula/stats")["memory"]
            self.assertLess((after["catalog"]["used"] - before["catalog"]["used"]) / count, 512)
            for i in range(0, count, 50):
                client.ok("PUT", "/collections/many/points", {"points": [{"id": 1, "vector": wave(i)}], "shard_key": f"tenant {i}"})
            server.process.kill()
            server.process.wait()
            server.process.stdout.close()
            server.start()
            client = Client(server)
            self.assertEqual(client.ok("GET", "/collections/many/cluster")["shard_count"], count)
            self.assertEqual(client.ok("POST", "/collections/many/points/count", {})["count"], count // 50)
            self.assertEqual(client.ok("POST", "/collections/many/points/count", {"shard_key": "tenant 50"})["count"], 1)
            client.ok("DELETE", "/collections/many")
            client.error(404, "GET", "/collections/many")
        finally:
            server.remove()

    @unittest.skipIf(QdrantClient is None, "no qdrant-client")
    def test_client(self):
        """Goal: the official client's calls work as its documentation shows them."""
        server = Server()
        try:
            client = QdrantClient(url=f"http://127.0.0.1:{server.port}")
            client.create_collection("c", vectors_config=models.VectorParams(size=4, distance=models.Distance.DOT),
                                     sharding_method=models.ShardingMethod.CUSTOM, shard_number=1)
            self.assertTrue(client.create_shard_key("c", "default"))
            self.assertTrue(client.create_shard_key("c", 12))
            client.upsert("c", points=[models.PointStruct(id=1, vector=wave(1), payload={"group_id": "u"})],
                          shard_key_selector="default", wait=True)
            client.upsert("c", points=[models.PointStruct(id=1, vector=wave(2), payload={"group_id": "v"})],
                          shard_key_selector=models.ShardKeyWithFallback(target="absent", fallback=12), wait=True)
            client.set_payload("c", payload={"n": 1}, points=[1], shard_key_selector=["default", 12], wait=True)
            hits = client.query_points("c", query=wave(1), shard_key_selector="default", with_payload=True).points
            self.assertEqual([(hit.id, hit.shard_key, hit.payload) for hit in hits], [(1, "default", {"group_id": "u", "n": 1})])
            records, _ = client.scroll("c", shard_key_selector=12)
            self.assertEqual([(one.id, one.shard_key, one.payload["group_id"]) for one in records], [(1, 12, "v")])
            self.assertEqual(client.count("c").count, 2)
            self.assertEqual(client.count("c", shard_key_selector=[12]).count, 1)
            client.delete("c", points_selector=[1], shard_key_selector=12, wait=True)
            self.assertEqual(client.count("c").count, 1)
            self.assertTrue(client.delete_shard_key("c", 12))
            self.assertEqual([shard.shard_key for shard in client.collection_cluster_info("c").local_shards], ["default"])
        finally:
            server.remove()


if __name__ == "__main__":
    test_rest.PROGRAM = test_rest.take_program()
    unittest.main(verbosity=2, warnings="ignore")
