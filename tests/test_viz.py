"""Pictures of the recorded graph: what is drawn, and where."""

from __future__ import annotations

import itertools
import re
import stat
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import mini_dl as torch
from mini_dl import nn
from mini_dl.utils import viz
from mini_dl.utils.viz import Graph, graph

SVG = "{http://www.w3.org/2000/svg}"


def parsed(dot: str) -> tuple[dict[str, tuple[str, str]], list[tuple[str, str, str]]]:
    """Nodes, name -> (shape, text), and edges (from, to, text) of a text for graphviz; an error if it is invalid."""
    nodes, edges = {}, []
    first, *lines, last = dot.splitlines()
    assert (first, last) == ("digraph {", "}")
    for line in lines:
        if re.fullmatch(r'  (graph|node|edge) \[(\w+=("[^"]*"|\w+) ?)+\]', line):
            continue
        found = re.fullmatch(r'  (\w+)(?: -> (\w+))?(?: \[(?:shape=(\w+) fillcolor="#\w{6}" )?label=<(.*)>\])?', line)
        assert found is not None, line
        text = "\n".join(ElementTree.fromstring(f"<l>{(found[4] or '').replace('<BR/>', '|')}</l>").itertext()).replace("\n", "")
        if found[2] is None:
            nodes[found[1]] = (found[3], text)
        else:
            assert found[1] in nodes and found[2] in nodes
            edges.append((found[1], found[2], text))
    return nodes, edges


def fruit() -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    values = {"apple": 100.0, "apples": 2.0, "orange": 150.0, "oranges": 3.0, "tax": 1.1}
    given = {name: torch.tensor(value, requires_grad=True) for name, value in values.items()}
    given["fruit"] = given["apple"] * given["apples"] + given["orange"] * given["oranges"]
    given["fruit"].retain_grad()
    return given, given["fruit"] * given["tax"]


def texts(picture: Graph) -> list[str]:
    return [" ".join(item.lines) for item in (*picture.vertices, *picture.arrows) if item.lines]


def test_apples_and_oranges() -> None:
    given, price = fruit()
    price.backward()
    nodes, edges = parsed(graph(price, {**given, "price": price}, grads=True).dot)
    assert sorted(nodes.values()) == sorted(
        [
            ("box", "apple|100|grad 2.2"),
            ("box", "apples|2|grad 110"),
            ("box", "orange|150|grad 3.3"),
            ("box", "oranges|3|grad 165"),
            ("box", "tax|1.1|grad 650"),
            ("box", "price|715"),
            *[("circle", "×")] * 3,
            ("circle", "+"),
        ]
    )
    drawn = sorted((nodes[a][1].split("|")[0], nodes[b][1].split("|")[0], text) for a, b, text in edges)
    assert drawn == sorted(
        [
            ("apple", "×", ""),
            ("apples", "×", ""),
            ("orange", "×", ""),
            ("oranges", "×", ""),
            ("×", "+", "scalar"),
            ("×", "+", "scalar"),
            ("+", "×", "fruit|650|grad 1.1"),
            ("tax", "×", ""),
            ("×", "price", ""),
        ]
    )


def test_gradients_are_left_out_unless_asked_for() -> None:
    given, price = fruit()
    price.backward()
    assert "grad" not in graph(price, given).dot


def test_a_module_names_its_parameters_and_values_have_shapes() -> None:
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU())
    loss = model(torch.ones(2, 4)).mean()
    loss.backward()
    picture = graph(loss, model, grads=True)
    assert {"0.weight 5 × 4", "0.bias 5", "2 × 5"} <= set(texts(picture))
    norm = model[0].bias.grad.norm().item()
    assert f"|grad| {norm:.3g}" in [vertex.grad for vertex in picture.vertices]


def test_another_dtype_than_the_default_is_said() -> None:
    x = torch.ones(2, 3, dtype=torch.float64, requires_grad=True)
    assert texts(graph((x * 2).exp())) == ["2 × 3 float64", "×", "Exp", "2 × 3 float64", "2 × 3 float64"]


