"""The public functions, classes and attributes by the place where users find them, as in the reference (`docs/reference.py`)."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path += [str(Path(__file__).resolve().parent.parent / folder) for folder in ("", "docs")]  # as docs/conf.py has them
import reference
from reference import public_values as public_values

PLACES = ("torch", *reference.PLACES)
