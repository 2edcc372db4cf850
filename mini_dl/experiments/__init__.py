"""The experiments of the learning notes, each a program that runs under mini_dl and under PyTorch.

>>> from mini_dl.experiments import show
>>> figure = show("gradient_field")  # doctest: +ELLIPSIS
81 gradients, all within 0.0e+00 of 2x; at (-2, -2) it is (-4, -4)
...

A notebook shows the figure, if matplotlib is installed (the extra `viz`); a program saves it: ``figure.save("field.png")``.

An experiment is one module. Its docstring starts with the title and then describes what it shows. It has

- `TOLERANCE`: how far the results of the two libraries may differ (absolute, relative above one), or None if rounding
  errors dominate, so the difference is reported but not judged;
- `run(torch, quick=False)`: the program itself, given either library as `torch`; its result is a dict of numbers,
  arrays, lists and dicts of these;
- `draw(results)`: the figure, from the results by library (`{"mini_dl": ..., "torch": ...}`, one of them or both);
- `report(results)`: lines that summarize the findings in numbers. The frame adds how far the libraries differ.
"""

from __future__ import annotations

import numpy as np

from mini_dl.experiments._frame import agreement, experiment, results_of
from mini_dl.experiments._korean import translated, write_in_korean
from mini_dl.experiments._types import Part
from mini_dl.utils.viz import Picture, drawable

__all__ = ["same", "show"]


def show(name: str, language: str = "en", quick: bool = True) -> Picture | None:
    """Run an experiment under mini_dl, and under PyTorch if it is installed; print its findings, and return its figure.

    `quick` runs it with fewer images and steps. With `language` "ko", figure and lines are in Korean. Without matplotlib there is
    no figure: None. AssertionError if the libraries differ by more than the experiment allows; ValueError for another name.
    """
    module = experiment(name)
    results = results_of(name, quick)
    agree, apart = agreement(results, module.TOLERANCE)
    if not agree:
        raise AssertionError(f"{name}: {apart}")
    lines = [*module.report(results), apart]
    print(*(map(translated, lines) if language == "ko" else lines), sep="\n")
    if not drawable():
        return None
    figure = module.draw(results)
    if language == "ko":
        write_in_korean(figure)
    return Picture(figure)


def same(**pairs: tuple[Part, Part]) -> None:
    """Compare each tensor with its expected value, by name: print that they are equal, or raise AssertionError.

    >>> import mini_dl as torch
    >>> same(sum=(torch.tensor([1.0, 2.0]).sum(), 3.0))
    sum: True
    """
    for name, (tensor, expected) in pairs.items():
        np.testing.assert_allclose(tensor.detach().numpy(), expected, rtol=1e-9, atol=1e-12, err_msg=name)
    print(", ".join(f"{name}: True" for name in pairs))
