"""Damage .pt files at random, and compare what torch and mini_dl do with each: reject it, or read it, and the result.

    python -m scripts.compare_files 6000 --seed 0

prints how many files both read alike, both rejected, or only one read, and the kinds of difference with an example's number.
"""

from __future__ import annotations

import argparse
import collections
import io
import random
import resource
import time
import warnings
from typing import Any

import torch

import mini_dl
from mini_dl.files.replacing import rewrite
from tests.mutations import mutated

DOCUMENTED = ("FileError", "RefusedError", "RecordError", "ByteOrderError", "EndError")


def samples() -> list[bytes]:
    """Files written by torch, in both of its formats, with typical contents."""
    torch.manual_seed(0)
    base = torch.arange(10.0)
    parameter = torch.nn.Parameter(torch.ones(2))
    parameter.tag = "x"
    network = torch.nn.Linear(3, 2)
    objects: list[Any] = [
        torch.arange(4.0),
        {"a": torch.arange(6).reshape(2, 3), "b": [1, 2.5, "s", None, True, (1,), b"ab", {3}, 2 + 1j, 10**30]},
        collections.OrderedDict(part=base[2:5], whole=base, t=torch.ones(2, 3).t(), n=torch.tensor(3)),
        network.state_dict(),
        [parameter, torch.nn.Buffer(torch.zeros(2)), torch.ones(2, requires_grad=True)],
        [torch.float32, torch.Size([2, 3]), torch.device("cpu"), torch.strided, torch.int8],
        [torch.tensor([1 + 2j]).conj(), torch.tensor([3 - 1j]).conj().imag, torch.tensor([True, False])],
        torch.optim.Adam(network.parameters()).state_dict(),
        collections.Counter("abca"),
    ]
    made = []
    for zipped in (True, False):
        for thing in objects:
            file = io.BytesIO()
            torch.save(thing, file, _use_new_zipfile_serialization=zipped)
            made.append(file.getvalue())
    file = io.BytesIO()
    torch.save({"u": torch.arange(3).to(torch.uint16), "h": torch.ones(3).half()}, file)
    return [*made, file.getvalue()]


def described(value: Any, depth: int = 0) -> Any:
    """A value of either library in comparable form."""
    if depth > 20:
        return "deep"
    kind = type(value).__name__
    if isinstance(value, (torch.Tensor, mini_dl.Tensor)):
        flags = kind, str(value.dtype), tuple(value.shape), value.requires_grad
        if value.numel() > 10**5:
            return flags
        plain = value.detach().resolve_conj().resolve_neg() if isinstance(value, torch.Tensor) else value.detach()
        if plain.dtype == torch.bfloat16:  # is read as float32 here
            plain, flags = plain.float(), (kind, "torch.float32", *flags[2:])
        own = {
            name: described(held, depth + 1)
            for name, held in value.__dict__.items()
            if name in ("tag", "_is_buffer", "persistent")
        }
        return *flags, plain.contiguous().numpy().tobytes(), sorted(own.items())
    if isinstance(value, dict):
        return kind, [(described(key, depth + 1), described(held, depth + 1)) for key, held in value.items()]
    if isinstance(value, (list, tuple)):
        return kind, [described(held, depth + 1) for held in value]
    if isinstance(value, (set, frozenset)):
        return kind, sorted(map(repr, value))
    if isinstance(value, (torch.dtype, mini_dl.dtype, torch.device, mini_dl.device, torch.layout, mini_dl.layout)):
        return str(value).replace("bfloat16", "float32")
    if "Storage" in kind or (isinstance(value, type) and "Storage" in value.__name__):
        return "storage", 0 if kind == "StorageType" or isinstance(value, type) else value.nbytes()
    if isinstance(value, type) or callable(value):
        return "callable"
    return kind, repr(value)


def outcome(library: Any, content: bytes) -> tuple[str, Any, str]:
    """ "read" with the value, or "refused" with the type of the error; and its message."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = library.load(io.BytesIO(content))
            return "read", described(value), ""
    except Exception as error:
        return "refused", type(error).__name__, str(error)


def compared(content: bytes) -> tuple[str, str]:
    """What happened, and what is wrong with it: "" if the libraries agree and the error is the documented one."""
    theirs, ours = outcome(torch, content), outcome(mini_dl, content)
    if ours[0] == "refused" and ours[1] not in DOCUMENTED:
        return "another error", f"{ours[1]}: {ours[2][:100]}"
    if theirs[0] == ours[0] == "read":
        return (
            ("read alike", "") if theirs[1] == ours[1] else ("read differently", f"{str(theirs[1])[:150]} | {str(ours[1])[:150]}")
        )
    if theirs[0] == ours[0]:
        return "refused by both", ""
    if ours[0] == "read":
        return "read here only", f"{theirs[1]}: {theirs[2][-160:]!r}"
    return "read by torch only", " ".join(ours[2].partition(". If it should")[0].split()[-12:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", help="a folder for files that only mini_dl reads, or reads differently, or with another error")
    options = parser.parse_args()
    bases, totals, oddities = samples(), collections.Counter[str](), collections.Counter[tuple[str, str]]()
    slowest, began = 0.0, time.perf_counter()
    for number in range(options.count):
        content = mutated(random.Random(f"{options.seed} {number}"), bases[number % len(bases)])
        start = time.perf_counter()
        what, odd = compared(content)
        slowest = max(slowest, time.perf_counter() - start)
        totals[what] += 1
        if odd:
            oddities[what, odd] += 1
            if options.keep and what != "read by torch only":
                rewrite(f"{options.keep}/{options.seed}_{number}.pt", content)
    print(dict(totals))
    for (what, odd), count in oddities.most_common(60):
        print(f"{count:5} {what}: {odd}")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{time.perf_counter() - began:.0f} s, slowest file {slowest:.2f} s, memory at most {memory} MB")


if __name__ == "__main__":
    main()