def test_a_node_used_twice_is_drawn_once_and_its_value_written_once() -> None:
    x = torch.ones(2, requires_grad=True)
    y = x.exp()
    picture = graph(y * y + x)
    assert [vertex.lines[0] for vertex in picture.vertices] == ["2", "Exp", "×", "+", "2"]
    pairs = [(arrow.start, arrow.end) for arrow in picture.arrows]
    assert pairs == [(0, 1), (1, 2), (1, 2), (2, 3), (0, 3), (3, 4)]
    assert [arrow.lines for arrow in picture.arrows if arrow.start == 1] == [["2"], []]


def test_outputs_of_one_node_are_told_apart() -> None:
    u, s, _ = torch.linalg.svd(torch.eye(3, requires_grad=True)[:, :2])
    picture = graph(u.sum() + s.sum(), {"singular values": s})
    written = [arrow.lines for arrow in picture.arrows if picture.vertices[arrow.start].lines[0] == "LinalgSvd"]
    assert sorted(written) == [["3 × 3"], ["singular values", "2"]]


def test_a_leaf_alone_is_a_box() -> None:
    nodes, edges = parsed(graph(torch.ones(2, requires_grad=True)).dot)
    assert (list(nodes.values()), edges) == ([("box", "2")], [])


def test_names_are_escaped() -> None:
    x = torch.ones(2, requires_grad=True)
    nodes, _ = parsed(graph(x + 1, {'<b> & "quoted" \\': x}).dot)
    assert nodes["n0"] == ("box", '<b> & "quoted" \\|2')


def test_a_graph_of_ten_thousand_nodes_is_walked_and_laid_out() -> None:
    x = y = torch.ones(2, requires_grad=True)
    for _ in range(10_000):
        y = y + x
    picture = graph(y)
    assert len(picture.vertices) == 10_002
    assert viz._layout(20, [(i, i + 1) for i in range(19)])[0] == [(float(i), 0.0) for i in range(20)]


def test_what_has_no_graph_or_another_direction_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(2,\) that needs no gradient"):
        graph(torch.ones(2))
    with pytest.raises(ValueError, match="got 'RL'"):
        graph(torch.ones(2, requires_grad=True), direction="RL")


# ------------------------------------------------------------------------------------------------ layout


def test_every_arrow_leads_on_and_vertices_of_one_depth_keep_apart() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4), nn.Tanh())
    x = torch.ones(1, 4, requires_grad=True)
    y = x + model(x)
    picture = graph((y + model(y)).sum())
    pairs = [(arrow.start, arrow.end) for arrow in picture.arrows]
    places, ways = viz._layout(len(picture.vertices), pairs)
    for (start, end), way in zip(pairs, ways):
        assert (way[0], way[-1]) == (places[start], places[end])
        assert [b[0] - a[0] for a, b in itertools.pairwise(way)] == [1.0] * (len(way) - 1)
    taken = sorted({*places, *[point for way in ways for point in way]})
    assert all(b[0] > a[0] or b[1] - a[1] > 0.99 for a, b in itertools.pairwise(taken))
    assert min(place[1] for place in taken) == 0


# ------------------------------------------------------------------------------------------------ pictures


