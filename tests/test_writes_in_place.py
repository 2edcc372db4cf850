"""What is computed in the memory of its input is what is computed beside it, and then written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mini_dl as torch

TYPES = ["float32", "float64", "float16", "int64", "uint8", "complex64", "bool"]
FORMS: dict[str, Any] = {
    "add": lambda x, y, z, under: x.add_(y, alpha=3) if under else x.add(y, alpha=3),
    "sub": lambda x, y, z, under: x.sub_(y, alpha=0.5) if under else x.sub(y, alpha=0.5),
    "addcmul": lambda x, y, z, under: x.addcmul_(y, z, value=0.3) if under else x.addcmul(y, z, value=0.3),
    "addcmul by 1": lambda x, y, z, under: x.addcmul_(y, z) if under else x.addcmul(y, z),
    "addcdiv": lambda x, y, z, under: x.addcdiv_(y, z, value=-2) if under else x.addcdiv(y, z, value=-2),
    "lerp": lambda x, y, z, under: x.lerp_(y, 0.1) if under else x.lerp(y, 0.1),
    "lerp near the end": lambda x, y, z, under: x.lerp_(y, 0.9) if under else x.lerp(y, 0.9),
    "clamp": lambda x, y, z, under: x.clamp_(-1, 1) if under else x.clamp(-1, 1),
    "masked_fill": lambda x, y, z, under: x.masked_fill_(z > 1, 2) if under else x.masked_fill(z > 1, 2),
}


def three(size: int, kind: str) -> list[torch.Tensor]:
    numbers = np.random.default_rng(size).standard_normal((3, size)) * 3
    numbers[2] = np.abs(numbers[2]) + 0.5
    return [torch.from_numpy(row.astype(np.float32)).to(getattr(torch, kind)) for row in numbers]


@pytest.mark.parametrize("kind", ["float32", "float64", "float16"])
@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("size", [1, 5, 3000, 270_000])
def test_in_place_is_computed_and_written(name: str, kind: str, size: int) -> None:
    x, y, z = three(size, kind)
    wanted = FORMS[name](x, y, z, False)
    version = x._version
    assert FORMS[name](x, y, z, True) is x
    assert x._version == version + 1
    np.testing.assert_array_equal(x.numpy(), wanted.numpy())


@pytest.mark.parametrize("name", ["add", "addcmul", "lerp"])
def test_what_overlaps_in_part_is_refused(name: str) -> None:
    x = torch.ones(5000)
    with pytest.raises(RuntimeError, match="single memory location"):
        FORMS[name](x[1:], x[:-1], x[1:], True)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("number", [0, 1, 2.5, float("nan")])
@pytest.mark.parametrize("size", [7, 700, 270_000])
def test_one_number_is_written_where_a_mask_holds(size: int, number: float, kind: str) -> None:
    if number != number and kind not in ("float32", "float64", "float16", "complex64"):
        pytest.skip("no NaN")
    x = three(size, kind)[0]
    mask = np.random.default_rng(1).random(size) < 0.5
    wanted = x.numpy().copy()
    wanted[mask] = number
    strided = torch.zeros(2 * size, dtype=x.dtype)[::2].copy_(x)
    x[torch.from_numpy(mask)] = number
    strided[torch.from_numpy(mask)] = number
    np.testing.assert_array_equal(x.numpy(), wanted)
    np.testing.assert_array_equal(strided.numpy(), wanted)


@pytest.mark.parametrize("scalar", ["", "yes", "no", "yes no"])
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("size", [7, 7000, 270_000])
def test_a_choice_is_numpys(size: int, kind: str, scalar: str) -> None:
    yes, no, mask = three(size, kind)
    mask = mask.abs() > 2 if kind != "bool" else mask
    yes, no = [x[0] if name in scalar.split() else x for name, x in (("yes", yes), ("no", no))]
    np.testing.assert_array_equal(torch.where(mask, yes, no).numpy(), np.where(mask.numpy(), yes.numpy(), no.numpy()))


@pytest.mark.parametrize("wide", [3, 130, 1300])
@pytest.mark.parametrize("kind", ["float32", "float64", "int64"])
def test_running_sums_of_rows_side_by_side_are_numpys(kind: str, wide: int) -> None:
    x = torch.from_numpy((np.random.default_rng(0).standard_normal((2, 50, wide)) * 9).astype(kind))
    for dim, backward in ((0, False), (1, False), (1, True)):
        if not backward:
            np.testing.assert_allclose(x.cumsum(dim).numpy(), np.cumsum(x.numpy(), dim), 1e-4, 1e-4)
        elif kind != "int64":
            leaf = x.clone().requires_grad_()
            leaf.cumsum(dim).backward(x)
            wanted = np.flip(np.cumsum(np.flip(x.numpy(), dim), dim), dim)
            np.testing.assert_allclose(leaf.grad.numpy(), wanted, 1e-4, 1e-4)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("shape", [(3, 700), (700, 3), (2, 30, 4), (5, 4, 700)])
def test_slices_are_chosen_and_added_along_any_dimension(
    shape: tuple[int, ...], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mini_dl.kernels.indexing._MANY", 1)
    rng = np.random.default_rng(3)
    x = torch.from_numpy(np.round(rng.standard_normal(shape) * 3).astype(np.float32)).to(getattr(torch, kind))
    for dim, n in enumerate(shape):
        index = rng.integers(-n, n, (4, 25))
        key = (slice(None),) * dim + (torch.from_numpy(index),)
        chosen = x.numpy()[(slice(None),) * dim + (index,)]
        np.testing.assert_array_equal(x[key].numpy(), chosen)
        wanted = np.zeros(shape, x.numpy().dtype)
        np.add.at(wanted, (slice(None),) * dim + (index,), chosen)
        if x.is_floating_point() and kind != "float16":
            leaf = x.clone().requires_grad_()
            leaf[key].backward(torch.from_numpy(chosen))
            np.testing.assert_array_equal(leaf.grad.numpy(), wanted)
        rows = torch.from_numpy(chosen.reshape(*shape[:dim], -1, *shape[dim + 1 :]))
        if kind != "float16":
            found = torch.zeros(shape, dtype=x.dtype).index_add(dim, torch.from_numpy(index.reshape(-1) % n), rows)
            np.testing.assert_array_equal(found.numpy(), wanted)
