"""The overloads in ``stub_overloads.txt``, for `write_stubs`."""

from __future__ import annotations

from pathlib import Path

TEXT = Path(__file__).with_name("stub_overloads.txt")

OPTIONS = (
    "out: Tensor | None = None, dtype: dtype | None = None, layout: layout | None = None, "
    "device: device | str | int | None = None, pin_memory: bool = False, requires_grad: bool = False"
)
NEW = (
    "dtype: dtype | None = None, device: device | str | int | None = None, requires_grad: bool = False, "
    "layout: layout | None = None, pin_memory: bool = False"
)


def overloads() -> dict[str, list[str]]:
    """The signatures by name, written out."""
    found: dict[str, list[str]] = {}
    names: list[str] = []
    for line in TEXT.read_text(encoding="utf-8").splitlines():
        if line.startswith("  "):
            text = line.strip()
            for word, options in (("OPTIONS", OPTIONS), ("NEW", NEW), ("LIKE", NEW)):
                text = text.replace(word, options)
            for name in names:
                found.setdefault(name, []).append(text.replace("NAME", name.rpartition(".")[2]))
        elif line and not line.startswith("#"):
            names = line.split()
    return found
