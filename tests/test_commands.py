"""Every command that the README and the docs show can be run: its files are there, and its environment has what it imports.

With ``MINI_DL_FRESH=1``, the commands that take minutes are run too, in a clone with its own environment.
"""

from __future__ import annotations

import ast
import configparser
import functools
import itertools
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:  # installed with pytest
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
OWN = {path.name for path in ROOT.iterdir() if path.is_dir()} | {"mini_dl"}
STANDARD = sys.stdlib_module_names | {"tomllib"}
"""The comparison runs from Python 3.11 on, whose standard library has it."""
DISTRIBUTIONS = {"myst_nb": "myst-nb"}
"""The registry names of packages whose modules are named differently."""
YOURS = {"train.py --epochs 3", "script.py [arguments]"}
"""Programs that a page mentions and the reader has."""


def settings(name: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[name]  # type: ignore[no-any-return]


def environments() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "tox.ini", encoding="utf-8")
    chosen = {f"testenv:py{n}" for n in range(310, 315)}  # from [testenv] alone
    for section in [*parser.sections(), *chosen]:  # testenv:py{311,312} stands for two
        parts = [part.split(",") if i % 2 else [part] for i, part in enumerate(re.split("[{}]", section))]
        for name in map("".join, itertools.product(*parts)):
            parser[name] = dict(parser["testenv"]) | (dict(parser[section]) if parser.has_section(section) else {})
    return parser


def commands_of(page: Path) -> list[str]:
    """The commands in indented blocks and in tables, without comments."""
    text = page.read_text(encoding="utf-8")
    lines = re.findall(r"^    ((?:python3?|pytest|pip) .*)$", text, re.MULTILINE)
    lines += re.findall(r"^\|.*?`((?:python -m tox|python -m parity_tests|python scripts|pytest) ?[^`]*)`", text, re.MULTILINE)
    found = [part.strip() for line in lines for part in re.split(r"&&", re.sub(r" +# .*$", "", line))]
    return [part for part in found if re.match("python|pytest", part)]


COMMANDS = sorted({(command, page.parent) for page in PAGES for command in commands_of(page)})


def names_of(requirements: list[str]) -> set[str]:
    return {re.split(r"[ <>=!~\[;]", one, maxsplit=1)[0].lower().replace("_", "-") for one in requirements}


def installed_in(environment: str, package: bool) -> set[str]:
    """The packages that a tox environment has; `package`: whether mini_dl is installed there with its dependencies."""
    section = environments()[f"testenv:{environment}"]
    groups, project = settings("dependency-groups"), settings("project")
    found = names_of(groups[section["dependency_groups"]]) | names_of(section.get("deps", "").split())
    return found | (names_of(project["dependencies"]) if package else set())


def imported(path: Path, seen: set[Path]) -> set[str]:
    """The third-party modules that a file imports when run, directly or through files of this project."""
    if path in seen:
        return set()
    seen.add(path)
    files, modules = imports_of(path)
    return modules.union(*(imported(inside, seen) for inside in files))


@functools.cache
def imports_of(path: Path) -> tuple[list[Path], set[str]]:
    """The files of this project and the third-party modules that a file itself imports when run."""
    inside, outside = [], set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        parts = []
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
            parts = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in [*names, *parts]:
            file = file_of(name, path.parent)
            if file is not None:
                inside.append(file)
            elif name in names and name.partition(".")[0] not in OWN | STANDARD:
                outside.add(name.partition(".")[0])
    return inside, outside


def file_of(module: str, folder: Path) -> Path | None:
    """The file of a module next to another one, or in this project."""
    places = [base / Path(*module.split(".")) for base in (folder, ROOT, ROOT / "docs", ROOT / "docs" / "examples")]
    files = [file for place in places for file in (place.with_suffix(".py"), place / "__init__.py")]
    return next((file for file in files if file.is_file()), None)


def program_of(words: list[str], folder: Path) -> Path | None:
    """The file that ``python ...`` runs; None for a third-party module. AssertionError if there is none."""
    if words[0] == "-m":
        files = [ROOT / Path(*words[1].split(".")) / "__main__.py", (ROOT / Path(*words[1].split("."))).with_suffix(".py")]
        own = [file for file in files if file.is_file()]
        assert own or words[1] in ("pip", "tox", "venv"), f"no module {words[1]}"
        return own[0] if own else None
    places = [ROOT / words[0], folder / words[0], ROOT / "docs" / "examples" / words[0]]
    found = [place for place in places if place.is_file()]
    assert found, f"no file {words[0]}"
    return found[0]


