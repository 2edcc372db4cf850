"""Pictures of the recorded graph: ``graph(tensor)``."""

from __future__ import annotations

import html
import io
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mini_dl._dtypes import dtype, get_default_dtype, of_numpy
from mini_dl.autograd.graph import AccumulateGrad
from mini_dl.files.replacing import rewrite
from mini_dl.nn import Module
from mini_dl.tensor import Tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEAF, OP, RESULT = "leaf", "op", "result"
FILLS = {LEAF: "#e3edf7", OP: "#ffffff", RESULT: "#eef7f1"}
BOXES = {"box": "square", "circle": "circle", "ellipse": "round"}
"""Matplotlib's boxes for graphviz's shapes."""
GREY, RED = "#5b646e", "#b3261e"
SYMBOLS = {"Add": "+", "Sub": "−", "Neg": "−", "Mul": "×", "Div": "÷"}
SWEEPS = 8
"""How often the layout looks forward or back."""

Names = Mapping[str, Tensor] | Module


def graph(tensor: Tensor, params: Names | None = None, grads: bool = False, direction: str = "LR") -> Graph:
    """How `tensor` was computed: operations as circles, leaves and the result as boxes, arrows for the values between.

    A value is shown by its shape, and by its dtype if that is not the default; as a number if it is a single one of an available
    tensor, such as a leaf or the result. `params`, a dict or a module, names tensors, and may include intermediate ones. With
    `grads`, the gradient of a tensor that has one is shown below it in red: of several elements, the norm. `direction` is
    "LR", from left to right, or "TB", from top to bottom. What needs no gradient is not recorded, so it has no box.

    ValueError for a tensor without a graph and for another direction.

    >>> import mini_dl as torch
    >>> from mini_dl.utils.viz import graph
    >>> apple, apples, tax = (torch.tensor(value, requires_grad=True) for value in (100.0, 2.0, 1.1))
    >>> price = apple * apples * tax
    >>> price.backward()
    >>> picture = graph(price, {"apple": apple, "apples": apples, "tax": tax, "price": price}, grads=True)
    >>> [(vertex.lines, vertex.grad) for vertex in picture.vertices]
    [(['apple', '100'], 'grad 2.2'), (['apples', '2'], 'grad 110'), (['×'], ''), (['tax', '1.1'], 'grad 200'), (['×'], ''),
    (['price', '220'], '')]
    >>> picture
    Graph(6 vertices, 5 arrows)
    >>> picture.save("price.dot")  # doctest: +SKIP
    """
    if direction not in ("LR", "TB"):
        raise ValueError(f"direction should be 'LR' or 'TB', got {direction!r}")
    if not tensor.requires_grad:
        raise ValueError(f"a tensor of shape {tuple(tensor.shape)} that needs no gradient has no graph")
    return Graph(*_recorded(tensor, params, grads), direction)


@dataclass
class Vertex:
    """A leaf, an operation or the result: its text, and its gradient."""

    kind: str
    lines: list[str]
    grad: str = ""

    @property
    def outline(self) -> str:
        return "box" if self.kind != OP else "circle" if len(self.lines[0]) == 1 else "ellipse"


@dataclass
class Arrow:
    """From one vertex to another, by number: the text of the value that goes along it, and its gradient."""

    start: int
    end: int
    lines: list[str] = field(default_factory=list)
    grad: str = ""


