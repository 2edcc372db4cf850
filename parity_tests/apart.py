"""Tests that run in a forked child, since they may corrupt torch's memory: a later test would then crash."""

from __future__ import annotations

import functools
import os
import traceback
from collections.abc import Callable
from typing import Any


def apart(test: Callable[..., None]) -> Callable[..., None]:
    """The test in its own process, whose failure is reported here. Without ``os.fork``, the test unchanged."""
    if not hasattr(os, "fork"):
        return test

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.close(reading)
            said = ""
            try:
                test(*args, **kwargs)
            except BaseException:
                said = traceback.format_exc()
            os.write(writing, said.encode(errors="replace")[-60_000:])  # the capacity of a pipe
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading, encoding="utf-8") as file:
            said = file.read()
        _, status = os.waitpid(child, 0)
        assert not said, said
        assert status == 0, f"the process of the test ended with status {status}"

    return run
