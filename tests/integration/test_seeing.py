#!/usr/bin/env python3
"""What an operator sees of requests: explanations, names, the slow log. Goal and method stand at each test.

Run:  test_seeing.py PATH-OF-INSULA [name of a test ...]
"""
import fcntl
import json
import os
import re
import subprocess
import tempfile
import threading
import time
import unittest

import test_rest
from test_rest import Client, Server, wave

ROWS = ("scanned", "walked", "refused_by_index", "refused_by_filter", "superseded")
STAGES = ("door", "parse", "queue", "wait", "read", "rank", "fetch", "answer")


def tenant(name, *more):
    return {"must": [{"key": "who", "match": {"value": name}}, *more]}


class SeeingTest(unittest.TestCase):
    def begin(self, *arguments):
        self.server = Server(arguments=arguments)
        self.addCleanup(self.server.remove)
        self.client = Client(self.server)

    def collection(self, name, tenants=True, **more):
        self.client.ok("PUT", f"/collections/{name}", {"vectors": {"size": 4, "distance": "Dot"}, **more})
        if tenants:
            self.client.ok("PUT", f"/collections/{name}/index?wait=true", {
                "field_name": "who", "field_schema": {"type": "keyword", "is_tenant": True}})

    def fill(self, name, first, count, **payload):
        for begin in range(first, first + count, 1000):
            end = min(begin + 1000, first + count)
            self.client.ok("PUT", f"/collections/{name}/points?wait=true", {"points": [
                {"id": i, "vector": wave(i), "payload": {"n": i, **payload}} for i in range(begin, end)]})

    def flush(self):
        self.client.ok("POST", "/insula/flush")


