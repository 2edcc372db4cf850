"""From torch to mini_dl and back: tensors, arguments, names, and functions written against torch."""

from __future__ import annotations

import builtins
import functools
import types
from copy import deepcopy
from typing import Any

import ml_dtypes
import numpy as np
import torch

import mini_dl
from mini_dl.standins.kinds import Absent
from mini_dl.tensor import Tensor, wrap

NUMPY_DTYPES = {
    torch.bool: np.bool_, torch.uint8: np.uint8, torch.int8: np.int8, torch.int16: np.int16, torch.int32: np.int32,
    torch.int64: np.int64, torch.uint16: np.uint16, torch.uint32: np.uint32, torch.uint64: np.uint64,
    torch.float16: np.float16, torch.float32: np.float32, torch.float64: np.float64,
    torch.complex64: np.complex64, torch.complex128: np.complex128, torch.bfloat16: ml_dtypes.bfloat16,
}  # fmt: skip
PLAIN = frozenset((bool, int, float, str, type(None)))
"""Types that both libraries have, without a look at all the others."""
FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType)
DOUBLE = {
    torch.bfloat16: torch.float64, torch.float16: torch.float64, torch.float32: torch.float64, torch.complex64: torch.complex128
}  # fmt: skip


class NotApplicable(Exception):
    """Something mini_dl omits on purpose: sparse, quantized, another device."""


class Missing(Exception):
    """A public name of torch that mini_dl does not have yet."""


def name_of(dtype: Any) -> str:
    """``float32`` for either library's float32."""
    return str(dtype).removeprefix("torch.")


# ------------------------------------------------------------------------------------------------ arguments


def walk(value: Any, convert: Any) -> Any:
    """`value` with `convert` applied to everything that is not a container."""
    if type(value) is torch.Tensor:
        return convert(value)
    if type(value) in (list, tuple):
        return type(value)(walk(item, convert) for item in value)
    if isinstance(value, dict):
        return {key: walk(item, convert) for key, item in value.items()}
    if isinstance(value, torch.nn.utils.rnn.PackedSequence):
        packed = type(value) if convert.__qualname__.startswith("copy") else lookup("nn.utils.rnn.PackedSequence")
        return packed(*(walk(item, convert) for item in value))
    return convert(value)


def tensors(value: Any) -> list[Any]:
    """All tensors (of either library) within nested containers, in order."""
    if isinstance(value, (torch.Tensor, Tensor)):
        return [value]
    if isinstance(value, (list, tuple)):
        return [tensor for item in value for tensor in tensors(item)]
    if isinstance(value, dict):
        return [tensor for item in value.values() for tensor in tensors(item)]
    return []


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.dtype not in NUMPY_DTYPES:
        raise NotApplicable(f"{tensor.layout} {tensor.dtype}")
    if not tensor.is_cpu:
        raise NotApplicable(f"device {tensor.device}")
    if tensor._is_zerotensor():
        return torch.zeros(tensor.shape, dtype=tensor.dtype)
    return tensor.detach().resolve_conj().resolve_neg()


def copy(value: Any, memo: dict[Any, Any] | None = None, double: bool = False, absolute: bool = False) -> Any:
    """torch arguments with fresh leaves of the same strides; a tensor passed twice remains one tensor. `double`: in float64;
    `absolute`: all numbers made positive.
    """
    memo = {} if memo is None else memo

    def convert(item: Any) -> Any:
        if isinstance(item, torch.Tensor):
            if id(item) not in memo:
                memo[id(item)] = _copy_tensor(item, memo, double, absolute), item
            return memo[id(item)][0]
        if isinstance(item, torch.Generator):
            return item.clone_state()
        if isinstance(item, torch.nn.Module):
            return deepcopy(item)
        if double and isinstance(item, torch.dtype):
            return DOUBLE.get(item, item)
        if absolute and isinstance(item, (float, complex)):
            return abs(item)
        return item

    return walk(value, convert)


def _kept(plain: torch.Tensor, memo: dict[Any, Any]) -> torch.Tensor:
    """`plain`, alive as long as `memo`: a resolved conjugate has its own memory, whose address must not be reused."""
    memo.setdefault("kept", []).append(plain)
    return plain


