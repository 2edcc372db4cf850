"""The experiments of the learning notes, each a program that runs under mini_dl and under torch.

    python -m scripts.book --list
    python -m scripts.book gradient_field optimizers
    python -m scripts.book --all --quick

An experiment is one module. Its docstring begins with the title and then says what it shows. It has

- `TOLERANCE`: how far the results of the two libraries may lie apart (absolute, above one relative), or None where rounding grows
  until it decides, so that the difference is reported and not judged;
- `run(torch, quick=False)`: the program itself over the name `torch`, which is either library; its result is a dict of numbers,
  arrays, lists and dicts of these;
- `draw(results)`: the figure, of the results by library (`{"mini_dl": ..., "torch": ...}`, one of them or both);
- `report(results)`: lines that say in numbers what was seen. The frame adds how far the libraries lie apart.
"""
