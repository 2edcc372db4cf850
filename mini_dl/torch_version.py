"""Versions that compare by number: ``"2.10.0" > "2.9.1"``."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["TorchVersion"]

FORM = re.compile(
    r"v?(?:(\d+)!)?(\d+(?:\.\d+)*)(?:[-_.]?(a|b|c|rc|alpha|beta|pre|preview)[-_.]?(\d*))?(?:(?:[-_.]?(?:post|rev|r)[-_.]?|-)(\d*))?"
    r"(?:[-_.]?dev[-_.]?(\d*))?(?:\+([a-z0-9]+(?:[-_.][a-z0-9]+)*))?",
    re.IGNORECASE,
)
STAGES = {"a": 0, "alpha": 0, "b": 1, "beta": 1, "c": 2, "rc": 2, "pre": 2, "preview": 2}


def order(version: str) -> tuple[Any, ...]:
    """What a version of PEP 440 is compared by. ValueError if it is none."""
    found = FORM.fullmatch(version.strip())
    if found is None:
        raise ValueError(f"Invalid version: {version!r}")
    epoch, numbers, stage, number, post, dev, local = found.groups()
    release = tuple(map(int, numbers.split(".")))
    while release and release[-1] == 0:
        release = release[:-1]
    if stage is not None:
        before = (STAGES[stage.lower()], int(number or 0))
    else:
        before = (-1, 0) if dev is not None and post is None else (9, 0)
    parts = [(1, int(one), "") if one.isdigit() else (0, 0, one.lower()) for one in re.split(r"[-_.]", local)] if local else []
    after = -1 if post is None else int(post or 0)
    working = float("inf") if dev is None else int(dev or 0)
    return int(epoch or 0), release, before, after, working, parts


class TorchVersion(str):
    """The text of a version that is compared with other texts, or tuples of numbers, as versions are.

    >>> TorchVersion("2.13.0") > "2.9", TorchVersion("2.13.0+cpu") >= (2, 13), TorchVersion("2.13.0a1") < "2.13"
    (True, True, True)
    """

    def _orders(self, other: Any) -> Any:
        if not isinstance(other, str):
            try:
                other = ".".join(str(part) for part in other)
            except TypeError:
                raise ValueError(f"Can't convert {other} to Version") from None
        return order(str(self)), order(other)

    def _compare(self, other: Any, method: str) -> Any:
        try:
            mine, theirs = self._orders(other)
        except ValueError:
            if isinstance(other, str):
                return getattr(str, method)(self, other)
            raise
        return getattr(mine, method)(theirs)

    def __lt__(self, other: Any) -> bool:
        return self._compare(other, "__lt__")  # type: ignore[no-any-return]

    def __le__(self, other: Any) -> bool:
        return self._compare(other, "__le__")  # type: ignore[no-any-return]

    def __gt__(self, other: Any) -> bool:
        return self._compare(other, "__gt__")  # type: ignore[no-any-return]

    def __ge__(self, other: Any) -> bool:
        return self._compare(other, "__ge__")  # type: ignore[no-any-return]

    def __eq__(self, other: Any) -> bool:
        return self._compare(other, "__eq__")  # type: ignore[no-any-return]

    def __ne__(self, other: Any) -> bool:
        return not self._compare(other, "__eq__")

    __hash__ = str.__hash__