class ExplainTest(SeeingTest):
    def setUp(self):
        self.begin()

    def explain(self, path, body):
        """The explanation, whose parts agree with each other; the same answer as without it."""
        code, plain, _ = self.client.call("POST", path, body)
        self.assertEqual(code, 200, plain)
        self.assertNotIn("explain", plain)
        code, answer, _ = self.client.call("POST", path, {**body, "explain": True})
        self.assertEqual(code, 200, answer)
        self.assertEqual(answer["result"], plain["result"])
        explain = answer["explain"]
        plan = explain["plan"]
        if plan["places_not_shown"] == 0:
            for key in ROWS:
                self.assertEqual(explain["rows"][key], sum(place[key] for place in plan["places"]), key)
        self.assertEqual(sum(plan["how"].values()), len(plan["places"]) + plan["places_not_shown"])
        self.assertEqual(set(explain["time_us"]), set(STAGES))
        self.assertLessEqual(sum(explain["time_us"].values()) - explain["time_us"]["door"],
                             answer["time"] * 1e6 + len(STAGES))
        return explain

    def test_tenants(self):
        """Goal: scope, islands and rows are those of the tenants named, and no others. Method: three
        tenants of known sizes, in memory and in a file; one, two and no tenant in the filter."""
        self.collection("c")
        for number, (name, count) in enumerate({"a": 40, "b": 500, "c": 9}.items()):
            self.fill("c", number * 1000, count, who=name)
        query = {"query": wave(5), "limit": 3}
        path = "/collections/c/points/query"
        for look in ("memtable", "scan"):
            one = self.explain(path, {**query, "filter": tenant("b")})
            plan = one["plan"]
            self.assertEqual((plan["scope"], plan["tenants"], plan["islands"]), ("tenant", 1, 1))
            self.assertEqual((plan["rows_held"], plan["how"]), (500, {look: 1}))
            self.assertEqual(one["rows"]["scanned"], 500)
            self.assertEqual(one["bytes"]["compared"], 500 * 16)
            self.assertEqual(one["chunks_pinned"] > 0, look == "scan")
            two = self.explain(path, {**query, "filter": {"must": [
                {"key": "who", "match": {"any": ["a", "c"]}}]}})["plan"]
            self.assertEqual((two["scope"], two["tenants"], two["islands"]), ("tenants", 2, 2))
            self.assertEqual([place["island"] for place in two["places"]], [0, 1])
            every = self.explain(path, query)
            self.assertEqual((every["plan"]["scope"], every["rows"]["scanned"]), ("all", 549))
            self.assertNotIn("tenants", every["plan"])
            self.flush()
        none = self.explain(path, {**query, "filter": tenant("nobody")})
        self.assertEqual((none["plan"]["islands"], none["plan"]["places"]), (0, []))

    def test_filters(self):
        """Goal: it tells what a filter left out, by an index or row by row, and why not by an index.
        Method: one extent, fields with and without an index; counts known."""
        self.collection("c", tenants=False)
        self.client.ok("PUT", "/collections/c/index?wait=true", {"field_name": "n", "field_schema": "integer"})
        self.fill("c", 0, 4096, text="x" * 100)
        self.flush()
        few = {"must": [{"key": "n", "range": {"lt": 30}}]}
        query = {"query": wave(5), "limit": 3, "filter": few}
        picked = self.explain("/collections/c/points/query", query)
        self.assertEqual(picked["plan"]["how"], {"picks": 1})
        self.assertEqual((picked["rows"]["scanned"], picked["rows"]["refused_by_index"]), (30, 4066))
        most = {"must": [{"key": "n", "range": {"lt": 4090}}]}
        dense = self.explain("/collections/c/points/query", {**query, "filter": most})
        self.assertEqual(dense["plan"]["how"], {"field index": 1})
        blind = {"must": [{"key": "text", "match": {"value": "y"}}]}
        scan = self.explain("/collections/c/points/query", {**query, "filter": blind})
        place = scan["plan"]["places"][0]
        self.assertEqual((place["how"], place["scanned"]), ("scan", 4096))
        self.assertIn("decide none", place["why"])
        self.assertEqual(scan["rows"]["refused_by_filter"], 4096)
        count = self.explain("/collections/c/points/count", {"filter": few})
        self.assertEqual((count["rows"]["scanned"], count["plan"]["how"]), (30, {"picks": 1}))
        self.assertEqual(self.explain("/collections/c/points/count", {})["plan"]["how"], {"counted": 1})
        scroll = self.explain("/collections/c/points/scroll", {"filter": few, "limit": 30})
        self.assertEqual(scroll["plan"]["how"], {"ids": 1})
        self.assertGreaterEqual(scroll["rows"]["scanned"], 30)

    def test_versions(self):
        """Goal: rows that a newer source replaces are told. Method: half of a file's points again."""
        self.collection("c", tenants=False)
        self.fill("c", 0, 200)
        self.flush()
        self.fill("c", 0, 100)
        both = self.explain("/collections/c/points/query", {"query": wave(5), "limit": 300})
        self.assertEqual(both["plan"]["how"], {"memtable": 1, "scan": 1})
        self.assertEqual((both["rows"]["scanned"], both["rows"]["superseded"]), (300, 100))
        self.assertEqual(both["plan"]["rows_held"], 300)

    def test_cold(self):
        """Goal: what was read from disk is told once, and warm reads read nothing. Method: a restart."""
        self.collection("c", tenants=False)
        self.fill("c", 0, 2000)
        self.flush()
        self.assertEqual(self.server.stop()[0], 0)
        self.server.start()
        self.client = Client(self.server)
        query = {"query": wave(5), "limit": 3, "with_payload": True, "explain": True}
        cold, warm = (self.client.call("POST", "/collections/c/points/query", query)[1]["explain"]
                      for _ in range(2))
        self.assertGreater(cold["cold_reads"], 0)
        self.assertGreater(cold["bytes"]["cold"], 2000 * 16)
        self.assertGreater(cold["waits"], 0)
        self.assertGreater(cold["time_us"]["read"], 0)
        self.assertEqual((warm["cold_reads"], warm["waits"], warm["time_us"]["read"]), (0, 0, 0))
        self.assertEqual(warm["bytes"]["pinned"], cold["bytes"]["pinned"])

    def test_forms(self):
        """Goal: every read of points takes `explain`; of a batch each search has its own. Method: one
        request each; a value that is no boolean."""
        self.collection("c")
        self.fill("c", 0, 50, who="a")
        base = "/collections/c/points"
        for path, body in (("/search", {"vector": wave(1), "limit": 2}), ("", {"ids": [1, 2]}),
                           ("/recommend", {"positive": [1], "limit": 2}),
                           ("/query", {"query": {"order_by": "n"}}), ("/query", {"query": 7}),
                           ("/query/groups", {"query": wave(1), "group_by": "n"}),
                           ("/query", {}), ("/scroll", {"order_by": "n"})):
            explain = self.explain(base + path, body)
            self.assertGreater(explain["rows"]["scanned"], 0, path)
        facet = self.explain("/collections/c/facet", {"key": "who"})
        self.assertEqual(facet["rows"]["scanned"], 50)
        searches = [{"vector": wave(i), "limit": 1, **({"explain": True} if i == 1 else {})} for i in range(3)]
        code, answer, _ = self.client.call("POST", base + "/search/batch", {"searches": searches})
        self.assertEqual((code, len(answer["result"])), (200, 3))
        self.assertEqual([each is None for each in answer["explain"]], [True, False, True])
        self.assertEqual(answer["explain"][1]["rows"]["scanned"], 50)
        code, answer, _ = self.client.call("POST", base + "/query", {"explain": "yes"})
        self.assertIn(code, (400, 422))
        self.assertIn("explain", answer["status"]["error"])


TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class SlowTest(SeeingTest):
    def test_names(self):
        """Goal: each answer carries the request's id: the client's where it is plain, else a new one.
        Method: good and bad ids, errors, the server's own refusals, a request without any."""
        self.begin()
        made = set()
        for given in ("abc", "a" * 128, "7f3c-9:/?=+~!", "a" * 129, "", "sp ace", 'quo"te', "back\\", "\u00e9"):
            _, _, response = self.client.call("GET", "/collections", headers={"X-Request-Id": given.encode("latin-1")})
            got = response.headers["X-Request-Id"]
            if given in ("abc", "a" * 128, "7f3c-9:/?=+~!"):
                self.assertEqual(got, given)
            else:
                self.assertRegex(got, "^[0-9a-f]{16}$")
                made.add(got)
        for method, path, body in (("GET", "/nothing", None), ("GET", "/healthz", None), ("GET", "/metrics", None),
                                   ("PUT", "/collections/c", "{"), ("DELETE", "/collections", None)):
            _, _, response = self.client.call(method, path, body)
            made.add(response.headers["X-Request-Id"])
        self.assertEqual(len(made), 11)
        code, _, response = self.client.call("PUT", "/collections/c", "x",
                                             {"X-Request-Id": "mine", "Origin": "x", "Content-Type": "text/plain"})
        self.assertEqual((code, response.headers["X-Request-Id"]), (400, "mine"))

    def lines(self):
        with open(self.log) as log:
            return [json.loads(line) for line in log]

    def slow(self, *arguments):
        directory = tempfile.mkdtemp(prefix="insula-slow-")
        self.log = os.path.join(directory, "slow.log")
        self.addCleanup(os.rmdir, directory)
        self.addCleanup(lambda: os.path.exists(self.log) and os.remove(self.log))
        self.begin("--slow-log", self.log, *arguments)

    def test_slow_log(self):
        """Goal: slow requests leave a line with their names and what they did, never what was stored
        or asked. Method: 1 ms, a large upsert and searches that take longer; secrets in both."""
        self.slow("--slow-ms", "1")
        self.collection("c")
        points = [{"id": i, "vector": [0.53125] * 4, "payload": {"who": "anna", "secret": f"hidden{i}"}}
                  for i in range(60000)]
        for first in range(0, 60000, 10000):
            self.client.ok("PUT", "/collections/c/points?wait=true", {"points": points[first:first + 10000]})
        body = {"limit": 1, "filter": tenant("anna", {"key": "secret", "match": {"value": "hidden7"}})}
        code, answer, _ = self.client.call("POST", "/collections/c/points/query", {"query": [0.53125] * 4, **body},
                                           {"X-Request-Id": "mine", "traceparent": TRACEPARENT})
        self.assertEqual((code, len(answer["result"]["points"])), (200, 1))
        search = {"vector": [0.53125] * 4, **body}
        self.client.ok("POST", "/collections/c/points/search/batch", {"searches": [search] * 3})
        self.client.call("POST", "/collections/c/points/query", {"query": [0.53125] * 4, **body},
                         {"traceparent": TRACEPARENT.replace("-", "_")})
        lines = self.lines()
        by = {line["slow"]: line for line in lines if line.get("request_id") in ("mine",) or "searches" in line
              or line["slow"] == "upsert points"}
        query = by["query points"]
        self.assertEqual((query["request_id"], query["traceparent"]), ("mine", TRACEPARENT))
        self.assertEqual((query["method"], query["route"]), ("POST", "/collections/{c}/points/query"))
        self.assertEqual((query["collection"], query["tenant"], query["status"]), ("c", "anna", 200))
        self.assertGreaterEqual(query["took_us"], 1000)
        self.assertEqual(query["explain"]["rows"]["refused_by_filter"], 59999)
        self.assertIn("upsert points", by)
        batch = next(line for line in lines if "searches" in line)
        self.assertEqual((batch["searches"], batch["explain"]["rows"]["refused_by_filter"]), (3, 59999))
        self.assertNotIn("traceparent", lines[-1])
        with open(self.log) as log:
            text = log.read()
        for secret in ("hidden", "secret", "53125"):
            self.assertNotIn(secret, text)

    def test_bounds(self):
        """Goal: a flood of slow requests leaves few lines, and the rest is counted. Method: a hundred
        as fast as they come; nothing at all with 0, nor of quick ones."""
        begin = time.monotonic()  # upserts may be slow as well
        self.slow("--slow-ms", "1")
        self.collection("c")
        self.fill("c", 0, 30000, who="a")
        none = {"vector": wave(1), "limit": 1, "filter": tenant("a", {"key": "n", "match": {"value": -1}})}
        for _ in range(100):
            self.client.ok("POST", "/collections/c/points/search/batch", {"searches": [none] * 8})
        lines = self.lines()
        self.assertLessEqual(len(lines), 20 + 10 * (time.monotonic() - begin) + 1)  # a burst, and so many a second
        self.assertGreaterEqual(len(lines), 20)
        self.assertTrue(all(len(json.dumps(line)) < 5000 for line in lines))
        for value in ("x", "-1", "", "3600001"):
            result = subprocess.run([test_rest.PROGRAM, "serve", "--data", "/nowhere", "--slow-ms", value],
                                    capture_output=True, text=True)
            self.assertEqual(result.returncode, 2)
            self.assertIn("--slow-ms", result.stderr)
        result = subprocess.run([test_rest.PROGRAM, "serve", "--data", "/nowhere", "--slow-log", "/nowhere/x"],
                                capture_output=True, text=True)
        self.assertEqual(result.returncode, 1)
        self.assertIn("/nowhere/x", result.stderr)

    def test_off(self):
        self.slow("--slow-ms", "0")
        self.collection("c")
        self.fill("c", 0, 3000, who="a")
        self.assertEqual(self.lines(), [])

    def test_standard_error(self):
        """Goal: without a file lines go to the standard error; one that nobody reads stops nobody.
        Method: the server's pipe is made small and not read while large upserts write more lines
        than it takes."""
        self.begin("--slow-ms", "1")
        fcntl.fcntl(self.server.process.stdout, fcntl.F_SETPIPE_SZ, 8192)  # two pages: full when the second has bytes
        self.collection("c")
        points = json.dumps({"points": [{"id": i, "vector": wave(i)} for i in range(10000)]})
        for _ in range(20):  # as many as a burst may write, some 350 bytes each
            self.client.call("PUT", "/collections/c/points?wait=true", points, {"X-Request-Id": "x" * 120})
        rest = self.server.stop()[1]
        self.assertIn('"slow":"upsert points"', rest)
        self.assertLess(rest.count('"slow":'), 18)


