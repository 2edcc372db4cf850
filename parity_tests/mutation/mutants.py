"""Mutants: every small change of a source file that a test should notice.

A mutant is one node of the syntax tree replaced by another: an operator, a comparison, a constant, a sign, an omitted keyword
argument or statement, a negated condition. Texts, annotations, docstrings and the arguments of raised exceptions are not
changed.
"""

from __future__ import annotations

import ast
import copy
import functools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import CodeType

ROOT = Path(__file__).resolve().parent.parent.parent

OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
    ast.Pow: ast.Mult, ast.MatMult: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.BitXor: ast.BitAnd,
    ast.LShift: ast.RShift, ast.RShift: ast.LShift,
}  # fmt: skip
COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}  # fmt: skip
UNTOUCHED = {"annotation", "returns", "type_params"}
TURNED = (ast.Compare, ast.BoolOp, ast.UnaryOp, ast.Constant)
"""Conditions that are changed themselves."""
DECLARATIONS = {"cast", "TypeVar", "ParamSpec", "overload"}


@dataclass(frozen=True)
class Mutant:
    """One change: `before` at `line` of `file` becomes `after`. `number` counts the mutants of the file.

    `lines` are those of the changed node, `statement` those of the statement around it, `at_import` whether it runs when the
    module is imported rather than when a function is called; `nth` distinguishes changes of a function that read the same.
    """

    file: str
    number: int
    lines: tuple[int, int]
    statement: tuple[int, int]
    at_import: bool
    kind: str
    before: str
    after: str
    function: str
    nth: int = 0

    @property
    def line(self) -> int:
        return self.lines[0]

    @property
    def key(self) -> tuple[str, ...]:
        """What it changes, independent of line numbers."""
        return self.file, self.function, self.kind, self.before, self.after

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.kind}: {self.before} -> {self.after}"


@dataclass
class Change:
    """A node of the tree, its replacement, and its place."""

    kind: str
    node: ast.AST
    new: ast.AST
    place: Place


@dataclass(frozen=True)
class Place:
    function: str = ""
    statement: tuple[int, int] = (0, 0)
    at_import: bool = True


@functools.cache
def mutants_of(file: str) -> list[Mutant]:
    """All mutants of a file of the project."""
    found, seen = list[Mutant](), Counter[tuple[str, ...]]()
    for number, change in enumerate(changes_in(parsed(file))):
        place, before, after = change.place, shortened(change.node), shortened(change.new)
        mutant = Mutant(
            file, number, span(change.node), place.statement, place.at_import, change.kind, before, after, place.function
        )
        found.append(replace(mutant, nth=seen[mutant.key]))
        seen[mutant.key] += 1
    return found


def span(node: ast.AST) -> tuple[int, int]:
    """The first and last line of a node; for a statement with a body, those before the body."""
    first, last = node.lineno, node.end_lineno  # type: ignore[attr-defined]
    body = getattr(node, "body", None)
    return first, max(first, body[0].lineno - 1) if isinstance(body, list) and body else last


def functions_of(file: str) -> dict[str, tuple[int, int]]:
    """The lines of every function and class of a file by its name, decorators included."""
    found: dict[str, tuple[int, int]] = {}

    def look(node: ast.AST, inside: str) -> None:
        for child in ast.iter_child_nodes(node):
            name = inside
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                name = f"{inside}.{child.name}".lstrip(".")
                first = min([child.lineno, *(decorator.lineno for decorator in child.decorator_list)])
                found[name] = first, child.end_lineno or first
            look(child, name)

    look(parsed(file), "")
    return found


def code_of(mutant: Mutant) -> CodeType:
    """The file with this change, compiled."""
    tree = parsed(mutant.file)
    change = list(changes_in(tree))[mutant.number]
    swapped = ast.fix_missing_locations(_Swap(change.node, ast.copy_location(change.new, change.node)).visit(tree))
    return compile(swapped, str(ROOT / mutant.file), "exec", dont_inherit=True)


def parsed(file: str) -> ast.Module:
    return ast.parse((ROOT / file).read_text(encoding="utf-8"))


