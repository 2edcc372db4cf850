"""Train a network to read handwritten digits, and save it.

python train.py digits.safetensors              trained by mini_dl
python train.py digits.pt --library torch       trained by PyTorch; mini_dl reads it
python train.py digits.onnx                     for any runtime that reads ONNX; needs the extra "onnx"
"""

import argparse
import importlib

from network import digits_network

from mini_dl.datasets import Digits
from mini_dl.serialization import save_npz, save_safetensors


def prepared(torch, train):
    digits = Digits(train=train)
    return torch.as_tensor(digits.data).unsqueeze(1) / 16, torch.as_tensor(digits.targets).long()


def fit(torch, model, epochs):
    dataset = torch.utils.data.TensorDataset(*prepared(torch, True))
    batches = torch.utils.data.DataLoader(dataset, batch_size=64, shuffle=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(epochs):
        for images, labels in batches:
            loss = torch.nn.functional.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def save(torch, model, path):
    if path.endswith(".onnx"):
        torch.onnx.export(model, (torch.zeros(1, 1, 8, 8),), path, input_names=["images"], dynamic_shapes={"images": {0: "n"}})
    elif path.endswith(".pt"):
        torch.save(model.state_dict(), path)
    else:
        (save_npz if path.endswith(".npz") else save_safetensors)(model.state_dict(), path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", help="a name ending in .safetensors, .npz, .pt or .onnx")
    parser.add_argument("--library", default="mini_dl", choices=["mini_dl", "torch"])
    parser.add_argument("--epochs", type=int, default=10)
    options = parser.parse_args()
    torch = importlib.import_module(options.library)
    torch.manual_seed(0)
    model = digits_network(torch)
    fit(torch, model, options.epochs)
    model.eval()
    images, labels = prepared(torch, False)
    with torch.no_grad():
        right = (model(images).argmax(1) == labels).sum().item()
    save(torch, model, options.path)
    print(f"{right} of {len(labels)} test images right; saved as {options.path}")


if __name__ == "__main__":
    main()