@dataclass(repr=False)
class Graph:
    """Vertices, each after those it gets values from, and arrows. A notebook shows it as a picture."""

    vertices: list[Vertex]
    arrows: list[Arrow]
    direction: str = "LR"

    @property
    def dot(self) -> str:
        """The graph in the language of graphviz."""
        lines = [
            "digraph {",
            f"  graph [rankdir={self.direction}]",
            f'  node [fontname="Helvetica" fontsize=11 style=filled color="{GREY}"]',
            f'  edge [fontname="Helvetica" fontsize=10 color="{GREY}"]',
        ]
        for i, vertex in enumerate(self.vertices):
            lines.append(f'  n{i} [shape={vertex.outline} fillcolor="{FILLS[vertex.kind]}" label={_label(vertex)}]')
        for arrow in self.arrows:
            label = f" [label={_label(arrow)}]" if arrow.lines else ""
            lines.append(f"  n{arrow.start} -> n{arrow.end}{label}")
        return "\n".join([*lines, "}", ""])

    def svg(self) -> str:
        """The picture as drawn by graphviz. RuntimeError if its program ``dot`` is not installed."""
        return self._by_graphviz("svg").decode()

    def figure(self) -> Figure:
        """The picture as drawn by matplotlib, which must be installed (the extra ``viz``)."""
        from matplotlib.figure import Figure

        places, ways = _layout(len(self.vertices), [(arrow.start, arrow.end) for arrow in self.arrows])
        if self.direction == "TB":
            places, *ways = [[(y, x) for x, y in points] for points in (places, *ways)]
        width, height = (max(point[i] for points in (places, *ways) for point in points) for i in (0, 1))
        items: list[Vertex | Arrow] = [*self.vertices, *self.arrows]
        letters = max(10, *[len(line) for item in items for line in item.lines])
        figure = Figure(((0.5 + 0.07 * letters) * (width + 1), 0.8 * (height + 1)))  # inches
        axes = figure.add_axes((0, 0, 1, 1), xlim=(-0.5, width + 0.5), ylim=(height + 0.5, -0.5))
        axes.axis("off")
        boxes = [_write(axes, vertex, place, vertex.outline).get_bbox_patch() for vertex, place in zip(self.vertices, places)]
        figure.draw_without_rendering()  # so that the boxes know their sizes: the arrows end there
        for arrow, way in zip(self.arrows, ways):
            for i, (start, end) in enumerate(pairwise(way)):
                first, last = i == 0, i == len(way) - 2
                style = {"arrowstyle": "-|>" if last else "-", "color": GREY, "shrinkA": 0, "shrinkB": 0}
                ends = {"patchA": boxes[arrow.start] if first else None, "patchB": boxes[arrow.end] if last else None}
                axes.annotate("", end, start, arrowprops={**style, **ends})
                if first and arrow.lines:
                    _write(axes, arrow, ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2))
        return figure

    def save(self, path: str | Path) -> None:
        """Write the text (.dot, .gv), or the picture in the format of the suffix: with graphviz if installed, else matplotlib."""
        path = Path(path)
        if path.suffix in (".dot", ".gv"):
            rewrite(path, self.dot)
        else:
            rewrite(path, self._picture(path.suffix.removeprefix(".")))

    def __repr__(self) -> str:
        return f"Graph({len(self.vertices)} vertices, {len(self.arrows)} arrows)"

    def _by_graphviz(self, format: str) -> bytes:
        if shutil.which("dot") is None:
            raise RuntimeError("graphviz is not installed: there is no program named dot. figure() draws without it")
        return subprocess.run(["dot", f"-T{format}"], input=self.dot.encode(), capture_output=True, check=True).stdout

    def _picture(self, format: str) -> bytes:
        if shutil.which("dot") is not None:
            return self._by_graphviz(format)
        file = io.BytesIO()
        self.figure().savefig(file, format=format)
        return file.getvalue()

    def _repr_svg_(self) -> str | None:
        try:
            return self._picture("svg").decode()
        except ImportError:  # neither: the text is shown
            return None


def _label(item: Vertex | Arrow) -> str:
    """The text as graphviz HTML, with the gradient in red."""
    lines = [html.escape(line, quote=False) for line in item.lines]
    if item.grad:
        lines.append(f'<FONT COLOR="{RED}">{html.escape(item.grad, quote=False)}</FONT>')
    return f"<{'<BR/>'.join(lines)}>"


def _write(axes: Any, item: Vertex | Arrow, place: tuple[float, float], outline: str = "none") -> Any:
    """The text of a vertex in its box, or that of an arrow over the line, and the gradient below it.

    Vertices are drawn before the arrows (whose zorder is 3), which end at boxes of known sizes.
    """
    clear = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
    font = {"fontsize": 8, "ha": "center"}
    if item.grad:
        below = (0, -6 - 5.5 * len(item.lines))
        axes.annotate(item.grad, place, below, textcoords="offset points", va="top", color=RED, bbox=clear, zorder=4, **font)
    box = {"boxstyle": BOXES[outline], "facecolor": FILLS[item.kind], "edgecolor": GREY} if isinstance(item, Vertex) else clear
    return axes.text(*place, "\n".join(item.lines), va="center", bbox=box, zorder=2 if isinstance(item, Vertex) else 5, **font)


# ------------------------------------------------------------------------------------------------ what was recorded


