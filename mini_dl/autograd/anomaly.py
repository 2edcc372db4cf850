"""Finding the operation whose gradient went wrong."""

from __future__ import annotations

import warnings

from mini_dl.autograd.mode import mode

_mode = mode


class set_detect_anomaly:
    """Check each gradient for NaN on the way back, at once and until the block ends.

    A backward that meets NaN then raises RuntimeError with the name of the node that made it.
    """

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self.before = _mode.anomaly, _mode.check_nan
        _mode.anomaly, _mode.check_nan = mode, check_nan

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exception: object) -> None:
        _mode.anomaly, _mode.check_nan = self.before


class detect_anomaly(set_detect_anomaly):
    """``set_detect_anomaly(True)`` for a block, with a warning that it is slow."""

    def __init__(self, check_nan: bool = True) -> None:
        self.check_nan = check_nan
        self.before = mode.anomaly, mode.check_nan
        warnings.warn(
            "Anomaly Detection has been enabled. This mode will increase the runtime and should only be enabled for debugging.",
            stacklevel=2,
        )

    def __enter__(self) -> None:
        super().__init__(True, self.check_nan)


def is_anomaly_enabled() -> bool:
    return mode.anomaly
