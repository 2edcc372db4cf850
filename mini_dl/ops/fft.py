"""Discrete Fourier transforms, by NumPy's FFT.

With ``w = exp(-2 pi i / n)`` the forward transform of length `n` is ``X[k] = sum over j of x[j] * w**(j * k)``, the inverse has
``w**(-j * k)``. `norm` places the factor ``1/n``: "backward" (the default) on the inverse, "forward" on the forward transform,
"ortho" its square root on both. A transform along several dimensions is one along each.

Three primitives, closed under differentiation: complex to complex, real to the half of a spectrum that determines the rest, and
back. The adjoint of a forward transform is the inverse one with the factor on the other side; a half spectrum also represents
its mirror image, so all of its elements but the first (and the last, for an even length) count twice.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mini_dl import _dtypes
from mini_dl._checks import int_list, listed, type_name, wrap_dim
from mini_dl._dtypes import HALVES, INEXACT, Array, Ints, NumpyType, Shape, scalar_name
from mini_dl._surface import named, public
from mini_dl.autograd.primitive import linear_in, op
from mini_dl.ops.factories import factory
from mini_dl.ops.padding import pad
from mini_dl.tensor import Tensor, wrap

SWAPPED = {"backward": "forward", "ortho": "ortho", "forward": "backward"}

# ------------------------------------------------------------------------------------------------ primitives


@linear_in("input")
@op(input=lambda grad, dims, norm, inverse: complex_to_complex(grad, dims, SWAPPED[norm], not inverse))
def complex_to_complex(input: Array, dims: Shape, norm: Any, inverse: bool) -> Array:
    """The transform along `dims`, or its inverse. A real input gives the whole spectrum."""
    transform = np.fft.ifftn if inverse else np.fft.fftn
    if not dims:
        return input.astype(np.result_type(input.dtype, np.complex64))
    return _by_lines(input, dims, False, transform, norm=norm)


def _by_lines(input: Array, dims: Shape, last_stays: bool, transform: Callable[..., Array], **options: object) -> Array:
    """`transform` along `dims`, with the memory layout of torch's results: first the other dimensions, then `dims`, each in the
    order of the input's memory; the last of `dims` is last if it stays."""
    others = [d for d in range(input.ndim) if d not in dims]
    free, last = (list(dims[:-1]), [dims[-1]]) if last_stays else (list(dims), [])
    order = [*(sorted(part, key=lambda d: -input.strides[d]) for part in (others, free)), last]
    axes = [d for part in order for d in part]
    out = transform(input.transpose(axes), axes=tuple(range(len(others), input.ndim)), **options)
    return np.ascontiguousarray(out).transpose(np.argsort(axes))  # NumPy keeps the order of the input


@linear_in("input")
@op(
    input=lambda grad, input_shape, dims, norm: complex_to_real(
        _weighed(grad, dims, input_shape, 0.5), dims, input_shape[dims[-1]], SWAPPED[norm]
    )
)
def real_to_complex(input: Array, dims: Shape, norm: Any) -> Array:
    """The forward transform of a real input along `dims`; along the last of them only the first ``n // 2 + 1`` elements."""
    return _by_lines(input, dims, True, np.fft.rfftn, norm=norm)


@linear_in("input")
@op(input=lambda grad, dims, norm: _weighed(real_to_complex(grad, dims, SWAPPED[norm]), dims, grad.shape, 2.0))
def complex_to_real(input: Array, dims: Shape, n: int, norm: Any) -> Array:
    """The inverse of `real_to_complex`, `n` long along the last of `dims`."""
    if len(dims) > 1:
        input = _by_lines(input, dims[:-1], False, np.fft.ifftn, norm=norm)
    return _by_lines(input, dims[-1:], True, np.fft.irfftn, s=(n,), norm=norm)


