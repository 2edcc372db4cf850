"""Faults that one check each must detect: every column of the support matrix, and every function that decides, has one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from parity_tests.faults import (
    Fault,
    Plant,
    attribute,
    each,
    function,
    gradient,
    negative,
    op,
    scaled,
    without_second_order_of_tanh,
)


def module(what: str, family: str, plant: Callable[[], Plant], entry: str, *checks: str) -> Fault:
    return Fault(what, family, plant, ("module", entry, checks))


def writes_more(original: Any, *args: Any, **kwargs: Any) -> Any:
    """The result is right, but the contents of `out` are not."""
    out = original(*args, **kwargs)
    if kwargs.get("out") is None:
        return out
    right = out.clone()
    out.add_(1)
    return right


def keeps_size(original: Any, *args: Any, **kwargs: Any) -> Any:
    """An `out` of another size stays as it is."""
    out = kwargs.get("out")
    return original(*args, **kwargs) if out is None or out.numel() else out


def on_contiguous(original: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    out = original(input, *args, **kwargs)
    return out if input.is_contiguous() else out * 2


def accepting(answer: Callable[..., Any]) -> Callable[..., Any]:
    """`answer` if the original raises an error."""

    def call(original: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return original(*args, **kwargs)
        except Exception:
            return answer(*args, **kwargs)

    return call


def accepting_a_small_matrix(original: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    """Whatever is asked of a 2 x 2 matrix is answered."""
    if tuple(getattr(input, "shape", ())) == (2, 2):
        return accepting(lambda matrix, *rest, **_: matrix)(original, input, *args, **kwargs)
    return original(input, *args, **kwargs)


def without_nonsense(original: Any, *args: Any, nonsense: object = None, **kwargs: Any) -> Any:
    return original(*args, **kwargs)


def zeros_for_none(original: Any, outputs: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
    found = original(outputs, inputs, *args, **kwargs)
    return tuple([tensor.detach() * 0 if g is None else g for g, tensor in zip(found, inputs)])


def counted_twice(original: Any, self: Any, input: Any) -> Any:
    if self.training:
        self.num_batches_tracked.add_(1)
    return original(self, input)


def with_another_name(original: Any, self: Any) -> Any:
    found = original(self)
    return {**found, "state": {i: {key + "_": value for key, value in state.items()} for i, state in found["state"].items()}}


FAULTS = [
    op("another value in out than comes back", "spellings", lambda: function("exp", writes_more), "exp", "out"),
    op("an out that is not resized", "spellings", lambda: function("exp", keeps_size), "exp", "out"),
    op(
        "in place a little more",
        "spellings",
        lambda: attribute("tensor.Tensor.exp_", lambda original, self: original(self).mul_(1.01)),
        "exp",
        "inplace",
    ),
    op(
        "a copy comes back where a tensor was written",
        "spellings",
        lambda: attribute("tensor.Tensor.exp_", lambda original, self: original(self) * 1),
        "exp",
        "inplace",
    ),
    op(
        "a write in place that broadcasts its target",
        "spellings",
        lambda: attribute("tensor.Tensor.add_", accepting(lambda self, *rest, **kwargs: self)),
        "add",
        "inplace",
    ),
    op("a method that is not the function", "spellings", lambda: attribute("tensor.Tensor.exp", scaled(1.01)), "exp", "method"),
    op("gaps in memory taken for elements", "views", lambda: function("exp", on_contiguous), "exp", "noncontiguous"),
    op(
        "arguments that are not looked at",
        "spellings",
        lambda: function("kthvalue", accepting(lambda input, *rest, **kwargs: input)),
        "kthvalue",
        "error",
    ),
    op("a place beyond a matrix", "spellings", lambda: function("kthvalue", accepting_a_small_matrix), "kthvalue", "error"),
    op("a keyword that does not exist", "spellings", lambda: function("kthvalue", without_nonsense), "kthvalue", "error"),
    op("zeros for a gradient that is None", "engine", lambda: attribute("autograd.grad", zeros_for_none), "neg", "gradgrad"),
    module(
        "a batch counted twice",
        "modules",
        lambda: attribute("nn.BatchNorm1d.forward", counted_twice),
        "nn.BatchNorm1d",
        "buffers",
    ),
    module("a layer's gradient negative", "modules", lambda: gradient("ops.matmul._affine", each(negative)), "nn.Linear", "grad"),
    module("second order of a layer lost", "modules", without_second_order_of_tanh, "nn.Tanh", "gradgrad"),
    module("a layer scaled", "modules", lambda: attribute("nn.Tanh.forward", scaled(1.01)), "nn.Tanh", "forward"),
    module(
        "a cell that takes any input",
        "modules",
        lambda: attribute("nn.GRUCell.forward", accepting(lambda self, input, *rest: input)),
        "nn.GRUCell",
        "error",
    ),
    Fault(
        "state under other names",
        "optimizers",
        lambda: attribute("optim.Adam.state_dict", with_another_name),
        ("optimizer", "optim.Adam"),
    ),
    Fault(
        "settings that are not looked at",
        "optimizers",
        lambda: attribute("optim.SGD.__init__", accepting(lambda self, params, *rest, **kwargs: None)),
        ("optimizer", "optim.SGD"),
    ),
]
