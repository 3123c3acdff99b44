"""The book, made from the lessons' stored outputs. tools/book.py gathers what is read here."""

import importlib
import inspect
import re
import warnings

import latex2mathml.converter
from docutils import nodes
from myst_nb.core.render import NbElementRenderer

import trickkit

project = "How to trick a neural network, and see inside one"
author = "The trickkit authors"
copyright = "the trickkit authors. The code is under the Apache License 2.0"
version = release = trickkit.__version__
language = "en"

extensions = ["myst_nb", "sphinx_design", "sphinx.ext.autodoc"]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb", ".rst": "restructuredtext"}
nb_execution_mode = "off"
nb_ipywidgets_js = {}  # of another host; the panels are flip-books here
nb_merge_streams = True
nb_render_markdown_format = "myst"  # the papers' tables
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence"]
myst_heading_anchors = 3
suppress_warnings = ["mystnb.unknown_mime_type", "myst.header", "autodoc", "ref.python"]

html_theme = "sphinx_book_theme"
html_title = "How to trick a neural network"
html_static_path = ["static", "frames"]
html_css_files = ["book.css"]
html_js_files = [("book.js", {"defer": "defer"})]
html_copy_source = False
html_show_search_summary = False  # a page read from a file cannot be fetched
html_show_sphinx = False
html_math_renderer = "mathml"
html_context = {"default_mode": "auto"}
html_theme_options = {
    "home_page_in_toc": True,
    "show_toc_level": 2,
    "use_download_button": False,  # of a changed notebook; each page links to the lesson's own
    "navbar_persistent": [],  # the search button, which stands in the side bar
}

default_role = "literal"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_inherit_docstrings = False
autodoc_preserve_defaults = True
add_module_names = False


def mathml(self, node, display):
    """A formula as MathML, which browsers draw and screen readers say. No script is needed."""
    source = node.astext()
    if display and "\\begin" not in source and "\\\\" in source:
        source = r"\begin{aligned}" + source + r"\end{aligned}"
    made = latex2mathml.converter.convert(source, display="block" if display else "inline")
    made = re.sub(r"(<mi>(?:log|ln)</mi>)", r'\1<mspace width="0.17em"/>', made)
    self.body.append(f'<div class="formula" tabindex="0">{made}</div>' if display else made)
    raise nodes.SkipNode


def with_alt(render):
    """Pictures get the words in their metadata, where myst-nb puts the name of a file."""

    def render_image(self, data):
        made = render(self, data)
        made[0]["alt"] = data.output_metadata.get(data.mime_type, {}).get("alt", "")
        return made

    return render_image


# "x: images, (N, C, H, W).", "Returns …" and "Raises …", as our docstrings say it
ARGUMENT = re.compile(r"^(?P<names>\**\w+(, \**\w+)*): (?P<said>\S.*)$")
RETURNS = re.compile(r"^Returns (?P<said>.+)$")
RAISES = re.compile(r"^Raises (?P<error>\w+),? ?(?P<said>.*)$")
# what reStructuredText would take for a mark; `code` and *words* are meant
MARKS = re.compile(r"(`[^`]*`|(?<![\w*])\*[A-Za-z][^*\n]*?[\w.]\*(?![\w*]))|([*|])|(?<=\w)_(?!\w)")


def plain(line):
    """A line of a docstring, whose stars and bars are no marks."""
    return MARKS.sub(lambda found: found[1] or f"\\{found[0]}", line)


def arguments(obj):
    """The names of what a function or class takes."""
    try:
        return set(inspect.signature(obj).parameters)
    except (TypeError, ValueError):
        return set()


def laid_out(app, what, name, obj, options, lines):
    """A docstring's arguments, results and errors as fields, which Sphinx lays out."""
    taken = arguments(obj)
    out = []
    field = False
    for line in lines:
        found = ARGUMENT.match(line)
        names = re.findall(r"\w+", found["names"]) if found else []
        if names and set(names) <= taken:
            *others, last = names
            new = [f":param {other}: as {last}." for other in others]
            new.append(f":param {last}: {plain(found['said'])}")
        elif found := RETURNS.match(line):
            new = [f":returns: {plain(found['said'])}"]
        elif found := RAISES.match(line):
            new = [f":raises {found['error']}: {plain(found['said'])}"]
        else:
            new = []
        if out and out[-1] and (new and not field or field and not new and line[:1].strip()):
            out.append("")
        field = bool(new) or field and line.startswith(" ")
        out += new or [plain(line)]
    lines[:] = out


def left_out(app, what, name, obj, skip, options):
    """A named tuple's fields stand among its arguments already."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def ready(app):
    """Import the package once, for all of Sphinx's workers, which are forked after that."""
    for name in trickkit.MODULES:
        importlib.import_module(f"trickkit.{name}")
    # ipywidgets warns of its own attributes, when they are looked at
    warnings.filterwarnings("ignore", "Widget")


def setup(app):
    NbElementRenderer.render_image = with_alt(NbElementRenderer.render_image)
    app.add_html_math_renderer(
        "mathml",
        (lambda self, node: mathml(self, node, False), None),
        (lambda self, node: mathml(self, node, True), None),
    )
    app.connect("autodoc-process-docstring", laid_out)
    app.connect("autodoc-skip-member", left_out)
    app.connect("builder-inited", ready)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
