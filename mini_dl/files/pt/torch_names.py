"""torch's names of the classes and functions of this library, used in whole pickled modules, optimizers and schedules.

Most files of this library have the same paths as in torch; `MOVED` lists the others. Paths are written and read by these rules,
so that whole objects can be exchanged both ways.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import types
from typing import Any

from mini_dl._surface import namespace

MOVED = {
    "mini_dl._device.device": "torch.device",
    "mini_dl._device.layout": "torch.layout",
    "mini_dl._device.memory_format": "torch.memory_format",
    "mini_dl._dtypes.dtype": "torch.dtype",
    "mini_dl._dtypes.finfo": "torch.finfo",
    "mini_dl._dtypes.iinfo": "torch.iinfo",
    "mini_dl._events.Event": "torch.Event",
    "mini_dl._events.Stream": "torch.Stream",
    "mini_dl._jit.Error": "torch.jit.Error",
    "mini_dl._jit.ScriptFunction": "torch.jit.ScriptFunction",
    "mini_dl._jit.ScriptModule": "torch.ScriptModule",
    "mini_dl._symbols.classproperty": "torch._utils.classproperty",
    "mini_dl.autograd.anomaly.detect_anomaly": "torch.autograd.anomaly_mode.detect_anomaly",
    "mini_dl.autograd.anomaly.set_detect_anomaly": "torch.autograd.anomaly_mode.set_detect_anomaly",
    "mini_dl.autograd.backwards.backward": "torch.autograd.backward",
    "mini_dl.autograd.backwards.grad": "torch.autograd.grad",
    "mini_dl.autograd.graph.Handle": "torch.utils.hooks.RemovableHandle",
    "mini_dl.autograd.graph.SavedTensor": "torch._C._autograd.SavedTensor",
    "mini_dl.autograd.mode.enable_grad": "torch.autograd.grad_mode.enable_grad",
    "mini_dl.autograd.mode.inference_mode": "torch.autograd.grad_mode.inference_mode",
    "mini_dl.autograd.mode.no_grad": "torch.autograd.grad_mode.no_grad",
    "mini_dl.autograd.mode.set_grad_enabled": "torch.autograd.grad_mode.set_grad_enabled",
    "mini_dl.distributed.data_parallel.DistributedDataParallel": "torch.nn.parallel.distributed.DistributedDataParallel",
    "mini_dl.kernels.mersenne.Generator": "torch._C.Generator",
    "mini_dl.nn.modules.attention.MultiheadAttention": "torch.nn.modules.activation.MultiheadAttention",
    "mini_dl.nn.modules.hooked_call.WithModule": "torch.nn.modules.module._WrappedHook",
    "mini_dl.nn.modules.pixelshuffle.ChannelShuffle": "torch.nn.modules.channelshuffle.ChannelShuffle",
    "mini_dl.nn.parallel.DataParallel": "torch.nn.parallel.data_parallel.DataParallel",
    "mini_dl.nn.utils.clip_grad.clip_grads_with_norm_": "torch.nn.utils.clip_grad._clip_grads_with_norm_",
    "mini_dl.nn.utils.clip_grad.get_total_norm": "torch.nn.utils.clip_grad._get_total_norm",
    "mini_dl.ops.attributes.UntypedStorage": "torch.storage.UntypedStorage",
    "mini_dl.ops.storages.TypedStorage": "torch.storage.TypedStorage",
    "mini_dl.optim.adagrad.Adadelta": "torch.optim.adadelta.Adadelta",
    "mini_dl.optim.adagrad.RMSprop": "torch.optim.rmsprop.RMSprop",
    "mini_dl.optim.adam.AdamW": "torch.optim.adamw.AdamW",
    "mini_dl.optim.adam.Adamax": "torch.optim.adamax.Adamax",
    "mini_dl.optim.adam.NAdam": "torch.optim.nadam.NAdam",
    "mini_dl.optim.adam.RAdam": "torch.optim.radam.RAdam",
    "mini_dl.optim.adam.SparseAdam": "torch.optim.sparse_adam.SparseAdam",
    "mini_dl.optim.cycles.CyclicLR": "torch.optim.lr_scheduler.CyclicLR",
    "mini_dl.optim.cycles.OneCycleLR": "torch.optim.lr_scheduler.OneCycleLR",
    "mini_dl.optim.matrices.Adafactor": "torch.optim.Adafactor",
    "mini_dl.optim.matrices.Muon": "torch.optim.Muon",
    "mini_dl.optim.schedule.LRScheduler": "torch.optim.lr_scheduler.LRScheduler",
    "mini_dl.optim.sgd.ASGD": "torch.optim.asgd.ASGD",
    "mini_dl.profiler.DeviceType": "torch._C._autograd.DeviceType",
    "mini_dl.profiler.ProfilerActivity": "torch._C._profiler.ProfilerActivity",
    "mini_dl.tensor.Size": "torch.Size",
    "mini_dl.tensor.Tensor": "torch.Tensor",
    "mini_dl.utils.data.collate.default_collate": "torch.utils.data._utils.collate.default_collate",
    "mini_dl.utils.data.collate.default_convert": "torch.utils.data._utils.collate.default_convert",
    "mini_dl.utils.data.worker.get_worker_info": "torch.utils.data._utils.worker.get_worker_info",
}
"""The names that are not simply those of this library prefixed with ``torch``."""
BACK = {theirs: ours for ours, theirs in MOVED.items()}
OWN = ("mini_dl.models", "mini_dl.datasets", "mini_dl.textbook", "mini_dl.utils.viz", "mini_dl.files", "mini_dl.kernels")
"""What torch does not have."""
PRIVATE = ("mini_dl._", "mini_dl.ops", "mini_dl.tensor")
"""Where public functions with another public path are defined."""
BUILT_IN = {
    "torch._C._nn": ("nn.functional", ""),
    "torch._C._special": ("special", "special_"),
    "torch._C._linalg": ("linalg", "linalg_"),
    "torch._C._fft": ("fft", "fft_"),
}
"""Where torch has functions written in C++, as in their pickles: the namespace here, and the prefix of names there."""
RENAMED = {"log_sigmoid": "logsigmoid"}
ABSENT = {
    **dict.fromkeys(
        (
            "torch.ao.",
            "torch.nn.quantized.",
            "torch.nn.quantizable.",
            "torch.nn.qat.",
            "torch.nn.intrinsic.",
            "torch.quantization.",
        ),
        "mini_dl has no quantized modules; save the one in floating point",
    ),
    "torch.jit.": "mini_dl has no TorchScript; save the module that was scripted, or its state_dict",
    "torch.fx.": "mini_dl has no graphs of torch.fx; save the module that was traced, or its state_dict",
    "torch._dynamo.": "a compiled module is saved as the module it was made from (its _orig_mod)",
}
"""Parts of torch that are absent, and what to do instead."""
FUNCTIONS_OF_TORCH = "torch._C._VariableFunctionsClass"
"""The class whose attributes torch's pickles of functions name."""


