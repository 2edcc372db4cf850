"""torch's numeric and process settings: stored and reported as in torch. Regardless of them, computations here are
deterministic, in full precision and on the CPU."""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mini_dl import _dtypes
from mini_dl._checks import Told, warn_once
from mini_dl._device import CPU, META, creation, device, is_meta, layout

PRECISIONS = ("highest", "high", "medium")
MODES = ("default", "warn", "error")


class _Settings:
    deterministic = False
    warn_only = False
    precision = "highest"
    interop_threads = os.cpu_count() or 1
    fill_uninitialized_memory = True
    fastpath = True


state = _Settings()


def _bool(value: object, name: str) -> bool:
    if not isinstance(value, bool):
        raise RuntimeError(f"{name} expects a bool, but got {type(value).__name__}")
    return value


jagged, mkldnn_layout = layout("jagged"), layout("_mkldnn")
"""Layouts that no tensor can have here."""

# ------------------------------------------------------------------------------------------------ deterministic results


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Request deterministic algorithms: all algorithms here are deterministic, so nothing changes."""
    for name, value in (("mode", mode), ("warn_only", warn_only)):
        if not isinstance(value, bool):
            position = " (position 1)" if name == "mode" else ""
            kind = type(value).__name__
            raise TypeError(f"_set_deterministic_algorithms(): argument '{name}'{position} must be bool, not {kind}")
    state.deterministic, state.warn_only = mode, warn_only


def are_deterministic_algorithms_enabled() -> bool:
    """Whether `use_deterministic_algorithms` requested them."""
    return state.deterministic


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """Whether `use_deterministic_algorithms` requested warnings instead of errors."""
    return state.warn_only


def set_deterministic_debug_mode(debug_mode: int | str) -> None:
    """`use_deterministic_algorithms` by number or name: 0 "default", 1 "warn", 2 "error"."""
    if not isinstance(debug_mode, (int, str)):
        raise TypeError(f"debug_mode must be str or int, but got {type(debug_mode)}")
    if isinstance(debug_mode, str):
        if debug_mode not in MODES:
            raise RuntimeError(f"invalid value of debug_mode, expected one of `default`, `warn`, `error`, but got {debug_mode}")
        debug_mode = MODES.index(debug_mode)
    if debug_mode not in (0, 1, 2):
        raise RuntimeError(f"invalid value of debug_mode, expected 0, 1, or 2, but got {debug_mode}")
    use_deterministic_algorithms(debug_mode > 0, warn_only=debug_mode == 1)


def get_deterministic_debug_mode() -> int:
    """0, 1 or 2: "default", "warn" or "error"."""
    return (1 if state.warn_only else 2) if state.deterministic else 0


# ------------------------------------------------------------------------------------------------ precision


def set_float32_matmul_precision(precision: str) -> None:
    """Allow matrix products of less than full precision: "highest", "high" or "medium". All are computed in full precision
    here.
    """
    if not isinstance(precision, str):
        raise RuntimeError(f"set_float32_matmul_precision expects a str, but got {type(precision).__name__}")
    if precision not in PRECISIONS:
        warnings.warn(
            f"{precision} is not one of 'highest', 'high', or 'medium'; the current setFloat32MatmulPrecision call has no "
            "effect.",
            stacklevel=2,
        )
        return
    state.precision = precision


def get_float32_matmul_precision() -> str:
    """The setting of `set_float32_matmul_precision`; by default "highest"."""
    return state.precision


def set_flush_denormal(mode: bool) -> bool:
    """False: denormal numbers are kept, as on processors for which torch returns False."""
    _bool(mode, "flush_denormal")
    return False


# ------------------------------------------------------------------------------------------------ warnings and threads


def set_warn_always(b: bool) -> None:
    """Whether warnings that come once in a process come at each call."""
    Told.again = _bool(b, "setWarnOnlyOnce")


def is_warn_always_enabled() -> bool:
    """What `set_warn_always` set."""
    return Told.again


def get_num_interop_threads() -> int:
    """The number of processors, or the setting of `set_num_interop_threads`. Operations here do not run concurrently."""
    return state.interop_threads


def set_num_interop_threads(num: int) -> None:
    """Store the number. RuntimeError unless it is positive."""
    if not isinstance(num, int):
        raise RuntimeError(f"set_num_interop_threads expects an int, but got {type(num).__name__}")
    if num <= 0:
        raise RuntimeError("set_num_interop_threads expects a positive integer")
    state.interop_threads = num


# ------------------------------------------------------------------------------------------------ devices and types


def set_default_device(device: Any) -> None:
    """Set the device of new tensors of this thread: the CPU or meta; None is the CPU too."""
    creation.default = META if device is not None and is_meta(device) else None


def get_device_module(device: object = None) -> Any:
    """``torch.cpu`` for None and the CPU, ``torch.cuda`` for a CUDA device, and so on.

    RuntimeError if there is no such module.
    """
    if device is None:
        name = "cpu"
    elif isinstance(device, (str, type(CPU))):
        name = _type(device)
    else:
        raise RuntimeError(f"Invalid value of device '{device}', expect torch.device, str, or None")
    if name not in ("cpu", "cuda", "xpu", "mps", "mtia"):
        raise RuntimeError(f"Device '{name}' does not have a corresponding module registered as 'torch.{name}'.")
    return importlib.import_module(f"mini_dl.{name}")


def _type(where: object) -> str:
    return device(where).type


def set_default_tensor_type(t: object) -> None:
    """The older spelling of `set_default_dtype`: by the name or the class of a tensor type, such as ``torch.DoubleTensor``.

    Raises: TypeError for anything but a floating point type; ValueError for an unknown name.

    >>> import warnings; warnings.simplefilter("ignore")
    >>> torch.set_default_tensor_type(torch.FloatTensor)
    >>> torch.get_default_dtype()
    torch.float32
    """
    warn_once(
        "torch.set_default_tensor_type() is deprecated as of PyTorch 2.1, please use torch.set_default_dtype() and "
        "torch.set_default_device() as alternatives."
    )
    name = t if isinstance(t, str) else getattr(t, "__name__", "")
    if isinstance(t, str) and t.startswith("torch.cuda."):
        raise TypeError(f"type {t} not available. Torch not compiled with CUDA enabled.")
    kinds = {
        "DoubleTensor": _dtypes.float64, "FloatTensor": _dtypes.float32, "HalfTensor": _dtypes.float16, "Tensor": _dtypes.float32,
    }  # fmt: skip
    if not name.endswith("Tensor"):
        raise TypeError("invalid type object: only floating-point types are supported as the default type")
    kind = kinds.get(name.rpartition(".")[2])
    if kind is None:
        raise TypeError("only floating-point types are supported as the default type")
    _dtypes.set_default_dtype(kind)


# ------------------------------------------------------------------------------------------------ attention


def get_fastpath_enabled() -> bool:
    """What `set_fastpath_enabled` set."""
    return state.fastpath


def set_fastpath_enabled(value: bool) -> None:
    """Allow the fast path of attention in inference, which gives the same results here."""
    state.fastpath = value


KERNELS = {"flash": True, "math": True, "mem_efficient": True, "cudnn": True}
"""The allowed kernels of attention. There is only one here, equivalent to all of them."""


def kernels_allowed(**changes: bool) -> dict[str, bool]:
    """Allow or forbid kernels, and return the previous setting."""
    before = dict(KERNELS)
    KERNELS.update({name: bool(value) for name, value in changes.items()})
    return before


def enable_flash_sdp(enabled: bool) -> None:
    """Stored without effect."""
    kernels_allowed(flash=enabled)


def enable_math_sdp(enabled: bool) -> None:
    """Stored without effect."""
    kernels_allowed(math=enabled)


def enable_mem_efficient_sdp(enabled: bool) -> None:
    """Stored without effect."""
    kernels_allowed(mem_efficient=enabled)


def enable_cudnn_sdp(enabled: bool) -> None:
    """Stored without effect."""
    kernels_allowed(cudnn=enabled)


def flash_sdp_enabled() -> bool:
    """What `enable_flash_sdp` set."""
    return KERNELS["flash"]


def math_sdp_enabled() -> bool:
    """What `enable_math_sdp` set."""
    return KERNELS["math"]


def mem_efficient_sdp_enabled() -> bool:
    """What `enable_mem_efficient_sdp` set."""
    return KERNELS["mem_efficient"]


def cudnn_sdp_enabled() -> bool:
    """What `enable_cudnn_sdp` set."""
    return KERNELS["cudnn"]


@contextmanager
def sdp_kernel(
    enable_flash: bool = True, enable_math: bool = True, enable_mem_efficient: bool = True, enable_cudnn: bool = True
) -> Iterator[None]:
    """A context in which these kernels of attention are allowed. Deprecated in favor of ``torch.nn.attention.sdpa_kernel``."""
    warnings.warn(
        "`torch.backends.cuda.sdp_kernel()` is deprecated. In the future, this context manager will be removed. Please see "
        "`torch.nn.attention.sdpa_kernel()` for the new context manager, with updated signature.",
        FutureWarning,
        stacklevel=3,
    )
    before = kernels_allowed(flash=enable_flash, math=enable_math, mem_efficient=enable_mem_efficient, cudnn=enable_cudnn)
    try:
        yield
    finally:
        kernels_allowed(**before)


# ------------------------------------------------------------------------------------------------ libraries


class Options:
    """Attributes of a library that torch is built with. They are stored without effect; others raise an error."""

    def __init__(self, **values: object) -> None:
        vars(self).update(values)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"Unknown attribute {name}")

    def __setattr__(self, name: str, value: object) -> None:
        if name not in vars(self):
            raise AttributeError(f"Unknown attribute {name}")
        vars(self)[name] = value


class _Products(Options):
    """Attributes of matrix products on CUDA, where ``allow_tf32`` is an alias for the precision of products."""

    @property
    def allow_tf32(self) -> bool:
        return state.precision != "highest"

    def __setattr__(self, name: str, value: object) -> None:
        if name == "allow_tf32":
            state.precision = "high" if value else "highest"
        else:
            super().__setattr__(name, value)


cuda_matmul = _Products(
    allow_fp16_reduced_precision_reduction=True,
    allow_bf16_reduced_precision_reduction=True,
    allow_fp16_accumulation=False,
    fp32_precision="none",
)
cudnn_conv, mkldnn_matmul, mkldnn_conv, mkldnn_rnn = [Options(fp32_precision="none") for _ in range(4)]


inductor_triton = Options(
    cudagraphs=False, cudagraph_trees=True, unique_kernel_names=True, cooperative_reductions=False, multi_kernel=0,
    descriptive_names="original_aten", autotune_pointwise=True, persistent_reductions=True,
)  # fmt: skip
inductor_cpp = Options(threads=-1, simdlen=None, weight_prepack=True, enable_kernel_profile=False, vec_isa_ok=None)


def set_flags(module: str, names: str, values: tuple[object, ...], also_none: bool = False) -> tuple[Any, ...]:
    """Set attributes of a module of ``torch.backends``, None only if `also_none`, and return the previous values."""
    settings = importlib.import_module(f"mini_dl.backends.{module}")
    before = tuple(getattr(settings, name) for name in names.split())
    for name, value in zip(names.split(), values):
        if value is not None or also_none:
            setattr(settings, name, value)
    return before


CUDNN = "enabled benchmark benchmark_limit deterministic allow_tf32 fp32_precision depthwise_kernel"
MKLDNN = "enabled deterministic allow_tf32 fp32_precision"


def set_cudnn_flags(
    _enabled: bool | None = None, _benchmark: bool | None = None, _benchmark_limit: int | None = None,
    _deterministic: bool | None = None, _allow_tf32: bool | None = None, _fp32_precision: str = "none",
    _depthwise_kernel: str | None = None,
) -> tuple[Any, ...]:  # fmt: skip
    """Set attributes of ``torch.backends.cudnn`` and return the previous values."""
    values = (_enabled, _benchmark, _benchmark_limit, _deterministic, _allow_tf32, _fp32_precision, _depthwise_kernel)
    return set_flags("cudnn", CUDNN, values)


def set_mkldnn_flags(
    _enabled: bool | None = None, _deterministic: bool | None = None, _allow_tf32: bool | None = None,
    _fp32_precision: str = "none",
) -> tuple[Any, ...]:  # fmt: skip
    """Set attributes of ``torch.backends.mkldnn`` and return the previous values."""
    return set_flags("mkldnn", MKLDNN, (_enabled, _deterministic, _allow_tf32, _fp32_precision))


@contextmanager
def cudnn_flags(
    enabled: bool = False, benchmark: bool = False, benchmark_limit: int = 10, deterministic: bool = False,
    allow_tf32: bool = True, fp32_precision: str = "none", depthwise_kernel: str | None = None,
) -> Iterator[None]:  # fmt: skip
    """A context that sets attributes of ``torch.backends.cudnn``."""
    values = (enabled, benchmark, benchmark_limit, deterministic, allow_tf32, fp32_precision, depthwise_kernel)
    before = set_flags("cudnn", CUDNN, values)
    try:
        yield
    finally:
        set_flags("cudnn", CUDNN, before, also_none=True)


@contextmanager
def mkldnn_flags(
    enabled: bool = False, deterministic: bool = False, allow_tf32: bool = True, fp32_precision: str = "none"
) -> Iterator[None]:
    """A context that sets attributes of ``torch.backends.mkldnn``."""
    before = set_flags("mkldnn", MKLDNN, (enabled, deterministic, allow_tf32, fp32_precision))
    try:
        yield
    finally:
        set_flags("mkldnn", MKLDNN, before, also_none=True)
