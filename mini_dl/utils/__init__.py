"""What surrounds training: loading data."""

from mini_dl.utils import data

__all__ = ["data"]
