"""Hooks on values saved for the backward pass: each tensor is packed when it is saved, and unpacked when it is needed."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any, TypeAlias

from mini_dl._checks import type_name
from mini_dl._device import CPU, device
from mini_dl._leaving import Block, block
from mini_dl.tensor import Tensor

Pair: TypeAlias = tuple[Callable[[Tensor], Any], Callable[[Any], Tensor]]

packing: set[object] = set()
"""The threads in which hooks are set: almost always empty, which is fast to check."""


class _Here(threading.local):
    pairs: tuple[Pair, ...] = ()
    refusal: str | None = None  # why no hooks may be set

    def __init__(self) -> None:
        self.key = object()

    def set(self, pairs: tuple[Pair, ...]) -> None:
        self.pairs = pairs
        (packing.add if pairs else packing.discard)(self.key)


here = _Here()


def innermost_hooks() -> Pair | None:
    """The active pair of hooks in this thread."""
    return here.pairs[-1] if here.pairs else None


class saved_tensors_hooks(Block):
    """A context in which the graph saves ``pack_hook(tensor)`` instead of each tensor, and ``unpack_hook`` of that restores
    the tensor. The innermost of nested pairs applies.

    >>> import mini_dl as torch
    >>> x = torch.tensor([3.0], requires_grad=True)
    >>> with torch.autograd.graph.saved_tensors_hooks(lambda t: t.detach().tolist(), torch.tensor):
    ...     y = x * x
    >>> y.grad_fn._saved_self
    tensor([3.], requires_grad=True)
    """

    def __init__(self, pack_hook: Callable[[Tensor], object], unpack_hook: Callable[[Any], Tensor]) -> None:
        self.pack_hook, self.unpack_hook = pack_hook, unpack_hook

    def _state(self) -> tuple[Pair, ...]:
        return here.pairs

    def _change(self, before: tuple[Pair, ...]) -> None:
        for hook in (self.pack_hook, self.unpack_hook):
            if not callable(hook):
                raise TypeError(f"saved_tensors_hooks(): hooks must be callable, not {type_name(hook)}")
        if here.refusal is not None:
            raise RuntimeError(here.refusal)
        here.set((*before, (self.pack_hook, self.unpack_hook)))

    def _put_back(self, before: tuple[Pair, ...]) -> None:
        here.set(before)


class save_on_cpu(saved_tensors_hooks):
    """A context in which saved tensors are kept on the CPU, where they already are; with `pin_memory` as copies."""

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        def pack(tensor: Tensor) -> tuple[device, Tensor]:
            return CPU, tensor.detach().clone() if pin_memory else tensor.detach()

        super().__init__(pack, lambda packed: packed[1])


@block
def disable_saved_tensors_hooks(error_message: str) -> Iterator[None]:
    """A context in which setting hooks raises a RuntimeError with `error_message`."""
    before = here.refusal
    try:
        if here.pairs:
            raise RuntimeError(error_message)
        here.refusal = error_message
        yield
    finally:
        here.refusal = before


# ------------------------------------------------------------------------------------------------ writes to saved tensors


class _Kept:
    """The placeholder for a saved tensor."""

    __slots__ = ("__weakref__",)


class _Copies:
    """The copies made within ``allow_mutation_on_saved_tensors``, while a graph needs them."""

    def __init__(self) -> None:
        self.cloned: MutableMapping[_Kept, Tensor] = weakref.WeakKeyDictionary()
        self.open = True

    def pack(self, tensor: Tensor) -> _Kept:
        kept = _Kept()
        self.cloned[kept] = tensor.detach().clone()
        return kept

    def unpack(self, kept: _Kept) -> Tensor:
        if not self.open or kept not in self.cloned:
            raise AssertionError(
                "Trying to backward outside of the 'allow_mutation_on_saved_tensors' contextin which the graph was originally "
                "recorded."
            )
        return self.cloned[kept]

    def clear(self) -> None:
        self.open = False
        self.cloned.clear()


class _Allowing(threading.local):
    on = False


_allowing = _Allowing()


@block
def allow_mutation_on_saved_tensors() -> Iterator[_Copies]:
    """A context in which saved tensors may be modified: the graph keeps copies until the block ends, so call backward within it.

    >>> import mini_dl as torch
    >>> x = torch.tensor([2.0], requires_grad=True)
    >>> with torch.autograd.graph.allow_mutation_on_saved_tensors():
    ...     y = x.clone()
    ...     loss = (y**2).sum()
    ...     _ = y.sin_()
    ...     loss.backward()
    >>> x.grad
    tensor([4.])
    """
    if _allowing.on:
        raise RuntimeError("allow_mutation_on_saved_tensors contexts cannot be nested")
    copies = _Copies()
    with saved_tensors_hooks(copies.pack, copies.unpack):
        try:
            _allowing.on = True
            yield copies
        finally:
            _allowing.on = False
            copies.clear()
