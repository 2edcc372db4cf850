"""Nothing waits for the garbage collector: dropped objects are freed immediately."""

from __future__ import annotations

import contextlib
import copy
import gc
import io
import warnings
from collections import Counter

import pytest

import mini_dl as torch
from mini_dl import nn
from mini_dl.distributions.transforms import AffineTransform, ComposeTransform, SigmoidTransform

pytestmark = pytest.mark.filterwarnings("ignore")


class Tripled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x, y := x * 3)
        ctx.factor = 3
        return y, x, 5

    @staticmethod
    def backward(ctx, g, h, _):
        x, y = ctx.saved_tensors
        return g * ctx.factor + h + 0 * (x + y)


class Written(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.mark_dirty(x.mul_(2))
        return x

    @staticmethod
    def backward(ctx, g):
        return g * 2


def leaf(*shape):
    return torch.randn(*shape, requires_grad=True)


def trained(module, *inputs):
    out = module(*inputs)
    while isinstance(out, (tuple, list)):
        out = out[0]
    if out.requires_grad:
        out.sum().backward()


def read_again(value, **options):
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    torch.load(file, **options)


def refused(content):
    with contextlib.suppress(torch.serialization.FileError):
        torch.load(io.BytesIO(content))


def with_hooks():
    x = leaf(3)
    y = x * 1
    y.register_hook(lambda g: None)
    y.grad_fn.register_hook(lambda a, b: None)
    y.grad_fn.register_prehook(lambda a: None)
    x.register_hook(lambda g: None)
    x.register_post_accumulate_grad_hook(lambda p: None)
    y.retain_grad()
    y.sum().backward()


def with_module_hooks(backward):
    module = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
    module.register_forward_hook(lambda *a: None)
    module.register_forward_pre_hook(lambda *a: None)
    module[0].register_full_backward_hook(lambda *a: None)
    module[0].register_full_backward_pre_hook(lambda *a: None)
    module.register_state_dict_post_hook(lambda *a: None)
    module.register_load_state_dict_post_hook(lambda *a: None)
    module.load_state_dict(module.state_dict())
    out = module(leaf(2, 3))
    if backward:
        out.sum().backward()


def optimized(name):
    module = nn.Linear(3, 4)
    optimizer = getattr(torch.optim, name)(module.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1)

    def closure():
        optimizer.zero_grad()
        loss = module(torch.randn(2, 3)).pow(2).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    schedule.step()
    optimizer.load_state_dict(optimizer.state_dict())


def written():
    x = leaf(2, 3)
    base = x * 1
    base.add_(1)
    base[0].mul_(2)
    base.t()[1].zero_()
    Written.apply(base[:1])
    base.sum().backward()


def penalty():
    x = leaf(2, 3)
    (g,) = torch.autograd.grad(nn.functional.relu(x).pow(2).sum(), x, create_graph=True)
    torch.autograd.grad(g.sum(), x)


def removed(wrap, unwrap):
    module = wrap(nn.Linear(3, 4))
    trained(module, torch.randn(2, 3))
    unwrap(module)


parametrizations, parametrize = nn.utils.parametrizations, nn.utils.parametrize
PROGRAMS = {
    "a Function": lambda: Tripled.apply(leaf(3))[0].sum().backward(),
    "a Function whose result is dropped": lambda: Tripled.apply(leaf(3) * 2),
    "a Function differentiated twice": lambda: [
        torch.autograd.grad(torch.autograd.grad(Tripled.apply(x)[0].sum(), x, create_graph=True)[0].sum(), x) for x in [leaf(3)]
    ],
    "hooks": with_hooks,
    "hooks of modules": lambda: with_module_hooks(True),
    "hooks of modules, without backward": lambda: with_module_hooks(False),
    "writes": written,
    "a gradient penalty": penalty,
    "weight_norm": lambda: trained(nn.utils.weight_norm(nn.Linear(3, 4)), torch.randn(2, 3)),
    "spectral_norm": lambda: trained(nn.utils.spectral_norm(nn.Linear(3, 4)), torch.randn(2, 3)),
    "weight_norm removed": lambda: removed(nn.utils.weight_norm, nn.utils.remove_weight_norm),
    "spectral_norm removed": lambda: removed(nn.utils.spectral_norm, nn.utils.remove_spectral_norm),
    "parametrized weight_norm": lambda: trained(parametrizations.weight_norm(nn.Linear(3, 4)), torch.randn(2, 3)),
    "parametrized spectral_norm": lambda: trained(parametrizations.spectral_norm(nn.Linear(3, 4)), torch.randn(2, 3)),
    "parametrized orthogonal": lambda: trained(parametrizations.orthogonal(nn.Linear(3, 4)), torch.randn(2, 3)),
    "a parametrization removed": lambda: removed(
        parametrizations.weight_norm, lambda m: parametrize.remove_parametrizations(m, "weight")
    ),
    "pruning": lambda: trained(nn.utils.prune.l1_unstructured(nn.Linear(3, 4), "weight", 2), torch.randn(2, 3)),
    **{f"{name} and a schedule": lambda name=name: optimized(name) for name in ("SGD", "Adam", "LBFGS", "Adagrad", "RMSprop")},
    "averaging": lambda: torch.optim.swa_utils.AveragedModel(nn.Linear(3, 4)).update_parameters(nn.Linear(3, 4)),
    "a loader": lambda: list(torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.randn(6, 2)), 2, True)),
    "copies": lambda: copy.deepcopy(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))),
    "a file": lambda: torch.save(nn.Linear(3, 4).state_dict(), io.BytesIO()),
    "printing": lambda: (repr(torch.randn(3, 4)), repr(nn.Linear(3, 4))),
    "a chain of products": lambda: torch.linalg.multi_dot([leaf(2, 3), leaf(3, 4), leaf(4, 1)]).sum().backward(),
    "a Hessian": lambda: torch.autograd.functional.hessian(lambda x: (x**3).sum(), torch.randn(3)),
    "gradcheck": lambda: torch.autograd.gradcheck(torch.exp, leaf(3).double().detach().requires_grad_()),
    "functional_call": lambda: [
        torch.func.functional_call(m, dict(m.named_parameters()), (torch.randn(2, 3),)).sum().backward()
        for m in [nn.Linear(3, 4)]
    ],
    "a whole module read": lambda: read_again(nn.Linear(2, 2), weights_only=False),
    "a file refused": lambda: refused(b"PK\x03\x04"),
    "another file refused": lambda: refused(b"\x80\x02cos\nsystem\n."),
    "inverse transforms": lambda: [
        transform.inv.inv(torch.ones(2))
        for transform in (SigmoidTransform(), ComposeTransform([SigmoidTransform(), AffineTransform(0, 2)]))
    ],
    "two outputs": lambda: sum(torch.var_mean(leaf(4))).backward(),
    "inference": lambda: torch.inference_mode()(lambda: nn.Linear(3, 4)(torch.randn(2, 3)))(),
}
MODULES = {
    "Linear": (lambda: nn.Linear(3, 4), (2, 3)),
    "Bilinear": (lambda: nn.Bilinear(3, 3, 2), (2, 3), (2, 3)),
    "Conv1d": (lambda: nn.Conv1d(2, 3, 3, padding_mode="reflect", padding=1), (2, 2, 5)),
    "Conv2d": (lambda: nn.Conv2d(2, 3, 3), (2, 2, 5, 5)),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(2, 3, 3), (2, 2, 5, 5)),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(3), (4, 3)),
    "LayerNorm": (lambda: nn.LayerNorm(3), (4, 3)),
    "GroupNorm": (lambda: nn.GroupNorm(1, 2), (2, 2, 4)),
    "InstanceNorm1d": (lambda: nn.InstanceNorm1d(2, affine=True), (2, 2, 4)),
    "MaxPool2d": (lambda: nn.MaxPool2d(2), (1, 2, 4, 4)),
    "AvgPool2d": (lambda: nn.AvgPool2d(2), (1, 2, 4, 4)),
    "AdaptiveAvgPool2d": (lambda: nn.AdaptiveAvgPool2d(2), (1, 2, 5, 5)),
    "FractionalMaxPool2d": (lambda: nn.FractionalMaxPool2d(2, 2), (1, 2, 5, 5)),
    "Upsample": (lambda: nn.Upsample(scale_factor=2, mode="bilinear"), (1, 2, 3, 3)),
    "PReLU": (nn.PReLU, (2, 3)),
    "RReLU": (nn.RReLU, (2, 3)),
    "GELU": (nn.GELU, (2, 3)),
    "Softmax": (lambda: nn.Softmax(1), (2, 3)),
    "Dropout": (nn.Dropout, (2, 3)),
    "LSTM": (lambda: nn.LSTM(3, 4, 2, bidirectional=True, proj_size=2), (5, 2, 3)),
    "GRU": (lambda: nn.GRU(3, 4), (5, 2, 3)),
    "RNNCell": (lambda: nn.RNNCell(3, 4), (2, 3)),
    "MultiheadAttention": (lambda: nn.MultiheadAttention(4, 2), (3, 2, 4), (3, 2, 4), (3, 2, 4)),
    "TransformerEncoderLayer": (lambda: nn.TransformerEncoderLayer(4, 2, 8), (3, 2, 4)),
    "Transformer": (lambda: nn.Transformer(4, 2, 1, 1, 8), (3, 2, 4), (3, 2, 4)),
    "LazyLinear": (lambda: nn.LazyLinear(4), (2, 3)),
    "CosineSimilarity": (nn.CosineSimilarity, (2, 3), (2, 3)),
    "MSELoss": (nn.MSELoss, (2, 3), (2, 3)),
}


