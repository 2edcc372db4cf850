"""Damages .npz and .safetensors files at random: each must load as tensors, or raise the one documented ValueError.

    python tests/fuzz_files.py --files 5000

Exits with 1 on any other outcome, or if more memory is used than the file can represent.
"""

from __future__ import annotations

import argparse
import io
import random
import sys
import tracemalloc
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator
from typing import Any

import mini_dl as torch
from mini_dl import _dtypes, serialization

SAMPLE = {
    "weight": torch.arange(12.0).reshape(3, 4),
    "bias": torch.arange(3, dtype=torch.int64),
    "mask": torch.tensor([True, False]),
    "layers/0.é": torch.ones(2, 2, dtype=torch.float64).t(),
    "scalar": torch.tensor(2.5),
    "empty": torch.zeros(0, 3),
}
TOKENS = rb"""0 -1 8 99999999999999999999 1e400 null true {} [] "" NaN F8_E4M3 BF16 <f4 >i8 |O |V8 <U3 None False ( ) [ ] { } , :
" \ L .npy __metadata__ (0,)""".split()
TOKENS += [b"\0", b"\xff", b"\n", b"PK\x01\x02", b"PK\x05\x06", b"\x93NUMPY"]


def damaged(content: bytes, draw: random.Random, places: tuple[int, int]) -> bytes:
    """`content` with one to four changes, most of them between two positions, where the sizes and names are."""
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        begin, end = places if draw.random() < 0.8 else (0, len(changed))
        at = draw.randrange(begin, max(begin + 1, min(end, len(changed))))
        length = draw.choice((1, 1, 2, 4, 8, 30))
        kind = draw.randrange(8)
        if kind == 0:
            changed[at : at + 1] = bytes([changed[at] ^ 1 << draw.randrange(8)]) if at < len(changed) else b""
        elif kind == 1:
            changed[at : at + length] = draw.randbytes(length)
        elif kind == 2:
            del changed[at : at + length]
        elif kind == 3:
            changed[at:at] = changed[at : at + length]
        elif kind == 4:
            token = draw.choice(TOKENS)
            changed[at : at + draw.choice((0, 1, len(token)))] = token
        elif kind == 5:
            changed[at : at + length] = draw.choice((b"\0", b"\xff", b"\x7f", b"\x80")) * length
        elif kind == 6:
            other = draw.randrange(max(1, len(changed)))
            changed[at : at + length] = changed[other : other + length]
        else:
            del changed[at if draw.random() < 0.5 else draw.randrange(len(changed) + 1) :]
    return bytes(changed)


def npz_files(draw: random.Random) -> Iterator[bytes]:
    """Half of them sound archives with a damaged record, half damaged archives."""
    file = io.BytesIO()
    serialization.save_npz(SAMPLE, file)
    whole = file.getvalue()
    with zipfile.ZipFile(file) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    while True:
        if draw.random() < 0.5:
            yield damaged(whole, draw, (whole.index(b"PK\x01\x02"), len(whole)))
            continue
        chosen, made = draw.choice(list(records)), io.BytesIO()
        with zipfile.ZipFile(made, "w", draw.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
            for name, record in records.items():
                archive.writestr(name, damaged(record, draw, (6, 80)) if name == chosen else record)
        yield made.getvalue()


def safetensors_files(draw: random.Random) -> Iterator[bytes]:
    """Half of them with a length that is right for the damaged header."""
    file = io.BytesIO()
    serialization.save_safetensors(SAMPLE, file, {"format": "pt"})
    whole = file.getvalue()
    end = 8 + int.from_bytes(whole[:8], "little")
    while True:
        if draw.random() < 0.5:
            yield damaged(whole, draw, (0, end))
        else:
            header = damaged(whole[8:end], draw, (0, end - 8))
            yield len(header).to_bytes(8, "little") + header + whole[end:]


FORMATS: dict[str, tuple[Any, Any]] = {
    "npz": (npz_files, serialization.load_npz),
    "safetensors": (safetensors_files, serialization.load_safetensors),
}


def outcome(content: bytes, load: Any) -> str:
    """ "loaded", "refused", or any other outcome."""
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tensors = load(io.BytesIO(content))
    except ValueError as error:
        result = "refused" if type(error) is ValueError and str(error).startswith("<BytesIO>") else f"{error!r:.200}"
    except Exception as error:
        result = f"{error!r:.200}"
    else:
        sound = all([type(key) is str and tensor.dtype in _dtypes.ALL for key, tensor in tensors.items()])
        sound = sound and all([tensor._array.dtype.isnative and tensor.tolist() is not None for tensor in tensors.values()])
        result = "loaded" if sound else "tensors that are none"
    if tracemalloc.get_traced_memory()[1] - before > 2e6:
        return f"{tracemalloc.get_traced_memory()[1] - before} bytes of memory for {len(content)} in the file"
    return result


def outcomes(ending: str, files: int, seed: int) -> Counter[str]:
    """How often each outcome occurred."""
    make, load = FORMATS[ending]
    tracemalloc.start()
    try:
        return Counter([outcome(content, load) for _, content in zip(range(files), make(random.Random(seed)))])
    finally:
        tracemalloc.stop()


def main(arguments: list[str] | None = None) -> int:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--files", type=int, default=5000, help="of each format")
    made.add_argument("--seed", type=int, default=0)
    options = made.parse_args(arguments)
    bad = False
    for ending in FORMATS:
        found = outcomes(ending, options.files, options.seed)
        bad |= not found.keys() <= {"loaded", "refused"}
        for what, count in found.most_common():
            print(f".{ending}: {count} {what}")
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
