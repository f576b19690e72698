"""What the parts of the second reader share: words, hashes, cells. From docs/FORMATS.md alone."""

import ctypes
import ctypes.util
import struct

PAGE = 4096
CELL_SLOT = (2 << 20) + PAGE


class Damage(Exception):
    """Bytes that are not as docs/FORMATS.md says; the text names the place."""


def require(good, place, what):
    if not good:
        raise Damage(f"{place}: {what}")


class _Hash128(ctypes.Structure):
    _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]


_XXHASH = ctypes.CDLL(ctypes.util.find_library("xxhash") or "libxxhash.so.0")
_XXHASH.XXH3_64bits.restype = ctypes.c_uint64
_XXHASH.XXH3_128bits.restype = _Hash128
for _name in ("XXH3_64bits", "XXH3_128bits"):
    getattr(_XXHASH, _name).argtypes = [ctypes.c_char_p, ctypes.c_size_t]


def hash64(data):
    data = bytes(data)
    return _XXHASH.XXH3_64bits(data, len(data))


def hash128(data):
    """16 bytes as they stand in a file: the low word, then the high word."""
    data = bytes(data)
    found = _XXHASH.XXH3_128bits(data, len(data))
    return struct.pack("<QQ", found.low, found.high)


def _crc_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_CRC = _crc_table()


def crc32c(data):
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _CRC[(value ^ byte) & 255]
    return value ^ 0xFFFFFFFF


def u16(data, at):
    return struct.unpack_from("<H", data, at)[0]


def u32(data, at):
    return struct.unpack_from("<I", data, at)[0]


def u64(data, at):
    return struct.unpack_from("<Q", data, at)[0]


def words(data, at, count, size=8):
    return struct.unpack_from(f"<{count}{'Q' if size == 8 else 'I'}", data, at)


def zero(data, place):
    require(not any(data), place, "bytes that are called zero are not")


def up(value, step):
    return -(-value // step) * step


def mask(bits):
    return (1 << bits) - 1


def unpack_bits(data, at, count, width):
    """`count` numbers of `width` bits, low bit first."""
    size = up(count * width, 8) // 8
    packed = int.from_bytes(data[at:at + size], "little")
    return [packed >> i * width & mask(width) for i in range(count)]


def as_float32(data, width):
    """Values of float32, float16 or uint8 as bytes of float32, which holds each of them exactly."""
    if width == 4:
        return data
    count = len(data) // width
    return struct.pack(f"<{count}f", *struct.unpack(f"<{count}{'e' if width == 2 else 'B'}", data))


# ---- Ids: (is_uuid, high, low); numbers come first ----

def number_id(number):
    return False, 0, number


def uuid_id(high, low):
    return True, high, low


def id_text(id):
    is_uuid, high, low = id
    if not is_uuid:
        return str(low)
    text = f"{high:016x}{low:016x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


# ---- Cells ----

def _slot(image, number):
    """(version, data) of one slot; None when it was never written; Damage when it is torn."""
    place = f"cell slot {number}"
    if not any(image):
        return None
    require(image[:8] == b"INSCELL1" and u32(image, 8) == 1, place, "magic or format")
    require(u64(image, 48) == hash64(image[:48]), place, "hash of the header")
    version, size = u64(image, 16), u64(image, 24)
    require(u32(image, 12) == number and version > 0 and version % 2 == number, place, "slot")
    require(size <= CELL_SLOT - PAGE, place, "size")
    zero(image[56:PAGE], place)
    data = image[PAGE:PAGE + size]
    require(hash128(data) == image[32:48], place, "hash of the data")
    zero(image[PAGE + size:], place)
    return version, data


def read_cell(path):
    """The newest version that verifies, and what was wrong with the other slot."""
    image = path.read_bytes()
    require(len(image) == 2 * CELL_SLOT, path.name, "size")
    found, wrong = [], []
    for number in range(2):
        try:
            slot = _slot(image[number * CELL_SLOT:(number + 1) * CELL_SLOT], number)
            if slot is not None:
                found.append(slot)
        except Damage as damage:
            wrong.append(str(damage))
    require(found, path.name, "no slot verifies: " + "; ".join(wrong))
    return max(found)[1], wrong