def _recorded(result: Tensor, params: Names | None, grads: bool) -> tuple[list[Vertex], list[Arrow]]:
    """The vertices and arrows behind `result`, each node once, inputs first; without recursion, so of any depth."""
    named = dict(params.named_parameters()) if isinstance(params, Module) else dict(params or {})
    known = {_place(tensor): (name, tensor) for name, tensor in named.items()}
    vertices: list[Vertex] = []
    arrows: list[Arrow] = []
    numbers: dict[int, int] = {}  # of a node or a leaf -> its vertex
    if result.grad_fn is None:
        return [Vertex(LEAF, *_written(*known.get(_place(result), ("", result)), grads))], []

    waiting = [result.grad_fn]
    labeled = set()
    while waiting:
        node = waiting[-1]
        sources = [source for source in node.next_functions if source[0] is not None]
        behind = [fn for fn, _ in sources if _key(fn) not in numbers]
        if _key(node) in numbers or behind:
            waiting.pop() if not behind else waiting.extend(reversed(behind))
            continue
        waiting.pop()
        numbers[_key(node)] = len(vertices)
        if isinstance(node, AccumulateGrad):
            name, leaf = known.get((_key(node), 0), ("", node.variable))
            vertices.append(Vertex(LEAF, *_written(name, leaf, grads)))
            continue
        operation = re.sub(r"Backward\d*$", "", node.name())
        vertices.append(Vertex(OP, [SYMBOLS.get(operation, operation)]))
        for fn, output in sources:
            arrow = Arrow(numbers[_key(fn)], numbers[_key(node)])
            place = _key(fn), output
            if not isinstance(fn, AccumulateGrad) and place not in labeled:
                labeled.add(place)
                if place in known:
                    arrow.lines, arrow.grad = _written(*known[place], grads)
                else:
                    arrow.lines = [_kind(*_output_of(fn, output))]
            arrows.append(arrow)
    arrows.append(Arrow(len(vertices) - 1, len(vertices)))
    vertices.append(Vertex(RESULT, *_written(*known.get(_place(result), ("", result)), grads)))
    return vertices, arrows


def _key(node: object) -> int:
    return id(node.variable if isinstance(node, AccumulateGrad) else node)


def _place(tensor: Tensor) -> tuple[int, int]:
    """The node and output number that a tensor is; for a leaf, itself."""
    return (id(tensor), 0) if tensor.grad_fn is None else (id(tensor.grad_fn), tensor.output_nr)


def _output_of(node: Any, number: int) -> tuple[tuple[int, ...], dtype]:
    shape, kind = (node.shape_[number], node.dtype_[number]) if node.several_ else (node.shape_, node.dtype_)
    return tuple(shape), of_numpy(kind)


def _kind(shape: tuple[int, ...], kind: dtype) -> str:
    """``2 × 3``, with the dtype if it is not the default one."""
    text = " × ".join(map(str, shape)) if shape else "scalar"
    return text if kind == get_default_dtype() else f"{text} {str(kind).removeprefix('torch.')}"


def _written(name: str, tensor: Tensor, grads: bool) -> tuple[list[str], str]:
    """Name and value of a tensor, and its gradient."""
    value = f"{tensor.item():.4g}" if tensor.numel() == 1 else _kind(tensor.shape, tensor.dtype)
    gradient = tensor.grad if grads and (tensor.is_leaf or tensor.retains_grad) else None
    shown = ""
    if gradient is not None:
        shown = f"grad {gradient.item():.4g}" if gradient.numel() == 1 else f"|grad| {gradient.norm().item():.3g}"
    return [*([name] if name else []), value], shown


# ------------------------------------------------------------------------------------------------ where it is drawn

Points = list[tuple[float, float]]


def _layout(count: int, arrows: list[tuple[int, int]]) -> tuple[Points, list[Points]]:
    """Where the vertices are, and the points each arrow passes: (depth, position across), both from 0 on.

    The depth is the longest path from a leaf; leaves move up to what uses them. An arrow over several depths gets a place of its
    own at each. Then each layer in turn is placed at the average position of its neighbors, at least 1 apart.
    """
    depth = [0] * count
    for start, end in sorted(arrows, key=lambda arrow: arrow[1]):
        depth[end] = max(depth[end], depth[start] + 1)
    for leaf in set(range(count)) - {end for _, end in arrows}:
        depth[leaf] = min((depth[end] for start, end in arrows if start == leaf), default=1) - 1
    ways = []
    before, after = defaultdict(list), defaultdict(list)
    for start, end in arrows:
        between = range(len(depth), len(depth) + depth[end] - depth[start] - 1)
        depth += range(depth[start] + 1, depth[end])
        ways.append([start, *between, end])
        for one, other in pairwise(ways[-1]):
            after[one].append(other)
            before[other].append(one)
    layers = [[i for i, d in enumerate(depth) if d == here] for here in range(max(depth) + 1)]
    across = [0.0] * len(depth)
    for sweep in range(SWEEPS):
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            neighbors = before if sweep % 2 == 0 else after
            wanted = {i: sum(across[j] for j in neighbors[i] or [i]) / max(len(neighbors[i]), 1) for i in layer}
            layer.sort(key=wanted.__getitem__)
            taken = -inf
            for i in layer:
                taken = across[i] = max(wanted[i], taken + 1)
            drift = sum(across[i] - wanted[i] for i in layer) / len(layer)
            for i in layer:
                across[i] -= drift
    least = min(across)
    points = [(float(d), a - least) for d, a in zip(depth, across)]
    return points[:count], [[points[i] for i in way] for way in ways]
