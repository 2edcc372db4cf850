"""The experiments of the learning notes, each a program that runs under mini_dl and under PyTorch.

>>> from mini_dl.experiments import show
>>> figure = show("gradient_field")  # doctest: +ELLIPSIS
81 gradients, all within 0.0e+00 of 2x; at (-2, -2) it is (-4, -4)
...

A notebook shows the figure, if matplotlib is installed (the extra `viz`); a program saves it: ``figure.save("field.png")``.

An experiment is one module. Its docstring begins with the title and then says what it shows. It has

- `TOLERANCE`: how far the results of the two libraries may lie apart (absolute, above one relative), or None where rounding grows
  until it decides, so that the difference is reported and not judged;
- `run(torch, quick=False)`: the program itself over the name `torch`, which is either library; its result is a dict of numbers,
  arrays, lists and dicts of these;
- `draw(results)`: the figure, of the results by library (`{"mini_dl": ..., "torch": ...}`, one of them or both);
- `report(results)`: lines that say in numbers what was seen. The frame adds how far the libraries lie apart.
"""

from __future__ import annotations

import numpy as np

from mini_dl.experiments._frame import agreement, experiment, results_of
from mini_dl.experiments._korean import translated, write_in_korean
from mini_dl.experiments._types import Part
from mini_dl.utils.viz import Picture, drawable

__all__ = ["same", "show"]


def show(name: str, language: str = "en", quick: bool = True) -> Picture | None:
    """Run an experiment under mini_dl, and under PyTorch if it is installed; print what it found, and return its figure.

    `quick` runs it with fewer images and steps. In `language` "ko" figure and lines are in Korean. Without matplotlib there is
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
    """Of each pair a tensor and what it should be, by its name: say that they are equal, or raise AssertionError.

    >>> import mini_dl as torch
    >>> same(sum=(torch.tensor([1.0, 2.0]).sum(), 3.0))
    sum: True
    """
    for name, (tensor, expected) in pairs.items():
        np.testing.assert_allclose(tensor.detach().numpy(), expected, rtol=1e-9, atol=1e-12, err_msg=name)
    print(", ".join(f"{name}: True" for name in pairs))
