"""PyTorch's eager CPU library, written from scratch in NumPy: ``import mini_dl as torch``."""

from importlib import import_module as _import_module
from math import e, inf, nan, pi
from typing import TYPE_CHECKING as _TYPE_CHECKING

from mini_dl._importing import quickly as _quickly

with _quickly():
    from mini_dl import (
        _C,
        _printing,
        autograd,
        nn,
        ops,
        overrides,
        random,
    )
    from mini_dl._arguments import asking as _asking
    from mini_dl._device import device
    from mini_dl._dtypes import (
        bfloat16,
        bool,
        can_cast,
        cdouble,
        cfloat,
        complex64,
        complex128,
        double,
        dtype,
        finfo,
        float,
        float16,
        float32,
        float64,
        get_default_dtype,
        half,
        iinfo,
        int,
        int8,
        int16,
        int32,
        int64,
        long,
        promote_types,
        set_default_dtype,
        short,
        uint8,
        uint16,
        uint32,
        uint64,
    )
    from mini_dl._surface import namespace as _namespace
    from mini_dl.autograd import (
        enable_grad,
        inference_mode,
        is_grad_enabled,
        is_inference_mode_enabled,
        no_grad,
        set_grad_enabled,
    )
    from mini_dl.kernels.parallel import get_num_threads, set_num_threads
    from mini_dl.standins import attach as _attach
    from mini_dl.tensor import Size, Tensor, typename

    globals().update(_asking(_namespace("torch"), __name__))
    _attach()

if _TYPE_CHECKING:  # loaded on first use, per the tables of names (`standins`)
    from mini_dl import amp, distributions, fft, func, linalg, masked, optim, serialization, signal, special, utils
    from mini_dl.amp.autocast_mode import (
        autocast,
        autocast_decrement_nesting,
        autocast_increment_nesting,
        clear_autocast_cache,
        get_autocast_cpu_dtype,
        get_autocast_dtype,
        get_autocast_gpu_dtype,
        get_autocast_ipu_dtype,
        get_autocast_xla_dtype,
        is_autocast_cache_enabled,
        is_autocast_cpu_enabled,
        is_autocast_enabled,
        is_autocast_ipu_enabled,
        is_autocast_xla_enabled,
        set_autocast_cache_enabled,
        set_autocast_cpu_dtype,
        set_autocast_cpu_enabled,
        set_autocast_dtype,
        set_autocast_enabled,
        set_autocast_gpu_dtype,
        set_autocast_ipu_dtype,
        set_autocast_ipu_enabled,
        set_autocast_xla_dtype,
        set_autocast_xla_enabled,
    )
    from mini_dl.amp.grad_scaler import GradScaler
    from mini_dl.serialization import load, save

__version__ = "0.1.0"
newaxis = None
