"""Wrong calls under both libraries: the same kinds of exceptions, and nothing written before they are raised."""

from __future__ import annotations

import pytest

from parity_tests import wrong_calls
from parity_tests.apart import apart
from parity_tests.twin import either, raised

LETTERS = ("[_a-b]*", "[c-e]*", "[f-k]*", "[l-m]*", "nn.functional.[a-l]*", "nn.functional.[m-z]*", "n[!n]*", "[o-s]*", "[t-z]*")
KNOWN: dict[tuple[str, str], int] = {}
"""The remaining differences, of which there are none. Their number may only decrease."""


@pytest.mark.parametrize(
    ("kind", "letters"), [(k, p) for k in ("ops", "methods") for p in LETTERS if k == "ops" or "nn" not in p]
)
@apart
def test_functions_and_methods_refuse_what_torch_refuses(kind: str, letters: str) -> None:
    check(kind, letters)


@pytest.mark.parametrize("kind", ["constructors", "forwards", "optimizers"])
@apart
def test_modules_and_optimizers_refuse_what_torch_refuses(kind: str) -> None:
    check(kind, "*")


def check(kind: str, pattern: str) -> None:
    number, refused, found = wrong_calls.compared(wrong_calls.KINDS[kind](pattern))
    assert refused > number // 4 > 0
    left = [one for one in found if one.accident is None]
    assert len(left) <= KNOWN.get((kind, pattern), 0), "\n".join(map(repr, left))


