"""Damaged files: what a random generator makes of the bytes, records, names and pickle instructions of a .pt file."""

from __future__ import annotations

import io
import itertools
import pickle
import pickletools
import random
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable

GLOBALS = (
    "torch Tensor", "torch Size", "torch device", "torch float32", "torch bfloat16", "torch int64", "torch FloatStorage",
    "torch LongStorage", "torch BFloat16Storage", "torch.storage UntypedStorage", "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_tensor_v3", "torch._utils _rebuild_tensor", "torch._utils _rebuild_parameter",
    "torch._utils _rebuild_parameter_with_state", "torch._utils _rebuild_sparse_tensor", "torch._tensor _rebuild_from_type_v2",
    "torch._utils _rebuild_meta_tensor_no_storage", "torch.nn.parameter Parameter", "torch.serialization _get_layout",
    "collections OrderedDict", "collections Counter", "_codecs encode", "builtins set", "builtins bytearray",
    "builtins complex", "__builtin__ set", "builtins eval", "os system", "numpy dtype", "torch.nn.modules.linear Linear",
    "torch uint16", "torch FloatTensor", "torch quint8",
)  # fmt: skip
OPCODES = b"(.)]}NK\x88\x89qhtR\x81bsuaeQ\x85\x86\x87\x8f\x90\x93\x94cX0122BjrMJG\x8aUIFS"
Mutation = Callable[[random.Random, bytes], bytes]


def mutated(random_: random.Random, content: bytes) -> bytes:
    """A .pt file, with one to three things wrong in it."""
    for _ in range(random_.choice((1, 1, 1, 2, 3))):
        is_zip = content[:4] == b"PK\x03\x04"
        kinds = (*ANYWHERE, *(IN_ARCHIVES * 3 if is_zip else IN_STREAMS * 3))
        try:
            content = random_.choice(kinds)(random_, content)
        except (
            zipfile.BadZipFile,
            zlib.error,
            struct.error,
            ArithmeticError,
            EOFError,
            LookupError,
            OSError,
            RuntimeError,
            ValueError,
        ):
            content = _bytes_changed(random_, content)  # it is too damaged already for the finer ways
    return content


# ------------------------------------------------------------------------------------------------ bytes


