"""Runs of an id directory: blocks, their index, the filter. From docs/FORMATS.md alone."""

from data_base import (PAGE, mask, number_id, require, u16, u32, u64, unpack_bits, up, uuid_id, words,
                       zero)

BLOCKS, INDEX, FILTER = 7, 8, 9


def block(data, place):
    """Its entries in order: (id, incarnation)."""
    count, kind, width, dictionary, id_width, used = u16(data, 0), *data[2:6], u16(data, 6)
    require(count > 0 and kind < 2 and dictionary <= 64 and used % 8 == 0, place, "head of a block")
    base, first = u64(data, 8), u64(data, 16)
    terms = words(data, 24, dictionary)
    at = 24 + 8 * dictionary
    codes = unpack_bits(data, at, count, width)
    at += up(count * width, 8) // 8
    leads = [first + one for one in unpack_bits(data, at, count, id_width)]
    at += up(count * id_width, 8) // 8
    if kind == 1:
        ids = [uuid_id(*pair) for pair in zip(leads, words(data, at, count))]
        at += 8 * count
    else:
        ids = [number_id(one) for one in leads]
    require(used == up(at, 8), place, "used bytes of a block")
    zero(data[at:], place)
    if dictionary > 0:
        require(base == 0 and max(codes) < dictionary, place, "dictionary of a block")
        return list(zip(ids, (terms[one] for one in codes)))
    return list(zip(ids, (base + one for one in codes)))


class Filter:
    def __init__(self, data):
        self.seed, self.length, self.segments, self.keys = u64(data, 0), *words(data, 8, 3, 4)
        slots = self.segments * self.length
        self.prints = unpack_bits(data, 24, slots, 12)

    def may_hold(self, id_hash):
        if self.length == 0:
            return True
        h = mix(id_hash + self.seed & mask(64))
        p0 = h * ((self.segments - 2) * self.length) >> 64
        p1 = p0 + self.length ^ (h >> 18 & self.length - 1)
        p2 = p0 + 2 * self.length ^ (h & self.length - 1)
        want = (h * 0x9E3779B97F4A7C15 & mask(64)) >> 52
        return self.prints[p0] ^ self.prints[p1] ^ self.prints[p2] == want


def mix(value):
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & mask(64)
    value = (value ^ value >> 27) * 0x94D049BB133111EB & mask(64)
    return value ^ value >> 31


def id_hash(id):
    is_uuid, high, low = id
    return mix(low + mix(high + (0x9E3779B97F4A7C15 if is_uuid else 0) & mask(64)) & mask(64))


def read(sections, rows, run):
    place = run.place
    require(set(sections) == {BLOCKS, INDEX, FILTER}, place, "sections of an id directory")
    data, index = sections[BLOCKS][1], sections[INDEX][1]
    blocks = [data[at:at + PAGE] for at in range(0, len(data), PAGE)]
    require(len(index) == 12 * len(blocks), place, "entries of its index")
    last, group = None, 0
    for number, one in enumerate(blocks):
        entries = block(one, f"{place} block {number}")
        ids = [id for id, _ in entries]
        order = ids if last is None else [last, *ids]
        require(all(a < b for a, b in zip(order, order[1:])), place, "order of the ids")
        last = ids[-1]
        key, word = u64(index, 12 * number), u32(index, 12 * number + 8)
        is_uuid, high, low = ids[0]
        goes_on = bool(word >> 30 & 1)
        group = group + 1 if goes_on else 0
        require(word >> 31 == is_uuid and word & mask(30) == group, place, "index entry")
        require(key == (low if goes_on or not is_uuid else high), place, "key of an index entry")
        run.entries.update(entries)
    require(len(run.entries) == rows, place, "entries of the directory")
    run.filter = filters(sections[FILTER][1], rows)


def filters(data, rows):
    """`may_hold(id_hash)` over all partitions, which have the same size."""
    count = 1 if rows <= 131072 else rows // 120000 + 1
    size = len(data) // count
    parts = [Filter(data[i * size:(i + 1) * size]) for i in range(count)]
    require(sum(one.keys for one in parts) == rows and size * count == len(data), "filter", "keys")
    return lambda id_hash: parts[id_hash * count >> 64].may_hold(id_hash)
