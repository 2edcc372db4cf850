"""Finding the operation whose gradient went wrong."""

from __future__ import annotations

import warnings
from typing import NamedTuple

from mini_dl._checks import check_bool
from mini_dl._leaving import Block


class _Setting(NamedTuple):
    on: bool = False  # look for NaN during backward
    check_nan: bool = True


class _Anomaly:
    """The setting, one for all threads, as in torch."""

    setting = _Setting()


anomaly = _Anomaly()


def set_anomaly_enabled(mode: bool, check_nan: bool = True) -> None:
    """Set whether an error in backward shows the line of the forward; with `check_nan`, check each gradient for NaN.

    Raises: TypeError unless `mode` is given, and for what is not a bool.

    >>> torch.set_anomaly_enabled(False)
    >>> torch.is_anomaly_enabled()
    False
    """
    check_bool(mode, "set_anomaly_enabled(): argument 'enabled' (position 1)")
    check_bool(check_nan, "set_anomaly_enabled(): argument 'check_nan' (position 2)")
    anomaly.setting = _Setting(mode, check_nan)


class set_detect_anomaly(Block):
    """Check each gradient for NaN during backward, in all threads, until the block ends.

    Raises: RuntimeError, in a backward that meets NaN, with the name of the node that made it.

    >>> with torch.autograd.set_detect_anomaly(True):
    ...     print(torch.is_anomaly_enabled())
    True
    """

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self.before = anomaly.setting
        set_anomaly_enabled(mode, check_nan)

    def _state(self) -> _Setting:
        return self.before

    def _change(self, before: object) -> None:
        pass

    def _put_back(self, before: _Setting) -> None:
        anomaly.setting = before


class detect_anomaly(set_detect_anomaly):
    """``set_detect_anomaly(True)`` for a block, with a warning that it is slow.

    Raises: RuntimeError, in a backward that meets NaN, with the name of the node that made it.

    >>> import warnings; warnings.simplefilter("ignore")
    >>> with torch.autograd.detect_anomaly():
    ...     print(torch.is_anomaly_enabled())
    True
    """

    def __init__(self, check_nan: bool = True) -> None:
        self.check_nan, self.before = check_nan, anomaly.setting
        warnings.warn(
            "Anomaly Detection has been enabled. This mode will increase the runtime and should only be enabled for debugging.",
            stacklevel=2,
        )

    def _change(self, before: object) -> None:
        anomaly.setting = _Setting(True, self.check_nan)


def is_anomaly_enabled() -> bool:
    """Whether an error in backward shows the line that computed the tensor.

    Raises: TypeError for an argument.

    >>> torch.is_anomaly_enabled()
    False
    """
    return anomaly.setting.on
