#!/usr/bin/env python3
"""Random operations on a running server and on qdrant-client's local mode: the answers must agree.

    differential.py PATH-OF-INSULA [--seeds N] [--operations N]     starts a server of its own
    differential.py --url http://127.0.0.1:6333 [--first-seed N] [--seeds N] [--operations N]

Goal: upsert, delete, get, scroll, count and nearest search with filters mean what Qdrant means.
Method: both sides get the same calls; scores may differ by 1e-4, ties may come in any order.
Exits 77 (skipped) where qdrant-client is not installed. Prints the seed and the first difference.
"""

import argparse
import datetime
import random
import sys
import urllib.request
import uuid
import warnings

import test_rest

warnings.filterwarnings("ignore")

try:
    from qdrant_client import QdrantClient, models
except ImportError:
    print("skipped: no qdrant-client")
    sys.exit(77)

DIM = 6
# Moments as texts, and as bounds: the client sends those as RFC 3339, some with an offset.
MOMENTS = ["2024-01-05", "2024-01-05T10:00:00Z", "2024-01-05 12:30:00.25+02:00", "2024-01-06T00:00"]
BOUNDS = [
    datetime.datetime(2024, 1, 5, 10),
    datetime.datetime(2024, 1, 5, 10, 30, 0, 250000, datetime.timezone.utc),
    datetime.datetime(2024, 1, 6, tzinfo=datetime.timezone(datetime.timedelta(hours=3))),
    datetime.date(2024, 1, 5),
]
KEYS = [
    "who", "n", "tags", "deep", "deep.er", "absent", '"any.thing"', '"any.thing"', '"any.thing"[]', "tags[]", "tags[1]",
    "list", "list[]", "list[].k", "list[].sub[].w", "list[0].k", "list[].sub[1].v[]", "list[][0].w", "when", "who[]",
]
NAMED = {"text": models.Distance.DOT, "image": models.Distance.EUCLID, "\u00e9": models.Distance.COSINE,
         "city": models.Distance.MANHATTAN}
TENANTS = ["anna", "bela", "", "c\u00e9line", "ce\u0301line", None, ["anna", "x"], 7]


