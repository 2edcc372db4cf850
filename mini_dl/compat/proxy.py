"""``torch`` as an alias of mini_dl: a finder for the import system, and a module that forwards assignments.

Submodules are the same objects under both names, so ``torch.nn.Linear`` is ``mini_dl.nn.Linear``. Only the module ``torch``
itself is a separate object, because its version differs. While the proxy is on, classes and functions claim to come from torch
(``torch.nn.modules.linear``), so pickles and printed types are those that torch would write.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Iterator
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import FunctionType, ModuleType
from typing import Any

import mini_dl
from mini_dl import standins
from mini_dl.compat import children
from mini_dl.compat.homes import HOMES, MOVED, OURS, PUBLIC
from mini_dl.torch_version import TorchVersion
from mini_dl.version import __version__ as torch_version

__all__ = ["TorchProxy", "disable_torch_proxy", "enable_torch_proxy", "is_torch_proxy_enabled", "torch_proxy"]

FOLDER = os.path.join(os.path.dirname(__file__), "torch")
"""The value of ``torch.__path__``. There is no such folder, so other finders find nothing in it."""


def own(name: str) -> bool:
    """Whether an attribute belongs to the module ``torch`` itself, not to mini_dl."""
    return name.startswith("__") and name.endswith("__") and name not in ("__config__", "__future__")  # which are modules


class Mirrored(ModuleType):
    """A module that forwards assignments to its alias."""

    def __setattr__(self, name: str, value: object) -> None:
        if own(name):
            super().__setattr__(name, value)
        else:
            proxy.write(name, value)

    def __delattr__(self, name: str) -> None:
        if own(name):
            super().__delattr__(name)
        else:
            proxy.remove(name)


def is_torch_name(name: str) -> bool:
    return name == "torch" or name.startswith("torch.")


def module_named(rest: str) -> ModuleType | None:
    """The module of mini_dl that is ``torch.<rest>``, imported; None if there is none.

    A file takes precedence over `HOMES`, and these over a module without a file, which is a stand-in for a missing one.
    """
    parent_name, _, name = rest.rpartition(".")
    parent = sys.modules.get(f"torch.{parent_name}" if parent_name else "mini_dl")
    shown = vars(parent).get(name) if parent is not None else None
    if not (isinstance(shown, ModuleType) and is_part(shown)) or (not parent_name and is_hidden(shown)):
        shown = None
    if rest in HOMES and not hasattr(shown, "__file__") and not has_file(f"mini_dl.{rest}"):
        return another_home(rest)
    if shown is not None:
        return shown
    if rest.partition(".")[0] not in OURS and exists(f"mini_dl.{rest}"):
        return importlib.import_module(f"mini_dl.{rest}")
    shown = getattr(parent, name, None) if parent is not None and rest not in OURS else None
    return shown if isinstance(shown, ModuleType) and is_part(shown) else None


def is_part(module: ModuleType) -> bool:
    return module.__name__.partition(".")[0] in ("mini_dl", "torch")


def is_hidden(value: object) -> bool:
    """Whether a value is a part of mini_dl that torch does not have."""
    if not isinstance(value, ModuleType):
        return False
    package, _, rest = value.__name__.partition(".")
    return package == "mini_dl" and rest.partition(".")[0] in OURS


def spec_of(full: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(full)
    except (ModuleNotFoundError, ValueError):  # its parent is not a package here
        return None


def exists(full: str) -> bool:
    return full in sys.modules or spec_of(full) is not None


def has_file(full: str) -> bool:
    found = spec_of(full)
    return found is not None and found.has_location


def another_home(rest: str) -> ModuleType:
    """A module of torch whose names are elsewhere in mini_dl."""
    source_name, names = HOMES[rest]
    source = importlib.import_module(f"mini_dl.{source_name}" if source_name else "mini_dl")
    made = ModuleType(f"torch.{rest}", source.__doc__)
    if source_name:
        vars(made).update({name: value for name, value in vars(source).items() if not own(name)})
        made.__file__ = source.__file__
    else:
        vars(made).update({name: getattr(source, name) for name in names.split() if hasattr(source, name)})
    made.__package__ = made.__name__.rpartition(".")[0]
    if any([home.startswith(f"{rest}.") for home in HOMES]):
        made.__path__ = []
    if names:
        made.__all__ = names.split()  # type: ignore[attr-defined]

    def __getattr__(name: str) -> Any:
        """The placeholder for other names of torch's module."""
        if not own(name):
            if exists(f"mini_dl.{rest}"):
                return getattr(importlib.import_module(f"mini_dl.{rest}"), name)
            return standins.find(f"mini_dl.{rest}", name)
        raise AttributeError(f"module 'torch.{rest}' has no attribute {name!r}")

    made.__getattr__ = __getattr__  # type: ignore[method-assign]
    return made


