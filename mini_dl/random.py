"""The default stream of random numbers: its seed, its state, and how to leave it untouched."""

from mini_dl._generator import default_generator
from mini_dl.ops.random import get_rng_state, initial_seed, manual_seed, seed, set_rng_state

__all__ = ["default_generator", "get_rng_state", "initial_seed", "manual_seed", "seed", "set_rng_state"]
