"""Field indexes of extents, compared with what the payloads say. From docs/FORMATS.md alone."""

import datetime
import json
import re
import struct
from decimal import Decimal

from data_base import require, u16, up, words, zero

TEXT, INTEGER, REAL, MOMENT, BOOL, FORM = range(1, 7)
GROUP, CHUNK, VALUES_MAX, TEXT_MAX = 4096, 512 << 10, 256, 255


class Number(str):
    """A number as it stands in the text."""


def parse(payload):
    return json.loads(payload, parse_int=Number, parse_float=Number) if payload else {}


def steps(path):
    """A path as keys, None for [], numbers for [n]."""
    found, at = [], 0
    while at < len(path):
        if path[at] == '"':
            end = path.index('"', at + 1)
            found.append(path[at + 1:end])
            at = end + 1
        elif path[at] == "[":
            end = path.index("]", at)
            found.append(None if end == at + 1 else int(path[at + 1:end]))
            at = end + 1
        elif path[at] == ".":
            at += 1
        else:
            end = min([i for i in (path.find(c, at) for c in ".[") if i >= 0] + [len(path)])
            found.append(path[at:end])
            at = end
    return found


def select(value, path, whole=False):
    """What a path selects, of arrays the elements; `whole`: as it stands."""
    if not path:
        return value if isinstance(value, list) and not whole else [value]
    here, rest = path[0], path[1:]
    if isinstance(here, str):
        return select(value[here], rest, whole) if isinstance(value, dict) and here in value else []
    if not isinstance(value, list):
        return []
    chosen = value if here is None else value[here:here + 1]
    return [one for item in chosen for one in select(item, rest, whole)]


def moment(text):
    """Microseconds of RFC 3339's own form; None for all else, which the tests here do not use."""
    match = re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)?)?", text)
    if not match:
        return None
    year, month, day, hour, minute, second = (int(one or 0) for one in match.groups()[:6])
    try:
        when = datetime.datetime(year, month, day, hour, minute, second)
    except ValueError:
        return None
    offset = match[8] or "Z"
    shift = 0 if offset == "Z" else int(offset[0] + "1") * (int(offset[1:3]) * 60 + int(offset[4:]))
    micros = (when - datetime.datetime(1970, 1, 1)) // datetime.timedelta(microseconds=1)
    return micros - shift * 60 * 10**6 + int(((match[7] or "") + "000000")[:6])


def integer(value):
    return int(value) if re.fullmatch(r"-?\d+", value) and -2**63 <= int(value) < 2**63 else None


def ordered_real(value):
    bits = struct.unpack("<Q", struct.pack("<d", float(Decimal(value)) + 0.0))[0]
    return bits ^ (2**64 - 1 if bits >> 63 else 2**63)


def key_of(value, domain):
    """The value as the column keeps it, or None when it is none of the domain."""
    if domain == BOOL:
        return int(value) if isinstance(value, bool) else None
    if domain in (TEXT, MOMENT):
        if not isinstance(value, str) or isinstance(value, Number):
            return None
        if domain == TEXT:
            return value.encode("utf-8", "surrogatepass")
        micros = moment(value)
        return None if micros is None else micros + 2**63
    if not isinstance(value, Number):
        return None
    whole = integer(value)
    if domain == INTEGER:
        return None if whole is None else whole + 2**63
    return None if whole is not None or abs(Decimal(value)) > Decimal("1.7e308") else ordered_real(value)


def forms(payload, path):
    """What is true of the values, whatever they are."""
    whole, elements = select(payload, path, True), select(payload, path)
    counts = [len(one) if isinstance(one, list) else int(one is not None) for one in whole]
    there = [one for one in elements if one is not None]
    found = {16 + one for one in counts or [0]}
    found |= set() if any(counts) else {1}
    found |= {2} if len(there) < len(elements) else set()
    found |= {3} if any(not isinstance(one, str) or isinstance(one, Number) for one in there) else set()
    return found | ({4} if any(key_of(one, INTEGER) is None for one in there) else set())


def block(data, domain, rows, place):
    """value → rows, undecided rows."""
    if len(data) < 16:
        zero(data, place)
        return {}, set()
    keys, postings, undecided, heap = words(data, 0, 4, 4)
    width = 4 if domain == TEXT else 8
    ends_at = up(16 + keys * width, 8)
    rows_at = up(ends_at + 4 * keys, 8)
    heap_at = up(rows_at + 2 * (postings + undecided), 8)
    values = words(data, 16, keys, width)
    if domain == TEXT:
        texts = [data[heap_at + a:heap_at + b] for a, b in zip((0,) + values[:-1], values)]
        require(not values or values[-1] == heap, place, "texts")
        values = [bytes(one) for one in texts]
    require(all(a < b for a, b in zip(values, values[1:])), place, "order of the values")
    ends = words(data, ends_at, keys, 4)
    listed = struct.unpack_from(f"<{postings + undecided}H", data, rows_at)
    found = {value: listed[a:b] for value, a, b in zip(values, (0,) + ends[:-1], ends)}
    require((ends[-1] if ends else 0) == postings, place, "postings")
    require(all(one and all(a < b for a, b in zip(one, one[1:])) for one in found.values()), place, "order of rows")
    require(all(row < rows for row in listed), place, "rows")
    zero(data[16 + keys * width:ends_at] + data[ends_at + 4 * keys:rows_at] + data[heap_at + heap:], place)
    return found, set(listed[postings:])


def columns(table, place):
    count, groups, group, nothing = words(table, 0, 4, 4)
    require(0 < count <= 16 and group == GROUP and nothing == 0, place, "head of the table")
    found, at = [], 16
    for _ in range(count):
        size = u16(table, at + 2)
        require(table[at + 1] == 0 and 0 < size <= 1024, place, "a column")
        found.append((bytes(table[at + 4:at + 4 + size]).decode(), table[at]))
        at += 4 + size
    zero(table[at:up(at, 8)], place)
    return found, groups, up(at, 8)


def verify(table, blocks, payloads, place):
    """What one index says is what the payloads say."""
    found, groups, at = columns(table, place)
    require(groups == -(-len(payloads) // GROUP), place, "groups")
    offsets = [8 * one for one in words(table, at, groups * len(found) + 1, 4)]
    require(len(table) == up(at + 4 * len(offsets), 8), place, "size of the table")
    require(all(a <= b for a, b in zip(offsets, offsets[1:])) and offsets[-1] <= len(blocks), place, "offsets")
    for group in range(groups):
        parsed = [parse(one) for one in payloads[group * GROUP:(group + 1) * GROUP]]
        for i, (path, domain) in enumerate(found):
            here = f"{place} {path} group {group}"
            begin, end = offsets[group * len(found) + i:][:2]
            require(begin == end or begin // CHUNK == (end - 1) // CHUNK, here, "a block over two chunks")
            known, undecided = block(blocks[begin:end], domain, len(parsed), here)
            compare(known, undecided, parsed, steps(path), domain, here)


def compare(known, undecided, parsed, path, domain, place):
    kept = {(value, row) for value, rows in known.items() for row in rows}
    for row, payload in enumerate(parsed):
        values = forms(payload, path) if domain == FORM else \
            {key_of(one, domain) for one in select(payload, path)} - {None}
        long = {one for one in values if domain == TEXT and len(one) > TEXT_MAX}
        if row not in undecided:
            require(not long and len(values) <= VALUES_MAX, place, f"row {row} should be undecided")
            require(all((value, row) in kept for value in values), place, f"row {row} lacks a value")
        kept -= {(value, row) for value in values}
    require(not kept, place, f"a value that no row has: {list(kept)[:1]}")
