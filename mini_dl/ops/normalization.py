"""Normalization over batches, groups, layers and channels."""
