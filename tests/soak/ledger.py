"""Writers that remember: what was acknowledged has to be there, what was refused must not.

Each writer has ids of its own and one request under way, so that after a crash there are two states that
its points may be in: with that request or without it, never half of it.
"""
import http.client
import json
import random
import threading

DIM = 12
BLOB_BYTES = 400  # of a payload, at most
IDS = 1_000_000  # of one writer: id // IDS is the writer
TENANTS = [f"tenant-{i}" for i in range(12)] + [None]
REFUSED = (429, 507)  # nothing has changed
PAGE = 2000


class Unanswered(Exception):
    """No answer, or one that does not tell whether the write is there."""


class Connection:
    def __init__(self, port, timeout=60):
        self.http = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)

    def call(self, method, path, body=None):
        """Code and answer."""
        try:
            self.http.request(method, path, None if body is None else json.dumps(body),
                              {"Content-Type": "application/json"})
            response = self.http.getresponse()
            return response.status, json.loads(response.read() or "null")
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.http.close()
            raise Unanswered(f"{method} {path}: {error!r}") from error

    def ok(self, method, path, body=None):
        code, answer = self.call(method, path, body)
        if code != 200:
            raise AssertionError(f"{method} {path}: {code} {answer}")
        return answer["result"]


# Name, body of its creation, whether requests name a shard key.
COLLECTIONS = [
    ("keyed", {}, False),
    # Graphs and field indexes from some hundred points on.
    ("plain", {"hnsw_config": {"full_scan_threshold": 20, "m": 8}}, False),
    ("shards", {"sharding_method": "custom"}, True),
]
INDEXES = {"keyed": [("who", {"type": "keyword", "is_tenant": True}), ("n", "integer")],
           "plain": [("who", "keyword"), ("n", "integer")], "shards": []}


def create(port):
    """The collections, which are not there yet."""
    connection = Connection(port)
    for name, more, keys in COLLECTIONS:
        connection.ok("PUT", f"/collections/{name}", {"vectors": {"size": DIM, "distance": "Euclid"}, **more})
        for field, schema in INDEXES[name]:
            connection.ok("PUT", f"/collections/{name}/index?wait=true", {"field_name": field, "field_schema": schema})
        for number in range(len(COLLECTIONS) * 2) if keys else ():
            connection.ok("PUT", f"/collections/{name}/shards", {"shard_key": f"key-{number}"})


class Writer:
    """Random writes to the ids of one writer. Only its thread, or who verifies between lives, touches it."""

    def __init__(self, number, seed):
        self.number, self.random = number, random.Random(seed * 1000 + number)
        self.name, _, keys = COLLECTIONS[number % len(COLLECTIONS)]
        self.key = {"shard_key": f"key-{number}"} if keys else {}
        self.blob_bytes = BLOB_BYTES
        self.points = {}       # id: [vector, payload], as acknowledged
        self.pending = None    # of the request without an answer: id: state or None
        self.acknowledged = self.refused = 0
        self.last_refusal = ""

    # -- what is written: (method, path, body, changes)

    def _state(self):
        payload = {"n": self.random.randrange(100), "blob": "b" * self.random.randrange(self.blob_bytes)}
        who = self.random.choice(TENANTS)
        if who is not None:
            payload["who"] = who
        return [[float(self.random.randrange(-99, 100)) for _ in range(DIM)], payload]

    def _upsert(self, count):
        base = self.number * IDS
        changes = {base + self.random.randrange(3000): self._state() for _ in range(count)}
        points = [{"id": i, "vector": vector, "payload": payload} for i, (vector, payload) in changes.items()]
        return "PUT", "", {"points": points}, changes

    def _some(self):
        return self.random.sample(sorted(self.points), min(len(self.points), self.random.randrange(1, 40)))

    def _delete(self):
        ids = self._some()
        return "POST", "/delete", {"points": ids}, dict.fromkeys(ids)

    def _set_payload(self):
        ids, more = self._some(), {"extra": self.random.randrange(1 << 30)}
        return "POST", "/payload", {"points": ids, "payload": more}, {
            i: [self.points[i][0], {**self.points[i][1], **more}] for i in ids}

    def _drop_payload(self):
        ids = self._some()
        return "POST", "/payload/delete", {"points": ids, "keys": ["extra"]}, {
            i: [self.points[i][0], {k: v for k, v in self.points[i][1].items() if k != "extra"}] for i in ids}

    def _delete_filter(self):
        """Others write to the collection too: has_id keeps it to this writer's points."""
        n, who = self.random.randrange(100), self.random.choice(TENANTS[:-1])
        ids = sorted(self.points)
        conditions = [{"has_id": ids}, {"key": "n", "range": {"lt": n}}, {"key": "who", "match": {"value": who}}]
        return "POST", "/delete", {"filter": {"must": conditions}}, {
            i: None for i, (_, payload) in self.points.items() if payload["n"] < n and payload.get("who") == who}

    def _next(self):
        roll = self.random.random()
        if not self.points or roll < 0.5:
            return self._upsert(self.random.choice((1, 1, 20, 200)))
        return self.random.choice((self._delete, self._set_payload, self._drop_payload, self._delete_filter))()

    def write(self, connection):
        """One request. Unanswered: `pending` says what it may have changed."""
        method, path, body, self.pending = self._next()
        path = f"/collections/{self.name}/points{path}?wait=true"
        code, answer = connection.call(method, path, {**body, **self.key})
        if code == 200:
            self._take()
            self.acknowledged += 1
        elif code in REFUSED:
            self.pending = None
            self.refused += 1
            self.last_refusal = f"{code} {answer['status']['error']}"
        elif code == 503:  # it ends
            raise Unanswered(f"{method} {path}: {code} {answer}")
        else:
            raise AssertionError(f"{method} {path}: {code} {answer}")

    def _take(self):
        for i, state in self.pending.items():
            if state is None:
                self.points.pop(i, None)
            else:
                self.points[i] = state
        self.pending = None

    def verify(self, found):
        """`found`: id: state, all of this writer's on the server."""
        if self.pending is not None and found != self.points:
            self._take()
        self.pending = None
        if found == self.points:
            return
        wrong = [i for i in sorted(found.keys() | self.points.keys()) if found.get(i) != self.points.get(i)]
        lines = [f"{i}: found {str(found.get(i))[:200]}, wanted {str(self.points.get(i))[:200]}" for i in wrong[:5]]
        raise AssertionError(f"writer {self.number} in {self.name}: {len(wrong)} points are wrong\n" + "\n".join(lines))


