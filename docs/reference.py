"""The reference: one entry for each public name, written when the site is built, to docs/reference.

Entries are grouped as in torch's own reference, and by the files of `mini_dl/ops` and `mini_dl/nn/modules`.
An entry shows the docstring with typeset formulas, what was compared with torch (`parity.txt`), and its source.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import re
import types
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from formulas import NotAFormula, tex

import mini_dl
from mini_dl.standins import kind_of
from mini_dl.standins.kinds import Absent
from mini_dl.tensor import Tensor
from scripts._matrix import KINDS, Cells, Release, read

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
INSTALLED = Path(mini_dl.__file__).resolve().parents[1]
TARGET = DOCS / "reference"
PACKAGE = "mini_dl"

# ------------------------------------------------------------------------------------------------ groups

PAGES = {
    "creation": ("Creation", "creation from_data ranges filling interop factories"),
    "indexing": (
        "Indexing, joining, slicing",
        "joining parts views gathering indexing masks copies memory index_expressions choice",
    ),
    "random": ("Random numbers", "random sampling"),
    "pointwise": (
        "Pointwise operations",
        "powers trigonometry arithmetic rounding special bits complex_numbers activation polynomials",
    ),
    "reduction": ("Reductions", "reduction norms vector_norms"),
    "comparison": ("Comparison and sorting", "comparison sorting"),
    "spectral": ("Spectral operations and windows", "stft windows"),
    "blas": (
        "BLAS and LAPACK",
        "matmul contractions einsum linalg matrices cholesky determinants eigenvalues ldl lu qr singular_values solving lowrank "
        "_lobpcg",
    ),
    "layers": (
        "Layers as functions",
        "convolution pooling pooling_to_size normalization recurrent embedding embedding_losses folding resampling dropout "
        "padding attention distance loss classification ctc piecewise_linear",
    ),
    "other": ("Other operations", "scans statistics segments foreach"),
    "sparse": ("Sparse tensors", "sparse"),
    "attributes": ("Types, storage, attributes", "attributes conversion storages subclasses sharing _dtypes _device tensor"),
    "gradients": ("Recording and transforms", "mode history anomaly _privates _vmap _symbols overrides"),
    "settings": ("Settings, files, autocast", ""),
}
"""The pages of torch's top-level names: title, and the files whose functions belong there."""

PLACES = {
    "Tensor": "Tensor",
    "nn": "Modules",
    "nn.functional": "Functions of layers",
    "nn.init": "Initialization",
    "nn.utils": "Utilities of modules",
    "nn.utils.rnn": "Packed sequences",
    "nn.utils.parametrize": "Parametrization",
    "nn.utils.parametrizations": "Parametrizations",
    "nn.utils.prune": "Pruning",
    "optim": "Optimizers",
    "optim.lr_scheduler": "Learning rate schedules",
    "optim.swa_utils": "Averaged weights",
    "linalg": "Linear algebra",
    "fft": "Fourier transforms",
    "special": "Special functions",
    "signal.windows": "Windows",
    "masked": "Masked operations",
    "sparse": "Sparse operations",
    "distributions": "Distributions",
    "utils.data": "Data",
    "autograd": "Autograd",
    "autograd.functional": "Derivatives of functions",
    "autograd.forward_ad": "Forward mode",
    "func": "Function transforms",
    "random": "The random number generator",
}

