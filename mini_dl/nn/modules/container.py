"""Modules that hold modules or parameters: in sequence, in a list, by name."""

from __future__ import annotations

import operator
import warnings
from collections import OrderedDict
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from itertools import chain, groupby
from typing import Any, NoReturn, SupportsIndex, TypeAlias, TypeVar, overload

from mini_dl.nn.modules.module import Module, Self, indented
from mini_dl.nn.parameter import Parameter
from mini_dl.tensor import Tensor, typename

T = TypeVar("T")
Named: TypeAlias = Mapping[str, T] | Iterable[tuple[str, T]]


def position(index: SupportsIndex, size: int) -> int:
    """`index` counted from the front; IndexError if there is no such item."""
    i = operator.index(index)
    if not -size <= i < size:
        raise IndexError(f"index {i} is out of range")
    return i % size


class Container(Module):
    """A container of named modules, from before every module was one. It warns.

    Raises: TypeError for a value that is not a module; NotImplementedError when it is called.

    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     torch.nn.Container(first=torch.nn.ReLU())
    Container(
      (first): ReLU()
    )
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__()
        warnings.warn(
            "nn.Container is deprecated. All of it's functionality is now implemented in nn.Module. Subclass that instead.",
            FutureWarning,
            stacklevel=2,
        )
        for name, module in kwargs.items():
            self.add_module(name, module)


class _Indexed(Module):
    """Ordered children, named "0", "1", ..."""

    _modules: dict[str, Module]  # type: ignore[assignment]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    @overload
    def __getitem__(self, idx: int) -> Module: ...
    @overload
    def __getitem__(self: Self, idx: slice) -> Self: ...
    def __getitem__(self, idx: int | slice) -> Any:
        return self._part(idx) if isinstance(idx, slice) else list(self._modules.values())[position(idx, len(self))]

    def _part(self, idx: slice) -> Module:
        raise NotImplementedError

    def __setitem__(self, idx: int, module: Module) -> None:
        setattr(self, list(self._modules)[position(idx, len(self))], module)

    def __delitem__(self, idx: int | slice) -> None:
        names = list(self._modules)
        for name in names[idx] if isinstance(idx, slice) else (names[position(idx, len(names))],):
            delattr(self, name)
        self._modules = {str(i): module for i, module in enumerate(self._modules.values())}

    def append(self: Self, module: Module) -> Self:
        """Add a module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def _insert_module(self, index: int, module: Module) -> None:
        for i in range(len(self._modules), index, -1):
            self._modules[str(i)] = self._modules[str(i - 1)]
        self._modules[str(index)] = module

    def pop(self, key: int | slice) -> Module:
        """Remove a module and return it."""
        module: Module = self[key]
        del self[key]
        return module


