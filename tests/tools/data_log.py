"""The log: which records it holds behind an LSN, in order. From docs/FORMATS.md alone."""

import struct
from dataclasses import dataclass

from data_base import (PAGE, as_float32, crc32c, hash128, number_id, require, u16, u32, u64, up, uuid_id,
                       zero)

FRAME_MAX = 2 << 20
VALUE_BYTES = {1: 4, 2: 2, 3: 1}  # by datatype
NAME_DIGITS = 16
PATCH = 4


@dataclass
class LogFile:
    id: int
    name: str
    data: bytes
    salt: int
    first_lsn: int
    first_batch: int
    previous_id: int
    previous_hash: bytes
    boot: int


@dataclass
class Batch:
    number: int
    hash: bytes
    previous: bytes
    first_lsn: int
    boot: int
    pieces: list  # (lsn, type, flags, scope, data)


def open_file(path):
    data, name = path.read_bytes(), path.name
    head = data[:PAGE]
    require(len(head) == PAGE and head[:8] == b"INSLOG1\0" and u32(head, 8) == 1, name,
            "magic or format")
    require(hash128(head[:4080]) == head[4080:], name, "hash of the header")
    require(u32(head, 12) == 0, name, "node")
    zero(head[20:24] + head[88:4080], name)
    require(f"{u64(head, 24):016x}.log" == name, name, "its header names another file")
    require(u64(head, 80) == len(data), name, "its header says another size")
    return LogFile(u64(head, 24), name, data, u64(head, 32), u64(head, 40), u64(head, 48),
                   u64(head, 56), head[64:80], u32(head, 16))


def pieces_of(batch, count, place):
    found, at, end = [], 72, len(batch) - 16
    for _ in range(count):
        require(at + 32 <= end, place, "a record ends behind its batch")
        size, crc = u32(batch, at), u32(batch, at + 4)
        type, flags, shard, rest = struct.unpack_from("<4H", batch, at + 8)
        require(shard == 0 and rest == 0 and type == 1 and flags < 8, place, "record header")
        require(size <= 1 << 20 and at + 32 + up(size, 8) <= end, place, "size of a record")
        data = batch[at + 32:at + 32 + size]
        require(crc32c(data) == crc, place, "CRC of a record")
        zero(batch[at + 32 + size:at + 32 + up(size, 8)], place)
        found.append((u64(batch, at + 16), type, flags, u64(batch, at + 24), data))
        at += 32 + up(size, 8)
    require(at == end, place, "bytes behind the last record")
    return found


def frame_at(file, at):
    """(size, batch bytes) of a frame whose hash verifies, or None."""
    data = file.data
    if data[at:at + 4] != b"INLF" or u64(data, at + 8) != file.id or u64(data, at + 16) != file.salt:
        return None
    size = u32(data, at + 4)
    if size == 0 or size % PAGE != 0 or size > min(FRAME_MAX, len(data) - at):
        return None
    if hash128(data[at:at + size - 16]) != data[at + size - 16:at + size]:
        return None
    return size, data[at + 32:at + size - 16]


def batch_of(body, place):
    require(body[:4] == b"INLB" and u16(body, 4) == 1 and u16(body, 6) == 1, place, "batch header")
    require(u32(body, 8) == 0 and u64(body, 16) == 0, place, "node or lease epoch")
    size, count = u32(body, 44), u32(body, 40)
    require(88 <= size <= len(body) and count <= 4096, place, "size of a batch")
    batch = body[:size]
    require(hash128(batch[:-16]) == batch[-16:], place, "hash of a batch")
    zero(batch[64:72] + body[size:], place)
    return Batch(u64(batch, 24), batch[-16:], batch[48:64], u64(batch, 32), u32(batch, 12),
                 pieces_of(batch, count, place))


class Chain:
    """Reading from file to file."""

    def __init__(self):
        self.number = self.hash = self.lsn = None  # of the next batch; of the last; of the next

    def begin(self, file):
        if self.number is None:
            self.number, self.hash, self.lsn = file.first_batch, file.previous_hash, file.first_lsn
            return
        good = (file.first_batch, file.previous_hash) == (self.number, self.hash)
        require(good, file.name, "it chains on to another batch than the last: damage before it")
        require(file.first_lsn == self.lsn, file.name, "its first LSN")

    def add(self, batch, place):
        """The batch's pieces, when it is the next."""
        require(batch.number == self.number, place, "number of a batch")
        require(batch.previous == self.hash, place, "hash of the batch before")
        require(batch.first_lsn == self.lsn, place, "first LSN of a batch")
        self.number += 1
        self.hash = batch.hash
        for lsn, _, flags, _, _ in batch.pieces:
            require(lsn == self.lsn, place, "a hole in the LSNs")
            if not flags & 1 or flags & 4:
                self.lsn += 1


