"""Run a program as ``python`` does, with ``import torch`` giving mini_dl."""

from __future__ import annotations

import builtins
import importlib.machinery
import os
import platform
import runpy
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import ModuleType, TracebackType
from typing import Any, NoReturn

import numpy as np

import mini_dl
from mini_dl.compat.proxy import enable_torch_proxy
from mini_dl.version import __version__ as torch_version

HELP = """\
usage: python -m mini_dl [-h] [-V] [-m module | -c code | script | -] [arguments ...]

Run a program written for PyTorch on mini_dl: "import torch" and every "torch.x.y" give mini_dl,
and all else is as with "python".

  script         a file, or a folder or zip archive with a __main__.py
  -m module      a module or package, as "python -m" does
  -c code        the code given here
  -              the code from standard input (also if nothing is given)
  -h, --help     show this text
  -V, --version  show the versions of mini_dl, torch's behavior, Python and NumPy

What follows the program are its arguments. Options of Python itself come before -m:
python -u -X dev -m mini_dl script.py
"""


def main(arguments: list[str] | None = None) -> None:
    """Run the program that the command-line `arguments` name."""
    arguments = sys.argv[1:] if arguments is None else arguments
    first, rest = (arguments[0], arguments[1:]) if arguments else ("-", [])
    if first in ("-h", "--help"):
        print(HELP, end="")
    elif first in ("-V", "--version"):
        print(
            f"mini_dl {mini_dl.__version__} (torch {torch_version}, Python {platform.python_version()}, NumPy {np.__version__})"
        )
    elif first[:2] in ("-m", "-c"):
        given = [first[2:], *rest] if len(first) > 2 else rest
        if not given:
            _refuse(f"argument expected for the {first} option")
        run_module(given[0], given[1:]) if first[:2] == "-m" else run_code(given[0], given[1:])
    elif first == "-":
        run_standard_input(rest)
    elif first.startswith("-"):
        _refuse(f"unknown option {first}")
    else:
        run_script(first, rest)


def _refuse(why: str) -> NoReturn:
    print(f"{why}\n{HELP.splitlines()[0]}\nTry `python -m mini_dl -h' for more information.", file=sys.stderr)
    sys.exit(2)


# ------------------------------------------------------------------------------------------------ the kinds of programs


def run_script(path: str, arguments: list[str]) -> None:
    """A file with Python code; or a folder or an archive with a ``__main__.py``."""
    if not os.path.exists(path):
        print(
            f"{sys.executable}: can't open file {os.path.abspath(path)!r}: [Errno 2] No such file or directory", file=sys.stderr
        )
        sys.exit(2)
    if os.path.isdir(path) or path.endswith((".zip", ".pyz", ".egg")):
        _begin([path, *arguments], None)
        _run(lambda: runpy.run_path(path, run_name="__main__"))
        return
    _begin([path, *arguments], os.path.dirname(os.path.realpath(path)))
    main_module = _new_main()
    main_module.__file__ = os.path.abspath(path)
    main_module.__cached__ = None  # type: ignore[attr-defined]
    main_module.__loader__ = importlib.machinery.SourceFileLoader("__main__", main_module.__file__)
    _run(lambda: _execute(_read(path), path, main_module))


def _read(path: str) -> Any:
    with open(path, "rb") as file:
        return file.read()


def run_module(name: str, arguments: list[str]) -> None:
    """A module or package that Python finds."""
    _begin(["-m", *arguments], os.getcwd())
    _run(lambda: runpy.run_module(name, run_name="__main__", alter_sys=True))


def run_code(code: str, arguments: list[str]) -> None:
    """Code given as an argument."""
    _begin(["-c", *arguments], "")
    main_module = _new_main()
    _run(lambda: _execute(code, "<string>", main_module))


def run_standard_input(arguments: list[str]) -> None:
    """Code from standard input; on a terminal, an interactive session."""
    _begin(["-", *arguments], "")
    main_module = _new_main()
    if sys.stdin.isatty():
        import code

        banner = f"Python {sys.version} on {sys.platform}\n`import torch` gives mini_dl {mini_dl.__version__}"
        code.interact(banner, local=vars(main_module), exitmsg="")
    else:
        _run(lambda: _execute(sys.stdin.read(), "<stdin>", main_module))


# ------------------------------------------------------------------------------------------------ around them


def _begin(argv: list[str], folder: str | None) -> None:
    """Set the command line that the program sees, and enable the proxy. Its imports are searched in `folder` first."""
    sys.argv[:] = argv
    if not getattr(sys.flags, "safe_path", False):  # otherwise Python adds nothing to the front of the path either
        if folder is None:
            del sys.path[0]
        else:
            sys.path[0] = folder
    root = os.path.dirname(os.path.dirname(mini_dl.__file__))
    if root not in sys.path:  # mini_dl was found in the current folder, and must still be found, here and in child processes
        sys.path.append(root)
    enable_torch_proxy()


def _new_main() -> ModuleType:
    """A module ``__main__`` for the program, replacing ours."""
    made = ModuleType("__main__")
    made.__builtins__ = builtins  # type: ignore[attr-defined]
    vars(made).pop("__file__", None)
    made.__spec__ = None
    sys.modules["__main__"] = made
    return made


def _execute(source: Any, name: str, module: ModuleType) -> None:
    exec(compile(source, name, "exec", dont_inherit=True), vars(module))


def _run(program: Callable[[], object]) -> None:
    """Run it; an unhandled exception is shown without our own frames."""
    shown = sys.excepthook

    def show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        error.__traceback__ = _without_ours(trace)
        shown(kind, error, error.__traceback__)

    sys.excepthook = show
    with _around():
        program()


LAUNCHERS = ("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK", "PALS_RANKID")
"""The variables that MPI launchers set for each process."""
RANK_PROCESS = "MINI_DL_RANK_PROCESS"
"""The variable that tells programs started by a rank that they are not the rank."""


def _around() -> AbstractContextManager[None]:
    """The context of a process that is part of a job."""
    process = str(os.getpid())
    if not any([name in os.environ for name in LAUNCHERS]) or os.environ.setdefault(RANK_PROCESS, process) != process:
        return nullcontext()
    from mini_dl.distributed.launching import whole_job

    return whole_job()


def _without_ours(trace: TracebackType | None) -> TracebackType | None:
    """The part of a traceback that starts in the program."""
    ours = {__file__, os.path.join(os.path.dirname(mini_dl.__file__), "__main__.py"), runpy.__file__}
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if name not in ours and not name.startswith("<frozen"):
            return trace
        trace = trace.tb_next
    return None