def _weighed(half: Tensor, dims: Shape, shape: Shape, weight: float) -> Tensor:
    """A half spectrum of a signal of `shape` with the elements that represent two multiplied by `weight`."""
    last, n = dims[-1], shape[dims[-1]]
    weights = np.ones([n // 2 + 1 if d == last else 1 for d in range(half.ndim)], half._array.real.dtype)
    weights[tuple([slice(1, (n + 1) // 2) if d == last else slice(None) for d in range(half.ndim)])] = weight
    return half * wrap(weights)


# ------------------------------------------------------------------------------------------------ arguments


def _transformable(name: str, input: Tensor) -> Tensor:
    """`input` in a type that can be transformed."""
    if input._array.dtype.kind not in INEXACT:
        input = input.to(_dtypes.get_default_dtype())
    if input._array.dtype.char in HALVES:
        raise RuntimeError(f"Unsupported dtype {scalar_name(input._array.dtype)}")
    return input


def _norm(norm: str | None) -> str:
    if norm is not None and norm not in SWAPPED:
        raise RuntimeError(f'Invalid normalization mode: "{norm}"')
    return norm or "backward"


def _real(name: str, input: Tensor) -> None:
    if isinstance(input, Tensor) and input._array.dtype.kind == "c":
        words = {
            "ihfftn": "Only supports floating-point dtypes, but found: ",
            "rfftn": "rfftn expects a real-valued input tensor, but got ",
        }
        raise RuntimeError(words.get(name, f"{name} expects a real input tensor, but got ") + scalar_name(input._array.dtype))


def _one(input: Tensor, dim: Ints) -> int:
    if not input.ndim:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    return wrap_dim(dim, input.ndim)


def _length(n: Any) -> int:
    try:
        n = operator.index(n)
    except TypeError:
        raise TypeError(f"argument 'n' must be int, not {type_name(n)}") from None
    if n < 1:
        raise RuntimeError(f"Invalid number of data points ({n}) specified")
    return int(n)


def _axes(input: Tensor, s: Ints | None, dim: Ints | None) -> tuple[list[int], Shape]:
    """The lengths `s` and the dimensions `dim`, each optional; torch derives one from the other."""
    if s is not None:
        s = int_list(listed(s), "argument 's'")
    if dim is not None:
        dim = listed(dim)
        if s is not None and len(s) != len(dim):
            raise RuntimeError("When given, dim and shape arguments must have the same length")
        dims = tuple([_one(input, d) for d in dim])
        if len(set(dims)) != len(dims):
            raise RuntimeError("FFT dims must be unique")
    else:
        if s is not None and len(s) > input.ndim:
            raise RuntimeError(f"Got shape with {len(s)} values but input tensor only has {input.ndim} dimensions.")
        dims = tuple(range(input.ndim - (input.ndim if s is None else len(s)), input.ndim))
    lengths = [input.shape[d] if s is None or s[i] == -1 else s[i] for i, d in enumerate(dims)]
    return [_length(n) for n in lengths], dims


def resized(input: Tensor, lengths: Sequence[int], dims: Shape) -> Tensor:
    """`input` cropped, or padded with zeros, at the end of each of `dims`."""
    for n, d in zip(lengths, dims):
        if n < input.shape[d]:
            input = input.narrow(d, 0, n)
    missing = [0] * (2 * input.ndim)
    for n, d in zip(lengths, dims):
        missing[2 * (input.ndim - 1 - d) + 1] = n - input.shape[d]
    return pad(input, missing) if any(missing) else input


def as_complex(input: Tensor) -> Tensor:
    return input if input._array.dtype.kind == "c" else input.to(input.dtype.to_complex())


def _complex(name: str, input: Tensor, s: Ints | None, dim: Ints | None, norm: str | None, inverse: bool) -> Tensor:
    input = _transformable(name, input)
    lengths, dims = _axes(input, s, dim)
    return complex_to_complex(resized(input, lengths, dims), dims, _norm(norm), inverse)


def _to_half(name: str, input: Tensor, s: Ints | None, dim: Ints | None, norm: str | None, inverse: bool) -> Tensor:
    if name != "ihfftn":
        _real(name, input)
    input = _transformable(name, input)
    lengths, dims = _axes(input, s, dim)
    if not dims:
        raise RuntimeError(f"{name} must transform at least one axis")
    norm = _norm(norm)
    _real(name, input)
    input = resized(input, lengths, dims)
    if not inverse:
        return real_to_complex(input, dims, norm)
    out = real_to_complex(input, dims[-1:], SWAPPED[norm]).conj()
    return complex_to_complex(out, dims[:-1], norm, True) if len(dims) > 1 else out


def _from_half(name: str, input: Tensor, s: Ints | None, dim: Ints | None, norm: str | None, inverse: bool) -> Tensor:
    """The real signal of a half spectrum; forward is the inverse of the conjugate, with the factor on the other side."""
    input = _transformable(name, input)
    lengths, dims = _axes(input, s, dim)
    if not dims:
        raise RuntimeError(f"{name} must transform at least one axis")
    given = None if s is None else s[-1] if isinstance(s, (tuple, list)) else s
    n = _length(2 * (input.shape[dims[-1]] - 1) if given in (None, -1) else given)
    norm = _norm(norm)
    half = as_complex(resized(input, [*lengths[:-1], n // 2 + 1], dims))
    return complex_to_real(half, dims, n, norm) if inverse else complex_to_real(half.conj(), dims, n, SWAPPED[norm])


def _single(n: object, dim: Ints, input: Tensor) -> tuple[Any, Any]:
    """`n` and `dim` of a one-dimensional transform, as `s` and `dim` of a multidimensional one."""
    if isinstance(input, Tensor):
        dim = _one(input, dim)
    return None if n is None else (_length(n),), (dim,)


# ------------------------------------------------------------------------------------------------ the transforms


def _family(
    name: str, transform: Callable[..., Tensor], inverse: bool, what: str, shapes: str, several: str, example: str
) -> Callable[..., Tensor]:
    """Publish a transform along one dimension, along two and along several: `what` it computes, and how `several` are
    composed.
    """

    def along_one(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
        return transform(name, input, *_single(n, dim, input), norm, inverse=inverse)

    def along_many(input: Tensor, s: Ints | None = None, dim: Ints | None = None, norm: str | None = None) -> Tensor:
        return transform(name + "n", input, s, dim, norm, inverse=inverse)

    def along_two(input: Tensor, s: Ints | None = None, dim: Ints = (-2, -1), norm: str | None = None) -> Tensor:
        if dim is None:
            raise TypeError(f"fft_{name}2(): argument 'dim' must be tuple of ints, not NoneType")
        return along_many(input, s, dim, norm)

    composed = several.format("input").replace("torch.fft.", "")
    ends = f"""{shapes}
{ERRORS}

>>> x = torch.arange(6.0).reshape(2, 3)
>>> torch.allclose(torch.fft.{name}$(x), {several.format("x")})
True"""
    publish = public("fft", out=True)
    many = f"`{name}` along several dimensions, by default all, or the last ``len(s)``, of lengths `s`: ``out = {composed}``"
    publish(named(along_many, name + "n", f"{many}\n\n{ends.replace('$', 'n')}"))
    publish(named(along_two, name + "2", f"`{name}n` along two dimensions: ``out = {composed}``\n\n{ends.replace('$', '2')}"))
    return publish(named(along_one, name, f"{what}\n\n{NORMS}\n\n{shapes}\n{ERRORS}\n\n{example}"))


NORMS = """`n` elements are transformed: `input` is cropped, or padded with zeros. `norm` "backward", the default, divides
the inverse by n, "forward" the transform, and "ortho" both by sqrt(n)."""
ERRORS = (
    "Raises: RuntimeError for no elements, an unknown `norm`, and other dtypes; IndexError for a dimension that `input` lacks."
)

fft = _family(
    "fft", _complex, False,
    "The Fourier transform along `dim`: ``out[k] = sum(input[j] * exp(-2 * pi * i * j * k / n), j)``",
    "Shapes: (*in) -> (*in), complex, with `n` elements at `dim`.",
    "torch.fft.fft(torch.fft.fft({}), dim=0)",
    """>>> torch.fft.fft(torch.tensor([1.0, 0.0, 0.0, 0.0]))
tensor([1.+0.j, 1.+0.j, 1.+0.j, 1.+0.j])""",
)  # fmt: skip
ifft = _family(
    "ifft", _complex, True,
    "The inverse of `fft`: ``out[j] = sum(input[k] * exp(2 * pi * i * j * k / n), k) / n``",
    "Shapes: (*in) -> (*in), complex, with `n` elements at `dim`.",
    "torch.fft.ifft(torch.fft.ifft({}), dim=0)",
    """>>> torch.fft.ifft(torch.tensor([4.0, 0.0, 0.0, 0.0]))
tensor([1.+0.j, 1.+0.j, 1.+0.j, 1.+0.j])""",
)  # fmt: skip
rfft = _family(
    "rfft", _to_half, False,
    "Half of the transform of a real input: ``out[k] = sum(input[j] * exp(-2 * pi * i * j * k / n), j)`` for ``k <= n // 2``, "
    "the others are conjugates.",
    "Shapes: (*in), real -> (*in), complex, with ``n // 2 + 1`` elements at `dim`, the last of several.",
    "torch.fft.fft(torch.fft.rfft({}), dim=0)",
    """>>> torch.fft.rfft(torch.tensor([1.0, 2.0, 3.0, 4.0]))
tensor([10.+0.j, -2.+2.j, -2.+0.j])""",
)  # fmt: skip
irfft = _family(
    "irfft", _from_half, True,
    "The inverse of `rfft`: ``input = rfft(out)``, of `n` real elements, ``2 * (m - 1)`` by default.",
    "Shapes: (*in), with m elements at `dim`, the last of several -> (*in), real, with `n` there.",
    "torch.fft.irfft(torch.fft.ifft({}, dim=0))",
    """>>> torch.fft.irfft(torch.tensor([10.0, -2.0 + 2.0j, -2.0]))
tensor([1., 2., 3., 4.])""",
)  # fmt: skip
hfft = _family(
    "hfft", _from_half, False,
    "The real transform of a signal given by its first half, the rest mirrors its conjugate: ``out = n * irfft(conj(input))``",
    "Shapes: (*in), with m elements at `dim`, the last of several -> (*in), real, with `n`, or ``2 * (m - 1)``, there.",
    "torch.fft.hfft(torch.fft.fft({}, dim=0))",
    """>>> torch.fft.hfft(torch.tensor([1.0, 1.0j, 0.0]))
tensor([ 1.,  3.,  1., -1.])""",
)  # fmt: skip
ihfft = _family(
    "ihfft", _to_half, True,
    "The inverse of `hfft`, half of the inverse transform of a real input: ``out = conj(rfft(input)) / n``",
    "Shapes: (*in), real -> (*in), complex, with ``n // 2 + 1`` elements at `dim`, the last of several.",
    "torch.fft.ifft(torch.fft.ihfft({}), dim=0)",
    """>>> torch.fft.ihfft(torch.tensor([1.0, 3.0, 1.0, -1.0]))
tensor([1.-0.j, 0.+1.j, 0.-0.j])""",
)  # fmt: skip


# ------------------------------------------------------------------------------------------------ frequencies


@factory(place="fft")
def fftfreq(n: int, d: float = 1.0, *, dtype: NumpyType | None) -> Array:
    """The frequencies of the elements of `fft` for samples `d` apart:
    ``out[k] = k / (n * d) if k < n / 2 else (k - n) / (n * d)``

    Shapes: -> (n,).
    Raises: RuntimeError for a negative `n`, and for a dtype that is not floating point.

    >>> torch.fft.fftfreq(5)
    tensor([ 0.0000,  0.2000,  0.4000, -0.4000, -0.2000])
    """
    n, target = _points("fftfreq", n, dtype)
    if n < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension {n}: [{n}]")
    steps = np.arange(n)
    steps[(n + 1) // 2 :] -= n
    return steps.astype(target) * (np.float64(1.0) / np.float64(n * d)).astype(target)


@factory(place="fft")
def rfftfreq(n: int, d: float = 1.0, *, dtype: NumpyType | None) -> Array:
    """The frequencies of the elements of `rfft` for samples `d` apart: ``out[k] = k / (n * d)``

    Shapes: -> (n // 2 + 1,).
    Raises: RuntimeError for a negative `n`, and for a dtype that is not floating point.

    >>> torch.fft.rfftfreq(5)
    tensor([0.0000, 0.2000, 0.4000])
    """
    n, target = _points("rfftfreq", n, dtype)
    return np.arange(int(n / 2) + 1).astype(target) * (np.float64(1.0) / np.float64(n * d)).astype(target)


def _points(name: str, n: Any, dtype: Any) -> tuple[int, Any]:
    if isinstance(n, bool) or not hasattr(type(n), "__index__"):
        raise TypeError(f"fft_{name}(): argument 'n' (position 1) must be int, not {type_name(n)}")
    target = _dtypes.default_numpy() if dtype is None else dtype
    if target.kind not in INEXACT:
        raise RuntimeError(f"{name} requires a floating point or complex dtype")
    if target.kind == "c":
        raise NotImplementedError(f"\"arange_cpu\" not implemented for '{scalar_name(target)}'")
    return operator.index(n), target


def _shift_dims(input: Tensor, dim: Ints | None) -> list[int]:
    if dim is None:
        return list(range(input.ndim))
    return [_one(input, d) for d in (dim if isinstance(dim, (tuple, list)) else (dim,))]


@public("fft")
def fftshift(input: Tensor, dim: Ints | None = None) -> Tensor:
    """The elements of `fft` in the order of their frequencies, 0 in the middle: ``out[k] = input[(k - n // 2) % n]``

    Shapes: (*in) -> (*in).
    Raises: IndexError for a dimension that `input` lacks.

    >>> torch.fft.fftshift(torch.fft.fftfreq(4))
    tensor([-0.5000, -0.2500,  0.0000,  0.2500])
    """
    dims = _shift_dims(input, dim)
    return input.roll([input.shape[d] // 2 for d in dims], dims)


@public("fft")
def ifftshift(input: Tensor, dim: Ints | None = None) -> Tensor:
    """The inverse of `fftshift`: ``out[k] = input[(k + n // 2) % n]``

    Family: fft.fftshift

    >>> torch.fft.ifftshift(torch.tensor([-2, -1, 0, 1]))
    tensor([ 0,  1, -2, -1])
    """
    dims = _shift_dims(input, dim)
    return input.roll([(input.shape[d] + 1) // 2 for d in dims], dims)