def test_graphviz_draws_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "dot"
    program.write_text('#!/bin/sh\necho "drawn with $1"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path))
    picture = graph(torch.ones(2, requires_grad=True) + 1)
    assert picture.svg() == picture._repr_svg_() == "drawn with -Tsvg\n"
    picture.save(tmp_path / "picture.pdf")
    assert (tmp_path / "picture.pdf").read_text() == "drawn with -Tpdf\n"


@pytest.mark.parametrize("direction", ["LR", "TB"])
def test_without_graphviz_and_matplotlib_the_picture_is_drawn_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, direction: str
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    given, price = fruit()
    price.backward()
    picture = graph(price, {**given, "한 <개>": given["tax"]}, grads=True, direction=direction)
    picture.save(tmp_path / "price.svg")
    text = (tmp_path / "price.svg").read_text(encoding="utf-8")
    assert text == picture._repr_svg_() == picture.svg()
    drawn = ElementTree.fromstring(text)
    words = {element.text for element in drawn.iter(f"{SVG}text")}
    assert {"apple", "100", "grad 2.2", "fruit", "650", "grad 1.1", "×", "+", "715", "한 <개>"} <= words
    assert len(list(drawn.iter(f"{SVG}polyline"))) == len(picture.arrows)
    width, height = (float(drawn.attrib[side]) for side in ("width", "height"))
    for box in drawn.iter(f"{SVG}rect"):
        x, y, across, down = (float(box.attrib.get(name, 0)) for name in ("x", "y", "width", "height"))
        assert 0 <= x <= x + across <= width and 0 <= y <= y + down <= height


def test_the_boxes_of_a_picture_do_not_overlap_and_arrows_end_at_their_edges() -> None:
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))
    for direction in ("LR", "TB"):
        picture = graph(model(torch.ones(2, 4)).sum(), model, direction=direction)
        drawn = ElementTree.fromstring(viz._svg(picture))
        boxes = [[float(b.attrib[n]) for n in ("x", "y", "width", "height")] for b in drawn.iter(f"{SVG}rect") if "x" in b.attrib]
        assert len(boxes) == len(picture.vertices)
        for (x, y, w, h), (p, q, u, v) in itertools.combinations(boxes, 2):
            assert x + w < p or p + u < x or y + h < q or q + v < y
        for arrow, line in zip(picture.arrows, drawn.iter(f"{SVG}polyline")):
            points = [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
            for (px, py), (x, y, w, h) in ((points[0], boxes[arrow.start]), (points[-1], boxes[arrow.end])):
                assert min(abs(px - x), abs(px - x - w), abs(py - y), abs(py - y - h)) < 0.2


def test_curves_and_outlines_are_drawn_with_their_names(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    picture = viz.curves({"train": [3.0, 2.0, 1.0], "test": ([0, 2], [3.0, 2.0])}, xlabel="epoch", title="loss", log=True)
    assert picture is not None
    (axes,) = picture.figure.axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["train", "test"]
    assert (axes.get_xlabel(), axes.get_title(), axes.get_yscale()) == ("epoch", "loss", "log")
    square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    pictures = viz.outlines({"as it is": square, "twice": 2 * square})
    assert pictures is not None
    assert [axes.get_title() for axes in pictures.figure.axes[:2]] == ["as it is", "twice"]
    pictures.save(tmp_path / "squares.svg")
    assert "<svg" in (tmp_path / "squares.svg").read_text(encoding="utf-8")
    assert picture._repr_png_().startswith(b"\x89PNG") and repr(picture) == "Picture(6.4 x 3.4 inches)"


def test_the_text_is_saved_as_it_is(tmp_path: Path) -> None:
    _, price = fruit()
    picture = graph(price, direction="TB")
    picture.save(tmp_path / "price.dot")
    assert (tmp_path / "price.dot").read_text(encoding="utf-8") == picture.dot
    assert "rankdir=TB" in picture.dot


@pytest.mark.parametrize("direction", ["LR", "TB"])
def test_matplotlib_draws_without_graphviz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, direction: str) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setenv("PATH", "")
    given, price = fruit()
    price.backward()
    picture = graph(price, given, grads=True, direction=direction)
    shown = [text.get_text() for text in picture.figure().axes[0].texts if text.get_text()]
    assert {"apple\n100", "grad 2.2", "fruit\n650", "grad 1.1", "×", "715"} <= set(shown)
    picture.save(tmp_path / "price.png")
    assert (tmp_path / "price.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("direction", ["LR", "TB"])
def test_nothing_is_drawn_outside_the_figure(direction: str) -> None:
    pytest.importorskip("matplotlib")
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4))
    figure = graph(model(model(torch.ones(1, 4))), model, direction=direction).figure()
    figure.draw_without_rendering()
    frame = figure.bbox.get_points()
    for text in figure.axes[0].texts:
        least, greatest = text.get_window_extent().get_points()
        assert (least >= frame[0]).all() and (greatest <= frame[1]).all()
