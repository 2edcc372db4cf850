"""``python -m mini_dl`` is ``python`` with another torch."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROGRAM = """
import os, sys
print(__name__, sys.argv[1:], os.path.basename(sys.argv[0]), __file__ == sys.argv[0], __spec__)
print(sys.path[0] == os.path.dirname(__file__))
"""


def run(*words: object, given: str = "", where: Path | None = None, own: bool = True) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *(["-m", "mini_dl"] if own else []), *[str(word) for word in words]]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, input=given, capture_output=True, text=True, cwd=where, env=environment, timeout=120)


def both(*words: object, given: str = "", where: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The same under ``python`` and ``python -m mini_dl``: output, messages and exit code."""
    ours, pythons = run(*words, given=given, where=where), run(*words, given=given, where=where, own=False)
    assert (ours.stdout, ours.stderr, ours.returncode) == (pythons.stdout, pythons.stderr, pythons.returncode)
    return ours


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "train.py"
    path.write_text(PROGRAM)
    return path


def test_a_script_sees_what_it_would_see_under_python(script: Path) -> None:
    assert both(script, "--lr", "0.1", "-m").stdout == "__main__ ['--lr', '0.1', '-m'] train.py True None\nTrue\n"


def test_a_script_imports_its_neighbors_and_torch(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("import torch\nclass Net(torch.nn.Linear):\n    pass\n")
    (tmp_path / "train.py").write_text("import model, torch, mini_dl\nprint(model.Net(2, 1), torch.nn is mini_dl.nn)\n")
    assert run(tmp_path / "train.py").stdout == "Net(in_features=2, out_features=1, bias=True) True\n"


def test_a_module_and_a_package_run_by_name(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text("import sys, torch\nprint('package', sys.argv[1:], __name__)\n")
    (package / "part.py").write_text("import sys, os\nprint(sys.argv[1:], __name__, __spec__.name, sys.path[0] == os.getcwd())\n")
    assert run("-m", "package", "a", where=tmp_path).stdout == "package ['a'] __main__\n"
    assert both("-m", "package.part", "a", "-b", where=tmp_path).stdout == "['a', '-b'] __main__ package.part True\n"
    assert run("-mpackage.part", where=tmp_path).stdout.startswith("[] __main__")


def test_code_on_the_command_line_and_from_standard_input() -> None:
    code = "import sys; print(__name__, sys.argv, repr(sys.path[0]))"
    assert both("-c", code, "x", "-c").stdout == "__main__ ['-c', 'x', '-c'] ''\n"
    assert both("-", "x", given=code).stdout == "__main__ ['-', 'x'] ''\n"
    assert run("-c", "import torch; print(torch.ones(1))").stdout == "tensor([1.])\n"
    assert run(given="import torch; print(torch.ones(1))").stdout == "tensor([1.])\n"


def test_folders_and_archives_with_a_main_file(tmp_path: Path) -> None:
    (tmp_path / "__main__.py").write_text("import sys, helper; print(sys.argv[1:], helper.value, __name__)")
    (tmp_path / "helper.py").write_text("value = 3")
    assert both(tmp_path, "x").stdout == "['x'] 3 __main__\n"
    with zipfile.ZipFile(tmp_path / "app.pyz", "w") as archive:
        for name in ("__main__.py", "helper.py"):
            archive.write(tmp_path / name, name)
    assert both(tmp_path / "app.pyz", "x").stdout == "['x'] 3 __main__\n"


@pytest.mark.parametrize(
    "code",
    [
        "import sys; sys.exit(3)", "raise SystemExit('a message')", "1 / 0", "raise KeyboardInterrupt",
        "def f(): g()\ndef g(): h\nf()",
        "x = = 1", "try:\n    1 / 0\nexcept Exception as e:\n    raise ValueError('second') from e", "import os; os._exit(5)",
        "import sys\nsys.excepthook = lambda *error: print(error[0])\n1 / 0",
    ],
)  # fmt: skip
def test_exit_codes_and_tracebacks_are_pythons(code: str, tmp_path: Path) -> None:
    (tmp_path / "failing.py").write_text(code + "\n")
    both(tmp_path / "failing.py")


def test_a_script_that_is_not_there_and_bad_options() -> None:
    missing = run("missing.py")
    assert missing.returncode == 2 and "can't open file" in missing.stderr and "[Errno 2]" in missing.stderr
    unknown = run("--nonsense")
    assert unknown.returncode == 2 and "unknown option --nonsense" in unknown.stderr
    assert run("-m").returncode == 2 and "argument expected for the -m option" in run("-m").stderr
    assert run("-m", "no_such_module").returncode == 1


def test_help_and_versions() -> None:
    for option in ("-h", "--help"):
        assert run(option).stdout.startswith("usage: python -m mini_dl")
    for option in ("-V", "--version"):
        assert run(option).stdout.startswith("mini_dl 0.") and "torch 2.13.0" in run(option).stdout


SPAWNING = """
import multiprocessing, sys
import torch

class Net(torch.nn.Linear):
    pass

def work(queue, net):
    import torch.nn.functional
    queue.put((torch.__version__, type(net).__name__, net(torch.ones(2)).numel(), sys.argv[1:]))

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    queue = context.Queue()
    process = context.Process(target=work, args=(queue, Net(2, 1)))
    process.start()
    print(queue.get(timeout=60))
    process.join()
    print(process.exitcode)
"""


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
@pytest.mark.skipif(sys.platform == "win32", reason="there is only one way to start processes")
def test_child_processes_have_the_proxy(method: str, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SPAWNING)
    found = run(tmp_path / "train.py", method)
    assert found.stdout.startswith("('2.13.0+mini_dl.") and found.stdout.endswith(f"'Net', 1, ['{method}'])\n0\n"), found.stderr


def test_mini_dl_found_in_the_current_folder_is_found_by_child_processes(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SPAWNING)
    command = [sys.executable, "-m", "mini_dl", tmp_path / "train.py", "spawn"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    found = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=120)
    assert found.stdout.endswith("['spawn'])\n0\n"), found.stderr


def test_threads_and_exit_functions_still_see_the_program(tmp_path: Path) -> None:
    code = "import atexit, sys\nvalue = 3\natexit.register(lambda: print(value, sys.modules['__main__'].value))\n"
    (tmp_path / "ending.py").write_text(code)
    assert both(tmp_path / "ending.py").stdout == "3 3\n"
