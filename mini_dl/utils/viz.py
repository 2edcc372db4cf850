"""Pictures: ``graph(tensor)`` of the recorded graph, without dependencies; ``curves`` and ``outlines``, drawn by matplotlib.

The extra ``viz`` installs matplotlib: ``pip install 'mini-dl[viz]'``.
"""

from __future__ import annotations

import html
import io
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mini_dl._dtypes import Array, dtype, get_default_dtype, of_numpy
from mini_dl.autograd.graph import AccumulateGrad
from mini_dl.files.replacing import rewrite
from mini_dl.nn import Module
from mini_dl.tensor import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

LEAF, OP, RESULT = "leaf", "op", "result"
FILLS = {LEAF: "#e3edf7", OP: "#ffffff", RESULT: "#eef7f1"}
BOXES = {"box": "square", "circle": "circle", "ellipse": "round"}
"""Matplotlib's boxes for graphviz's shapes."""
GREY, RED = "#5b646e", "#b3261e"
SYMBOLS = {"Add": "+", "Sub": "−", "Neg": "−", "Mul": "×", "Div": "÷"}
SWEEPS = 8
"""The number of forward or backward passes of the layout."""

Names = Mapping[str, Tensor] | Module


def graph(tensor: Tensor, params: Names | None = None, grads: bool = False, direction: str = "LR") -> Graph:
    """How `tensor` was computed: operations as circles, leaves and the result as boxes, arrows for the values between.

    A value is shown by its shape, and by its dtype if that is not the default; as a number if it is a single element of an
    available tensor, such as a leaf or the result. `params`, a dict or a module, names tensors, and may include intermediate
    ones. With `grads`, the gradient of a tensor that has one is shown below it in red, as its norm if it has several elements.
    `direction` is "LR", from left to right, or "TB", from top to bottom. Values that need no gradient are not recorded, so they
    have no box.

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
    """From one vertex to another, by number: the text of its value, and the gradient."""

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
        """The picture, drawn by graphviz if its program ``dot`` is installed, otherwise by our own code."""
        return self._by_graphviz("svg").decode() if shutil.which("dot") else _svg(self)

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
        """Write the text (.dot, .gv), or the picture: .svg needs nothing else, other suffixes need graphviz or matplotlib."""
        path = Path(path)
        if path.suffix in (".dot", ".gv", ".svg"):
            rewrite(path, self.svg() if path.suffix == ".svg" else self.dot)
        else:
            rewrite(path, self._picture(path.suffix.removeprefix(".")))

    def __repr__(self) -> str:
        return f"Graph({len(self.vertices)} vertices, {len(self.arrows)} arrows)"

    def _by_graphviz(self, format: str) -> bytes:
        return subprocess.run(["dot", f"-T{format}"], input=self.dot.encode(), capture_output=True, check=True).stdout

    def _picture(self, format: str) -> bytes:
        if shutil.which("dot") is not None:
            return self._by_graphviz(format)
        file = io.BytesIO()
        self.figure().savefig(file, format=format)
        return file.getvalue()

    def _repr_svg_(self) -> str:
        return self.svg()


def _label(item: Vertex | Arrow) -> str:
    """The text as graphviz HTML, with the gradient in red."""
    lines = [html.escape(line, quote=False) for line in item.lines]
    if item.grad:
        lines.append(f'<FONT COLOR="{RED}">{html.escape(item.grad, quote=False)}</FONT>')
    return f"<{'<BR/>'.join(lines)}>"


def _write(axes: Axes, item: Vertex | Arrow, place: tuple[float, float], outline: str = "none") -> Text:
    """The text of a vertex in its box, or that of an arrow over the line, and the gradient below it.

    Vertices are drawn before the arrows (whose zorder is 3), which end at boxes of known sizes.
    """
    clear = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
    if item.grad:
        axes.annotate(
            item.grad, place, (0, -6 - 5.5 * len(item.lines)), textcoords="offset points",
            fontsize=8, ha="center", va="top", color=RED, bbox=clear, zorder=4,
        )  # fmt: skip
    box = {"boxstyle": BOXES[outline], "facecolor": FILLS[item.kind], "edgecolor": GREY} if isinstance(item, Vertex) else clear
    order = 2 if isinstance(item, Vertex) else 5
    return axes.text(*place, "\n".join(item.lines), fontsize=8, ha="center", va="center", bbox=box, zorder=order)


# ------------------------------------------------------------------------------------------------ the recorded graph


def _recorded(result: Tensor, params: Names | None, grads: bool) -> tuple[list[Vertex], list[Arrow]]:
    """The vertices and arrows behind `result`, each node once, inputs first; without recursion, so depth is unlimited."""
    named = dict(params.named_parameters()) if isinstance(params, Module) else dict(params or {})
    known = {_place(tensor): (name, tensor) for name, tensor in named.items()}
    vertices: list[Vertex] = []
    arrows: list[Arrow] = []
    numbers: dict[int, int] = {}  # id of a node or a leaf -> its vertex
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


# ------------------------------------------------------------------------------------------------ layout

Points = list[tuple[float, float]]


def _layout(count: int, arrows: list[tuple[int, int]]) -> tuple[Points, list[Points]]:
    """The positions of the vertices, and the points each arrow passes: (depth, position across), both from 0 on.

    The depth is the longest path from a leaf; leaves move up to their users. An arrow over several depths gets its own
    slot at each. Then each layer in turn is placed at the average position of its neighbors, at least 1 apart.
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