SECTIONS = {
    "nn": {
        "container": "Containers", "conv": "Convolution", "pooling": "Pooling", "padding": "Padding", "activation": "Activations",
        "batchnorm": "Normalization", "instancenorm": "Normalization", "normalization": "Normalization", "rnn": "Recurrent",
        "transformer": "Transformer", "attention": "Transformer", "linear": "Linear", "dropout": "Dropout", "sparse": "Embedding",
        "distance": "Distances", "loss": "Losses", "adaptive": "Losses", "pixelshuffle": "Vision", "upsampling": "Vision",
        "fold": "Vision", "flatten": "Shape", "channelshuffle": "Vision", "module": "Module", "parameter": "Module",
    },
    "nn.functional": {
        "convolution": "Convolution", "pooling": "Pooling", "pooling_to_size": "Pooling", "attention": "Attention",
        "activation": "Activations", "piecewise_linear": "Activations", "powers": "Activations", "trigonometry": "Activations",
        "normalization": "Normalization", "matmul": "Linear", "dropout": "Dropout", "embedding": "Embedding",
        "distance": "Distances", "loss": "Losses", "classification": "Losses", "embedding_losses": "Losses", "ctc": "Losses",
        "folding": "Vision", "resampling": "Vision", "padding": "Padding",
    },
}  # fmt: skip
"""Within a page, by file; files not named come last."""

# ------------------------------------------------------------------------------------------------ what there is


class Entry(NamedTuple):
    place: str
    name: str
    value: Any
    doc: str
    file: str  # of the source, below the root; "" if it has none
    line: int

    @property
    def dotted(self) -> str:
        return f"{PACKAGE}.{self.name}" if self.place == "torch" else f"{PACKAGE}.{self.place}.{self.name}"

    @property
    def stem(self) -> str:
        return Path(self.file).stem


def entries(place: str) -> list[Entry]:
    return [entry(place, name, value) for name, value in public_values(place)]


def public_values(place: str) -> list[tuple[str, Any]]:
    """The public functions, classes and attributes of a place that compute here, by name."""
    if place == "Tensor":
        found = [(name, inspect.getattr_static(Tensor, name)) for name in dir(Tensor) if not name.startswith("_")]
        return [(name, value) for name, value in found if callable(value) or is_descriptor(value)]
    module = importlib.import_module(PACKAGE if place == "torch" else f"{PACKAGE}.{place}")
    names = [name for name in dir(module) if not name.startswith("_") and kind_of(place, name) == "here"]
    values = [(name, getattr(module, name)) for name in names]
    return [(name, value) for name, value in values if is_ours(value) and not is_of_torch(place, name, value)]


def is_descriptor(value: object) -> bool:
    return inspect.isdatadescriptor(value) or isinstance(value, (classmethod, staticmethod))


def is_ours(value: Any) -> bool:
    home = getattr(value, "__module__", None) or ""
    return (
        callable(value) and not isinstance(value, (types.ModuleType, Absent)) and home.partition(".")[0] in ("", PACKAGE, "torch")
    )


def is_of_torch(place: str, name: str, value: Any) -> bool:
    """Whether a place only repeats what torch itself has, such as the class Tensor."""
    return place != "torch" and isinstance(value, type) and vars(mini_dl).get(name) is value


def entry(place: str, name: str, value: Any) -> Entry:
    return Entry(place, name, value, inspect.cleandoc(value.__doc__ or ""), *source_of(value))


def source_of(value: Any) -> tuple[str, int]:
    """File and line of the definition of a public name."""
    behind = value.fget if isinstance(value, property) else value
    behind = inspect.unwrap(behind) if callable(behind) else behind
    primitive = getattr(behind, "op", None)
    if primitive is not None:
        behind = inspect.unwrap(primitive.forward)
    try:
        return str(Path(inspect.getsourcefile(behind) or "").relative_to(INSTALLED)), inspect.getsourcelines(behind)[1]
    except (OSError, TypeError, ValueError):
        return "", 0


# ------------------------------------------------------------------------------------------------ docstrings as RST


def rst_of(doc: str, own: frozenset[str] = frozenset()) -> str:
    """A docstring on a page: formulas as mathematics, known names as links, the example as code."""
    written = []
    for block in re.split(r"\n\s*\n", doc):
        if block.startswith(">>>"):
            written.append(".. code-block:: pycon\n\n" + indented(block))
        elif block.startswith((" ", "- ")):
            written.append(".. code-block:: none\n\n" + indented(block) if block.startswith(" ") else bullets(block, own))
        else:
            items = re.split(r"\n(?=(?:Shapes|Raises|Source): )", block)
            written += [field(item, own) for item in items]
    return re.sub(r"(\n:\w+: [^\n]*)\n(?=\n:\w+: )", r"\1", "\n\n".join(written))