class MetricsTest(SeeingTest):
    LINE = re.compile(r'([a-z_]+)(?:\{(.*)\})? ([0-9.]+)')
    LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"(?:,|$)')

    def metrics(self):
        """{name: {labels: value}}; every line is well-formed, every series comes once."""
        out, known = {}, set()
        for line in self.client.call("GET", "/metrics")[1].split("\n")[:-1]:
            if line.startswith("# TYPE "):
                known.add(line.split()[2])
            if line.startswith("#"):
                continue
            name, labels, value = self.LINE.fullmatch(line).groups()
            base = re.sub("_(bucket|sum|count)$", "", name)
            self.assertTrue(name in known or base in known, name)
            pairs = self.LABEL.findall(labels or "")
            self.assertEqual(",".join(f'{key}="{text}"' for key, text in pairs), labels or "")
            key = tuple((key, re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], text)) for key, text in pairs)
            self.assertNotIn(key, out.setdefault(name, {}))
            out[name][key] = float(value)
        return out

    def test_responses(self):
        """Goal: answers count by route and code, their latencies in buckets that add up. Method: known
        numbers of requests, good and bad; Qdrant's names of both."""
        self.begin()
        self.collection("c")
        self.fill("c", 0, 50, who="a")
        for _ in range(7):
            self.client.ok("POST", "/collections/c/points/query", {"query": wave(1), "filter": tenant("a")})
        self.client.ok("POST", "/collections/c/points/search/batch", {"searches": [{"vector": wave(1), "limit": 1}] * 4})
        self.client.error(404, "POST", "/collections/x/points/query", {"query": wave(1)})
        self.client.error(400, "POST", "/collections/c/points/query", {"query": [1, 2]})
        found = self.metrics()
        label = (("method", "POST"), ("endpoint", "/collections/{name}/points/query"))
        codes = {dict(key)["status"]: value for key, value in found["rest_responses_total"].items() if key[:2] == label}
        self.assertEqual(codes, {"200": 7, "400": 1, "404": 1})
        good = label + (("status", "200"),)
        name = "rest_responses_duration_seconds"
        self.assertEqual(found[name + "_count"][good], 7)
        self.assertGreater(found[name + "_sum"][good], 0)
        buckets = [value for key, value in found[name + "_bucket"].items() if key[:3] == good]
        self.assertEqual((len(buckets), buckets, buckets[-1]), (16, sorted(buckets), 7))
        reads = {dict(key)["rows"]: value for key, value in found["insula_read_duration_seconds_count"].items()}
        self.assertEqual((reads["under 1k"], reads["several"], sum(reads.values())), (11, 0, 11))
        self.assertGreater(found["insula_log_write_duration_seconds_count"][()], 2)
        for gone in ("insula_slow_requests_total", "insula_slow_lines_dropped_total"):
            self.assertIn(gone, found)

    def test_tenants(self):
        """Goal: the heaviest tenants stand by name and resource, however they are called, and their
        number is bounded. Method: 200 tenants, one asked and written far more; names with all that a
        label must escape; a shard key; a tenant that is deleted; disk after a restart."""
        self.begin()
        self.collection("c")
        odd = 'he said "\\" \n {x="1"}, \u00e9 ' + "\\" * 200
        names = [f"t{i}" for i in range(200)] + [odd]
        for first, name in enumerate(names):
            self.fill("c", first * 10, 100 if name == odd else 3, who=name)
        for name in names + [odd] * 5 + ["t7"] * 60:
            self.client.ok("POST", "/collections/c/points/query", {"query": wave(1), "filter": tenant(name)})
        self.client.ok("POST", "/collections/c/points/query", {"query": wave(1)})
        top = self.metrics()
        label = lambda tenant, shard="": (("collection", "c"), ("shard", shard), ("tenant", tenant))
        reads = top["insula_top_tenant_reads"]
        self.assertLessEqual(len(reads), 16)
        self.assertGreaterEqual(reads[label("t7")], 61)
        self.assertEqual(max(reads, key=reads.get), label("t7"))
        self.assertEqual(top["insula_reads_total"][()], len(names) + 5 + 60 + 1)
        written = top["insula_top_tenant_written_rows"]
        self.assertEqual(max(written, key=written.get), label(odd))
        self.assertGreaterEqual(written[label(odd)], 100)
        self.assertEqual(top["insula_written_rows_total"][()], 100 + 200 * 3)
        self.assertGreater(top["insula_top_tenant_time_seconds"][label("t7")], 0)
        self.client.ok("DELETE", "/collections/c/tenants/t7?wait=true")
        self.assertNotIn(label("t7"), self.metrics()["insula_top_tenant_reads"])
        self.client.ok("PUT", "/collections/k", {"vectors": {"size": 4, "distance": "Dot"}, "sharding_method": "custom"})
        self.client.ok("PUT", "/collections/k/shards", {"shard_key": "north"})
        self.client.ok("PUT", "/collections/k/points?wait=true", {
            "shard_key": "north", "points": [{"id": i, "vector": wave(i)} for i in range(900)]})
        north = (("collection", "k"), ("shard", "north"), ("tenant", ""))
        self.assertGreaterEqual(self.metrics()["insula_top_tenant_written_rows"][north], 900)
        self.flush()
        work = self.metrics()["insula_top_tenant_background_seconds"]
        self.assertEqual(max(work, key=work.get), north)
        self.assertGreater(work[north], work[label(odd)])
        self.assertEqual(self.server.stop()[0], 0)
        self.server.start()
        self.client = Client(self.server)
        self.client.ok("POST", "/collections/c/points/query", {"query": wave(1), "filter": tenant(odd)})
        cold = self.metrics()
        self.assertEqual(list(cold["insula_top_tenant_cold_bytes"]), [label(odd)])
        self.assertGreater(cold["insula_cold_reads_total"][()], 0)