def shortened(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 120 else text[:117] + "..."


class _Swap(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self.new if node is self.old else self.generic_visit(node)


# ------------------------------------------------------------------------------------------------ what is changed


def changes_in(tree: ast.Module) -> Iterator[Change]:
    yield from _inside(tree, Place())


def _inside(node: ast.AST, place: Place) -> Iterator[Change]:
    if isinstance(node, ast.stmt):
        place = replace(place, statement=span(node))
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        place = replace(place, function=f"{place.function}.{node.name}".lstrip("."))
    for kind, new in replacements(node):
        yield Change(kind, node, new, place)
    for name, value in ast.iter_fields(node):
        if name in UNTOUCHED:
            continue
        later = name == "body" and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        inner = replace(place, at_import=False) if later else place
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not is_untouched(child):
                yield from _inside(child, inner)


def is_untouched(node: ast.AST) -> bool:
    """Whether a node is never changed: docstrings, imports, type declarations, code for checkers, arguments of exceptions."""
    if isinstance(node, (ast.Import, ast.ImportFrom, ast.JoinedStr)):
        return True
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.If):
        return ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
    if isinstance(node, ast.AnnAssign):
        return "TypeAlias" in ast.unparse(node.annotation)
    if isinstance(node, ast.Assign):
        return isinstance(node.targets[0], ast.Name) and node.targets[0].id in ("__all__", "__slots__")
    if isinstance(node, ast.Call):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        return called in DECLARATIONS or called.endswith(("Error", "Warning")) or called == "warn"
    return False


def replacements(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """(kind, new node) for every change of this node itself."""
    if isinstance(node, (ast.BinOp, ast.AugAssign)):
        if not _is_text(node):
            yield "operator", _with(node, op=OPERATORS[type(node.op)]())
    elif isinstance(node, ast.Compare):
        for i, op in enumerate(node.ops):
            for new in COMPARISONS[type(op)]:
                yield "comparison", _with(node, ops=[*node.ops[:i], new(), *node.ops[i + 1 :]])
    elif isinstance(node, ast.BoolOp):
        yield "condition", _with(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
    elif isinstance(node, ast.UnaryOp):
        if isinstance(node.op, (ast.Not, ast.USub, ast.Invert)):
            yield ("condition" if isinstance(node.op, ast.Not) else "sign"), node.operand
    elif isinstance(node, ast.Constant):
        yield from (("constant", ast.Constant(value)) for value in _constants(node.value))
    elif isinstance(node, ast.IfExp):
        yield "condition", _with(node, body=node.orelse, orelse=node.body)
    elif isinstance(node, ast.Call):
        for i, keyword in enumerate(node.keywords):
            if keyword.arg is not None:
                yield "keyword", _with(node, keywords=[*node.keywords[:i], *node.keywords[i + 1 :]])
    elif isinstance(node, ast.Lambda) and not isinstance(node.body, (ast.Constant, ast.UnaryOp, ast.Compare, ast.Tuple)):
        yield "sign", _with(node, body=ast.UnaryOp(ast.USub(), node.body))
    yield from _statements(node)


def _statements(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node, ast.Assign):
        if all(isinstance(target, (ast.Subscript, ast.Attribute)) for target in node.targets):
            yield "statement", ast.Pass()
    elif isinstance(node, (ast.Expr, ast.AugAssign, ast.Delete)):
        if not (isinstance(node, ast.Expr) and isinstance(node.value, (ast.Yield, ast.YieldFrom))):
            yield "statement", ast.Pass()
    elif isinstance(node, ast.Raise):
        yield "statement", ast.Pass()
    elif isinstance(node, ast.Continue):
        yield "statement", ast.Break()
    elif isinstance(node, ast.Break):
        yield "statement", ast.Continue()
    elif isinstance(node, (ast.If, ast.While)) and not isinstance(node.test, TURNED):
        yield "condition", _with(node, test=ast.UnaryOp(ast.Not(), node.test))


def _constants(value: object) -> list[object]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1] if value != 1 else [2, 0]
    if isinstance(value, float):
        return [value * 1.1] if value else [1.0]
    return []


def _is_text(node: ast.BinOp | ast.AugAssign) -> bool:
    """Whether the operands are texts or types."""
    sides = (node.left, node.right) if isinstance(node, ast.BinOp) else (node.value,)
    if not isinstance(node.op, (ast.Add, ast.Mod, ast.BitOr)):
        return False
    constants = [side.value for side in sides if isinstance(side, ast.Constant)]
    return any(isinstance(side, ast.JoinedStr) for side in sides) or any(isinstance(c, str) or c is None for c in constants)


def _with(node: ast.AST, **fields: object) -> ast.AST:
    new = copy.copy(node)
    for name, value in fields.items():
        setattr(new, name, value)
    return new