def bullets(block: str, own: frozenset[str]) -> str:
    return "\n".join([f"- {inline(item, own)}" for item in re.split(r"\n?^- ", block, flags=re.MULTILINE) if item])


def field(item: str, own: frozenset[str]) -> str:
    name, colon, text = item.partition(": ")
    if colon and name in ("Shapes", "Raises", "Source"):
        return f":{name}: {inline(text, own, formulas=False)}"
    return inline(item, own)


def inline(text: str, own: frozenset[str], formulas: bool = True) -> str:
    """One paragraph. Double backquotes are formulas if they can be parsed as such, single ones names."""
    out = ""
    for part in re.split(r"(``[^`]+``|`[^`]+`)", " ".join(text.split())):
        if not part:
            continue
        if part.startswith("``"):
            written = formula(part[2:-2]) if formulas else f"``{part[2:-2]}``"
        elif part.startswith("`"):
            target = LINKS.get(part[1:-1])
            written = f":py:obj:`{part[1:-1]} <{target}>`" if target and part[1:-1] not in own else f"``{part[1:-1]}``"
        else:
            written = re.sub(r"([*_|\\])", r"\\\1", part)
        out += r"\ " + written if re.search(r"(\w\Z|`\Z)", out) and re.match(r"[\w:`]", written) else written
    return out


def formula(text: str) -> str:
    try:
        return f":math:`{tex(text)}`"
    except NotAFormula:
        return f"``{text}``"


def indented(text: str, by: str = "   ") -> str:
    return "\n".join([by + line if line else "" for line in text.splitlines()])


LINKS: dict[str, str] = {}
"""The entries that a name in backquotes leads to."""

# ------------------------------------------------------------------------------------------------ parity

CHECKS = {
    "forward": "values", "grad": "gradients", "gradgrad": "second derivatives", "forward_ad": "forward mode",
    "fwgrad_bwgrad": "forward over reverse", "noncontiguous": "strided inputs", "inplace": "in place", "method": "as a method",
    "out": "out=", "vmap": "vmap", "vmap_grad": "vmap of gradients", "error": "errors", "error message": "messages",
    "construct": "construction", "buffers": "buffers", "trajectory": "trajectories",
}  # fmt: skip


@functools.cache
def release() -> Release:
    return read((DOCS / "parity.txt").read_text(encoding="utf-8"))


@functools.cache
def compared() -> dict[str, list[Cells]]:
    """What parity.txt says, by the name without its variant."""
    found = defaultdict(list)
    for kind in KINDS:
        for name, cells in release().counts[kind].items():
            found[name.partition(":")[0]].append(cells)
    return dict(found)


def parity(one: Entry) -> str:
    """What was compared with torch; "" if it is not in torch's tables of samples."""
    behind = getattr(one.value, "__name__", one.name)
    short = [one.name, one.name.rstrip("_"), behind, behind.rstrip("_")] if one.place in ("torch", "Tensor") else []
    keys = [f"{one.place}.{one.name}", f"{one.place}.{one.name.rstrip('_')}", *short]
    rows = next((compared()[key] for key in keys if key in compared()), None)
    if rows is None:
        return ""
    samples = sum(max(samples_in(checks) for checks in cells.values()) for cells in rows)
    dtypes = dict.fromkeys(dtype for cells in rows for dtype in cells)
    checks = dict.fromkeys(check for cells in rows for checks in cells.values() for check in checks)
    counts = [counts for cells in rows for checks in cells.values() for counts in checks.values()]
    agree, explained = (sum(one[i] for one in counts) for i in (0, 2))
    text = f"{samples} sample{'s' * (samples != 1)} in {', '.join(dtypes)}; "
    text += ", ".join([CHECKS.get(check, check) for check in checks])
    text += f": {agree} comparisons with torch agree"
    return text + (f", {explained} differ as ``parity_tests/ledger.toml`` explains" if explained else "") + "."


