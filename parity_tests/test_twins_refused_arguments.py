"""Arguments that look right and are not, or look wrong and are right: sizes, sections, devices, formats, numbers of NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from parity_tests.twin import outcome, twin

SIZES: dict[str, Callable[..., Any]] = {
    "permute, one": lambda torch, x: torch.permute(x, 0),
    "permute, spread": lambda torch, x: torch.permute(x, 1, 0),
    "permute, method": lambda torch, x: x.permute(1, 0),
    "flip, one": lambda torch, x: torch.flip(x, 0),
    "flip, spread": lambda torch, x: torch.flip(x, 0, 1),
    "flip, method": lambda torch, x: x.flip(0, 1),
    "tile, one": lambda torch, x: torch.tile(x, 2),
    "tile, method": lambda torch, x: x.tile(2),
    "reshape, one": lambda torch, x: torch.reshape(x, 6),
    "reshape, spread": lambda torch, x: torch.reshape(x, 3, 2),
    "reshape, method": lambda torch, x: x.reshape(3, 2),
    "broadcast_to, spread": lambda torch, x: torch.broadcast_to(x, 1, 2, 3),
    "broadcast_to, method": lambda torch, x: x.broadcast_to(1, 2, 3),
    "permute_copy": lambda torch, x: torch.permute_copy(x, 1),
    "expand_copy": lambda torch, x: torch.expand_copy(x, 3),
    "view_copy of a transpose": lambda torch, x: torch.view_copy(x.t(), (6,)),
    "view_copy, an int": lambda torch, x: torch.view_copy(x, 6),
    "view_copy, a tensor": lambda torch, x: torch.view_copy(x, torch.tensor(6)),
    "as_strided, a range": lambda torch, x: x.as_strided(range(2), (1, 1)),
    "as_strided, an int": lambda torch, x: x.as_strided([2], 1),
    "new_empty_strided, an int": lambda torch, x: x.new_empty_strided([2], 1),
    "empty_strided, a set": lambda torch, x: torch.empty_strided({2}, [1]),
    "split, bools": lambda torch, x: x.split([True, True]),
    "split_with_sizes, a range": lambda torch, x: torch.split_with_sizes(x, range(2)),
    "tensor_split, a bool": lambda torch, x: x.tensor_split(True),
    "tensor_split, bools": lambda torch, x: x.tensor_split([True]),
    "vsplit, bools": lambda torch, x: x.vsplit((True, False)),
    "vsplit, NumPy's int": lambda torch, x: x.vsplit(np.int64(2)),
}


@twin
@pytest.mark.parametrize("call", SIZES)
def test_sizes_are_given_in_one_sequence_to_functions(torch, rng, call):
    return outcome(lambda: SIZES[call](torch, rng(2, 3)))


FORMATS: dict[str, Callable[..., Any]] = {
    "float": lambda torch, x: x.float(memory_format=3),
    "double": lambda torch, x: x.double(memory_format="a"),
    "to": lambda torch, x: x.to(torch.float64, memory_format=3),
    "clone": lambda torch, x: x.clone(memory_format=torch.float32),
    "contiguous": lambda torch, x: x.contiguous(memory_format=[1]),
    "is_contiguous": lambda torch, x: x.is_contiguous(memory_format=1),
    "cpu": lambda torch, x: x.cpu(memory_format=np.zeros(2)),
    "zeros_like": lambda torch, x: torch.zeros_like(x, memory_format=1),
    "rand_like": lambda torch, x: torch.rand_like(x, memory_format=1),
    "empty": lambda torch, x: torch.empty(2, memory_format=1),
    "resize_": lambda torch, x: x.resize_(1, memory_format=1),
    "device, a bool": lambda torch, x: torch.zeros(2, device=True),
    "device, a tensor": lambda torch, x: torch.zeros(2, device=torch.tensor(0)),
    "device, NumPy's int": lambda torch, x: torch.zeros(2, device=np.int64(0)),
    "layout": lambda torch, x: torch.zeros(2, layout="a"),
}


@twin
@pytest.mark.parametrize("call", FORMATS)
def test_what_is_not_a_format_a_layout_or_a_device(torch, rng, call):
    return outcome(lambda: FORMATS[call](torch, rng(2)))


OPTIONS: dict[str, dict[str, Any]] = {
    "RMSprop": {"momentum": np.float64(0.5), "weight_decay": np.float32(0.1)},
    "SGD": {"momentum": np.float64(0.5), "dampening": np.float64(0.1), "weight_decay": np.int64(1)},
    "Adam": {"betas": (np.float64(0.5), np.float64(0.9)), "eps": np.float64(1e-3)},
    "AdamW": {"betas": np.array([0.5, 0.9]), "weight_decay": np.float64(0.1)},
    "Adagrad": {"lr_decay": np.float64(0.1), "initial_accumulator_value": np.float32(0.5)},
    "Adadelta": {"rho": np.float64(0.5)},
    "NAdam": {"momentum_decay": np.float64(0.1)},
    "ASGD": {"lambd": np.float64(0.1), "t0": np.int64(1)},
    "Rprop": {"etas": (np.float64(0.5), np.float64(1.2))},
}


@twin
@pytest.mark.parametrize("name", OPTIONS)
def test_options_of_optimizers_may_be_numbers_of_numpy(torch, rng, name):
    param = rng(3, grad=True)
    optimizer = getattr(torch.optim, name)([param], lr=np.float64(0.1), **OPTIONS[name])
    for _ in range(3):
        optimizer.zero_grad()
        (param**2).sum().backward()
        optimizer.step()
    return param


LAYERS: dict[str, tuple[Any, ...]] = {
    "LayerNorm": (np.int64(3),), "RMSNorm": (np.int64(3),), "MaxPool1d": (np.int64(2),), "Linear": (np.int64(3), np.int32(2)),
    "Dropout": (np.float64(0),), "AvgPool1d": (np.int64(2), np.int64(1)),
}  # fmt: skip


@twin
@pytest.mark.parametrize("name", LAYERS)
def test_sizes_of_layers_may_be_numbers_of_numpy(torch, rng, name):
    layer = getattr(torch.nn, name)(*LAYERS[name])
    return layer(rng(2, 3)), repr(layer)


@twin
def test_a_decomposition_that_does_not_converge_is_an_error_of_torch(torch, rng):
    nothing = torch.full((2, 2), float("nan"))
    return [
        outcome(lambda: torch.linalg.pinv(nothing)),
        outcome(lambda: torch.pinverse(nothing)),
        outcome(lambda: torch.linalg.svd(nothing)),
        outcome(lambda: torch.linalg.matrix_rank(nothing)),
    ]


@twin
@pytest.mark.parametrize("lengths", [([5, 5], "tensor"), ("tensor", [2, 2]), (5, 2), ([5, 5], [2, 2]), ("tensor", "tensor")])
def test_both_lengths_of_ctc_are_tensors_or_neither_is(torch, rng, lengths):
    given = [torch.tensor([n, n]) if one == "tensor" else one for one, n in zip(lengths, (5, 2))]
    log_probs, targets = rng(5, 2, 4).log_softmax(-1), torch.ones(2, 2, dtype=torch.int64)
    return outcome(lambda: torch.nn.functional.ctc_loss(log_probs, targets, *given))


CASTS: dict[str, Callable[..., Any]] = {
    "copy_": lambda torch, z: torch.ones(2).copy_(z),
    "float": lambda torch, z: z.float(),
    "to an integer": lambda torch, z: z.to(torch.int64),
    "to bool": lambda torch, z: z.bool(),
    "tensor": lambda torch, z: torch.as_tensor(z, dtype=torch.float64),
    "fill_": lambda torch, z: torch.zeros(2).fill_(z[0]),
    "a parameter": lambda torch, z: torch.nn.Linear(1, 2).bias.data.copy_(z),
    "an index": lambda torch, z: torch.zeros(2).__setitem__(slice(None), z),
    "a gradient": lambda torch, z: torch.autograd.grad(((x := torch.ones(2, requires_grad=True)) * z).abs().sum(), x),
    "a recorded write": lambda torch, z: (torch.ones(2, requires_grad=True) * 1).copy_(z),
}


@twin
@pytest.mark.parametrize("call", CASTS)
def test_lost_imaginary_parts_are_warned_of(torch, rng, call):
    return CASTS[call](torch, rng(2, dtype="complex64"))


@twin
@pytest.mark.parametrize("name", ["LayerNorm", "RMSNorm"])
def test_shapes_of_norms_are_ints(torch, rng, name):
    made = getattr(torch.nn, name)
    return [outcome(lambda: made(shape, elementwise_affine=False).normalized_shape) for shape in (2, (2, 3), 2.0, None, object)]  # noqa: B023
