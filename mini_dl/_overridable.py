"""The functions that check their arguments for ``__torch_function__``, by place and by name."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable
from typing import Any

import mini_dl as torch
from mini_dl._operators import Overload, Packet
from mini_dl._surface import NAMESPACES
from mini_dl.tensor import Tensor

PLACES: dict[str, Any] = {
    "torch": torch,
    "torch.nn.functional": torch.nn.functional,
    "torch.Tensor": Tensor,
    "torch.linalg": torch.linalg,
    "torch.fft": torch.fft,
    "torch.special": torch.special,
}

NEVER = frozenset(
    "typename is_tensor is_storage set_default_tensor_type set_default_device get_default_device set_rng_state get_rng_state "
    "manual_seed initial_seed seed thread_safe_generator save load set_printoptions fork get_default_dtype "
    "get_num_interop_threads get_num_threads "
    "init_num_threads is_anomaly_enabled is_anomaly_check_nan_enabled is_grad_enabled set_anomaly_enabled "
    "set_flush_denormal set_num_interop_threads set_num_threads wait as_tensor from_numpy tensor set_default_dtype finfo iinfo "
    "arange eye empty full linspace logspace ones zeros rand randn randint randperm range tril_indices triu_indices "
    "bartlett_window blackman_window hamming_window hann_window kaiser_window empty_strided from_file frombuffer "
    "sparse_coo_tensor sparse_csr_tensor sparse_csc_tensor can_cast compiled_with_cxx11_abi no_grad enable_grad "
    "inference_mode set_grad_enabled is_inference_mode_enabled use_deterministic_algorithms compile vmap get_device_module "
    "are_deterministic_algorithms_enabled set_warn_always is_warn_always_enabled autocast_increment_nesting promote_types "
    "broadcast_shapes asarray complex32 fftfreq rfftfreq scalar_tensor set_float32_matmul_precision".split()
)
"""Functions whose arguments are not tensors, or cannot override them."""
UNTOUCHED = frozenset(
    "__new__ __init__ __class__ __subclasshook__ __init_subclass__ __getattribute__ __setattr__ __dir__ __delattr__ __doc__ "
    "__dict__ __module__ __weakref__ __hash__ __slots__ __torch_function__ as_subclass new _make_subclass __annotations__ "
    "__getattr__ __reduce__ __sizeof__".split()
)


@functools.cache
def _known(method: object) -> tuple[dict[Any, list[Any]], dict[Any, str]]:
    """The functions by the object that has them, and their names; `method` is any method of Tensor; they are replaced
    when tensors may override."""
    functions: dict[Any, list[Any]] = {}
    names: dict[Any, str] = {}
    for place, owner in PLACES.items():
        space: Any = NAMESPACES.get(place.removeprefix("torch").removeprefix(".") or "torch")
        listed: Any = vars(owner) if owner is Tensor else space or {}
        for name in sorted(listed):
            value = vars(owner).get(name) if owner is Tensor else getattr(owner, name, None)
            if name in UNTOUCHED or name in NEVER or inspect.isclass(value):
                continue
            if isinstance(value, property):
                functions.setdefault(owner, []).append(getter := value.__get__)
                names.setdefault(getter, f"{place}.{name}.__get__")
            elif inspect.isroutine(value):
                functions.setdefault(owner, []).append(value)
                names.setdefault(value, f"{place}.{name}")
    return functions, names


def get_overridable_functions() -> dict[Any, list[Callable[..., Any]]]:
    """The functions that check their arguments, by module or class."""
    return {owner: list(functions) for owner, functions in _known(Tensor.add)[0].items()}


def resolve_name(f: object) -> str | None:
    """The qualified name of a function: ``torch.add``, ``torch.Tensor.add``, ``torch.Tensor.grad.__get__``. None for others.

    >>> import mini_dl as torch
    >>> torch.overrides.resolve_name(torch.nn.functional.relu)
    'torch.nn.functional.relu'
    """
    return str(f) if isinstance(f, (Overload, Packet)) else _known(Tensor.add)[1].get(f)


def get_testing_overrides() -> dict[Callable[..., Any], Callable[..., Any]]:
    """For each of these functions, one of the same signature that returns -1."""
    return {function: _doing_nothing(function) for functions in _known(Tensor.add)[0].values() for function in functions}


def _doing_nothing(function: Callable[..., object]) -> Callable[..., Any]:
    def nothing(*args: object, **kwargs: object) -> int:
        return -1

    with contextlib.suppress(TypeError, ValueError):  # it may be a getter, or something in C
        nothing.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return nothing


def get_ignored_functions() -> set[Callable[..., Any]]:
    """The public functions that do not check their arguments, mostly because none is a tensor."""
    found = {getattr(torch, name, None) for name in NEVER}
    return {one for one in found if callable(one)} | {Tensor.as_subclass, Tensor.__hash__, Tensor.__new__, Tensor.__init__}