def samples_in(checks: dict[str, list[int]]) -> int:
    return max([sum(checks[check]) for check in ("forward", "trajectory") if check in checks], default=0)


# ------------------------------------------------------------------------------------------------ entries as RST


def signature(one: Entry) -> str:
    """The parameters, without types, which would hide the names."""
    try:
        shown = inspect.signature(one.value)
    except (TypeError, ValueError):
        return ""
    bare = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in shown.parameters.values()]
    text = str(shown.replace(parameters=bare, return_annotation=inspect.Signature.empty))
    text = re.sub(r"<(?:module|class|function) '?([\w.]+)'?[^>]*>", r"\1", text)
    return re.sub(r"<[\w.]+ object at 0x\w+>", "...", text)


def directive(one: Entry) -> str:
    kind = "function"
    if one.place == "Tensor":
        kind = "property" if inspect.isdatadescriptor(one.value) else "method"
    elif isinstance(one.value, type):
        kind = "class"
    arguments = "" if kind == "property" else signature(one)
    return f".. py:{kind}:: {one.dotted}{arguments}"


def parameters(one: Entry) -> frozenset[str]:
    try:
        return frozenset([*inspect.signature(one.value).parameters, "out", "self", one.name])
    except (TypeError, ValueError):
        return frozenset([one.name])


def entry_as_rst(one: Entry, full: dict[str, str]) -> str:
    """An entry; if its text, or the part after its first sentence, is elsewhere, that sentence and a link."""
    first, _, rest = one.doc.partition("\n\n")
    where = full[one.doc] if full[one.doc] != one.dotted else full.get(rest)
    body = rst_of(first if where else one.doc, parameters(one)) if one.doc else ""
    lines = []
    if where:
        lines.append(f":As: :py:obj:`{where}`")
    if agreement := parity(one):
        lines.append(f":Parity: {agreement}")
    if one.file:
        lines.append(f":Source code: `{one.file}:{one.line} <{source_name(one.file)}.html#line-{one.line}>`__")
    listed = methods(one) if isinstance(one.value, type) and not where else ""
    if lines and re.search(r"\n:\w+: .*\Z", body) is None:
        lines.insert(0, "")
    parts = [body, "\n".join(lines), listed]
    return directive(one) + "\n\n" + indented("\n\n".join([part for part in parts if part.strip()])) + "\n"


def methods(one: Entry) -> str:
    """The public methods that a class adds, each with its first sentence."""
    rows = []
    for name, value in vars(one.value).items():
        doc = inspect.getdoc(value) if callable(value) or isinstance(value, (property, classmethod, staticmethod)) else None
        if not name.startswith("_") and doc and name != "forward" and not isinstance(value, type):
            rows.append(f"- ``{name}``: {inline(first_sentence(doc), frozenset([name]))}")
    return "\n".join(rows)


def first_sentence(doc: str) -> str:
    return re.split(r"(?<=[.:])\s|\n\n", " ".join(doc.partition("\n\n")[0].split()) + " ", maxsplit=1)[0].rstrip(":")


def page(title: str, sections: dict[str, list[Entry]], full: dict[str, str]) -> str:
    lines = [title, "=" * len(title), ""]
    for name, found in sections.items():
        if name:
            lines += [name, "-" * len(name), ""]
        lines += [" · ".join([f":py:obj:`{one.name} <{one.dotted}>`" for one in found]), ""]
        lines += [entry_as_rst(one, full) for one in found]
    return "\n".join(lines)


def in_sections(place: str, found: list[Entry]) -> dict[str, list[Entry]]:
    """The entries of a page by section; one without a name, if it has none."""
    names = SECTIONS.get(place)
    if names is None:
        return {"": found}
    by_name: dict[str, list[Entry]] = {section: [] for section in dict.fromkeys(names.values())}
    for one in found:
        by_name.setdefault(names.get(one.stem, "Others"), []).append(one)
    return {section: members for section, members in by_name.items() if members}


