"""Tensor: an array, its history and its version. It has no operations; the layers above attach them."""

from __future__ import annotations

import functools
import itertools
import operator
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, SupportsIndex, TypeAlias, overload

import numpy as np

from mini_dl import _dtypes
from mini_dl._abstract import is_abstract
from mini_dl._device import CPU, META, device
from mini_dl._dtypes import Array, Number
from mini_dl._meta import MetaArray, is_meta_array

ndarray, new = np.ndarray, object.__new__

LEAF = "LEAF"
"""The edge of a leaf tensor that requires grad."""

LEAF_VIEW = "LEAF_VIEW"
"""The same for a view, which may acquire a history when its base is modified."""

COUNTED = "counted"
"""The value of `_inference` for a tensor made outside of inference mode that shares memory with one from inside it."""

Edge: TypeAlias = Any
"""Where a gradient goes: a leaf Tensor, a Node (its output 0), or a pair (Node, number of the output)."""


class Size(tuple[int, ...]):
    """A shape: a tuple of sizes that prints as ``torch.Size([2, 3])``; its `numel` is the product.

    >>> torch.Size([2, 3]).numel(), torch.ones(2, 3).shape == (2, 3)
    (6, True)
    """

    __slots__ = ()

    def __new__(cls, iterable: Iterable[SupportsIndex] = ()) -> Size:
        made = tuple.__new__(cls, iterable)
        for n in made:
            if n.__class__ is not int:
                return tuple.__new__(cls, map(_as_size, itertools.count(), made))
        return made

    def __repr__(self) -> str:
        return f"torch.Size({list(self)})"

    def numel(self) -> int:
        """The product of the sizes."""
        product = 1
        for n in self:
            product *= n
        return product

    if TYPE_CHECKING:

        @overload
        def __getitem__(self, index: SupportsIndex) -> int: ...
        @overload
        def __getitem__(self, index: slice) -> Size: ...
        def __getitem__(self, index: Any) -> Any: ...
    else:

        def __getitem__(self, index):
            item = tuple.__getitem__(self, index)
            return size_of_ints(item) if isinstance(index, slice) else item

    def __add__(self, other: Any) -> Size:
        return Size(tuple.__add__(self, other))

    def __radd__(self, other: tuple[int, ...]) -> Size:
        return Size(tuple.__add__(other, self)) if isinstance(other, tuple) else NotImplemented

    def __mul__(self, other: Any) -> Size:
        return Size(tuple.__mul__(self, other))

    __rmul__ = __mul__


size_of_ints: Callable[[tuple[int, ...]], Size] = functools.partial(tuple.__new__, Size)
"""A Size of what is known to be ints, which need no check."""


def _as_size(place: int, value: object) -> int:
    """A size given as an int, as one of NumPy's, or by ``__index__``. TypeError for anything else."""
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return value  # type: ignore[return-value]
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except (TypeError, RuntimeError, ValueError):
        raise TypeError(f"torch.Size() takes an iterable of 'int' (item {place} is '{type(value).__name__}')") from None


when_subclassed: list[Callable[[], None]] = []
"""Called when a subclass of Tensor is declared that overrides operations."""


