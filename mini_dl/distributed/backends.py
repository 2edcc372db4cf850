"""torch's backends by name, two of which mean MPI."""

from __future__ import annotations

from typing import Any, ClassVar

HERE = ("mpi", "gloo", "undefined")
"""The names for MPI, which is also the default."""


class Backend(str):
    """The backends by name: ``Backend.GLOO`` is "gloo". Called with a name, it is that name in lower case."""

    __slots__ = ()
    UNDEFINED: ClassVar[str] = "undefined"
    GLOO: ClassVar[str] = "gloo"
    NCCL: ClassVar[str] = "nccl"
    UCC: ClassVar[str] = "ucc"
    MPI: ClassVar[str] = "mpi"
    XCCL: ClassVar[str] = "xccl"
    FAKE: ClassVar[str] = "fake"
    backend_list: ClassVar[list[str]] = [UNDEFINED, GLOO, NCCL, XCCL, UCC, MPI, FAKE]
    default_device_backend_map: ClassVar[dict[str, str]] = {"cpu": GLOO}

    def __new__(cls, name: object) -> Any:
        if not isinstance(name, str):
            raise ValueError("Backend constructor parameter must be string-ish")
        return name.lower()


def checked_backend(backend: str | None) -> str:
    """The name of an available backend; of several by device, the CPU's. RuntimeError for others."""
    name: str = Backend("undefined" if backend is None else backend)
    by_device = dict(each.partition(":")[::2] for each in name.split(",")) if ":" in name else {"cpu": name}
    chosen = by_device.get("cpu", next(iter(by_device.values())))
    if chosen in HERE:
        return name
    if chosen in Backend.backend_list:
        raise RuntimeError(f"Distributed package doesn't have {chosen.upper()} built in")
    raise ValueError(f"Unknown backend {chosen!r}: mini_dl has mpi, also under the name gloo")


def is_backend_available(backend: str) -> bool:
    """Whether the backend of this name is available."""
    from mini_dl.distributed.mpi import is_available

    return is_available() and backend.lower().rpartition("cpu:")[2].partition(",")[0] in HERE[:2]