def left_over(program) -> Counter:
    """What the collector finds after `program` ran twice, by type. A first run fills caches."""
    program()
    gc.collect()
    gc.disable()
    try:
        program()
        program()
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        return Counter(type(o).__name__ for o in gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_leaves_no_cycles(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert not left_over(PROGRAMS[name])


@pytest.mark.parametrize("name", MODULES)
def test_a_module_its_graph_and_its_copy_leave_no_cycles(name):
    make, *shapes = MODULES[name]

    def program():
        module = make()
        trained(module, *[leaf(*shape) for shape in shapes])
        module.load_state_dict(copy.deepcopy(module).state_dict())

    assert not left_over(program)


def test_modules_with_the_same_parametrized_tensors_share_a_class():
    first, second = [parametrizations.weight_norm(nn.Linear(3, 4)) for _ in range(2)]
    plain = nn.Linear(3, 4)
    assert type(first) is type(second) and type(first).__name__ == "ParametrizedLinear"
    parametrizations.spectral_norm(second, "bias")
    assert type(first) is not type(second)
    assert not torch.equal(first.weight, second.weight)
    parametrize.remove_parametrizations(second, "weight")
    assert "weight" in dict(second.named_parameters()) and hasattr(second.parametrizations, "bias")
    parametrize.remove_parametrizations(second, "bias")
    assert type(second) is nn.Linear and isinstance(first, nn.Linear) and type(plain) is nn.Linear
    assert type(copy.deepcopy(first)) is type(first)
