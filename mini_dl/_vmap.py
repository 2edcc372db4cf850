"""`vmap`: a function of single elements, called once on all elements of a batch."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from mini_dl.autograd.batching import Batched
from mini_dl.autograd.transforms import wrap_at
from mini_dl.nn.modules.batchnorm import _BatchNorm
from mini_dl.nn.modules.module import Module
from mini_dl.ops.joining import cat
from mini_dl.ops.random import get_rng_state, set_rng_state
from mini_dl.tensor import Tensor
from mini_dl.utils._pytree import TreeSpec, _broadcast_to_and_flatten, tree_flatten, tree_map_, tree_unflatten

InDims = Any
OutDims = Any


def vmap(
    func: Callable[..., object],
    in_dims: InDims = 0,
    out_dims: OutDims = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """A function that calls `func` on every element along a dimension of its arguments at once: ``out[b] = func(args[b])``

    `func` sees tensors without that dimension, and need not know of it. `in_dims` says which dimension of each argument is
    the batch, None for an argument that is the same for all elements: a number for all, or a tuple in the structure of the
    arguments (their lists, tuples and dictionaries). `out_dims` says likewise where it goes in the results. Keyword arguments
    are passed on.

    Random draws in `func` are refused, unless `randomness` is "different" (for each element) or "same" (for all). With
    `chunk_size` the batch is taken in parts of at most that size, which needs less memory. May be nested, and meet `grad`,
    `jvp` and the others in any order.

    Shapes: (B, *in) -> (B, *out), where `func` maps (*in) to (*out).
    Raises: ValueError where dimensions do not fit; RuntimeError where `func` reads the value of a batched tensor (``item()``,
    ``if``), or writes one into a tensor that is the same for all elements.

    >>> rows, columns = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[1.0, 1.0], [0.0, 2.0]])
    >>> torch.vmap(torch.dot)(rows, columns)
    tensor([3., 8.])
    >>> torch.vmap(torch.dot, in_dims=(0, 1))(rows, columns)
    tensor([ 1., 11.])
    """
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(f"Only allowed values for randomness are 'error', 'different', or 'same'. Got {randomness}")
    if not (chunk_size is None or chunk_size > 0):
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")

    @functools.wraps(func, updated=())
    def mapped(*args: object, **kwargs: object) -> Any:
        return _Mapping(func, out_dims, randomness).run(in_dims, chunk_size, args, kwargs)

    return mapped


def name_of(func: object) -> str:
    """What errors call a function."""
    if hasattr(func, "__name__"):
        return str(func.__name__)
    return f"functools.partial({name_of(func.func)}, ...)" if isinstance(func, functools.partial) else repr(func)


class _Mapping:
    """One call of a mapped function."""

    def __init__(self, func: Callable[..., object], out_dims: OutDims, randomness: str) -> None:
        self.func, self.out_dims, self.randomness = func, out_dims, randomness

    @property
    def name(self) -> str:
        """What errors call the function."""
        return name_of(self.func)

    def run(self, in_dims: InDims, chunk_size: int | None, args: tuple[object, ...], kwargs: dict[str, object]) -> Any:
        if not isinstance(self.out_dims, int):
            tree_map_(self._check_out_dim, self.out_dims)
        size, dims, flat, spec = self.inputs(in_dims, args)
        if chunk_size is None:
            return self.whole(size, dims, flat, spec, kwargs)
        return self.in_chunks(size, chunk_size, dims, flat, spec, kwargs)

    def _check_out_dim(self, dim: object) -> None:
        if dim is not None and not isinstance(dim, int):
            raise ValueError(
                f"vmap({self.name}, ..., out_dims={self.out_dims}): `out_dims` must be an int, None or a python collection of "
                "ints representing where in the outputs the vmapped dimension should appear."
            )

    # -------------------------------------------------------------------------------------------- in

    def inputs(self, in_dims: InDims, args: tuple[object, ...]) -> tuple[int, list[int | None], list[Any], TreeSpec]:
        """The size of the batch, and for each leaf of the arguments the dimension of the batch, counted from the front."""
        if not isinstance(in_dims, (int, tuple)):
            raise ValueError(
                f"{self._called(in_dims)}expected `in_dims` to be int or a (potentially nested) tuple matching the structure of "
                f"inputs, got: {type(in_dims)}."
            )
        if not args:
            raise ValueError(
                f"vmap({self.name})(<inputs>): got no inputs. Maybe you forgot to add inputs, or you are trying to vmap over a "
                "function with no inputs. The latter is unsupported."
            )
        flat, spec = tree_flatten(args)
        dims = _broadcast_to_and_flatten(in_dims, spec)
        if dims is None:
            raise ValueError(
                f"{self._called(in_dims)}in_dims is not compatible with the structure of `inputs`. in_dims has structure "
                f"{tree_flatten(in_dims)[1]} but inputs has structure {spec}."
            )
        counted = [self._counted(in_dims, arg, dim) for arg, dim in zip(flat, dims)]
        return batch_size(counted, flat), counted, flat, spec

    def _called(self, in_dims: InDims) -> str:
        return f"vmap({self.name}, in_dims={in_dims}, ...)(<inputs>): "

    def _counted(self, in_dims: InDims, arg: object, dim: object) -> int | None:
        """The dimension of the batch in one argument, counted from the front."""
        if dim is None:
            return None
        if not isinstance(dim, int):
            raise ValueError(
                f"{self._called(in_dims)}Got in_dim={dim} for an input but in_dim must be either an integer dimension or None."
            )
        if not isinstance(arg, Tensor):
            raise ValueError(
                f"{self._called(in_dims)}Got in_dim={dim} for an input but the input is of type {type(arg)}. We cannot vmap over "
                "non-Tensor arguments, please use None as the respective in_dim"
            )
        n = arg._array.ndim
        if not -n <= dim < n:
            raise ValueError(
                f"{self._called(in_dims)}Got in_dim={dim} for some input, but that input is a Tensor of dimensionality {n} so "
                f"expected in_dim to satisfy -{n} <= in_dim < {n}."
            )
        return dim % n

    # -------------------------------------------------------------------------------------------- through

    def whole(self, size: int, dims: list[int | None], flat: list[Any], spec: TreeSpec, kwargs: dict[str, object]) -> Any:
        with Batched(size, self.randomness) as level:
            args = [arg if dim is None else batched(level, arg, dim) for arg, dim in zip(flat, dims)]
            found = self.func(*tree_unflatten(args, spec), **kwargs)
        return self.outputs(level, found)

    def in_chunks(
        self, size: int, chunk_size: int, dims: list[int | None], flat: list[Any], spec: TreeSpec, kwargs: dict[str, object]
    ) -> Any:
        parts, arranged, state = [], None, get_rng_state() if self.randomness == "same" else None
        for start in range(0, size, chunk_size):
            length = min(chunk_size, size - start)
            if state is not None:
                set_rng_state(state)
            chunk = [arg if dim is None else arg.narrow(dim, start, length) for arg, dim in zip(flat, dims)]
            leaves, arranged = tree_flatten(self.whole(length, dims, chunk, spec, kwargs))
            parts.append(leaves)
        if arranged is None:
            raise AssertionError("arg_spec must not be None")
        out_dims = _broadcast_to_and_flatten(self.out_dims, arranged)
        assert out_dims is not None
        return tree_unflatten([cat(list(pieces), dim) for pieces, dim in zip(zip(*parts), out_dims)], arranged)

    # -------------------------------------------------------------------------------------------- out

    def outputs(self, level: Batched, found: object) -> Any:
        """What `func` returned, with the batch as the dimension that `out_dims` names."""
        flat, spec = tree_flatten(found)
        if isinstance(found, Tensor):
            dims: list[Any] | None = [self.out_dims] if self.out_dims is None else None
            if isinstance(self.out_dims, (int, tuple)):
                dims = list(self.out_dims) if isinstance(self.out_dims, tuple) else [self.out_dims]
            dims = dims if dims is not None and len(dims) == 1 else None
        else:
            dims = _broadcast_to_and_flatten(self.out_dims, spec)
        if dims is None:
            raise ValueError(
                f"vmap({self.name}, ..., out_dims={self.out_dims})(<inputs>): out_dims is not compatible with the structure of "
                f"`outputs`. out_dims has structure {tree_flatten(self.out_dims)[1]} but outputs has structure {spec}."
            )
        return tree_unflatten([self._output(level, out, dim) for out, dim in zip(flat, dims)], spec)

    def _output(self, level: Batched, out: object, dim: int | None) -> Any:
        if dim is None:
            if isinstance(out, Tensor) and out._level is not None and type(out._level) is Batched:
                raise ValueError(f"vmap({self.name}, ...): `{self.name}` can not return a BatchedTensor when out_dim is None")
            return out
        if not isinstance(out, Tensor):
            raise ValueError(
                f"vmap({self.name}, ...): `{self.name}` must only return Tensors, got type {type(out)}. Did you mean to set "
                "out_dims= to None for output?"
            )
        return unbatched(level, out, dim)


def batch_size(dims: Sequence[int | None], flat: Sequence[Any]) -> int:
    """The size of the batch. ValueError if the arguments do not agree on it."""
    sizes = [int(arg._array.shape[dim]) for dim, arg in zip(dims, flat) if dim is not None]
    if not sizes:
        raise ValueError("vmap: Expected at least one Tensor to vmap over")
    if any([size != sizes[0] for size in sizes]):
        raise ValueError(
            f"vmap: Expected all tensors to have the same size in the mapped dimension, got sizes {sizes} for the mapped "
            "dimension"
        )
    return sizes[0]


def batched(level: Batched, tensor: Tensor, dim: int) -> Tensor:
    """The tensor of `level` that stands for the elements of `tensor` along `dim`."""
    with level.beneath():
        value = tensor.movedim(dim, 0) if dim else tensor
    return wrap_at(level, value, 0)


def unbatched(level: Batched, out: Tensor, dim: int) -> Tensor:
    """The physical tensor with the batch as dimension `dim`; the same for all elements if it is not of `level`."""
    if out._level is level:
        value: Any = out._value
    else:
        value = out.expand(level.size, *out._array.shape)
    n = value._array.ndim
    if not -n <= dim < n:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {dim})")
    return value.movedim(0, dim) if dim % n else value


def replace_all_batch_norm_modules_(root: Module) -> Module:
    """Let every batch norm of a module use the statistics of the batch only, in place: `vmap` cannot write running ones.

    Raises: AttributeError for anything but a module.

    >>> net = torch.func.replace_all_batch_norm_modules_(nn.Sequential(nn.BatchNorm1d(2)))
    >>> net[0].running_mean is None
    True
    """
    for module in root.modules():
        if isinstance(module, _BatchNorm):
            module.running_mean = module.running_var = module.num_batches_tracked = None
            module.track_running_stats = False
    return root
