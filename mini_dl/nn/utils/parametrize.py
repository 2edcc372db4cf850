"""Tensors of a module that are computed from others whenever they are accessed."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Sequence
from typing import Any, NoReturn

from mini_dl import _dtypes
from mini_dl._leaving import Block
from mini_dl.autograd.mode import no_grad
from mini_dl.nn._types import Shape
from mini_dl.nn.modules.container import ModuleDict, ModuleList
from mini_dl.nn.modules.module import Module
from mini_dl.nn.parameter import Parameter
from mini_dl.tensor import Tensor

__all__ = [
    "ParametrizationList",
    "cached",
    "is_parametrized",
    "register_parametrization",
    "remove_parametrizations",
    "transfer_parametrizations_and_params",
    "type_before_parametrizations",
]

_caching: set[object] = set()  # a mark for each open `cached` block
_cache: dict[tuple[int, str], Tensor] = {}

_CHANGES = (
    "Registering a parametrization may not change the {what} of the tensor, unless `unsafe` flag is enabled.\n"
    "unparametrized {what}: {old}\nparametrized {what}: {new}"
)


class cached(Block, contextlib.ContextDecorator):
    """Within the block, each parametrized tensor is computed once, when it is first read.

    Raises: nothing itself.

    >>> layer = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(2, 2))
    >>> with torch.nn.utils.parametrize.cached():
    ...     layer.weight is layer.weight
    True
    """

    def _state(self) -> object:
        return object()

    def _change(self, before: object) -> None:
        _caching.add(before)

    def _put_back(self, before: object) -> None:
        _caching.discard(before)
        if not _caching:
            _cache.clear()


class ParametrizationList(ModuleList):
    """``out = module[n - 1](... module[0](original))``: the modules that compute one tensor, and the tensors they compute it
    from:

    ``original``, or ``original0``, ``original1`` ... if the first module takes several tensors.

    Shapes: called without arguments -> the tensor.
    Raises: ValueError for no modules, or a ``right_inverse`` that does not return tensors.

    >>> layer = torch.nn.utils.parametrizations.spectral_norm(torch.nn.Linear(3, 2))
    >>> layer.parametrizations.weight.original.shape
    torch.Size([2, 3])
    """

    original: Tensor
    unsafe: bool

    def __init__(self, modules: Sequence[Module], original: Tensor, unsafe: bool = False) -> None:
        if len(modules) == 0:
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        dtype, shape = original.dtype, original.shape
        with no_grad():
            new: Any = original
            for module in reversed(list(self)):
                if hasattr(module, "right_inverse"):
                    with contextlib.suppress(NotImplementedError):
                        new = module.right_inverse(new)
        if not isinstance(new, (Tensor, Sequence)):
            raise ValueError(
                f"'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). Got {type(new).__name__}"
            )
        self.is_tensor = isinstance(new, Tensor)
        self.ntensors = 1
        if isinstance(new, Tensor):
            if new.dtype != dtype:
                raise ValueError(
                    "When `right_inverse` outputs one tensor, it may not change the dtype.\n"
                    f"original.dtype: {dtype}\nright_inverse(original).dtype: {new.dtype}"
                )
            _replace_memory(original, new)
            _register(self, "original", original)
        else:
            self.ntensors = len(new)
            self._register_several(new, original)
        if not self.unsafe:
            _check_kept(self(), dtype, shape)

    def _register_several(self, tensors: Sequence[object], original: Tensor) -> None:
        for i, tensor in enumerate(tensors):
            if not isinstance(tensor, Tensor):
                raise ValueError(
                    "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). "
                    f"Got element {i} of the sequence with type {type(tensor).__name__}."
                )
            if isinstance(original, Parameter):
                tensor = Parameter(tensor, original.requires_grad)
            _register(self, f"original{i}", tensor.requires_grad_(original.requires_grad))

    def right_inverse(self, value: Tensor | Sequence[Tensor]) -> None:
        """Set the originals so that they produce `value`. RuntimeError if a parametrization has no ``right_inverse``."""
        with no_grad():
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(f"parametrization {type(module).__name__} does not implement right_inverse.")
                value = module.right_inverse(value)
        if self.is_tensor:
            if not isinstance(value, Tensor):
                raise ValueError(f"`right_inverse` should return a tensor. Got {type(value).__name__}")
            values = [value]
        elif not isinstance(value, Sequence):
            raise ValueError(f"'right_inverse' must return a sequence of tensors. Got {type(value).__name__}.")
        elif len(value) != self.ntensors:
            raise ValueError(
                f"'right_inverse' must return a sequence of tensors of length {self.ntensors}. "
                f"Got a sequence of length {len(value)}."
            )
        else:
            values = list(value)
        for name, tensor in zip(self._names(), values):
            if not isinstance(tensor, Tensor):
                raise ValueError(
                    "'right_inverse' must return a sequence of tensors or reference-type opaques. "
                    f"Got element {name.removeprefix('original')} of type {type(tensor).__name__}."
                )
            original = getattr(self, name)
            if tensor.dtype != original.dtype:
                raise ValueError(
                    f"The tensor returned by `right_inverse` has dtype {tensor.dtype} while `{name}` has dtype {original.dtype}"
                )
            _replace_memory(original, tensor)

    def _names(self) -> list[str]:
        return ["original"] if self.is_tensor else [f"original{i}" for i in range(self.ntensors)]

    def forward(self) -> Any:
        first, *rest = self
        result = first(*[getattr(self, name) for name in self._names()])
        for module in rest:
            result = module(result)
        return result


def register_parametrization(module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False) -> Module:
    """``module.tensor_name = parametrization(original)`` whenever it is read; the original stays the parameter or buffer. Returns
    `module`.

    Assigning to the tensor calls ``parametrization.right_inverse``.

    Shapes: a tensor of any shape, which must not change unless `unsafe`.
    Raises: ValueError if there is no such tensor, or if its shape or type would change and `unsafe` is not set.

    >>> class Symmetric(nn.Module):
    ...     def forward(self, input):
    ...         return input.triu() + input.triu(1).mT
    >>> layer = nn.utils.parametrize.register_parametrization(nn.Linear(3, 3), "weight", Symmetric())
    >>> bool((layer.weight == layer.weight.mT).all())
    True
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        if not unsafe:
            _check_next(getattr(module, tensor_name), parametrization)
        several = _lists(module)[tensor_name]
        several.append(parametrization)
        several.unsafe |= unsafe
    elif tensor_name in module._buffers or tensor_name in module._parameters:
        several = ParametrizationList([parametrization], getattr(module, tensor_name), unsafe)
        delattr(module, tensor_name)
        plain = type_before_parametrizations(module)
        if not is_parametrized(module):
            module.parametrizations = ModuleDict()
        _lists(module)[tensor_name] = several
        module.__class__ = _class_with(plain, frozenset(_lists(module)))
    else:
        raise ValueError(
            f"Module '{module}' does not have a parameter, a buffer, or a parametrized element with name '{tensor_name}'"
        )
    return module


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether the tensor, or any tensor of `module`, has a parametrization.

    Raises: nothing: False for anything but a module.

    >>> torch.nn.utils.parametrize.is_parametrized(torch.nn.Linear(2, 2))
    False
    """
    lists = getattr(module, "parametrizations", None)
    if not isinstance(lists, ModuleDict):
        return False
    return len(lists) > 0 if tensor_name is None else tensor_name in lists


def remove_parametrizations(module: Module, tensor_name: str, leave_parametrized: bool = True) -> Module:
    """``module.tensor_name = value``, an ordinary tensor again: with its current value, or that of the original unless
    `leave_parametrized`. Returns `module`.

    Shapes: no change.
    Raises: ValueError if it has no parametrization, or if there are several originals and `leave_parametrized` is not set.

    >>> layer = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(2, 2))
    >>> layer = torch.nn.utils.parametrize.remove_parametrizations(layer, "weight")
    >>> [name for name, _ in layer.named_parameters()]
    ['bias', 'weight']
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    several = _lists(module)[tensor_name]
    if several.is_tensor:
        tensor = several.original
        if leave_parametrized:
            with no_grad():
                _replace_memory(tensor, getattr(module, tensor_name))
    elif leave_parametrized:
        tensor = getattr(module, tensor_name)
        tensor = Parameter(tensor) if tensor.requires_grad else tensor
    else:
        raise ValueError(
            "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is parametrized in terms of a sequence of "
            "tensors."
        )
    plain = type_before_parametrizations(module)
    del _lists(module)[tensor_name]
    module.__class__ = _class_with(plain, frozenset(_lists(module))) if _lists(module) else plain
    _register(module, tensor_name, tensor)
    if not is_parametrized(module):
        delattr(module, "parametrizations")
    return module