# ------------------------------------------------------------------------------------------------ sources


def source_name(file: str) -> str:
    """The page of a file, relative to the entries."""
    return f"source/{file.replace('/', '-').removesuffix('.py')}"


def source_pages(app: Any) -> Iterator[tuple[str, dict[str, str], str]]:
    """The files that entries link to, with an anchor at each line. They are not in the search."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    form = HtmlFormatter(linenos="inline", anchorlinenos=True, lineanchors="line")
    for file in sorted({one.file for one in everything_listed() if one.file}):
        code = highlight((ROOT / file).read_text(encoding="utf-8"), PythonLexer(stripnl=False), form)
        yield f"reference/{source_name(file)}", {"title": file, "body": f"<h1>{file}</h1>\n{code}"}, "page.html"


# ------------------------------------------------------------------------------------------------ all pages


@functools.cache
def by_place() -> dict[str, list[Entry]]:
    return {place: entries(place) for place in ("torch", *PLACES)}


def everything_listed() -> list[Entry]:
    return [one for found in by_place().values() for one in found]


def pages() -> Iterator[tuple[str, str]]:
    """Name and text of each page."""
    LINKS.update({one.name: one.dotted for one in reversed(everything_listed())})
    LINKS.update({f"{one.place}.{one.name}": one.dotted for one in everything_listed()})
    full: dict[str, str] = {}
    for one in [*by_place()["nn.functional"], *everything_listed()]:
        full.setdefault(one.doc, one.dotted)
    by_file = {file: key for key, (_, files) in PAGES.items() for file in files.split()}
    groups: dict[str, list[Entry]] = {key: [] for key in PAGES}
    for one in by_place()["torch"]:
        groups["settings" if one.file.startswith(f"{PACKAGE}/amp") else by_file.get(one.stem, "settings")].append(one)
    listed = [(f"torch-{key}", title, {"": groups[key]}) for key, (title, _) in PAGES.items()]
    for place, title in PLACES.items():
        listed.append((place.replace(".", "-"), f"{title}: torch.{place}", in_sections(place, by_place()[place])))
    for name, title, sections in listed:
        yield name, page(title, sections, full)
    yield "index", index([(name, title, sum(map(len, sections.values()))) for name, title, sections in listed])


def index(listed: list[tuple[str, str, int]]) -> str:
    lines = ["Reference", "=========", "", *INTRO.splitlines(), "", ".. list-table::", ""]
    for name, title, count in listed:
        lines += [f"   * - :doc:`{title} <{name}>`", f"     - {count}"]
    lines += ["", ".. toctree::", "   :hidden:", "", *[f"   {name}" for name, _, _ in listed], ""]
    return "\n".join(lines)


INTRO = """Everything public that computes here, under the name that torch has for it: ``import mini_dl as torch``. An entry
gives the formula, the shapes, the errors, and an example, which the tests run. *Parity* says what was
compared with torch 2.13.0: how many of the samples that torch's own tests use, in which dtypes, and which properties. Names that
are absent are listed in :doc:`/coverage`, deliberate differences in :doc:`/decisions`; the textbook, models and pictures, which
torch does not have, are in :doc:`/api`. ``help(torch.exp)`` shows the same text."""


def write(app: Any = None) -> None:
    """Write the pages that are out of date, and remove those of names that are gone."""
    mini_dl.set_num_threads(1)
    written = {TARGET / f"{name}.rst": text for name, text in pages()}
    for path, text in written.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    for path in set(TARGET.rglob("*.rst")) - set(written):
        path.unlink()


def setup(app: Any) -> dict[str, bool]:
    app.connect("builder-inited", write)
    app.connect("html-collect-pages", source_pages)
    return {"parallel_read_safe": True}


if __name__ == "__main__":
    write()