def disabled_torch_function(func: Any, types: object, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
    """The ``__torch_function__`` of subclasses that count as plain tensors."""
    return NotImplemented if is_function_of_torch(func) else func(*args, **(kwargs or {}))


def is_of_torch(kind: type) -> bool:
    """Whether a class is the Tensor of an installed torch, whose ``__torch_function__`` would only hand our calls back."""
    named = any([base.__module__ == "torch" and base.__name__ == "Tensor" for base in kind.__mro__])
    return named and not issubclass(kind, Tensor)  # which has that name where mini_dl takes torch's place


def is_function_of_torch(func: object) -> bool:
    """Whether a function is one of an installed torch, which would only ask the ``__torch_function__`` of our tensors again."""
    owner = getattr(func, "__objclass__", func)  # of methods: their class
    named = str(getattr(owner, "__module__", None)).partition(".")[0] == "torch"
    return named and not getattr(func, "__globals__", {}).get("__name__", "").startswith("mini_dl")  # in torch's place


if TYPE_CHECKING:
    from mini_dl._methods import Methods  # a stub: the methods that `mini_dl.ops` attaches
else:
    Methods = object


class Tensor(Methods):
    """An n-dimensional array that can remember how it was computed, so that gradients can be computed.

    Create one with `tensor`, `zeros`, `randn`, `from_numpy` and similar functions.

    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """

    _array: Array
    _edge: Edge | None = None  # None: needs no gradient; LEAF, LEAF_VIEW; or the node that computed it
    _counter: list[int] | None = None  # [number of writes], shared by all tensors over the same memory; created on demand
    _base: Tensor | None = None  # the tensor whose memory this one views
    _stamp: int = 0  # the version at which _edge was valid (views only)
    _restricted: str | None = None  # why this view may not be modified while recording: how it was created
    _grad: Tensor | None = None
    _former: list[Any] | None = None  # for a leaf that changed its shape or type: (number of the last node before, shape, type)
    _detached: int = 0  # the number that the last node had when `detach_` removed the history
    _retains: bool = False  # keep .grad although this is not a leaf
    _hooks: Any = None  # for this tensor's current value, shared with its node
    _inference: bool | str = False  # created in inference mode; COUNTED: it counts its writes nevertheless
    _sparse: bool = False  # whether it is of the sparse subclass without an array, whose gradients are handled separately
    _backward_hooks: Any = None
    _level: Any = None  # the function transform in which this tensor was created (see autograd.transforms)
    _value: Tensor | None = None  # its underlying tensor, of the level below
    _batch_dim: int | None = None  # its batch dimension, if the level is that of vmap
    _tangent: Tensor | None = None  # its forward-mode derivative (see autograd.tangents)
    _born: Any = None  # the innermost level when it was created
    __array_priority__ = 1000

    # -------------------------------------------------------------------------------------------- properties

    @property
    def shape(self) -> Size:
        """The number of elements in each dimension.

        >>> torch.ones(2, 3).shape
        torch.Size([2, 3])
        """
        return size_of_ints(self._array.shape)

    @property
    def ndim(self) -> int:
        """The number of dimensions.

        >>> torch.ones(2, 3).ndim
        2
        """
        return self._array.ndim

    @property
    def dtype(self) -> _dtypes.dtype:
        """The type of the elements.

        >>> torch.ones(2).dtype
        torch.float32
        """
        return _dtypes.of_numpy(self._array.dtype)

    @property
    def device(self) -> device:
        """Where the elements are: the CPU, or "meta" if there are none.

        >>> torch.ones(2).device
        device(type='cpu')
        """
        return META if self._array.__class__ is MetaArray else CPU

    @property
    def itemsize(self) -> int:
        """Bytes per element.

        >>> torch.ones(2).itemsize
        4
        """
        return self._array.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements.

        >>> torch.ones(2, 3).nbytes
        24
        """
        return self._array.nbytes

    def __len__(self) -> int:
        if not self._array.ndim:
            raise TypeError("len() of a 0-d tensor")
        return len(self._array)

    __hash__ = object.__hash__

    def __dir__(self) -> list[str]:
        """Without private names. Python suggests one of these for a missing name, if they are fewer than
        750; a suggesting ``__getattr__`` would make every access slower."""
        return [name for name in object.__dir__(self) if name[:1] != "_" or name[:2] == "__"]

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if getattr(cls, "__torch_function__", None) is not disabled_torch_function:
            for call in when_subclassed:
                call()


Operand: TypeAlias = Tensor | Number
Grads: TypeAlias = list[Tensor | None]
"""The gradients of several outputs, None if missing: the first argument of a formula."""

INTERNAL = frozenset(Tensor.__annotations__)
"""The attributes that make up a tensor; anything else in its ``__dict__`` was set by the user."""


def attributes_of(tensor: Tensor) -> dict[str, Any]:
    """The Python attributes that the user set on a tensor."""
    own = tensor.__dict__
    return {} if own.keys() <= INTERNAL else {name: value for name, value in own.items() if name not in INTERNAL}


def wrap(array: Any) -> Tensor:
    """A tensor over `array`, without history. A NumPy scalar becomes a 0-d array."""
    tensor: Tensor = new(Tensor)
    tensor._array = array if array.__class__ is ndarray or is_meta_array(array) or is_abstract(array) else np.asarray(array)
    tensor._edge = tensor._base = None  # stored, not inherited: reading a class attribute takes three times as long
    if inference.anywhere and inference.here:
        tensor._inference = True
    return tensor


def wrap_within(array: Any) -> Tensor:
    """`wrap`, once transforms are used: the tensor stores the level in which it was created."""
    tensor: Tensor = new(Tensor)
    tensor._array = array if array.__class__ is ndarray or is_meta_array(array) or is_abstract(array) else np.asarray(array)
    tensor._edge = tensor._base = None
    if inference.anywhere and inference.here:
        tensor._inference = True
    tensor._born = births.level_here()
    return tensor


class _Births:
    """A hook of `wrap_within`, set by `autograd.transforms`."""

    level_here: Callable[[], Any]


births = _Births()


class _Inference:
    """Whether tensors created now may never be recorded: in this thread (`here`), or in any thread (`anywhere`, which is
    then not empty, and cheaper to read)."""

    def __init__(self) -> None:
        self.anywhere: set[object] = set()
        self._thread = _Thread()

    @property
    def here(self) -> bool:
        return self._thread.key in self.anywhere

    @here.setter
    def here(self, on: bool) -> None:  # in one step that no signal or other thread can interrupt
        if on:
            self.anywhere.add(self._thread.key)
        else:
            self.anywhere.discard(self._thread.key)


class _Thread(threading.local):
    def __init__(self) -> None:
        self.key = object()


inference = _Inference()


def version_of(tensor: Tensor) -> list[int]:
    """The counter of writes to the memory of `tensor`."""
    if tensor._counter is None:
        tensor._counter = [0]
    return tensor._counter


def written(tensor: Tensor) -> None:
    """Count a write to the memory of `tensor`: values saved from it before are stale."""
    if tensor._counter is None:
        tensor._counter = [1]
    else:
        tensor._counter[0] += 1


def alias(tensor: Tensor, edge: Edge | None = None) -> Tensor:
    """Another tensor with the same memory and version, but a different history."""
    out = wrap(tensor._array)
    out._counter, out._edge = version_of(tensor), edge
    if tensor._level is not None:
        out._level, out._value, out._batch_dim = tensor._level, tensor._value, tensor._batch_dim
    return out


def without_base(result: Tensor) -> Tensor:
    """`result`, a view of a temporary that nobody else has, as a tensor of its own, which may be detached in place."""
    level: Tensor | None = result
    while level is not None and level._base is not None:
        level._base = level._restricted = None
        level = level._value
    return result


def in_class(kind: type[Tensor], tensor: Tensor) -> Any:
    """`tensor` as an instance of another class, with the same memory, history and attributes."""
    if type(tensor) is kind:
        return tensor
    out = new(kind)
    out.__dict__.update(tensor.__dict__)
    return out


def typename(o: object) -> str:
    """The qualified name of a type: ``torch.FloatTensor``, ``int``, ``torch.nn.modules.linear.Linear``.

    Raises: TypeError unless there is one argument.

    >>> torch.typename(torch.ones(1)), torch.typename(nn.Linear(1, 1))
    ('torch.FloatTensor', 'torch.nn.modules.linear.Linear')
    """
    if isinstance(o, Tensor):
        return f"torch.{'sparse.' if o._sparse else ''}{_dtypes.scalar_name(o.dtype.numpy)}Tensor"
    kind = o if isinstance(o, type) else type(o)
    if kind.__module__ == "builtins":
        return kind.__qualname__
    package, dot, rest = kind.__module__.partition(".")
    return f"{'torch' if package == 'mini_dl' else package}{dot}{rest}.{kind.__qualname__}"