# ------------------------------------------------------------------------------------------------ SVG

LETTER, LINE, MARGIN = 7.0, 14.0, 10.0
"""In pixels: the average width of a letter, the height of a line, the margin of the picture."""
GAP, ACROSS, DOWN = 40.0, 66.0, 84.0
"""Gaps between boxes along the arrows, from left to right; the minimum between boxes side by side; and from top to bottom."""


def _svg(graph: Graph) -> str:
    places, ways = _layout(len(graph.vertices), [(arrow.start, arrow.end) for arrow in graph.arrows])
    boxes = [_size(vertex) for vertex in graph.vertices]
    at = _from_left(graph, places, boxes) if graph.direction == "LR" else _from_top(places, boxes)
    drawn: list[str] = []
    written: list[str] = []  # over all lines and boxes
    for arrow, way in zip(graph.arrows, ways):
        points = [at(point) for point in way]
        points[0] = _border(points[0], points[1], boxes[arrow.start])
        points[-1] = _border(points[-1], points[-2], boxes[arrow.end])
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        drawn.append(f'<polyline points="{line}" fill="none" stroke="{GREY}" marker-end="url(#arrowhead)"/>')
        if arrow.lines:
            (x, y), (right, below) = points[:2]
            written += _lines(arrow, (x + right) / 2, (y + below) / 2)
    for vertex, place, (width, height) in zip(graph.vertices, places, boxes):
        x, y = at(place)
        rounding = {"box": 3.0, "circle": height / 2, "ellipse": height / 2}[vertex.outline]
        box = f'<rect x="{x - width / 2:.1f}" y="{y - height / 2:.1f}" width="{width:.1f}" height="{height:.1f}"'
        drawn.append(f'{box} rx="{rounding:g}" fill="{FILLS[vertex.kind]}" stroke="{GREY}"/>')
        drawn += _lines(vertex, x, y)
    ends = [at(point) for points in (places, *ways) for point in points]
    width = max(x for x, _ in ends) + max(width for width, _ in boxes) / 2 + MARGIN
    height = max(y for _, y in ends) + max(height for _, height in boxes) / 2 + LINE + MARGIN
    size = f'width="{width:.0f}" height="{height:.0f}"'
    style = 'font-family="Helvetica, Arial, sans-serif" font-size="12" text-anchor="middle"'
    arrowhead = 'id="arrowhead" markerWidth="8" markerHeight="6" refX="8" refY="3" orient="auto"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {width:.0f} {height:.0f}" {style}>',
            f'<defs><marker {arrowhead}><path d="M0,0 L8,3 L0,6 z" fill="{GREY}"/></marker></defs>',
            f'<rect {size} rx="6" fill="#ffffff"/>',
            *drawn,
            *written,
            "</svg>\n",
        ]
    )


