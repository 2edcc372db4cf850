"""``torch.autocast("cpu")``: the type in which each function computes, casts and their timing, and results of training."""

from __future__ import annotations

import threading
import warnings
from typing import Any

import pytest
import torch

import mini_dl
from parity_tests import adapter, bridge, judging
from parity_tests.twin import outcome, twin

SMALL = ("bfloat16", "float16")
OURS_ALONE = {
    "torch lists pinverse, which is linalg.pinv here": ("linalg.pinv", "linalg.pinv:hermitian"),
    "torch's kernel lacks the small types, and so it raises": ("histogram", "histogramdd", "masked.prod"),
    "torch takes an empty matrix of a type that it does not support": ("linalg.det",),
}
"""Entries whose type differs from torch's, by reason."""


def types_of(result: Any) -> list[str]:
    return [bridge.name_of(tensor.dtype) for tensor in bridge.tensors(result)]


def under_autocast(library: Any, function: Any, args: Any, kwargs: Any, small: str) -> Any:
    with library.autocast("cpu", dtype=getattr(library, small)):
        return judging.call(function, *args, **kwargs)


def narrowed(value: Any, small: str) -> Any:
    def convert(item: Any) -> Any:
        return item.to(getattr(torch, small)) if isinstance(item, torch.Tensor) and item.dtype is torch.float32 else item

    return bridge.walk(value, convert)


@pytest.mark.parametrize("entry", adapter.dense_entries("float32"), ids=repr)
def test_each_op_of_the_table_computes_in_torchs_type(entry: adapter.Entry) -> None:
    small = "bfloat16"
    if any(repr(entry) in names for names in OURS_ALONE.values()):
        return
    for number, sample in enumerate(entry.samples("float32")):
        if number == 2:
            break
        given = sample.all_args, sample.kwargs
        for args, kwargs in (given, narrowed(given, small)):
            try:
                theirs = under_autocast(torch, entry.theirs, *bridge.copy((args, kwargs)), small)
                own = bridge.to_mini((args, kwargs))
            except Exception:  # torch has no kernel for it
                continue
            assert types_of(under_autocast(mini_dl, entry.ours, *own, small)) == types_of(theirs)


CONTRACTIONS = ("ij,jk->ik", "ij,jk->ijk", "ij,ij->", "bij,bjk->bik", "ij,ij->ij", "ij,jk->", "ij,kl->ijkl")


@twin
@pytest.mark.parametrize("small", SMALL)
@pytest.mark.parametrize("equation", CONTRACTIONS)
def test_einsum_contracts_in_the_small_type(torch, rng, small, equation):
    shapes = [tuple(2 if c == "b" else 3 for c in part) for part in equation.split("->")[0].split(",")]
    with torch.autocast("cpu", dtype=getattr(torch, small)):
        return torch.einsum(equation, *[rng(*shape) for shape in shapes]).dtype


PRODUCTS = {
    "matmul of vectors": lambda torch, x, y: x[0] @ x[0],
    "matmul of a vector": lambda torch, x, y: x @ x[0],
    "dot": lambda torch, x, y: torch.dot(x[0], x[0]),
    "mv": lambda torch, x, y: torch.mv(x, x[0]),
    "inner": lambda torch, x, y: torch.inner(x, x),
    "outer": lambda torch, x, y: torch.outer(x[0], x[0]),
    "kron": lambda torch, x, y: torch.kron(x, y),
    "tensordot": lambda torch, x, y: torch.tensordot(x, y, 1),
    "tensordot of all dimensions": lambda torch, x, y: torch.tensordot(x, x, 2),
    "bilinear": lambda torch, x, y: torch.nn.functional.bilinear(x, x, torch.ones(2, 4, 4)),
    "matrix_power": lambda torch, x, y: torch.linalg.matrix_power(x[:, :3], 3),
    "cov": lambda torch, x, y: torch.cov(x),
    "out=": lambda torch, x, y: torch.mm(x, y, out=torch.zeros(3, 5)),
    "in place": lambda torch, x, y: torch.zeros(3, 5).addmm_(x, y),
    "mixed with float64": lambda torch, x, y: x.double() @ y,
    "all float64": lambda torch, x, y: x.double() @ y.double(),
}


