"""How files are read and written by default."""

from mini_dl.utils.serialization import config as config
