"""How cost grows: time of both libraries over batch, sequence length, image size, number of parameters and cores, as pictures."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from _report import progress, table
from _speed_cases import Work, both_ways, tensor, without_gradients
from _speed_programs import gpt, lenet, next_token_step, perceptron, resnet, training_step

from mini_dl.files.replacing import replaced

Measure = Callable[[list[Work], float], list[float]]
Growing = Callable[[Any, int], Work]


def on_threads(make: Callable[[Any], Work]) -> Growing:
    """The workload on that many threads, which it sets each time."""

    def made(torch: Any, threads: int) -> Work:
        work = make(torch)

        def run() -> None:
            torch.set_num_threads(threads)
            work()

        return run

    return made


def attended(torch: Any, length: int) -> Work:
    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(128, 4, 512, dropout=0.0, activation="gelu", batch_first=True)
    return both_ways(torch, layer, tensor(torch, 4, length, 128, grad=True))


def cores() -> list[int]:
    return list(range(1, (os.cpu_count() or 1) + 1))


def curves() -> dict[str, tuple[str, list[int], Growing]]:
    """By title: the parameter that grows, its sizes, and the workload."""
    small_resnet = lambda torch: training_step(torch, resnet(torch, [2, 2, 2, 2], False), 8, 3, 64, 64)
    return {
        "LeNet, training step": (
            "batch", [1, 4, 16, 64, 256, 1024], lambda torch, n: training_step(torch, lenet(torch), n, 1, 28, 28),
        ),
        "MLP 784-512-512-10, inference": (
            "batch", [1, 4, 16, 64, 256, 1024, 4096],
            lambda torch, n: without_gradients(torch, perceptron(torch, 784, 512, 512, 10), tensor(torch, n, 784)),
        ),
        "transformer layer of 128, both ways, batch 4": ("sequence length", [16, 64, 256, 1024], attended),
        "ResNet-18, inference": (
            "image size", [32, 64, 128, 224, 320],
            lambda torch, n: without_gradients(torch, resnet(torch, [2, 2, 2, 2], False).eval(), tensor(torch, 1, 3, n, n)),
        ),
        "MLP of three layers, training step, batch 64": (
            "width", [16, 64, 256, 1024, 2048], lambda torch, n: training_step(torch, perceptron(torch, n, n, n, 10), 64, n),
        ),
        "char-GPT, training step": (
            "width", [32, 64, 128, 256], lambda torch, n: next_token_step(torch, gpt(torch, 65, 4, 4, n, 64), 65, 8, 64),
        ),
        "ResNet-18, training step, 8 x 3 x 64 x 64": ("cores", cores(), on_threads(small_resnet)),
        "char-GPT of 128, training step": (
            "cores", cores(), on_threads(lambda torch: next_token_step(torch, gpt(torch, 65, 4, 4, 128, 64), 65, 8, 64)),
        ),
    }  # fmt: skip


def draw(ours: ModuleType, theirs: ModuleType, folder: Path, seconds: float, measure: Measure) -> list[dict[str, Any]]:
    """Time all of it, print the ratios, and write ``speed.png``."""
    from matplotlib.figure import Figure

    figure, found = Figure(figsize=(16, 8), layout="constrained"), []
    for axes, (title, (what, sizes, make)) in progress(list(zip(figure.subplots(2, 4).flat, curves().items())), desc="curves"):
        times = [measure([make(ours, size), make(theirs, size)], seconds) for size in sizes]
        for name, marker, line in zip(("mini_dl", "torch"), "os", zip(*times)):
            axes.plot(sizes, [1e3 * each for each in line], marker=marker, label=name)
        axes.set(title=title, xlabel=what, ylabel="ms", yscale="log", xscale="linear" if what == "cores" else "log", xticks=sizes)
        axes.set_xticks([], minor=True)
        axes.set_xticklabels([str(size) for size in sizes])
        axes.legend()
        found += [
            {"curve": title, "along": what, "at": size, "mini_dl": own, "torch": other, "ratio": own / other}
            for size, (own, other) in zip(sizes, times)
        ]
    folder.mkdir(parents=True, exist_ok=True)
    with replaced(folder / "speed.png") as file:
        figure.savefig(file, dpi=110, format="png")
    rows = [[f"{row['curve']}: {row['along']} {row['at']}", f"{1e3 * row['mini_dl']:.2f}"] for row in found]
    rows = [[*row, f"{1e3 * each['torch']:.2f}", f"{each['ratio']:.2f}"] for row, each in zip(rows, found)]
    print(table(["work", "mini_dl ms", "torch ms", "ratio"], rows))
    print(f"written: {folder / 'speed.png'}")
    return found
