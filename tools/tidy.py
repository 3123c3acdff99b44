"""Lay lessons out as they are committed: one sentence a line in the text, so that an edit can be
read as an edit; no metadata but the lesson's own; no outputs that only a live kernel can use.

    python tools/tidy.py notebooks/03_panda_to_vulture.ipynb …

Prints the names of those that it changed.
"""

import pathlib
import re
import sys

import nbformat

# The end of a sentence with what may close it, and what may open the next.
BREAK = re.compile(r"(?<=[.?!…])([”\"')\]*_]*) +(?=[“\"'(\[*_`$\\]*[A-ZÀ-Þ\d$`])")
ABBREVIATED = re.compile(r"\b(al|cf|e\.g|i\.e|Eq|Fig|[Nn]o|pp?|Sec|St|vol|vs|Dr|Mrs?|[A-Z])\.$")
ITEM = re.compile(r" *([-*+]|\d+\.) +")
# Lines that stay as they are: tables, headings, quotations, HTML, and what a fence sets apart.
APART = re.compile(r" *(\||#|>|<|\\begin|---)|    ")
FENCE = re.compile(r" *(```|\$\$)")
# A cell of assertions would give a prediction away. JupyterLab folds it to its first line.
GUARD = "guard"
FOLDED = "# The course tests its own claim here. Nothing for you to do."


def closed(text: str) -> bool:
    """Whether no formula, code, emphasis or link is open at the end of a text."""
    bare = re.sub(r"`[^`]*`|\$[^$]*\$", "", text)
    return not any(bare.count(mark) % 2 for mark in "$`*") and bare.count("[") == bare.count("]")


def sentences(paragraph: str) -> list[str]:
    """A paragraph's sentences, in order."""
    out = []
    start = 0
    for gap in BREAK.finditer(paragraph):
        sentence = paragraph[start : gap.end()].rstrip()
        if closed(sentence) and not ABBREVIATED.search(sentence):
            out.append(sentence)
            start = gap.end()
    return [*out, paragraph[start:]]


def one_sentence_a_line(text: str) -> str:
    """Markdown with every sentence of a paragraph, or of a list's item, on a line of its own.

    What is rendered stays the same.
    """
    out: list[str] = []
    paragraph: list[str] = []
    lead = ""  # before the paragraph's first line: the mark of an item, or nothing

    def flush() -> None:
        if paragraph:
            first, *rest = sentences(" ".join(paragraph))
            out.extend([lead + first, *(" " * len(lead) + sentence for sentence in rest)])
            paragraph.clear()

    fenced = False
    for line in text.splitlines():
        fence = FENCE.match(line)
        item = ITEM.match(line)
        if fenced or fence or not line.strip() or APART.match(line) and not (item or paragraph):
            flush()
            out.append(line)
            if fence and line.count(fence[1]) == 1:
                fenced = not fenced
            lead = ""
        elif item or not paragraph:
            flush()
            lead = item.group() if item else re.match(" *", line).group()
            paragraph.append(line[len(lead) :].strip())
        else:
            paragraph.append(line.strip())
        if paragraph and line.endswith(("  ", "\\")):  # a line break that is meant
            flush()
            out[-1] += "" if line.endswith("\\") else "  "
    flush()
    return "\n".join(out)


def tidy(book: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """A notebook as it is committed."""
    own = book.metadata.get("trickkit")
    book.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    if own:
        book.metadata["trickkit"] = own
    for place, cell in enumerate(book.cells):
        cell.id = f"cell-{place:02d}"
        tags = cell.metadata.get("tags")
        cell.metadata = {"tags": tags} if tags else {}
        if tags and GUARD in tags:
            cell.metadata["jupyter"] = {"source_hidden": True}
            cell.source = f"{FOLDED}\n{cell.source.removeprefix(FOLDED).lstrip()}"
        if cell.cell_type == "markdown":
            cell.source = one_sentence_a_line(cell.source)
        for output in cell.get("outputs", []):
            mimes = output.get("data", {})
            mimes.pop("application/vnd.jupyter.widget-view+json", None)
            if any(mime.startswith("image/") for mime in mimes):
                mimes.pop("text/html", None)
            if {"image/jpeg", "image/png"} & set(mimes):  # a film: all but a kernel show its still
                mimes.pop("image/webp", None)
                output.get("metadata", {}).pop("image/webp", None)
    return book


def main(paths: list[str]) -> None:
    for path in map(pathlib.Path, paths):
        before = path.read_text(encoding="utf-8")
        after = nbformat.writes(tidy(nbformat.reads(before, as_version=4))) + "\n"
        if after != before:
            path.write_text(after, encoding="utf-8", newline="\n")
            print(path)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1:])
