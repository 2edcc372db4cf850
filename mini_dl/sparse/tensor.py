"""SparseTensor: the indices and the values of the stored elements, both dense tensors.

The values carry the autograd history: all computations use them in dense, differentiable operations. Dense operations do not
accept the sparse tensor itself; operations that are not in the table of `mini_dl.sparse.handlers` raise an error.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from mini_dl import _device, _dtypes, _printing
from mini_dl._dtypes import Array
from mini_dl.autograd.mode import mode
from mini_dl.ops.attributes import UntypedStorage
from mini_dl.tensor import Size, Tensor, new, wrap

HANDLERS: dict[str, Callable[..., Any]] = {}
"""The implementations for sparse tensors, by the name of the function or method."""
COO, CSR, CSC = _device.sparse_coo, _device.sparse_csr, _device.sparse_csc
BSR, BSC = _device.sparse_bsr, _device.sparse_bsc
BY_ROWS, BLOCKS = (CSR, BSR), (BSR, BSC)
"""The layouts with compressed rows, and those of blocks."""
PARTS = {layout: ("crow_indices", "col_indices") if layout in BY_ROWS else ("ccol_indices", "row_indices")
         for layout in (CSR, CSC, BSR, BSC)}  # fmt: skip


def handles(*names: str) -> Callable[[Any], Any]:
    """Register a function as the implementation of these names."""

    def register(function: Any) -> Any:
        HANDLERS.update(dict.fromkeys(names, function))
        return function

    return register


def refusal(name: str, layout: _device.layout) -> NotImplementedError:
    backend = "SparseCPU" if layout is COO else "SparseCsrCPU"
    return NotImplementedError(
        f"Could not run 'aten::{name}' with arguments from the '{backend}' backend: mini_dl has no '{name}' of sparse tensors; "
        "call to_dense() first if the dense tensor fits into memory"
    )


def _of_values(name: str) -> Any:
    """A property delegated to the values."""
    return property(lambda self: getattr(self.kept, name))


def _index_of(name: str, layout: _device.layout, along: str, number: int) -> Callable[[SparseTensor], Tensor]:
    """The method of this name, which returns one of the two indices of a compressed tensor."""

    def index(self: SparseTensor) -> Tensor:
        _require(self, layout, f"{name} expected sparse {along} compressed tensor layout")
        return self.index[number]

    index.__name__ = index.__qualname__ = name
    return index


class SparseTensor(Tensor):
    """A tensor most of whose elements are zero and not stored; layout ``sparse_coo``, ``sparse_csr``, ``sparse_csc``,
    ``sparse_bsr`` or ``sparse_bsc``.

    For COO, `index` is (sparse_dim, nnz) and `kept` (nnz, *dense sizes). For compressed rows (or columns), `index` has the pair
    `crow_indices` and `col_indices`, and `kept` is (*batch, nnz, *block, *dense sizes).
    """

    _sparse = True
    layout: _device.layout
    index: tuple[Tensor, ...]
    kept: Tensor
    whole: tuple[int, ...]
    merged: bool

    @classmethod
    def __torch_function__(
        cls, func: object, types: Iterable[Any], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = getattr(func, "__name__", str(func))
        handler = HANDLERS.get(name)
        if handler is None:
            found = next((value for value in args if isinstance(value, SparseTensor)), None)
            raise refusal(name.strip("_"), COO if found is None else found.layout)
        return handler(*args, **(kwargs or {}))

    @property
    def _array(self) -> Any:  # type: ignore[override]
        raise refusal("storage", self.layout)

    # ---------------------------------------------------------------------------------------- properties

    @property
    def shape(self) -> Size:
        return Size(self.whole)

    @property
    def ndim(self) -> int:
        return len(self.whole)

    dtype, itemsize = _of_values("dtype"), _of_values("itemsize")
    is_meta, is_cpu = _of_values("is_meta"), _of_values("is_cpu")

    @property
    def is_sparse(self) -> bool:
        return self.layout is COO

    @property
    def is_sparse_csr(self) -> bool:
        return self.layout is CSR

    @property
    def requires_grad(self) -> bool:
        return bool(self.kept.requires_grad)

    @requires_grad.setter
    def requires_grad(self, on: bool) -> None:
        self.kept.requires_grad = on

    grad_fn, is_leaf = _of_values("grad_fn"), _of_values("is_leaf")

    @property
    def grad(self) -> Tensor | None:
        """The gradient at the same positions: a sparse tensor."""
        return None if self.kept.grad is None else like(self, self.kept.grad)

    @grad.setter
    def grad(self, value: Any) -> None:
        self.kept.grad = None if value is None else value.kept

    @property  # type: ignore[misc]
    def data(self) -> SparseTensor:  # type: ignore[override]
        return self.detach()

    @property
    def T(self) -> Tensor:
        return self.t()

    def size(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else self.whole[dim]

    def dim(self) -> int:
        return len(self.whole)

    ndimension = dim

    def numel(self) -> int:
        return self.shape.numel()

    nelement = numel

    @property
    def device(self) -> _device.device:
        return _device.CPU

    def get_device(self) -> int:
        return -1

    def element_size(self) -> int:
        return self.itemsize

    def is_floating_point(self) -> bool:
        return self.dtype.is_floating_point

    def is_complex(self) -> bool:
        return self.dtype.is_complex

    def stride(self, dim: int | None = None) -> Any:
        return (0,) * len(self.whole) if dim is None else 0

    def is_contiguous(self, *_: object, **__: object) -> bool:
        return True

    def is_shared(self) -> bool:
        return bool(self.kept.is_shared())

    def share_memory_(self) -> SparseTensor:
        for part in (*self.index, self.kept):
            part.share_memory_()
        return self

    def __len__(self) -> int:
        if not self.whole:
            raise TypeError("len() of a 0-d tensor")
        return self.whole[0]

    def __bool__(self) -> bool:
        if self.numel() != 1:
            raise RuntimeError("Boolean value of Tensor with more than one value is ambiguous")
        return bool(self.to_dense())

    def item(self) -> Any:
        if self.numel() != 1:
            raise RuntimeError(f"a Tensor with {self.numel()} elements cannot be converted to Scalar")
        return self.to_dense().item()

    def tolist(self) -> Any:
        raise RuntimeError("Cannot access data pointer of Tensor that doesn't have storage")

    def numpy(self, *_: object, **__: object) -> Any:
        raise TypeError(f"can't convert {_backend(self)} layout tensor to numpy. Use Tensor.to_dense() first.")

    __array__ = numpy

    def untyped_storage(self) -> UntypedStorage:
        raise NotImplementedError("Cannot access storage of SparseTensorImpl")

    storage = untyped_storage  # type: ignore[assignment]

    def data_ptr(self) -> int:
        raise RuntimeError("Cannot access data pointer of Tensor that doesn't have storage")

    # ---------------------------------------------------------------------------------------- parts

    def sparse_dim(self) -> int:
        return self.index[0].shape[0] if self.layout is COO else 2

    def dense_dim(self) -> int:
        return self.kept.ndim - 1 - len(self.batch) - len(self.block)

    def _nnz(self) -> int:
        return self.kept.shape[len(self.batch)]

    @property
    def batch(self) -> tuple[int, ...]:
        """The batch sizes: compressed tensors have separate indices for each element of the batch."""
        return () if self.layout is COO else tuple(self.index[0].shape[:-1])

    @property
    def block(self) -> tuple[int, ...]:
        """The size of the blocks, if any."""
        first = len(self.batch) + 1
        return tuple(self.kept.shape[first : first + 2]) if self.layout in BLOCKS else ()

    @property
    def is_plain(self) -> bool:
        """Whether it is COO, or a matrix with one value per pair of indices."""
        return self.layout is COO or not (self.block or self.batch)

    def elements(self) -> SparseTensor:
        """All elements in COO, in the order in which they are stored."""
        if self.layout is COO:
            return self
        places = self.places()
        return coo(places, self.kept.reshape(places.shape[1], *self.whole[len(self.batch) + 2 :]), self.whole)

    def is_coalesced(self) -> bool:
        _require(self, COO, "is_coalesced expected sparse coordinate tensor layout")
        return self.merged

    def _coalesced_(self, on: bool) -> SparseTensor:
        self.merged = on
        return self

    def _indices(self) -> Tensor:
        _require(self, COO, "_indices expected sparse coordinate tensor layout")
        return self.index[0]

    def _values(self) -> Tensor:
        return self.kept

    def indices(self) -> Tensor:
        _require(self, COO, "indices expected sparse coordinate tensor layout")
        self._require_merged("indices")
        return self.index[0]

    def values(self) -> Tensor:
        self._require_merged("values")
        return self.kept

    def _require_merged(self, what: str) -> None:
        if not self.merged:
            raise RuntimeError(f"Cannot get {what} on an uncoalesced tensor, please call .coalesce() first")

    crow_indices, col_indices = _index_of("crow_indices", CSR, "row", 0), _index_of("col_indices", CSR, "row", 1)
    ccol_indices, row_indices = _index_of("ccol_indices", CSC, "column", 0), _index_of("row_indices", CSC, "column", 1)

    # ---------------------------------------------------------------------------------------- conversions

    def coalesce(self) -> SparseTensor:
        """The same with one element per position, sorted by position; duplicates are summed."""
        _require(self, COO, "coalesce expected sparse coordinate tensor layout")
        if self.merged:
            return self
        flat = self.flat_places()
        places, where = np.unique(flat, return_inverse=True)
        index = np.stack(np.unravel_index(places, self.sparse_sizes)) if self.sparse_sizes else np.zeros((0, len(places)))
        kept = self.kept.new_zeros((len(places), *self.kept.shape[1:])).index_add(0, wrap(where.reshape(-1)), self.kept)
        return coo(index.astype(np.int64), kept, self.whole, True)

    @property
    def sparse_sizes(self) -> tuple[int, ...]:
        return self.whole[: self.sparse_dim()]

    def flat_places(self) -> Array:
        """The linear index of each element over the sparse dimensions, in row-major order."""
        places = self.places()
        return np.ravel_multi_index(tuple(places), self.sparse_sizes) if len(places) else np.zeros(self._nnz(), np.int64)

    def places(self) -> Array:
        """The indices of COO, (sparse_dim, nnz), of any layout."""
        if self.layout is COO:
            return self.index[0]._array
        matrices = math.prod(self.batch)
        ends, others = (part._array.astype(np.int64).reshape(matrices, part.shape[-1]) for part in self.index)
        count = ends.shape[1] - 1
        major = np.concatenate([np.repeat(np.arange(count), np.diff(each)) for each in ends]) if matrices else ends.reshape(-1)
        minor, batches = others.reshape(-1), np.repeat(np.arange(matrices), others.shape[1])
        pair: tuple[Array, ...] = (major, minor) if self.layout in BY_ROWS else (minor, major)
        if self.block:
            inside = np.stack(np.meshgrid(*map(np.arange, self.block), indexing="ij")).reshape(2, 1, -1)
            pair = tuple([(at[:, None] * size + more).reshape(-1) for at, size, more in zip(pair, self.block, inside)])
            batches = np.repeat(batches, inside.shape[2])
        return np.stack([*np.unravel_index(batches, self.batch), *pair]) if self.batch else np.stack(pair)

    def to_dense(self, dtype: Any = None, *, masked_grad: bool | None = None) -> Tensor:
        """The dense tensor; duplicates are summed."""
        if not self.is_plain:
            return self.elements().to_dense(dtype)
        places = self.places()
        kept = self.kept if dtype is None else self.kept.to(dtype)
        if not len(places):
            return kept.sum(0)
        zeros = kept.new_zeros(self.whole)
        if kept.dtype == _dtypes.bool:
            zeros[tuple(map(wrap, places))] = kept
            return zeros
        return zeros.index_put(tuple(map(wrap, places)), kept, accumulate=True)

    def to_sparse(
        self, sparse_dim: object = None, *, layout: object = None, blocksize: Any = None, dense_dim: object = None
    ) -> SparseTensor:
        target = COO if layout is None else layout
        if target is self.layout and (blocksize is None or tuple(blocksize) == self.block):
            return self
        if self.layout in BLOCKS and target not in (COO, self.layout):
            raise RuntimeError(
                f"sparse_compressed_to_{str(target).removeprefix('torch.')}: expected SparseCsr or SparseCsc layout but got "
                f"{_backend(self)}"
            )
        if not self.is_plain and target is COO:
            return self.elements().coalesce()
        if target is COO:
            merged = self.layout is CSR
            return (
                coo(self.places(), self.kept, self.whole, merged)
                if merged
                else coo(self.places(), self.kept, self.whole).coalesce()
            )
        if target not in PARTS:
            raise refusal(f"to_sparse of layout {target}", self.layout)
        if len(self.whole) != 2:
            raise RuntimeError(f"a tensor of {len(self.whole)} dimensions cannot be of layout {target}: only matrices can here")
        return compressed(self, target, blocksize)

    def to_sparse_coo(self) -> SparseTensor:
        return self.to_sparse()

    def to_sparse_csr(self, dense_dim: object = None) -> SparseTensor:
        return self.to_sparse(layout=CSR)

    def to_sparse_csc(self, dense_dim: object = None) -> SparseTensor:
        return self.to_sparse(layout=CSC)

    def to_sparse_bsr(self, blocksize: object, dense_dim: object = None) -> SparseTensor:
        return self.to_sparse(layout=BSR, blocksize=blocksize)

    def to_sparse_bsc(self, blocksize: object, dense_dim: object = None) -> SparseTensor:
        return self.to_sparse(layout=BSC, blocksize=blocksize)

    def detach(self) -> SparseTensor:
        return like(self, self.kept.detach())

    def detach_(self) -> SparseTensor:
        self.kept.detach_()
        return self

    def requires_grad_(self, requires_grad: bool = True) -> SparseTensor:
        self.kept.requires_grad_(requires_grad)
        return self

    def retain_grad(self) -> None:
        self.kept.retain_grad()

    def clone(self, *, memory_format: object = None) -> SparseTensor:
        return like(self, self.kept.clone(), tuple([part.clone() for part in self.index]))

    def to(self, *args: Any, **kwargs: Any) -> SparseTensor:
        moved = self.kept.to(*args, **kwargs)
        return self if moved is self.kept else like(self, moved)

    def cpu(self) -> SparseTensor:  # type: ignore[override]
        return self

    def type(self, dtype: Any = None, *args: Any, **kwargs: Any) -> Any:
        if dtype is None:
            return self.kept.type().replace("torch.", "torch.sparse.")
        return like(self, self.kept.type(dtype))

    def type_as(self, other: Tensor) -> SparseTensor:
        return self.to(other.dtype)

    def new_tensor(self, data: object, **options: Any) -> Tensor:
        return self.kept.new_tensor(data, **options)

    def copy_(self, src: Any, non_blocking: bool = False) -> SparseTensor:
        if not src._sparse:
            raise RuntimeError("copy_() between dense and sparse Tensors is not implemented! Found self type = " + self.type())
        if src.shape != self.shape:
            raise RuntimeError(f"a sparse tensor of size {list(src.shape)} does not fit one of size {list(self.shape)}")
        source = src.detach().to(self.dtype).to_sparse(layout=self.layout)
        self.index, self.kept, self.merged = tuple([part.clone() for part in source.index]), source.kept.clone(), source.merged
        return self

    def contiguous(self, *_: object, **__: object) -> SparseTensor:
        raise RuntimeError("unsupported memory format option Contiguous")

    def zero_(self) -> SparseTensor:
        if self.layout is COO:
            self.index, self.kept = (self.index[0][:, :0],), self.kept.detach()[:0]
            self.merged = True
        else:
            self.kept.zero_()
        return self

    def __reduce_ex__(self, protocol: object) -> Any:
        made = _rebuilt, (self.layout, tuple(self.index), self.kept, self.whole, self.merged)
        return (*made, {"_is_param": True}) if self.__dict__.get("_is_param") else made

    def __deepcopy__(self, memo: dict[int, Any]) -> SparseTensor:
        if id(self) not in memo:
            index = tuple([part.clone() for part in self.index])
            copied = memo[id(self)] = like(self, self.kept.__deepcopy__(memo), index)
            if self.__dict__.get("_is_param"):
                copied.__dict__["_is_param"] = True
        return memo[id(self)]

    def __repr__(self, **_: object) -> str:
        return _printed(self)

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return object.__format__(repr(self), spec) if spec else repr(self)


def _cast(name: str) -> Any:
    def method(self: SparseTensor) -> SparseTensor:
        return self.to(_dtypes.NAMES[name])

    return method


for _short, _name in {"float": "float32", "double": "float64", "half": "float16", "long": "int64", "int": "int32"}.items():
    setattr(SparseTensor, _short, _cast(_name))


def _backend(tensor: SparseTensor) -> str:
    return {COO: "Sparse", CSR: "SparseCsr", CSC: "SparseCsc", BSR: "SparseBsr", BSC: "SparseBsc"}[tensor.layout]


def _require(tensor: SparseTensor, layout: _device.layout, words: str) -> None:
    if tensor.layout is not layout and PARTS.get(tensor.layout) != PARTS.get(layout, ""):
        raise RuntimeError(f"{words} but got {_backend(tensor)}")


# ------------------------------------------------------------------------------------------------ creation


def made(layout: object, index: tuple[Tensor, ...], kept: Tensor, size: Iterable[int], merged: bool) -> SparseTensor:
    out: SparseTensor = new(SparseTensor)
    out.__dict__.update(
        layout=layout, index=index, kept=kept, whole=tuple(map(operator.index, size)), merged=merged, _edge=None, _base=None
    )
    return out


def coo(places: object, kept: Tensor, size: Iterable[int], merged: bool = False) -> SparseTensor:
    """A COO tensor of these indices, an array or a tensor."""
    index = places if isinstance(places, Tensor) else wrap(np.ascontiguousarray(places, np.int64))
    return made(COO, (index,), kept, size, merged)


def like(tensor: SparseTensor, kept: Tensor, index: tuple[Tensor, ...] | None = None) -> SparseTensor:
    """Other values at the same positions."""
    return made(tensor.layout, tensor.index if index is None else index, kept, tensor.whole, tensor.merged)


def compressed(tensor: SparseTensor, layout: object, blocksize: object = None) -> SparseTensor:
    """A matrix with its rows, or columns, or those of its blocks, compressed."""
    source = tensor.coalesce() if tensor.layout is COO else tensor.elements() if tensor.block else tensor
    rows, columns = source.places()
    sizes, kept = tensor.whole, source.kept
    if layout in BLOCKS:
        block = checked_block(blocksize, sizes, layout)
        sizes = (sizes[0] // block[0], sizes[1] // block[1])
        flat = rows // block[0] * sizes[1] + columns // block[1]
        found, which = np.unique(flat, return_inverse=True)
        inside = (wrap(which.reshape(-1)), wrap(rows % block[0]), wrap(columns % block[1]))
        kept = kept.new_zeros((len(found), *block)).index_put(inside, kept, accumulate=True)
        rows, columns = found // max(sizes[1], 1), found % max(sizes[1], 1)
    first, second = (rows, columns) if layout in BY_ROWS else (columns, rows)
    order = np.lexsort((second, first))
    count = sizes[0 if layout in BY_ROWS else 1]
    ends = np.concatenate([[0], np.cumsum(np.bincount(first, minlength=count))]).astype(np.int64)
    in_order = bool((order == np.arange(len(order))).all())
    kept = kept if in_order else kept.index_select(0, wrap(order))
    return made(layout, (wrap(ends), wrap(np.ascontiguousarray(second[order], np.int64))), kept, tensor.whole, True)


def checked_block(blocksize: Any, sizes: tuple[int, ...], layout: Any) -> tuple[int, ...]:
    """The size of the blocks. RuntimeError unless a matrix of this size has whole blocks."""
    name = str(layout).removeprefix("torch.")
    if blocksize is None or len(blocksize) != 2:
        raise RuntimeError(f"to_{name}: a block has two sizes, got {blocksize}")
    block = tuple(map(operator.index, blocksize))
    if min(block) < 1 or any([size % one for size, one in zip(sizes, block)]):
        raise RuntimeError(
            f"dense_to_{name}: tensor sparse size ({sizes[0]},{sizes[1]}) must be divisible by given blocksize "
            f"({block[0]},{block[1]})"
        )
    return block


def _rebuilt(layout: object, index: tuple[Tensor, ...], kept: Tensor, size: tuple[int, ...], merged: bool) -> SparseTensor:
    return made(layout, index, kept, size, merged)


# ------------------------------------------------------------------------------------------------ printing


def _printed(tensor: SparseTensor) -> str:
    kept, is_coo = tensor.kept.detach(), tensor.layout is COO
    names = ("indices",) if is_coo else PARTS[tensor.layout]
    parts = [_part(name, part) for name, part in zip((*names, "values"), (*tensor.index, kept))]
    text = "tensor(" + ",\n       ".join(parts)
    default = _dtypes.get_default_dtype()
    notes = [f"size={tuple(tensor.whole)}", f"nnz={tensor._nnz()}"]
    if kept.dtype not in (default, default.to_complex(), _dtypes.int64, _dtypes.bool):
        notes.append(f"dtype={kept.dtype}")
    notes.append(f"layout={tensor.layout}")
    if tensor.grad_fn is not None:
        notes.append(f"grad_fn=<{tensor.grad_fn.name()}>")
    elif tensor.requires_grad:
        notes.append("requires_grad=True")
    used = len(text) - text.rfind("\n") + 1
    for number, note in enumerate(notes):
        if (is_coo and number == 0) or used + len(note) + 2 > _printing.options.linewidth:
            text += ",\n       " + note
            used = 7 + len(note)
        else:
            text += ", " + note
            used += len(note) + 2
    return text + ")"


def _part(name: str, part: Tensor) -> str:
    start = f"{name}=tensor("
    size = "" if part.numel() else f", size={tuple(part.shape)}"
    return start + mode.run(_printing.body, part._array, 7 + len(start)) + size + ")"
