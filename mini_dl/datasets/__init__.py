"""Images of handwritten digits: a small set that comes with the library, and MNIST from your own files."""

from mini_dl._listing import list_names
from mini_dl.datasets.digits import Digits as Digits
from mini_dl.datasets.idx import read_idx as read_idx
from mini_dl.datasets.images import Images as Images
from mini_dl.datasets.mnist import MNIST as MNIST

list_names(globals())