@twin
@pytest.mark.parametrize("small", SMALL)
@pytest.mark.parametrize("name", PRODUCTS)
def test_products_of_every_kind(torch, rng, small, name):
    x, y = rng(3, 4), rng(4, 5)
    with torch.autocast("cpu", dtype=getattr(torch, small)):
        found = outcome(lambda: PRODUCTS[name](torch, x, y))
    return found if isinstance(found, str) or not hasattr(found, "dtype") else (found.dtype, found.shape)


@twin
@pytest.mark.parametrize("small", SMALL)
@pytest.mark.parametrize(
    "kinds", [("float32", "float16"), ("float16", "float32"), ("bfloat16", "float32"), ("float32", "float64")]
)
def test_joined_tensors_get_the_wider_type(torch, rng, small, kinds):
    tensors = [torch.ones(2, dtype=getattr(torch, kind)) for kind in kinds]
    with torch.autocast("cpu", dtype=getattr(torch, small)):
        return outcome(lambda: torch.cat(tensors).dtype), outcome(lambda: torch.stack(tensors).dtype)


MODULES = {
    "RNN": lambda nn: nn.RNN(4, 5),
    "GRU": lambda nn: nn.GRU(4, 5, 2, bidirectional=True),
    "LSTM": lambda nn: nn.LSTM(4, 5, 2, bidirectional=True),
    "MultiheadAttention": lambda nn: nn.MultiheadAttention(4, 2),
    "TransformerEncoderLayer": lambda nn: nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0),
    "Linear": lambda nn: nn.Linear(4, 5),
    "LayerNorm": lambda nn: nn.LayerNorm(4),
    "PReLU": lambda nn: nn.PReLU(),
    "Conv1d": lambda nn: nn.Conv1d(3, 4, 2),
    "BatchNorm1d": lambda nn: nn.BatchNorm1d(3),
    "weight_norm": lambda nn: nn.utils.parametrizations.weight_norm(nn.Linear(4, 5)),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MODULES)
def test_modules_compute_and_differentiate_alike(name: str) -> None:
    found = []
    for library in (torch, mini_dl):
        library.manual_seed(0)
        module = MODULES[name](library.nn)
        x = library.randn(2, 3, 4)
        with library.autocast("cpu", dtype=library.bfloat16):
            result = module(x, x, x) if name == "MultiheadAttention" else module(x)
        outputs = [t for t in bridge.tensors(result) if t is not None]
        outputs[0].float().square().sum().backward()
        grads = [p.grad for p in module.parameters()]
        assert all(g is None or g.dtype is library.float32 for g in grads)
        found.append(
            (types_of(outputs), [t.detach().float().tolist() for t in outputs], [g.tolist() for g in grads if g is not None])
        )
    (kinds, values, grads), (our_kinds, ours, our_grads) = found
    assert our_kinds == kinds
    for a, b in zip([*ours, *our_grads], [*values, *grads]):
        torch.testing.assert_close(torch.tensor(a), torch.tensor(b), rtol=5e-2, atol=5e-2)


