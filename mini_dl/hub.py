"""Models of a folder with a ``hubconf.py``, and weight files from the network."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import sys
from typing import Any, NoReturn
from urllib.error import ContentTooShortError
from urllib.parse import urlparse
from urllib.request import Request, urlopen

from mini_dl.files.replacing import replaced
from mini_dl.serialization import load as load_file

__all__ = ["download_url_to_file", "get_dir", "help", "list", "load", "load_state_dict_from_url", "set_dir"]

HASH_REGEX = re.compile(r"-([a-f0-9]*)\.")
BLOCK = 128 * 1024

_folder: str | None = None


def get_dir() -> str:
    """The folder of downloaded files: the one set by `set_dir`, else ``$TORCH_HOME/hub``, else ``~/.cache/torch/hub``."""
    if _folder is not None:
        return _folder
    return os.path.join(_get_torch_home(), "hub")


def _get_torch_home() -> str:
    """``$TORCH_HOME``, else ``~/.cache/torch``."""
    cache = os.getenv("XDG_CACHE_HOME", "~/.cache")
    return os.path.expanduser(os.getenv("TORCH_HOME", os.path.join(cache, "torch")))


def set_dir(d: str | os.PathLike[str]) -> None:
    """Set the folder of downloaded files."""
    global _folder
    _folder = os.path.expanduser(d)


# ------------------------------------------------------------------------------------------------ models


def _refuse(name: str) -> NoReturn:
    raise NotImplementedError(
        f"mini_dl has no torch.hub.{name} with source='github' (it runs code from the network; see docs/coverage.md). Clone the "
        "repository and pass its folder with source='local'."
    )


def _hubconf(repo_or_dir: object, source: str, name: str) -> Any:
    """The module ``hubconf.py`` of a folder. ValueError for any source other than torch's two."""
    source = source.lower()
    if source not in ("github", "local"):
        raise ValueError(f'Unknown source: "{source}". Allowed values: "github" | "local".')
    if source == "github":
        _refuse(name)
    folder = str(repo_or_dir)
    sys.path.insert(0, folder)
    try:
        spec = importlib.util.spec_from_file_location("hubconf.py", os.path.join(folder, "hubconf.py"))
        if spec is None or spec.loader is None:
            raise AssertionError(f"failed to load spec from {folder}")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(folder)
    missing = [one for one in getattr(module, "dependencies", ()) if importlib.util.find_spec(one) is None]
    if missing:
        raise RuntimeError(f"Missing dependencies: {', '.join(missing)}")
    return module


def _entry(module: object, model: str) -> Any:
    if not isinstance(model, str):
        raise ValueError("Invalid input: model should be a string of function name")
    found = getattr(module, model, None)
    if found is None or not callable(found):
        raise RuntimeError(f"Cannot find callable {model} in hubconf")
    return found


def list(
    github: object, force_reload: bool = False, skip_validation: bool = False, trust_repo: object = "check", verbose: bool = True,
    *, source: str = "github",
) -> Any:  # fmt: skip
    """The entries of a repository: only from a folder, with ``source="local"``, which torch does not support here."""
    module = _hubconf(github, source, "list")
    return [name for name in dir(module) if callable(getattr(module, name)) and not name.startswith("_")]


def help(
    github: object, model: str, force_reload: bool = False, skip_validation: bool = False, trust_repo: object = "check", *,
    source: str = "github",
) -> Any:  # fmt: skip
    """The docstring of an entry: only from a folder, with ``source="local"``, which torch does not support here."""
    return _entry(_hubconf(github, source, "help"), model).__doc__


def load(
    repo_or_dir: object, model: str, *args: object, source: str = "github", trust_repo: object = "check",
    force_reload: bool = False, verbose: bool = True, skip_validation: bool = False, **kwargs: object,
) -> Any:  # fmt: skip
    """``model(*args, **kwargs)``, a function of the file ``hubconf.py`` in the folder, with ``source="local"``."""
    return _entry(_hubconf(repo_or_dir, source, "load"), model)(*args, **kwargs)


# ------------------------------------------------------------------------------------------------ files


def download_url_to_file(url: str, dst: str, hash_prefix: str | None = None, progress: bool = True) -> None:
    """Download `url` to the file `dst`. RuntimeError if its SHA-256 does not begin with `hash_prefix`.

    ContentTooShortError, a URLError, if the connection ends early; the old file remains. The progress is not shown.
    """
    dst = os.path.expanduser(dst)
    digest, size = hashlib.sha256(), 0
    with replaced(dst) as target, urlopen(Request(url, headers={"User-Agent": "torch.hub"})) as source:
        while block := source.read(BLOCK):
            target.write(block)
            digest.update(block)
            size += len(block)
        expected = source.headers.get("Content-Length")
        if expected is not None and size < int(expected):  # `read` of a number of bytes does not check it
            raise ContentTooShortError(f"got {size} of {expected} bytes of {url}", (dst, source.headers))
        found = digest.hexdigest()
        if hash_prefix is not None and not found.startswith(hash_prefix):
            raise RuntimeError(f'invalid hash value (expected "{hash_prefix}", got "{found}")')


def load_state_dict_from_url(
    url: str, model_dir: str | None = None, map_location: object = None, progress: bool = True, check_hash: bool = False,
    file_name: str | None = None, weights_only: bool = True,
) -> Any:  # fmt: skip
    """`torch.load` of the file at `url`, which is downloaded once and kept in `model_dir` (``get_dir() + "/checkpoints"``).

    With `check_hash`, the name of the file contains the start of its SHA-256: ``name-<sha256>.ext``.
    """
    folder = model_dir or os.path.join(get_dir(), "checkpoints")
    os.makedirs(folder, exist_ok=True)
    name = file_name or os.path.basename(urlparse(url).path)
    path = os.path.join(folder, name)
    if not os.path.exists(path):
        found = HASH_REGEX.search(name) if check_hash else None
        sys.stderr.write(f'Downloading: "{url}" to {path}\n')
        download_url_to_file(url, path, found.group(1) if found else None, progress)
    return load_file(path, map_location=map_location, weights_only=weights_only)
