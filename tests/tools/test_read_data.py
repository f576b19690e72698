#!/usr/bin/env python3
"""Goal: what is on disk is what docs/FORMATS.md says, and means what the engine says.
Method: a second reader, written from the document alone (read_data.py), and three judges: the points
that it finds equal the engine's own answers; it is content where `insula check` is; and where a bit was
flipped, both find damage or both read the same. Directories come from the simulator, 100 of them
(writes, deletes, moves, flushes, merges, kills, power cuts), and one large from a server.

    test_read_data.py MAKE_DIRECTORIES INSULA [COUNT [SEED]]"""

import json
import pathlib
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

import data_pieces
import data_scans
import read_data
from data_base import Damage, id_text

OWN_TENANTS = 3
FLIPS = 3  # of each fourth directory


def listed(folder):
    """Lines as the engine's list has them."""
    return sorted("\t".join((name, id_text(id), str(version), read_data.vectors_text(vectors), payload))
                  for name, id, version, vectors, payload in read_data.Database(folder).points())


def check(insula, folder):
    return subprocess.run([insula, "check", str(folder)], capture_output=True, text=True)


def fail(text):
    sys.exit("FAILED: " + text)


def without_changes(expected, found):
    """The engine went on with a delete or a change by filter that was under way: what it deleted, or wrote
    behind everything that is in the directory, is its own."""
    last = max((int(line.split("\t")[2]) for line in found), default=0)
    there = {tuple(line.split("\t")[:2]): line for line in expected}
    newer = {key for key, line in there.items() if int(line.split("\t")[2]) > last}
    keys = there.keys() - newer
    return ([line for line in expected if tuple(line.split("\t")[:2]) in keys],
            [line for line in found if tuple(line.split("\t")[:2]) in keys])


def compare(insula, folder, expected, what):
    done = check(insula, folder)
    if done.returncode != 0:
        fail(f"{what}: check says {done.stderr.strip()}")
    try:
        found = listed(folder)
    except Damage as damage:
        fail(f"{what}: check is content, the second reader finds: {damage}")
    if found != expected and read_data.Database(folder).changes():
        expected, found = without_changes(expected, found)
    if found != expected:
        wrong = sorted(set(found) ^ set(expected))[0]
        fail(f"{what}: {'the reader' if wrong in found else 'the engine'} alone has {wrong[:300]!r}")


