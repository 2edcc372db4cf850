"""Attention of ``nn.functional``."""