def _size(item: Vertex | Arrow) -> tuple[float, float]:
    """Width and height of a box around the text, without the gradient below it."""
    return max(26.0, LETTER * max(map(_letters, item.lines)) + 14), max(26.0, LINE * len(item.lines) + 8)


def _letters(text: str) -> float:
    """The width in letters: Korean, Chinese and Japanese ones take nearly two."""
    return sum(1.7 if letter > "\u1100" else 1 for letter in text)


def _from_left(graph: Graph, places: Points, boxes: Points) -> Callable[[tuple[float, float]], tuple[float, float]]:
    """From (depth, across) to pixels: each depth is as far from the previous one as its boxes and the texts on the arrows
    need.
    """
    depths = range(int(max(depth for depth, _ in places)) + 1)
    widths = [max([box[0] for place, box in zip(places, boxes) if place[0] == depth], default=0.0) for depth in depths]
    texts = [[_letters(line) for line in (*arrow.lines, arrow.grad)] for arrow in graph.arrows]
    gaps = [
        GAP + LETTER * max([max(text) for text, arrow in zip(texts, graph.arrows) if places[arrow.start][0] == depth], default=0)
        for depth in depths
    ]
    centers = [MARGIN + widths[0] / 2]
    for depth in depths[1:]:
        centers.append(centers[-1] + widths[depth - 1] / 2 + gaps[depth - 1] + widths[depth] / 2)
    top = MARGIN + max(height for _, height in boxes) / 2
    most = max([len(arrow.lines) + bool(arrow.grad) for arrow in graph.arrows], default=0)
    across = max(ACROSS, 2 * LINE * most + 10)  # where two arrows meet, their midpoints are half as far apart
    return lambda point: (centers[int(point[0])], top + across * point[1])


def _from_top(places: Points, boxes: Points) -> Callable[[tuple[float, float]], tuple[float, float]]:
    widest, highest = (max(box[i] for box in boxes) for i in (0, 1))
    return lambda point: (MARGIN + widest / 2 + (widest + 20) * point[1], MARGIN + highest / 2 + DOWN * point[0])


def _border(place: tuple[float, float], towards: tuple[float, float], box: tuple[float, float]) -> tuple[float, float]:
    """Where the line from the middle of a box to another point leaves the box."""
    across, down = towards[0] - place[0], towards[1] - place[1]
    share = min([size / 2 / abs(way) for size, way in zip(box, (across, down)) if way] or [0.0])
    return place[0] + share * across, place[1] + share * down


def _lines(item: Vertex | Arrow, x: float, y: float) -> list[str]:
    """The text of a box, or over an arrow with a white edge around the letters; the gradient below it."""
    edge = "" if isinstance(item, Vertex) else ' stroke="#ffffff" stroke-width="4" paint-order="stroke"'
    top = y - LINE * (len(item.lines) - 1) / 2 + 4
    written = [
        f'<text x="{x:.1f}" y="{top + LINE * i:.1f}" fill="#1c1f23"{edge}>{html.escape(line)}</text>'
        for i, line in enumerate(item.lines)
    ]
    if item.grad:
        below = y + _size(item)[1] / 2 + 11 if isinstance(item, Vertex) else top + LINE * len(item.lines)
        edge = ' stroke="#ffffff" stroke-width="4" paint-order="stroke"'
        written.append(f'<text x="{x:.1f}" y="{below:.1f}" fill="{RED}"{edge}>{html.escape(item.grad)}</text>')
    return written


# ------------------------------------------------------------------------------------------------ matplotlib

COLORS = ("#c2410c", "#1d4ed8", "#0f766e", "#7c3aed", "#ca8a04", "#be185d", "#4d7c0f", "#475569")
FONTS = "NanumGothic", "Noto Sans CJK KR", "Noto Sans KR", "Malgun Gothic", "Apple SD Gothic Neo", "AppleGothic"
"""Fonts with Korean letters; the first one installed is used. The very first comes with `koreanize-matplotlib`."""


