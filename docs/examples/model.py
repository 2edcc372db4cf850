"""A trained network as a function of plain numbers: what both services call. Needs NumPy and mini_dl, nothing else."""

from network import digits_network

import mini_dl as torch
from mini_dl.serialization import load_npz, load_safetensors

LOADERS = {".safetensors": load_safetensors, ".npz": load_npz, ".pt": torch.load}


class Reader:
    """Digits from the weights in a file."""

    def __init__(self, path):
        ending = path[path.rindex(".") :]
        self.model = digits_network(torch)
        self.model.load_state_dict(LOADERS[ending](path))
        self.model.eval()

    def read(self, images):
        """The digit and its probability for each image, a list of 64 gray values from 0 to 1. ValueError for anything else."""
        try:
            batch = torch.tensor(images, dtype=torch.float32).reshape(-1, 1, 8, 8)
        except (TypeError, ValueError, RuntimeError) as error:
            raise ValueError(f"expected lists of 64 numbers: {error}") from None
        with torch.inference_mode():
            chances, digits = self.model(batch).softmax(1).max(1)
        return [{"digit": d, "probability": round(p, 4)} for d, p in zip(digits.tolist(), chances.tolist())]
