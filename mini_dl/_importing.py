"""How the package is imported."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """A block that makes much and leaves no garbage: none is looked for, which took a quarter of the time of an import.

    What was made counts as old afterwards, as it would if it had been looked at; else all of it would be at the next opportunity.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            if not gc.get_freeze_count():  # what the program has frozen stays frozen
                gc.freeze()
                gc.unfreeze()
            gc.enable()
