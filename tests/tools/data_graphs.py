"""Graphs of large extents, verified against the values that they are of. From docs/FORMATS.md alone."""

import math
import struct

from data_base import require, u16, u32, u64, words

CODES, LINKS, FACTORS, HEAD = 13, 14, 18, 19
DEGREE, NONE = 32, 0xFFFFFF
KINDS = (CODES, LINKS, FACTORS, HEAD)
CHUNK = 512 << 10
ROUNDS = 4
MASK = (1 << 64) - 1


def chunk_of(stride):
    """Whole rows, a power of two of them."""
    rows = 1
    while 2 * rows * stride <= CHUNK and rows < 1 << 31:
        rows *= 2
    return rows * stride


def verify(parts, dim, values, place):
    """`parts`: kind → (chunk bytes, bytes); `values(i)`: those of row i, as floats."""
    require(set(parts) == set(KINDS), place, "a part is missing")
    head = parts[HEAD][1]
    count, sample_count, seed = u32(head, 4), u32(head, 24), u64(head, 16)
    padded = (dim + 15) // 16 * 16
    require(u32(head, 0) == dim and u32(head, 12) == DEGREE and u32(head, 8) in (0, 1), place, "head")
    require(head[28] <= 2 and head[29] <= 6, place, "type of its rows, or turns")
    require(0 < sample_count <= 256 and len(head) == 32 + 4 * (dim + sample_count), place, "size of its head")
    for kind, stride in ((CODES, padded // 2), (FACTORS, 8), (LINKS, 3 * DEGREE)):
        chunk, data = parts[kind]
        require(chunk == chunk_of(stride) and len(data) == stride * count, place, f"size of section {kind}")
    centre = struct.unpack_from(f"<{dim}f", head, 32)
    sample = words(head, 32 + 4 * dim, sample_count, 4)
    require(all(math.isfinite(one) for one in centre) and max(sample) < count, place, "centre or sample")
    links(parts[LINKS][1], count, place)
    factors = struct.unpack(f"<{2 * count}f", parts[FACTORS][1])
    require(all(math.isfinite(one) for one in factors), place, "a factor")
    dot = u32(head, 8) == 0
    for row in range(0, count, max(1, count // 4)):
        code = parts[CODES][1][row * padded // 2:(row + 1) * padded // 2]
        code_of(code, factors[2 * row:2 * row + 2], values(row, head[28]), centre, seed, dot,
                f"{place} row {row}")
    return count


def links(data, count, place):
    for row in range(count):
        own = [u32(data[at:at + 3] + b"\0", 0) for at in range(3 * DEGREE * row, 3 * DEGREE * (row + 1), 3)]
        used = own.index(NONE) if NONE in own else DEGREE
        first = own[:used]
        require(all(one < count and one != row for one in first) and len(set(first)) == used and
                all(one == NONE for one in own[used:]), place, f"links of row {row}")


def mixed(value):
    value ^= value >> 30
    value = value * 0xBF58476D1CE4E5B9 & MASK
    value ^= value >> 27
    value = value * 0x94D049BB133111EB & MASK
    return value ^ value >> 31


def rotated(values, seed):
    padded = (len(values) + 15) // 16 * 16
    block = 1 << (padded.bit_length() - 1)
    out = list(values) + [0.0] * (padded - len(values))
    for turn in range(ROUNDS):
        for i in range(padded):
            at = turn * padded + i
            bits = mixed(seed + (at // 64 + 1) * 0x9E3779B97F4A7C15 & MASK)
            out[i] = -out[i] if bits >> at % 64 & 1 else out[i]
        begin = 0 if turn % 2 == 0 else padded - block
        step = 1
        while step < block:
            for i in range(begin, begin + block):
                if (i - begin) & step == 0:
                    out[i], out[i + step] = out[i] + out[i + step], out[i] - out[i + step]
            step *= 2
        scale = 1 / math.sqrt(block)
        out[begin:begin + block] = [one * scale for one in out[begin:begin + block]]
        if block != padded:
            half = padded // 2
            for i in range(half):
                a, b = out[i], out[i + half]
                out[i], out[i + half] = (a + b) * math.sqrt(0.5), (a - b) * math.sqrt(0.5)
    return out


def levels_of(code, padded):
    """Of each dimension 0 .. 15: of each 128 dimensions the first 64 lie in the low halves."""
    out = []
    for first in range(0, padded, 128):
        half = min(128, padded - first) // 2
        piece = code[first // 2:first // 2 + half]
        out += [one & 15 for one in piece] + [one >> 4 for one in piece]
    return out


def code_of(code, factors, values, centre, seed, dot, place):
    """The code keeps the row's direction, and its factors follow from both."""
    row = rotated([a - b for a, b in zip(values, centre)], seed)
    norm = sum(one * one for one in row)
    levels = [one - 7.5 for one in levels_of(code, len(row))]
    product = sum(a * b for a, b in zip(row, levels))
    length = math.sqrt(sum(one * one for one in levels))
    scale = norm / product if product > 0 else 0.0
    require(norm == 0 or product > 0.97 * math.sqrt(norm) * length, place, "a code of other values")
    expected = (0.0, -scale) if dot else (norm, -2 * scale)
    require(all(abs(a - b) <= 1e-2 * abs(b) + 1e-5 for a, b in zip(factors, expected)), place, "factors of its code")
