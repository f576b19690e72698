#!/usr/bin/env python3
"""Reads a data directory from docs/FORMATS.md alone and lists every live point.

    read_data.py DIRECTORY

A line a point: collection, id, version, vectors, payload, with tabs between them; in the order of
collections' names and ids. Vectors: name=hex of the bytes, with ; between them, in the order in which the
collection got them. It shares nothing with the engine: where the two differ, the
document or one of them is wrong. Every hash and everything called zero is verified. Ends with 1 and the
place when something is damaged."""

import json
import pathlib
import re
import sys

import data_log
import data_segment
from data_base import Damage, hash128, id_text, read_cell, require, u32, u64
from data_directory import id_hash

CATALOG = 1


def manifest(folder):
    data, _ = read_cell(folder / "cells" / "manifest")
    require(data[:8] == b"INSULMAN" and u32(data, 8) == 1, "manifest", "magic or format")
    require(hash128(data[:-16]) == data[-16:], "manifest", "hash")
    count = u32(data, 12)
    require(len(data) == 64 + 48 * count + 16, "manifest", "size")
    files = []
    for at in range(64, 64 + 48 * count, 48):
        files.append({"number": u64(data, at), "id": data[at + 8:at + 24], "size": u64(data, at + 24),
                      "trailer_hash": u64(data, at + 32), "extents": u32(data, at + 40)})
        require(u32(data, at + 44) == 0 and files[-1]["number"] < u64(data, 40), "manifest", "a file")
    numbers = [one["number"] for one in files]
    require(numbers == sorted(set(numbers)), "manifest", "order of the files")
    require(u64(data, 56) <= u64(data, 32), "manifest", "erased and flushed LSN")
    return {"flushed": u64(data, 32), "log": u64(data, 48), "files": files}


class Island:
    """Runs of segments, and what the log says behind them."""

    def __init__(self):
        self.runs = []
        self.late = {}     # id → (version, vectors, payload), or None: a tombstone
        self.patches = set()  # those of `late` that inherit what they lack from the runs
        self.entries = {}  # of an id directory

    def visible_runs(self):
        """Without those that another one hides; newest first."""
        def hidden(run):
            return any(other is not run and other.low <= run.low and run.high <= other.high and
                       ((other.low, other.high) != (run.low, run.high) or other.file > run.file)
                       for other in self.runs)
        return sorted((run for run in self.runs if not hidden(run)), key=lambda run: -run.high)

    def live(self):
        """id → (version, {vector's number: bytes}, payload)."""
        found, open = dict(self.late), set(self.patches)
        for run in self.visible_runs():
            for id, one in run.points.items():
                if id in open:
                    found[id] = over(found[id], one)
                    open -= set() if id in run.patches else {id}
                elif id not in found:
                    found[id] = one
                    open |= {id} & run.patches
            for id in run.tombstones:
                require(id not in open, run.place, f"{id_text(id)}: a patch of a dead point")
                found.setdefault(id, None)
        require(not open, "island", f"patches without a row: {[id_text(id) for id in open]}")
        return {id: one for id, one in found.items() if one is not None}

    def candidates(self, id):
        """Islands that an id directory names for an id."""
        found = set()
        for run in self.visible_runs():
            if id in run.entries:
                require(run.filter(id_hash(id)), run.place, f"the filter denies {id_text(id)}")
                found.add(run.entries[id])
        return found | ({self.entries[id]} if id in self.entries else set())


def over(patch, older):
    """A patch with what it inherits from the next older version."""
    version, vectors, payload = patch
    return version, {**older[1], **vectors}, payload


