"""Which units may notice a mutant, judged by names in the sources: this needs no run, and a new test counts at once.

A change of a definition shows in what refers to it, directly or indirectly: `reached` follows these references upward and counts
the steps to each name. Tests are ordered by the names they mention, where a rare name counts more; rows of torch's tables by the
name of their entry.
"""

from __future__ import annotations

import ast
import functools
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from parity_tests.mutation import units
from parity_tests.mutation.mutants import Mutant, parsed
from parity_tests.mutation.server import ROOT

MANY = 80
"""So many definitions are come to at most, the nearest."""
TEXT_OF_NAMES = re.compile(r"[\w.:]+|[a-z0-9]*_[\w. ]+")
LIMIT = 60.0
"""Seconds of the processor for a unit: a row, or a test with all its parameters."""
MOST, NEAR = 60, 2
SIZES = slice(0, 6), slice(6, 24), slice(24, 2 * MOST)
"""How many rows, and how many tests, are tried together."""
MODULES, USING_ALL = 5, ("mini_dl.ops.creation", "mini_dl.ops.reduction", "mini_dl.nn.modules.linear", "mini_dl.optim.adam")
"""The examples of so many modules near a mutant are tried, and those of these, which use what all others do."""
ELSEWHERE = {"subprocess", "spawn", "executable"}
"""Tests that mention these run in a process of their own, whose time is not counted: they are asked only if named first."""
OF_ALL = (
    "parity_tests/test_twins_rare_branches.py", "parity_tests/test_twins_rare_arguments.py",
    "parity_tests/test_twins_texts_and_defaults.py", "tests/test_rare_branches.py", "tests/test_recurrent_gradients.py",
    "parity_tests/test_defaults.py",
)  # fmt: skip
"""Files about parts of everything, in short tests, that are asked of each mutant."""
Definition = tuple[str, str]
"""A file and the name of one of its statements: a function, a class, what is assigned to, or the number of another statement."""