# ------------------------------------------------------------------------------------------------ finding


class Finder(MetaPathFinder, Loader):
    """Finds ``torch`` and its submodules, and the metadata of the installed package."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if fullname == "torch":
            spec = ModuleSpec("torch", self, origin=mini_dl.__file__, is_package=True)
            spec.submodule_search_locations = [FOLDER]
            return spec
        if fullname.startswith("torch."):
            module = module_named(fullname[6:])
            sys.modules.pop(fullname, None)  # `adopt` may have put it there: the import system would load it again
            if module is None:
                return None
            spec = ModuleSpec(fullname, self, origin=getattr(module, "__file__", None), loader_state=module)
            spec.submodule_search_locations = list(getattr(module, "__path__", []))
            return spec
        return self.labelled(fullname, path) if fullname.startswith("mini_dl.") else None

    def labelled(self, fullname: str, path: Any) -> ModuleSpec | None:
        """The spec of a part of mini_dl that is loaded now: it gets its alias afterwards."""
        spec = standins.Finder.find_spec(fullname, path)
        if spec is None or spec.loader is None or not spec.has_location:  # the tables alone know it
            return None
        run = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            run(module)
            if proxy.enabled:
                proxy.adopt(fullname, module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        if spec.name == "torch":
            return proxy.module
        module: ModuleType = spec.loader_state
        self.spec = getattr(module, "__spec__", None)
        return module

    def exec_module(self, module: ModuleType) -> None:
        if module is proxy.module:
            return
        if module.__spec__ is not None and module.__spec__.loader is self and self.spec is not None:
            module.__spec__ = self.spec  # its own, which the import system has just replaced
        if not hasattr(module, "__path__") and not hasattr(module, "__file__"):
            module.__path__ = []  # a stand-in: it may hold others
        if not module.__name__.startswith("mini_dl."):
            proxy.attached.append(module)
        proxy.label(module)

    def iter_modules(self, prefix: str = "") -> Iterator[tuple[str, bool]]:
        """The modules that ``pkgutil`` lists in ``torch.__path__``."""
        import pkgutil

        for info in pkgutil.iter_modules(mini_dl.__path__):
            if info.name not in OURS:
                yield prefix + info.name, info.ispkg

    def find_distributions(self, context: Any = None) -> Iterator[importlib.metadata.Distribution]:
        if context is None or context.name is None or context.name.lower() == "torch":
            yield TorchDistribution()


class TorchDistribution(importlib.metadata.Distribution):
    """The metadata of torch for ``importlib.metadata``."""

    def read_text(self, filename: str) -> str | None:
        if filename == "top_level.txt":
            return "torch\n"
        if filename in ("METADATA", "PKG-INFO"):
            summary = "mini_dl, which provides torch's names"
            return f"Metadata-Version: 2.1\nName: torch\nVersion: {torch_version}\nSummary: {summary}\n"
        return None

    def locate_file(self, path: Any) -> Any:
        return os.path.join(os.path.dirname(mini_dl.__file__), os.fspath(path))


# ------------------------------------------------------------------------------------------------ on and off


class TorchProxy:
    """The result of `enable_torch_proxy`: a context manager that restores the previous state of the proxy on exit."""

    def __init__(self) -> None:
        self.turned_on = False

    def __enter__(self) -> ModuleType:
        self.turned_on = self.turned_on or proxy.enable()
        return proxy.module

    def __exit__(self, *exception: object) -> None:
        if self.turned_on:
            disable_torch_proxy()
            self.turned_on = False


class Proxy:
    """The one proxy of a process, and everything to restore when it is turned off."""

    def __init__(self) -> None:
        self.enabled = False
        self.finder = Finder()
        self.module: ModuleType = Mirrored("torch", mini_dl.__doc__)
        self.clear()

    def clear(self) -> None:
        self.imported: dict[str, ModuleType] = {}  # what was in sys.modules under torch's names: None where torch is blocked
        self.labels: list[tuple[Any, str]] = []
        self.defined: list[tuple[ModuleType, dict[str, Any]]] = []
        self.added: set[str] = set()
        self.attached: list[ModuleType] = []

    def enable(self) -> bool:
        """Turn it on. False if it was on already. ImportError if torch itself has been imported."""
        if self.enabled:
            return False
        self.clear()
        self.imported = {name: module for name, module in sys.modules.items() if is_torch_name(name)}
        real = [name for name, module in self.imported.items() if module is not None]
        if real:
            where = getattr(self.imported.get("torch"), "__file__", None) or real[0]
            raise ImportError(
                f"torch itself has already been imported ({where}), so mini_dl cannot take its name: enable the proxy before "
                "anything imports torch, in a process of its own"
            )
        for name in self.imported:
            del sys.modules[name]
        self.enabled = True
        self._fill_module()
        sys.modules["torch"] = self.module
        sys.meta_path.insert(0, self.finder)
        sys.path_importer_cache[FOLDER] = self.finder
        for name, module in [*sys.modules.items()]:
            if name.startswith("mini_dl.") and module is not None:
                self.adopt(name, module)
        self.label(mini_dl)
        for home, (source, _) in HOMES.items():
            if f"mini_dl.{source}" in sys.modules or not source:
                self.attach(home)
        mini_dl.__class__ = Mirrored
        children.tell()
        return True

    def attach(self, home: str) -> None:
        """Put a module of `HOMES` into its package, without replacing a function of the same name."""
        module = module_named(home)
        parent_name, _, name = f"torch.{home}".rpartition(".")
        parent = sys.modules.get(parent_name)
        if module is None or parent is None:
            return
        sys.modules[f"torch.{home}"] = module
        if name not in vars(parent):
            setattr(parent, name, module)
            self.attached.append(module)

    def _fill_module(self) -> None:
        names = vars(self.module)
        names.clear()
        names.update({name: value for name, value in vars(mini_dl).items() if not own(name) and not is_hidden(value)})
        spec = self.finder.find_spec("torch")
        assert spec is not None
        names.update(
            __name__="torch", __doc__=mini_dl.__doc__, __file__=mini_dl.__file__, __package__="torch", __loader__=self.finder,
            __spec__=spec, __path__=[FOLDER], __version__=TorchVersion(torch_version), __getattr__=self.find,
            __dir__=self.names, __builtins__=__builtins__, torch=self.module,
        )  # fmt: skip
        names["__all__"] = [
            name
            for name, value in vars(mini_dl).items()
            if not name.startswith("_") and not isinstance(value, (ModuleType, mini_dl.dtype))
        ]

    def disable(self) -> None:
        if not self.enabled:
            return
        self.enabled = False
        children.forget()
        mini_dl.__class__ = ModuleType
        sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self.finder]
        sys.path_importer_cache.pop(FOLDER, None)
        for name in [name for name in sys.modules if is_torch_name(name)]:
            del sys.modules[name]
        sys.modules.update(self.imported)
        for module, names in self.defined:
            vars(module).update(names)
        for name in self.added:
            vars(mini_dl).pop(name, None)
        for module in self.attached:
            _, _, where = module.__name__.partition(".")
            parent_name, _, name = where.rpartition(".")
            parent = sys.modules.get(f"mini_dl.{parent_name}" if parent_name else "mini_dl")
            if parent is not None and vars(parent).get(name) is module:
                delattr(parent, name)
        for value, label in self.labels:
            rename(value, label)
        self.clear()

    # -------------------------------------------------------------------------------------------- names

    def names(self) -> list[str]:
        """What ``dir(torch)`` shows."""
        shown = vars(self.module)
        return sorted({*shown, *[name for name in dir(mini_dl) if name in shown or name not in OURS]})

    def find(self, name: str) -> Any:
        """An attribute of the module ``torch`` that mini_dl creates on first use."""
        if not own(name):
            try:
                value = getattr(mini_dl, name)
            except AttributeError as error:
                value = module_named(name) if self.enabled else None
                if value is not None:
                    return importlib.import_module(f"torch.{name}")
                if isinstance(error, NotImplementedError):  # it explains why the name is missing
                    raise
            else:
                if not is_hidden(value):
                    if name in vars(mini_dl):
                        vars(self.module)[name] = value
                    return value
        raise AttributeError(f"module 'torch' has no attribute {name!r}")

    def write(self, name: str, value: object) -> None:
        """Set an attribute of both modules."""
        if self.enabled and name not in vars(mini_dl) and not (isinstance(value, ModuleType) and is_part(value)):
            self.added.add(name)
        for module in (mini_dl,) if is_hidden(value) else (mini_dl, self.module):
            ModuleType.__setattr__(module, name, value)

    def remove(self, name: str) -> None:
        ModuleType.__delattr__(mini_dl, name)
        vars(self.module).pop(name, None)

    def adopt(self, name: str, module: ModuleType) -> None:
        """Give a part of mini_dl its alias."""
        if is_hidden(module):
            self.label(module)
            return
        sys.modules.setdefault(f"torch{name[7:]}", module)
        self.label(module)

    def label(self, module: ModuleType) -> None:
        """Make the classes and functions of `module` claim to come from torch, and record the names that the module defines."""
        defined: dict[str, Any] = {}
        for name, value in [*vars(module).items()]:
            if not isinstance(value, (type, FunctionType)):
                continue
            if not is_hidden(module):
                defined[name] = value
            before = value.__module__
            if type(before) is str and before.partition(".")[0] == "mini_dl":
                after = label_of(value, before)
                if after is not None:
                    self.labels.append((value, before))
                    rename(value, after)
        self.defined.append((module, defined))


def rename(value: Any, module: str) -> None:
    """Set ``value.__module__``. From Python 3.13 on that drops the line at which `inspect` finds the source of a class."""
    line = vars(value).get("__firstlineno__")
    value.__module__ = module
    if line is not None:
        value.__firstlineno__ = line


def label_of(value: Any, module: str) -> str | None:
    """The module of torch to which a class or function of mini_dl's `module` belongs; None if torch does not have it."""
    name, inside = value.__qualname__, module[8:]
    if inside and (inside, name) in MOVED:
        return f"torch.{MOVED[inside, name]}"
    if inside.partition(".")[0] not in OURS and inside:
        return f"torch.{inside}"
    if vars(mini_dl).get(name) is not value:
        return None if inside else "torch"
    return f"torch.{PUBLIC[name]}" if name in PUBLIC else "torch"


proxy = Proxy()


def enable_torch_proxy() -> TorchProxy:
    """Make ``import torch``, and every ``torch.x.y``, give mini_dl until `disable_torch_proxy` is called. Enabling it again has
    no effect.

    The result is a context manager that turns the proxy off on exit, if this call turned it on.

    ImportError if torch itself has been imported.
    """
    turned = TorchProxy()
    turned.turned_on = proxy.enable()
    return turned


def disable_torch_proxy() -> None:
    """Undo `enable_torch_proxy`: ``torch`` leaves `sys.modules`, the names of classes are restored, and so are functions and
    classes of mini_dl replaced meanwhile. Modules that imported torch keep their references."""
    proxy.disable()


def torch_proxy() -> TorchProxy:
    """A context manager within which ``import torch`` gives mini_dl."""
    return TorchProxy()


def is_torch_proxy_enabled() -> bool:
    """Whether ``import torch`` gives mini_dl now."""
    return proxy.enabled
