"""``torch.cpu``: what programs ask about the CPU as they ask about a GPU."""

from mini_dl.amp import for_cpu as amp

__all__ = ["amp"]
