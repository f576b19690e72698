"""Segments: their tables and the rows of their extents. From docs/FORMATS.md alone."""

import math
import struct
from dataclasses import dataclass, field

import data_directory
import data_fields
import data_graphs
import data_pieces
import data_scans
from data_base import (PAGE, as_float32, hash64, number_id, require, u16, u32, u64, up, uuid_id, words,
                       zero)

SMALL, DIRECTORY, GRAPH = 1, 2, 4  # flags of a directory entry
IDS, VERSIONS, TOMBSTONES, DENSE, OFFSETS, PAYLOAD, BLOCKS, INDEX, FILTER = range(1, 10)
PATCHES, FIELD, VECTOR_ROWS, PIECES = 10, 16, 17, 22
MULTI = 1  # flag of a section of dense values
VECTORS_MAX = 768 << 10  # bytes of a point
SMALL_MAX, SMALL_FEW, SMALL_FEW_MAX = 64 << 10, 64, 1 << 20


@dataclass
class Run:
    """What one extent says of its island, or of an id directory."""
    low: int
    high: int
    file: int
    place: str
    points: dict = field(default_factory=dict)      # id → (version, {vector: bytes}, payload bytes)
    tombstones: dict = field(default_factory=dict)  # id → version
    patches: set = field(default_factory=set)       # ids of points that inherit what they lack
    entries: dict = field(default_factory=dict)     # id → incarnation (id directory)
    filter: object = None


def tables(data, entry, place):
    """The directory's entries as (scope, bytes), with everything around them verified."""
    size = len(data)
    trailer = data[-256:]
    require(trailer[:8] == b"INSULTRL" and u32(trailer, 8) == 1, place, "magic or format of the trailer")
    require(u64(trailer, 248) == hash64(trailer[:248]), place, "hash of the trailer")
    require(hash64(trailer) == entry["trailer_hash"], place, "the manifest names another trailer")
    require(u64(trailer, 16) == entry["number"] and trailer[24:40] == entry["id"], place, "number or id")
    require(u64(trailer, 40) == size == entry["size"] and size % PAGE == 0, place, "size")
    zero(trailer[12:16] + trailer[96:248], place)
    head = data[:PAGE]
    require(head[:8] == b"INSULSEG" and u32(head, 8) == 1 and u32(head, 12) == 0, place, "header page")
    require(u64(head, 16) == entry["number"] and head[24:40] == entry["id"], place, "header page's id")
    zero(head[40:4088], place)
    require(u64(head, 4088) == hash64(head[:4088]) and u64(trailer, 88) == hash64(head), place,
            "hash of the header page")
    at, scopes_at, hashes_at = u64(trailer, 48), u64(trailer, 64), u64(trailer, 72)
    count, scope_count = u32(trailer, 56), u32(trailer, 60)
    require(count == entry["extents"], place, "number of extents")
    directory = data[at:at + 64 * count]
    scopes = data[scopes_at:scopes_at + 24 * scope_count]
    pieces = [directory[i:i + 65536] for i in range(0, len(directory), 65536)]
    pieces += [scopes[i:i + 49152] for i in range(0, len(scopes), 49152)]
    hashes = data[hashes_at:hashes_at + 8 * len(pieces)]
    require(hash64(hashes) == u64(trailer, 80), place, "hash of the table hashes")
    require(list(words(hashes, 0, len(pieces))) == [hash64(one) for one in pieces], place,
            "hash of a piece of a table")
    require(scopes_at == up(at + len(directory), 64) and hashes_at == up(scopes_at + len(scopes), 64),
            place, "where the tables stand")
    zero(data[at + len(directory):scopes_at] + data[scopes_at + len(scopes):hashes_at] +
         data[hashes_at + len(hashes):-256], place)
    return at, [(scope, directory[64 * i:64 * i + 64])
                for scope, first, number in scope_index(scopes, count, place)
                for i in range(first, first + number)]


def scope_index(scopes, count, place):
    found, before, end = [], None, 0
    for at in range(0, len(scopes), 24):
        scope, shard, first, number = u64(scopes, at), u16(scopes, at + 8), u32(scopes, at + 12), \
            u32(scopes, at + 16)
        zero(scopes[at + 10:at + 12] + scopes[at + 20:at + 24], place)
        require(first == end and number > 0, place, "the scope index does not tile the directory")
        require(before is None or before < (shard, scope), place, "order of the scope index")
        before, end = (shard, scope), first + number
        found.append((scope, first, number))
    require(end == count, place, "the scope index does not tile the directory")
    return found


