#!/usr/bin/env python3
"""Requests that are almost right: valid ones of every kind, changed at random in their texts and paths.

Run:  test_mutations.py PATH-OF-INSULA [name of a test]; MUTATIONS_SEED and MUTATIONS_COUNT change what it does
"""
import json
import os
import re
import signal
import subprocess
import unittest
from random import Random

import test_rest
from test_rest import Client, Server

SEED = int(os.environ.get("MUTATIONS_SEED", "1"))
COUNT = int(os.environ.get("MUTATIONS_COUNT", "6000"))
KEYS = ("limit", "vector", "filter", "must", "id", "points", "payload", "query", "key", "match", "value", "using",
        "with_payload", "offset", "shard_key", "ids", "any", "range", "gte", "params", "name")
VALUES = ("-1", "1e400", "-0", "18446744073709551615", "18446744073709551616", "1.5", "null", "true", '""', "[]", "{}",
          '"\\u0000"', json.dumps("a" * 300), json.dumps("\u00e9" * 300), json.dumps("x" + "\u20ac" * 200),
          "[[[[[[]]]]]]", '{"a":{"a":{"a":{}}}}', "NaN", "4294967296", '"\\ud800"', "9" * 400, "0." + "1" * 400,
          "[null]", "[{}]", "65537")


class Requests:
    """Valid requests to one server, by chance."""

    def __init__(self, random):
        self.random = random

    def vector(self, dim=8):
        return [round(self.random.uniform(-1, 1), 3) for _ in range(dim)]

    def points(self, count):
        return [{"id": self.random.randint(0, 200),
                 "vector": {"": self.vector(), "m": [self.vector(4) for _ in range(self.random.randint(1, 3))]},
                 "payload": {"t": f"t{i % 5}", "n": i, "x": {"y": [1, 2, "z", None, {"q": True}]}}}
                for i in range(count)]

    def filter(self):
        return self.random.choice((
            {"must": [{"key": "t", "match": {"value": "t1"}}]},
            {"must": [{"key": "n", "range": {"gte": 3, "lt": 50}}],
             "must_not": [{"key": "t", "match": {"any": ["t1", "t2"]}}]},
            {"should": [{"has_id": [1, 2, 3]}, {"is_empty": {"key": "x"}}, {"is_null": {"key": "x.y[]"}}]},
            {"must": [{"nested": {"key": "x", "filter": {"must": [{"key": "y", "values_count": {"gt": 1}}]}}}]},
            {"min_should": {"conditions": [{"key": "t", "match": {"except": ["t1"]}},
                                           {"key": "n", "match": {"value": 4}}], "min_count": 1}}))

    def next(self):
        vector, where, one = self.vector(), self.filter(), self.random.randint(0, 200)
        path = "/collections/c/points"
        return self.random.choice((
            ("POST", path + "/search", {"vector": vector, "limit": 5, "filter": where, "with_payload": True,
                                        "params": {"hnsw_ef": 32, "quantization": {"oversampling": 2.0}},
                                        "score_threshold": 0.1, "offset": 1}),
            ("POST", path + "/query", {"query": vector, "limit": 5, "filter": where,
                                       "with_payload": {"include": ["t", "x.y"]}, "explain": True}),
            ("POST", path + "/query", {"query": [self.vector(4), self.vector(4)], "using": "m", "limit": 3}),
            ("POST", path + "/query", {"query": {"recommend": {"positive": [1, vector], "negative": [2],
                                                               "strategy": "best_score"}}, "limit": 4}),
            ("POST", path + "/query", {"query": {"context": [{"positive": 1, "negative": 2}]}, "limit": 4}),
            ("POST", path + "/query", {"query": {"order_by": {"key": "n", "start_from": 10}}, "limit": 4}),
            ("POST", path + "/query/batch", {"searches": [{"query": vector, "limit": 2},
                                                          {"query": 5, "limit": 1, "filter": where}]}),
            ("POST", path + "/query/groups", {"query": vector, "group_by": "t", "group_size": 2, "limit": 3}),
            ("POST", path + "/scroll", {"limit": 5, "filter": where, "with_payload": ["t"], "offset": 3}),
            ("POST", path + "/count", {"filter": where, "exact": True}),
            ("POST", "/collections/c/facet", {"key": "t", "limit": 3, "filter": where}),
            ("POST", path, {"ids": [1, "550e8400-e29b-41d4-a716-446655440000"], "with_vector": ["", "m"]}),
            ("PUT", path + "?wait=true", {"points": self.points(self.random.randint(1, 5))}),
            ("PUT", path + "?wait=true", {"batch": {"ids": [1, 2], "vectors": {"": [vector, vector]},
                                                    "payloads": [{"t": "t1"}, None]}}),
            ("PUT", path + "/vectors?wait=true", {"points": [{"id": one, "vector": {"": vector}}]}),
            ("POST", path + "/vectors/delete?wait=true", {"vector": ["m"], "points": [one]}),
            ("POST", path + "/payload?wait=true", {"payload": {"n": 5}, "points": [one], "key": "x"}),
            ("PUT", path + "/payload?wait=true", {"payload": {"t": "t9"}, "filter": where}),
            ("POST", path + "/payload/delete?wait=true", {"keys": ["x.y", "n"], "points": [one]}),
            ("POST", path + "/delete?wait=true", {"points": [one]}),
            ("POST", path + "/batch?wait=true", {"operations": [
                {"upsert": {"points": self.points(2)}}, {"set_payload": {"payload": {"n": 1}, "points": [1]}},
                {"delete_payload": {"keys": ["n"], "filter": where}}, {"delete": {"points": [one]}}]}),
            ("PATCH", "/collections/c", {"optimizers_config": {"indexing_threshold": 10}, "hnsw_config": {"m": 16},
                                         "insula": {"quotas": {"tenants": {"t1": {"queries_per_second": 1000}}}}}),
            ("PUT", "/collections/c/index", {"field_name": "q", "field_schema": self.random.choice(
                ("integer", "keyword", "float", "bool", "geo", "datetime", "uuid", "text"))}),
            ("PUT", f"/collections/d{one % 3}", {"vectors": {"size": 4, "distance": "Dot", "datatype": "uint8"}}),
            ("POST", "/collections/aliases", {"actions": [
                {"create_alias": {"collection_name": "c", "alias_name": "a1"}},
                {"delete_alias": {"alias_name": "a1"}}]}),
            ("PUT", "/collections/s/points?wait=true", {"points": [{"id": 1, "vector": vector}], "shard_key": "k"}),
            ("POST", "/collections/s/points/search", {"vector": vector, "limit": 3, "shard_key": ["k", "none"]}),
            ("PUT", "/collections/c/tenants/t1/quota", {"queries_per_second": 1000, "pin": True}),
            ("GET", "/collections/c/tenants?limit=3&prefix=t", None)))

    def change(self, text):
        random, at = self.random, self.random.randrange(len(text) + 1)
        kind = random.randrange(10)
        if kind == 0:
            return text[:at]
        if kind == 1:
            return text[:at] + text[at + 1:]
        if kind == 2:
            return text[:at] + random.choice('{}[]",:\\0-e.x \0\u00ff') + text[at:]
        if kind == 3:
            return text.replace("{", '{"%s":%s,' % (random.choice(KEYS), random.choice(VALUES)), random.randint(1, 3))
        if kind == 4:
            found = list(re.finditer(r': ?(-?[0-9.]+|"[^"]*"|true|null|\[[^\[\]]*\]|\{[^{}]*\})', text))
            one = random.choice(found) if found else None
            return text if one is None else text[:one.start(1)] + random.choice(VALUES) + text[one.end(1):]
        if kind == 5:
            return re.sub(r'"([a-z])', lambda one: '"\\u%04x' % ord(one[1]), text, count=random.randint(1, 4))
        if kind == 6:
            return text + random.choice((" ", "}", "\n\n", "{}", "x"))
        if kind == 7:
            end = random.randrange(at, len(text) + 1)
            return text[:end] + text[at:end] + text[end:]
        if kind == 8:  # parsed in another way than small ones
            return text.replace(":", ": " + " " * random.choice((1, 5000, 70000)), 1)
        return text.replace("[", "[%s," % random.choice(VALUES), random.randint(1, 2))

    def changed(self):
        method, path, body = self.next()
        text = None if body is None else json.dumps(body)
        for _ in range(self.random.choice((0, 1, 1, 1, 2, 3))):
            text = text and self.change(text)
        if self.random.random() < 0.1:
            path = path.replace("/c/", "/%s/" % self.random.choice(("%00", "c%2f", "C", "a1", "..", "x" * 300, "%ff")))
        if self.random.random() < 0.1:
            path += ("&" if "?" in path else "?") + self.random.choice(
                ("wait=maybe", "timeout=-1", "timeout=1", "tenant=" + "y" * 200, "tenant=t1", "ordering=strong"))
        return method, path, None if text is None else text.encode("utf-8", "surrogatepass")


