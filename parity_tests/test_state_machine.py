"""A machine over the whole state of autograd: views, writes, modes, flags, hooks, kept gradients, backward.

After each step both libraries must agree in values, gradients, flags, versions and the type of any exception.
``STATE_PROGRAMS=20000 pytest -s parity_tests/test_state_machine.py`` runs that many new programs instead of the few that are
always the same, and says how many ended where `docs/decisions.md` explains a difference: see `decision`, `Machine.explained`,
`Machine.over` and what follows it.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from hypothesis import Phase, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from parity_tests import bridge
from parity_tests.apart import apart
from parity_tests.state_operations import BINARY, FLAGS, ORDINARY, RESHAPES, UNARY, VIEWS, WRITES

SHAPES = [(), (1,), (3,), (2, 3), (3, 2), (2, 2), (1, 3), (2, 1, 3), (2, 2, 2), (0, 3)]
INDICES: list[Any] = [
    0, -1, slice(1, None), (Ellipsis, slice(None, None, 2)), None, [0, 0], (Ellipsis, [0, -1]), (slice(None), 0),
    (0, Ellipsis, 0), Ellipsis,
]  # fmt: skip
MODES = ["", "", "", "", "", "no_grad", "no_grad", "enable_grad", "inference_mode"]
DECISIONS: Counter[str] = Counter()
"""How many programs ended in a difference that `docs/decisions.md` speaks of, by the decision."""


def decision(theirs: Exception | None, ours: Exception | None, machine: Machine) -> str | None:
    """The decision that explains why one library raises what the other does not, if there is one."""
    said, our_words = str(theirs), str(ours)
    if "INTERNAL ASSERT" in said:
        return "torch fails one of its own assertions"
    if "single memory location" in said + our_words:
        return "writes from or through overlapping memory"
    if isinstance(ours, IndexError) and any([one in said for one in TWO_MISTAKES]):
        return "of several mistakes, a different one"
    if isinstance(theirs, IndexError) and isinstance(ours, RuntimeError | ValueError) and "dimension" in said.lower():
        return "too few dimensions are refused with an explanation"
    if theirs is not None and ours is not None and {type(theirs), type(ours)} == {RuntimeError, NotImplementedError}:
        return "of several mistakes, a different one" if "must match" in said + our_words else None
    if theirs is not None and ours is None and "does not support automatic differentiation for outputs with complex" in said:
        return "complex gradients where torch has none"
    if ours is None and ("detached in-place" in said or "Inference tensors cannot be saved" in said):
        return "what the derivative does not read is not kept"
    if theirs is None and "Inference tensors cannot be saved" in our_words:
        return "inference tensors that require grad"
    if theirs is None and "a second time" in our_words and any([is_dead_view(x) for x in machine.sides[0].pool]):
        return "a product of views made without recording"
    if theirs is None and machine.hooking and "base or another view of its base" in our_words:
        return "a stale view refuses every hook"
    if "view size is not compatible" in said + our_words and machine.layouts_differ():
        return "the memory layout of a result"
    return None


def is_dead_view(x: Any) -> bool:
    """Whether `x` is a view of a leaf that requires grad, made without recording: no gradient goes anywhere."""
    return bool(x._is_view() and x.is_leaf and x.requires_grad)


TWO_MISTAKES = ("base or another view of its base has been modified", "source and destination dtypes match")
"""What torch says first of a call whose index is out of range as well."""
LIBRARIES = (torch, bridge.mini_dl)
ROOM = 9


class Side:
    """The tensors of one library, and what its hooks saw."""

    def __init__(self, library: Any) -> None:
        self.library, self.pool, self.seen, self.handles = library, [], [], []

    def under(self, mode: str) -> Any:
        return getattr(self.library, mode)() if mode else contextlib.nullcontext()

    def loss(self, x: Any, weight: int) -> Any:
        return x if weight == 0 else (x * weight).sum() if weight < 3 else (x * x).sum()

    def hook(self, x: Any, factor: int) -> None:
        number = len(self.handles)

        def see(grad: Any) -> Any:
            self.seen.append((number, plain(grad), grad.requires_grad))
            return grad.clone().requires_grad_() if factor == 3 else grad * factor if factor > 1 else None

        self.handles.append(x.register_hook(see))

    def post_hook(self, x: Any, forget: bool) -> None:
        def see(leaf: Any) -> None:
            self.seen.append(("post", plain(leaf.grad), leaf.grad.requires_grad))
            if forget:
                leaf.grad = None

        self.handles.append(x.register_post_accumulate_grad_hook(see))


def plain(x: Any) -> np.ndarray[Any, Any]:
    return np.array(x.detach().tolist()).reshape(tuple(x.shape))


def asked(question: Callable[[], Any]) -> Any:
    try:
        return question()
    except RuntimeError as error:
        return type(error).__name__


def picture(x: Any) -> dict[str, Any]:
    """Everything observable about a tensor."""
    shown: dict[str, Any] = {"shape": tuple(x.shape), "dtype": str(x.dtype), "value": plain(x)}
    for name in ("requires_grad", "is_leaf", "_version", "retains_grad"):
        shown[name] = asked(lambda name=name: getattr(x, name))
    shown["node"], shown["view"], shown["inference"] = asked(lambda: x.grad_fn is None), x._is_view(), x.is_inference()
    grad = x.grad
    shown["grad"] = None if grad is None else (tuple(grad.shape), grad.requires_grad, plain(grad))
    return shown


def same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray):
        return a.shape == b.shape and bool(np.allclose(a, b, rtol=1e-4, atol=1e-6, equal_nan=True))
    if isinstance(a, (tuple, list)):
        return type(a) is type(b) and len(a) == len(b) and all([same(x, y) for x, y in zip(a, b)])
    return bool(a == b)


numbers, weights, flags, modes = st.integers(0, ROOM - 1), st.integers(0, 3), st.booleans(), st.sampled_from(MODES)


def one_of(names: dict[str, Any]) -> Any:
    return st.sampled_from(sorted(names))


class Machine(RuleBasedStateMachine):
    over = False  # no further step: torch's own state is no longer defined
    after_inference = False  # torch's kernels decide about the versions of results of inference tensors, and which are views
    overlap = False  # the last step combined two tensors that share memory
    hooking = False  # the step registers a hook
    grown = False  # ``out=`` was given a tensor of another shape, whose memory other tensors share
    without_engine = False  # a leaf changed its memory or shape under a graph that still references the old one

    @initialize(shape=st.sampled_from(SHAPES), other=st.sampled_from(SHAPES), grad=flags)
    def start(self, shape: Any, other: Any, grad: bool) -> None:
        self.sides = Side(torch), Side(bridge.mini_dl)
        self.leaf(shape, "float64", True, 0)
        self.leaf(other, "float64", grad, 1)
        self.both("", lambda side: side.pool[0].clone())

    # -------------------------------------------------------------------------------------------- running a step

    def both(self, mode: str, step: Callable[[Side], Any], engine: bool = False) -> None:
        """Run a step under both libraries, keep what it returns, and compare."""
        if self.over or (engine and self.without_engine):
            return
        self.after_inference |= mode == "inference_mode"
        results, errors = [], []
        for side in self.sides:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    with side.under(mode):
                        results.append(step(side))
                    errors.append(None)
                except Exception as error:
                    results.append(None)
                    errors.append(error)
        theirs, ours = errors
        if type(theirs) is not type(ours):
            reason = decision(theirs, ours, self)
            assert reason is not None, f"{ours!r} instead of {theirs!r}"
            self.end(reason)
            return
        self.over = engine and theirs is not None
        if not self.over:
            self.keep(results)
            self.compare()

    def keep(self, results: list[Any]) -> None:
        kept = [[r for r in (found if isinstance(found, tuple) else (found,))] for found in results]
        assert len(kept[0]) == len(kept[1])
        for pair in zip(*kept):
            tensors = [isinstance(one, library.Tensor) for one, library in zip(pair, LIBRARIES)]
            assert tensors[0] == tensors[1], f"{pair[1]!r} instead of {pair[0]!r}"
            if tensors[0]:
                for side, one in zip(self.sides, pair):
                    if len(side.pool) < ROOM:
                        side.pool.append(one)
                    else:
                        side.pool[2 + (one.ndim + len(side.seen) + len(side.pool)) % (ROOM - 2)] = one

    def layouts_differ(self) -> bool:
        """Whether some tensor has its elements in another order: no one looks at those of a single element."""
        orders = [
            [[step for step, n in zip(x.stride(), x.shape) if n > 1] for x in side.pool if x.numel()] for side in self.sides
        ]
        return orders[0] != orders[1]

    def explained(self, name: str, theirs: dict[str, Any]) -> str | None:
        """The decision that explains why a tensor differs from `theirs` in what `name` says, if there is one."""
        if name == "requires_grad" and theirs[name] and "int" in theirs["dtype"]:
            return "a type of integers is never given a history"
        if name == "value" and self.overlap:
            return "writes from or through overlapping memory"
        if name == "value" and self.grown:
            return "when memory grows, views made earlier keep the old memory"
        if name in ("value", "view") and self.layouts_differ():
            return "the memory layout of a result"
        return None

    def end(self, reason: str) -> None:
        self.over = True
        DECISIONS[reason] += 1

    def compare(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for number, (theirs, ours) in enumerate(zip(*[side.pool for side in self.sides])):
                expected, found = picture(theirs), picture(ours)
                for name, value in expected.items():
                    if name in ("_version", "view") and self.after_inference:
                        continue
                    if not same(value, found[name]):
                        reason = self.explained(name, expected)
                        assert reason is not None, f"{name} of tensor {number}: {found[name]!r} instead of {value!r}"
                        self.end(reason)
                        return
        assert same(self.sides[0].seen, self.sides[1].seen), f"hooks saw {self.sides[1].seen} instead of {self.sides[0].seen}"

    def on(self, number: int, mode: str, action: Callable[..., Any], keep: bool = True) -> None:
        def step(side: Side) -> Any:
            found = action(side.pool[number % len(side.pool)])
            return found if keep else None

        self.both(mode, step)

    def on_two(self, number: int, other: int, mode: str, action: Callable[..., Any], keep: bool = True) -> None:
        def step(side: Side) -> Any:
            found = action(side.pool[number % len(side.pool)], side.pool[other % len(side.pool)])
            return found if keep else None

        pool = self.sides[1].pool
        x, y = pool[number % len(pool)], pool[other % len(pool)]
        self.overlap = x is not y and np.may_share_memory(x._array, y._array)
        self.both(mode, step)
        self.overlap = False

    # -------------------------------------------------------------------------------------------- steps

    @rule(
        shape=st.sampled_from(SHAPES),
        dtype=st.sampled_from(["float64", "float64", "float64", "float32", "int64", "complex128"]),
        grad=flags,
        seed=numbers,
    )
    def leaf(self, shape: Any, dtype: str, grad: bool, seed: int) -> None:
        values = np.random.default_rng(seed).integers(-3, 4, shape) + (0 if dtype == "int64" else 0.5)

        def step(side: Side) -> Any:
            made = side.library.tensor(values.tolist(), dtype=getattr(side.library, dtype)).reshape(shape).detach()
            return made.requires_grad_() if grad and dtype != "int64" else made

        self.both("", step)

    @rule(number=numbers, name=one_of(VIEWS), mode=modes)
    def view(self, number: int, name: str, mode: str) -> None:
        self.on(number, mode, VIEWS[name])

    @rule(number=numbers, index=st.sampled_from(INDICES), mode=modes)
    def part(self, number: int, index: Any, mode: str) -> None:
        self.on(number, mode, lambda x: x[index])

    @rule(number=numbers, name=one_of(UNARY), mode=modes)
    def compute(self, number: int, name: str, mode: str) -> None:
        self.on(number, "" if name in ORDINARY else mode, UNARY[name])

    @rule(number=numbers, other=numbers, name=one_of(BINARY), mode=modes)
    def combine(self, number: int, other: int, name: str, mode: str) -> None:
        self.on_two(number, other, "" if name in ORDINARY else mode, BINARY[name])

    @rule(number=numbers, other=numbers, name=one_of(WRITES), mode=modes)
    def write(self, number: int, other: int, name: str, mode: str) -> None:
        pool = self.sides[0].pool
        self.grown |= name.endswith(" out") and pool[number % len(pool)].shape != pool[other % len(pool)].shape
        self.on_two(number, other, mode, WRITES[name], keep=False)

    @rule(number=numbers, index=st.sampled_from(INDICES), mode=modes)
    def write_part(self, number: int, index: Any, mode: str) -> None:
        self.on(number, mode, lambda x: x.__setitem__(index, 0.5))

    @rule(number=numbers, other=numbers, index=st.sampled_from(INDICES), mode=modes)
    def copy_part(self, number: int, other: int, index: Any, mode: str) -> None:
        if self.sides[0].pool[number % len(self.sides[0].pool)].dtype != torch.int64:  # which torch lets require grad then
            self.on_two(number, other, mode, lambda x, y: x.__setitem__(index, y))

    @rule(number=numbers, other=numbers, index=st.sampled_from(INDICES[:4]), mode=modes)
    def add_to_part(self, number: int, other: int, index: Any, mode: str) -> None:
        self.on_two(number, other, mode, lambda x, y: x[index].add_(y), keep=False)

    @rule(number=numbers, name=one_of(RESHAPES), mode=modes)
    def reshape(self, number: int, name: str, mode: str) -> None:
        target = self.sides[0].pool[number % len(self.sides[0].pool)]
        self.without_engine |= mode in ("no_grad", "inference_mode") and target.requires_grad
        self.on(number, mode, RESHAPES[name], keep=False)

    @rule(number=numbers, name=one_of(FLAGS), mode=modes)
    def flag(self, number: int, name: str, mode: str) -> None:
        self.on(number, "" if name in ORDINARY else mode, FLAGS[name], keep=False)

    @rule(number=numbers, mode=modes)
    def resize(self, number: int, mode: str) -> None:
        target = self.sides[0].pool[number % len(self.sides[0].pool)]
        self.without_engine |= mode == "inference_mode" and target.requires_grad
        if 0 not in target.stride():  # elements that shared memory get separate, uninitialized memory
            self.on(number, mode, lambda x: x.resize_(x.shape[::-1]), keep=False)

    @rule(number=numbers, other=numbers, mode=modes, data=flags)
    def set_memory(self, number: int, other: int, mode: str, data: bool) -> None:
        pool = self.sides[0].pool
        target, source = pool[number % len(pool)], pool[other % len(pool)]
        if (
            target.shape == source.shape
            and target.dtype == source.dtype
            and not target.is_inference()
            and not source.is_inference()
        ):
            self.without_engine |= not data
            self.on_two(number, other, mode, lambda x, y: setattr(x, "data", y) if data else x.set_(y), keep=False)

    @rule(number=numbers, factor=st.integers(1, 3))
    def hook(self, number: int, factor: int) -> None:
        self.hooking = True
        self.both("", lambda side: side.hook(side.pool[number % len(side.pool)], factor))
        self.hooking = False

    @rule(number=numbers, forget=flags)
    def post_hook(self, number: int, forget: bool) -> None:
        self.both("", lambda side: side.post_hook(side.pool[number % len(side.pool)], forget))

    @precondition(lambda self: self.sides[0].handles)
    @rule(number=numbers)
    def remove_hook(self, number: int) -> None:
        self.both("", lambda side: side.handles[number % len(side.handles)].remove())

    @rule(number=numbers, weight=weights, retain=flags, create=st.sampled_from([False, False, False, True]), mode=modes)
    def backward(self, number: int, weight: int, retain: bool, create: bool, mode: str) -> None:
        def step(side: Side) -> None:
            loss = side.loss(side.pool[number % len(side.pool)], weight)
            loss.backward(retain_graph=retain or create, create_graph=create)

        self.both(mode, step, engine=True)

    @rule(number=numbers, other=numbers, retain=flags)
    def backward_to(self, number: int, other: int, retain: bool) -> None:
        def step(side: Side) -> None:
            loss = side.loss(side.pool[number % len(side.pool)], 3)
            loss.backward(inputs=[side.pool[other % len(side.pool)]], retain_graph=retain)

        self.both("", step, engine=True)

    @rule(
        number=numbers, weight=weights, others=st.lists(numbers, min_size=1, max_size=2), retain=flags, create=flags, unused=flags
    )
    def gradient(self, number: int, weight: int, others: list[int], retain: bool, create: bool, unused: bool) -> None:
        def step(side: Side) -> Any:
            pool = side.pool
            found = side.library.autograd.grad(
                side.loss(pool[number % len(pool)], weight),
                [pool[other % len(pool)] for other in others],
                retain_graph=retain or create,
                create_graph=create,
                allow_unused=unused,
            )
            return tuple([None if grad is None else grad.clone() for grad in found])

        self.both("", step, engine=True)


PROGRAMS = int(os.environ.get("STATE_PROGRAMS", "0"))
BUDGET = settings(
    max_examples=PROGRAMS or 150,
    stateful_step_count=20,
    derandomize=not PROGRAMS,
    deadline=None,
    database=None,
    phases=(Phase.generate, Phase.shrink),
)


@apart
def test_random_programs_over_the_state_of_autograd_end_alike() -> None:
    run_state_machine_as_test(Machine, settings=BUDGET)
    if PROGRAMS:
        print(f"{sum(DECISIONS.values())} programs ended under a decision: {dict(DECISIONS)}", flush=True)
