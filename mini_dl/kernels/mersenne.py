"""The random numbers of torch's CPU generator: a Mersenne Twister, and the numbers torch derives from its draws.

Everything is vectorized over NumPy's MT19937, which is the same engine with the same seeding. Functions that draw take a
generator and a number of elements, and return a flat array; they do not use tensors. NumPy's global state is never touched.

Source of the engine: Matsumoto and Nishimura, "Mersenne Twister", ACM TOMACS 8 (1998).
"""

from __future__ import annotations

import functools
import math
import operator
import os
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mini_dl._device import CPU, DeviceLike, device
from mini_dl._dtypes import HALVES, Array, Function, NumpyType, float64
from mini_dl.kernels.sorting import sort_rows

WORDS = 624  # of the engine's state

STATE = np.dtype(
    {  # how torch lays a state out in bytes
        "names": ["seed", "left", "seeded", "next", "words", "normal", "has_normal"],
        "formats": ["<u8", "<i4", "<i4", "<u8", ("<u8", WORDS), "<f8", "<i4"],
        "offsets": [0, 8, 12, 16, 24, 5024, 5040],
        "itemsize": 5056,
    }
)


_all: weakref.WeakValueDictionary[int, Generator] = weakref.WeakValueDictionary()
_held: list[threading.Lock] = []


def _hold_all() -> None:
    """Before a fork: the child would wait forever for an engine that another thread was drawing from."""
    locks = [generator._bits.lock for reference in _all.valuerefs() if (generator := reference()) is not None]
    _held.extend(filter(operator.methodcaller("acquire", timeout=1), locks))


class _Released:
    """Releases the locks in `_held` while it is iterated, without any bytecode: signals are handled between bytecodes, and a fork
    is long enough for one to arrive.
    """

    __iter__ = staticmethod(functools.partial(map, operator.methodcaller("release"), _held))


if hasattr(os, "register_at_fork"):
    release_all: Callable[[], object] = functools.partial(list, _Released())
    os.register_at_fork(before=_hold_all, after_in_parent=release_all, after_in_child=release_all)
    # `_hold_all` once more: an interrupt may have stopped one of them
    os.register_at_fork(before=_hold_all, after_in_parent=_held.clear, after_in_child=_held.clear)


class Generator:
    """A source of random numbers: the stream of torch's generator with the same seed.

    Raises: RuntimeError for a device other than the CPU.

    >>> torch.rand(2, generator=torch.Generator().manual_seed(0))
    tensor([0.4963, 0.7682])
    """

    def __init__(self, device: DeviceLike = "cpu") -> None:
        wanted = _device(device)
        if wanted.type != "cpu":
            raise RuntimeError(f"Device type {wanted.type} is not supported for torch.Generator() api.")
        self._bits = np.random.MT19937(0)
        self._numpy = np.random.RandomState(self._bits)  # used for its seeding and its bulk draws
        self._normal: float | None = None  # Box-Muller makes two: the pending one
        self.manual_seed(67280421310721)
        _all[id(self)] = self

    @property
    def device(self) -> device:
        return CPU

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream of `seed`, from -2^63 to 2^64 - 1. ValueError outside. Returns this generator."""
        seed = _integer(seed)
        if not -(2**63) <= seed < 2**64:
            raise ValueError("Overflow when unpacking long long")
        self._seed = seed % 2**64
        self._numpy.seed(seed & 0xFFFFFFFF)
        self._fresh = True  # nothing drawn yet: torch writes this state differently from an exhausted one
        self._normal = None
        return self

    def seed(self) -> int:
        """Start an unpredictable stream; returns its seed."""
        seed = int.from_bytes(os.urandom(8), "little") & (2**53 - 1)
        self.manual_seed(seed)
        return seed

    def initial_seed(self) -> int:
        """The seed this stream started from."""
        return self._seed

    def clone_state(self) -> Generator:
        """Another generator at the same position in the same stream."""
        return _at(self.dump())

    def dump(self) -> Array:
        """The state in torch's layout: 5056 bytes."""
        state = np.zeros((), STATE)
        engine = self._bits.state["state"]
        used = int(engine["pos"])  # words of the current 624 that are used up
        state["seed"], state["seeded"], state["words"] = self._seed, 1, engine["key"]
        state["left"], state["next"] = WORDS + 1 - used, 0 if self._fresh else used
        if self._normal is not None:
            state["normal"], state["has_normal"] = self._normal, 1
        return np.frombuffer(state.tobytes(), np.uint8).copy()

    def load(self, state: Array) -> None:
        """Continue from a state written by `dump` or torch. RuntimeError if this is not a state."""
        if state.size != STATE.itemsize:
            raise RuntimeError(
                f"Expected a CPUGeneratorImplState of size {STATE.itemsize} but found the input RNG state size to be {state.size}"
            )
        fields = np.frombuffer(np.ascontiguousarray(state).tobytes(), STATE)[0]
        left, following = int(fields["left"]), int(fields["next"])
        if fields["seeded"] != 1 or not 0 < left <= WORDS or following > WORDS:
            raise RuntimeError("Invalid mt19937 state")
        self._bits.state = {
            "bit_generator": "MT19937",
            "state": {"key": fields["words"].astype(np.uint32), "pos": WORDS + 1 - left},
        }
        self._seed, self._fresh = int(fields["seed"]), following == 0
        self._normal = float(fields["normal"]) if fields["has_normal"] else None

    def __reduce__(self) -> tuple[Function, tuple[Array]]:
        return _at, (self.dump(),)

    def __setstate__(self, state: Sequence[object]) -> None:  # as in pickles of torch: the seed, an offset and the state
        self.load(np.asarray(state[2]))

    # -------------------------------------------------------------------------------------------- draws

    def words(self, n: int) -> Array:
        """`n` draws of 32 bits, as uint32."""
        self._fresh = self._fresh and not n
        if n < 1000:  # the bulk call is slow to start
            return self._bits.random_raw(n).astype(np.uint32)
        return self._numpy.randint(0, 2**32, n, dtype=np.uint32)

    def doubles(self, n: int) -> Array:
        """`n` draws of 64 bits, each two of 32 with the high one first, as uint64."""
        if n < 500:
            pairs = self._bits.random_raw(2 * n)
            self._fresh = self._fresh and not n
            return (pairs[0::2] << np.uint64(32)) | pairs[1::2]
        self._fresh = False
        return self._numpy.randint(0, 2**64, n, dtype=np.uint64)

    def next_word(self) -> int:
        self._fresh = False
        return int(self._bits.random_raw())


