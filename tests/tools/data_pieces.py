"""Hashes of pieces of a vector's values. From docs/FORMATS.md alone."""

from data_base import hash64, require, words

CHUNK, PAGE, MOST = 512 << 10, 4096, 1 << 17
verified = 0  # pieces, of all files


def cut(size, chunk, piece):
    """Where pieces begin and end: each chunk is cut from its beginning."""
    for at in range(0, size, chunk):
        end = min(size, at + chunk)
        yield from ((i, min(i + piece, end)) for i in range(at, end, piece))


def verify(values, count, hashes, place):
    global verified
    step = len(values) // count
    chunk = CHUNK // step * step
    piece = max(1, PAGE // step) * step

    def pieces():
        whole, rest = divmod(len(values), chunk)
        return whole * -(-chunk // piece) + -(-rest // piece)

    while piece < chunk and pieces() > MOST:
        piece = min(2 * piece, chunk)
    require(len(hashes) == 8 * pieces(), place, "number of the hashes")
    found = [hash64(values[a:b]) for a, b in cut(len(values), chunk, piece)]
    require(list(words(hashes, 0, len(found))) == found, place, "hash of a piece")
    verified += len(found)