class Sequential(_Indexed):
    """``out = module[n - 1](... module[1](module[0](input)))``: modules called in sequence.

    The modules are given by position, or by name in an OrderedDict. Can be indexed, sliced, extended and joined like a list.

    Shapes: what the first module takes -> what the last one returns.
    Raises: TypeError for anything but a module; IndexError for an index out of range; ValueError for a sum with another type.

    >>> model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    >>> model(torch.ones(5, 4)).shape, model[1:]
    (torch.Size([5, 2]), Sequential(
      (1): ReLU()
      (2): Linear(in_features=3, out_features=2, bias=True)
    ))
    """

    def __init__(self, *args: Module | OrderedDict[str, Module]) -> None:
        super().__init__()
        only = args[0] if len(args) == 1 else None
        named: Iterable[tuple[str, Any]] = (
            only.items() if isinstance(only, OrderedDict) else zip(map(str, range(len(args))), args)
        )
        for name, module in named:
            self.add_module(name, module)

    def _part(self, idx: slice) -> Sequential:
        return type(self)(OrderedDict(list(self._modules.items())[idx]))

    def forward(self, input: object) -> Any:
        for module in self:
            input = module(input)
        return input

    def insert(self, index: int, module: Module) -> Sequential:
        """Put a module before position `index`."""
        n = len(self)
        if not isinstance(module, Module):
            raise AssertionError(f"module should be of type: {Module}")
        if not -n <= index <= n:
            raise IndexError(f"Index out of range: {index}")
        self._insert_module(index + n if index < 0 else index, module)
        return self

    def extend(self, sequential: Iterable[Module]) -> Sequential:
        """Add modules at the end."""
        for module in sequential:
            self.append(module)
        return self

    def __add__(self, other: Sequential) -> Sequential:
        return Sequential(*self, *_sequential(other))

    def __iadd__(self, other: Sequential) -> Sequential:
        return self.extend(list(_sequential(other)))

    def __mul__(self, other: int) -> Sequential:
        return Sequential(*list(self) * self._factor(other))

    __rmul__ = __mul__

    def __imul__(self, other: int) -> Sequential:
        return self.extend(list(self) * (self._factor(other) - 1))

    def _factor(self, other: object) -> int:
        if not isinstance(other, int):
            raise TypeError(f"unsupported operand type(s) for *: {type(self)} and {type(other)}")
        if other <= 0:
            raise ValueError(f"Non-positive multiplication factor {other} for {type(self)}")
        return other


def _sequential(other: object) -> Sequential:
    if not isinstance(other, Sequential):
        raise ValueError(f"add operator supports only objects of Sequential class, but {type(other)!s} is given.")
    return other


class ModuleList(_Indexed):
    """A list of modules, whose parameters belong to the module that holds it; not callable itself.

    Raises: TypeError for anything but a module; IndexError for an index out of range.

    >>> layers = torch.nn.ModuleList([torch.nn.Linear(2, 2), torch.nn.Linear(2, 1)])
    >>> len(layers), len(list(layers.parameters()))
    (2, 4)
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.extend(modules)

    def _part(self, idx: slice) -> ModuleList:
        return type(self)(list(self._modules.values())[idx])

    def insert(self, index: int, module: Module) -> None:
        """Put a module before position `index`."""
        self._insert_module(index, module)

    def extend(self, modules: Iterable[Module]) -> ModuleList:
        """Add modules at the end."""
        if not isinstance(modules, Iterable):
            raise TypeError("ModuleList.extend should be called with an iterable, but got " + type(modules).__name__)
        for module in list(modules):
            self.append(module)
        return self

    def __iadd__(self, modules: Iterable[Module]) -> ModuleList:
        return self.extend(modules)

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList(chain(self, other))

    def __repr__(self) -> str:
        """Equal neighbors are printed once: ``(0-2): 3 x ReLU()``."""
        lines, start = [], 0
        for text, group in groupby([repr(module) for module in self]):
            n = len(list(group))
            lines.append(indented(f"({start}): {text}" if n == 1 else f"({start}-{start + n - 1}): {n} x {text}"))
            start += n
        return f"{self._get_name()}(\n  " + "\n  ".join(lines) + "\n)" if lines else f"{self._get_name()}()"


class _Keyed(Module):
    """The base of module and parameter dictionaries: the names, which are the keys of `_table`."""

    def _table(self) -> Mapping[str, object]:
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self._table())

    def __iter__(self) -> Iterator[str]:
        return iter(self._table())

    def __contains__(self, key: object) -> bool:
        return key in self._table()

    def keys(self) -> KeysView[str]:
        return self._table().keys()


class ModuleDict(_Keyed):
    """Modules by name, whose parameters belong to the module that holds it; not callable itself.

    Raises: TypeError for anything but a module; KeyError for an unknown name.

    >>> heads = torch.nn.ModuleDict({"small": torch.nn.Linear(4, 1), "large": torch.nn.Linear(4, 9)})
    >>> heads["large"](torch.ones(4)).shape
    torch.Size([9])
    """

    _modules: dict[str, Module]  # type: ignore[assignment]

    def __init__(self, modules: Named[Module] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key: str) -> Module:
        module: Any = self._modules[key]
        return module

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        del self._modules[key]

    def _table(self) -> dict[str, Module]:
        return self._modules

    def clear(self) -> None:
        """Remove all."""
        self._modules.clear()

    def pop(self, key: str) -> Module:
        """Remove a module and return it."""
        return self._modules.pop(key)

    def items(self) -> ItemsView[str, Module]:
        return self._modules.items()

    def values(self) -> ValuesView[Module]:
        return self._modules.values()

    def update(self, modules: Named[Module]) -> None:
        """Add or replace modules from a mapping or from (name, module) pairs."""
        if not isinstance(modules, Iterable):
            raise TypeError(
                "ModuleDict.update should be called with an iterable of key/value pairs, but got " + type(modules).__name__
            )
        if isinstance(modules, (ModuleDict, Mapping)):
            for key, module in modules.items():
                self[key] = module
            return
        for key, module in _pairs("ModuleDict", modules):
            self[key] = module


def _pairs(kind: str, given: Iterable[object]) -> Iterator[tuple[str, Any]]:
    """The (key, value) pairs that ``update`` of a `kind` was given. TypeError or ValueError for anything but a pair."""
    for i, pair in enumerate(given):
        if not isinstance(pair, Iterable):
            raise TypeError(f"{kind} update sequence element #{i} should be Iterable; is{type(pair).__name__}")
        key_and_value = tuple(pair)
        if len(key_and_value) != 2:
            raise ValueError(f"{kind} update sequence element #{i} has length {len(key_and_value)}; 2 is required")
        yield key_and_value


# ------------------------------------------------------------------------------------------------ parameters


def _owned(value: object) -> Any:
    return Parameter(value) if isinstance(value, Tensor) and not isinstance(value, Parameter) else value


def _described(value: object, element: object) -> str:
    """A line of the repr of a list of parameters; `element` gives a tensor's type name."""
    if not isinstance(value, Tensor):
        return "Object of type: " + type(value).__name__
    kind = "Parameter" if isinstance(value, Parameter) else "Tensor"
    return f"{kind} containing: [{element} of size {'x'.join(map(str, value.shape))}]"


