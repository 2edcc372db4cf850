"""The site: `tox run -e docs` writes it to docs/_build/html.

Nothing is fetched, neither when the site is built nor when it is read: formulas become MathML, which browsers render, and
fonts are the reader's.
"""

import hashlib
import inspect
import os
import re
import sys
from pathlib import Path

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path[:0] = [str(ROOT), str(DOCS)]  # for autodoc, and for the modules next to this file, such as `reference`
import notebooks  # noqa: E402

OFFERED = notebooks.pages(DOCS)

os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(DOCS)])  # for the code on the pages
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # small matrices are fastest on one thread
os.environ["MATPLOTLIBRC"] = str(DOCS / "matplotlibrc")
os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"

project = "mini_dl"
author = "the authors of mini_dl"
copyright = "the authors of mini_dl, MIT"
language = "en"
extensions = ["myst_nb", "sphinx.ext.autodoc", "reference", "support"]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = "mini_dl"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}

myst_enable_extensions = ["amsmath", "colon_fence", "dollarmath"]
myst_heading_anchors = 3

add_module_names = False
autodoc_member_order = "bysource"
toc_object_entries = False  # a page of the reference has about a hundred
autodoc_typehints = "none"  # the signature in the source says it; here it would hide the names

# ------------------------------------------------------------------------------------------------ code on the pages


def digest_of_sources():
    """Changes with any program a page may run and with its images, so that no page shows stale output."""
    found = hashlib.sha256(f"{sys.version} {os.environ.get('MINI_DL_DATA')}".encode())
    found.update((DOCS / "matplotlibrc").read_bytes())
    for path in sorted(path for folder in ("mini_dl", "scripts", "docs") for path in (ROOT / folder).rglob("*.py")):
        found.update(path.read_bytes())
    return found.hexdigest()[:16]


nb_execution_mode = "cache"  # a page is run again when its code has changed, or what it runs
nb_execution_cache_path = str(DOCS / "_build" / "executed" / digest_of_sources())
os.environ["MINI_DL_RESULTS"] = f"{nb_execution_cache_path}/results"  # an experiment is run once, and drawn in both languages
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_execution_timeout = 240
nb_merge_streams = True

# ------------------------------------------------------------------------------------------------ docstrings


def write_as_rst(app, what, name, obj, options, lines):
    """Docstrings are plain text with names in backticks; lists begin with "- ", examples and indented lines are unchanged.

    Lines such as "Shapes: ..." begin a line of their own on the page too.
    """
    written = []
    for block in re.split(r"\n\s*\n", inspect.cleandoc("\n".join(lines))):
        if block.startswith(">>>"):
            written += [*block.splitlines(), ""]
        elif block.startswith(" "):
            written += ["::", "", *["    " + line for line in block.splitlines()], ""]
        else:
            items = re.split(r"\n(?=- |(?:[A-Z][\w ]{2,22}|torch|forward[\w, ]*|backward): )", block)
            mark = "| " if len(items) > 1 and not block.startswith("- ") else ""
            written += [mark + marked_up(" ".join(item.split())) for item in items] + [""]
    lines[:] = written


def marked_up(text):
    """Names in backticks as code; text that RST would read as markup, escaped."""
    parts = re.split(r"`+([^`]+)`+", text)
    return "".join(f"``{part}``" if i % 2 else re.sub(r"([*_|\\])", r"\\\1", part) for i, part in enumerate(parts))


# ------------------------------------------------------------------------------------------------ formulas


def mathml(translator, node, as_block):
    try:
        written = tex2mathml(node.astext(), as_block=as_block).replace("<mo>'</mo>", "<mo>\u2032</mo>")
    except MathError as error:
        logging.getLogger(__name__).warning("formula: %s", error, location=node)
        written = translator.encode(node.astext())
    return written


def visit_math(translator, node):
    translator.body.append(mathml(translator, node, as_block=False))
    raise nodes.SkipNode


def visit_math_block(translator, node):
    translator.body.append(f'<div class="math">{mathml(translator, node, as_block=True)}</div>\n')
    raise nodes.SkipNode


# ------------------------------------------------------------------------------------------------ languages and readers


def describe_figures(app, doctree, docname):
    """For those who cannot see a figure: the title of its section."""
    for image in doctree.findall(nodes.image):
        section = image
        while not isinstance(section, nodes.section):
            section = section.parent
        image.setdefault("alt", section[0].astext())


def offer_the_notebook(app, doctree, docname):
    """The link next to the other language's, at the top of a page that can be downloaded as a notebook."""
    if DOCS / f"{docname}.md" not in OFFERED:
        return
    words = "Jupyter 노트북 내려받기" if docname.startswith("ko/") else "Download as a notebook"
    up = "../" * docname.count("/")
    link = nodes.reference("", words, refuri=f"{up}notebooks/{docname}.ipynb", internal=False)
    first = next(iter(doctree.findall(nodes.paragraph)))
    first += [nodes.Text(" · "), link]


def write_the_notebooks(app, exception):
    if exception is None and app.builder.format == "html":
        notebooks.write(DOCS, Path(app.outdir, "notebooks"))


def say_the_language(app, pagename, templatename, context, doctree):
    if pagename.startswith("ko/"):
        context["language"] = "ko"


def setup(app):
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    app.connect("autodoc-process-docstring", write_as_rst)
    app.connect("doctree-resolved", describe_figures)
    app.connect("doctree-resolved", offer_the_notebook)
    app.connect("build-finished", write_the_notebooks)
    app.connect("html-page-context", say_the_language)