def _copy_tensor(tensor: torch.Tensor, memo: dict[Any, Any], double: bool, absolute: bool) -> torch.Tensor:
    plain = _kept(_plain(tensor), memo)
    storage = plain.untyped_storage()
    key = storage.data_ptr(), plain.dtype
    if key not in memo or not key[0]:
        memo[key] = torch.empty(0, dtype=plain.dtype).set_(storage).clone()
        if double and plain.dtype in DOUBLE:
            memo[key] = memo[key].to(DOUBLE[plain.dtype])
        if absolute and plain.dtype.is_floating_point:
            memo[key] = memo[key].abs()
        elif absolute and plain.dtype.is_complex:
            memo[key] = memo[key].abs().to(memo[key].dtype)
    made = memo[key].as_strided(plain.shape, plain.stride(), plain.storage_offset())
    if type(tensor) is not torch.Tensor and isinstance(tensor, torch.nn.Parameter):
        made = torch.nn.Parameter(made, tensor.requires_grad)
    return made.detach().requires_grad_(tensor.requires_grad)


def to_mini(value: Any, memo: dict[Any, Any] | None = None) -> Any:
    """torch arguments as mini_dl's: the same strides, dtypes, requires_grad; a tensor passed twice remains one."""
    memo = {} if memo is None else memo

    def convert(item: Any) -> Any:
        if isinstance(item, torch.Tensor):
            if id(item) not in memo:
                memo[id(item)] = _mini_tensor(item, memo), item
            return memo[id(item)][0]
        if type(item) in PLAIN:
            return item
        if isinstance(item, torch.dtype):
            if item not in NUMPY_DTYPES:
                raise NotApplicable(str(item))
            return getattr(mini_dl, name_of(item))
        if isinstance(item, torch.Size):
            return mini_dl.Size(item)
        if isinstance(item, torch.device):
            return mini_dl.device(str(item))
        if isinstance(item, (torch.layout, torch.memory_format)):
            name = str(item).removeprefix("torch.")
            if isinstance(item, torch.layout) and item is not torch.strided:
                raise NotApplicable(str(item))
            return lookup(name)
        if isinstance(item, torch.Generator):
            made = lookup("Generator")()
            made.manual_seed(item.initial_seed())
            return made
        if isinstance(item, FUNCTIONS) and (item.__module__ or "").startswith("torch"):
            return translate(item)
        if isinstance(item, torch.nn.Module):
            return to_mini_module(item)
        return item

    return walk(value, convert)


def _mini_tensor(tensor: torch.Tensor, memo: dict[Any, Any]) -> Tensor:
    plain = _kept(_plain(tensor), memo)
    if plain.ndim > 64:
        raise NotApplicable("a NumPy array has at most 64 dimensions")
    dtype, storage = np.dtype(NUMPY_DTYPES[plain.dtype]), plain.untyped_storage()
    key = storage.data_ptr()
    if key not in memo or not key:
        memo[key] = np.frombuffer(bytearray(torch.empty(0, dtype=torch.uint8).set_(storage).numpy()), np.uint8)
    strides = [stride * dtype.itemsize for stride in plain.stride()]
    if plain.numel() and len(memo[key]):
        array = np.ndarray(tuple(plain.shape), dtype, memo[key], plain.storage_offset() * dtype.itemsize, strides)
    else:
        array = np.empty(tuple(plain.shape), dtype)
    if any(stride == 0 and size > 1 for size, stride in zip(plain.shape, plain.stride())):
        array.flags.writeable = False
    made = wrap(array)
    if plain.dtype is torch.bfloat16:
        mini_dl.bfloat16.numpy  # noqa: B018  # from now on the type is used
    if type(tensor) is not torch.Tensor and isinstance(tensor, torch.nn.Parameter):
        made = mini_dl.nn.Parameter(made, tensor.requires_grad)
    if tensor.requires_grad:
        made.requires_grad_()
    return made


def to_mini_module(module: torch.nn.Module) -> Any:
    """A mini_dl module with the class, settings, state and mode of a torch one."""
    cls = lookup("nn." + type(module).__name__)
    if hasattr(module, "self_attn"):  # a layer of a Transformer
        made = cls(
            module.self_attn.embed_dim,
            module.self_attn.num_heads,
            module.linear1.out_features,
            module.dropout.p,
            to_mini(module.activation),
            module.norm1.eps,
            module.self_attn.batch_first,
            module.norm_first,
            module.linear1.bias is not None,
        )
    else:
        made = eval(repr(module), {type(module).__name__: cls})
    first = next(iter(module.parameters()), None)
    if first is not None and first.dtype is not torch.float32:
        made = made.to(to_mini(first.dtype))
    made.load_state_dict({name: to_mini(tensor) for name, tensor in module.state_dict().items()})
    return made.train(module.training)


