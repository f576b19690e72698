#!/usr/bin/env python3
"""Reads a tenant's file from docs/FORMATS.md ("Tenant file") alone.

    tenant_file.py FILE

Prints the head, then a line a point: shard key, id, vectors as name=hex of the bytes, payload, with tabs
between them; then what the end says. Ends with 1 and the place when something is damaged."""

import ctypes
import json
import struct
import sys

from data_base import Damage, _XXHASH, hash64, id_text, require

_XXHASH.XXH3_64bits_withSeed.restype = ctypes.c_uint64
_XXHASH.XXH3_64bits_withSeed.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint64]
SIZES = {"float32": 4, "float16": 2, "uint8": 1}


def frames(data):
    """number, kind, body, header's hash of each."""
    at = number = 0
    while at < len(data):
        place = f"block {number}"
        require(len(data) - at >= 32, place, "cut")
        magic, version, kind, own, size, body_hash, head_hash = struct.unpack_from("<IHHIIQQ", data, at)
        require(magic == 0x46544e49 and version == 1, place, "magic or version")
        require(hash64(data[at:at + 24]) == head_hash, place, "hash of the header")
        require(own == number, place, "number")
        body = data[at + 32:at + 32 + size]
        require(len(body) == size, place, "cut")
        require(hash64(body) == body_hash, place, "hash of the body")
        yield number, kind, body, head_hash
        at, number = at + 32 + size, number + 1


def block(place, body, vectors):
    count, kind, zero, text_size, number = struct.unpack_from("<IBBHQ", body)
    require(kind < 3 and zero == 0, place, "shard key")
    at = 16 + text_size
    key = body[16:at].decode() if kind == 1 else number if kind == 2 else None
    points = []
    for _ in range(count):
        uuid, zero, vector_count, payload_size, high, low = struct.unpack_from("<BBHIQQ", body, at)
        require(uuid < 2 and zero == 0, place, "id")
        at += 24
        values = {}
        for _ in range(vector_count):
            index, zero, rows = struct.unpack_from("<HHI", body, at)
            vector = vectors[index]
            require(zero == 0 and vector["multi"] == (rows > 0), place, "rows")
            size = vector["size"] * max(rows, 1) * SIZES[vector["datatype"]]
            values[vector["name"]] = body[at + 8:at + 8 + size]
            at += 8 + size
        payload = body[at:at + payload_size]
        at += payload_size
        points.append((key, (uuid, high, low), values, payload))
    require(at == len(body), place, "bytes behind the last point")
    return points


def read(data):
    """Head, points, end."""
    head, points, chain, end = None, [], 0, None
    for number, kind, body, head_hash in frames(data):
        place = f"block {number}"
        require(end is None, place, "behind the end")
        require((kind == 1) == (number == 0), place, "kind")
        if kind == 1:
            head = json.loads(body)
        elif kind == 2:
            points += block(place, body, head["vectors"])
        else:
            require(kind == 3 and len(body) == 40, place, "kind or size")
            end = dict(zip(("points", "newer", "lsn_first", "lsn_last", "chain"), struct.unpack("<5Q", body)))
            require(end["points"] == len(points), place, "count")
            require(end["chain"] == chain, place, "chain")
        chain = _XXHASH.XXH3_64bits_withSeed(struct.pack("<Q", head_hash), 8, chain)
    require(end is not None, "file", "cut: no end")
    return head, points, end


def main():
    try:
        with open(sys.argv[1], "rb") as file:
            head, points, end = read(file.read())
    except (Damage, struct.error, IndexError, KeyError, ValueError) as damage:
        print(f"damaged: {damage}")
        return 1
    print(json.dumps(head, sort_keys=True))
    for key, (uuid, high, low), values, payload in points:
        text = id_text((uuid, high, low)) if uuid else str(low)
        vectors = ";".join(f"{name}={values[name].hex()}" for name in values)
        print(json.dumps(key), text, vectors, payload.decode(), sep="\t")
    print(json.dumps(end, sort_keys=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
