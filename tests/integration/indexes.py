#!/usr/bin/env python3
"""Two collections with the same points, one of them with field indexes: their answers must agree.

    indexes.py PATH-OF-INSULA [--seed N] [--points N] [--filters N]

Goal: an index on a payload field changes no answer, whatever the filter, with several runs,
overwritten and deleted points, rows that the index does not hold whole, and after a restart;
`insula check` finds nothing wrong, and the second reader finds in the indexes what the payloads say.
Method: large extents of random points, parts of whose payloads are changed; random filters, mostly on indexed
fields, counted, scrolled, searched, ordered and with their values counted in both. Needs nothing but the standard library.
"""
import argparse
import pathlib
import random
import subprocess
import sys

import test_rest

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "tools"))
import read_data  # noqa: E402: of the second reader, which compares indexes with payloads

DIM = 4
INDEXES = {"key": "keyword", "n": "integer", "x": {"type": "float"}, "flag": "bool", "when": "datetime",
           "deep.list[].k": {"type": "keyword", "memory": "cold"}, "uuid": "uuid", "text": "text", "long": "keyword"}


class Twins:
    def __init__(self, server, seed, tenants):
        self.random = random.Random(seed)
        self.server = server
        self.client = test_rest.Client(server)
        self.names = ["plain", "indexed"] if not tenants else ["plain-t", "indexed-t"]
        self.tenants = tenants
        for name in self.names:
            self.client.ok("PUT", f"/collections/{name}", {"vectors": {"size": DIM, "distance": "Dot"}})
            if tenants:
                self.client.ok("PUT", f"/collections/{name}/index", {
                    "field_name": "who", "field_schema": {"type": "keyword", "is_tenant": True}})
            self.client.ok("PUT", f"/collections/{name}/index", {"field_name": "rest", "field_schema": "keyword"})
        for field, schema in INDEXES.items():
            self.client.ok("PUT", f"/collections/{self.names[1]}/index",
                           {"field_name": field, "field_schema": schema})

    def payload(self):
        r = self.random
        payload = {"key": r.choice("abcdefgh") * r.randint(1, 3), "n": r.choice([r.randint(-50, 50), 2**53 + r.randint(0, 5)]),
                   "flag": r.random() < 0.5, "uuid": f"{r.randint(0, 999):032x}", "rest": "x" * r.randint(0, 60)}
        if r.random() < 0.9:
            payload["x"] = r.choice([round(r.uniform(-5, 5), 2), r.randint(-5, 5), 2**63 + 5, "no", None, [1.5, 2]])
        if r.random() < 0.8:
            payload["when"] = r.choice([f"2024-0{r.randint(1, 9)}-1{r.randint(0, 9)}T0{r.randint(0, 9)}:00:00+0{r.randint(0, 3)}:00",
                                        "never", 5])
        if r.random() < 0.1:
            payload["key"] = r.choice([[], None, 7, ["a", "bb", "a", 3], [f"v{i}" for i in range(300)]])
        if r.random() < 0.6:
            payload["deep"] = {"list": [{"k": r.choice(["p", "q", ["r", "p"], 5])} for _ in range(r.randint(0, 3))]}
        if r.random() < 0.2:
            payload["long"] = r.choice("yz") * r.choice([3, 255, 256, 700])
        if self.tenants:
            payload["who"] = r.choice(["anna", "bela", ["anna", "bela"]])
        return payload

    def upsert(self, ids):
        points = [{"id": i, "vector": [self.random.uniform(-1, 1) for _ in range(DIM)], "payload": self.payload()}
                  for i in ids]
        for name in self.names:
            for at in range(0, len(points), 500):
                self.client.ok("PUT", f"/collections/{name}/points?wait=true", {"points": points[at:at + 500]})

    def delete(self, ids):
        for name in self.names:
            self.client.ok("POST", f"/collections/{name}/points/delete?wait=true", {"points": ids})

    def change(self, ids):
        """Parts of payloads, by patches."""
        r = self.random
        change = {"payload": r.choice([{"n": r.randint(-50, 50)}, {"key": None, "long": ["y", None]}, {"x": 1.25, "flag": []}]),
                  "points": ids}
        for name in self.names:
            self.client.ok("POST", f"/collections/{name}/points/payload?wait=true", change)
            self.client.ok("POST", f"/collections/{name}/points/payload/delete?wait=true",
                           {"keys": [r"when", "deep"], "points": ids[::3]})

    def condition(self):
        r = self.random
        kind = r.randint(0, 15)
        if kind < 4:
            key = r.choice(["key", "key", "deep.list[].k", "uuid", "long", "text"])
            values = ["a", "bb", "hhh", "v7", "p", "r", "", f"{r.randint(0, 999):032x}", "y" * 255, "y" * 256, "z" * 3]
            match = r.choice([{"value": r.choice(values)}, {"any": r.sample(values, r.randint(0, 4))},
                              {"except": r.sample(values, 3)}])
            return {"key": key, "match": match}
        if kind == 4:
            return {"key": r.choice(["n", "x", "key"]), "match": r.choice([
                {"value": r.randint(-50, 50)}, {"any": [r.randint(-50, 50) for _ in range(5)]}, {"value": 2**53 + 1}])}
        if kind < 8:
            bounds = r.sample(["gt", "gte", "lt", "lte"], r.randint(1, 2))
            values = [r.randint(-60, 60), round(r.uniform(-6, 6), 2), 2**53 + 2, 2**63, -0.0, 1.5]
            return {"key": r.choice(["n", "x"]), "range": {bound: r.choice(values) for bound in bounds}}
        if kind == 8:
            return {"key": "flag", "match": {"value": r.random() < 0.5}}
        if kind < 11:
            bounds = r.sample(["gt", "gte", "lt", "lte"], r.randint(1, 2))
            return {"key": "when", "range": {b: f"2024-0{r.randint(1, 9)}-1{r.randint(0, 9)}" for b in bounds}}
        if kind == 11:
            return r.choice([{"is_empty": {"key": r.choice(list(INDEXES))}}, {"is_null": {"key": r.choice(["key", "x", "n"])}},
                             {"key": r.choice(list(INDEXES)), "values_count": {
                                 r.choice(["gt", "gte", "lt", "lte"]): r.randint(0, 4) for _ in range(2)}}, {"slice": {"total": 3, "index": r.randint(0, 2)}},
                             {"has_id": [r.randint(0, 3000) for _ in range(40)]}])
        if kind == 12:
            return {"key": r.choice(["n", "x", "key"]), "match": {"except": [r.randint(-50, 50) for _ in range(r.randint(0, 5))]}}
        return self.filter(2)

    def filter(self, depth=0):
        r = self.random
        parts = {}
        for name in ("must", "should", "must_not"):
            if r.random() < 0.5:
                parts[name] = [self.condition() for _ in range(r.randint(1, 2))] if depth < 2 or r.random() < 0.5 else []
        if r.random() < 0.1:
            parts["min_should"] = {"min_count": r.randint(1, 2), "conditions": [self.condition() for _ in range(3)]}
        if self.tenants and depth == 0 and r.random() < 0.7:
            parts.setdefault("must", []).append({"key": "who", "match": {"value": r.choice(["anna", "bela", "zed"])}})
        return parts

    def both(self, path, body):
        return [self.client.ok("POST", f"/collections/{name}/points/{path}", body) for name in self.names]

    def compare(self):
        r = self.random
        chosen = self.filter()
        plain, indexed = self.both("count", {"filter": chosen, "exact": True})
        assert plain == indexed, f"count {plain}, with indexes {indexed}: {chosen}"
        body = {"filter": chosen, "limit": r.choice([30, 30, 3000]), "with_payload": r.random() < 0.2}
        plain, indexed = self.both("scroll", body)
        assert [one["id"] for one in plain["points"]] == [one["id"] for one in indexed["points"]], f"scroll: {chosen}"
        assert plain == indexed, f"scroll: {chosen}"
        query = [r.uniform(-1, 1) for _ in range(DIM)]
        body = {"query": query, "filter": chosen, "limit": r.choice([1, 10, 100]), "with_payload": True}
        plain, indexed = self.both("query", body)
        same = [(p["id"], p["score"], p["payload"]) for p in plain["points"]] == [
            (p["id"], p["score"], p["payload"]) for p in indexed["points"]]
        assert same, f"query {query}: {chosen}"
        self.same_values(chosen)

    def same_values(self, chosen):
        """Facets need an index in both: the plain one has one on a field that is in no filter's way."""
        body = {"key": "rest", "filter": chosen, "limit": 100, "exact": True}
        plain, indexed = [self.client.ok("POST", f"/collections/{name}/facet", body) for name in self.names]
        assert plain == indexed, f"facet: {chosen}"


