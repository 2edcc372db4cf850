"""``python -m mini_dl train.py``: run a program written for PyTorch, unchanged, on mini_dl."""

from mini_dl.compat.runner import main

if __name__ == "__main__":
    main()
