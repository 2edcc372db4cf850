"""Reading zip archives by the rules of torch's reader, which differ from those of Python's `zipfile`.

Offsets count from the position of the file object, all names lie in the folder of the first one and are found regardless of
case, a checksum of 0 means that none was computed, and what follows the end record is ignored. What cannot be intentional
is refused: two records with the same name, records that overlap, and contents that grow without bound when decompressed.
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import Any, NamedTuple

from mini_dl.files.pt.errors import EndError, RecordError

END, CENTRAL, LOCAL = b"PK\x05\x06", b"PK\x01\x02", b"PK\x03\x04"
END64_LOCATOR, END64 = b"PK\x06\x07", b"PK\x06\x06"
SEARCHED = 69584
"""The end record lies within this many bytes of the end."""
LIMIT_32 = 0xFFFFFFFF
ENCRYPTED, MASKED = 1 | 32 | 64, 8192
VERSIONS = range(1, 11)
GROWTH, FREE_GROWTH = 100, 2**28
"""Decompressed records may take this many times the size of the archive, and this many bytes in any case."""


class Entry(NamedTuple):
    """What the central directory says about a record; `start` is that of its local header, `listed` that of the directory
    entry.
    """

    flags: int
    method: int
    crc: int
    packed: int
    size: int
    start: int
    is_folder: bool
    listed: int


def is_archive(file: Any) -> bool:
    """Whether the file continues with a zip archive, which begins with its first record."""
    at = file.tell()
    head = file.read(4)
    file.seek(at)
    return bool(head == LOCAL)


def fill(file: Any, into: memoryview) -> None:
    """Fill a buffer from a file. EndError if the file is too short."""
    direct = getattr(file, "readinto", None)
    at, end = 0, into.nbytes
    while at < end:
        if direct is not None:
            count = direct(into[at:])
        else:
            part = file.read(end - at)
            count = len(part)
            into[at : at + count] = part
        if not count:
            raise EndError(f"the file ends {end - at} bytes early")
        at += count


class Archive:
    """The records of a zip archive from the position of `file` on."""

    def __init__(self, file: Any) -> None:
        self.file, self.origin = file, file.tell()
        file.seek(0, 2)
        self.size = file.tell() - self.origin
        self.stored_left, self.growth_left = self.size, FREE_GROWTH + GROWTH * self.size
        entries = self._entries()
        if not entries:
            raise RecordError("the archive does not contain any files")
        folder, slash, _ = entries[0][0].partition(b"/")
        if not slash:
            raise RecordError(f"file in archive is not in a subdirectory: {_shown(folder)}")
        self.folder = folder + slash
        self.records: dict[bytes, Entry] = {}
        for name, entry in entries:
            if not name.startswith(self.folder):
                raise RecordError(f"file in archive is not in a subdirectory {_shown(self.folder)}: {_shown(name)}")
            key = name[len(self.folder) :].lower()
            if "\ufffd" in _shown(key):
                raise RecordError(f"the archive has a record whose name is not text: {_shown(key)}")
            if key in self.records:
                raise RecordError(f"the archive has two records of the name {_shown(key)}")
            self.records[key] = entry
        self._check_version()

    def __contains__(self, name: str) -> bool:
        return _key(name) in self.records

    def length(self, name: str) -> int:
        """The number of bytes in a record."""
        return self._found(name)[0].size

    def read(self, name: str) -> bytearray:
        """The contents of a record."""
        entry, _ = self._found(name)
        self._check_budget(name, entry)
        content = bytearray(entry.size)
        self.read_into(name, content)
        return content

    def read_into(self, name: str, target: Any) -> None:
        """Read a record into a buffer of its length."""
        entry, start = self._found(name)
        if not entry.packed:
            return
        self._check_budget(name, entry)
        self.stored_left -= entry.packed
        self.growth_left -= entry.size if entry.method else 0
        into = memoryview(target).cast("B")
        if entry.method:
            into[:] = self._inflated(name, entry, self._at(start, entry.packed))
        else:
            self._fill(start, into)
        if entry.crc and zlib.crc32(into) != entry.crc:
            raise RecordError(f"record {name}: its checksum is wrong; the file was damaged after it was written")

    def place(self, name: str) -> int:
        """Where in the file the contents of a record start. RecordError if it is compressed."""
        entry, start = self._found(name)
        if entry.method:
            raise RecordError(f"record {name} is compressed and cannot be mapped; load it without mmap=True")
        return int(self.origin + start)

    def drop_checksum(self, name: str, memory: Any) -> None:
        """Mark in `memory`, the mapped file, that this record has no checksum: its contents may change there."""
        at = self.origin + self._found(name)[0].listed + 16
        memory[at : at + 4] = bytes(4)

    def _found(self, name: str) -> tuple[Entry, int]:
        entry = self.records.get(_key(name))
        if entry is None:
            raise RecordError(f"failed locating file {name}: file not found; the file lacks this record")
        if entry.is_folder:
            raise RecordError(f"record {name} is a folder")
        if entry.flags & ENCRYPTED:
            raise RecordError(f"record {name}: unsupported encryption")
        if entry.method not in (0, zlib.DEFLATED):
            raise RecordError(f"record {name}: unsupported compression method {entry.method}")
        if not entry.method and entry.size != entry.packed:
            raise RecordError(f"record {name} has {entry.packed} bytes where the directory says {entry.size}")
        header = self._at(entry.start, 30)
        if header[:4] != LOCAL:
            raise RecordError(f"record {name}: invalid header or archive is corrupted")
        start = entry.start + 30 + sum(struct.unpack_from("<HH", header, 26))
        if start + entry.packed > self.size:
            raise RecordError(f"record {name}: invalid header or archive is corrupted")
        return entry, start

    def _check_budget(self, name: str, entry: Entry) -> None:
        if entry.packed > self.stored_left:
            raise RecordError(f"record {name}: the records of the archive overlap")
        if entry.method and entry.size > self.growth_left:
            raise RecordError(
                f"record {name} would take {entry.size} bytes when decompressed, out of all proportion to the {self.size} bytes "
                "of the file; if that is intended, rewrite the archive without compression"
            )

    def _inflated(self, name: str, entry: Entry, content: bytes) -> bytes:
        try:
            engine = zlib.decompressobj(-zlib.MAX_WBITS)
            inflated = engine.decompress(content, entry.size + 1)
        except zlib.error as error:
            raise RecordError(f"record {name}: decompression failed: {error}") from None
        if len(inflated) != entry.size or not engine.eof:
            raise RecordError(f"record {name}: unexpected decompressed size, expected {entry.size} bytes")
        return inflated

    def _at(self, start: int, count: int) -> bytes:
        """`count` bytes from the position `start` of the archive."""
        if start + count > self.size:
            raise RecordError(f"file read failed: the archive has {self.size} bytes, the directory asks for {start + count}")
        content = bytearray(count)
        self._fill(start, memoryview(content))
        return bytes(content)

    def _fill(self, start: int, into: memoryview) -> None:
        """Fill a buffer with the bytes from position `start` of the archive."""
        self.file.seek(self.origin + start)
        fill(self.file, into)

    def _check_version(self) -> None:
        name = ".data/version" if ".data/version" in self else "version"
        if name not in self:
            raise RecordError("the archive has no record of its version; it was not written by torch.save")
        content = self.read(name)
        number = re.match(rb"[ \t-\r]*([+-]?\d+)", content)
        if number is None:
            raise RecordError(f"Couldn't parse the version {_shown(bytes(content[:40]))} as Long Long.")
        version = int(number[1]) if len(number[1]) < 20 else 2**63
        if version not in VERSIONS:
            limit, bound = ("minimum", VERSIONS.start) if version < VERSIONS.start else ("maximum", VERSIONS.stop - 1)
            raise RecordError(
                f"Attempted to read a PyTorch file with version {version}, but the {limit} supported version for reading is "
                f"{bound}"
            )

    # ---------------------------------------------------------------------------------------- the central directory

    def _entries(self) -> list[tuple[bytes, Entry]]:
        count, length, start, disk = self._end()
        if length < count * 46 or start + length > self.size:
            raise _corrupted()
        directory, at, entries = self._at(start, length), 0, []
        for _ in range(count):
            if length - at < 46 or directory[at : at + 4] != CENTRAL:
                raise _corrupted()
            name, entry, taken, on_disk = _entry(directory, at)
            if taken > length - at or entry.start + 30 + entry.packed > self.size or (entry.size and not entry.packed):
                raise _corrupted()
            if on_disk == 0xFFFF or on_disk not in (disk, 1):
                raise RecordError("unsupported multidisk archive")
            if entry.flags & MASKED:
                raise RecordError("unsupported encryption")
            entries.append((name, entry._replace(listed=start + at)))
            at += taken
        return entries

    def _end(self) -> tuple[int, int, int, int]:
        """The number of entries of the central directory, its length, its start, and its disk."""
        if self.size < 22:
            raise RecordError("failed reading zip archive: not a ZIP archive")
        reach = min(self.size, SEARCHED)
        tail = self._at(self.size - reach, reach)
        found = tail.rfind(END, 0, reach - 22 + 4)
        if found < 0:
            raise RecordError("failed reading zip archive: failed finding central directory")
        disk, first_disk, here, count, length, start = struct.unpack_from("<HHHHII", tail, found + 4)
        at = self.size - reach + found
        if at >= 76 and (locator := self._at(at - 20, 20))[:4] == END64_LOCATOR:
            at64, disks = struct.unpack_from("<QI", locator, 8)
            if at64 > self.size - 56:
                raise RecordError("failed reading zip archive: not a ZIP archive")
            record = self._at(at64, 56)
            if record[:4] == END64:
                length64, disk, first_disk, here, count, length, start = struct.unpack_from("<Q4xIIQQQQ", record, 4)
                if length64 < 44 or disks != 1 or max(count, here, length) > LIMIT_32:
                    raise _corrupted()
        if count != here or ((disk or first_disk) and (disk, first_disk) != (1, 1)):
            raise RecordError("unsupported multidisk archive")
        return count, length, start, disk


def _entry(directory: bytes, at: int) -> tuple[bytes, Entry, int, int]:
    """The name of the entry at this position, the entry, its size in bytes, and the disk of the record."""
    flags, method, _, crc, packed, size, name_length, extra_length, comment_length, disk, _, external, start = struct.unpack_from(
        "<HHIIIIHHHHHII", directory, at + 8
    )
    taken = 46 + name_length + extra_length + comment_length
    name = directory[at + 46 : at + 46 + name_length]
    if extra_length and max(packed, size, start) == LIMIT_32:
        size, packed, start = _sizes64(
            directory[at + 46 + name_length : at + 46 + name_length + extra_length], size, packed, start
        )
    is_folder = name.endswith(b"/") or bool(external & 0x10)
    return name, Entry(flags, method, crc, packed, size, start, is_folder, 0), taken, disk


def _sizes64(extra: bytes, *short: int) -> list[int]:
    """`short`, with each number that does not fit 32 bits replaced by the one from the extended information."""
    at = 0
    while at < len(extra):
        if len(extra) - at < 4:
            raise _corrupted()
        kind, length = struct.unpack_from("<HH", extra, at)
        field = extra[at + 4 : at + 4 + length]
        if len(field) < length:
            raise _corrupted()
        if kind == 1:
            if len(field) < 8 * short.count(LIMIT_32):
                raise _corrupted()
            longer = iter(struct.unpack_from(f"<{short.count(LIMIT_32)}Q", field))
            return [next(longer) if number == LIMIT_32 else number for number in short]
        at += 4 + length
    return list(short)


def _key(name: str) -> bytes:
    return name.encode("utf-8", "surrogatepass").lower()


def _shown(name: bytes) -> str:
    return repr(name.decode("utf-8", "replace"))


def _corrupted() -> RecordError:
    return RecordError("failed reading zip archive: invalid header or archive is corrupted")