def run(server, seed, points, filters, tenants):
    twins = Twins(server, seed, tenants)
    ids = list(range(points))
    flush = lambda: twins.client.ok("POST", "/insula/flush", {})
    twins.upsert(ids)
    flush()
    for _ in range(filters):
        twins.compare()
    for part in range(3):  # more runs, overwriting and deleting
        twins.upsert(twins.random.sample(ids, points // 5))
        there = [p["id"] for p in twins.both("scroll", {"limit": points // 8, "with_payload": False})[0]["points"]]
        twins.change(there)
        twins.delete(twins.random.sample(ids, points // 20))
        if part < 2:
            flush()
        for _ in range(filters // 3):
            twins.compare()
    return twins


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--points", type=int, default=9000)
    parser.add_argument("--filters", type=int, default=120)
    options = parser.parse_args()
    test_rest.PROGRAM = options.program
    server = test_rest.Server()
    try:
        twins = [run(server, options.seed + tenants, options.points, options.filters, tenants) for tenants in (False, True)]
        code, rest = server.stop()
        assert code == 0, rest
        check = subprocess.run([options.program, "check", server.directory], capture_output=True, text=True)
        assert check.returncode == 0, check.stdout + check.stderr
        verified = len(list(read_data.Database(pathlib.Path(server.directory)).points()))
        assert verified > options.points, f"the second reader finds {verified} points"
        server.start()
        for pair in twins:
            pair.client = test_rest.Client(server)
            for _ in range(options.filters // 2):
                pair.compare()
    except AssertionError as difference:
        print(f"seed {options.seed}: {difference}")
        return 1
    finally:
        server.remove()
    print(f"seed {options.seed}: answers agree")
    return 0


if __name__ == "__main__":
    sys.exit(main())
