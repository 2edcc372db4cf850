"""Calls made from those of torch's table: with an argument less, which needs its default; with what is not an argument."""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Iterator
from typing import Any

from parity_tests import bridge, wrong_calls
from parity_tests.adapter import Entry, Sample
from parity_tests.bridge import NotApplicable
from parity_tests.wrong_calls import Call

LOOKED_AT = 40
"""How many of torch's samples are varied at most."""
IGNORED = {
    "out": "torch looks at it only after other mistakes",
    "align_to_window": "torch refuses it with `center`, whatever it is",
    "onesided": "torch first asks for `return_complex`",
    "antialias": "torch's Python takes it for a truth value",
    "options": "they tell torch how to save memory, and are accepted without effect",
    "unbiased": "torch's Python takes it for a truth value",
}
"""Arguments for which torch answers to something else, or not at all, if they are given a class."""
BEYOND_MEMORY = frozenset(
    "native_batch_norm native_layer_norm nn.functional.batch_norm nn.functional.embedding_bag lu_unpack "
    "nn.functional.max_unpool1d nn.functional.max_unpool2d nn.functional.max_unpool3d".split()
)
"""Ops of which torch reads memory that is not theirs after some wrong calls: those run in processes of their own."""


def takes_part(entry: Entry) -> bool:
    return wrong_calls.takes_part(entry) and not entry.name.startswith("__")  # which Python calls, as they are


def shorter_samples(entry: Entry, dtype: str) -> Iterator[Sample]:
    """Calls with one keyword less, or some arguments at the end less, once for each kind of arguments."""
    if entry.name == "pca_lowrank":
        return  # without `q` there are vectors beyond the rank, which are arbitrary
    seen = set()
    for sample in itertools.islice(entry.samples(dtype), LOOKED_AT):
        shorter = [(sample.args, {k: v for k, v in sample.kwargs.items() if k != key}) for key in sample.kwargs]
        shorter += [(sample.args[:number], sample.kwargs) for number in range(len(sample.args))]
        for args, kwargs in shorter:
            kind = wrong_calls.kinds((sample.input, *args), dict(sorted(kwargs.items())))
            if kind not in seen:
                seen.add(kind)
                yield Sample(sample.input, args, kwargs, sample.finish, sample.broadcasts)


def misuses(entry: Entry, dtype: str) -> Iterator[Call]:
    """Wrong calls made from torch's first sample, with a class for each argument that it omits among them."""
    sample = next(iter(entry.samples(dtype)), None)
    if sample is None or entry.name in BEYOND_MEMORY:
        return
    args, pair = sample.all_args, (entry.theirs, entry.ours)
    yield from filter(wrong_calls.runs, wrong_calls.mistakes(repr(entry), lambda: pair, args, sample.kwargs))
    omitted = {name for name, place in places(entry.ours).items() if place == 0 or place > len(args)} - {*sample.kwargs, *IGNORED}
    for name in sorted(omitted):
        yield Call(repr(entry), f"{name} object", lambda: pair, args, {**sample.kwargs, name: object})


def places(function: Any) -> dict[str, int]:
    """name -> position of the parameters of a function, from 1, or 0 if they are given by name; empty if it shows none."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return {}
    named = [(i * (p.kind is not p.KEYWORD_ONLY), p) for i, p in enumerate(parameters, 1)]
    return {p.name: place for place, p in named if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}


def check_misuse(call: Call) -> str | None:
    """Whether both refuse a call alike, and our message names the position that the argument has."""
    if (found := wrong_calls.difference(call)) is not None:
        if found.accident is not None:
            raise NotApplicable(found.accident)
        return repr(found)
    if not call.wrong.endswith((" None", " object")):
        return None
    function, (args, kwargs) = call.made()[1], bridge.to_mini((call.args, call.kwargs))
    said = str(wrong_calls.raised(function, args, kwargs))
    named = re.match(r"(\w+)\(\): argument '(\w+)' \(position (\d+)\)", said)
    if named is not None and named[1] == function.__name__ and places(function).get(named[2]) not in (None, 0, int(named[3])):
        return f"{call!r}: not the position that it has: {said}"
    return None
