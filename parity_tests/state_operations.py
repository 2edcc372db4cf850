"""What the programs over the state of autograd do with tensors: a name, and a function of one tensor, or of two.

An operation of which `docs/decisions.md` says that it differs is not here.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import torch

from parity_tests import bridge
from parity_tests.twin import function_of


def library(x: Any) -> Any:
    return torch if isinstance(x, torch.Tensor) else bridge.mini_dl


def doubled(ctx: Any, x: Any) -> Any:
    ctx.mark_dirty(x)
    return x.mul_(2)


def signed(ctx: Any, x: Any) -> Any:
    sign = x.sign()
    ctx.mark_non_differentiable(sign)
    ctx.save_for_backward(sign)
    return x * sign, sign


def unsigned(ctx: Any, grad: Any, _: Any) -> Any:
    return grad * ctx.saved_tensors[0]


def squared(ctx: Any, x: Any) -> Any:
    out = x * x
    ctx.save_for_backward(x, out)
    return out


def of_square(ctx: Any, grad: Any) -> Any:
    x, out = ctx.saved_tensors
    return grad * 2 * x + out * 0


def packed(library: Any, action: Callable[[], Any]) -> Any:
    """The result of `action`, whose saved tensors are copies."""
    with library.autograd.graph.saved_tensors_hooks(lambda x: x.detach().clone(), lambda x: x * 1):
        return action()


VIEWS: dict[str, Callable[..., Any]] = {
    "t": lambda x: x.t(),
    "transpose": lambda x: x.transpose(0, -1),
    "flatten": lambda x: x.flatten(),
    "view": lambda x: x.view(-1),
    "reshape": lambda x: x.reshape(x.shape[::-1]),
    "narrow": lambda x: x.narrow(0, 0, 1),
    "select": lambda x: x.select(-1, 0),
    "expand": lambda x: x.expand(2, *x.shape),
    "diagonal": lambda x: x.diagonal(),
    "unsqueeze": lambda x: x.unsqueeze(0),
    "squeeze": lambda x: x.squeeze(0),
    "permute": lambda x: x.permute(tuple(range(x.ndim))[::-1]),
    "unfold": lambda x: x.unfold(0, 2, 1),
    "split": lambda x: x.split(1)[0],
    "unbind": lambda x: x.unbind(-1)[-1],
    "chunk": lambda x: x.chunk(2, 0)[0],
    "detach": lambda x: x.detach(),
    "data": lambda x: x.data,
    "bytes": lambda x: x.view(library(x).int32),
    "dlpack": lambda x: library(x).from_dlpack(x),
    "part": lambda x: x.unsafe_chunk(2)[0],
    "matrix": lambda x: x.mT,
    "moveaxis": lambda x: x.moveaxis(0, -1),
    "unflatten": lambda x: x.unflatten(0, (-1, 1)),
    "ravel": lambda x: x.ravel(),
    "itself": lambda x: x.view(x.dtype),
    "same type": lambda x: x.to(x.dtype),
    "last": lambda x: x.narrow(-1, -1, 1),
    "broadcast": lambda x: x.broadcast_to((2, *x.shape)),
    "all ones gone": lambda x: x.squeeze(),
    "below": lambda x: x.diagonal(-1),
    "two parts": lambda x: x.chunk(2, -1),
    "all rows": lambda x: x.unbind()[:3],
    "two sizes": lambda x: x.split([1, x.shape[-1] - 1], -1),
    "tensors": lambda x: x.tensor_split(2, -1),
    "real and imaginary": lambda x: library(x).view_as_real(x),
    "as complex": lambda x: library(x).view_as_complex(x),
    "imag": lambda x: x.imag,
    "real": lambda x: x.real,
}
UNARY: dict[str, Callable[..., Any]] = {
    "clone": lambda x: x.clone(),
    "sin": lambda x: x.sin(),
    "tanh": lambda x: x.tanh(),
    "neg": lambda x: x.neg(),
    "sum": lambda x: x.sum(),
    "mean": lambda x: x.mean(-1, keepdim=True),
    "cumsum": lambda x: x.cumsum(0),
    "square": lambda x: x * x,
    "scaled": lambda x: x * 0.5,
    "chosen": lambda x: x[x.detach() > 0],
    "flip": lambda x: x.flip(0),
    "median": lambda x: x.median(0).values,
    "layer_norm": lambda x: library(x).nn.functional.layer_norm(x, x.shape[-1:]),
    "softmax": lambda x: x.softmax(-1),
    "logsumexp": lambda x: x.logsumexp(0),
    "var": lambda x: x.var(0, unbiased=False),
    "norm": lambda x: x.norm(),
    "prod": lambda x: x.prod(0),
    "amax": lambda x: x.amax(0),
    "sort": lambda x: x.sort(0).values,
    "topk": lambda x: x.topk(1, -1).values,
    "cummax": lambda x: x.cummax(0).values,
    "cumprod": lambda x: x.cumprod(-1),
    "erf": lambda x: x.erf(),
    "exp of it": lambda x: (x * 0.1).exp(),
    "root": lambda x: (x.abs() + 1).sqrt(),
    "gelu": lambda x: library(x).nn.functional.gelu(x),
    "elu": lambda x: library(x).nn.functional.elu(x),
    "softplus": lambda x: library(x).nn.functional.softplus(x),
    "clamp": lambda x: x.clamp(-1, 1),
    "tril": lambda x: x.tril(),
    "roll": lambda x: x.roll(1, 0),
    "repeat": lambda x: x.repeat(2, *[1] * x.ndim),
    "gather": lambda x: x.gather(0, library(x).zeros_like(x, dtype=library(x).int64)),
    "index_select": lambda x: x.index_select(0, library(x).tensor([0, 0])),
    "long": lambda x: x.long(),
    "double": lambda x: x.double(),
    "float": lambda x: x.float(),
    "complex": lambda x: x.to(library(x).complex128),
    "with itself": lambda x: library(x).cat([x, x]),
    "pow": lambda x: x**3,
    "reciprocal": lambda x: 2 / (x * x + 1),
    "deepcopy": lambda x: copy.deepcopy(x),
    "pickled": lambda x: pickle.loads(pickle.dumps(x)),
    "parameter": lambda x: library(x).nn.Parameter(x.detach()),
    "twice": lambda x: (x * 2, x * 3),
    "in place": lambda x: function_of(library(x), forward=doubled, backward=lambda ctx, grad: grad * 2).apply(x),
    "with signs": lambda x: function_of(library(x), forward=signed, backward=unsigned).apply(x),
    "as it is": lambda x: function_of(library(x), forward=lambda ctx, x: x, backward=lambda ctx, grad: grad * 3).apply(x),
    "saved": lambda x: function_of(library(x), forward=squared, backward=of_square).apply(x),
    "packed": lambda x: packed(library(x), lambda: x.tanh()),
    "recomputed": lambda x: library(x).utils.checkpoint.checkpoint(lambda x: (x * x).sin(), x, use_reentrant=False),
}
ORDINARY = frozenset(["data is a copy", "in place", "with signs", "as it is", "saved", "packed", "recomputed"])
"""Those that are not compared in inference mode."""
BINARY: dict[str, Callable[..., Any]] = {
    "add": lambda x, y: x + y,
    "mul": lambda x, y: x * y,
    "sub": lambda x, y: x.sub(y),
    "cat": lambda x, y: library(x).cat([x, y]),
    "stack": lambda x, y: library(x).stack([x, y]),
    "where": lambda x, y: library(x).where(x.detach() > 0, x, y),
    "expand_as": lambda x, y: x.expand_as(y),
    "div": lambda x, y: x / (y * y + 1),
    "maximum": lambda x, y: library(x).maximum(x, y),
    "atan2": lambda x, y: library(x).atan2(x, y),
    "lerp": lambda x, y: library(x).lerp(x, y, 0.3),
    "mse": lambda x, y: library(x).nn.functional.mse_loss(x, y),
    "mm": lambda x, y: x.mm(y),
    "outer": lambda x, y: library(x).outer(x, y),
    "select_scatter": lambda x, y: x.select_scatter(y.select(0, 0), 0, 0),
    "masked_scatter": lambda x, y: x.masked_scatter(x.detach() > 0, y),
    "scatter": lambda x, y: x.scatter(0, library(x).zeros_like(y, dtype=library(x).int64)[:1], y),
    "like": lambda x, y: x.reshape_as(y),
    "mapped": lambda x, y: library(x).func.vmap(lambda a, b: a * b)(x, y),
    "vjp": lambda x, y: library(x).autograd.functional.vjp(lambda x: x * x, x, y),
    "packed": lambda x, y: packed(library(x), lambda: x * y),
    "recomputed": lambda x, y: library(x).utils.checkpoint.checkpoint(lambda x, y: (x * y).sin(), x, y, use_reentrant=False),
}
WRITES: dict[str, Callable[..., Any]] = {
    "add_": lambda x, y: x.add_(y),
    "mul_": lambda x, y: x.mul_(y),
    "sub_": lambda x, y: x.sub_(y),
    "copy_": lambda x, y: x.copy_(y),
    "lerp_": lambda x, y: x.lerp_(y, 0.3),
    "mul_ number": lambda x, y: x.mul_(0.5),
    "add_ number": lambda x, y: x.add_(1),
    "zero_": lambda x, y: x.zero_(),
    "fill_": lambda x, y: x.fill_(0.5),
    "sin_": lambda x, y: x.sin_(),
    "tanh_": lambda x, y: x.tanh_(),
    "neg_": lambda x, y: x.neg_(),
    "clamp_": lambda x, y: x.clamp_(-1, 1),
    "masked_fill_": lambda x, y: x.masked_fill_(x.detach() > 0, 0.5),
    "gt_": lambda x, y: x.gt_(y),
    "ne_ number": lambda x, y: x.ne_(0.5),
    "logical_and_": lambda x, y: x.logical_and_(y),
    "logical_not_": lambda x, y: x.logical_not_(),
    "apply_": lambda x, y: x.apply_(lambda value: value + 1),
    "eq out": lambda x, y: library(x).eq(y, 0.5, out=x.detach()),
    "topk out": lambda x, y: library(x).topk(x, 1, 0, out=(x[:1], library(x).empty(0, dtype=library(x).int64))),
    "div_ number": lambda x, y: x.div_(2),
    "pow_": lambda x, y: x.pow_(2),
    "addcmul_": lambda x, y: x.addcmul_(y, y),
    "maximum out": lambda x, y: library(x).maximum(x, y, out=x.detach()),
    "sum out": lambda x, y: library(x).sum(y * 1, 0, out=x),
    "round_": lambda x, y: x.round_(),
    "sigmoid_": lambda x, y: x.sigmoid_(),
    "relu_": lambda x, y: x.relu_(),
    "leaky_relu_": lambda x, y: library(x).nn.functional.leaky_relu_(x),
    "tril_": lambda x, y: x.tril_(),
    "cumsum_": lambda x, y: x.cumsum_(0),
    "fill_ tensor": lambda x, y: x.fill_(y.sum()),
    "index_fill_ tensor": lambda x, y: x.index_fill_(0, library(x).tensor([0]), y.sum()),
    "fill_diagonal_": lambda x, y: x.fill_diagonal_(0.5),
    "masked_scatter_": lambda x, y: x.masked_scatter_(x.detach() > 0, y),
    "scatter_ number": lambda x, y: x.scatter_(-1, library(x).zeros_like(x, dtype=library(x).int64), 0.5),
    "diagonal": lambda x, y: x.diagonal().mul_(2),
    "row": lambda x, y: x[0].mul_(2),
    "column": lambda x, y: x[..., 0].mul_(y[..., 0]),
    "flat": lambda x, y: x.view(-1).sin_(),
    "a view of a view": lambda x, y: x.unsqueeze(0)[..., :1].mul_(3),
    "one of several": lambda x, y: x.split(1)[0].mul_(2),
    "detached": lambda x, y: x.detach().mul_(2),
    "imag": lambda x, y: x.imag.mul_(2),
    "list mul_": lambda x, y: library(x)._foreach_mul_([x], 2.0),
    "step": lambda x, y: library(x).optim.SGD([x], 0.1).step(),
}
RESHAPES: dict[str, Callable[..., Any]] = {
    "t_": lambda x: x.t_(),
    "transpose_": lambda x: x.transpose_(0, -1),
    "unsqueeze_": lambda x: x.unsqueeze_(0),
    "squeeze_": lambda x: x.squeeze_(0),
    "swapdims_": lambda x: x.swapdims_(-1, 0),
}
FLAGS: dict[str, Callable[..., Any]] = {
    "requires_grad_": lambda x: x.requires_grad_(),
    "frozen": lambda x: x.requires_grad_(False),
    "requires_grad": lambda x: setattr(x, "requires_grad", True),
    "not requires_grad": lambda x: setattr(x, "requires_grad", False),
    "retain_grad": lambda x: x.retain_grad(),
    "detach_": lambda x: x.detach_(),
    "no grad": lambda x: setattr(x, "grad", None),
    "grad is itself": lambda x: setattr(x, "grad", x),
    "grad is a copy": lambda x: setattr(x, "grad", x.detach().clone()),
    "zero grad": lambda x: x.grad.zero_() if x.grad is not None else None,
    "grad is deleted": lambda x: delattr(x, "grad"),
    "data is a copy": lambda x: setattr(x, "data", x.detach().clone()),
    "doubled grad": lambda x: x.grad.mul_(2) if x.is_leaf and x.grad is not None else None,
}
