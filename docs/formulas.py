"""Formulas of docstrings as mathematics: ``out = sqrt(x ** 2 + y ** 2)`` becomes TeX.

A formula is a Python-like expression of the arguments and `out`, or several, joined by "=", "+=" or "~". `CALLS` says what a
function of this name means; the last argument of `sum`, `prod`, `max` and `min` of an indexed term is what they run over.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable

GREEK = dict.fromkeys("alpha beta gamma delta lambda mu nu pi sigma tau theta phi omega epsilon".split(), "")
NAMES = {
    **{name: f"\\{name}" for name in GREEK},
    "eps": r"\varepsilon", "lambd": r"\lambda", "inf": r"\infty", "nan": r"\mathrm{NaN}",
}  # fmt: skip
FUNCTIONS = "exp log sin cos tan sinh cosh tanh max min".split()
SIGNS: dict[type[ast.AST], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: r"\cdot", ast.Mod: r"\bmod", ast.MatMult: r"\,", ast.BitXor: r"\oplus",
    ast.BitAnd: r"\text{ & }", ast.BitOr: r"\mid", ast.Eq: "=", ast.NotEq: r"\neq", ast.Lt: "<", ast.LtE: r"\leq",
    ast.Gt: ">", ast.GtE: r"\geq", ast.In: r"\in", ast.NotIn: r"\notin", ast.And: r"\text{ and }", ast.Or: r"\text{ or }",
}  # fmt: skip
PRECEDENCE: dict[type[ast.AST], int] = {
    ast.IfExp: 0, ast.Or: 1, ast.And: 2, ast.Not: 3, ast.Compare: 4, ast.BitOr: 5, ast.BitXor: 6, ast.BitAnd: 7, ast.Add: 8,
    ast.Sub: 8, ast.Mult: 9, ast.Mod: 9, ast.MatMult: 9, ast.USub: 10, ast.UAdd: 10, ast.Pow: 11,
}  # fmt: skip
ATOM = 12


class NotAFormula(ValueError):
    """The text is code, not mathematics."""


SIGNS_BETWEEN = {"=": "=", "+=": r"\text{ += }", "-=": r"\text{ -= }", "*=": r"\text{ *= }", "~": r"\sim"}


def tex(text: str) -> str:
    """The TeX of a formula. NotAFormula if it is something else."""
    text = re.sub(r"(?<!\|)\|([^|]+)\|(?!\|)", r"abs(\1)", " ".join(text.split()))
    text = re.sub(r"(\w+(?:\[[^\]]*\])?|\([^()]*\))!(?!=)", r"factorial(\1)", text)
    if re.search(r"[\"'{}$\\]|\(\)", text) or not re.search(r"[-+*/=<>~^&|@%\[(]", text):
        raise NotAFormula(text)
    return r";\quad ".join([chain(one) for one in text.split("; ")])


def chain(text: str) -> str:
    parts = re.split(r" ([-+*]?=|~) ", text)
    return " ".join([SIGNS_BETWEEN[part] if i % 2 else side(part) for i, part in enumerate(parts)])


def side(text: str) -> str:
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError:
        raise NotAFormula(text) from None
    if isinstance(tree, ast.Tuple) and not text.startswith("("):
        raise NotAFormula(text)
    return written(tree)[0]


def written(node: ast.expr) -> tuple[str, int]:
    """The TeX of an expression, and its precedence."""
    for kind, write in WRITERS.items():
        if isinstance(node, kind):
            return write(node)
    raise NotAFormula(ast.unparse(node))


def inside(node: ast.expr, least: int) -> str:
    """The TeX of a part, in parentheses if its precedence is below `least`."""
    text, strength = written(node)
    return text if strength >= least else rf"\left({text}\right)"


def plain(node: ast.expr) -> str:
    return written(node)[0]


def name(node: ast.Name) -> tuple[str, int]:
    return word(node.id), ATOM


def word(text: str) -> str:
    stem, _, index = text.rpartition("_")
    if stem and len(index) == 1:
        return f"{word(stem)}_{{{index}}}"
    return NAMES.get(text, text if len(text) == 1 else r"\mathrm{" + text.replace("_", r"\_") + "}")


def constant(node: ast.Constant) -> tuple[str, int]:
    if node.value is Ellipsis:
        return r"\ldots", ATOM
    if isinstance(node.value, bool) or node.value is None:
        return rf"\text{{{node.value}}}", ATOM
    if isinstance(node.value, (int, float)):
        mantissa, _, exponent = str(node.value).partition("e")
        return (rf"{mantissa} \cdot 10^{{{int(exponent)}}}", 9) if exponent else (mantissa, ATOM)
    raise NotAFormula(repr(node.value))


def unary(node: ast.UnaryOp) -> tuple[str, int]:
    sign = {ast.USub: "-", ast.UAdd: "+", ast.Not: r"\text{not }", ast.Invert: r"\neg "}[type(node.op)]
    strength = PRECEDENCE.get(type(node.op), 10)
    return sign + inside(node.operand, strength), strength


def binary(node: ast.BinOp) -> tuple[str, int]:
    if isinstance(node.op, ast.Div):
        return rf"\frac{{{plain(node.left)}}}{{{plain(node.right)}}}", ATOM
    if isinstance(node.op, ast.FloorDiv):
        return rf"\left\lfloor\frac{{{plain(node.left)}}}{{{plain(node.right)}}}\right\rfloor", ATOM
    if isinstance(node.op, ast.Pow):
        if isinstance(node.left, ast.Call) and function_of(node.left) in FUNCTIONS[1:7]:
            return rf"{word_of(function_of(node.left))}^{{{plain(node.right)}}}{arguments(node.left.args)}", ATOM
        return rf"{inside(node.left, ATOM)}^{{{plain(node.right)}}}", 11
    if type(node.op) not in SIGNS:
        raise NotAFormula(ast.unparse(node))
    strength = PRECEDENCE[type(node.op)]
    sign = SIGNS[type(node.op)]
    if isinstance(node.op, ast.Mult) and isinstance(node.left, ast.Constant) and not isinstance(node.right, ast.Constant):
        sign = r"\,"
    return f"{inside(node.left, strength)} {sign} {inside(node.right, strength + 1)}", strength


def compared(node: ast.Compare) -> tuple[str, int]:
    text = inside(node.left, 5)
    for op, right in zip(node.ops, node.comparators):
        text += f" {SIGNS[type(op)]} {inside(right, 5)}"
    return text, 4


def joined(node: ast.BoolOp) -> tuple[str, int]:
    strength = PRECEDENCE[type(node.op)]
    return SIGNS[type(node.op)].join([inside(value, strength + 1) for value in node.values]), strength


def cases(node: ast.IfExp) -> tuple[str, int]:
    rows, rest = [], node
    while isinstance(rest, ast.IfExp):
        rows.append(rf"{plain(rest.body)} & \text{{if }} {plain(rest.test)}")
        rest = rest.orelse  # type: ignore[assignment]
    rows.append(rf"{plain(rest)} & \text{{otherwise}}")
    return r"\begin{cases}" + r" \\ ".join(rows) + r"\end{cases}", ATOM


def indexed(node: ast.Subscript) -> tuple[str, int]:
    items = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    index = ", ".join([one_index(item) for item in items])
    base = inside(node.value, ATOM)
    return (f"{base[:-1]}, {index}}}" if re.search(r"_\{[^{}]*\}$", base) else f"{base}_{{{index}}}"), ATOM


def one_index(item: ast.expr) -> str:
    if not isinstance(item, ast.Slice):
        return plain(item)
    return ":".join([plain(part) if part is not None else "" for part in (item.lower, item.upper)])


def attribute(node: ast.Attribute) -> tuple[str, int]:
    raised = {"T": r"\top", "H": "H"}.get(node.attr)
    if raised is None:
        return r"\mathrm{" + dotted(node).replace("_", r"\_") + "}", ATOM
    return f"{inside(node.value, ATOM)}^{{{raised}}}", 11


def dotted(node: ast.expr) -> str:
    """A name with dots in it. NotAFormula for attributes of anything else."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    if not isinstance(node, ast.Name):
        raise NotAFormula(ast.unparse(node))
    return node.id