def array(tensor: Any) -> Any:
    """The values of a tensor of either library as a NumPy array."""
    if str(tensor.layout).startswith("torch.sparse"):
        tensor = tensor.detach().to_dense()
    if not isinstance(tensor, torch.Tensor):
        return tensor._array
    plain = _plain(tensor)
    if plain.dtype is torch.bfloat16:  # which torch does not hand to NumPy
        return plain.contiguous().view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return plain.numpy()


# ------------------------------------------------------------------------------------------------ names


def lookup(name: str) -> Any:
    """mini_dl's object for a dotted name below torch: ``nn.functional.relu``. Raises Missing if there is none."""
    found: Any = mini_dl
    for part in name.split("."):
        found = getattr(found, part, None)
        if found is None or isinstance(found, Absent):
            raise Missing(f"torch.{name}")
    return found


def translate(function: Any) -> Any:
    """mini_dl's function for one of torch's; a function from torch's test tables runs with mini_dl in place of torch."""
    if isinstance(function, functools.partial):
        return functools.partial(translate(function.func), *to_mini(function.args), **to_mini(function.keywords))
    if isinstance(function, types.FunctionType) and function.__module__.startswith("torch.testing"):
        return transplant(function)
    if function in (getattr(builtins, name) for name in dir(builtins) if name.islower()):
        return function
    name = torch.overrides.resolve_name(function)
    if name is None and isinstance(function, types.FunctionType):
        name = f"{function.__module__}.{function.__qualname__}"
    spelled = [name.replace("torch.functional.", "torch.")] if name else []
    if getattr(torch, getattr(function, "__name__", "?"), None) is function:
        spelled.append(f"torch.{function.__name__}")
    for found in spelled:
        if found.startswith("torch."):
            try:
                return lookup(found.removeprefix("torch."))
            except Missing:
                continue
    raise Missing(name or repr(function))


class Facade:
    """mini_dl, or a part of it, in place of torch: a name it lacks raises Missing."""

    def __init__(self, path: str = "") -> None:
        self.path = path

    def __getattr__(self, name: str) -> Any:
        path = f"{self.path}.{name}".lstrip(".")
        found = lookup(path)
        return Facade(path) if isinstance(found, types.ModuleType) else found


def transplant(function: types.FunctionType) -> Any:
    """`function` from torch's test tables, run over mini_dl: those of its globals that are torch's become mini_dl's."""
    names = code_names(function.__code__)
    for name in names:
        known = name == "name" or any(hasattr(place, name) for place in (Tensor, mini_dl, mini_dl.linalg))
        if not name.startswith("__") and hasattr(torch.Tensor, name) and not known:
            raise Missing(f"torch.Tensor.{name}")
    table = dict(function.__globals__)
    for name in names:
        value = table.get(name)
        if isinstance(value, types.ModuleType) and value.__name__.split(".")[0] == "torch":
            table[name] = Facade(value.__name__.removeprefix("torch").lstrip("."))
        elif isinstance(value, types.FunctionType) and value is not function and value.__module__.startswith("torch"):
            table[name] = seeded if name == "wrapper_set_seed" else translate(value)
    closure = function.__closure__
    if closure:
        closure = tuple(
            types.CellType(translate(cell.cell_contents)) if isinstance(cell.cell_contents, FUNCTIONS) else cell
            for cell in closure
        )
    made = types.FunctionType(function.__code__, table, function.__name__, function.__defaults__, closure)
    made.__kwdefaults__ = function.__kwdefaults__
    return made


def seeded(function: Any, *args: Any, **kwargs: Any) -> Any:
    """Run a random op as torch's tables do, with seed 42."""
    mini_dl.manual_seed(42)
    return function(*args, **kwargs)


def code_names(code: types.CodeType) -> set[str]:
    """All names that a function and its nested functions look up."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= code_names(constant)
    return names


def seed_the_generator(number: Any) -> torch.Generator:
    """``torch.manual_seed``, but only of the CPU's generator: for each kind of device that is not here torch would also note the
    seed, with a text of the whole stack, which takes most of the time of a comparison.
    """
    return torch.default_generator.manual_seed(int(number))


torch.random._manual_seed_impl = seed_the_generator


def seed(number: int) -> None:
    """Seed both libraries with the same seed."""
    seed_the_generator(number)
    if hasattr(mini_dl, "manual_seed"):
        mini_dl.manual_seed(number)