class Load:
    """All writers, and readers beside them, against one server until stop()."""

    def __init__(self, seed):
        self.writers = [Writer(number, seed) for number in range(2 * len(COLLECTIONS))]
        self.random = random.Random(seed)
        self.stopping = threading.Event()
        self.threads, self.wrong, self.reads = [], [], 0

    def acknowledged(self):
        return sum(writer.acknowledged for writer in self.writers)

    def refused(self):
        return sum(writer.refused for writer in self.writers)

    def fatten(self, blob_bytes):
        for writer in self.writers:
            writer.blob_bytes = blob_bytes

    def start(self, port):
        self.stopping.clear()
        self.threads = [threading.Thread(target=self._write, args=(writer, port)) for writer in self.writers]
        self.threads.append(threading.Thread(target=self._read, args=(port, self.random.random())))
        for thread in self.threads:
            thread.start()

    def stop(self):
        """After it nothing is under way. AssertionError: a reader saw what it must not see."""
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        self.threads = []
        if self.wrong:
            raise AssertionError(self.wrong[0])

    def _write(self, writer, port):
        connection = Connection(port)
        try:
            while not self.stopping.is_set():
                writer.write(connection)
        except Unanswered:
            pass  # the server was killed; verify() finds out about the last request
        except Exception as error:  # pylint: disable=broad-except
            self.wrong.append(f"writer {writer.number}: {error!r}")

    def _read(self, port, seed):
        """A tenant's searches meet its points only."""
        connection, rand = Connection(port), random.Random(seed)
        try:
            while not self.stopping.is_set():
                who = rand.choice(TENANTS[:-1])
                body = {"query": [rand.randrange(-99, 100) for _ in range(DIM)], "limit": 20, "with_payload": ["who"],
                        "filter": {"must": [{"key": "who", "match": {"value": who}}]}}
                code, answer = connection.call("POST", f"/collections/{rand.choice(COLLECTIONS)[0]}/points/query", body)
                self.reads += 1
                if code == 200:
                    others = [hit for hit in answer["result"]["points"] if hit["payload"]["who"] != who]
                    if others:
                        self.wrong.append(f"asked for {who}, got {others}")
        except Unanswered:
            pass

    # -- between lives

    @staticmethod
    def _all(connection, name):
        points, offset = {}, None
        while True:
            page = connection.ok("POST", f"/collections/{name}/points/scroll", {
                "limit": PAGE, "offset": offset, "with_vector": True, "with_payload": True})
            for point in page["points"]:
                assert point["id"] not in points, f"{name}: point {point['id']} is there twice"
                points[point["id"]] = [point["vector"], point["payload"]]
            offset = page["next_page_offset"]
            if offset is None:
                return points

    def verify(self, port):
        """Every point of every writer, the counts, and that searches find a sample of the points."""
        connection = Connection(port)
        for name, _, _ in COLLECTIONS:
            points = self._all(connection, name)
            count = connection.ok("POST", f"/collections/{name}/points/count", {"exact": True})["count"]
            assert count == len(points), f"{name}: count {count}, scrolled {len(points)}"
            for writer in self.writers:
                if writer.name == name:
                    writer.verify({i: state for i, state in points.items() if i // IDS == writer.number})
            for i in self.random.sample(sorted(points), min(10, len(points))):
                self._find(connection, name, i, points[i])
        return sum(len(writer.points) for writer in self.writers)

    @staticmethod
    def _find(connection, name, i, state):
        vector, payload = state
        must = [{"key": "n", "match": {"value": payload["n"]}}]
        if "who" in payload:
            must.append({"key": "who", "match": {"value": payload["who"]}})
        found = connection.ok("POST", f"/collections/{name}/points/query", {
            "query": vector, "limit": 5, "params": {"exact": True}, "filter": {"must": must}})["points"]
        assert any(hit["id"] == i for hit in found), f"{name}: a search for point {i} finds {found}"