def type_before_parametrizations(module: Module) -> type:
    """The class that `module` had before it was parametrized.

    Raises: nothing: another object has its own class.

    >>> layer = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(2, 2))
    >>> type(layer).__name__, torch.nn.utils.parametrize.type_before_parametrizations(layer).__name__
    ('ParametrizedLinear', 'Linear')
    """
    return type(module).__bases__[0] if is_parametrized(module) else type(module)


def transfer_parametrizations_and_params(from_module: Module, to_module: Module, tensor_name: str | None = None) -> Module:
    """Give `to_module` the parametrizations of `from_module`, all or one tensor's, with their originals. Returns `to_module`.

    Raises: AttributeError if `from_module` is parametrized and `to_module` lacks the tensor.

    >>> layer, other = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(2, 2)), torch.nn.Linear(2, 2)
    >>> torch.nn.utils.parametrize.is_parametrized(torch.nn.utils.parametrize.transfer_parametrizations_and_params(layer, other))
    True
    """
    if not is_parametrized(from_module):
        return to_module
    for name in list(_lists(from_module)) if tensor_name is None else [tensor_name]:
        if not hasattr(to_module, name):
            setattr(to_module, name, Parameter(getattr(from_module, name)))
        source: Any = _lists(from_module)[name]
        for parametrization in source:
            register_parametrization(to_module, name, parametrization)
        for original in source._names():
            setattr(_lists(to_module)[name], original, getattr(source, original))
    return to_module