def _bytes_changed(random_: random.Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(random_.choice((1, 1, 2, 8))):
        if changed:
            at = random_.randrange(len(changed))
            changed[at] = random_.choice((0, 1, 255, changed[at] ^ 1 << random_.randrange(8), random_.randrange(256)))
    return bytes(changed)


def _cut(random_: random.Random, content: bytes) -> bytes:
    return content[: random_.randrange(len(content) + 1)]


def _longer(random_: random.Random, content: bytes) -> bytes:
    return content + random_.randbytes(random_.choice((1, 4, 22, 100)))


def _stretch(random_: random.Random, content: bytes) -> bytes:
    """A stretch taken out, written twice, or filled with zeros."""
    at = random_.randrange(len(content))
    to = min(len(content), at + random_.choice((1, 2, 8, 64)))
    middle = random_.choice((b"", content[at:to] * 2, bytes(to - at)))
    return content[:at] + middle + content[to:]


ANYWHERE: tuple[Mutation, ...] = (_bytes_changed, _cut, _longer, _stretch)


# ------------------------------------------------------------------------------------------------ archives


def records_of(content: bytes) -> list[tuple[str, bytes]]:
    """The names and contents of the records of an archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return [(entry.filename, archive.read(entry)) for entry in archive.infolist()]


def archived(records: list[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> bytes:
    """An archive of these records."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of two records of one name
        for name, content in records:
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return file.getvalue()


def _record_changed(random_: random.Random, content: bytes) -> bytes:
    records = records_of(content)
    at = random_.randrange(len(records))
    name, part = records[at]
    records[at] = name, random_.choice((b"", part[:-1], part + b"\0", part * 2, b"little", b"big", b"1", b"11", b"4\n", b"\xff"))
    return archived(records)


def _record_names(random_: random.Random, content: bytes) -> bytes:
    records = records_of(content)
    at = random_.randrange(len(records))
    name, part = records[at]
    other = random_.choice(records)[0]
    what = random_.randrange(6)
    if what == 0:
        del records[at]
    elif what == 1:
        records.insert(random_.randrange(len(records) + 1), (name, random_.choice((part, part[::-1]))))
    elif what == 2:
        random_.shuffle(records)
    else:
        names = (
            other,
            name.upper(),
            "x" + name,
            name + "x",
            name.partition("/")[2],
            "other/x",
            name + "/",
            "archive/constants.pkl",
        )
        records[at] = random_.choice(names), part
    return archived(records)


def _compressed(random_: random.Random, content: bytes) -> bytes:
    packed = archived(records_of(content), zipfile.ZIP_DEFLATED)
    return packed if random_.random() < 0.3 else _bytes_changed(random_, packed)


def _headers(random_: random.Random, content: bytes) -> bytes:
    """A number in a local header, an entry of the directory, or the record at the end."""
    changed = bytearray(content)
    signature, length = random_.choice(((b"PK\x03\x04", 30), (b"PK\x01\x02", 46), (b"PK\x05\x06", 22), (b"PK\x06\x06", 56)))
    places = [at for at in range(len(content)) if content.startswith(signature, at)]
    at = random_.choice(places) + random_.randrange(length)
    if at + 4 <= len(content):
        size = random_.choice((1, 2, 4))
        number = int.from_bytes(changed[at : at + size], "little") + random_.choice((-1, 1, 16, 2**31))
        changed[at : at + size] = (random_.choice((number, 0, 2**32 - 1, random_.getrandbits(32))) % 2 ** (8 * size)).to_bytes(
            size, "little"
        )
    return bytes(changed)


def _pickle_record(random_: random.Random, content: bytes) -> bytes:
    return archived(
        [(name, _instructions(random_, part) if name.endswith("/data.pkl") else part) for name, part in records_of(content)]
    )


IN_ARCHIVES: tuple[Mutation, ...] = (
    _record_changed, _record_names, _compressed, _headers, _pickle_record, _pickle_record, _pickle_record
)  # fmt: skip


# ------------------------------------------------------------------------------------------------ pickles


def _instructions(random_: random.Random, pickled: bytes) -> bytes:
    """One to three instructions of a pickle taken out, doubled, exchanged, given other arguments, or added."""
    starts = [at for _, _, at in pickletools.genops(pickled)] + [len(pickled)]
    parts = [pickled[at:to] for at, to in itertools.pairwise(starts)]
    for _ in range(random_.choice((1, 1, 2, 3))):
        at = random_.randrange(len(parts))
        what = random_.randrange(8)
        if what == 0:
            del parts[at]
        elif what == 1:
            parts.insert(at, random_.choice(parts))
        elif what == 2:
            other = random_.randrange(len(parts))
            parts[at], parts[other] = parts[other], parts[at]
        elif what == 3:
            parts[at] = bytes([random_.choice(OPCODES)]) + parts[at][1:]
        elif what == 4:
            parts.insert(at, _instruction(random_))
        else:
            like = [i for i, part in enumerate(parts) if part[:1] in (b"c", b"K", b"M", b"J", b"X", b"q", b"h", b"\x88", b"\x89")]
            at = random_.choice(like)
            parts[at] = _argument_changed(random_, parts[at])
    return b"".join(parts)


def _number(random_: random.Random) -> bytes:
    number = random_.choice((0, 1, 2, 3, 7, 255, 256, 65535, 2**31 - 1, -1, -5, 2**40, 2**62, 10**30))
    return pickle.dumps(number, 2)[2:-1]


def _instruction(random_: random.Random) -> bytes:
    made = (
        bytes([random_.choice(OPCODES)]),
        f"c{random_.choice(GLOBALS)}\n".replace(" ", "\n").encode(),
        _number(random_),
        b"r" + struct.pack("<I", random_.choice((2**31, 2**32 - 1, 10**8))),
        b"N}X\x04\0\0\0nameX\x07\0\0\0float64s\x86b",
        pickle.dumps(random_.choice((None, True, 1.5, "x", "cpu", (), (2, 3), [], {}, {"a": 1})), 2)[2:-1],
    )
    return random_.choice(made)


def _argument_changed(random_: random.Random, part: bytes) -> bytes:
    opcode = part[:1]
    if opcode == b"c":
        return f"c{random_.choice(GLOBALS)}\n".replace(" ", "\n").encode()
    if opcode == b"X":
        text = random_.choice(
            ("", "cpu", "cuda:0", "meta", "0", "1", "storage", "module", "torch.strided", "name", "_array", "x" * 30)
        )
        return b"X" + struct.pack("<I", len(text)) + text.encode()
    if opcode in (b"q", b"h"):
        return opcode + bytes([random_.randrange(40)])
    if opcode in (b"\x88", b"\x89"):
        return random_.choice((b"\x88", b"\x89", b"N", b"K\x05"))
    return _number(random_)


def _stream(random_: random.Random, content: bytes) -> bytes:
    """A mutation of one of the five pickles that a file of the old format begins with."""
    ends, file = [0], io.BytesIO(content)
    for _ in range(5):
        list(pickletools.genops(file))
        ends.append(file.tell())
    at = random_.choice((0, 1, 2, 3, 3, 3, 3, 3, 4))
    return content[: ends[at]] + _instructions(random_, content[ends[at] : ends[at + 1]]) + content[ends[at + 1] :]


IN_STREAMS: tuple[Mutation, ...] = (_stream,)
