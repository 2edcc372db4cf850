"""The locations of storages, and where those of a file go: `map_location`, and registered devices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mini_dl._device import device, is_meta, require_cpu
from mini_dl.files.pt.errors import CallersError, RecordError
from mini_dl.files.pt.storages import TypedStorage
from mini_dl.ops.attributes import UntypedStorage

DEVICES = ("cuda", "mps", "xpu", "hpu", "mtia", "xla", "privateuseone")
"""Storages from there are loaded onto the CPU."""

Tagger = Callable[[Any], "str | None"]
Restorer = Callable[[Any, str], Any]


def _cpu(storage: object, location: str) -> Any:
    return storage if location == "cpu" else None


def _accelerator(storage: object, location: str) -> Any:
    return storage if location.partition(":")[0] in DEVICES else None


_registry: list[tuple[int, Tagger, Restorer]] = [(10, lambda storage: None, _cpu), (20, lambda storage: None, _accelerator)]


def register_package(priority: int, tagger: Tagger, deserializer: Restorer) -> None:
    """Let ``tagger(storage)`` name the location that `save` writes, and ``deserializer(storage, location)`` move a storage there.

    Those with the lowest `priority` are called first, until one does not return None. The CPU has 10, accelerators have 20.
    """
    _registry.append((priority, tagger, deserializer))
    _registry.sort(key=lambda entry: entry[0])


def location_tag(storage: object) -> str:
    """The location of a storage as files name it."""
    return next((place for _, tagger, _ in _registry if (place := tagger(storage))), "cpu")


def is_extended() -> bool:
    """Whether anything was registered."""
    return len(_registry) > 2


def default_restore_location(storage: object, location: str) -> Any:
    """`storage` at `location`. RuntimeError for an unknown location."""
    for _, _, restore in _registry:
        moved = restore(storage, location)
        if moved is not None:
            return moved
    raise RecordError(f"don't know how to restore data location of a storage (tagged with {str(location)[:40]})")


def restoring(map_location: object) -> Callable[[TypedStorage, str], TypedStorage]:
    """A function that moves a storage according to `map_location`: None, a device, its name, a dictionary of names, or a
    function.
    """
    if map_location is None:
        return default_restore_location
    if isinstance(map_location, dict):

        def mapped(storage: TypedStorage, location: str) -> TypedStorage:
            if location not in map_location:
                return default_restore_location(storage, location)
            return _placed(storage, str(text_of(map_location[location])))

        return mapped
    if isinstance(map_location, (str, bytes, device)):
        target = str(text_of(map_location))
        if target.partition(":")[0] == "meta":
            return lambda storage, location: _placed(storage, target)
        if not is_extended():
            _require_cpu(target)
        return lambda storage, location: default_restore_location(storage, target)
    if not callable(map_location):
        raise TypeError(f"map_location is a device, a dictionary or a function, not {type(map_location).__name__}")

    def called(storage: TypedStorage, location: str) -> TypedStorage:
        try:
            result = map_location(UntypedStorage(storage._bytes), location)
            if result is not None and not isinstance(result, UntypedStorage):
                raise TypeError(f"map_location must return None or a storage, not {type(result).__name__}")
        except Exception as error:
            raise CallersError from error
        if result is None:
            return default_restore_location(storage, location)
        return storage if result._bytes is storage._bytes else TypedStorage(result._bytes, storage._kind)

    return called


def _placed(storage: TypedStorage, target: str) -> TypedStorage:
    """The storage on the CPU or, without its values, on the device meta. RuntimeError for any other device."""
    if target.partition(":")[0] == "meta" and is_meta(target):
        storage.is_meta = True
    else:
        _require_cpu(target)
    return storage


def text_of(value: object) -> Any:
    return value.decode("ascii") if isinstance(value, bytes) else value


def _require_cpu(location: str) -> None:
    """RuntimeError for any device but the CPU."""
    try:
        require_cpu(location)
    except AssertionError:
        raise RuntimeError(
            f"Attempting to deserialize object on {location}, but torch.cuda.is_available() is False. Please use torch.load with "
            "map_location=torch.device('cpu') to map your storages to the CPU."
        ) from None
