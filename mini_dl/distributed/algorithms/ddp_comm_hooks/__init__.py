"""Hooks by which `DistributedDataParallel` averages gradients."""
