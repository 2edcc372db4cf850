"""The tables of names, read from the text files when one of their names is first used.

A file covers the modules below one name: ``tables/cuda.txt`` those of ``torch.cuda``, ``tables/torch.txt`` the package itself.
A section begins with ``[module] reason``; the reason applies to its absent names, and to sections below it that
give none. A row is one of

    name name ...                   absent, for the section's reason
    name name ... ? reason          absent, for this reason
    name(signature) = value         a function that returns the value
    name(signature) ! Error: text   a function that raises
    name(signature) is same         a function that returns its first argument
    name is base                    likewise, but classes may derive from it, as packages do on import
    name is names one two ...       a class with these named values
    name(signature) is class Error: text        a class whose construction raises
    name(signature) is context      a context manager that does nothing
    name(signature) is decorator    a decorator that changes nothing, with arguments or without
    name(signature) is decoration   a function that returns such a decorator, whatever its arguments
    name : value                    an attribute
    name is tag                     a named value that equals only itself
    name is dtype ...               an element type that is only a name; followed by its size in bytes and its kind
    name -> module:name             defined in another module; ``module:`` is the module itself
    name -> ^module:name            defined in Python's standard library
    name is exception Error         an exception of this class
    name ~> module:name             likewise, but that only passes through
"""

from __future__ import annotations

import functools
import os
import re
from typing import NamedTuple

FOLDER = os.path.join(os.path.dirname(__file__), "tables")
BORROWED = os.path.join(os.path.dirname(__file__), "borrowed.txt")

ROW = re.compile(r"(\w+)(\(.*?\))? (=|!|:|->|~>|is)(?: (.*))?$")
NOT_HERE, PASSES, HERE = "not here", "passes through", "here"


class Row(NamedTuple):
    """One name: its kind is one of ``= ! : -> ~> ?`` or the word after ``is``."""

    name: str
    kind: str
    signature: str = "()"
    value: str = ""

    @property
    def reason(self) -> str:
        """Why the name is absent."""
        if self.kind == "dtype":
            return self.value.split(" ", 2)[2]
        return "its values are names only" if self.kind == "names" else self.value

    @property
    def answer(self) -> str:
        """ "here", "passes through", or "not here"."""
        return NOT_HERE if self.kind in ("?", "dtype", "base", "names") else HERE if self.kind in ("->", "exception") else PASSES


class Section:
    """The rows of one module."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.rows: dict[str, Row] = {}


def row(line: str) -> Row:
    """A line as a row. ValueError if it is not a valid row."""
    found = ROW.fullmatch(line)
    if found is None:
        raise ValueError(f"not a row of a table of names: {line!r}")
    name, signature, kind, value = found.groups()
    value = value or ""
    if kind == "is":
        kind, _, value = value.partition(" ")
    return Row(name, kind, signature or "()", value)


def parsed(text: str) -> dict[str, Section]:
    """The sections of a file, by module. ValueError if a name has two rows."""
    sections: dict[str, Section] = {}
    here = Section("")
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            place, _, reason = line[1:].partition("]")
            parent = sections.get(place.rpartition(".")[0])
            here = sections.setdefault(place, Section(reason.strip() or (parent.reason if parent else "")))
            continue
        names, mark, reason = line.partition(" ? ")
        absent = re.fullmatch(r"\w+( \w+)*", names) and " is " not in names
        rows = [Row(name, "?", "()", reason if mark else here.reason) for name in names.split()] if absent else [row(line)]
        if not absent and rows[0].kind == "base":
            rows = [rows[0]._replace(value=rows[0].value or here.reason)]
        for one in rows:
            if one.name in here.rows:
                raise ValueError(f"{one.name} has two rows in one section")
            here.rows[one.name] = one
    return sections


@functools.cache
def file_of(first: str) -> dict[str, Section]:
    """The sections of the file for the modules below `first`; none if there is no file."""
    path = os.path.join(FOLDER, f"{first}.txt")
    if not os.path.isfile(path):
        return {}
    with open(path, encoding="utf-8") as file:
        return parsed(file.read())


@functools.cache
def borrowed() -> dict[str, dict[str, Row]]:
    """Names that modules have because torch's files import or use them: by module and name.

    A section ``[module]`` has lines ``module: name name=name_there ...``, ``name : value``, and ``?: name ...`` for absent names.
    A line that begins with a space continues the previous one.
    """
    found: dict[str, dict[str, Row]] = {}
    place = home = ""
    text = ""
    if os.path.isfile(BORROWED):
        with open(BORROWED, encoding="utf-8") as file:
            text = file.read()
    for line in text.splitlines():
        if line.startswith("["):
            place = line[1:-1]
            found[place] = {}
        elif line and not line.startswith("#"):
            if " : " in line:
                name, _, value = line.partition(" : ")
                found[place][name] = Row(name, ":", "()", value)
                continue
            start, mark, names = line.partition(": ")
            home = start if mark else home
            for name in (names if mark else line).split():
                here, _, there = name.partition("=")
                if home == "?":
                    found[place][here] = Row(here, "?", "()", "a part of torch's own files")
                else:
                    found[place][here] = Row(here, "->", "()", f"{home}:{there or here}")
    return found


def section(place: str) -> Section | None:
    """The section of a module: "torch" for the package, "cuda.amp" for ``torch.cuda.amp``. None if there is none."""
    return file_of(place.partition(".")[0]).get(place)


def places() -> list[str]:
    """All modules that have a section."""
    files = sorted([name for name in os.listdir(FOLDER) if name.endswith(".txt")])
    return [place for name in files for place in file_of(name.removesuffix(".txt"))]
