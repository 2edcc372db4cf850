"""The number of random examples that hypothesis tries; the same on every run."""

from __future__ import annotations

from hypothesis import Phase, settings

PHASES = (Phase.explicit, Phase.generate, Phase.shrink)
FEW = settings(max_examples=60, derandomize=True, deadline=None, database=None, phases=PHASES)
MORE = settings(max_examples=150, derandomize=True, deadline=None, database=None, phases=PHASES)
