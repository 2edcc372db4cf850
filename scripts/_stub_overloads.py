"""The overloads of functions whose result depends on their arguments, for `write_stubs`: one signature a line, below the names.

``input`` first becomes ``self`` in a method. A name with a place before it ("linalg.norm") is meant there only; "Tensor." is for
methods alone.
"""

from __future__ import annotations

TEXT = """
max min
  (input: Tensor) -> Tensor
  (input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor
  (input: Tensor, dim: int, keepdim: bool = False, *, out: tuple[Tensor, ...] | None = None) -> return_types.NAME

median nanmedian
  (input: Tensor) -> Tensor
  (input: Tensor, dim: int, keepdim: bool = False, *, out: tuple[Tensor, ...] | None = None) -> return_types.NAME

mode
  (input: Tensor, dim: int = -1, keepdim: bool = False, *, out: tuple[Tensor, ...] | None = None) -> return_types.mode

where
  (condition: Tensor) -> tuple[Tensor, ...]
  (condition: Tensor, input: Tensor | Number, other: Tensor | Number, *, out: Tensor | None = None) -> Tensor

Tensor.where
  (self, condition: Tensor, other: Tensor | Number) -> Tensor

all any
  (input: Tensor, *, out: Tensor | None = None) -> Tensor
  (input: Tensor, dim: int | Sequence[int] | None, keepdim: bool = False, *, out: Tensor | None = None) -> Tensor

atleast_1d atleast_2d atleast_3d
  (tensor: Tensor, /) -> Tensor
  (tensors: Sequence[Tensor], /) -> tuple[Tensor, ...]
  (first: Tensor, second: Tensor, /, *tensors: Tensor) -> tuple[Tensor, ...]

nonzero
  (input: Tensor, *, as_tuple: Literal[False] = False, out: Tensor | None = None) -> Tensor
  (input: Tensor, *, as_tuple: Literal[True]) -> tuple[Tensor, ...]

unique
  (input: Tensor, sorted: bool = True, return_inverse: Literal[False] = False, return_counts: Literal[False] = False, dim: int | None = None) -> Tensor
  (input: Tensor, sorted: bool, return_inverse: Literal[True], return_counts: Literal[True], dim: int | None = None) -> tuple[Tensor, Tensor, Tensor]
  (input: Tensor, sorted: bool = True, *, return_inverse: Literal[True], return_counts: Literal[True], dim: int | None = None) -> tuple[Tensor, Tensor, Tensor]
  (input: Tensor, sorted: bool = True, *, return_inverse: Literal[True], return_counts: Literal[False] = False, dim: int | None = None) -> tuple[Tensor, Tensor]
  (input: Tensor, sorted: bool = True, *, return_inverse: Literal[False] = False, return_counts: Literal[True], dim: int | None = None) -> tuple[Tensor, Tensor]
  (input: Tensor, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None) -> Any

unique_consecutive
  (input: Tensor, return_inverse: Literal[False] = False, return_counts: Literal[False] = False, dim: int | None = None) -> Tensor
  (input: Tensor, return_inverse: Literal[True], return_counts: Literal[True], dim: int | None = None) -> tuple[Tensor, Tensor, Tensor]
  (input: Tensor, *, return_inverse: Literal[True], return_counts: Literal[True], dim: int | None = None) -> tuple[Tensor, Tensor, Tensor]
  (input: Tensor, *, return_inverse: Literal[True], return_counts: Literal[False] = False, dim: int | None = None) -> tuple[Tensor, Tensor]
  (input: Tensor, *, return_inverse: Literal[False] = False, return_counts: Literal[True], dim: int | None = None) -> tuple[Tensor, Tensor]
  (input: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None) -> Any

arange range
  (end: Number, *, OPTIONS) -> Tensor
  (start: Number, end: Number, step: Number = 1, *, OPTIONS) -> Tensor

randint
  (high: int, size: Sequence[int], *, generator: Generator | None = None, OPTIONS) -> Tensor
  (low: int, high: int, size: Sequence[int], *, generator: Generator | None = None, OPTIONS) -> Tensor

normal
  (mean: Tensor, std: Tensor | float = 1, *, generator: Generator | None = None, out: Tensor | None = None) -> Tensor
  (mean: float, std: Tensor, *, generator: Generator | None = None, out: Tensor | None = None) -> Tensor
  (mean: float, std: float, size: Sequence[int], *, generator: Generator | None = None, OPTIONS) -> Tensor

linspace
  (start: Tensor | Number, end: Tensor | Number, steps: int, *, OPTIONS) -> Tensor

logspace
  (start: Tensor | Number, end: Tensor | Number, steps: int, base: float = 10.0, *, OPTIONS) -> Tensor

einsum
  (equation: str, *operands: Tensor | Sequence[Tensor]) -> Tensor
  (operand: Tensor, sublist: Sequence[int | EllipsisType], /, *operands: Any) -> Tensor

meshgrid
  (*tensors: Tensor, indexing: str | None = None) -> tuple[Tensor, ...]
  (tensors: Sequence[Tensor], /, *, indexing: str | None = None) -> tuple[Tensor, ...]

lstm
  (*args: Any) -> tuple[Tensor, Tensor, Tensor]

gru rnn_tanh rnn_relu
  (*args: Any) -> tuple[Tensor, Tensor]

lstm_cell
  (input: Tensor, hx: Sequence[Tensor], w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None) -> tuple[Tensor, Tensor]

Tensor.lu torch.lu
  (input: Tensor, pivot: bool = True, get_infos: Literal[False] = False) -> tuple[Tensor, Tensor]
  (input: Tensor, pivot: bool = True, *, get_infos: Literal[True]) -> tuple[Tensor, Tensor, Tensor]

histogramdd
  (input: Tensor, bins: int | Sequence[int] | Sequence[Tensor], *, range: Sequence[float] | None = None, weight: Tensor | None = None, density: bool = False) -> return_types.histogramdd

searchsorted
  (sorted_sequence: Tensor, input: Tensor | Number, *, out_int32: bool = False, right: bool = False, side: str | None = None, out: Tensor | None = None, sorter: Tensor | None = None) -> Tensor

bucketize
  (input: Tensor | Number, boundaries: Tensor, *, out_int32: bool = False, right: bool = False, out: Tensor | None = None) -> Tensor

Tensor.size
  (self, dim: None = None) -> Size
  (self, dim: int) -> int

Tensor.stride
  (self, dim: None = None) -> tuple[int, ...]
  (self, dim: int) -> int

Tensor.item
  (self) -> int | float | bool

Tensor.tolist
  (self) -> list[Any]

Tensor.type
  (self, dtype: None = None, non_blocking: bool = False) -> str
  (self, dtype: str | dtype | type, non_blocking: bool = False) -> Tensor

Tensor.storage_type
  (self) -> type[Any]

Tensor.to
  (self, dtype: dtype, non_blocking: bool = False, copy: bool = False, *, memory_format: memory_format | None = None) -> Tensor
  (self, device: device | str | int | None = None, dtype: dtype | None = None, non_blocking: bool = False, copy: bool = False, *, memory_format: memory_format | None = None) -> Tensor
  (self, other: Tensor, non_blocking: bool = False, copy: bool = False, *, memory_format: memory_format | None = None) -> Tensor

Tensor.view
  (self, size: Sequence[int]) -> Tensor
  (self, *size: int) -> Tensor
  (self, dtype: dtype) -> Tensor

Tensor.new_zeros Tensor.new_ones Tensor.new_empty
  (self, size: Sequence[int], *, NEW) -> Tensor
  (self, *size: int, NEW) -> Tensor

Tensor.new_full
  (self, size: Sequence[int], fill_value: Number, *, NEW) -> Tensor

Tensor.new_empty_strided
  (self, size: Sequence[int], stride: Sequence[int], *, NEW) -> Tensor

Tensor.random_
  (self, *, generator: Generator | None = None) -> Tensor
  (self, to: int, *, generator: Generator | None = None) -> Tensor
  (self, from_: int, to: int | None, *, generator: Generator | None = None) -> Tensor

Tensor.__new__
  (cls, *args: Any, **kwargs: Any) -> Self

Tensor.__repr__
  (self, **kwargs: Any) -> str

Tensor.__iter__
  (self) -> Iterator[Tensor]

Tensor.__getitem__
  (self, index: Index) -> Tensor

Tensor.__setitem__
  (self, index: Index, value: Tensor | Number | ndarray) -> None

Tensor.__matmul__ Tensor.__rmatmul__
  (self, other: Tensor) -> Tensor

Tensor.__eq__ Tensor.__ne__
  (self, other: object) -> Tensor

Tensor.__pow__ Tensor.__rtruediv__ Tensor.__rdiv__
  (self, other: Tensor | Number) -> Tensor

Tensor.__reduce_ex__
  (self, protocol: SupportsIndex) -> tuple[Any, ...]

Tensor.__dlpack__
  (self, *, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: bool | None = None) -> Any

Tensor.as_subclass
  (self, cls: type[Subclass]) -> Subclass

Tensor.requires_grad_
  (self, requires_grad: bool = True) -> Self

Tensor.numpy
  (self, *, force: bool = False) -> ndarray

Tensor.__array__
  (self, dtype: Any = None, copy: bool | None = None) -> ndarray

Tensor.is_coalesced
  (self) -> bool

Tensor._nnz
  (self) -> int

zeros_like ones_like empty_like rand_like randn_like
  (input: Tensor, *, memory_format: memory_format | None = None, LIKE) -> Tensor

full_like
  (input: Tensor, fill_value: Number, *, memory_format: memory_format | None = None, LIKE) -> Tensor

is_inference _is_view
  (input: Tensor) -> bool

std var
  (input: Tensor, dim: int | Sequence[int] | None, unbiased: bool = True, keepdim: bool = False, *, out: Tensor | None = None) -> Tensor
  (input: Tensor, dim: int | Sequence[int] | None = None, *, correction: Number | None = None, keepdim: bool = False, out: Tensor | None = None) -> Tensor
  (input: Tensor, unbiased: bool) -> Tensor

is_tensor
  (obj: object) -> TypeIs[Tensor]
"""

OPTIONS = (
    "out: Tensor | None = None, dtype: dtype | None = None, layout: layout | None = None, "
    "device: device | str | int | None = None, pin_memory: bool = False, requires_grad: bool = False"
)
NEW = (
    "dtype: dtype | None = None, device: device | str | int | None = None, requires_grad: bool = False, "
    "layout: layout | None = None, pin_memory: bool = False"
)


def overloads() -> dict[str, list[str]]:
    """The lines of the text by name, written out."""
    found: dict[str, list[str]] = {}
    names: list[str] = []
    for line in TEXT.splitlines():
        if line.startswith("  "):
            text = line.strip()
            for word, options in (("OPTIONS", OPTIONS), ("NEW", NEW), ("LIKE", NEW)):
                text = text.replace(word, options)
            for name in names:
                found.setdefault(name, []).append(text.replace("NAME", name.rpartition(".")[2]))
        elif line:
            names = line.split()
    return found