def read_file(file, chain):
    """The batches of a file up to its last whole one."""
    at = PAGE
    while at < len(file.data):
        place = f"log {file.name} at {at}"
        frame = frame_at(file, at)
        if frame is None:
            break
        batch = batch_of(frame[1], place)
        chain.add(batch, place)
        yield batch
        at += frame[0]
    later = (one for one in range(at + PAGE, len(file.data), PAGE) if frame_at(file, one))
    require(next(later, None) is None, f"log {file.name} at {at}",
            "no frame, but a whole one behind it: damage")


def files_of(folder, flushed_lsn):
    """Those that count: behind the last gap in the ids."""
    paths = sorted(one for one in folder.iterdir()
                   if one.name.endswith(".log") and len(one.name) == NAME_DIGITS + 4)
    files = [open_file(one) for one in paths]
    for i in range(len(files) - 1, 0, -1):
        if files[i].previous_id != files[i - 1].id:
            files = files[i:]
            break
    if files:
        require(files[0].first_lsn <= flushed_lsn + 1, files[0].name, "records before it are missing")
    return files


def records(folder, flushed_lsn):
    """(lsn, scope, data) of every whole record above `flushed_lsn`; the last LSN of all."""
    chain, found, joined, boot = Chain(), [], None, None
    for file in files_of(folder, flushed_lsn):
        chain.begin(file)
        for batch in read_file(file, chain):
            for lsn, _, flags, scope, data in batch.pieces:
                if flags & 1:
                    if flags & 2:
                        joined, boot = (lsn, scope, b""), batch.boot
                    require(joined is not None and joined[:2] == (lsn, scope) and
                            boot == batch.boot, f"log {file.name}", "a fragment without its first")
                    joined = (lsn, scope, joined[2] + data)
                    if not flags & 4:
                        continue
                    data, joined = joined[2], None
                if lsn > flushed_lsn:
                    found.append((lsn, scope, data))
    last = flushed_lsn if chain.lsn is None else max(flushed_lsn, chain.lsn - 1)
    return found, last


# ---- What a record does ----

def leb128(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        at += 1
        if data[at - 1] < 128:
            return value, at
        shift += 7


def packed_vectors(data, at, count, place):
    """Vectors by id, as bytes of float32; where they end."""
    found, values, before = {}, at + 8 * count, -1
    for entry in range(at, values, 8):
        number, datatype, multi, dim = struct.unpack_from("<HBBI", data, entry)
        require(number > before and datatype in VALUE_BYTES and multi in (0, 1) and
                1 <= dim <= (768 << 10 if multi else 65536), place, "entry of a vector")
        before, size = number, dim * VALUE_BYTES[datatype]
        found[number] = as_float32(data[values:values + size], VALUE_BYTES[datatype])
        zero(data[values + size:values + up(size, 4)], place)
        values += up(size, 4)
    require(values - at <= 768 << 10, place, "size of the vectors")
    return found, values


def rows(data, at, end, place):
    """(kind, id, value): 1 and 4, a patch, (vectors by id, payload); 2 None; 3 the incarnation."""
    while at < end:
        head = data[at]
        kind, is_uuid = head & 3, bool(head & 4)
        require(head < 16 and kind > 0 and (head < 8 or kind == 1), place, "head of a row")
        id = uuid_id(u64(data, at + 9), u64(data, at + 1)) if is_uuid else number_id(u64(data, at + 1))
        at += 17 if is_uuid else 9
        value = None
        if kind == 1:
            count, at = leb128(data, at)
            size, at = leb128(data, at)
            require(count <= 64 and size <= 1 << 20, place, "size of a row")
            vectors, at = packed_vectors(data, at, count, place)
            value = vectors, data[at:at + size]
            at += size
        elif kind == 3:
            value = u64(data, at)
            at += 8
        yield PATCH if head & 8 else kind, id, value
    require(at == end, place, "a row ends behind its part")


def parts(lsn, data):
    """(incarnation, rows) of a record's body."""
    place, at = f"record {lsn}", 0
    while at < len(data):
        require(at + 28 <= len(data), place, "head of a part")
        size = u32(data, at + 24)
        zero(data[at + 8:at + 24], place)
        require(size > 0 and at + 28 + size <= len(data), place, "size of a part")
        yield u64(data, at), list(rows(data, at + 28, at + 28 + size, place))
        at += 28 + size