def mentioned(node: ast.AST) -> Iterator[str]:
    """All names in a piece of code, including attributes, keywords, and strings that are names."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name):
            yield inner.id
        elif isinstance(inner, ast.Attribute):
            yield inner.attr
        elif isinstance(inner, (ast.FunctionDef, ast.ClassDef)):
            yield inner.name
        elif isinstance(inner, ast.keyword) and inner.arg:
            yield inner.arg
        elif isinstance(inner, ast.Constant) and isinstance(inner.value, str) and TEXT_OF_NAMES.fullmatch(inner.value):
            yield from re.findall(r"\w+", inner.value)


def names_of(number: int, statement: ast.stmt) -> list[str]:
    """What a statement of a module defines."""
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        return [statement.name]
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return [target.id for target in targets if isinstance(target, ast.Name)] or [f"<{number}>"]


class Sources:
    """The definitions of the package, and what refers to each."""

    def __init__(self) -> None:
        self.lines: dict[str, list[tuple[int, Definition]]] = defaultdict(list)
        self.mentions: dict[Definition, set[str]] = {}
        self.methods: dict[str, set[Definition]] = defaultdict(set)
        self.imported: dict[str, dict[str, str]] = {}
        for path in sorted((ROOT / "mini_dl").rglob("*.py")):
            file = str(path.relative_to(ROOT))
            tree = parsed(file)
            self.imported[file] = dict(_imported(tree))
            for number, statement in enumerate(tree.body):
                for name in names_of(number, statement):
                    definition = file, name
                    self.lines[file].append((min([statement.lineno, *_decorated(statement)]), definition))
                    self.mentions[definition] = set(mentioned(statement))
                    for inner in getattr(statement, "body", []) if isinstance(statement, ast.ClassDef) else []:
                        if isinstance(inner, ast.FunctionDef):
                            self.methods[inner.name].add(definition)
                    self.methods[name].add(definition)
        self.used_by: dict[Definition, set[Definition]] = defaultdict(set)
        for user, names in self.mentions.items():
            for name in names:
                for used in self._resolved(user[0], name) - {user}:
                    self.used_by[used].add(user)

    def _resolved(self, file: str, name: str) -> set[Definition]:
        imported = self.imported[file]
        for place in (file, imported.get(name)):
            if place and (place, name) in self.mentions:
                return {(place, name)}
        found = self.methods.get(name, set())
        near = {definition for definition in found if definition[0] in imported.values()}
        return near or (found if len(found) == 1 else set())

    def around(self, mutant: Mutant) -> Definition:
        """The definition that a mutant is in."""
        return [definition for line, definition in self.lines[mutant.file] if line <= mutant.line][-1]

    def reached(self, mutant: Mutant, downward: bool) -> dict[str, int]:
        """The names through which a mutant may be noticed, with the number of steps. `downward` starts from what the definition
        mentions, for which a decorator registers it as a rule, and from its file.
        """
        start = self.around(mutant)
        steps = {start: 0}
        found = {name.strip("_"): 0 for name in (*mutant.function.split("."), start[1])}
        if downward:
            steps |= {used: 1 for name in self.mentions[start] for used in self._resolved(start[0], name)}
            steps |= {other: 2 for _, other in self.lines[mutant.file]}
            found |= {name.strip("_"): 1 for name in (*self.mentions[start], Path(mutant.file).stem)}
        for definition, step in self._with_users(steps).items():
            nameless = definition[1].startswith("<")  # for example, it publishes functions in a loop
            for name in sorted(self.mentions[definition]) if nameless else [definition[1]]:
                found.setdefault(name.strip("_"), step)
        return {name: step for name, step in found.items() if name and not name.startswith("<")}

    def _with_users(self, steps: dict[Definition, int]) -> dict[Definition, int]:
        """`steps` to some definitions, and to those that use them, directly or indirectly, the nearest first."""
        found, waiting = dict(steps), list(steps)
        for definition in waiting:
            for user in sorted(self.used_by[definition]):
                if user not in found and len(waiting) < MANY + len(steps):
                    found[user] = found[definition] + 1
                    waiting.append(user)
        return found

    def modules(self, mutant: Mutant) -> list[str]:
        """The module that a mutant is in, and those that use its definition, the nearest first."""
        files = dict.fromkeys([mutant.file, *[file for file, _ in self._with_users({self.around(mutant): 0})]])
        return [file.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for file in files]


def _imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """(name, source file) for what a module imports from the package; a module's source is its own file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("mini_dl"):
            place = node.module.replace(".", "/")
            for alias in node.names:
                for file in (f"{place}/{alias.name}.py", f"{place}/{alias.name}/__init__.py", f"{place}.py"):
                    if (ROOT / file).exists():
                        yield alias.name, file
                        break
                else:
                    yield alias.name, f"{place}/__init__.py"


def _decorated(statement: ast.stmt) -> list[int]:
    return [decorator.lineno for decorator in getattr(statement, "decorator_list", [])]


@functools.cache
def tests() -> dict[str, frozenset[str]]:
    """test -> the names that it, or a function of its file that it mentions, mentions."""
    found: dict[str, frozenset[str]] = {}
    for file in units.test_files():
        tree = parsed(file)
        defined = {name: set(mentioned(statement)) for n, statement in enumerate(tree.body) for name in names_of(n, statement)}
        for name, own in defined.items():
            own |= {inner for other in own & set(defined) if other != name for inner in defined[other]}
        for statement in tree.body:
            if isinstance(statement, ast.FunctionDef) and statement.name.startswith("test_"):
                found[f"{file}::{statement.name}"] = frozenset(name.strip("_") for name in defined[statement.name])
            elif isinstance(statement, ast.ClassDef) and statement.name.startswith("Test"):
                for inner in statement.body:
                    if isinstance(inner, ast.FunctionDef) and inner.name.startswith("test_"):
                        names = frozenset(name.strip("_") for name in {*mentioned(inner), *defined[statement.name]})
                        found[f"{file}::{statement.name}::{inner.name}"] = names
    return {test: names for test, names in found.items() if not names & ELSEWHERE}


@functools.cache
def mentioning() -> dict[str, list[str]]:
    """name -> the tests that mention it."""
    found: dict[str, list[str]] = defaultdict(list)
    for test, names in tests().items():
        for name in names:
            found[name].append(test)
    return found


