"""Signal processing: ``torch.signal``."""

from mini_dl.signal import windows