@twin
def test_blocks_nest_and_restore(torch, rng):
    x, seen = rng(2, 2), []

    def look():
        seen.append((torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu"), (x @ x).dtype))

    look()
    with torch.autocast("cpu"):
        look()
        with torch.autocast("cpu", dtype=torch.float16):
            look()
            with torch.autocast("cpu", enabled=False):
                look()
            look()
        look()
        try:
            with torch.autocast("cpu", dtype=torch.float16):
                raise ValueError
        except ValueError:
            look()
    look()
    return seen


@twin
def test_it_decorates_functions(torch, rng):
    x = rng(2, 2)

    @torch.autocast("cpu", dtype=torch.float16)
    def product(a):
        """doc"""
        return a @ a

    return product(x).dtype, product.__name__, product.__doc__, (x @ x).dtype


@twin
@pytest.mark.parametrize("cache", [True, False])
def test_parameters_are_cast_once_for_the_outermost_block(torch, rng, cache):
    weight, x = rng(3, 3, grad=True), rng(3, 3)
    with torch.autocast("cpu", dtype=torch.float16, cache_enabled=cache):
        a, b = x @ weight, weight @ x
        one = a.grad_fn.next_functions[1][0] is b.grad_fn.next_functions[0][0]
    (a.float().sum() + b.float().sum()).backward()
    return one, weight.grad, torch.is_autocast_cache_enabled()


@twin
def test_a_parameter_changed_between_blocks_is_cast_anew(torch, rng):
    weight, x = rng(3, 3, grad=True), rng(3, 3)
    with torch.autocast("cpu", dtype=torch.float16):
        before = (x @ weight).detach()
    with torch.no_grad():
        weight.add_(1)
    with torch.autocast("cpu", dtype=torch.float16):
        after = (x @ weight).detach()
    return before, after


@twin
@pytest.mark.parametrize("call", [
    lambda torch: torch.autocast(3),
    lambda torch: torch.autocast("cpu", dtype=torch.float32)._enabled,
    lambda torch: torch.autocast("cuda")._enabled,
    lambda torch: torch.autocast("meta"),
    lambda torch: torch.autocast("cpu")(3),
    lambda torch: torch.is_autocast_enabled("meta"),
    lambda torch: torch.get_autocast_dtype("meta"),
    lambda torch: torch.set_autocast_dtype("cpu", 3),
    lambda torch: [torch.amp.is_autocast_available(kind) for kind in ("cpu", "cuda", "mps", "xla", "meta", "lazy")],
    lambda torch: [torch.get_autocast_dtype(kind) for kind in ("cpu", "cuda", "xla", "mps")],
    lambda torch: (torch.is_autocast_enabled(), torch.is_autocast_cache_enabled()),
    lambda torch: (torch.autocast_increment_nesting(), torch.autocast_decrement_nesting(), torch.clear_autocast_cache()),
    lambda torch: (torch.set_autocast_enabled("cpu", True), torch.ones(1, 1).mm(torch.ones(1, 1)).dtype,
                   torch.set_autocast_enabled("cpu", False)),
    lambda torch: torch.amp.custom_fwd(device_type=3),
    lambda torch: torch.cuda.amp.autocast()._enabled,
    lambda torch: torch.cpu.amp.autocast()._enabled,
    lambda torch: torch.amp.autocast is torch.autocast,
], ids=range(17))  # fmt: skip
def test_settings_warnings_and_refusals(torch, rng, call):
    return outcome(lambda: call(torch))


@twin
@pytest.mark.parametrize("cast_inputs", [None, "float32", "float16"])
@pytest.mark.parametrize("on", [True, False])
def test_functions_with_a_backward_of_their_own(torch, rng, cast_inputs, on):
    seen = []
    kind = None if cast_inputs is None else getattr(torch, cast_inputs)

    class Product(torch.autograd.Function):
        @staticmethod
        @torch.amp.custom_fwd(device_type="cpu", cast_inputs=kind)
        def forward(ctx, x, y):
            ctx.save_for_backward(x, y)
            seen.append((x.dtype, torch.is_autocast_enabled("cpu")))
            return x @ y

        @staticmethod
        @torch.amp.custom_bwd(device_type="cpu")
        def backward(ctx, grad):
            x, y = ctx.saved_tensors
            seen.append((grad.dtype, torch.is_autocast_enabled("cpu")))
            return grad @ y.t(), x.t() @ grad

    x, y = rng(2, 3, grad=True), rng(3, 2, grad=True)
    with torch.autocast("cpu", dtype=torch.float16, enabled=on):
        out = Product.apply(x, y)
    out.float().sum().backward()
    return seen, out.dtype, x.grad, y.grad


def test_the_state_belongs_to_the_thread() -> None:
    seen: list[Any] = []
    with mini_dl.autocast("cpu", dtype=mini_dl.float16):
        thread = threading.Thread(target=lambda: seen.append((mini_dl.ones(1, 1) @ mini_dl.ones(1, 1)).dtype))
        thread.start()
        thread.join()
    assert seen == [mini_dl.float32]


def train(library: Any, small: str) -> list[float]:
    library.manual_seed(0)
    nn = library.nn
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.BatchNorm2d(4), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3))
    optimizer = library.optim.AdamW(net.parameters(), lr=0.01)
    scaler = library.amp.GradScaler("cpu", init_scale=128.0, enabled=small == "float16")
    x, y, losses = library.randn(16, 1, 8, 8), library.arange(16) % 3, []
    for _ in range(8):
        optimizer.zero_grad()
        with library.autocast("cpu", dtype=getattr(library, small)):
            loss = nn.functional.cross_entropy(net(x), y)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("small", SMALL)
def test_a_network_trains_alike(small: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs, ours = train(torch, small), train(mini_dl, small)
    torch.testing.assert_close(torch.tensor(ours), torch.tensor(theirs), rtol=2e-2, atol=1e-2)
    assert ours[-1] < 0.8 * ours[0]