class Database:
    def __init__(self, folder):
        folder = pathlib.Path(folder)
        self.islands = {}
        head = manifest(folder)
        for entry in head["files"]:
            path = folder / "objects" / f"segments+{entry['number']:016x}.seg"
            require(path.exists(), path.name, "the manifest names it, and it is not there")
            for _, incarnation, run in data_segment.extents(path.read_bytes(), entry):
                self.island(incarnation).runs.append(run)
        records, last = data_log.records(folder / "log", head["flushed"])
        require(last >= head["log"], "log", f"it ends at {last}, before {head['log']}")
        for lsn, _, data in records:
            for incarnation, rows in data_log.parts(lsn, data):
                self.apply(self.island(incarnation), lsn, rows)

    def island(self, incarnation):
        return self.islands.setdefault(incarnation, Island())

    @staticmethod
    def apply(island, lsn, rows):
        for kind, id, value in rows:
            if kind == 3:
                island.entries[id] = value
                continue
            one = None if value is None else (lsn, *value)
            if kind != data_log.PATCH:
                island.patches.discard(id)
            elif id not in island.late:
                island.patches.add(id)
            else:
                require(island.late[id] is not None, f"record {lsn}", "a patch of a dead point")
                one = over(one, island.late[id])
            island.late[id] = one

    def catalog(self):
        """scope (a shard key's: collection/key) → (name, schema, common island, id directory); island → (scope, tenant)."""
        rows = {id[2]: json.loads(payload) for id, (_, _, payload) in
                self.island(CATALOG).live().items()}
        for key, row in rows.items():
            if row["k"] == "e":
                marks = row["m"]
                require(key == 2 and len(marks) % 2 == 0 and len(marks) <= 256 and
                        marks[::2] == sorted(set(marks[::2])) and marks[1::2] == sorted(marks[1::2]) and
                        max(marks[1::2], default=0) <= row["n"] + 1, "catalog", "seconds seen")
        scopes = {key: (row["n"], rows[row["s"]]["c"], row["i"], row["d"])
                  for key, row in rows.items() if row["k"] == "c"}
        for key, row in rows.items():
            if row["k"] == "h" and row["s"] in scopes:
                name, schema, _, _ = scopes[row["s"]]
                require(rows[row["s"]].get("h") is True, name, f"shard key {row['n']} of a collection without them")
                require((row["i"], row["d"]) == (key + 1, key + 2), name, f"islands of shard key {row['n']}")
                scopes[key] = (f"{name}/{json.dumps(row['n'], ensure_ascii=False)}", schema, row["i"],
                               row["d"] if "tenant_path" in schema else 0)
        tenants = {key: (row["s"], row["n"]) for key, row in rows.items()
                   if row["k"] == "t" and row["s"] in scopes}
        tenants.update({common: (key, None) for key, (_, _, common, _) in scopes.items()})
        return scopes, tenants

    def changes(self):
        """(scope, LSN, kind) of the changes by filter that were under way."""
        scopes, _ = self.catalog()
        found = []
        for id, (_, _, payload) in self.island(CATALOG).live().items():
            row = json.loads(payload)
            if row["k"] == "o" and row["s"] in scopes:
                change = bytes.fromhex(row["b"])
                require(len(change) > 2 and change[0] == 1 and change[1] < 8, f"change {id[2]}", "unknown format or kind")
                found.append((row["s"], row["v"], change[1]))
        return found

    def points(self):
        """(collection, id, version, {vector's name: bytes}, payload text) of every live point."""
        scopes, tenants = self.catalog()
        for incarnation, (scope, tenant) in tenants.items():
            name, schema, _, directory = scopes[scope]
            names = {one["id"]: one["name"] for one in schema["vectors"]}
            own = schema["settings"].get("insula", {}).get("point_ids") == "tenant"
            require(not own or directory == 0, f"catalog: {name}", "ids within tenants, and an id directory")
            for id, (version, vectors, payload) in self.island(incarnation).live().items():
                require(not own or tenant is not None, f"point of {name}", f"{id_text(id)} is of no tenant")
                if directory != 0:
                    known = self.island(directory).candidates(id)
                    require(incarnation in known, f"id directory of {name}",
                            f"{id_text(id)} lives in {incarnation}, it names {known}")
                known = {names[one]: vectors[one] for one in sorted(vectors) if one in names}
                yield name, id, version, known, with_tenant(payload, schema, tenant)


def vectors_text(vectors):
    return ";".join(f"{name}={values.hex()}" for name, values in vectors.items())


def with_tenant(payload, schema, tenant):
    """The payload's text with the tenant's value put back as the last key of its object."""
    text = payload.decode() or "{}"
    if tenant is None:
        return text
    return put_back(text, path_parts(schema["tenant_path"]), json.dumps(tenant, ensure_ascii=False))


def path_parts(path):
    parts = re.findall(r'"([^"]*)"|([^."]+)', path)
    return [quoted or plain for quoted, plain in parts]


def put_back(text, parts, value):
    """`text` is an object that lacks the field: added behind its last key, without touching the rest."""
    key = json.dumps(parts[0], ensure_ascii=False)
    if len(parts) > 1 and parts[0] in json.loads(text):
        begin, end = value_span(text, parts[0])
        return text[:begin] + put_back(text[begin:end], parts[1:], value) + text[end:]
    for part in reversed(parts[1:]):
        value = "{" + json.dumps(part, ensure_ascii=False) + ":" + value + "}"
    return f"{text[:-1]}{',' if len(text) > 2 else ''}{key}:{value}}}"


def value_span(text, key):
    """Where the value of a key of a compact object stands."""
    decoder, at = json.JSONDecoder(), 1
    while True:
        name, at = decoder.raw_decode(text, at)
        begin = at + 1
        _, at = decoder.raw_decode(text, begin)
        if name == key:
            return begin, at
        at += 1


def main():
    try:
        for name, id, version, vectors, payload in sorted(Database(sys.argv[1]).points(),
                                                          key=lambda one: one[:2]):
            print(name, id_text(id), version, vectors_text(vectors), payload, sep="\t")
    except Damage as damage:
        sys.exit(f"damaged: {damage}")


if __name__ == "__main__":
    main()