def several(node: ast.Tuple) -> tuple[str, int]:
    return rf"\left({', '.join([plain(one) for one in node.elts])}\right)", ATOM


def interval(node: ast.List) -> tuple[str, int]:
    return rf"\left[{', '.join([plain(one) for one in node.elts])}\right]", ATOM


# Functions


def function_of(node: ast.Call) -> str:
    if node.keywords or any(isinstance(one, ast.Starred) for one in node.args):
        raise NotAFormula(ast.unparse(node))
    return dotted(node.func)


def word_of(function: str) -> str:
    return f"\\{function}" if function in FUNCTIONS else word(function)


def arguments(args: list[ast.expr]) -> str:
    return rf"\left({', '.join([plain(one) for one in args])}\right)"


def call(node: ast.Call) -> tuple[str, int]:
    function = function_of(node)
    if (form := CALLS.get((function, len(node.args)))) and not (function in ("max", "min") and not runs_over(node)):
        return form(*node.args)
    return word_of(function) + arguments(node.args), ATOM


def runs_over(node: ast.Call) -> bool:
    """Whether the last argument is an index of the first: ``max(input[i], i)``, not ``max(input, 0)``."""
    *_, last = node.args
    indices = [part.slice for part in ast.walk(node.args[0]) if isinstance(part, ast.Subscript)]
    return isinstance(last, ast.Name) and any(last.id in ast.unparse(index) for index in indices)