# ------------------------------------------------------------------------------------------------ helpers


def _lists(module: Module) -> ModuleDict:
    lists: ModuleDict = module.parametrizations
    return lists


def _register(module: Module, name: str, tensor: Tensor) -> None:
    if isinstance(tensor, Parameter):
        module.register_parameter(name, tensor)
    else:
        module.register_buffer(name, tensor)


def _replace_memory(original: Tensor, value: Tensor) -> None:
    """Make `original`, which optimizers hold, share the memory of `value`."""
    with no_grad():
        original.set_(value)


def _check_kept(result: object, dtype: _dtypes.dtype, shape: Shape) -> None:
    if not isinstance(result, Tensor):
        raise ValueError(f"A parametrization must return a tensor. Got {type(result).__name__}.")
    if result.dtype != dtype:
        raise ValueError(_CHANGES.format(what="dtype", old=dtype, new=result.dtype))
    if result.shape != shape:
        raise ValueError(_CHANGES.format(what="shape", old=shape, new=result.shape))


def _check_next(tensor: Tensor, parametrization: Module) -> None:
    """Check that an additional parametrization and its inverse preserve the shape and type of `tensor`."""
    result = parametrization(tensor)
    _check_kept(result, tensor.dtype, tensor.shape)
    if hasattr(parametrization, "right_inverse"):
        with contextlib.suppress(NotImplementedError):
            result = parametrization.right_inverse(result)
            if not isinstance(result, Tensor):
                raise ValueError(f"parametrization.right_inverse must return a tensor. Got: {type(result).__name__}")
            _check_kept(result, tensor.dtype, tensor.shape)


def _computed(name: str) -> property:
    """A property: the parametrized tensor `name`."""

    def get(module: Module) -> Tensor:
        several = module.parametrizations[name]
        if not _caching:
            return several()
        key = (id(module), name)
        if key not in _cache:
            _cache[key] = several()
        return _cache[key]

    def set_original(module: Module, value: Tensor) -> None:
        module.parametrizations[name].right_inverse(value)

    return property(get, set_original)


def _class_with(plain: type, names: frozenset[str]) -> type:
    """The subclass of `plain` on which `names` are properties. Created once and cached on `plain`: each class is a reference
    cycle.
    """
    if "_parametrized_classes" not in plain.__dict__:
        setattr(plain, "_parametrized_classes", {})  # noqa: B010
    classes: dict[frozenset[str], type] = plain.__dict__["_parametrized_classes"]
    if names not in classes:
        classes[names] = _subclass_with(plain, names)
    return classes[names]


def _subclass_with(plain: Any, names: frozenset[str]) -> type:
    def __getstate__(self: Module) -> NoReturn:
        raise RuntimeError("Serialization of parametrized modules is only supported through state_dict().")

    def __deepcopy__(self: Module, memo: dict[int, object]) -> Any:
        if id(self) not in memo:
            memo[id(self)] = replica = Module.__new__(type(self))
            replica.__setstate__(copy.deepcopy(plain.__getstate__(self), memo))
        return memo[id(self)]

    members: dict[str, Any] = {"__getstate__": __getstate__}
    if not hasattr(plain, "__deepcopy__"):
        members["__deepcopy__"] = __deepcopy__
    return type(f"Parametrized{plain.__name__}", (plain,), members | {name: _computed(name) for name in names})