class Pair:
    def __init__(self, url, seed):
        self.random = random.Random(seed)
        self.ours = QdrantClient(url=url, timeout=30)
        self.local = QdrantClient(":memory:")
        self.name = f"diff-{seed}-{uuid.UUID(int=self.random.getrandbits(128)).hex[:8]}"
        self.ids = list(range(1, 40)) + [str(uuid.UUID(int=self.random.getrandbits(128))) for _ in range(10)]

    def both(self, call):
        return call(self.ours), call(self.local)

    def create(self, distance, tenants, named, multi):
        """`multi`: the unnamed vector is a multivector; among named ones there is one, always."""
        self.distance = distance
        rows = models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
        vectors = models.VectorParams(size=DIM, distance=distance, multivector_config=rows if multi else None)
        self.names, self.multis = [""], {""} if multi else set()
        if named:
            self.names, self.multis = list(NAMED) + ["rows"], {"rows"}
            vectors = {name: models.VectorParams(size=DIM, distance=distance) for name, distance in NAMED.items()}
            vectors["rows"] = models.VectorParams(size=DIM, distance=distance, multivector_config=rows)
        self.both(lambda c: c.create_collection(self.name, vectors_config=vectors))
        if tenants:
            schema = models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True)
            self.ours.create_payload_index(self.name, "who", field_schema=schema)

    def vector(self, name):
        def row():
            return [round(self.random.gauss(0, 1), 3) for _ in range(DIM)]
        return [row() for _ in range(self.random.randint(1, 5))] if name in self.multis else row()

    def vectors(self):
        """Of a new point: it may lack some of its named ones."""
        if self.names == [""]:
            return self.vector("")
        return {name: self.vector(name) for name in self.names if self.random.random() < 0.7}

    def payload(self):
        r = self.random
        payload = {"n": r.randint(0, 9), "x": round(r.uniform(0, 5), 2), "flag": r.random() < 0.5}
        if r.random() < 0.8:
            payload["who"] = r.choice(TENANTS)
        if r.random() < 0.5:
            payload["tags"] = r.sample(["a", "b", "c", "d"], r.randint(0, 3))
        if r.random() < 0.3:
            payload["deep"] = {"er": r.choice(["p", "q", 3, None])}
        if r.random() < 0.4:
            payload["when"] = r.choice(MOMENTS + [["x", r.choice(MOMENTS)], 17, "2024-13-01"])
        if r.random() < 0.5:
            payload["any.thing"] = r.choice([None, [], [None], {}, "", "p", 3, 3.0, True, [3, "p"], [[3]]])
        if r.random() < 0.5:
            payload["list"] = r.choice([7, {"k": 1}, [[{"k": 1, "w": "p"}]]]) if r.random() < 0.1 else [
                r.choice([3, None, {}, {"k": r.randint(0, 3)}, {"k": r.randint(0, 3), "w": r.choice("pq")},
                          {"k": [1, 2], "sub": [{"w": r.choice("pq")}, {"w": "q", "v": [r.randint(0, 2)]}]}])
                for _ in range(r.randint(0, 4))]
        return payload

    def match(self, texts, numbers):
        r = self.random
        values = texts if r.random() < 0.6 else numbers
        kind = r.random()
        if kind < 0.5:
            return models.MatchValue(value=r.choice(values + [True]))
        some = r.sample(values, r.randint(0, min(2, len(values))))
        return models.MatchAny(any=some) if kind < 0.75 else models.MatchExcept(**{"except": some})

    def key(self):
        return self.random.choice(KEYS)

    def on_key(self, key):
        """A condition of any kind on a field."""
        r = self.random
        kind = r.randint(0, 6)
        if kind == 0:
            counts = {bound: r.randint(0, 3) for bound in r.sample(["gt", "gte", "lt", "lte"], r.randint(1, 2))}
            return models.FieldCondition(key=key, values_count=models.ValuesCount(**counts))
        if kind == 1:
            return models.IsEmptyCondition(is_empty=models.PayloadField(key=key))
        if kind == 2:
            return models.IsNullCondition(is_null=models.PayloadField(key=key))
        if kind == 3:
            flags = {r.choice(["is_empty", "is_null"]): r.random() < 0.5}
            return models.FieldCondition(key=key, **flags)
        if kind == 4:
            bounds = {bound: r.choice([1, 2.5, 3]) for bound in r.sample(["gt", "gte", "lt", "lte"], r.randint(0, 2))}
            return models.FieldCondition(key=key, range=models.Range(**bounds))
        return models.FieldCondition(key=key, match=self.match(["anna", "p", "q", ""], [0, 1, 3]))

    def nested(self):
        """A filter on the elements of an array."""
        r = self.random
        inside = []
        for _ in range(r.randint(1, 2)):
            key = r.choice(["k", "w", "sub[].w", "sub[1].v[]", "k[0]"])
            inside.append(self.on_key(key))
        if r.random() < 0.2:
            inside.append(models.NestedCondition(nested=models.Nested(
                key=r.choice(["sub", "sub[]"]), filter=models.Filter(must=[self.on_key("w"), self.on_key("v")]))))
        part = r.choice(["must", "should", "must_not"])
        return models.NestedCondition(nested=models.Nested(
            key=r.choice(["list", "list[]", "list[]", "deep"]), filter=models.Filter(**{part: inside})))

    def condition(self):
        r = self.random
        kind = r.randint(0, 14)
        if kind == 0:
            return models.FieldCondition(key="who", match=models.MatchValue(value=r.choice(["anna", "bela", "", "zed"])))
        if kind == 1:
            return models.FieldCondition(key="who", match=models.MatchAny(any=r.sample(["anna", "bela", "c\u00e9line", "zed"], 2)))
        if kind == 2:
            return models.FieldCondition(key="n", range=models.Range(gte=r.randint(0, 9), lt=r.randint(3, 12)))
        if kind == 3:
            return models.FieldCondition(key="tags", match=models.MatchValue(value=r.choice("abcd")))
        if kind == 4:
            return models.FieldCondition(key="flag", match=models.MatchValue(value=r.random() < 0.5))
        if kind == 5:
            return models.HasIdCondition(has_id=r.sample(self.ids, 10))
        if kind == 6:
            return models.FieldCondition(key="deep.er", match=models.MatchValue(value=r.choice(["p", 3])))
        if kind == 7:
            bounds = {bound: r.choice(BOUNDS) for bound in r.sample(["gt", "gte", "lt", "lte"], r.randint(1, 2))}
            return models.FieldCondition(key="when", range=models.DatetimeRange(**bounds))
        if kind == 8:
            return models.HasVectorCondition(has_vector=r.choice(self.names + ["absent"]))
        if kind == 9:
            total = r.randint(1, 4)
            return models.SliceCondition(slice=models.Slice(total=total, index=r.randrange(total)))
        if kind == 10:
            return self.nested()
        if kind == 11:
            return models.Filter(should=[self.condition(), self.condition()])
        return self.on_key(self.key())

    def filter(self):
        r = self.random
        if r.random() < 0.3:
            return None
        parts = {}
        for name in ("must", "should", "must_not"):
            if r.random() < 0.4:
                parts[name] = [self.condition() for _ in range(r.randint(1, 2))]
        if r.random() < 0.15:
            conditions = [self.condition() for _ in range(r.randint(0, 4))]
            parts["min_should"] = models.MinShould(conditions=conditions, min_count=r.randint(1, 3))
        if r.random() < 0.4:
            pin = models.FieldCondition(key="who", match=models.MatchValue(value=r.choice(["anna", "bela"])))
            parts.setdefault("must", []).append(pin)
        return models.Filter(**parts) if parts else None

    def step(self):
        r = self.random
        kind = r.random()
        if kind < 0.15:
            self.update()
        elif kind < 0.35:
            ids = r.sample(self.ids, r.randint(1, 8))
            points = [models.PointStruct(id=i, vector=self.vectors(), payload=self.payload()) for i in ids]
            self.both(lambda c: c.upsert(self.name, points, wait=True))
        elif kind < 0.42:
            ids = r.sample(self.ids, r.randint(1, 4))
            self.both(lambda c: c.delete(self.name, models.PointIdsList(points=ids), wait=True))
        elif kind < 0.44:
            chosen = self.filter() or models.Filter(must=[self.condition()])
            self.both(lambda c: c.delete(self.name, models.FilterSelector(filter=chosen), wait=True))
        elif kind < 0.52:
            ids = r.sample(self.ids, 5)
            ours, local = self.both(lambda c: c.retrieve(self.name, ids, with_payload=True, with_vectors=True))
            self.same_points(ours, local)
        elif kind < 0.65:
            chosen = self.filter()
            ours, local = self.both(lambda c: c.count(self.name, count_filter=chosen, exact=True).count)
            assert ours == local, f"count: {ours}, not {local}, of {chosen}"
        elif kind < 0.78:
            self.scroll()
        elif kind < 0.86:
            self.rank()
        elif kind < 0.92:
            self.values()
        else:
            self.query()

    def known(self, count):
        """Ids that are there: where one is not, Qdrant changes the others and Insula none."""
        ids = [p.id for p in self.local.scroll(self.name, limit=100)[0]]
        return self.random.sample(ids, min(len(ids), self.random.randint(1, count)))

    def change(self):
        r = self.random
        changes = {"n": r.randint(0, 9), "who": r.choice(TENANTS), "tags": r.choice([None, ["a"], "b"]),
                   "deep": r.choice([None, {"er": "p"}, {"x": 1}, 7]), "flag": None, "new": {"a": [1, {"b": 2}]}}
        return {k: changes[k] for k in r.sample(sorted(changes), r.randint(0, 3))}

    def operation(self, ids):
        """One update of a batch, and the same as a call."""
        r, m = self.random, models
        chosen = None if r.random() < 0.7 else self.filter() or m.Filter(must=[self.condition()])
        selector = m.PointIdsList(points=ids) if chosen is None else m.FilterSelector(filter=chosen)
        where = {"points": ids} if chosen is None else {"filter": chosen}
        kind = r.randint(0, 7)
        if kind == 7:
            names = r.sample(self.names, r.randint(1, len(self.names)))
            return (m.DeleteVectorsOperation(delete_vectors=m.DeleteVectors(vector=names, **where)),
                    lambda c: c.delete_vectors(self.name, names, selector))
        if kind == 0:
            change, key = self.change(), r.choice([None, None, "deep", "deep.er", "who", "new.a", '"x.y".z', "new.a[1]", "new.a[]", "tags[0].u"])
            return (m.SetPayloadOperation(set_payload=m.SetPayload(payload=change, key=key, **where)),
                    lambda c: c.set_payload(self.name, change, selector, key=key))
        if kind == 1:
            payload = self.payload()
            return (m.OverwritePayloadOperation(overwrite_payload=m.SetPayload(payload=payload, **where)),
                    lambda c: c.overwrite_payload(self.name, payload, selector))
        if kind == 2:
            keys = r.sample(["n", "who", "deep.er", "deep", "tags", "new.a", "new.a[]", "new.a[1].b", "new.a[0]", "none.such"], r.randint(1, 3))
            return (m.DeletePayloadOperation(delete_payload=m.DeletePayload(keys=keys, **where)),
                    lambda c: c.delete_payload(self.name, keys, selector))
        if kind == 3:
            return m.ClearPayloadOperation(clear_payload=selector), lambda c: c.clear_payload(self.name, selector)
        condition = r.choice([None, self.filter()])
        if kind == 4:
            points = [m.PointVectors(id=i, vector=self.vectors() or {self.names[0]: self.vector(self.names[0])}) for i in ids]
            update = m.UpdateVectors(points=points, update_filter=condition)
            return (m.UpdateVectorsOperation(update_vectors=update),
                    lambda c: c.update_vectors(self.name, points, update_filter=condition))
        mode = r.choice([None, *m.UpdateMode])
        ids = r.sample(self.ids, r.randint(1, 8))
        if kind == 5:
            points = [m.PointStruct(id=i, vector=self.vectors(), payload=self.payload()) for i in ids]
            body = m.PointsList(points=points, update_filter=condition, update_mode=mode)
        else:
            name = r.choice(self.names)
            column = [self.vector(name) for _ in ids]
            points = m.Batch(ids=ids, vectors=column if self.names == [""] else {name: column}, payloads=[self.payload() for _ in ids])
            body = m.PointsBatch(batch=points, update_filter=condition, update_mode=mode)
        return (m.UpsertOperation(upsert=body),
                lambda c: c.upsert(self.name, points, update_filter=condition, update_mode=mode))

    def update(self):
        ids = self.known(6)
        if not ids:
            return
        if self.random.random() < 0.8:
            self.both(self.operation(ids)[1])
        else:
            operations = [self.operation(ids)[0] for _ in range(self.random.randint(1, 5))]
            self.both(lambda c: c.batch_update_points(self.name, operations))
        ours, local = self.both(lambda c: c.scroll(self.name, limit=100, with_vectors=True)[0])
        self.same_points(ours, local)

    def scroll(self):
        chosen, size = self.filter(), self.random.randint(1, 9)
        pages = []
        for client in (self.ours, self.local):
            points, offset = [], None
            while True:
                page, offset = client.scroll(self.name, scroll_filter=chosen, limit=size, offset=offset)
                points += page
                if offset is None:
                    break
            pages.append(points)
        ours, local = pages
        assert sorted(str(p.id) for p in ours) == sorted(str(p.id) for p in local), f"scroll of {chosen}"
        self.same_points(ours, local)

    def query(self):
        r = self.random
        chosen, limit = self.filter(), r.randint(1, 12)
        using = r.choice(self.names)
        known = [p.id for p in self.local.scroll(self.name, limit=100, with_vectors=True)[0]
                 if (using in (p.vector or {}) if using else p.vector)]
        query = r.choice(known) if known and r.random() < 0.3 else self.vector(using)
        threshold = round(r.uniform(-0.5, 2.5), 2) if r.random() < 0.3 else None
        ours, local = self.both(
            lambda c: c.query_points(
                self.name, query=query, using=using or None, query_filter=chosen, limit=limit, offset=r.choice([0]), score_threshold=threshold
            ).points
        )
        mine, theirs = [p.score for p in ours], [p.score for p in local]
        assert len(mine) == len(theirs), f"{len(mine)} hits, not {len(theirs)}: {query} {chosen} {threshold}"
        for a, b in zip(mine, theirs):
            assert abs(a - b) < 1e-3 * max(1, abs(b)), f"scores {mine}, not {theirs}: {query} {chosen}"

    def examples(self, using, low, high):
        """Ids that have the vector, and vectors."""
        r = self.random
        known = [p.id for p in self.local.scroll(self.name, limit=100, with_vectors=True)[0]
                 if (using in (p.vector or {}) if using else p.vector)]
        return [r.choice(known) if known and r.random() < 0.6 else self.vector(using) for _ in range(r.randint(low, high))]

    def rank(self):
        """Recommend, discover, context: scores agree. Order: values and ids that are not tied agree."""
        r, m = self.random, models
        chosen, limit, using = self.filter(), r.randint(1, 12), r.choice(self.names)
        if not any((using in (p.vector or {}) if using else p.vector)
                   for p in self.local.scroll(self.name, limit=100, with_vectors=True)[0]):
            return  # the oracle fails on no vectors
        pairs = [m.ContextPair(positive=a, negative=b) for a, b in zip(self.examples(using, 3, 3), self.examples(using, 1, 3))]
        strategy = r.choice(list(m.RecommendStrategy))
        average = strategy == m.RecommendStrategy.AVERAGE_VECTOR
        query = r.choice([
            m.RecommendQuery(recommend=m.RecommendInput(
                positive=self.examples(using, 1 if average else 0, 3) or None,
                negative=self.examples(using, 0 if average else 1, 2) or None, strategy=strategy)),
            m.DiscoverQuery(discover=m.DiscoverInput(target=self.examples(using, 1, 1)[0], context=pairs)),
            m.ContextQuery(context=pairs)])
        ours, local = self.both(lambda c: c.query_points(
            self.name, query=query, using=using or None, query_filter=chosen, limit=limit).points)
        mine, theirs = [p.score for p in ours], [p.score for p in local]
        assert len(mine) == len(theirs), f"{len(mine)} hits, not {len(theirs)}: {query} {chosen}"
        for a, b in zip(mine, theirs):
            # Where a row is as near to both of a pair the rank turns on the last bit.
            assert abs(a - b) < 1e-3 * max(1, abs(b)), f"scores {mine}, not {theirs}: {query} {chosen}"

    def values(self):
        """Facets, groups, and points in the order of a field."""
        r, m = self.random, models
        chosen, limit = self.filter(), r.randint(1, 12)
        key = r.choice(["n", "tags", "tags[]", "flag", "deep.er", "absent"])
        ours, local = self.both(lambda c: [(type(h.value), h.value, h.count) for h in c.facet(
            self.name, key=key, facet_filter=chosen, limit=limit, exact=True).hits])
        assert ours == local, f"facet {key}: {ours}, not {local}, of {chosen}"
        order = m.OrderBy(key=r.choice(["n", "x", "deep.er"]), direction=r.choice(list(m.Direction)),
                          start_from=r.choice([None, 2, 3.5]))
        ours, local = self.both(lambda c: [p.order_value for p in c.scroll(
            self.name, scroll_filter=chosen, limit=limit, order_by=order)[0]])
        assert ours == local, f"order {order}: {ours}, not {local}, of {chosen}"
        using, size = r.choice(self.names), r.randint(1, 3)
        query = self.vector(using)
        ours, local = self.both(lambda c: [[h.score for h in g.hits] for g in c.query_points_groups(
            self.name, query=query, using=using or None, query_filter=chosen, group_by=r.choice(["n"]), group_size=size,
            limit=limit).groups])
        assert [len(g) for g in ours] == [len(g) for g in local], f"groups: {ours}, not {local}, of {chosen}"
        for a, b in zip(sum(ours, []), sum(local, [])):
            assert abs(a - b) < 1e-3 * max(1, abs(b)), f"groups: {ours}, not {local}, of {chosen}"

    def same_points(self, ours, local):
        ours, local = ({str(p.id): p for p in side} for side in (ours, local))
        assert ours.keys() == local.keys(), f"ids {sorted(ours)}, not {sorted(local)}"
        for key, point in ours.items():
            assert point.payload == local[key].payload, f"payload of {key}: {point.payload}, not {local[key].payload}"
            all_mine, theirs = (p.vector if isinstance(p.vector, dict) else {"": p.vector or []} for p in (point, local[key]))
            assert all_mine.keys() == (theirs or {}).keys(), f"vectors of {key}: {all_mine.keys()}, not {theirs.keys()}"
            for name, vector in all_mine.items():
                mine, other = ([x for row in v for x in (row if isinstance(row, list) else [row])]
                               for v in (vector, theirs[name]))
                assert len(vector) == len(theirs[name]) and len(mine) == len(other), f"vector {name} of {key}"
                for a, b in zip(mine, other):
                    assert abs(a - b) < 1e-5, f"vector {name} of {key}"


def run(url, seed, operations):
    """The first difference, or None."""
    distances = [models.Distance.COSINE, models.Distance.DOT, models.Distance.EUCLID, models.Distance.MANHATTAN]
    pair = Pair(url, seed)
    try:
        pair.create(distances[seed % 4], tenants=seed % 2 == 0, named=seed % 5 > 2,
                    multi=seed % 3 == 2)
        for number in range(operations):
            pair.step()
            if number % 97 == 96:
                flush = urllib.request.Request(url + "/insula/flush", method="POST")
                urllib.request.urlopen(flush, timeout=30).close()
    except AssertionError as difference:
        return difference
    finally:
        pair.ours.delete_collection(pair.name)
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", nargs="?")
    parser.add_argument("--url")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--operations", type=int, default=200)
    options = parser.parse_args()
    server = None
    if options.program:
        test_rest.PROGRAM = options.program
        server = test_rest.Server()
        options.url = f"http://127.0.0.1:{server.port}"
    failed = 0
    try:
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            difference = run(options.url, seed, options.operations)
            print(f"seed {seed}: {difference or f'{options.operations} operations agree'}")
            failed += difference is not None
    finally:
        if server:
            server.remove()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
