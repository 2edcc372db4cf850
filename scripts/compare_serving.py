"""The cost of running a trained model under mini_dl and torch: bytes to install, seconds to start, time per request.

    python scripts/compare_serving.py

Each line is one measurement on this machine; times are medians. The digits network is that of docs/examples.
"""

from __future__ import annotations

import itertools
import re
import statistics
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from _report import AGREE, DISAGREE, fail, libraries, parser, table, versions, write_json
from compare_speed import in_a_new_process, medians, restart_on

import mini_dl

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "docs" / "examples"))
from network import digits_network  # noqa: E402

START = """
import time
began = time.perf_counter()
import sys; sys.path.insert(0, {folder!r})
import {name} as torch
from network import digits_network
model = digits_network(torch)
model.load_state_dict(torch.load({path!r}))
model.eval()
with torch.inference_mode():
    model(torch.zeros(1, 1, 8, 8))
print(time.perf_counter() - began)
"""


def installed_bytes(name: str, seen: set[str] | None = None) -> int:
    """The bytes on disk of a distribution and of everything it requires (without extras)."""
    seen = set() if seen is None else seen
    key = re.sub(r"[-_.]+", "-", name).lower()
    if key in seen:
        return 0
    seen.add(key)
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return 0
    paths = [Path(str(found.locate_file(file))) for file in found.files or () if not str(file).endswith(".pyc")]
    needed = [re.split(r"[ ;<>=!~\[(]", text, maxsplit=1)[0] for text in found.requires or () if "extra ==" not in text]
    return sum([path.stat().st_size for path in paths if path.is_file()]) + sum([installed_bytes(one, seen) for one in needed])


def own_bytes() -> int:
    """mini_dl, whether it is installed or not, and NumPy."""
    files = [path for path in Path(mini_dl.__file__).parent.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    return sum([path.stat().st_size for path in files]) + installed_bytes("numpy")


def starts(names: list[str], repeats: int) -> list[float]:
    """Seconds from nothing to the first answer, in a new process each time."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "digits.pt")
        mini_dl.save(digits_network(mini_dl).state_dict(), path)
        codes = [START.format(folder=str(ROOT / "docs" / "examples"), name=name, path=path) for name in names]
        return [statistics.median([in_a_new_process(code) for _ in range(repeats)]) for code in codes]


def encoder(torch: Any) -> Any:
    return torch.nn.TransformerEncoderLayer(256, 4, 1024, batch_first=True)


def convolutions(torch: Any) -> Any:
    nn = torch.nn
    widths = [3, 32, 64, 128, 128]
    layers = [[nn.Conv2d(a, b, 3, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU()] for a, b in itertools.pairwise(widths)]
    return nn.Sequential(*[one for layer in layers for one in layer], nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10))


REQUESTS = [
    ("digits network, 1 image of 8 x 8", digits_network, (1, 1, 8, 8)),
    ("digits network, 32 images", digits_network, (32, 1, 8, 8)),
    ("four convolutions, 1 image of 64 x 64", convolutions, (1, 3, 64, 64)),
    ("encoder layer, 64 tokens of 256", encoder, (1, 64, 256)),
]


def works(ours: Any, theirs: Any, make: Any, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """One request under both libraries, with the same weights."""
    image = np.random.default_rng(0).random(shape, np.float32)
    first, second = make(ours).eval(), make(theirs).eval()
    second.load_state_dict({name: theirs.from_numpy(value.numpy().copy()) for name, value in first.state_dict().items()})
    return answering(ours, first, image), answering(theirs, second, image)


def answering(torch: Any, model: Any, image: Any) -> Any:
    x = torch.from_numpy(image)

    def answer() -> Any:
        with torch.inference_mode():
            return model(x)

    return answer


def main(arguments: list[str] | None = None) -> int:
    made = parser("Size, startup and latency of a model in use, under mini_dl and torch.")
    made.add_argument("--seconds", type=float, default=2.0, help="how long to measure each request")
    made.add_argument(
        "--threads", type=int, default=1, help="threads of both libraries: a service answers several requests at once"
    )
    options = made.parse_args(arguments)
    restart_on(options.threads)
    ours, theirs = libraries()
    if theirs is None:
        return fail("compare_serving needs torch: python -m pip install torch==2.13.0")
    print(versions(theirs))
    numbers: list[dict[str, Any]] = []

    def add(what: str, own: float, other: float, unit: str, scale: float) -> None:
        numbers.append({"what": what, "unit": unit, "mini_dl": own * scale, "torch": other * scale, "ratio": own / other})

    add("installed, with what it needs", own_bytes(), installed_bytes("torch"), "MB", 1e-6)
    add("from nothing to the first answer", *starts(["mini_dl", "torch"], 5), "ms", 1e3)
    for name, make, shape in REQUESTS:
        first, second = works(ours, theirs, make, shape)
        if not np.allclose(first().numpy(), second().numpy(), rtol=1e-3, atol=1e-4):
            print(f"{name}: the answers differ")
            return DISAGREE
        add(name, *medians([first, second], options.seconds), "ms", 1e3)
    rows = [[n["what"], f"{n['mini_dl']:.2f} {n['unit']}", f"{n['torch']:.2f} {n['unit']}", f"{n['ratio']:.2f}"] for n in numbers]
    print(table(["", "mini_dl", "torch", "ratio"], rows))
    write_json(options.json, numbers)
    return AGREE


if __name__ == "__main__":
    sys.exit(main())
