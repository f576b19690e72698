#!/usr/bin/env python3
"""The HTTP server under bad weather: goal and method stand at each test.

Run:  test_http.py [--loops=N] PATH-OF-INSULA [name of a test ...]
Standard library only. Each test takes some seconds; the sizes follow the descriptor limit.
"""
import gzip
import json
import os
import random
import resource
import select
import signal
import socket
import struct
import sys
import time
import unittest

import test_rest
from test_rest import Client, Server, wave

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"


def connect(server, small=False):
    peer = socket.socket()
    if small:  # so that answers that nobody reads fill the sockets soon
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    peer.settimeout(20)
    peer.connect(("127.0.0.1", server.port))
    return peer


def reset(peer):
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def read_answer(peer):
    """Code, headers, body; None when the server closed first."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = peer.recv(65536)
        if not piece:
            return None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:])}
    size = int(headers["content-length"])
    while len(body) < size:
        piece = peer.recv(1 << 20)
        if not piece:
            return None
        body += piece
    return int(lines[0].split()[1]), headers, body


def closed_within(peer, seconds):
    """Seconds until the server ended the connection, whatever it said before; None: it did not."""
    start = time.monotonic()
    peer.settimeout(0.2)
    while time.monotonic() - start < seconds:
        try:
            if not peer.recv(65536):
                return time.monotonic() - start
        except TimeoutError:
            continue
        except OSError:
            return time.monotonic() - start
    return None


def request(method, path, body=b"", extra=""):
    return (f"{method} {path} HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n{extra}\r\n").encode() + body


def rss(server):
    with open(f"/proc/{server.process.pid}/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def stats(server):
    return Client(server).ok("GET", "/insula/stats")


def fill(server, name, count, dim=4, text=""):
    client = Client(server)
    client.ok("PUT", f"/collections/{name}", {"vectors": {"size": dim, "distance": "Dot"}})
    for first in range(0, count, 500):
        client.ok("PUT", f"/collections/{name}/points?wait=true", {"points": [
            {"id": i, "vector": wave(i, dim), "payload": {"text": f"{text} {i}"}}
            for i in range(first, min(first + 500, count))]})


class HttpTest(unittest.TestCase):
    def serve(self, *arguments, preexec=None):
        server = Server(arguments=arguments, preexec=preexec)
        self.addCleanup(server.remove)
        return server

    def healthy(self, server):
        self.assertEqual(Client(server).call("GET", "/healthz")[0], 200)

    def test_idle(self):
        """Goal: 10,000 idle connections cost a bounded memory each and are still served.
        Method: as many as the descriptors allow; a request on each; arena and RSS before, after."""
        server = self.serve()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        most = 10000 if hard == resource.RLIM_INFINITY else min(10000, hard - 300)
        before, rss_before = stats(server)["memory"], rss(server)
        peers = []
        for i in range(most):
            peers.append(connect(server))
            if i % 100 == 99:  # the listener's queue is short
                peers[-1].sendall(HEALTH)
                self.assertEqual(read_answer(peers[-1])[0], 200)
        for peer in peers:
            peer.sendall(HEALTH)
        for peer in peers:
            self.assertEqual(read_answer(peer)[0], 200)
        after, rss_after = stats(server)["memory"], rss(server)
        arena = (after["connection"]["used"] - before["connection"]["used"]) / most
        resident = (rss_after - rss_before) / most
        print(f"{most} idle connections: {arena:.0f} bytes of the arena, {resident:.0f} resident each",
              file=sys.stderr)
        self.assertLess(arena, 1024)
        self.assertLess(resident, 4096)
        for peer in peers:
            peer.close()
        deadline = time.monotonic() + 60
        while stats(server)["memory"]["connection"]["used"] > before["connection"]["used"] + 65536:
            self.assertLess(time.monotonic(), deadline, "memory of closed connections is kept")
            time.sleep(0.1)

    def test_descriptors(self):
        """Goal: when descriptors run out, clients are told so and the server lives; idle
        connections give way. Method: a limit of 300 descriptors, 400 clients."""
        server = self.serve(preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (300, 300)))
        peers, refused, served = [], 0, 0
        for _ in range(400):
            peer = connect(server)
            peers.append(peer)
            try:
                peer.sendall(HEALTH)
                answer = read_answer(peer)
            except OSError:
                answer = None
            served += answer is not None and answer[0] == 200
            refused += answer is None or answer[0] == 503
        self.assertEqual(served + refused, 400)
        self.assertGreater(served, 100)
        self.assertGreater(refused, 100)
        time.sleep(1.5)
        newcomer = connect(server)  # the oldest is idle long enough now
        newcomer.sendall(HEALTH)
        self.assertEqual(read_answer(newcomer)[0], 200)
        for peer in peers:
            peer.close()
        deadline = time.monotonic() + 60
        while True:  # the server learns of the closed ones one after the other
            try:
                self.assertEqual(Client(server).call("GET", "/healthz")[0], 200)
                break
            except (OSError, AssertionError):
                self.assertLess(time.monotonic(), deadline, "no client is served any more")
                time.sleep(0.05)

    def test_no_descriptor(self):
        """Goal: when the system gives no descriptor, a client is turned away at once and the server
        goes on when there are some again. Method: the limit is lowered under a running server."""
        server = self.serve()
        first = connect(server)
        first.sendall(HEALTH)
        self.assertEqual(read_answer(first)[0], 200)
        pid = server.process.pid
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        highest = max(int(number) for number in os.listdir(f"/proc/{pid}/fd"))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest + 1, before[1]))
        peers = [connect(server) for _ in range(40)]  # some find a free number below
        for peer in peers[20:]:
            self.assertIsNotNone(closed_within(peer, 20))
        first.sendall(HEALTH)
        self.assertEqual(read_answer(first)[0], 200)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        self.healthy(server)

    def test_stop(self):
        """Goal: a clean stop lets answers on their way arrive whole. Method: SIGTERM while clients
        have megabytes to read, idle ones and a half sent request beside them."""
        server = self.serve()
        fill(server, "q", 2000, dim=64, text="x" * 1000)
        scroll = request("POST", "/collections/q/points/scroll",
                         json.dumps({"limit": 2000, "with_vector": True}).encode())
        peers = [connect(server, small=True) for _ in range(4)]
        for peer in peers:
            peer.sendall(scroll)
        idle, half = connect(server), connect(server)
        half.sendall(scroll[:50])
        time.sleep(0.5)
        server.process.send_signal(test_rest.signal.SIGTERM)
        self.assertIsNotNone(closed_within(idle, 5))
        self.assertIsNotNone(closed_within(half, 5))
        for peer in peers:
            code, headers, body = read_answer(peer)
            self.assertEqual(code, 200)
            self.assertEqual(len(json.loads(body)["result"]["points"]), 2000)
        self.assertEqual(server.process.wait(20), 0)

    def test_slow(self):
        """Goal: heads and bodies that do not come in time get 408 and an end; others are not
        disturbed. Method: a second's patience; nothing more, and a byte every 100 ms."""
        server = self.serve("--client-timeout", "1")
        fill(server, "s", 10)
        starts = [b"GET /healthz HTTP/1.1\r\nHost:", b"P", request("PUT", "/collections/x")[:-2],
                  request("PUT", "/collections/x", b"{" * 1000)[:-900],
                  b"PUT /collections/x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n500\r\n{"]
        peers = [connect(server) for _ in starts * 2]
        for peer, start in zip(peers, starts * 2):
            peer.sendall(start)
        begin = time.monotonic()
        waiting = set(peers)
        while waiting and time.monotonic() - begin < 40:
            for peer in peers[len(starts):]:  # the second half trickles
                if peer in waiting:
                    try:
                        peer.send(b"a")
                    except OSError:
                        pass
            for peer in select.select(list(waiting), [], [], 0.1)[0]:
                answer = read_answer(peer)
                self.assertEqual(answer[0], 408)
                self.assertIn(b"Timeout", answer[2])
                waiting.discard(peer)
            self.healthy(server)
        self.assertFalse(waiting)
        self.assertLess(time.monotonic() - begin, 30)  # trickling buys no time; a loaded machine takes some
        for peer in peers:
            self.assertIsNotNone(closed_within(peer, 20))

    def test_never_reads(self):
        """Goal: a client that reads no answer is cut and its memory comes back, one that reads
        slowly gets all. Method: answers of MiBs; patience of a second."""
        server = self.serve("--client-timeout", "1")
        fill(server, "n", 3000, dim=64, text="x" * 1000)
        body = json.dumps({"limit": 3000, "with_vector": True}).encode()
        scroll = request("POST", "/collections/n/points/scroll", body)
        plain = connect(server)
        plain.sendall(scroll)
        size = len(read_answer(plain)[2])
        self.assertGreater(size, 4 << 20)
        base = stats(server)["memory"]["connection"]["used"]
        deaf = [connect(server, small=True) for _ in range(4)]
        for peer in deaf:
            peer.sendall(scroll)
        time.sleep(4)
        for peer in deaf:
            self.assertIsNotNone(closed_within(peer, 20))
        self.assertLess(stats(server)["memory"]["connection"]["used"], base + 65536)
        slow = connect(server, small=True)
        slow.sendall(scroll)
        got = 0
        begin = time.monotonic()
        while got < size:
            piece = slow.recv(1 << 16)
            self.assertTrue(piece, "a client that reads 2 MiB/s was cut")
            got += len(piece)
            time.sleep(len(piece) / (2 << 20))
        self.assertGreater(time.monotonic() - begin, 1.5)

    def test_half_closed(self):
        """Goal: a client that ends its side gets all answers it asked for. Method: pipelined
        requests, then the end, also in the middle of a body."""
        server = self.serve()
        fill(server, "h", 20)
        peer = connect(server)
        peer.sendall(HEALTH + request("POST", "/collections/h/points/count", b"{}") + HEALTH)
        peer.shutdown(socket.SHUT_WR)
        data = b""
        while piece := peer.recv(65536):
            data += piece
        self.assertEqual(data.count(b"HTTP/1.1 200"), 3)
        self.assertIn(b'"count":20', data)
        peer = connect(server)
        peer.sendall(request("PUT", "/collections/h/points", b"{" * 100)[:-50])
        peer.shutdown(socket.SHUT_WR)
        self.assertIsNotNone(closed_within(peer, 20))
        self.healthy(server)

    def test_cuts(self):
        """Goal: a connection may end at any byte and nothing stays behind or is half done.
        Method: requests of all kinds, cut anywhere, by reset or end; then nothing is pending,
        memory is back but for 64 jobs and the compressor that each loop keeps, and the points of an
        upsert are all there or none."""
        server = self.serve()
        fill(server, "c", 200, text="y" * 200)
        generator = random.Random(11)
        points = json.dumps({"points": [{"id": 1000 + i, "vector": wave(i), "payload": {"n": "z" * 99}}
                                        for i in range(300)]}).encode()
        scroll = json.dumps({"limit": 200, "with_vector": True}).encode()
        query = json.dumps({"query": wave(5), "limit": 10}).encode()
        kinds = [
            HEALTH * 3, request("PUT", "/collections/c/points?wait=true", points),
            request("POST", "/collections/c/points/scroll", scroll, "Accept-Encoding: gzip\r\n"),
            request("POST", "/collections/c/points/query", query) * 4,
            request("POST", "/collections/c/points/scroll", scroll) * 3,
            b"PUT /collections/c/points HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
            + b"%x\r\n" % len(points) + points + b"\r\n0\r\n\r\n"]
        base = stats(server)["memory"]["connection"]["used"]
        kept = (5 << 18) * (int(test_rest.EXTRA[1]) if test_rest.EXTRA else 1)
        for _ in range(600):
            data = generator.choice(kinds)
            peer = connect(server, small=generator.random() < 0.3)
            cut = generator.randrange(1, len(data) + 1) if generator.random() < 0.7 else len(data)
            peer.sendall(data[:cut])
            if generator.random() < 0.3:
                time.sleep(generator.random() * 0.003)
            if generator.random() < 0.3:
                peer.recv(generator.randrange(1, 5000)) if cut == len(data) else None
            reset(peer) if generator.random() < 0.5 else peer.close()
        deadline = time.monotonic() + 60
        while True:
            now = stats(server)
            # the request that asks is pending itself where statistics are a job of the engine
            if now["requests_pending"] <= 1 and now["memory"]["connection"]["used"] < base + kept:
                break
            self.assertLess(time.monotonic(), deadline, now)
            time.sleep(0.05)
        count = Client(server).ok("POST", "/collections/c/points/count", {})["count"]
        self.assertIn(count, (200, 500))
        self.assertEqual(server.stop()[0], 0)

    def test_gzip(self):
        """Goal: compressed answers hold the same bytes, at every size and also pipelined; small
        ones are left alone. Method: scrolls of growing length, with and without, compared."""
        server = self.serve()
        fill(server, "g", 3000, dim=256, text="compressed or not")
        peer = connect(server)
        packed = 0
        for limit in (1, 5, 10, 100, 300, 1000, 3000):
            body = json.dumps({"limit": limit, "with_vector": True}).encode()
            path = "/collections/g/points/scroll"
            peer.sendall(request("POST", path, body, "Accept-Encoding: gzip, deflate, br\r\n")
                         + request("POST", path, body))
            (code, headers, data), (_, plain_headers, plain) = read_many(peer, 2)
            self.assertEqual(code, 200)
            self.assertNotIn("content-encoding", plain_headers)
            if "content-encoding" in headers:
                self.assertEqual(headers["content-encoding"], "gzip")
                self.assertLess(len(data), len(plain))
                data = gzip.decompress(data)
                packed += 1
            self.assertEqual(json.loads(data)["result"], json.loads(plain)["result"])
            self.assertEqual(headers.get("vary"), "Accept-Encoding" if len(plain) >= 1024 else None)
        self.assertGreaterEqual(packed, 6)

    def test_rounds(self):
        """Goal: answers that leave together are each connection's own, in order, large ones among
        them, and clients that are gone, or gone silent, take nobody's answer along. Method: the
        server is stopped while many clients send, some of them several requests, some of them then
        reset; when it goes on it finds them all in one round."""
        server = self.serve()
        fill(server, "r", 500, dim=64, text="z" * 100)
        path = "/collections/r/points/scroll"
        for turn in range(6):
            peers = [connect(server) for _ in range(60)]
            for peer in peers:  # every connection is known before the round
                peer.sendall(HEALTH)
                self.assertEqual(read_answer(peer)[0], 200)
            server.process.send_signal(signal.SIGSTOP)
            asked = []
            for number, peer in enumerate(peers):
                limits = [number % 7 + 1, 400 if number % 11 == 3 else 2, 3][:number % 3 + 1]
                bodies = [json.dumps({"limit": limit, "offset": number, "with_vector": True}).encode()
                          for limit in limits]
                peer.sendall(b"".join(request("POST", path, body) for body in bodies))
                asked.append((peer, number, limits))
                if number % 10 == turn:
                    reset(peer)
            server.process.send_signal(signal.SIGCONT)
            for peer, number, limits in asked:
                if number % 10 == turn:
                    continue
                for limit, (code, _, data) in zip(limits, read_many(peer, len(limits))):
                    self.assertEqual(code, 200)
                    points = json.loads(data)["result"]["points"]
                    self.assertEqual([point["id"] for point in points],
                                     list(range(number, 500))[:limit])
                peer.close()
        self.healthy(server)

    def test_expect(self):
        """Goal: Expect: 100-continue is answered at once, or refused before the body is sent.
        Method: a body held back; one that is announced too large."""
        server = self.serve()
        peer = connect(server)
        head = request("PUT", "/collections/e", b"{}", "Expect: 100-continue\r\n")[:-2]
        peer.sendall(head)
        self.assertEqual(peer.recv(100), b"HTTP/1.1 100 Continue\r\n\r\n")
        peer.sendall(b"{}")
        self.assertEqual(read_answer(peer)[0], 200)
        peer.sendall(b"PUT /collections/e HTTP/1.1\r\nExpect: 100-continue\r\n"
                     b"Content-Length: 99999999\r\n\r\n")
        self.assertEqual(read_answer(peer)[0], 413)

    def test_parameters(self):
        """Goal: wait, timeout, ordering and consistency are checked as Qdrant does. Method: each
        right and wrong."""
        server = self.serve()
        fill(server, "p", 3)
        client = Client(server)
        upsert = {"points": [{"id": 1, "vector": wave(1)}]}
        for query, status in (("wait=true", "completed"), ("wait=false", "acknowledged"),
                              ("wait=true&ordering=strong&timeout=5", "completed")):
            result = client.ok("PUT", "/collections/p/points?" + query, upsert)
            self.assertEqual(result["status"], status)
        for query, code in (("wait=1", 400), ("wait=", 400), ("timeout=x", 400), ("timeout=0", 422),
                            ("ordering=first", 400), ("timeout=-1", 400)):
            message = client.error(code, "PUT", "/collections/p/points?" + query, upsert)
            self.assertIn(query.split("=")[0], message)
        for query in ("consistency=majority", "consistency=1", "consistency=all&timeout=2"):
            client.ok("POST", "/collections/p/points/count?" + query, {})
        for query in ("consistency=none", "consistency=0"):
            client.error(400, "POST", "/collections/p/points/count?" + query, {})

    def test_cors(self):
        """Goal: a page of any origin may ask unless --cors off. Method: preflight and request."""
        for arguments, allowed in (((), True), (("--cors", "off"), False)):
            server = self.serve(*arguments)
            peer = connect(server)
            peer.sendall(b"OPTIONS /collections HTTP/1.1\r\nOrigin: https://page.example\r\n"
                         b"Access-Control-Request-Method: PUT\r\n"
                         b"Access-Control-Request-Headers: content-type,api-key\r\n\r\n")
            code, headers, _ = read_answer(peer)
            self.assertEqual((code == 200, "access-control-allow-headers" in headers),
                             (allowed, allowed))
            peer.sendall(request("GET", "/collections", b"", "Origin: https://page.example\r\n"))
            code, headers, _ = read_answer(peer)
            self.assertEqual(code, 200)
            self.assertEqual(headers.get("access-control-allow-origin"), "*" if allowed else None)
            server.stop()


def read_many(peer, count):
    """So many answers from one connection, whatever pieces they come in."""
    data = b""
    answers = []
    while len(answers) < count:
        head, found, rest = data.partition(b"\r\n\r\n")
        if found:
            lines = head.decode().split("\r\n")
            headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:])}
            size = int(headers["content-length"])
            if len(rest) >= size:
                answers.append((int(lines[0].split()[1]), headers, rest[:size]))
                data = rest[size:]
                continue
        piece = peer.recv(1 << 20)
        if not piece:
            raise EOFError(data[:200])
        data += piece
    return answers


if __name__ == "__main__":
    test_rest.PROGRAM = test_rest.take_program()
    unittest.main(verbosity=2, warnings="ignore")