def words_of(path: str) -> set[str]:
    return set(re.findall(r"[a-z]+", path.removesuffix(".py"))) - {"mini", "dl", "parity", "tests", "test", "twins", "init"}


def tests_for(reached: dict[str, int], file: str) -> list[str]:
    """The tests that mention some of these names, first those that mention them most and others least, and those in files with
    a similar name.
    """
    scores = Counter[str]()
    for name, step in reached.items():
        found = mentioning().get(name, [])
        weight = math.log(len(tests()) / len(found)) ** 2 * 0.5**step if found else 0.0
        for test in found:
            scores[test] += weight  # type: ignore[assignment]
    order = {test: score / (60 + len(tests()[test])) ** 0.8 for test, score in scores.items()}
    for test in order:
        order[test] *= 4.0 if words_of(test.partition("::")[0]) & words_of(file) else 1.0
    return sorted((test for test in order if order[test] > 0.01), key=lambda test: (-order[test], test))


def rows_for(reached: dict[str, int], rows: list[str], refusal: bool) -> list[str]:
    """The rows of entries with these names, the nearest first, each in its main type before others; a missing error is noticed
    in float32, the type of the wrong calls.
    """
    seen, order = Counter[str](), dict[str, tuple[int, int]]()
    for row in rows:
        entry, _, dtype = row.rpartition("|")
        name = entry.split("|")[1].partition(":")[0].split(".")[-1].strip("_")
        step = reached.get(name, reached.get(name[:-1]))  # k0 and k1 are built from one name
        if step is not None:
            late = min(seen[entry], 1) if not refusal else int(dtype != "float32")
            order[row] = step + 2 * late, step
        seen[entry] += 1
    nearest = min([step for _, step in order.values()], default=0)
    return sorted((row for row in order if order[row][1] <= nearest + NEAR), key=order.__getitem__)


class ByNames:
    """The units for a mutant: those named `first`, then rows and tests alternately, a few first, then more, and between these the
    tests that every mutant is given.
    """

    def __init__(self, first: Sequence[str] = ()) -> None:
        self.rows, self.sources = units.rows(), Sources()
        known = {test: test.partition("::")[0] for test in tests()}
        self.first = {test: None for test, file in known.items() if test in first or file in first}
        self.first |= {test: None for test in first if test not in known and test not in known.values()}
        self.of_all = [test for test, file in known.items() if file in OF_ALL and test not in self.first]

    def limit(self, unit: str) -> float:
        """How long a unit may run."""
        return LIMIT

    def batches(self, mutant: Mutant, excluded: set[str]) -> list[list[str]]:
        without = {unit.partition("[")[0] for unit in excluded}
        up, down = (self._found(mutant, downward, without) for downward in (False, True))
        rows, near = (up[i] + [unit for unit in down[i] if unit not in up[i]] for i in (0, 1))
        first = [test for test in self.first if test not in without]
        first.sort(key=lambda test: near.index(test) if test in near else len(near))
        others = [test for test in near if test not in self.first]
        found = [units_[size] for size in SIZES for units_ in (rows, others)]
        examples = [f"{units.EXAMPLES}|{module}" for module in (*self.sources.modules(mutant)[:MODULES], *USING_ALL)]
        found[0] = [*dict.fromkeys(examples), *found[0]]
        rest = [test for test in self.of_all if test not in without and test not in [*found[1], *found[3]]]
        found[5] = [test for test in found[5] if test not in rest]
        for part in found:
            part.sort(key=units.group)  # a file is collected once
        return [part for part in (first, *found[:4], rest, *found[4:]) if part]

    def _found(self, mutant: Mutant, downward: bool, without: set[str]) -> tuple[list[str], list[str]]:
        names = self.sources.reached(mutant, downward)
        rows, near = rows_for(names, self.rows, mutant.before.startswith("raise"))[:MOST], tests_for(names, mutant.file)
        nearest = [*near[:MOST], *[test for test in near[MOST:] if test in self.first]]
        return [row for row in rows if row not in without], [test for test in nearest if test not in without]
