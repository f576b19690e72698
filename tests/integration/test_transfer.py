#!/usr/bin/env python3
"""Tenants as files over REST: goal and method stand at each test.

Run:  test_transfer.py PATH-OF-INSULA [name of a test ...]
"""
import http.client
import os
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from urllib.parse import quote

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tools"))
import tenant_file
import test_rest
from test_rest import Client, Server, wave


class TransferTest(unittest.TestCase):
    def setUp(self):
        self.server = Server()
        self.addCleanup(self.server.remove)
        self.client = Client(self.server)

    def collection(self, name, sharded=False, tenants=True, size=4, distance="Dot"):
        body = {"vectors": {"size": size, "distance": distance}}
        if sharded:
            body["sharding_method"] = "custom"
        self.client.ok("PUT", f"/collections/{name}", body)
        if tenants:
            self.client.ok("PUT", f"/collections/{name}/index?wait=true", {
                "field_name": "who", "field_schema": {"type": "keyword", "is_tenant": True}})

    def fill(self, name, who, ids, shard=None, size=4):
        ids = list(ids)
        for begin in range(0, len(ids), 1000):
            points = [{"id": i, "vector": wave(i, size), "payload": {"who": who, "n": i} if who else {"n": i}}
                      for i in ids[begin:begin + 1000]]
            body = {"points": points}
            if shard is not None:
                body["shard_key"] = shard
            self.client.ok("PUT", f"/collections/{name}/points?wait=true", body)

    def get(self, path, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        connection.request("GET", path, headers=headers or {})
        response = connection.getresponse()
        data = response.read()
        connection.close()
        return response, data

    def export(self, name, tenant=None):
        path = f"/collections/{name}/export" if tenant is None else \
            f"/collections/{name}/tenants/{quote(tenant, safe='')}/export"
        response, data = self.get(path)
        self.assertEqual(response.status, 200, data)
        self.assertEqual(response.headers["Content-Type"], "application/octet-stream")
        return data

    def put(self, name, tenant, data, query=""):
        path = f"/collections/{name}/import" if tenant is None else \
            f"/collections/{name}/tenants/{quote(tenant, safe='')}/import"
        code, answer, _ = self.client.call("POST", path + query, data,
                                           {"Content-Type": "application/octet-stream"})
        return code, answer["result"] if code == 200 else answer["status"]["error"]

    def points(self, name, **more):
        found, offset = {}, None
        while True:
            body = {"limit": 1000, "with_vector": True, "with_payload": True, **more}
            if offset is not None:
                body["offset"] = offset
            page = self.client.ok("POST", f"/collections/{name}/points/scroll", body)
            found.update({point["id"]: (point["vector"], point["payload"]) for point in page["points"]})
            offset = page["next_page_offset"]
            if offset is None:
                return found

    def test_round_trip(self):
        """Goal: a tenant that was exported stands in the file, by the second reader, and comes in again as
        it was: by the same name after a deletion, by another one, in another collection. Method: against
        what scroll says."""
        self.collection("c")
        self.collection("d")
        self.fill("c", "anna", range(2500))
        self.fill("c", "berta", range(5000, 5010))
        before = self.points("c")
        data = self.export("c", "anna")
        head, points, end = tenant_file.read(data)
        self.assertEqual((head["tenant"], head["tenant_field"], head["collection"]), ("anna", "who", "c"))
        self.assertEqual((end["points"], end["newer"]), (2500, 0))
        self.assertEqual([low for _, (_, _, low), _, _ in points], list(range(2500)))
        for key, (_, _, low), values, payload in points[::100]:
            self.assertEqual(values[""], struct.pack("<4f", *before[low][0]))
            self.assertEqual((key, payload), (None, b'{"n":%d}' % low))
        self.client.ok("POST", "/insula/flush")
        self.client.ok("DELETE", "/collections/c/tenants/anna?wait=true")
        code, result = self.put("c", "anna", data)
        self.assertEqual((code, result["points"], result["tenant"]), (200, 2500, "anna"))
        self.assertEqual(self.client.ok("GET", "/collections/c/tenants/anna")["incarnation"],
                         result["incarnation"])
        self.assertEqual(self.points("c"), before)
        code, message = self.put("c", "anna", data)
        self.assertEqual(code, 409)
        self.assertIn("merge=true", message)
        self.assertEqual(self.put("c", "anna", data, "?merge=true")[0], 200)
        self.assertEqual(self.put("d", "a/b c", data)[0], 200)
        self.assertEqual({i: (vector, {**payload, "who": "anna"}) for i, (vector, payload) in
                          self.points("d").items()}, {i: one for i, one in before.items() if i < 2500})
        self.assertEqual(self.client.ok("GET", "/collections/d/tenants")["tenants"][0]["tenant"], "a/b c")

    def test_styles(self):
        """Goal: shard keys, tenants within shard keys and collections that are tenants go out and come in,
        from one style to another where that has a meaning."""
        self.collection("key", sharded=True, tenants=False)
        self.collection("both", sharded=True)
        self.collection("both2", sharded=True)
        self.collection("alone", tenants=False)
        self.collection("field")
        for key in ("x", 5):
            for name in ("key", "both"):
                self.client.ok("PUT", f"/collections/{name}/shards", {"shard_key": key})
        self.fill("key", None, range(30), shard="x")
        self.fill("key", None, range(10), shard=5)
        self.fill("both", "anna", range(7), shard="x")
        self.fill("both", "anna", range(3, 9), shard=5)
        head, points, _ = tenant_file.read(self.export("both", "anna"))
        self.assertEqual([(key, low) for key, (_, _, low), _, _ in points],
                         [("x", i) for i in range(7)] + [(5, i) for i in range(3, 9)])
        self.assertEqual(len(tenant_file.read(self.export("key", "5"))[1]), 10)
        data = self.export("key", "x")
        self.assertEqual(self.put("alone", None, data)[1]["points"], 30)
        self.assertEqual(self.put("field", "x", data)[1]["points"], 30)
        self.assertEqual(self.client.ok("GET", "/collections/field/tenants/x")["points_max"], 30)
        again = self.export("alone")
        self.assertEqual(self.put("key", "5", again, "?merge=true")[1]["points"], 30)
        self.assertEqual(self.put("key", "5", again)[0], 409)
        self.assertEqual(self.put("key", "nowhere", again)[0], 404)
        both = self.export("both", "anna")
        for name, words in (("both2", "shard key"), ("field", "shard key")):
            code, message = self.put(name, "anna", both)
            self.assertEqual(code, 400)
            self.assertIn(words, message)
        for key in ("x", 5):
            self.client.ok("PUT", "/collections/both2/shards", {"shard_key": key})
        self.assertEqual(self.put("both2", "anna", both)[1]["points"], 13)
        self.assertEqual(tenant_file.read(self.export("both2", "anna"))[1], points)

    def test_refused(self):
        """Goal: what cannot be is refused by name, and changes nothing."""
        self.collection("c")
        self.collection("other", size=8, distance="Cosine")
        self.fill("c", "anna", range(20))
        data = self.export("c", "anna")
        for name, tenant, query, body, code, words in (
                ("other", "anna", "", data, 400, "has 4 numbers, Dot, float32; the collection's has 8, Cosine"),
                ("c", "b", "", data[:-1], 400, "cut: block 2"),
                ("c", "b", "", data[:-72], 400, "behind block 1, without its end"),
                ("c", "b", "", data + b"x", 400, "1 bytes follow"),
                ("c", "b", "", data[:500] + b"?" + data[501:], 400, "block 1 is damaged"),
                ("c", "b", "", b"", 400, "block 0"),
                ("c", "b", "", b"{}" * 30, 400, "block 0"),
                ("c", "b", "?incarnation=7", data, 409, "incarnation 7 was meant"),
                ("c", "b", "?merge=perhaps", data, 400, "merge"),
                ("c", None, "", data, 400, "name one of them"),
                ("nowhere", "b", "", data, 404, "nowhere"),
                ("c", "b" * 256, "", data, 400, "256 bytes")):
            got, message = self.put(name, tenant, body, query)
            self.assertEqual(got, code, message)
            self.assertIn(words, message)
        self.assertIn("no points", self.client.error(404, "GET", "/collections/c/tenants/b/export"))
        self.assertIn("name one", self.client.error(400, "GET", "/collections/c/export"))
        self.assertIn("was meant", self.client.error(
            409, "GET", "/collections/c/tenants/anna/export?incarnation=1"))
        self.assertEqual([each["tenant"] for each in
                          self.client.ok("GET", "/collections/c/tenants")["tenants"]], ["anna"])

    def tool(self, *arguments):
        done = subprocess.run([test_rest.PROGRAM, "tenant", arguments[0], "--url",
                               f"http://127.0.0.1:{self.server.port}", *arguments[1:]],
                              capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout, done.stderr

    def test_tool(self):
        """Goal: the tool takes out and puts in what needs several parts, and says what is wrong. Method: 12 MiB,
        parts of 4; names that must be escaped; a file that is cut, a tenant that is there."""
        self.collection("c", size=1024)
        name = "anna/ \u00e9?&%"
        for begin in range(0, 3000, 500):
            points = [{"id": i, "vector": [float(i)] * 1024, "payload": {"who": name}}
                      for i in range(begin, begin + 500)]
            self.client.ok("PUT", "/collections/c/points?wait=true", {"points": points})
        before = self.points("c")
        with tempfile.TemporaryDirectory() as directory:
            file = directory + "/a.tenant"
            code, out, error = self.tool("export", "c", name, file)
            self.assertEqual((code, error), (0, ""))
            self.assertIn("3000 points", out)
            self.assertEqual(os.listdir(directory), ["a.tenant"])
            code, _, error = self.tool("import", "c", name, file)
            self.assertEqual(code, 1)
            self.assertIn("409", error)
            self.client.ok("DELETE", "/collections/c/tenants/" + quote(name, safe="") + "?wait=true")
            self.assertEqual(self.tool("import", "c", name, file)[:2], (0, "3000 points\n"))
            self.assertEqual(self.points("c"), before)
            self.assertEqual(self.tool("import", "--merge", "c", name, file)[:2], (0, "3000 points\n"))
            self.assertEqual(self.points("c"), before)
            data = pathlib.Path(file).read_bytes()
            for bad in (data[:-1], data[:-72], data[:100000] + b"?" + data[100001:], b"", data + b"x"):
                pathlib.Path(file).write_bytes(bad)
                code, _, error = self.tool("import", "c", "new", file)
                self.assertEqual(code, 1, error)
                self.assertIn("a.tenant", error)
            code, _, error = self.tool("export", "c", "nobody", directory + "/b")
            self.assertEqual(code, 1)
            self.assertIn("no points", error)
            self.assertEqual(os.listdir(directory), ["a.tenant"])
            self.assertEqual(self.tool("export", "c")[0], 2)
            self.assertEqual(self.tool("export", "c", name, directory + "/no/b")[0], 1)

    def test_slow_client(self):
        """Goal: a client that does not read holds one piece, not the tenant, and nobody else waits; one that
        goes away leaves nothing behind; a HEAD has no body; HTTP/1.0 gets the file without chunks.
        Method: 48 MiB of vectors, a socket with a small buffer."""
        self.collection("c", size=1024)
        for begin in range(0, 12000, 500):
            points = [{"id": i, "vector": [float(byte) for byte in os.urandom(4)] * 256, "payload": {"who": "a"}}
                      for i in range(begin, begin + 500)]
            self.client.ok("PUT", "/collections/c/points?wait=true", {"points": points})
        self.client.ok("POST", "/insula/flush")
        sockets = []
        for _ in range(3):
            one = socket.socket()
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.connect(("127.0.0.1", self.server.port))
            one.sendall(b"GET /collections/c/tenants/a/export HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertIn(b"Transfer-Encoding: chunked", one.recv(4096))
            sockets.append(one)
        for _ in range(50):
            self.assertEqual(self.client.ok("POST", "/collections/c/points/count", {})["count"], 12000)
        self.client.ok("POST", "/insula/flush")
        for one in sockets[1:]:
            one.close()
        data = self.export("c", "a")
        self.assertEqual(tenant_file.read(data)[2]["points"], 12000)
        rest = b""
        sockets[0].settimeout(60)
        while not rest.endswith(b"\r\n0\r\n\r\n"):
            piece = sockets[0].recv(1 << 20)
            self.assertTrue(piece)
            rest = (rest + piece)[-64:]
        sockets[0].sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertIn(b"200 OK", sockets[0].recv(4096))  # the connection goes on
        sockets[0].close()
        old = socket.create_connection(("127.0.0.1", self.server.port))
        old.sendall(b"GET /collections/c/tenants/a/export HTTP/1.0\r\n\r\n")
        whole = b""
        while piece := old.recv(1 << 20):
            whole += piece
        old.close()
        head, body = whole.split(b"\r\n\r\n", 1)
        self.assertNotIn(b"chunked", head)
        self.assertEqual(tenant_file.read(body)[2]["points"], 12000)
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        for _ in range(20):
            connection.request("HEAD", "/collections/c/tenants/a/export")
            response = connection.getresponse()
            self.assertEqual((response.status, response.read()), (200, b""))
        connection.close()

    def test_too_many(self):
        """Goal: answers in pieces are bounded; when one ends there is room again."""
        self.collection("c", size=1024)
        for begin in range(0, 4000, 500):
            self.client.ok("PUT", "/collections/c/points?wait=true", {"points": [
                {"id": i, "vector": [0.5] * 1024, "payload": {"who": "a"}} for i in range(begin, begin + 500)]})
        sockets = []
        for _ in range(16):
            one = socket.socket()
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.connect(("127.0.0.1", self.server.port))
            one.sendall(b"GET /collections/c/tenants/a/export HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertIn(b"200 OK", one.recv(1024))
            sockets.append(one)
        self.assertIn("in pieces", self.client.error(429, "GET", "/collections/c/tenants/a/export"))
        for one in sockets:
            one.close()
        for _ in range(200):
            response, data = self.get("/collections/c/tenants/a/export")
            if response.status == 200:
                break
            time.sleep(0.02)
        self.assertEqual(tenant_file.read(data)[2]["points"], 4000)

    def test_deleted_meanwhile(self):
        """Goal: a tenant that goes during its export cuts the answer, which a client sees twice: no last
        chunk, no end in the file."""
        self.collection("c", size=1024)
        for begin in range(0, 8000, 500):
            self.client.ok("PUT", "/collections/c/points?wait=true", {"points": [
                {"id": i, "vector": [0.5] * 1024, "payload": {"who": "a"}} for i in range(begin, begin + 500)]})
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.connect(("127.0.0.1", self.server.port))
        one.sendall(b"GET /collections/c/tenants/a/export HTTP/1.1\r\nHost: x\r\n\r\n")
        data = one.recv(4096)
        self.client.ok("DELETE", "/collections/c/tenants/a?wait=true")
        one.settimeout(60)
        try:
            while piece := one.recv(1 << 20):
                data += piece
        except ConnectionResetError:
            pass
        one.close()
        self.assertFalse(data.endswith(b"0\r\n\r\n"))

    def copy(self, source, body, query="?wait=true"):
        code, answer, _ = self.client.call("POST", f"/collections/{source}/copy{query}", body)
        return code, answer["result"] if code == 200 else answer["status"]["error"]

    def test_copy(self):
        """Goal: a tenant is copied to another collection, style or name, and the source stays; what would take
        ids away from somebody is refused and takes none."""
        self.collection("c")
        self.collection("d")
        self.collection("key", sharded=True, tenants=False)
        self.collection("alone", tenants=False)
        for key in ("x", "y"):
            self.client.ok("PUT", "/collections/key/shards", {"shard_key": key})
        self.fill("c", "anna", range(3000))
        before = self.points("c")
        code, result = self.copy("c/tenants/anna", {"collection": "d"})
        self.assertEqual((code, result["status"], result["points"]), (200, "completed", 3000))
        self.assertEqual(self.points("d"), before)
        self.assertEqual(self.client.ok("GET", "/collections/d/tenants/anna")["incarnation"],
                         result["incarnation"])
        self.assertEqual(self.copy("c/tenants/anna", {"collection": "key", "to": "x"})[1]["points"], 3000)
        self.assertEqual(self.copy("key/tenants/x", {"to": "y"})[1]["points"], 3000)
        self.assertEqual(self.copy("key/tenants/y", {"collection": "alone", "to": None})[1]["points"], 3000)
        self.assertEqual(self.points("alone"), before)
        for source, body, code, words in (
                ("c/tenants/anna", {"to": "berta"}, 400, "ids are unique"),
                ("c/tenants/anna", {"collection": "d"}, 409, "has points"),
                ("c/tenants/anna", {"collection": "d", "to": "berta"}, 409, "point 0 is there, of tenant `anna`"),
                ("c/tenants/nobody", {"collection": "d"}, 404, "no points"),
                ("c/tenants/anna", {"collection": "nowhere"}, 404, "nowhere"),
                ("c/tenants/anna", {}, 400, "missing field"),
                ("c/tenants/anna", {"to": 5}, 400, "to"),
                ("c", {"collection": "alone"}, 400, "name one of them")):
            got, message = self.copy(source, body)
            self.assertEqual(got, code, message)
            self.assertIn(words, message)
        self.assertEqual(self.points("d"), before)
        self.assertEqual(self.points("c"), before)
        self.assertEqual(self.put("d", "berta", self.export("c", "anna"))[0], 409)
        self.assertEqual(self.points("d"), before)

    def test_point_ids_shown(self):
        """Goal: a message that shows the beginning of a long tenant's name is UTF-8. Method: a name of two-byte
        characters, with and without a byte before them, so that one of the two would be cut within a character."""
        path = "/collections/shown"
        self.client.ok("PUT", path, {"vectors": {"size": 4, "distance": "Dot"}, "insula": {"point_ids": "tenant"}})
        self.client.ok("PUT", path + "/index", {"field_name": "t", "field_schema": {"type": "keyword", "is_tenant": True}})
        point = {"id": 1, "vector": [1, 0, 0, 0], "payload": {"t": "x"}}
        for name in "\u00e9" * 60, "a" + "\u00e9" * 60:
            code, answer, _ = self.client.call("PUT", path + "/points?tenant=" + quote(name), {"points": [point]})
            self.assertEqual(code, 400, answer)
            self.assertIn("is not ?tenant=" + name[:30], answer["status"]["error"])

    def test_point_ids(self):
        """Goal: with point_ids `tenant` an id is one point in each tenant, over REST, a restart and `insula check`;
        who does not say whose ids are meant is told how to."""
        path = "/collections/c"
        self.client.ok("PUT", path, {"vectors": {"size": 4, "distance": "Dot"}, "insula": {"point_ids": "tenant"}})
        self.assertEqual(self.client.ok("GET", path)["config"]["insula"], {"point_ids": "tenant"})
        self.client.ok("PUT", f"{path}/index?wait=true", {
            "field_name": "who", "field_schema": {"type": "keyword", "is_tenant": True}})
        names = ("anna", "b&rt/a")
        for i, who in enumerate(names):
            self.client.ok("PUT", f"{path}/points?wait=true", {"points": [
                {"id": n, "vector": wave(n + 100 * i), "payload": {"who": who, "n": n + 100 * i}} for n in range(20)]})
        only = {who: {"filter": {"must": [{"key": "who", "match": {"value": who}}]}} for who in names}
        odd = quote(names[1], safe="")
        self.client.ok("POST", f"{path}/points/delete?wait=true&tenant=anna", {"points": [3]})
        self.client.ok("POST", f"{path}/points/payload?wait=true&tenant={odd}", {"points": [4], "payload": {"n": 7}})
        self.client.ok("POST", f"{path}/points/batch?wait=true&tenant={odd}", {"operations": [
            {"delete": {"points": [5]}},
            {"update_vectors": {"points": [{"id": 6, "vector": [1, 2, 3, 4]}]}}]})
        some = {"filter": {"must": [*only[names[1]]["filter"]["must"], {"has_id": [8, 9, 3]}]}}
        self.client.ok("POST", f"{path}/points/payload?wait=true", {**some, "payload": {"by": "filter"}})
        page = self.client.ok("POST", f"{path}/points/scroll", some)["points"]
        self.assertEqual([(point["id"], point["payload"]["by"]) for point in page], [(n, "filter") for n in (3, 8, 9)])
        code, result = self.copy("c/tenants/anna", {"to": "dora"})
        self.assertEqual((code, result["points"]), (200, 19))
        self.assertEqual(self.put("c", "emil", self.export("c", "anna"))[0], 200)
        for _ in range(2):
            for who, gone in (("anna", 3), (names[1], 5), ("dora", 3), ("emil", 3)):
                body = {"filter": {"must": [{"key": "who", "match": {"value": who}}]}}
                page = self.client.ok("POST", f"{path}/points/scroll", {**body, "limit": 100})["points"]
                self.assertEqual([point["id"] for point in page], [n for n in range(20) if n != gone])
                base = 100 if who == names[1] else 0
                self.assertEqual([point["payload"]["n"] for point in page if point["id"] not in (4, 5)],
                                 [n + base for n in range(20) if n not in (4, 5, gone)])
                self.assertEqual({point["payload"]["who"] for point in page}, {who})
                hits = self.client.ok("POST", f"{path}/points/query", {**body, "query": 8, "limit": 3})["points"]
                self.assertEqual(len(hits), 3)
            self.assertEqual(self.client.ok("GET", f"{path}/points/4?tenant={odd}")["payload"]["n"], 7)
            self.assertEqual(self.client.ok("GET", f"{path}/points/4?tenant=anna")["payload"]["n"], 4)
            self.assertEqual(len(self.client.ok("POST", f"{path}/points?tenant=anna", {"ids": [3, 4, 5]})), 2)
            self.assertEqual(self.client.ok("POST", f"{path}/points/count", {})["count"], 4 * 19)
            self.server.stop()
            check = subprocess.run([test_rest.PROGRAM, "check", self.server.directory], capture_output=True, text=True)
            self.assertEqual(check.returncode, 0, check.stdout)
            self.server.start()
            self.client = Client(self.server)
        self.client.ok("PUT", f"{path}/tenants/anna/quota", {"queries_per_second": 1})
        for who, limited in (("anna", True), (odd, False)):
            codes = {self.client.call("GET", f"{path}/points/4?tenant={who}")[0] for _ in range(30)}
            self.assertEqual(429 in codes, limited)
        self.client.ok("DELETE", f"{path}/tenants/anna/quota")
        for method, where, body, words in (
                ("GET", "points/4", None, "?tenant="),
                ("POST", "points", {"ids": [4]}, "?tenant="),
                ("POST", "points/delete?wait=true", {"points": [4]}, "?tenant="),
                ("POST", "points/delete?tenant=anna", only["anna"], "in the filter"),
                ("POST", "points/scroll", {}, "name one"),
                ("POST", "points/query", {"query": [1, 2, 3, 4]}, "name one"),
                ("POST", "points/count?tenant=anna", {}, "does not take it"),
                ("PUT", "points?tenant=anna", {"points": [{"id": 1, "vector": [1, 2, 3, 4], "payload": {"who": "x"}}]},
                 "is not ?tenant=anna"),
                ("PUT", "points", {"points": [{"id": 1, "vector": [1, 2, 3, 4]}]}, "forms no tenant"),
                ("PATCH", "", {"insula": {"point_ids": "collection"}}, "point_ids")):
            self.assertIn(words, self.client.error(400, method, f"{path}/{where}".rstrip("/"), body), where)
        self.assertEqual(self.client.ok("POST", f"{path}/points/count", {})["count"], 4 * 19)
        self.assertIn("point_ids", self.client.error(400, "PUT", "/collections/e", {
            "vectors": {"size": 4, "distance": "Dot"}, "insula": {"point_ids": "all"}}))

    def test_kill_copy(self):
        """Goal: a copy that was acknowledged is whole after kill -9, by itself. Method: killed after a while that
        grows, three times."""
        self.collection("c", size=64)
        self.fill("c", "anna", range(6000), size=64)
        before = self.points("c")
        for turn in range(3):
            self.collection(f"d{turn}", size=64)
            code, result = self.copy("c/tenants/anna", {"collection": f"d{turn}"}, "")
            self.assertEqual((code, result["status"]), (200, "acknowledged"))
            time.sleep(0.015 * turn)
            self.server.process.kill()
            self.server.process.wait()
            self.server.process.stdout.close()
            self.server.start()
            self.client = Client(self.server)
            for _ in range(500):
                if len(self.points(f"d{turn}")) == 6000:
                    break
                time.sleep(0.02)
            self.assertEqual(self.points(f"d{turn}"), before)
            self.assertEqual(self.points("c"), before)

    def test_kill_import(self):
        """Goal: kill -9 in the middle of an import loses nothing that was there before, and the same file with
        merge=true makes it whole. Method: killed after a while that grows, three times."""
        self.collection("c", size=64)
        self.fill("c", "anna", range(6000), size=64)
        before = self.points("c")
        data = self.export("c", "anna")
        for turn in range(3):
            self.client.ok("DELETE", "/collections/c/tenants/anna?wait=true")
            thread = threading.Thread(target=self.post_blindly, args=(data,))
            thread.start()
            time.sleep(0.01 + 0.03 * turn)
            self.server.process.kill()
            self.server.process.wait()
            thread.join()
            self.server.process.stdout.close()
            self.server.start()
            self.client = Client(self.server)
            left = self.points("c")
            self.assertEqual({i: one for i, one in before.items() if i in left}, left)
            self.assertEqual(self.put("c", "anna", data, "?merge=true")[1]["points"], 6000)
            self.assertEqual(self.points("c"), before)

    def post_blindly(self, data):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
            connection.request("POST", "/collections/c/tenants/anna/import", data)
            connection.getresponse().read()
        except OSError:
            pass
        except http.client.HTTPException:
            pass


if __name__ == "__main__":
    test_rest.PROGRAM = test_rest.take_program()
    unittest.main(verbosity=2, warnings="ignore")
