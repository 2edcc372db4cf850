"""Fourier transforms: ``torch.fft``."""

from mini_dl._arguments import asking
from mini_dl._surface import namespace
from mini_dl.ops.fft import fft as fft

globals().update(asking(namespace("fft"), __name__, "fft_"))