def places(folder):
    """Files whose bytes mean something, with what of them is worth a flip."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != "lock" and "spare" not in path.name:
            data = path.read_bytes()
            used = [at for at in range(0, len(data), 512) if any(data[at:at + 512])]
            if used:
                yield path, used


def flip(insula, folder, chance, what):
    """Whether both found the damage."""
    path, used = chance.choice(list(places(folder)))
    at, mask = chance.choice(used) + chance.randrange(512), 1 << chance.randrange(8)
    data = bytearray(path.read_bytes())
    before = bytes(data)
    data[at] ^= mask
    path.write_bytes(data)
    done = check(insula, folder)
    try:
        found = listed(folder)
    except Damage as damage:
        found = None
        if done.returncode == 0:
            fail(f"{what}: bit {mask:#x} at {at} of {path.name}: check is content, the second reader "
                 f"finds: {damage}")
    if found is not None and done.returncode != 0:
        fail(f"{what}: bit {mask:#x} at {at} of {path.name}: the second reader is content, check says "
             f"{done.stderr.strip()}")
    path.write_bytes(before)
    return found is None


def simulated(make, insula, folder, seed, count):
    subprocess.run([make, str(folder), str(seed), str(count)], check=True)
    chance, flips, points = random.Random(seed), [], 0
    for one in range(seed, seed + count):
        place = folder / str(one)
        expected = sorted((place / "points").read_text().splitlines())
        points += len(expected)
        compare(insula, place / "data", expected, f"seed {one}")
        if one % 4 == 0:
            flips += [flip(insula, place / "data", chance, f"seed {one}") for _ in range(FLIPS)]
    print(f"{count} directories (seeds {seed} to {seed + count - 1}), {points} points, "
          f"{len(flips)} flips, {sum(flips)} of them found as damage by both")
    if points < 10 * count or sum(flips) < len(flips) / 10:
        fail("too little to compare")


# ---- One large directory: id directories of many blocks, extents in sections ----

class Server:
    def __init__(self, insula, data):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process = subprocess.Popen([insula, "serve", "--data", str(data), "--http-port",
                                         str(self.port), "--grpc-port", "0"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, method=method,
                                         headers={"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    def __enter__(self):
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                self.ask("GET", "/collections")
                return self
            except OSError:
                time.sleep(0.02)
        fail("the server does not start")

    def __exit__(self, *unused):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


def large_points(count):
    """Half of the ids are UUIDs, many of them with one high word; 7 tenants, one of them large."""
    for i in range(count):
        id = i * 3 if i % 2 else f"{i % 5:016x}{i * 7919:016x}"
        if i % 2 == 0:
            id = "-".join((id[:8], id[8:12], id[12:16], id[16:20], id[20:]))
        vectors = {"": [float(i + j) for j in range(8)], "odd": [i / 4, -1], "rare": [i * 2.5] * 700,
                   "near": [i * (j + 3) % 97 / 97 - 0.3 for j in range(96)]}
        if i % 2 == 0:
            del vectors["odd"]
        if i % 50:
            del vectors["rare"]
        if i % 5:
            vectors["rows"] = [[float(i), *range(j, j + 63)] for j in range(i % 5)]
        yield {"id": id, "vector": vectors,
               "payload": {"n": i, "of": {"tenant": f"t{i % 7 if i % 3 else 0}"}}}


def packed(vectors):
    vectors = vectors if isinstance(vectors, dict) else {"": vectors}
    floats = {name: sum(one, []) if isinstance(one[0], list) else one for name, one in vectors.items()}
    return {name: struct.pack(f"<{len(one)}f", *one) for name, one in floats.items()}


def own_points(tenant, count):
    """Ids within tenants: those of each begin at 0."""
    return [{"id": i, "vector": [float(i + tenant), 1.0], "payload": {"who": f"w{tenant}"}} for i in range(count)]


def scroll(server, collection="large", tenant=None):
    found, start = [], None
    while True:
        body = {"limit": 1000, "with_vector": True, "with_payload": True}
        if tenant is not None:
            body["filter"] = {"must": [{"key": "who", "match": {"value": tenant}}]}
        if start is not None:
            body["offset"] = start
        page = server.ask("POST", f"/collections/{collection}/points/scroll", body)["result"]
        found += [(str(one["id"]), packed(one["vector"]), one["payload"]) for one in page["points"]]
        start = page["next_page_offset"]
        if start is None:
            return sorted(found, key=lambda one: one[0])


def large(insula, folder):
    data, points = folder / "large", list(large_points(9000))
    with Server(insula, data) as server:
        server.ask("PUT", "/collections/large", {"vectors": {
            "": {"size": 8, "distance": "Euclid"}, "odd": {"size": 2, "distance": "Dot"},
            "rare": {"size": 700, "distance": "Dot"}, "near": {"size": 96, "distance": "Cosine"},
            "rows": {"size": 64, "distance": "Dot", "multivector_config": {"comparator": "max_sim"}}}})
        server.ask("PUT", "/collections/large/index", {
            "field_name": "of.tenant", "field_schema": {"type": "keyword", "is_tenant": True}})
        server.ask("PUT", "/collections/own", {"vectors": {"size": 2, "distance": "Dot"},
                                               "insula": {"point_ids": "tenant"}})
        server.ask("PUT", "/collections/own/index", {
            "field_name": "who", "field_schema": {"type": "keyword", "is_tenant": True}})
        for tenant in range(OWN_TENANTS):
            server.ask("PUT", "/collections/own/points?wait=true", {"points": own_points(tenant, 40 + tenant)})
        for at in range(0, len(points), 1000):
            server.ask("PUT", "/collections/large/points?wait=true", {"points": points[at:at + 1000]})
    with Server(insula, data) as server:  # what was flushed by the stop, and a log behind it
        server.ask("PUT", "/collections/large/points?wait=true", {"points": points[:50]})
        server.ask("POST", "/collections/own/points/delete?wait=true&tenant=w1", {"points": [0, 7]})
        expected = scroll(server)
        own = [one for tenant in range(OWN_TENANTS) for one in scroll(server, "own", f"w{tenant}")]
        server.process.kill()
    try:
        found = sorted(((id_text(id), vectors, json.loads(payload)) for name, id, _, vectors, payload
                        in read_data.Database(data).points() if name == "large"), key=lambda one: one[0])
        found_own = [(id_text(id), vectors, json.loads(payload)) for name, id, _, vectors, payload
                     in read_data.Database(data).points() if name == "own"]
    except Damage as damage:
        fail(f"large: {damage}")
    if check(insula, data).returncode != 0 or found != expected or len(found) != len(points):
        fail(f"large: the reader finds {len(found)} points, the server {len(expected)}")
    if sorted(found_own, key=str) != sorted(own, key=str) or len(own) != sum(range(40, 40 + OWN_TENANTS)) - 2:
        fail(f"own: the reader finds {len(found_own)} points, the server {len(own)}")
    if 0 in (data_scans.verified_both, data_scans.verified - data_scans.verified_both, data_scans.verified_multis):
        fail("large: no extent has codes to scan, of one kind or the other, or none of a multivector")
    if data_pieces.verified == 0:
        fail("large: no extent has hashes of pieces")
    shutil.rmtree(data)


def main():
    make, insula = sys.argv[1:3]
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 100
    seed = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    with tempfile.TemporaryDirectory(prefix="insula-read-") as name:
        folder = pathlib.Path(name)
        large(insula, folder)
        simulated(make, insula, folder, seed, count)


if __name__ == "__main__":
    main()
