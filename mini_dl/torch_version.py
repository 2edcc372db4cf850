"""Versions as strings that compare as versions."""

from __future__ import annotations

import math
import re
from typing import Any

from mini_dl.version import __version__ as internal_version

__all__ = ["TorchVersion"]

PATTERN = re.compile(
    r"\s*v?(?:(?P<epoch>\d+)!)?(?P<release>\d+(?:\.\d+)*)"
    r"(?:[-_.]?(?P<pre>alpha|a|beta|b|preview|pre|c|rc)[-_.]?(?P<pre_number>\d*))?"
    r"(?:-(?P<post_alone>\d+)|[-_.]?(?P<post>post|rev|r)[-_.]?(?P<post_number>\d*))?"
    r"(?:[-_.]?(?P<dev>dev)[-_.]?(?P<dev_number>\d*))?"
    r"(?:\+(?P<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?\s*",
    re.IGNORECASE,
)
STAGES = {"alpha": "a", "beta": "b", "c": "rc", "pre": "rc", "preview": "rc"}
FIRST, LAST = (-math.inf,), (math.inf,)


def key_of(text: str) -> tuple[Any, ...] | None:
    """The sort key of a version by PEP 440; None for a string that is not a version."""
    found = PATTERN.fullmatch(text)
    if found is None:
        return None
    part = found.groupdict()
    release = [int(number) for number in part["release"].split(".")]
    while len(release) > 1 and release[-1] == 0:
        release.pop()
    is_pre, is_post, is_dev = bool(part["pre"]), bool(part["post"] or part["post_alone"]), bool(part["dev"])
    if is_pre:
        stage = part["pre"].lower()
        pre: tuple[Any, ...] = (0, STAGES.get(stage, stage), int(part["pre_number"] or 0))
    else:
        pre = (-1,) if is_dev and not is_post else (1,)
    post = int(part["post_alone"] or part["post_number"] or 0) if is_post else -1
    dev = int(part["dev_number"] or 0) if is_dev else math.inf
    words = re.split("[-_.]", part["local"].lower()) if part["local"] else []
    local = [(1, int(word), "") if word.isdigit() else (0, 0, word) for word in words]
    return int(part["epoch"] or 0), tuple(release), pre, post, dev, tuple(local)


class TorchVersion(str):
    """A version as a string, which compares with versions given as strings, tuples or objects of the library packaging.

    >>> TorchVersion("1.10.0a") > (1, 9)
    True
    >>> TorchVersion("2.13.0+cpu") >= "2.4"
    True

    Anything else is compared as a string.
    """

    def _compare(self, other: object, method: str) -> Any:
        text = ".".join([str(part) for part in other]) if isinstance(other, (tuple, list)) else str(other)
        ours, theirs = key_of(str(self)), key_of(text)
        if ours is None or theirs is None:
            return getattr(str, method)(str(self), text)
        return getattr(ours, method)(theirs)

    def __lt__(self, other: object) -> Any:
        return self._compare(other, "__lt__")

    def __le__(self, other: object) -> Any:
        return self._compare(other, "__le__")

    def __gt__(self, other: object) -> Any:
        return self._compare(other, "__gt__")

    def __ge__(self, other: object) -> Any:
        return self._compare(other, "__ge__")

    def __eq__(self, other: object) -> Any:
        return self._compare(other, "__eq__")

    def __ne__(self, other: object) -> Any:
        return not self._compare(other, "__eq__")

    __hash__ = str.__hash__


__version__ = TorchVersion(internal_version)