class Picture:
    """A matplotlib figure, which a notebook shows and a program saves."""

    def __init__(self, figure: Figure) -> None:
        self.figure = figure

    def save(self, path: str | Path) -> None:
        """In the format of the suffix: .png, .svg, .pdf."""
        rewrite(path, self._drawn(Path(path).suffix.removeprefix(".")))

    def __repr__(self) -> str:
        width, height = self.figure.get_size_inches()
        return f"Picture({width:g} x {height:g} inches)"

    def _repr_png_(self) -> bytes:
        return self._drawn("png")

    def _drawn(self, format: str) -> bytes:
        file = io.BytesIO()
        self.figure.savefig(file, format=format, dpi=120)
        return file.getvalue()


def curves(
    courses: Mapping[str, Sequence[float] | tuple[Sequence[float], Sequence[float]]],
    *,
    xlabel: str = "",
    ylabel: str = "",
    title: str = "",
    log: bool = False,
) -> Picture | None:
    """Curves by name, each of values y or a pair (x, y); with `log` on a logarithmic scale.

    Without matplotlib there is no picture: a message says so, and the result is None.

    >>> from mini_dl.utils.viz import curves
    >>> curves({"training": [2.3, 1.1, 0.7], "test": [2.3, 1.3, 1.0]}, xlabel="epoch", ylabel="loss")  # doctest: +SKIP
    Picture(6.4 x 3.4 inches)
    """
    if not drawable():
        return None
    figure = _blank(6.4, 3.4)
    axes = figure.subplots()
    for i, (name, course) in enumerate(courses.items()):
        x, y = course if isinstance(course, tuple) else (range(len(course)), course)
        axes.plot(x, y, color=COLORS[i % len(COLORS)], label=name)
    axes.set(xlabel=xlabel, ylabel=ylabel, title=title, yscale="log" if log else "linear")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return Picture(_with_letters(figure))


def outlines(shapes: Mapping[str, Array], columns: int = 3) -> Picture | None:
    """Closed outlines in the plane by name, each of points (n, 2); the first is shown in gray behind each. Otherwise like
    `curves`.
    """
    if not drawable():
        return None
    rows = -(-len(shapes) // columns)
    figure = _blank(2.7 * columns, 2.8 * rows)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    first = next(iter(shapes.values()))
    for axes, (title, points) in zip(grid.flat, shapes.items()):
        axes.plot(*first.T, color="#c7ccd1", lw=1)
        axes.fill(*points.T, color=COLORS[0], alpha=0.25)
        axes.plot(*points.T, color=COLORS[0], lw=1.6)
        axes.set(title=title, aspect="equal")
        axes.spines[["top", "right"]].set_visible(False)
    return Picture(_with_letters(figure))


def drawable() -> bool:
    """Whether matplotlib is installed; prints a message if not, so that programs that draw can continue."""
    if find_spec("matplotlib") is None:
        print("(no picture: matplotlib is not installed; pip install 'mini-dl[viz]')")
        return False
    return True


def _blank(width: float, height: float) -> Figure:
    """A figure not managed by pyplot, so that it need not be closed."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def korean_font() -> str | None:
    """The name of an installed font that has Korean letters, for matplotlib; None if there is none."""
    from matplotlib import font_manager

    package = find_spec("koreanize_matplotlib")  # not imported: that would change matplotlib's settings
    if package is not None and package.submodule_search_locations and FONTS[0] not in font_manager.get_font_names():
        font_manager.fontManager.addfont(Path(package.submodule_search_locations[0], "fonts", "NanumGothic.ttf"))
    installed = set(font_manager.get_font_names())
    return next((name for name in FONTS if name in installed), None)


def _with_letters(figure: Figure) -> Figure:
    """Give texts with Korean letters a font that has them."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        if re.search("[가-힣]", text.get_text()) and (family := korean_font()) is not None:
            text.set_fontfamily([family, "DejaVu Sans"])
    return figure