class TopTest(SeeingTest):
    def top(self, *arguments):
        return subprocess.run([test_rest.PROGRAM, "top", *arguments], capture_output=True, text=True)

    def test_once(self):
        """Goal: one frame shows what happened between its two looks. Method: a thread that asks one
        tenant, whose name holds what a terminal would obey, and writes to another."""
        self.begin()
        self.collection("c")
        hot = "hot\x1b[2J\u009b!"
        self.fill("c", 0, 300, who=hot)
        self.fill("c", 1000, 200, who="cold")
        stop = threading.Event()

        def work():
            client = Client(self.server)
            while not stop.is_set():
                client.ok("POST", "/collections/c/points/query", {"query": wave(1), "filter": tenant(hot)})
                client.ok("PUT", "/collections/c/points?wait=true", {
                    "points": [{"id": 1, "vector": wave(1), "payload": {"who": "new"}}]})

        thread = threading.Thread(target=work)
        thread.start()
        result = self.top("--once", f"http://127.0.0.1:{self.server.port}")
        stop.set()
        thread.join()
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertNotIn("\x1b", result.stdout)
        self.assertNotIn("\u009b", result.stdout)
        line = lambda part: next(line for line in result.stdout.splitlines() if part in line)
        self.assertRegex(line("/points/query"), r"POST /collections/\{name\}/points/query +[0-9.]+ +[0-9.]+ ms +[0-9.]+ ms")
        self.assertRegex(line("c hot?[2J??!"), r"[0-9.]+% +[1-9][0-9.]* +[1-9][0-9]* +0 B/s +0.0")
        self.assertRegex(line("c new"), r" 0.0% +0.0 +0 +0 B/s +[1-9]")
        self.assertFalse(any("c cold" in each for each in result.stdout.splitlines()))
        self.assertRegex(line("under 1k"), r"[1-9]")
        self.assertRegex(line("LOG "), r"LOG +[1-9][0-9.]* records/s .* write p50 [0-9.]+ ms p99 [0-9.]+ ms")
        for part in ("insula top", "requests", "FLUSH", "MERGE", "CACHE", "BUDGET 512.0 MiB", "memtable"):
            self.assertIn(part, result.stdout)

    def test_bad(self):
        """Goal: what cannot be shown is said. Method: no server, wrong arguments, a server that ends
        in between."""
        self.begin()
        url = f"http://127.0.0.1:{self.server.port}"
        for arguments in (("--seconds", "0"), ("--seconds", "x"), ("a", "b"), ("--what",)):
            self.assertEqual(self.top(*arguments).returncode, 2, arguments)
        self.assertEqual(self.top("--help").returncode, 0)
        self.assertEqual(self.top("--once", "ftp://x").returncode, 1)
        process = subprocess.Popen([test_rest.PROGRAM, "top", "--seconds", "1", url], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        self.assertIn("insula top", process.stdout.readline())
        self.server.stop()
        errors = process.communicate(timeout=30)[1]
        self.assertEqual(process.returncode, 1)
        self.assertIn("insula top:", errors)
        result = self.top("--once", url)
        self.assertEqual(result.returncode, 1)
        self.assertIn("cannot reach", result.stderr)


if __name__ == "__main__":
    test_rest.PROGRAM = test_rest.take_program()
    unittest.main(verbosity=2, warnings="ignore")