def _at(state: Array) -> Generator:
    """A generator that continues from `state`."""
    generator = Generator()
    generator.load(state)
    return generator


def _device(value: DeviceLike) -> device:
    return value if isinstance(value, device) else device(value)


def _integer(seed: Any) -> int:
    try:
        return operator.index(seed)
    except TypeError:
        raise RuntimeError(f"manual_seed expected a long, but got {type(seed).__name__}") from None


default_generator = Generator()


class _Here(threading.local):
    """The stream of this thread if it has its own, as the workers of a DataLoader do."""

    generator: Generator = default_generator


here = _Here()


# ------------------------------------------------------------------------------------------------ reals


def unit(generator: Generator, n: int, dtype: NumpyType) -> Array:
    """Uniform on [0, 1): the low 53 bits of a double draw, or the low 24 of a single one; float16 is computed in float32."""
    if dtype == float64.numpy:
        bits = generator.doubles(n)
        bits &= np.uint64(2**53 - 1)
        return np.multiply(bits.view(np.int64), 2.0**-53)
    words = generator.words(n)
    words &= np.uint32(2**24 - 1)
    out = words.view(np.int32).astype(np.float32)
    out *= np.float32(2.0**-24)
    return out


PIECE = 1 << 16


def piecewise(dtype: NumpyType, draw: Callable[[Generator, int], Array]) -> Callable[[Generator, int], Array]:
    """`draw` in pieces that stay in the processor's cache. The numbers are the same: pieces take their draws in order."""

    def whole(generator: Generator, n: int) -> Array:
        if n <= PIECE:
            return draw(generator, n)
        out = np.empty(n, dtype)
        for start in range(0, n, PIECE):
            part = out[start : start + PIECE]
            part[...] = draw(generator, part.size)
        return out

    return whole


class Lookahead:
    """The next doubles of a generator, one at a time, for methods that cannot tell in advance how many they need.

    They are drawn in bulk: the requested one, and `sure`, the number of further ones that are certain to be requested.
    """

    def __init__(self, generator: Generator) -> None:
        self.generator, self.sure = generator, 0
        self.waiting: list[float] = []

    def __next__(self) -> float:
        if not self.waiting:
            self.waiting = unit_double(self.generator, 1 + min(self.sure, PIECE))[::-1].tolist()
        return self.waiting.pop()


def unit_double(generator: Generator, n: int) -> Array:
    return unit(generator, n, np.dtype(np.float64))


def uniform(generator: Generator, n: int, dtype: NumpyType, low: float, high: float) -> Array:
    """Uniform on [low, high): ``low + u * (high - low)``, rounded once."""
    u = unit(generator, n, dtype)
    if low == 0 and high == 1 and dtype.char not in HALVES:
        return u
    start, stop = u.dtype.type(low), u.dtype.type(high)
    out = multiply_add(u, stop - start, start, u.dtype).astype(dtype, copy=False)
    at_end = out == dtype.type(high)  # a result of rounding: the end does not belong to the range
    if at_end.any():
        out[at_end] = dtype.type(low)
    return out


def multiply_add(x: Array, scale: Any, shift: Any, dtype: NumpyType) -> Array:
    """``x * scale + shift`` rounded once, as the processor's fused instruction does. May write into `x`."""
    if shift == 0:
        if scale != 1:
            x *= scale
        return x.astype(dtype, copy=False)
    if dtype != float64.numpy:  # exact in float64
        return (x.astype(np.float64) * float(scale) + float(shift)).astype(dtype)
    product, rest = _two_product(x, float(scale))
    total = product + shift
    part = total - product
    rest += (product - (total - part)) + (shift - part)  # what the addition lost, exactly (Knuth)
    return total + rest


