"""1-bit and 4-bit codes of large extents, verified against the values that they are of. From docs/FORMATS.md alone."""

import math
import struct

from data_base import require, u32, u64, zero
from data_graphs import chunk_of, levels_of, rotated

CODES, HEAD, BOTH = 20, 21, 23
KINDS = (CODES, HEAD, BOTH)
BLOCK = 16
TOO_LONG = -3.4028234663852886e38
verified = 0  # codes that were made anew, of all files
verified_both = 0  # of these, with 4-bit codes
verified_multis = 0  # multivectors of which some were


def verify(parts, dim, count, values, place):
    """`parts`: kind → (chunk bytes, bytes); `values(i, unit)`: those of row i, as floats."""
    global verified, verified_both
    both = BOTH in parts
    require(set(parts) == {BOTH if both else CODES, HEAD}, place, "a part is missing, or too many")
    head, (chunk, codes) = parts[HEAD][1], parts[BOTH if both else CODES]
    padded = (dim + 15) // 16 * 16
    words = (padded + 63) // 64
    stride, fine = BLOCK * (8 * words + 12), padded // 2 + 12 if both else 0
    require(u32(head, 0) == dim and u32(head, 4) == count and u32(head, 8) in (0, 1) and
            u32(head, 12) in (0, 1) and u64(head, 24) == 0 and len(head) == 32 + 4 * dim, place, "head")
    require(chunk == chunk_of(stride + BLOCK * fine), place, "chunks of the codes")
    require(len(codes) == stride * ((count + BLOCK - 1) // BLOCK) + fine * count, place, "size of the codes")
    chunk_rows = chunk // (stride + BLOCK * fine) * BLOCK
    centre = struct.unpack_from(f"<{dim}f", head, 32)
    require(all(math.isfinite(one) for one in centre), place, "centre")
    for row in range(0, count, max(1, count // 4)):
        begin, in_chunk = row // chunk_rows * chunk, row % chunk_rows
        rows = min(chunk_rows, count - row // chunk_rows * chunk_rows)
        block, at = codes[begin + in_chunk // BLOCK * stride:][:stride], row % BLOCK
        bits = [u64(block, 8 * (BLOCK * w + at)) for w in range(words)]
        factors = [struct.unpack_from("<f", block, 8 * BLOCK * words + 4 * (BLOCK * f + at))[0] for f in range(3)]
        moved = [a - b for a, b in zip(values(row, u32(head, 12)), centre)]
        turned = rotated(moved, u64(head, 16))
        code_of(bits, factors, turned, u32(head, 8) == 0, f"{place} row {row}")
        verified += 1
        if both:
            first = begin + (rows + BLOCK - 1) // BLOCK * stride + in_chunk * fine
            fine_of(codes[first:first + fine], turned, u32(head, 8) == 0, f"{place} row {row}, 4 bits")
            verified_both += 1
    last = (count - 1) // chunk_rows
    end = last * chunk + (count - last * chunk_rows + BLOCK - 1) // BLOCK * stride
    for at in range((count - 1) % BLOCK + 1, BLOCK):
        block = codes[end - stride:end]
        for w in range(words):
            zero(block[8 * (BLOCK * w + at):][:8], place)
        for f in range(3):
            zero(block[8 * BLOCK * words + 4 * (BLOCK * f + at):][:4], place)


def fine_of(code, row, dot, place):
    """The levels keep the row's direction, and the factors follow from both."""
    norm, padded = sum(one * one for one in row), len(row)
    factors = struct.unpack_from("<3f", code, padded // 2)
    if norm > 1e30:
        require(factors == (TOO_LONG, 0.0, 0.0), place, "factors of a row that is too long")
        return
    levels = [one - 7.5 for one in levels_of(code, padded)]
    product, square = sum(a * b for a, b in zip(row, levels)), sum(one * one for one in levels)
    require(norm == 0 or product > 0.97 * math.sqrt(norm * square), place, "a code of other values")
    scale = norm / product if product > 0 else 0.0
    error = math.sqrt((max(0.0, scale * scale * square - norm) + 6e-5 * norm) / (padded - 1))
    expected = (0.0, -scale, error) if dot else (norm, -2 * scale, 2 * error)
    require(all(abs(a - b) <= 1e-2 * abs(b) + 1e-5 for a, b in zip(factors, expected)), place, "factors of a code")


def code_of(bits, factors, row, dot, place):
    """Signs but for those of numbers near zero, and the factors."""
    norm, sizes = sum(one * one for one in row), sum(abs(one) for one in row)
    if norm > 1e30:
        require(factors == [TOO_LONG, 0.0, 0.0], place, "factors of a row that is too long")
        return
    near = 1e-4 * math.sqrt(norm / len(row))
    for i, one in enumerate(row):
        require(abs(one) <= near or (one > 0) == bool(bits[i // 64] >> i % 64 & 1), place, "a sign")
    require(all(bits[i // 64] >> i % 64 & 1 == 0 for i in range(len(row), 64 * len(bits))), place, "a bit too many")
    scale = norm / sizes if sizes > 0 else 0.0
    error = math.sqrt(max(0.0, scale * scale * len(row) - norm) / (len(row) - 1))
    expected = (0.0, -scale, error) if dot else (norm, -2 * scale, 2 * error)
    require(all(abs(a - b) <= 1e-2 * abs(b) + 1e-5 for a, b in zip(factors, expected)), place, "factors of a code")
