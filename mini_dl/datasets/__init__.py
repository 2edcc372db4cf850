"""Images of handwritten digits: one small set that comes with the library, and MNIST from files of your own."""

from mini_dl.datasets.digits import Digits
from mini_dl.datasets.idx import read_idx
from mini_dl.datasets.images import Images
from mini_dl.datasets.mnist import MNIST

__all__ = ["MNIST", "Digits", "Images", "read_idx"]
