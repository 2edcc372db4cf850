"""safetensors.torch: files of tensors, written and read by its own compiled code."""

import os
import tempfile

import torch
from safetensors.torch import load, load_file, load_model, save, save_file, save_model

from programs.case import function


@function
def files():
    tensors = {"a": torch.randn(3, 4), "b": torch.arange(6), "c": torch.randn(2, dtype=torch.float16), "d": torch.tensor(True)}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "x.safetensors")
        save_file(tensors, path, metadata={"format": "pt"})
        read = load_file(path)
    return dict(sorted(read.items())), dict(sorted(load(save(tensors)).items()))


@function
def models():
    a, b = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "x.safetensors")
        save_model(a, path)
        missing = load_model(b, path)
    return list(missing), b.state_dict()