def name_in_torch(value: object) -> tuple[str, str] | None:
    """The module and the name that torch has for a class or function of this library; None for any other object."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str) or module.partition(".")[0] != "mini_dl":
        return None
    moved = MOVED.get(f"{module}.{name}")
    if moved is not None:
        where, _, name = moved.rpartition(".")
        return where, name
    if module.startswith(PRIVATE):  # its public path, if it has one
        return next(((f"torch.{p}" if p else "torch", n) for n, p in _published().get(id(value), ())), None)
    if module.startswith(OWN) or "." in name:
        return None
    return "torch" + module[7:], name


@functools.cache
def _published() -> dict[int, list[tuple[str, str]]]:
    """By the identity of a function: its names, and the part of torch that has them."""
    found: dict[int, list[tuple[str, str]]] = {}
    for place in ("", "nn.functional", "special", "linalg", "fft"):
        for name, value in namespace(place or "torch").items():
            found.setdefault(id(value), []).append((name, place))
    return found


def paths_of(value: Any) -> set[str]:
    """The full names under which files may have this class or function."""
    named = name_in_torch(value)
    own = f"{value.__module__}.{value.__qualname__}"
    return {own} if named is None else {own, ".".join(named)}


def found_here(module: str, name: str) -> Any:
    """The class or function of this library with this name in torch. AttributeError if there is none."""
    path = f"{module}.{name}"
    if module in BUILT_IN:
        place, prefix = BUILT_IN[module]
        known = namespace(place)
        short = RENAMED.get(name, name).removeprefix(prefix)
        if short in known:
            return known[short]
    elif path == FUNCTIONS_OF_TORCH:
        return types.SimpleNamespace(**namespace("torch"))
    elif path in BACK:
        module, _, name = BACK[path].rpartition(".")
        return getattr(importlib.import_module(module), name)
    if part := next((part for part in ABSENT if f"{module}.".startswith(part)), None):
        raise AttributeError(f"{path} cannot be read: {ABSENT[part]}")
    here = "mini_dl" + module[5:]
    for where in (here, here.rpartition(".")[0]):  # some classes are defined in another file of the same package
        with contextlib.suppress(ImportError, AttributeError):
            return functools.reduce(getattr, name.split("."), importlib.import_module(where or here))
    raise AttributeError(f"{path} cannot be read: mini_dl has nothing of this name")