def test_commands_are_found() -> None:
    assert len(COMMANDS) >= 20
    assert any("conv2d" in command for command, _ in COMMANDS)


@pytest.mark.parametrize("command, folder", COMMANDS, ids=[command for command, _ in COMMANDS])
def test_a_command_has_its_files_and_its_environment_what_it_imports(command: str, folder: Path) -> None:
    words = shlex.split(command.partition(" < ")[0])
    program, rest = words[0], words[1:]
    if program == "pytest":
        assert not rest or (ROOT / rest[0]).exists()
    elif rest[:2] == ["-m", "tox"]:
        check_tox(rest[2:])
    elif rest[:2] == ["-m", "pip"]:
        check_installation(rest)
    elif " ".join(rest).removeprefix("-m mini_dl ") not in YOURS:
        program_of(rest, folder)


def check_installation(words: list[str]) -> None:
    for option, name in itertools.pairwise(words):
        assert option != "--group" or name in settings("dependency-groups")


def check_tox(words: list[str]) -> None:
    """An environment that exists; for ``exec``, which installs no package, one that has what the program imports."""
    kind, known = words[0], environments()
    chosen = words[words.index("-e") + 1].split(",") if "-e" in words else []
    for name in chosen:
        assert f"testenv:{name}" in known or name.startswith("py3"), f"no environment {name}"
    if kind in ("run", "run-parallel"):
        for name in chosen:
            check_lines(known[f"testenv:{name}"], installed_in(name, known[f"testenv:{name}"].get("skip_install") != "true"))
        return
    assert kind == "exec" and len(chosen) == 1
    program = program_of(words[words.index("--") + 2 :], ROOT)
    assert program is not None
    check_imports(program, installed_in(chosen[0], package=False))


def check_lines(section: configparser.SectionProxy, installed: set[str]) -> None:
    """The programs that an environment runs find their imports."""
    for line in section["commands"].strip().splitlines():
        words = line.split()
        if words[0] == "python" and words[1] != "-c":
            program = program_of(words[1:], ROOT)
            assert program is not None
            check_imports(program, installed)


def check_imports(program: Path, installed: set[str]) -> None:
    needed = {DISTRIBUTIONS.get(name, name.replace("_", "-")) for name in imported(program, set())}
    assert needed <= installed, f"{program.name} imports {sorted(needed - installed)}, which is not installed there"


def test_a_missing_package_would_be_found() -> None:
    needed = imported(ROOT / "parity_tests" / "sweep.py", set())
    assert {"numpy", "torch"} <= needed
    with pytest.raises(AssertionError, match=r"sweep.py imports \['numpy'"):
        check_imports(ROOT / "parity_tests" / "sweep.py", {name.replace("_", "-") for name in needed} - {"numpy"})


def test_the_extras_that_pages_name_exist() -> None:
    named = {extra for page in PAGES for extra in re.findall(r"""["']\.\[(\w+)\]["']""", page.read_text(encoding="utf-8"))}
    named |= set(re.findall(r"'mini-dl\[(\w+)\]'", (ROOT / "mini_dl" / "onnx" / "building.py").read_text(encoding="utf-8")))
    assert named and named <= settings("project")["optional-dependencies"].keys()


def test_the_test_command_of_the_readme_installs_what_the_tests_import() -> None:
    installed = installed_in_group("tests") | {"numpy"}
    for path in sorted((ROOT / "tests").glob("*.py")):
        needed = imported(path, set()) - {"tomllib"}
        assert {name.replace("_", "-") for name in needed} <= installed | {"tomli"}, path.name


def installed_in_group(name: str) -> set[str]:
    return names_of(settings("dependency-groups")[name])


HEAVY = sorted({command for command, _ in COMMANDS if re.match(r"python -m tox exec", command)})


@pytest.mark.skipif("MINI_DL_FRESH" not in os.environ, reason="takes minutes, and downloads torch; asked for by MINI_DL_FRESH=1")
@pytest.mark.parametrize("command", HEAVY)
def test_a_command_runs_in_a_fresh_clone(command: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp() / "fresh"
    python = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not folder.exists():
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder / "clone")], check=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", "tox"], check=True)
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([str(python), *shlex.split(command)[1:]], cwd=folder / "clone", check=True, env=clean)
