"""How autocast works: while it is on, the functions below cast their arguments first.

The state belongs to the thread. The functions are unaware of it until autocast is first turned on: then each is wrapped
in code that checks the state (`prepare`). Until then autocast costs nothing.
"""

from __future__ import annotations

import functools
import inspect
import threading
import types
import weakref
from collections.abc import Callable
from typing import Any

from mini_dl import _dtypes
from mini_dl._device import KNOWN
from mini_dl._dtypes import FLOATING
from mini_dl._signatures import PublicSignature
from mini_dl._surface import namespace
from mini_dl.autograd.mode import mode
from mini_dl.tensor import Tensor

Function = Callable[..., Any]

LOWER = {
    "torch": "addbmm addmm baddbmm bmm chain_matmul lstm matmul mm",
    "nn.functional": "conv1d conv2d conv3d conv_tbc conv_transpose1d conv_transpose2d conv_transpose3d linear prelu "
    "scaled_dot_product_attention",
    "linalg": "multi_dot vecdot",
}
"""Functions computed in the dtype of autocast: torch's list for CPUs, and functions that torch composes from them."""
SINGLE = {
    "torch": "cdist cholesky cholesky_inverse cholesky_solve geqrf grid_sampler grid_sampler_2d grid_sampler_3d inverse lu "
    "lu_solve nanquantile orgqr ormqr pinverse polar prod qr quantile stft svd trace triangular_solve view_as_complex",
    "nn.functional": "adaptive_avg_pool3d adaptive_max_pool3d avg_pool3d binary_cross_entropy binary_cross_entropy_with_logits "
    "cosine_embedding_loss cross_entropy ctc_loss fractional_max_pool2d fractional_max_pool3d grid_sample hinge_embedding_loss "
    "huber_loss kl_div l1_loss margin_ranking_loss max_unpool1d max_unpool2d max_unpool3d mse_loss multi_margin_loss "
    "multilabel_margin_loss nll_loss poisson_nll_loss smooth_l1_loss soft_margin_loss triplet_margin_loss",
    "fft": "fft fft2 fftn hfft ifft ifft2 ifftn ihfft irfft irfft2 irfftn rfft rfft2 rfftn",
    "linalg": "cholesky cholesky_ex cond eig eigh eigvals eigvalsh householder_product inv inv_ex lstsq matrix_rank qr solve "
    "svd svdvals tensorinv tensorsolve",
}
"""Functions computed in float32: torch's list for CPUs."""
WIDEST = {"torch": "cat index_copy stack"}
"""Functions whose arguments are promoted to the widest dtype."""


class State(threading.local):
    """The autocast state of this thread."""

    def __init__(self) -> None:
        self.on: dict[str, bool] = {}  # by kind of device
        self.dtypes: dict[str, _dtypes.dtype] = {}
        self.here = False  # whether arguments are cast now: on for the CPU, and not inside a function that casts
        self.keeps, self.nesting = True, 0
        self.casts: dict[int, tuple[Any, Tensor]] = {}  # of parameters, by their id: a reference to each, and its cast


state = State()

AVAILABLE = {
    "cpu": _dtypes.bfloat16, "cuda": _dtypes.float16, "mtia": _dtypes.float16, "maia": _dtypes.bfloat16,
    "xpu": _dtypes.float16, "ipu": _dtypes.float16, "hpu": _dtypes.bfloat16, "xla": _dtypes.bfloat16,
    "mps": _dtypes.float16, "privateuseone": _dtypes.float16,
}  # fmt: skip
"""The kinds of devices that torch has autocast for, and the dtype for each. Here everything runs on the CPU."""


def kind_of(device_type: str) -> str:
    """The kind of device with this name. RuntimeError for a name that torch does not know."""
    if not isinstance(device_type, str):
        raise TypeError(f"argument 'device_type' (position 1) must be str, not {type(device_type).__name__}")
    kind = device_type.partition(":")[0]
    if kind not in (*KNOWN, *AVAILABLE):
        raise RuntimeError(f"Expected one of {', '.join(KNOWN)} device type at start of device string: {device_type}")
    return kind


def supported(device_type: str) -> str:
    """The same. RuntimeError for a kind of device without autocast."""
    kind = kind_of(device_type)
    if kind not in AVAILABLE:
        raise RuntimeError("unknown device type for autocast in get_autocast_dispatch_key_from_device_type")
    return kind


def turn(kind: str, on: bool) -> None:
    state.on[kind] = on
    mode.casting = any(state.on.values())
    if kind == "cpu":
        state.here = on
        if on:
            prepare()


def dtype_for(kind: str) -> _dtypes.dtype:
    return state.dtypes.get(kind, AVAILABLE[kind])


# ------------------------------------------------------------------------------------------------ casts


def _eligible(value: object) -> bool:
    return isinstance(value, Tensor) and value._array.dtype.kind in FLOATING and value._array.dtype.char != "d"