class ParameterList(Module):
    """A list of parameters; tensors put into it become parameters, other values are kept as is.

    Raises: IndexError for an index out of range; TypeError if extended by a non-iterable.

    >>> scales = torch.nn.ParameterList([torch.ones(2), torch.ones(3)])
    >>> [tuple(p.shape) for p in scales.parameters()]
    [(2,), (3,)]
    """

    def __init__(self, values: Iterable[object] | None = None) -> None:
        super().__init__()
        self._size = 0
        if values is not None:
            self.extend(values)

    def __getitem__(self, idx: int | slice) -> Any:
        if isinstance(idx, slice):
            return type(self)([self[i] for i in range(*idx.indices(len(self)))])
        return getattr(self, str(position(idx, len(self))))

    def __setitem__(self, idx: int, param: object) -> None:
        setattr(self, str(position(idx, len(self))), _owned(param))

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Any]:
        return iter([self[i] for i in range(len(self))])

    def __iadd__(self, parameters: Iterable[object]) -> ParameterList:
        return self.extend(parameters)

    def append(self, value: object) -> ParameterList:
        """Add a parameter at the end."""
        self._size += 1
        self[self._size - 1] = value
        return self

    def extend(self, values: Iterable[object]) -> ParameterList:
        """Add parameters at the end."""
        if not isinstance(values, Iterable) or isinstance(values, Tensor):
            raise TypeError("ParameterList.extend should be called with an iterable, but got " + type(values).__name__)
        for value in list(values):
            self.append(value)
        return self

    def extra_repr(self) -> str:
        return "\n".join([f"  ({i}): " + _described(p, getattr(p, "dtype", "")) for i, p in enumerate(self)])

    def __call__(self, *args: object, **kwargs: object) -> NoReturn:
        raise RuntimeError("ParameterList should not be called.")


