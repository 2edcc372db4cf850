"""Runs the cases of one package under the library that `import torch` finds, and writes their pickled numbers to its output.

python -m programs.worker einops > FILE            # torch
python -m mini_dl -m programs.worker einops > FILE # mini_dl
"""

from __future__ import annotations

import argparse
import fnmatch
import importlib
import os
import pickle
import random
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from programs.case import CASES
from programs.compiled import declare


def main() -> None:
    made = argparse.ArgumentParser(description="Run the cases of one package.")
    made.add_argument("package", help="a module of programs.cases")
    made.add_argument("--match", default="*", help="only cases whose names match")
    made.add_argument("--all", action="store_true", help="include the slow cases")
    options = made.parse_args()
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what packages print is not a result
    import torch

    torch.set_num_threads(1)
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        held = declare(torch)  # noqa: F841 - operators last as long as their library
    except ImportError:
        pass
    with output:
        try:
            importlib.import_module(f"programs.cases.{options.package}")
        except Exception as error:
            pickle.dump(("import", {"stopped": stopped(error)}), output)
            return
        for name, case in CASES.items():
            if fnmatch.fnmatch(name, options.match) and (options.all or not case.slow):
                pickle.dump((name, outcome(torch, case)), output)
                output.flush()


def outcome(torch: Any, case: Any) -> dict[str, Any]:
    """The numbers of a case and the seconds it took, or where it stopped."""
    torch.set_default_dtype(getattr(torch, case.dtype))
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)
    start = time.perf_counter()
    try:
        return {"results": plain(case.run()), "single": case.single, "seconds": time.perf_counter() - start}
    except Exception as error:
        return {"stopped": stopped(error), "seconds": time.perf_counter() - start}
    finally:
        torch.set_default_dtype(torch.float32)


def stopped(error: Exception) -> str:
    """The error and the three calls it came from."""
    where = [
        f"{Path(frame.filename).name}:{frame.lineno} {frame.line}" for frame in traceback.extract_tb(error.__traceback__)[-3:]
    ]
    return f"{type(error).__name__}: {error}\n      " + "\n      ".join(where)


def plain(value: Any) -> Any:
    """Arrays for tensors, in dicts and lists."""
    if hasattr(value, "detach"):
        array = value.detach()
        if getattr(array, "is_sparse", False):
            array = array.to_dense()
        return np.array(array.resolve_conj().float() if "bfloat16" in str(array.dtype) else array.resolve_conj())
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value if isinstance(value, (bool, int, float, complex, str, type(None), np.ndarray)) else str(value)


if __name__ == "__main__":
    sys.exit(main())