def extents(data, entry):
    """(scope, incarnation, Run) of each extent, everything verified."""
    name = f"segment {entry['number']:016x}"
    end, table = tables(data, entry, name)
    at = PAGE
    before = None
    for scope, one in table:
        incarnation, low, high, offset, size = words(one, 0, 5)
        rows, dead, key, flags = words(one, 40, 4, 4)
        place = f"{name} island {incarnation}"
        require(before is None or before < (scope, incarnation, high), place, "order of the directory")
        before = scope, incarnation, high
        require(low < high and key == 0 and flags & 0xF8 == 0, place, "directory entry")
        run = Run(low, high, entry["number"], place)
        if size == 0:
            require(offset == rows == dead == u64(one, 56) == 0, place, "an entry without bytes")
            yield scope, incarnation, run
            continue
        small = bool(flags & SMALL)
        where = up(at, 64)
        if (small and size < PAGE and where // PAGE != (where + size - 1) // PAGE) or not small:
            where = up(where, PAGE)
        require(offset == where and size % 64 == 0 and offset + size <= end, place, "its place")
        zero(data[at:offset], place)
        at = offset + size
        Extent(data[offset:at], one, run).read()
        yield scope, incarnation, run
    zero(data[at:end], name)
    require(end == up(at, 64), name, "where the directory stands")


class Extent:
    def __init__(self, data, entry, run):
        self.data, self.entry, self.run, self.place = data, entry, run, run.place
        self.small = bool(u32(entry, 52) & SMALL)
        if self.small:
            self.header_at, self.header = 0, data
        else:
            size = (u32(entry, 52) >> 8) * 64
            require(0 < size <= len(data), self.place, "size of its header")
            self.header_at, self.header = len(data) - size, data[len(data) - size:]
        require(hash64(self.header) == u64(entry, 56), self.place, "hash")

    def read(self):
        head, run = self.header, self.run
        flags = u16(head, 6)
        require(head[:4] == b"IEXT" and u16(head, 4) == 1, self.place, "magic or format")
        directory = bool(u32(self.entry, 52) & DIRECTORY)
        require(flags & 3 == self.small + 2 * directory and flags < 8, self.place, "flags")
        require(words(head, 8, 3) == words(self.entry, 0, 3), self.place, "another island or interval")
        require(u32(head, 40) == 0 and u64(head, 72) == len(self.data), self.place, "key or size")
        zero(head[70:72], self.place)
        self.patches = u32(head, 60)
        require(self.patches == 0 or not directory, self.place, "patches of an id directory")
        self.rows, self.numbers, self.dead, self.dead_numbers = words(head, 44, 4, 4)
        require((self.rows, self.dead) == words(self.entry, 40, 2, 4), self.place, "rows")
        self.wide = bool(flags & 4)
        require(self.wide == (run.high - run.low >= 1 << 32), self.place, "width of its versions")
        sections = self.sections()
        if directory:
            data_directory.read(sections, self.rows, run)
        else:
            self.points(sections)

    def sections(self):
        """kind → (encoding, bytes), chunks and gaps verified; of vectors and field indexes
        (kind, number) → the same."""
        head, found, ends, self.multis = self.header, {}, [], set()
        self.graph_parts, self.scan_parts = {}, {}
        count, chunk_count = u16(head, 68), u32(head, 64)
        hashes = words(head, 80 + 40 * count, chunk_count)
        used, before = 0, (0, 0)
        for i in range(count):
            kind, number, encoding, flags, at, size, source, chunk, first = struct.unpack_from(
                "<4H3Q2I", head, 80 + 40 * i)
            place = f"{self.place} section {kind}"
            numbered = kind in (DENSE, VECTOR_ROWS, FIELD, PIECES) + data_graphs.KINDS + data_scans.KINDS
            require((kind, number) > before and source == 0 and size > 0 and
                    (number == 0 or numbered), place, "its entry")
            require(flags == 0 or (flags == MULTI and kind == DENSE), place, "its flags")
            if flags == MULTI:
                self.multis.add(number)
            require(at + size <= len(self.data), place, "its place")
            before = kind, number
            data = self.data[at:at + size]
            if self.small:
                require(chunk == first == 0, place, "chunks in a small extent")
            else:
                pieces = [data[j:j + chunk] for j in range(0, size, chunk)]
                require(first == used, place, "its first chunk")
                require([hash64(one) for one in pieces] == list(hashes[used:used + len(pieces)]),
                        place, "hash of a chunk")
                used += len(pieces)
            ends.append((at, at + size))
            if kind in data_graphs.KINDS:
                self.graph_parts.setdefault(number, {})[kind] = chunk, data
            if kind in data_scans.KINDS:
                self.scan_parts.setdefault(number, {})[kind] = chunk, data
            found[(kind, number) if numbered else kind] = encoding, data
        require(used == chunk_count, self.place, "chunk hashes")
        self.gaps(ends, 80 + 40 * count + 8 * chunk_count)
        return found

    def gaps(self, ends, header_used):
        at = header_used if self.small else 0
        last = len(self.data) if self.small else self.header_at
        for begin, end in sorted(ends) + [(last, last)]:
            require(begin >= at, self.place, "sections overlap")
            zero(self.data[at:begin], self.place)
            at = end
        if not self.small:
            zero(self.header[header_used:], self.place)

    def ids(self, data, count, numbers):
        found = [number_id(one) for one in words(data, 0, numbers)]
        at = 8 * numbers if numbers == count else up(8 * numbers, 16)
        zero(data[8 * numbers:at], self.place)
        pairs = words(data, at, 2 * (count - numbers))
        found += [uuid_id(*pairs[i:i + 2]) for i in range(0, len(pairs), 2)]
        require(all(a < b for a, b in zip(found, found[1:])), self.place, "order of the ids")
        return found, at + 16 * (count - numbers)

    def versions(self, data, at, count):
        size = 8 if self.wide else 4
        require(len(data) == at + size * count, self.place, "size of the versions")
        found = [self.run.low + one for one in words(data, at, count, size)]
        require(all(self.run.low < one <= self.run.high for one in found), self.place, "a version")
        return found

    def vectors(self, sections):
        """Of each row: vector's number → its bytes."""
        found = [{} for _ in range(self.rows)]
        for kind, number in [one for one in sections if isinstance(one, tuple) and one[0] == DENSE]:
            encoding, data = sections[kind, number]
            place = f"{self.place} vector {number}"
            have, multi = range(self.rows), number in self.multis
            require(not multi or (VECTOR_ROWS, number) in sections, place, "a multivector without rows")
            if (VECTOR_ROWS, number) in sections:
                width, text = sections[VECTOR_ROWS, number]
                have = words(text, 0, len(text) // 4, 4)
                require(width == 4 and all(a < b or (multi and a == b) for a, b in zip(have, have[1:])) and
                        have[-1] < self.rows and len(text) % 4 == 0, place, "rows")
            step = len(data) // len(have)
            require(encoding in (4, 2, 1) and step > 0 and step % encoding == 0 and
                    step * len(have) == len(data), place, "size of the values")
            values = {}
            for i, row in enumerate(have):
                values.setdefault(row, []).append(data[i * step:(i + 1) * step])
            for row, parts in values.items():
                require(len(parts) * step <= VECTORS_MAX, place, "size of a multivector")
                found[row][number] = as_float32(b"".join(parts), encoding)
        return found

    def values_of(self, sections, number, place):
        """Dimensions and count of a vector's values, and value i, of length one when `unit` says so."""
        require((DENSE, number) in sections, place, "without values")
        width, data = sections[DENSE, number]
        count = self.rows
        if (VECTOR_ROWS, number) in sections:
            count = len(sections[VECTOR_ROWS, number][1]) // 4
        step = len(data) // count

        def value(row, unit):
            floats = struct.unpack(f"<{step // width}f", as_float32(data[row * step:(row + 1) * step], width))
            length = math.sqrt(sum(a * a for a in floats)) or 1.0
            return [a / length for a in floats] if unit else floats

        return step // width, count, width, value

    def graphs(self, sections):
        require(bool(u32(self.entry, 52) & GRAPH) == bool(self.graph_parts) and
                not (self.small and self.graph_parts), self.place, "graphs")
        for number, parts in self.graph_parts.items():
            place = f"{self.place} graph of vector {number}"
            require(number not in self.multis, place, "of a multivector")
            dim, count, width, value = self.values_of(sections, number, place)

            def values(row, kind, value=value, width=width):  # bytes of a cosine: rows of length one
                return value(row, width == 1 and kind != 2)

            require(data_graphs.verify(parts, dim, values, place) == count, place, "rows")

    def scans(self, sections):
        require(not (self.small and self.scan_parts), self.place, "scan codes")
        for number, parts in self.scan_parts.items():
            place = f"{self.place} scan codes of vector {number}"
            dim, count, _, value = self.values_of(sections, number, place)
            data_scans.verify(parts, dim, count, value, place)
            data_scans.verified_multis += number in self.multis

    def pieces(self, sections):
        for number in [one[1] for one in sections if isinstance(one, tuple) and one[0] == PIECES]:
            place = f"{self.place} pieces of vector {number}"
            require((DENSE, number) in sections and not self.small, place, "without values")
            count = len(sections.get((VECTOR_ROWS, number), (4, b"    " * self.rows))[1]) // 4
            encoding, hashes = sections[PIECES, number]
            require(encoding == 8, place, "encoding")
            data_pieces.verify(sections[DENSE, number][1], count, hashes, place)

    def points(self, sections):
        run, width = self.run, 8 if self.wide else 4
        plain = {one for one in sections if not isinstance(one, tuple)}
        rows_of = {number for kind, number in set(sections) - plain if kind == VECTOR_ROWS}
        require(plain <= {IDS, VERSIONS, TOMBSTONES, OFFSETS, PAYLOAD, PATCHES}, self.place,
                "a section of another kind")
        require((PATCHES in plain) == (self.patches > 0), self.place, "patches")
        require(all((DENSE, number) in sections for number in rows_of), self.place,
                "rows of a vector without values")
        if self.rows > 0:
            ids, end = self.ids(sections[IDS][1], self.rows, self.numbers)
            require(end == len(sections[IDS][1]), self.place, "size of the ids")
            versions = self.versions(sections[VERSIONS][1], 0, self.rows)
            self.fields(sections)
            self.graphs(sections)
            self.scans(sections)
            self.pieces(sections)
            require(sections[VERSIONS][0] == width, self.place, "encoding of the versions")
            run.points = dict(zip(ids, zip(versions, self.vectors(sections), self.payloads(sections))))
            if self.patches > 0:
                encoding, data = sections[PATCHES]
                have = words(data, 0, len(data) // 4, 4)
                require(encoding == 4 and len(data) == 4 * self.patches and have[-1] < self.rows and
                        all(a < b for a, b in zip(have, have[1:])), self.place, "rows of the patches")
                run.patches = {ids[row] for row in have}
        if self.dead > 0:
            encoding, data = sections[TOMBSTONES]
            ids, end = self.ids(data, self.dead, self.dead_numbers)
            zero(data[end:up(end, 8)], self.place)
            require(encoding == width, self.place, "encoding of the tombstones")
            run.tombstones = dict(zip(ids, self.versions(data, up(end, 8), self.dead)))
        require(not run.points.keys() & run.tombstones.keys(), self.place, "a dead id among the rows")

    def fields(self, sections):
        numbers = sorted(one[1] for one in sections if isinstance(one, tuple) and one[0] == FIELD)
        require(numbers == list(range(len(numbers))) and len(numbers) % 2 == 0 and
                not (self.small and numbers), self.place, "numbers of the field indexes")
        for number in numbers[::2]:
            data_fields.verify(sections[FIELD, number][1], sections[FIELD, number + 1][1],
                               self.payloads(sections), f"{self.place} field index {number // 2}")

    def payloads(self, sections):
        if OFFSETS not in sections:
            return [b""] * self.rows
        encoding, data = sections[OFFSETS]
        text = sections.get(PAYLOAD, (1, b""))[1]
        offsets = words(data, 0, self.rows + 1, encoding)
        require(offsets[0] == 0 and offsets[-1] == len(text) and
                all(a <= b for a, b in zip(offsets, offsets[1:])), self.place, "payload offsets")
        return [text[a:b] for a, b in zip(offsets, offsets[1:])]