def cast(value: Any, target: _dtypes.dtype) -> Any:
    """An argument in type `target`: a tensor of floating point numbers other than float64, also in a list."""
    if isinstance(value, (list, tuple)):
        return [cast(one, target) for one in value] if any([isinstance(one, Tensor) for one in value]) else value
    if not _eligible(value) or value.dtype is target:
        return value
    parameter = value.dtype is _dtypes.float32 and value.is_leaf and value.requires_grad and value._base is None
    if not (parameter and state.keeps and target is dtype_for("cpu")):
        return value.to(target)
    known = state.casts.get(id(value))
    # a cast made without a graph would be a constant
    if known is not None and known[0]() is value and (known[1].requires_grad or not mode.enabled):
        return known[1]
    made = value.to(target)
    state.casts[id(value)] = weakref.ref(value), made
    return made


def lower(args: object, kwargs: object) -> _dtypes.dtype:
    return dtype_for("cpu")


def single(args: object, kwargs: object) -> _dtypes.dtype:
    return _dtypes.float32


def single_without_indices(args: Any, kwargs: Any) -> _dtypes.dtype | None:
    """For maximum pooling: torch lists the function that returns no indices."""
    return None if kwargs.get("return_indices") or args[6:7] == (True,) else _dtypes.float32


def single_for_mode(args: Any, kwargs: Any) -> _dtypes.dtype | None:
    """For padding: torch lists reflection and replication, except reflection in three dimensions."""
    kind, pads = [*args[2:3], kwargs.get("mode", "constant")][0], [*args[1:2], kwargs.get("pad", ())][0]
    listed = kind == "replicate" or (kind == "reflect" and len(pads) < 6)
    return _dtypes.float32 if listed else None


def widest(args: Any, kwargs: Any) -> _dtypes.dtype:
    """float32 if one of the tensors has it. RuntimeError for a type that is neither that nor the one of autocast."""
    flat = [one for value in (*args, *kwargs.values()) for one in (value if isinstance(value, (list, tuple)) else (value,))]
    small = found = dtype_for("cpu")
    for one in flat:
        if _eligible(one):
            if _dtypes.float32 in (found, one.dtype):
                found = _dtypes.float32
            elif one.dtype is not small:
                raise RuntimeError("Unexpected floating ScalarType in at::autocast::prioritize")
    return found


def casting(function: Function, policy: Function) -> Function:
    """`function`, which casts its arguments by `policy` while autocast is on. Within it, autocast is off."""

    def call(args: tuple[object, ...], kwargs: dict[str, object]) -> Any:
        target = policy(args, kwargs) if state.here else None
        if target is None:
            return function(*args, **kwargs)
        state.here = False
        try:
            args = tuple([cast(value, target) for value in args])
            return function(*args, **{name: cast(value, target) for name, value in kwargs.items()})
        finally:
            state.here = True

    return call


def leaving_alone(function: Function) -> Function:
    """`function`, which writes into a tensor, so the dtype is fixed: autocast is off within it."""
    takes_out = not function.__name__.endswith("_")

    def call(args: tuple[object, ...], kwargs: dict[str, object]) -> Any:
        if not state.here or (takes_out and kwargs.get("out") is None):
            return function(*args, **kwargs)
        state.here = False
        try:
            return function(*args, **kwargs)
        finally:
            state.here = True

    return call


# ------------------------------------------------------------------------------------------------ the functions learn of it


def _looking(*args: object, _call: Any, **kwargs: object) -> Any:
    return _call(args, kwargs)


def replace(function: Any, make: Callable[[Function], Function]) -> None:
    """Give `function` itself, wherever it is referenced, the code of ``make(function)``."""
    own = types.FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    own.__kwdefaults__ = function.__kwdefaults__
    shown = getattr(function, "__signature__", None)
    if isinstance(shown, PublicSignature):
        shown.settle()
    elif shown is None:
        function.__signature__ = inspect.signature(function)
    function.__kwdefaults__ = {**(function.__kwdefaults__ or {}), "_call": make(own)}
    function.__code__ = _looking.__code__.replace(co_freevars=function.__code__.co_freevars, co_name=function.__name__)


def declared(where: str, name: str) -> Any:
    """The function as declared, without the wrappers that publishing adds."""
    function = namespace(where)[name]
    while not (hasattr(function, "op") and function.op.call is function) and hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return function


def writing_functions(where: str, name: str, function: Function) -> list[Any]:
    """The variants of a listed function that write into a tensor: its published form with ``out=``, and the in-place form."""
    published, in_place = namespace(where)[name], vars(Tensor).get(name + "_")
    takes_out = published is not function and "out" in inspect.signature(published).parameters
    return [published] * takes_out + [in_place] * (in_place is not None)


_lock = threading.Lock()
_prepared: set[int] = set()


def prepare() -> None:
    """Make the listed functions check the state, once autocast is first turned on."""
    if _prepared:
        return
    with _lock:
        some = ({"nn.functional": "pad"}, single_for_mode), ({"nn.functional": "max_pool3d"}, single_without_indices)
        for lists, policy in ((LOWER, lower), (SINGLE, single), (WIDEST, widest), *some):
            for where, names in lists.items():
                for name in names.split():
                    function = declared(where, name)
                    if id(function) not in _prepared:
                        _prepared.add(id(function))
                        replace(function, functools.partial(casting, policy=policy))
                        for writing in writing_functions(where, name, function):
                            replace(writing, leaving_alone)