def _two_product(x: Array, y: float) -> tuple[Array, Array]:
    """The rounded product and what the rounding lost, exactly (Dekker)."""
    split = 134217729.0  # 2^27 + 1
    x_high = x * split
    x_high -= x_high - x
    x_low = x - x_high
    y_high = y * split - (y * split - y)
    y_low = y - y_high
    product = x * y
    rest = x_low * y_low - (((product - x_high * y_high) - x_low * y_high) - x_high * y_low)
    return product, rest


# ------------------------------------------------------------------------------------------------ normals

BLOCK = 16  # normals are made in blocks of 8 pairs from this size on


def normal(generator: Generator, n: int, dtype: NumpyType, mean: float, std: float, blocks: bool = True) -> Array:
    """Normal by Box and Muller: in blocks in the requested type if `blocks` and n >= 16, else one by one in float64."""
    if n < BLOCK or not blocks:
        out = multiply_add(normal_one_by_one(generator, n), std, mean, np.dtype(np.float64))
        return out.astype(dtype, copy=False)
    whole = n - n % BLOCK
    inner = np.dtype(np.float32 if dtype.char in HALVES else dtype)
    out = np.empty(n, inner)
    # all uniforms are drawn before any block; for float16, only those that whole blocks need
    drawn = whole if dtype.char in HALVES else n
    out[:drawn] = piecewise(inner, lambda generator, n: unit(generator, n, inner))(generator, drawn)
    _normal_blocks(out[:whole], mean, std)
    if whole != n:  # the last 16 are redone, from new draws
        out[n - BLOCK :] = unit(generator, BLOCK, inner)
        _normal_blocks(out[n - BLOCK :], mean, std)
    return out.astype(dtype, copy=False)


def _normal_blocks(numbers: Array, mean: float, std: float) -> None:
    """Convert uniforms to normals in place: of each 16, 8 give the radius, 8 the angle; the results are 8 cosines and 8 sines."""
    number = numbers.dtype.type
    for start in range(0, len(numbers), PIECE):
        block = numbers[start : start + PIECE].reshape(-1, 2, 8)
        radius = 1 - block[:, 0]
        np.log(radius, out=radius)
        radius *= number(-2)
        np.sqrt(radius, out=radius)
        angle = block[:, 1] * number(2 * math.pi)
        for half, wave in enumerate((np.cos, np.sin)):
            part = wave(angle)
            part *= radius
            block[:, half] = multiply_add(part, number(std), number(mean), numbers.dtype)


def normal_one_by_one(generator: Generator, n: int) -> Array:
    """Standard normals in float64, two from each pair of uniforms. The second is kept in the generator if it is not needed."""
    out = np.empty(n)
    start = 0
    if n and generator._normal is not None:
        out[0], generator._normal, start = generator._normal, None, 1
    pairs = (n - start + 1) // 2
    if pairs:
        u = unit_double(generator, 2 * pairs)
        radius = np.sqrt(-2 * np.log1p(-u[1::2]))
        angle = 2 * math.pi * u[0::2]
        made = np.empty(2 * pairs)
        made[0::2] = radius * np.cos(angle)
        made[1::2] = radius * np.sin(angle)
        out[start:] = made[: n - start]
        if 2 * pairs > n - start:
            generator._normal = float(made[-1])
    return out


# ------------------------------------------------------------------------------------------------ permutations


def permutation(generator: Generator, n: int) -> Array:
    """The integers below `n` in random order: Fisher and Yates, forward, a draw modulo the number of those that remain.

    Step i swaps positions i and ``target[i] >= i``. Instead of swapping: position i receives what the last earlier step with the
    same target left there; a step leaves what was at its own position, which an earlier step may have put there, and so on.
    """
    steps = np.arange(n)
    if n < 2:
        return steps
    wide = n >= (2**32 - 1) // 20  # otherwise the modulo of a 32-bit draw would be biased
    target = steps.copy()
    draws = generator.doubles(n - 1) if wide else generator.words(n - 1)
    target[:-1] += (draws % np.arange(n, 1, -1, dtype=draws.dtype)).astype(np.int64)
    bits = int(n).bit_length()
    by_target = target << bits
    by_target |= steps
    sort_rows(by_target[None])
    place, step = by_target >> bits, by_target & ((1 << bits) - 1)
    brought = steps.copy()  # the last step that put something at a position before its turn; the position itself if none did
    earlier = np.flatnonzero(step < place)
    brought[place[earlier]] = step[earlier]  # the last of several counts
    open_ = np.flatnonzero(brought != steps)
    while len(open_):
        before = brought[open_]
        origin = brought[before]
        moved = np.flatnonzero(origin != before)
        open_ = open_[moved]
        brought[open_] = origin[moved]
    again = np.flatnonzero(place[1:] == place[:-1])
    target[step[again + 1]] = brought[step[again]]
    return target