class ParameterDict(_Keyed):
    """Parameters by name; tensors put into it become parameters, other values are kept as is.

    Raises: AttributeError for an unknown name; TypeError if updated by anything without keys and values.

    >>> scales = torch.nn.ParameterDict({"left": torch.ones(2)})
    >>> scales["left"]
    Parameter containing:
    tensor([1., 1.], requires_grad=True)
    """

    def __init__(self, parameters: Named[object] | ParameterDict | None = None) -> None:
        super().__init__()
        self._keys: dict[str, None] = {}
        if parameters is not None:
            self.update(parameters)

    def __getitem__(self, key: str) -> Any:
        return getattr(self, _string(key))

    def __setitem__(self, key: str, value: object) -> None:
        setattr(self, _string(key), _owned(value))
        self._keys[key] = None

    def __delitem__(self, key: str) -> None:
        del self._keys[key]
        delattr(self, _string(key))

    def __reversed__(self) -> Iterator[str]:
        return reversed(self._keys)

    def _table(self) -> dict[str, None]:
        return self._keys

    def copy(self) -> ParameterDict:
        """Another dictionary of the same parameters."""
        return ParameterDict(OrderedDict(self.items()))

    def setdefault(self, key: str, default: object = None) -> Any:
        """The parameter `key`, set to `default` first if it is missing."""
        if key not in self:
            self[key] = default
        return self[key]

    def clear(self) -> None:
        """Remove all."""
        for key in list(self._keys):
            del self[key]

    def pop(self, key: str) -> Any:
        """Remove a parameter and return it."""
        value = self[key]
        del self[key]
        return value

    def popitem(self) -> tuple[str, Any]:
        """Remove the last parameter and return (name, parameter)."""
        if not self._keys:
            raise KeyError("popitem(): dictionary is empty")
        key = next(reversed(self._keys))
        return key, self.pop(key)

    def get(self, key: str, default: object = None) -> Any:
        """The parameter `key`, or `default`."""
        return default if key not in self._keys else self[key]

    def fromkeys(self, keys: Iterable[str], default: object = None) -> ParameterDict:
        """A new dictionary with `default` under each of `keys`."""
        return ParameterDict([(key, default) for key in keys])

    def items(self) -> list[tuple[str, Any]]:
        return [(key, self[key]) for key in self._keys]

    def values(self) -> list[Any]:
        return [self[key] for key in self._keys]

    def update(self, parameters: Named[object] | ParameterDict) -> None:
        """Add or replace parameters from a mapping (sorted by key if it is unordered) or from pairs."""
        if not isinstance(parameters, Iterable):
            raise TypeError(
                "ParametersDict.update should be called with an iterable of key/value pairs, but got " + type(parameters).__name__
            )
        if isinstance(parameters, (OrderedDict, ParameterDict)):
            pairs: Iterable[tuple[str, object]] = parameters.items()
        elif isinstance(parameters, Mapping):
            pairs = sorted(parameters.items())
        else:
            pairs = _pairs("ParameterDict", parameters)
        for key, value in pairs:
            self[key] = value

    def extra_repr(self) -> str:
        return "\n".join([f"  ({key}): " + _described(p, typename(p)) for key, p in self.items()])

    def __call__(self, input: object) -> NoReturn:
        raise RuntimeError("ParameterDict should not be called.")

    def __or__(self, other: ParameterDict) -> ParameterDict:
        merged = self.copy()
        merged.update(other)
        return merged

    def __ror__(self, other: ParameterDict) -> ParameterDict:
        merged = other.copy()
        merged.update(self)
        return merged

    def __ior__(self, other: ParameterDict) -> ParameterDict:
        self.update(other)
        return self


def _string(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(
            "Index given to ParameterDict cannot be used as a key as it is not a string (type is "
            f"'{type(key).__name__}'). Open an issue on github if you need non-string keys."
        )
    return key