def over(sign: str) -> Callable[..., tuple[str, int]]:
    def write(term: ast.expr, index: ast.expr) -> tuple[str, int]:
        under = ", ".join([plain(one) for one in index.elts]) if isinstance(index, ast.Tuple) else plain(index)
        return rf"{sign}_{{{under}}} {inside(term, 9)}", 9

    return write


def integral(f: ast.expr, t: ast.expr, low: ast.expr, high: ast.expr) -> tuple[str, int]:
    return rf"\int_{{{plain(low)}}}^{{{plain(high)}}} {inside(f, 9)} \, d{plain(t)}", 9


def derivative(f: ast.expr, x: ast.expr) -> tuple[str, int]:
    if len(ast.unparse(f)) > 24 or isinstance(f, ast.Call):
        return rf"\frac{{\partial}}{{\partial {plain(x)}}} {inside(f, 9)}", 9
    return rf"\frac{{\partial {inside(f, 9)}}}{{\partial {plain(x)}}}", ATOM


def around(left: str, right: str) -> Callable[[ast.expr], tuple[str, int]]:
    return lambda x: (f"{left}{plain(x)}{right}", ATOM)


CALLS: dict[tuple[str, int], Callable[..., tuple[str, int]]] = {
    ("sqrt", 1): around(r"\sqrt{", "}"),
    ("abs", 1): around(r"\left|", r"\right|"),
    ("floor", 1): around(r"\left\lfloor ", r"\right\rfloor"),
    ("ceil", 1): around(r"\left\lceil ", r"\right\rceil"),
    ("conj", 1): around(r"\overline{", "}"),
    ("exp", 1): lambda x: (rf"e^{{{plain(x)}}}", 11),
    ("factorial", 1): lambda x: (f"{inside(x, ATOM)}!", 11),
    ("gamma", 1): around(r"\Gamma\left(", r"\right)"),
    ("norm", 1): around(r"\left\|", r"\right\|"),
    ("norm", 2): lambda x, p: (rf"\left\|{plain(x)}\right\|_{{{plain(p)}}}", ATOM),
    ("binomial", 2): lambda n, k: (rf"\binom{{{plain(n)}}}{{{plain(k)}}}", ATOM),
    ("sum", 2): over(r"\sum"),
    ("prod", 2): over(r"\prod"),
    ("max", 2): over(r"\max"),
    ("min", 2): over(r"\min"),
    ("integral", 4): integral,
    ("diff", 2): derivative,
}
"""How a function of that many arguments is displayed; others are shown as is."""

WRITERS: dict[type[ast.expr], Callable[..., tuple[str, int]]] = {
    ast.Name: name,
    ast.Constant: constant,
    ast.UnaryOp: unary,
    ast.BinOp: binary,
    ast.Compare: compared,
    ast.BoolOp: joined,
    ast.IfExp: cases,
    ast.Subscript: indexed,
    ast.Attribute: attribute,
    ast.Tuple: several,
    ast.List: interval,
    ast.Call: call,
}
