"""Custom functions within `vmap`: by their own `vmap`, or with their `forward`, `setup_context`, `backward` and `jvp` on a
batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from mini_dl.autograd.function import Function
from mini_dl.autograd.transforms import wrap_at
from mini_dl.tensor import Tensor

MORE = "For more details, please see https://pytorch.org/docs/main/notes/extending.func.html"

TWO_RETURNS = (
    "Expected the vmap staticmethod to have two returns, an output and out_dims with pytree structure compatible with the "
    "output. "
)


class VmapInfo(NamedTuple):
    """The information passed to the `vmap` of a custom function."""

    batch_size: int
    randomness: str


def apply_on_batch(level: Any, function: Any, args: tuple[object, ...]) -> Any:
    """The result of a call of a custom function on a batch."""
    own = function.vmap is not Function.vmap
    if function.generate_vmap_rule and own:
        raise RuntimeError(
            f"You tried to vmap over {function.__name__}, but it has both generate_vmap_rule=True and an overridden vmap "
            "staticmethod. Please set generate_vmap_rule=False or delete the overridden vmap staticmethod to avoid ambiguity. "
            f"{MORE}"
        )
    if not function.generate_vmap_rule and not own:
        raise RuntimeError(
            f"You tried to vmap over {function.__name__}, but it does not have vmap support. Please override and implement the "
            f"vmap staticmethod or set generate_vmap_rule=True. {MORE}"
        )
    given = [outside(level, arg) for arg in args]
    values = [value for value, _ in given]
    if not own:
        made = _Generated(function, [has for _, has in given], level)
        with level.beneath():
            found = made.function.apply(*values)
        return made.wrapped(level, found)
    in_dims = tuple([0 if has else None for _, has in given])
    with level.beneath():
        answer = function.vmap(VmapInfo(level.size, level.randomness), in_dims, *values)
    if not isinstance(answer, tuple):
        raise RuntimeError(f"{TWO_RETURNS}Got a {type(answer)} instead")
    if len(answer) != 2:
        raise RuntimeError(f"{TWO_RETURNS}Got {len(answer)} returns instead")
    return _returned(level, *answer, values, args)


def _returned(level: Any, found: object, dims: Any, values: Sequence[object], args: Sequence[object]) -> Any:
    """The outputs of the user's `vmap` as tensors of the level; an input returned as output is that input."""
    if isinstance(found, (tuple, list)):
        each = dims if isinstance(dims, (tuple, list)) else [dims] * len(found)
        return type(found)([_returned(level, one, dim, values, args) for one, dim in zip(found, each)])
    if dims is None or not isinstance(found, Tensor):
        return found
    for value, arg in zip(values, args):
        if value is found:
            return arg
    with level.beneath():
        value = found.movedim(dims, 0) if dims else found
    return wrap_at(level, value, 0)


def outside(level: object, value: object) -> tuple[Any, bool]:
    """The physical tensor of one of the level, and whether it is of the level."""
    if isinstance(value, Tensor) and value._level is level:
        return value._value, True
    return value, False


def inside(level: Any, values: Sequence[object], batched: Sequence[bool]) -> list[Any]:
    return [wrap_at(level, v, 0) if has and isinstance(v, Tensor) else v for v, has in zip(values, batched)]


class _Seen:
    """The context of the user's methods: tensors are saved without the level, and restored within it."""

    def __init__(self, ctx: object, level: object, batched: list[bool]) -> None:
        self.__dict__.update(ctx=ctx, level=level, batched=batched)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ctx, name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self.ctx, name, value)

    def _saved(self, tensors: Sequence[object]) -> list[Any]:
        given = [outside(self.level, tensor) for tensor in tensors]
        self.batched[:] = [has for _, has in given]
        return [value for value, _ in given]

    def save_for_backward(self, *tensors: object) -> None:
        self.ctx.save_for_backward(*self._saved(tensors))

    def save_for_forward(self, *tensors: object) -> None:
        self.ctx.save_for_forward(*self._saved(tensors))

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        return tuple(inside(self.level, self.ctx.saved_tensors, self.batched))


class _Generated:
    """A custom function of physical tensors, made from one of single elements."""

    def __init__(self, single: Any, batched: list[bool], level: Any) -> None:
        self.single, self.batched = single, batched
        self.kind, self.size, self.randomness = type(level), level.size, level.randomness
        self.saved: list[bool] = []
        self.outs: list[bool] = []
        self.shapes: list[Any] = []
        methods: dict[str, Callable[..., Any]] = {
            name: staticmethod(getattr(self, name)) for name in ("forward", "setup_context", "backward", "jvp")
        }
        self.function: Any = type(f"Vmapped{single.__name__}", (Function,), {**methods, "generate_vmap_rule": True})

    def level(self) -> Any:
        return self.kind(self.size, self.randomness)

    def forward(self, *values: Any) -> Any:
        with self.level() as level:
            found = self.single.forward(*inside(level, values, self.batched))
        outs = [outside(level, one) for one in (found if isinstance(found, tuple) else (found,))]
        self.outs = [has for _, has in outs]
        return tuple([value for value, _ in outs]) if isinstance(found, tuple) else outs[0][0]

    def setup_context(self, ctx: object, inputs: tuple[object, ...], output: object) -> None:
        outs = output if isinstance(output, tuple) else (output,)
        with self.level() as level:
            args, found = inside(level, inputs, self.batched), inside(level, outs, self.outs)
            self.shapes = [arg._array.shape if isinstance(arg, Tensor) else None for arg in args]
            seen = _Seen(ctx, level, self.saved)
            self.single.setup_context(seen, tuple(args), tuple(found) if isinstance(output, tuple) else found[0])

    def backward(self, ctx: object, *grads: object) -> Any:
        with self.level() as level:
            found = self.single.backward(_Seen(ctx, level, self.saved), *inside(level, grads, self.outs))
            given = found if isinstance(found, tuple) else (found,)
            fitted = [
                grad.sum_to_size(shape) if isinstance(grad, Tensor) and has and grad._array.shape != shape else grad
                for grad, has, shape in zip(given, self.batched, self.shapes)
            ]
        return tuple(
            [
                self._of_input(level, grad, has)
                for grad, has in zip([*fitted, *given[len(fitted) :]], [*self.batched, *[False] * len(given)])
            ]
        )

    def _of_input(self, level: object, grad: object, has: bool) -> Any:
        """A gradient for a physical input: with its batch, or summed."""
        value, batched = outside(level, grad)
        if not isinstance(value, Tensor) or batched is has:
            return value
        return value.sum(0) if batched else value.expand(self.size, *value._array.shape)

    def jvp(self, ctx: object, *tangents: object) -> Any:
        with self.level() as level:
            found = self.single.jvp(_Seen(ctx, level, self.saved), *inside(level, tangents, self.batched))
        given = [outside(level, one) for one in (found if isinstance(found, tuple) else (found,))]
        outs = [
            value.expand(self.size, *value._array.shape) if want and not has and isinstance(value, Tensor) else value
            for (value, has), want in zip(given, self.outs)
        ]
        return tuple(outs) if isinstance(found, tuple) else outs[0]

    def wrapped(self, level: object, found: object) -> Any:
        outs = inside(level, found if isinstance(found, tuple) else (found,), self.outs)
        return tuple(outs) if isinstance(found, tuple) else outs[0]
