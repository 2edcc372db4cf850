"""Written by scripts/write_stubs.py from the signatures. Do not edit."""

# mypy: disable-error-code="misc,override,overload-overlap,overload-cannot-match,assignment"

from mini_dl._spelled import (
    AbstractContextManager as _AbstractContextManager, Any as _Any, Generator as _Generator, bool as _bool, list as _list,
    str as _str
)
from mini_dl import get_rng_state as get_rng_state
from mini_dl import initial_seed as initial_seed
from mini_dl import manual_seed as manual_seed
from mini_dl import seed as seed
from mini_dl import set_rng_state as set_rng_state

__all__: _list[_str]
default_generator: _Generator
def fork_rng(devices: _Any = None, enabled: _bool = True, _caller: _str = 'fork_rng', _devices_kw: _str = 'devices', device_type: _Any = None) -> _AbstractContextManager[None]: ...
thread_safe_generator: _Any
