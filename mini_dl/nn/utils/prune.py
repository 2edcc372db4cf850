"""Pruning: a parameter multiplied by a mask that is random, chosen by magnitude, or given."""

from __future__ import annotations

import numbers
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias, TypeVar

from mini_dl.nn.modules.module import Module
from mini_dl.nn.utils.convert_parameters import parameters_to_vector
from mini_dl.ops.creation import ones_like, zeros_like
from mini_dl.ops.norms import norm
from mini_dl.ops.random import rand, rand_like
from mini_dl.tensor import Tensor

_M = TypeVar("_M", bound=Module)
Scores: TypeAlias = Tensor | None
"""Scores for the choice; None for the values of the parameter itself."""


class BasePruningMethod(ABC):
    """``name = name_mask * name_orig``: the hook that computes it before each forward.

    A pruning method defines ``compute_mask`` and ``PRUNING_TYPE``: the part of a pruned tensor from which the next mask
    is computed.

    Shapes: a parameter of any shape, and a mask of the same shape.
    Raises: TypeError without a ``compute_mask``.

    >>> class Positive(torch.nn.utils.prune.BasePruningMethod):
    ...     PRUNING_TYPE = "unstructured"
    ...     def compute_mask(self, t, default_mask):
    ...         return default_mask * (t > 0)
    >>> Positive().prune(torch.tensor([1.0, -2.0]))
    tensor([1., -0.])
    """

    PRUNING_TYPE: str
    _tensor_name: str

    def __call__(self, module: Module, inputs: object) -> None:
        setattr(module, self._tensor_name, self.apply_mask(module))

    @abstractmethod
    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask of a tensor with the scores `t`, within `default_mask`."""

    def apply_mask(self, module: Module) -> Tensor:
        """The original of `module` with its mask."""
        mask, original = getattr(module, self._tensor_name + "_mask"), getattr(module, self._tensor_name + "_orig")
        return mask.to(original.dtype) * original

    @classmethod
    def apply(
        cls, module: Module, name: str, *args: object, importance_scores: Scores = None, **kwargs: object
    ) -> BasePruningMethod:
        """Prune the parameter `name`, or prune it further, by `importance_scores` (or its values). Returns the hook.

        A new parameter ``name_orig`` and a buffer ``name_mask`` take its place.
        """
        ours = [key for key, hook in module._forward_pre_hooks.items() if isinstance(hook, BasePruningMethod)]
        ours = [key for key in ours if module._forward_pre_hooks[key]._tensor_name == name]
        if len(ours) > 1:
            raise AssertionError(
                f"Avoid adding multiple pruning hooks to the same tensor {name} of module {module}. Use a PruningContainer."
            )
        old = module._forward_pre_hooks.pop(ours[0]) if ours else None
        method: BasePruningMethod = cls(*args, **kwargs)
        method._tensor_name = name
        if old is not None:
            container = old if isinstance(old, PruningContainer) else PruningContainer(old)
            container.add_pruning_method(method)
            method = container
        tensor = getattr(module, name)
        if importance_scores is None:
            importance_scores = tensor
        elif importance_scores.shape != tensor.shape:
            raise AssertionError(
                f"importance_scores should have the same shape as parameter {name} of {module}, "
                f"got {importance_scores.shape} vs {tensor.shape}"
            )
        if old is None:
            module.register_parameter(name + "_orig", tensor)
            del module._parameters[name]
            default_mask = ones_like(tensor)
        else:
            default_mask = getattr(module, name + "_mask").detach().clone()
        try:
            module.register_buffer(name + "_mask", method.compute_mask(importance_scores, default_mask=default_mask))
            setattr(module, name, method.apply_mask(module))
            module.register_forward_pre_hook(method)
        except Exception:
            if old is None:
                module.register_parameter(name, module._parameters.pop(name + "_orig"))
            raise
        return method

    def prune(self, t: Tensor, default_mask: Tensor | None = None, importance_scores: Scores = None) -> Tensor:
        """`t` with the mask computed from `importance_scores` (or itself) within `default_mask`."""
        if importance_scores is None:
            importance_scores = t
        elif importance_scores.shape != t.shape:
            raise AssertionError(
                f"importance_scores should have the same shape as tensor t, got {importance_scores.shape} vs {t.shape}"
            )
        if default_mask is None:
            default_mask = ones_like(t)
        return t * self.compute_mask(importance_scores, default_mask=default_mask)

    def remove(self, module: Module) -> None:
        """Make the pruned tensor the parameter, and remove the original and the mask."""
        name = self._tensor_name
        weight = self.apply_mask(module)
        if hasattr(module, name):
            delattr(module, name)
        original: Any = module._parameters.pop(name + "_orig")
        original.data = weight.data
        del module._buffers[name + "_mask"]
        setattr(module, name, original)


class PruningContainer(BasePruningMethod):
    """``mask = mask_n * ... * mask_1``: several methods in sequence; each sees what the earlier ones left.

    Shapes: a parameter of any shape, and a mask of the same shape.
    Raises: AttributeError for anything but a pruning method.

    >>> layer = torch.nn.Linear(2, 2)
    >>> for _ in range(2):
    ...     _ = torch.nn.utils.prune.l1_unstructured(layer, "weight", amount=1)
    >>> int(layer.weight_mask.sum())
    2
    """

    def __init__(self, *args: BasePruningMethod) -> None:
        self._pruning_methods: tuple[BasePruningMethod, ...] = ()
        if len(args) == 1:
            self._tensor_name = args[0]._tensor_name
        for method in args:
            self.add_pruning_method(method)

    def add_pruning_method(self, method: BasePruningMethod) -> None:
        """Append `method`. TypeError if it is not a pruning method, ValueError if it is for another tensor."""
        if method is not None and not isinstance(method, BasePruningMethod):
            raise TypeError(f"{type(method)} is not a BasePruningMethod subclass")
        if method is not None and self._tensor_name != method._tensor_name:
            raise ValueError(
                f"Can only add pruning methods acting on the parameter named '{self._tensor_name}' to PruningContainer {self}. "
                f"Found '{method._tensor_name}'"
            )
        self._pruning_methods += (method,)

    def __len__(self) -> int:
        return len(self._pruning_methods)

    def __iter__(self) -> Iterator[BasePruningMethod]:
        return iter(self._pruning_methods)

    def __getitem__(self, idx: int) -> BasePruningMethod:
        return self._pruning_methods[idx]

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """`default_mask` combined with the mask that the last method gives for its part."""
        method = self._pruning_methods[-1]
        part = _remaining(method, t, default_mask)
        mask = default_mask.to(t.dtype)
        mask[part] = method.compute_mask(t[part], default_mask=default_mask[part]).to(mask.dtype)
        return mask


def _remaining(method: BasePruningMethod, t: Tensor, mask: Tensor) -> Tensor | tuple[slice | Tensor, ...]:
    """The index of what `method` may prune: elements, channels, or all."""
    if method.PRUNING_TYPE == "unstructured":
        return mask == 1
    whole: list[slice | Tensor] = [slice(None)] * t.ndim
    if method.PRUNING_TYPE == "structured":
        if not hasattr(method, "dim"):
            raise AttributeError('Pruning methods of PRUNING_TYPE "structured" need to have the attribute `dim` defined.')
        dim = method.dim if method.dim >= 0 else t.ndim + method.dim
        if dim < 0:
            raise IndexError(f"Index is out of bounds for tensor with dimensions {t.ndim}")
        whole[dim] = mask.sum(dim=[d for d in range(t.ndim) if d != dim]) != 0
    elif method.PRUNING_TYPE != "global":
        raise ValueError(f"Unrecognized PRUNING_TYPE {method.PRUNING_TYPE}")
    return tuple(whole)


# ------------------------------------------------------------------------------------------------ methods


class Identity(BasePruningMethod):
    """``mask = 1``: prunes nothing.

    Shapes: a parameter of any shape, and a mask of the same shape.
    Raises: AssertionError for scores of another shape.

    >>> torch.nn.utils.prune.Identity().prune(torch.tensor([1.0, 2.0]))
    tensor([1., 2.])
    """

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        return default_mask

    @classmethod
    def apply(cls, module: Module, name: str) -> BasePruningMethod:  # type: ignore[override]
        return super().apply(module, name)


class _Amount(BasePruningMethod):
    """Prunes an `amount`: a number, or a fraction. TypeError or ValueError if it is neither."""

    amount: float

    def __init__(self, amount: float) -> None:
        if not isinstance(amount, numbers.Real):
            raise TypeError(f"Invalid type for amount: {amount}. Must be int or float.")
        whole = isinstance(amount, numbers.Integral)
        if float(amount) < 0 or (float(amount) > 1 and not whole):
            raise ValueError(f"amount={amount} should either be a float in the range [0, 1] or a non-negative integer")
        self.amount = amount

    def count(self, size: int) -> int:
        """How many of `size` to prune. ValueError if more than `size`."""
        n = int(self.amount) if isinstance(self.amount, numbers.Integral) else round(self.amount * size)
        if n > size:
            raise ValueError(f"amount={n} should be smaller than the number of parameters to prune={size}")
        return n


class _Unstructured(_Amount):
    """Prunes the elements that `choose` names."""

    PRUNING_TYPE = "unstructured"

    def choose(self, t: Tensor, n: int) -> Tensor:
        raise NotImplementedError

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        n, mask = self.count(t.numel()), default_mask.clone()
        if n:
            mask.view(-1)[self.choose(t, n)] = 0
        return mask


class RandomUnstructured(_Unstructured):
    """``mask[i] = 0`` for `amount` elements at random, as a number or a fraction.

    Shapes: a parameter of any shape, and a mask of the same shape.
    Raises: ValueError for a negative `amount`, or a fraction above 1; TypeError if it is not a number.

    >>> int((torch.nn.utils.prune.RandomUnstructured(amount=0.5).prune(torch.ones(10)) == 0).sum())
    5
    """

    def choose(self, t: Tensor, n: int) -> Tensor:
        return rand_like(t).view(-1).topk(n).indices

    @classmethod
    def apply(cls, module: Module, name: str, amount: float) -> BasePruningMethod:  # type: ignore[override]
        return super().apply(module, name, amount=amount)


class L1Unstructured(_Unstructured):
    """``mask[i] = 0`` for the `amount` elements of the smallest ``abs(t[i])``, as a number or a fraction.

    Shapes: a parameter of any shape, and a mask of the same shape.
    Raises: ValueError for a negative `amount`, or a fraction above 1; TypeError if it is not a number.
    Source: Han et al., Learning both weights and connections for efficient neural networks, 2015, section 3.

    >>> torch.nn.utils.prune.L1Unstructured(amount=2).prune(torch.tensor([1.0, -3.0, 2.0]))
    tensor([ 0., -3.,  0.])
    """

    def choose(self, t: Tensor, n: int) -> Tensor:
        return t.abs().view(-1).topk(n, largest=False).indices

    @classmethod
    def apply(cls, module: Module, name: str, amount: float, importance_scores: Scores = None) -> BasePruningMethod:  # type: ignore[override]
        return super().apply(module, name, amount=amount, importance_scores=importance_scores)


class _Structured(_Amount):
    """Keeps the slices along `dim` that `keep` names. ValueError for a vector, IndexError for a wrong `dim`."""

    PRUNING_TYPE = "structured"
    dim: int

    def keep(self, t: Tensor, size: int, n: int) -> Tensor:
        raise NotImplementedError

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        if t.ndim <= 1:
            raise ValueError(
                "Structured pruning can only be applied to multidimensional tensors. "
                f"Found tensor of shape {t.shape} with {t.ndim} dims"
            )
        if self.dim >= t.ndim:
            raise IndexError(f"Invalid index {self.dim} for tensor of size {t.shape}")
        size = t.shape[self.dim]
        n = self.count(size)
        if n == 0:
            return default_mask
        kept: list[slice | Tensor] = [slice(None)] * t.ndim
        kept[self.dim] = self.keep(t, size, n)
        mask = zeros_like(t)
        mask[tuple(kept)] = 1
        return mask.mul_(default_mask.to(mask.dtype))


class RandomStructured(_Structured):
    """``mask[i] = 0`` for `amount` slices along `dim` at random, as a number or a fraction.

    Shapes: a parameter of at least two dimensions, and a mask of the same shape.
    Raises: ValueError for a negative `amount`, or a fraction above 1, and for fewer dimensions; TypeError if it is not a number.

    >>> torch.nn.utils.prune.RandomStructured(amount=1, dim=1).prune(torch.ones(2, 3)).sum()
    tensor(4.)
    """

    def __init__(self, amount: float, dim: int = -1) -> None:
        super().__init__(amount)
        self.dim = dim

    def keep(self, t: Tensor, size: int, n: int) -> Tensor:
        drawn = rand(size)
        return drawn > drawn.kthvalue(n).values

    @classmethod
    def apply(cls, module: Module, name: str, amount: float, dim: int = -1) -> BasePruningMethod:  # type: ignore[override]
        return super().apply(module, name, amount=amount, dim=dim)


class LnStructured(_Structured):
    """``mask[i] = 0`` for the `amount` slices along `dim` of the smallest n-norm, as a number or a fraction.

    Shapes: a parameter of at least two dimensions, and a mask of the same shape.
    Raises: ValueError for a negative `amount`, or a fraction above 1, and for fewer dimensions; TypeError if it is not a number.

    >>> torch.nn.utils.prune.LnStructured(amount=1, n=1, dim=0).prune(torch.tensor([[1.0, 2.0], [0.5, 1.0]]))
    tensor([[1., 2.],
            [0., 0.]])
    """

    def __init__(self, amount: float, n: float | str, dim: int = -1) -> None:
        super().__init__(amount)
        self.n, self.dim = n, dim

    def keep(self, t: Tensor, size: int, n: int) -> Tensor:
        others = [d for d in range(t.ndim) if d != self.dim % t.ndim]
        return norm(t, p=self.n, dim=others).topk(size - n).indices

    @classmethod
    def apply(  # type: ignore[override]
        cls, module: Module, name: str, amount: float, n: float | str, dim: int, importance_scores: Scores = None
    ) -> BasePruningMethod:
        return super().apply(module, name, amount=amount, n=n, dim=dim, importance_scores=importance_scores)


class CustomFromMask(BasePruningMethod):
    """``out = mask * t`` with the given mask.

    Shapes: a parameter of any shape, and a mask of the same shape.
    Raises: AssertionError for a mask of another shape.

    >>> torch.nn.utils.prune.CustomFromMask(torch.tensor([1, 0])).prune(torch.tensor([5.0, 6.0]))
    tensor([5., 0.])
    """

    PRUNING_TYPE = "global"

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        if default_mask.shape != self.mask.shape:
            raise AssertionError(f"default_mask shape {default_mask.shape} must match self.mask shape {self.mask.shape}")
        return default_mask * self.mask.to(default_mask.dtype)

    @classmethod
    def apply(cls, module: Module, name: str, mask: Tensor) -> BasePruningMethod:  # type: ignore[override]
        return super().apply(module, name, mask=mask)


# ------------------------------------------------------------------------------------------------ functions


def identity(module: _M, name: str) -> _M:
    """``mask = 1`` for the parameter `name`: it becomes pruned without losing any element. Returns `module`.

    Shapes: a parameter of any shape.
    Raises: AttributeError for an unknown parameter.

    >>> layer = torch.nn.Linear(2, 2)
    >>> torch.nn.utils.prune.identity(layer, "weight").weight_mask
    tensor([[1., 1.],
            [1., 1.]])
    """
    Identity.apply(module, name)
    return module


def random_unstructured(module: _M, name: str, amount: float) -> _M:
    """``mask[i] = 0`` for `amount` elements of the parameter `name` at random, as a number or a fraction. Returns `module`.

    Shapes: a parameter of any shape.
    Raises: ValueError for an `amount` out of range; AttributeError for an unknown parameter.

    >>> layer = torch.nn.Linear(2, 2)
    >>> torch.nn.utils.prune.random_unstructured(layer, "weight", amount=3).weight_mask.sum()
    tensor(1.)
    """
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(module: _M, name: str, amount: float, importance_scores: Scores = None) -> _M:
    """``mask[i] = 0`` for the `amount` elements of the parameter `name` of the smallest ``abs(t[i])``, or scores. Returns
    `module`.

    Shapes: a parameter of any shape, and `importance_scores` of the same shape.
    Raises: ValueError for an `amount` out of range; AttributeError for an unknown parameter.
    Source: Han et al., Learning both weights and connections for efficient neural networks, 2015, section 3.

    >>> layer = torch.nn.Linear(2, 2)
    >>> _ = torch.nn.init.eye_(layer.weight)
    >>> torch.nn.utils.prune.l1_unstructured(layer, "weight", amount=2).weight_mask
    tensor([[1., 0.],
            [0., 1.]])
    """
    L1Unstructured.apply(module, name, amount=amount, importance_scores=importance_scores)
    return module


def random_structured(module: _M, name: str, amount: float, dim: int) -> _M:
    """``mask[i] = 0`` for `amount` slices along `dim` of the parameter `name` at random, as a number or a fraction. Returns
    `module`.

    Shapes: a parameter of at least two dimensions.
    Raises: ValueError for an `amount` out of range, or fewer dimensions; IndexError if there is no dimension `dim`.

    >>> layer = torch.nn.Linear(2, 2)
    >>> torch.nn.utils.prune.random_structured(layer, "weight", amount=1, dim=0).weight_mask.sum()
    tensor(2.)
    """
    RandomStructured.apply(module, name, amount, dim)
    return module


def ln_structured(module: _M, name: str, amount: float, n: float | str, dim: int, importance_scores: Scores = None) -> _M:
    """``mask[i] = 0`` for the `amount` slices along `dim` of the parameter `name` of the smallest n-norm, or scores. Returns
    `module`.

    Shapes: a parameter of at least two dimensions, and `importance_scores` of the same shape.
    Raises: ValueError for an `amount` out of range, or fewer dimensions; IndexError if there is no dimension `dim`.

    >>> layer = torch.nn.Linear(2, 2)
    >>> layer.weight = torch.nn.Parameter(torch.tensor([[1.0, 1.0], [2.0, 2.0]]))
    >>> torch.nn.utils.prune.ln_structured(layer, "weight", amount=1, n=2, dim=0).weight_mask
    tensor([[0., 0.],
            [1., 1.]])
    """
    LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


def global_unstructured(
    parameters: Iterable[tuple[Module, str]], pruning_method: type[BasePruningMethod],
    importance_scores: dict[tuple[Module, str], Tensor] | None = None, **kwargs: object,
) -> None:  # fmt: skip
    """``mask[i] = 0`` for elements of all `parameters`, pairs (module, name), as if they were one tensor; `importance_scores`
    maps pairs to scores.

    Shapes: parameters of any shapes.
    Raises: TypeError if `parameters` cannot be iterated, or `pruning_method` is not unstructured.

    >>> net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    >>> places = [(layer, "weight") for layer in net]
    >>> torch.nn.utils.prune.global_unstructured(places, torch.nn.utils.prune.L1Unstructured, amount=0.5)
    >>> sum(int(layer.weight_mask.sum()) for layer in net)
    4
    """
    if not isinstance(parameters, Iterable):
        raise TypeError("global_unstructured(): parameters is not an Iterable")
    importance_scores = {} if importance_scores is None else importance_scores
    if not isinstance(importance_scores, dict):
        raise TypeError("global_unstructured(): importance_scores must be of type dict")
    pairs = [(module, name, getattr(module, name)) for module, name in parameters]
    scores = parameters_to_vector([importance_scores.get((module, name), tensor) for module, name, tensor in pairs])
    masks = parameters_to_vector([getattr(module, name + "_mask", ones_like(tensor)) for module, name, tensor in pairs])
    container, method = PruningContainer(), pruning_method(**kwargs)
    container._tensor_name = method._tensor_name = "temp"
    if method.PRUNING_TYPE != "unstructured":
        raise TypeError(
            'Only "unstructured" PRUNING_TYPE supported for the `pruning_method`. '
            f"Found method {pruning_method} of type {method.PRUNING_TYPE}"
        )
    container.add_pruning_method(method)
    pieces = container.compute_mask(scores, masks).split([tensor.numel() for _, _, tensor in pairs])
    for (module, name, tensor), piece in zip(pairs, pieces):
        custom_from_mask(module, name, mask=piece.view_as(tensor))


def custom_from_mask(module: _M, name: str, mask: Tensor) -> _M:
    """``name = mask * name_orig`` with the given mask. Returns `module`.

    Shapes: a parameter of any shape, and a mask of the same shape.
    Raises: AssertionError for a mask of another shape.

    >>> layer = torch.nn.Linear(2, 2)
    >>> torch.nn.utils.prune.custom_from_mask(layer, "bias", mask=torch.tensor([1.0, 0.0])).bias[1] == 0
    tensor(True)
    """
    CustomFromMask.apply(module, name, mask)
    return module


def remove(module: _M, name: str) -> _M:
    """``name = name_mask * name_orig`` as a parameter again: pruned elements stay 0. Returns `module`.

    Shapes: no change.
    Raises: ValueError if the parameter is not pruned.

    >>> layer = torch.nn.utils.prune.l1_unstructured(torch.nn.Linear(2, 2), "bias", amount=1)
    >>> layer = torch.nn.utils.prune.remove(layer, "bias")
    >>> int((layer.bias == 0).sum()), torch.nn.utils.prune.is_pruned(layer)
    (1, False)
    """
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, BasePruningMethod) and hook._tensor_name == name:
            hook.remove(module)
            del module._forward_pre_hooks[key]
            return module
    raise ValueError(f"Parameter '{name}' of module {module} has to be pruned before pruning can be removed")


def is_pruned(module: Module) -> bool:
    """``True`` if a parameter of `module`, or of one below, is pruned.

    Shapes: no tensors.
    Raises: AttributeError unless `module` is a Module.

    >>> torch.nn.utils.prune.is_pruned(torch.nn.Linear(2, 2))
    False
    """
    hooks = [hook for part in module.modules() for hook in part._forward_pre_hooks.values()]
    return any([isinstance(hook, BasePruningMethod) for hook in hooks])
