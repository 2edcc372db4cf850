"""Modules without parameters declare fields, which define constructor, signature and repr."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, ClassVar

from mini_dl._guidance import mistyped
from mini_dl._signatures import public_text
from mini_dl.nn.modules.module import Module

PACKAGE = __name__.partition(".")[0] + "."
_EMPTY = inspect.Parameter.empty
DECLARATIONS = frozenset(
    "_buffers_among_fields _check_fields _keyword_only _operation _pool _ranks _shown _space_dims transposed".split()
)
"""Attributes of the classes derived from `Configured` that say how they compute and print."""


if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform() -> Any:
        """For type checkers: the annotations of a class are the arguments of its constructor."""
        return lambda kind: kind


@dataclass_transform()
class Configured(Module):
    """A module whose class annotations are the arguments of its constructor, in order: ``alpha: float = 1.0``.

    In classes that users derive from those of this package, annotations mean nothing, as in torch.
    Fields of a base come first; annotating one again moves it to the end. `_shown` names the fields in the repr (None: all),
    `_buffers_among_fields` those that are buffers, and `_keyword_only` means that none is positional.
    """

    _shown: ClassVar[tuple[str, ...] | None] = None
    _buffers_among_fields: ClassVar[tuple[str, ...]] = ()
    _keyword_only: ClassVar[bool] = False
    _fields: ClassVar[dict[str, Any]] = {}
    _of_package: ClassVar[bool] = False
    """Whether it is a class of this package, or derives from one."""

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if ours := cls.__module__.startswith(PACKAGE):
            cls._of_package = True
        if ours or not cls._of_package:
            cls._declare()
        if cls.__init__ is not Configured.__init__:
            own = inspect.signature(cls.__init__)
            cls.__signature__ = own.replace(parameters=list(own.parameters.values())[1:])  # type: ignore[attr-defined]

    @classmethod
    def _declare(cls) -> None:
        """Turn the annotations into fields."""
        fields = dict(cls._fields)
        for name, annotation in inspect.get_annotations(cls).items():
            if not str(annotation).startswith("ClassVar"):
                inherited = fields.pop(name, (None, _EMPTY))[1]
                default = cls.__dict__.get(name, inherited)
                if isinstance(default, (list, dict, set)):
                    raise TypeError(f"{cls.__name__}.{name}: all modules would share this {type(default).__name__}; use a tuple")
                if hasattr(Module, name):
                    raise TypeError(f"{cls.__name__}.{name}: every module has something of this name; use another")
                fields[name] = annotation, default
                if name in cls.__dict__:
                    delattr(cls, name)  # a class attribute would hide a buffer of that name
        cls._fields = fields
        kind = inspect.Parameter.KEYWORD_ONLY if cls._keyword_only else inspect.Parameter.POSITIONAL_OR_KEYWORD
        parameters = [
            inspect.Parameter(n, kind, default=default, annotation=public_text(a, Configured))
            for n, (a, default) in fields.items()
        ]
        cls._constructor = cls.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__()
        try:
            bound = type(self)._constructor.bind(*args, **kwargs)  # type: ignore[attr-defined]
        except TypeError as error:
            refused = TypeError(f"{type(self).__name__}.__init__() {error}")
            mistyped(refused, type(self), kwargs)
            raise refused from None
        bound.apply_defaults()
        for name, value in bound.arguments.items():
            if name in self._buffers_among_fields:
                self.register_buffer(name, value)
            else:
                setattr(self, name, value)
        self._check_fields()

    def __dir__(self) -> list[str]:
        """Without attributes internal to this package."""
        return [name for name in super().__dir__() if name not in DECLARATIONS or name in self._fields]

    def _check_fields(self) -> None:
        """Check the fields; for subclasses."""

    def extra_repr(self) -> str:
        """``name=value`` of the fields, `inplace` only if set."""
        names = self._fields if self._shown is None else self._shown
        return ", ".join([f"{name}={shown(getattr(self, name))}" for name in names if name != "inplace" or self.inplace])


def shown(value: object) -> str:
    """A field as ``print`` shows it, strings quoted: a number of NumPy looks like any other."""
    return repr(value) if isinstance(value, str) else str(value)


def deviations(module: Module, **defaults: object) -> str:
    """``, name=value`` for each attribute of `module` that differs from its default."""
    changed = [name for name, default in defaults.items() if getattr(module, name) != default]
    return "".join([f", {name}={getattr(module, name)}" for name in changed])