class MutationsTest(unittest.TestCase):
    def test_all(self):
        """Goal: whatever is asked, the server goes on, answers each request with JSON in UTF-8, never with an error of
        its own, and what it stores stays sound. Method: some thousand requests by seed; then the check of its data."""
        server = Server()
        try:
            client, requests = Client(server), Requests(Random(SEED))
            client.ok("PUT", "/collections/c", {"vectors": {
                "": {"size": 8, "distance": "Cosine"},
                "m": {"size": 4, "distance": "Dot", "multivector_config": {"comparator": "max_sim"}}}})
            client.ok("PUT", "/collections/c/index",
                      {"field_name": "t", "field_schema": {"type": "keyword", "is_tenant": True}})
            client.ok("PUT", "/collections/c/index", {"field_name": "n", "field_schema": "integer"})
            client.ok("PUT", "/collections/s", {"vectors": {"size": 8, "distance": "Euclid"},
                                                "sharding_method": "custom"})
            client.ok("PUT", "/collections/s/shards", {"shard_key": "k"})
            client.ok("PUT", "/collections/c/points?wait=true", {"points": requests.points(200)})
            codes = {}
            for number in range(COUNT):
                asked = requests.changed()
                try:
                    code, answer, _ = client.call(*asked)
                except (UnicodeDecodeError, json.JSONDecodeError) as error:
                    self.fail(f"seed {SEED}, request {number}: {error}: {str(asked)[:2000]}")
                except OSError as error:
                    self.fail(f"seed {SEED}, request {number}: {error}, {server.process.poll()}: {str(asked)[:2000]}")
                self.assertTrue(code < 500 or code == 501, f"{code} {answer}: {str(asked)[:2000]}")
                codes[code] = codes.get(code, 0) + 1
                if number % 1000 == 999:
                    client.ok("POST", "/insula/flush")
            self.assertGreater(codes[200], COUNT / 20)
            self.assertGreater(codes[400], COUNT / 20)
            client.ok("POST", "/collections/c/points/count", {})
            client.connection.close()
            self.assertEqual(server.stop(signal.SIGTERM)[0], 0)
            check = subprocess.run([test_rest.PROGRAM, "check", server.directory], capture_output=True,
                                   text=True, check=False)
            self.assertEqual(check.returncode, 0, check.stdout + check.stderr)
        finally:
            server.remove()


if __name__ == "__main__":
    test_rest.PROGRAM = test_rest.take_program()
    unittest.main(verbosity=2, warnings="ignore")