CALLS = {
    "a size beyond 64 bits": lambda t, r: t.zeros(2**70),
    "sizes beyond 64 bits": lambda t, r: t.zeros(2**62, 2**62),
    "more memory than there is": lambda t, r: t.empty(2**45),
    "a float tensor as a size": lambda t, r: t.zeros([t.tensor(1.0), 2]),
    "a bool as a size": lambda t, r: t.zeros(True),
    "no size": lambda t, r: t.zeros(),
    "a size that is no tuple": lambda t, r: t.zeros(size=3),
    "nonzero of a number": lambda t, r: t.nonzero(3),
    "requires_grad_ of a str": lambda t, r: r(2).requires_grad_("a"),
    "repeat without sizes": lambda t, r: r(2).repeat(),
    "tile without sizes": lambda t, r: r(2).tile(),
    "permute without dims": lambda t, r: r(2).permute(),
    "expand without sizes": lambda t, r: r(2).expand(),
    "flip without dims": lambda t, r: r(2).flip(),
    "reshape to a str": lambda t, r: r(2).reshape("a"),
    "reshape to a float": lambda t, r: r(2).reshape(1.5),
    "sum of two dims": lambda t, r: r(2, 2).sum(0, 1),
    "bits of floats": lambda t, r: ~r(2),
    "bitwise_not of floats": lambda t, r: t.bitwise_not(r(2)),
    "shift in place by a float": lambda t, r: r(2, dtype="int64").__ilshift__(1.5),
    "shift back in place by a float": lambda t, r: r(2, dtype="int64").__irshift__(1.5),
    "shift by a float": lambda t, r: r(2, dtype="int64") << 1.5,
    "shift of floats in place": lambda t, r: r(2).__ilshift__(1),
    "a singular matrix": lambda t, r: t.linalg.inv(t.zeros(2, 2)),
    "not positive definite": lambda t, r: t.linalg.cholesky(-t.eye(2)),
    "one beta": lambda t, r: t.optim.Adam([r(2)], betas=(0.9,)),
    "one beta of AdamW": lambda t, r: t.optim.AdamW([r(2)], betas=(0.9,)),
    "one beta of NAdam": lambda t, r: t.optim.NAdam([r(2)], betas=(0.9,)),
    "one beta of Adamax": lambda t, r: t.optim.Adamax([r(2)], betas=(0.9,)),
    "state of a list": lambda t, r: t.nn.Linear(1, 1).load_state_dict([1]),
    "state of numbers": lambda t, r: t.nn.Linear(1, 1).load_state_dict({"weight": 3, "bias": "a"}),
    "state of an optimizer": lambda t, r: t.optim.SGD([r(2)], lr=0.1).load_state_dict({"a": 1}),
    "state that is an int": lambda t, r: t.optim.SGD([r(2)], lr=0.1).load_state_dict(3),
    "NumPy's bool as an index": lambda t, r: r(3)[__import__("numpy").bool_(True)],
    "int8 as an index": lambda t, r: r(3)[t.tensor([0, 1], dtype=t.int8)],
    "int16 as an index": lambda t, r: r(3)[t.tensor([0, 1], dtype=t.int16)],
    "an index where nothing is": lambda t, r: t.empty(10, 0)[[0, 1], [0, 0]],
    "cuda": lambda t, r: r(2).cuda(),
    "a module to cuda": lambda t, r: t.nn.Linear(1, 1).cuda(),
    "to cuda": lambda t, r: r(2).to("cuda"),
    "made on cuda": lambda t, r: t.zeros(2, device="cuda"),
    "pinned": lambda t, r: r(2).pin_memory(),
    "an unknown device": lambda t, r: t.zeros(2, device="nowhere"),
    "a number as a device": lambda t, r: t.zeros(2, device=0),
    "packed lengths of two dimensions": lambda t, r: t.nn.utils.rnn.pack_padded_sequence(r(3, 2, 1), [[1, 2]]),
    "packed number as lengths": lambda t, r: t.nn.utils.rnn.pack_padded_sequence(r(3, 2, 1), 3),
    "a key of a ParameterDict": lambda t, r: t.nn.ParameterDict({1: r(1)}),
    "a dot in a key of a ParameterDict": lambda t, r: t.nn.ParameterDict({"a.b": t.nn.Parameter(r(1))}),
    "a str to cdist": lambda t, r: t.cdist("a", r(2, 2)),
    "a number to unique": lambda t, r: t.unique(1.5),
    "an int for a flag of unique": lambda t, r: t.unique(r(3), sorted=1),
    "None as a bound of linspace": lambda t, r: t.linspace(None, 1, 3),
    "a bool as steps of linspace": lambda t, r: t.linspace(0, 1, True),
    "a tensor and a number as bounds": lambda t, r: t.clamp(r(3), r(3), 1.0),
    "None as an upper bound": lambda t, r: t.clamp_max(r(3), None),
    "isin without tensors": lambda t, r: t.isin(1, 2),
    "isin of a list": lambda t, r: t.isin([1.0], r(2)),
    "a float as an offset of indices": lambda t, r: t.tril_indices(2, 2, 1.5),
    "an int as copy": lambda t, r: r(2).to(t.float64, copy=1),
    "a memory format by position": lambda t, r: r(2).contiguous(t.contiguous_format),
    "a mask that does not fit": lambda t, r: t.masked.cumsum(r(3), 0, mask=t.ones(2, dtype=t.bool)),
    "a factor that does not fit the type": lambda t, r: r(3, 3).index_add(0, t.tensor([0]), r(1, 3), alpha=1j),
    "a complex threshold": lambda t, r: t.nn.functional.softshrink(r(3), 1j),
    "a threshold that is NaN": lambda t, r: t.nn.functional.softshrink(r(3), float("nan")),
    "a tolerance that is NaN": lambda t, r: t.allclose(r(3), r(3), rtol=float("nan")),
    "types of cross": lambda t, r: t.linalg.cross(r(3), r(3, dtype="float64")),
    "bools to cross": lambda t, r: t.linalg.cross(r(3, dtype="bool"), r(3, dtype="bool")),
    "ints to cholesky": lambda t, r: t.cholesky(r(2, 2, dtype="int64")),
    "ints to eigh": lambda t, r: t.linalg.eigh(r(2, 2, dtype="int64")),
    "ints to a batch norm": lambda t, r: t.nn.functional.batch_norm(r(2, 3, dtype="int64"), r(3), r(3)),
    "an image without dimensions": lambda t, r: t.nn.functional.interpolate(r(7), scale_factor=2.0),
    "None for requires_grad": lambda t, r: t.randn(2, requires_grad=None).requires_grad,
    "a truth value that torch never looks at": lambda t, r: t.nn.functional.interpolate(
        r(1, 1, 4), scale_factor=2.0, recompute_scale_factor=1
    ),
    "channels last of a vector": lambda t, r: t.empty(2, memory_format=t.channels_last),
    "batch sampler of size 0": lambda t, r: t.utils.data.BatchSampler(range(3), 0, False),
    "batch sampler of a float": lambda t, r: t.utils.data.BatchSampler(range(3), 1.5, False),
    "batch sampler that drops perhaps": lambda t, r: t.utils.data.BatchSampler(range(3), 1, 2),
    "random sampler of none": lambda t, r: t.utils.data.RandomSampler(range(3), num_samples=0),
    "random sampler of a float": lambda t, r: t.utils.data.RandomSampler(range(3), num_samples=1.5),
    "random sampler that replaces perhaps": lambda t, r: t.utils.data.RandomSampler(range(3), replacement=2),
    "random sampler of nothing": lambda t, r: t.utils.data.RandomSampler([]),
    "weighted sampler of a str": lambda t, r: t.utils.data.WeightedRandomSampler("ab", 2),
    "weighted sampler of none": lambda t, r: t.utils.data.WeightedRandomSampler([1.0], 0),
    "weighted sampler of two dimensions": lambda t, r: t.utils.data.WeightedRandomSampler([[1.0]], 1),
    "loader with a batch of 0": lambda t, r: t.utils.data.DataLoader([1], batch_size=0),
    "loader with workers below 0": lambda t, r: t.utils.data.DataLoader([1], num_workers=-1),
    "loader with a sampler that shuffles": lambda t, r: t.utils.data.DataLoader([1], sampler=[0], shuffle=True),
    "split of lengths that do not fit": lambda t, r: t.utils.data.random_split([1, 2], [1, 2]),
    "tensors of different lengths": lambda t, r: t.utils.data.TensorDataset(r(2), r(3)),
    "a schedule of no optimizer": lambda t, r: t.optim.lr_scheduler.StepLR(3, 1),
    "a schedule of a list": lambda t, r: t.optim.lr_scheduler.LambdaLR(t.optim.SGD([r(2)], lr=0.1), [1, 2]),
    "cosine over nothing": lambda t, r: t.optim.lr_scheduler.CosineAnnealingWarmRestarts(t.optim.SGD([r(2)], lr=0.1), 0),
    "one cycle of no steps": lambda t, r: t.optim.lr_scheduler.OneCycleLR(t.optim.SGD([r(2)], lr=0.1), 1.0, total_steps=0),
    "one cycle of nothing": lambda t, r: t.optim.lr_scheduler.OneCycleLR(t.optim.SGD([r(2)], lr=0.1), 1.0),
    "plateau of a mode": lambda t, r: t.optim.lr_scheduler.ReduceLROnPlateau(t.optim.SGD([r(2)], lr=0.1), mode="a"),
    "plateau of a factor": lambda t, r: t.optim.lr_scheduler.ReduceLROnPlateau(t.optim.SGD([r(2)], lr=0.1), factor=1.0),
    "cyclic of a mode": lambda t, r: t.optim.lr_scheduler.CyclicLR(t.optim.SGD([r(2)], lr=0.1), 0.1, 1.0, mode="a"),
    "linear from 0": lambda t, r: t.optim.lr_scheduler.LinearLR(t.optim.SGD([r(2)], lr=0.1), 0.0),
    "constant above 1": lambda t, r: t.optim.lr_scheduler.ConstantLR(t.optim.SGD([r(2)], lr=0.1), 2.0),
    "chain of nothing": lambda t, r: t.optim.lr_scheduler.ChainedScheduler([]),
}


@pytest.mark.parametrize("name", CALLS)
@either
def test_the_exception_is_of_torchs_kind(torch, rng, name):
    return raised(lambda: CALLS[name](torch, rng))


@either
def test_a_linear_algebra_error_is_a_runtime_error_of_its_own(torch, rng):
    error = torch.linalg.LinAlgError
    return error.__name__, [base.__name__ for base in error.__mro__]
