"""Losses of ``nn.functional``."""
