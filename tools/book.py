"""Make the book, build/book, from the lessons' stored outputs: make book. Nothing is executed.

    python tools/book.py [LESSON …]

With lessons, only their pages and the front page are made. What Sphinx reads is gathered in
build/book-src: the lessons, with flip-books where their live panels are and credits under their
pictures; the papers' numbers as one table; the package's docstrings; and the teachers' guide.
"""

import ast
import base64
import html
import io
import json
import pathlib
import re
import shutil
import sys
import textwrap

import guide
import maps
import nbformat
import sliced
from PIL import Image
from sphinx.cmd.build import main as sphinx
from tidy import GUARD

from trickkit import data
from trickkit.papers import MANY_SEEDS

ROOT = pathlib.Path(__file__).resolve().parent.parent
BOOK = ROOT / "book"
SOURCE = ROOT / "build" / "book-src"
MADE = ROOT / "build" / "book"
PHOTOGRAPHS = {
    *data.picture_names(),
    *data.painting_names(),
    *data.scene_names(),
}
LINE = 92  # characters
MANY = 4  # from so many on, their credits are folded
COLOURS = 20_000  # that a picture without a photograph may have
PARTS = {  # of the course -> the number of its first lesson
    "Trick it": "00",
    "See inside": "07",
    "Make pictures": "14",
    "Ask why": "16",
    "Who pays": "19",
    "Put together": "21",
}
# what scikit-learn writes into a classifier is not ours
AUTOMODULE = ".. automodule:: trickkit.{}\n   :members:\n   :exclude-members: set_score_request\n"
FOLDERS = {"pictures": "Photographs", "scenes": "Scenes", "paintings": "Paintings"}
CARDS = {
    "03_panda_to_vulture.jpeg": "trick it",
    "14_deep_dream.jpeg": "dream with it",
    "15_style_transfer.jpeg": "paint with it",
    "08_saliency.jpeg": "ask why, and doubt the answer",
    "12_abstract_summaries.jpeg": "see inside",
    "06_defences.png": "teach it to hold",
}


def named(source: str) -> set[str]:
    """The photographs, paintings and scenes that a cell of code names, or all that it lists."""
    tree = ast.parse(source)
    strings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    calls = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    lists = {
        "picture_names": data.picture_names,
        "painting_names": data.painting_names,
        "scene_names": data.scene_names,
    }
    return {
        name
        for name in strings | {name for key in calls & set(lists) for name in lists[key]()}
        if isinstance(name, str) and name in PHOTOGRAPHS
    }


def photographic(output: nbformat.NotebookNode) -> bool:
    """Whether an output is a picture with a photograph's many colours."""
    for kind, encoded in output.get("data", {}).items():
        if kind.startswith("image/"):
            image = Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB")
            if image.getcolors(COLOURS) is None:
                return True
    return False


def credit(sure: set[str], perhaps: set[str]) -> str:
    """Who made the photographs of a picture, as a line below it.

    sure: that its own cell names.
    perhaps: that the cells name from which it has what it shows.
    """
    names = sure | perhaps
    said = html.escape(data.attribution(*sorted(names)))
    if len(names) >= MANY:
        what = "Shows, or is made from, some of these"
        said = f"<details><summary>{what} {len(names)} pictures</summary>{said}</details>"
    elif perhaps - sure:
        said = f"Shows, or is made from: {said}"
    return f'<div class="credit">{said}</div>'


def flipbook(folder: pathlib.Path) -> str:
    """A panel's frames, to be leafed through."""
    told = json.loads((folder / "frames.json").read_text(encoding="utf-8"))
    frames, start = told["frames"], told["start"]
    words = json.dumps(frames, ensure_ascii=False).replace("<", "\\u003c")
    label, alt = (html.escape(frames[start][key]) for key in ("label", "alt"))
    return (
        f'<figure class="flipbook"><img src="../_static/{folder.name}/{start}.webp" alt="{alt}">'
        f'<label><output>{label}</output><input type="range" min="0" max="{len(frames) - 1}"'
        f' value="{start}" aria-label="frames of this panel" aria-valuetext="{label}" disabled>'
        "</label><figcaption>In the notebook this panel is live, with all its"
        f' controls.</figcaption><script type="application/json">{words}</script></figure>'
    )


def wrapped(text: str) -> str:
    """Printed text whose sentences fit the page; tables are not as wide as that."""
    return "".join(
        textwrap.fill(line, LINE) + "\n" if len(line) > LINE + 1 else line
        for line in text.splitlines(keepends=True)
    )


def shown(markup: str) -> nbformat.NotebookNode:
    """Markup as an output of a cell."""
    return nbformat.v4.new_output("display_data", {"text/html": markup})


def page(path: pathlib.Path) -> nbformat.NotebookNode:
    """A lesson as a page of the book."""
    book = nbformat.read(path, as_version=4)
    links = (
        '<p class="lesson-links"><a href="../index.html">Run it on your own computer</a>, or'
        f' <a href="../_static/lessons/{path.name}" download>download the notebook</a>, with its'
        " outputs.</p>"
    )
    head = book.cells[0].source
    title, _, rest = head.partition("\n")
    book.cells[0].source = f"{title}\n\n{links}\n{rest}"
    code = [i for i, cell in enumerate(book.cells) if cell.cell_type == "code"]
    sources = [book.cells[i].source for i in code]
    for place, (i, source) in enumerate(zip(code, sources, strict=True)):
        cell = book.cells[i]
        if GUARD in cell.metadata.get("tags", []):
            cell.metadata["tags"] = [*cell.metadata["tags"], "remove-cell"]
        # of an exercise there is nothing to see yet
        cell.outputs = [o for o in cell.outputs if "not written yet" not in o.get("text", "")]
        for output in cell.outputs:
            if output.output_type == "stream":
                output.text = wrapped(output.text)
        kinds = {kind for output in cell.outputs for kind in output.get("data", {})}
        if not any(kind.startswith("image/") for kind in kinds):
            continue
        sure, perhaps = named(source), set()
        if any(map(photographic, cell.outputs)):
            perhaps = set().union(*(named(sources[j]) for j in sliced.needed(sources, place)))
        frames = BOOK / "frames" / f"{path.stem[:2]}-{i:02d}"
        if (frames / "frames.json").exists():
            cell.outputs = [o for o in cell.outputs if o.output_type == "stream"]
            cell.outputs.append(shown(flipbook(frames)))
        if sure | perhaps:
            cell.outputs.append(shown(credit(sure, perhaps)))
    return book


def by_part(lessons: dict[str, maps.Lesson]) -> dict[str, list[maps.Lesson]]:
    """The lessons of each part of the course that has any."""
    out: dict[str, list[maps.Lesson]] = {}
    for number, one in lessons.items():
        part = max((part for part in PARTS if PARTS[part] <= number), key=PARTS.__getitem__)
        out.setdefault(part, []).append(one)
    return out


def front(lessons: dict[str, maps.Lesson]) -> str:
    """The first page: the pictures, how to begin, and the map."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    alts = guide.covers()
    cards = [
        f":::{{grid-item-card}} {words}\n:img-top: cover/{file}\n:img-alt: {alts[file]}\n"
        f":link: lessons/{pathlib.Path(file).stem}\n:link-type: doc\n"
        f":::"
        for file, words in CARDS.items()
        if pathlib.Path(file).stem[:2] in lessons
    ]
    credits = re.search(r"^\*Each picture is.*?\*$", readme, re.MULTILINE | re.DOTALL)[0]
    credits = credits.replace("[data/SOURCES.csv](data/SOURCES.csv)", "[the list](pictures.md)")
    tables, contents = [], []
    for part, own in by_part(lessons).items():
        rows = [
            f"| [{o.title}](lessons/{o.file}) | {o.does} | {o.minutes} | {o.papers} |" for o in own
        ]
        head = ["| lesson | what you do | minutes | after |", "| --- " * 4 + "|"]
        tables.append("\n".join([f"### {part}", "", *head, *rows]))
        pages = [f"lessons/{pathlib.Path(o.file).stem}" for o in own]
        contents.append(
            "\n".join(["```{toctree}", f":caption: {part}", ":hidden:", "", *pages, "```"])
        )
    text = (BOOK / "front.md").read_text(encoding="utf-8")
    grid = "::::{grid} 1 2 3 3\n:gutter: 2\n:class-container: gallery\n\n"
    for name, made in {
        "CARDS": grid + "\n".join(cards) + "\n::::",
        "CREDITS": credits,
        "LESSONS": "\n\n".join(tables),
        "CONTENTS": "\n\n".join(contents),
    }.items():
        text = text.replace(f"\n{name}\n", f"\n{made}\n")
    return text


def papers() -> str:
    """PAPERS.md as one table that sorts and can be searched."""
    text, _, many = (ROOT / "PAPERS.md").read_text(encoding="utf-8").partition(MANY_SEEDS)
    many = re.sub(r"^## \[([^]]+)\]\(.*\)$", r"### \1", many, flags=re.MULTILINE)
    heads = ["lesson", "what", "paper", "ours", "verdict", "our settings; why it differs"]
    rows = []
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        stem = re.match(r"\[([^]]+)\]", section)[1]
        for line in section.splitlines():
            if line.startswith("| ") and not line.startswith(("| what |", "| --- |")):
                cells = [html.escape(c.strip()) for c in line.strip("| ").split(" | ")]
                link = f'<a href="lessons/{stem}.html">{stem[:2]}</a>'
                rows.append("".join(f"<td>{cell}</td>" for cell in [link, *cells]))
    intro = text.partition("\n## ")[0]
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"""---
html_theme.sidebar_secondary.remove: true
---

{intro}

<div class="sorted-table" tabindex="0" role="region" aria-label="the papers' numbers">
<label>Show only rows with <input type="search"></label> <output>{len(rows)} rows</output>
<table class="table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>
</div>

## {MANY_SEEDS.removeprefix("# ")}
{many}"""


def pictures() -> str:
    """Every photograph, painting and scene of the course: who made it, and its licence."""
    out = ["# The pictures", "", "Each keeps its own licence."]
    for folder, title in FOLDERS.items():
        out += ["", f"## {title}", "", '<table class="table pictures-table"><tbody>']
        for file, row in data.sources().items():
            if file.startswith(folder + "/"):
                name, author, licence = (
                    html.escape(row[key]) for key in ("title", "author", "licence")
                )
                source = re.sub(r"https?://\S+", r'<a href="\g<0>">\g<0></a>', row["source"])
                out.append(
                    f'<tr><td><img src="_static/{file}" alt="{name}"></td>'
                    f"<td><b>{name}</b><br>{author}, {licence}<br><small>{source}</small></td></tr>"
                )
        out.append("</tbody></table>")
    return "\n".join(out) + "\n"


def api() -> dict[str, str]:
    """A page for each module of the package, and one that lists them."""
    pages = {}
    rows = []
    modules = maps.modules()
    for name, said in modules:
        if name.startswith(("check", "course")):
            continue
        pages[f"{name}.rst"] = f"{name}\n{'=' * len(name)}\n\n{AUTOMODULE.format(name)}"
        inside = [other for other, _ in modules if other.startswith(f"{name}.")]
        if inside:
            pages[f"{name}.rst"] += "\nIn it:\n\n"
            pages[f"{name}.rst"] += "".join(f"* :doc:`{other}`\n" for other in inside)
        rows.append(f"| [`{name}`]({name}.rst) | {said} |")
    listed = "\n".join(name.removesuffix(".rst") for name in pages)
    pages["index.md"] = (
        "# The package\n\nImports run one way, from the first line down: a method never draws, and"
        " whatever all need stands in `contract` and `common`. `trickkit.show(attacks.pgd)` shows"
        " the source of anything.\n\n| module | what is in it |\n| --- | --- |\n"
        + "\n".join(rows)
        + f"\n\n```{{toctree}}\n:hidden:\n\n{listed}\n```\n"
    )
    return pages


def gather(numbers: list[str]) -> None:
    """Write what Sphinx reads into SOURCE.

    numbers: of the lessons that become pages; of none, all, with everything else.
    """
    shutil.rmtree(SOURCE, ignore_errors=True)
    (SOURCE / "lessons").mkdir(parents=True)
    (SOURCE / "api").mkdir()
    shutil.copytree(ROOT / "cover", SOURCE / "cover")
    paths = sorted((ROOT / "notebooks").glob("*.ipynb"))
    chosen = [path for path in paths if not numbers or path.stem[:2] in numbers]
    if len(chosen) < len(set(numbers)):
        raise SystemExit(f"There is no such lesson among {', '.join(p.stem for p in paths)}.")
    for path in chosen:
        nbformat.write(page(path), SOURCE / "lessons" / path.name)
    lessons = {path.stem[:2]: maps.lesson(path) for path in chosen}
    (SOURCE / "index.md").write_text(front(lessons), encoding="utf-8")
    texts = {"papers.md": papers(), "pictures.md": pictures()}
    teaching = guide.GUIDE.read_text(encoding="utf-8")
    texts["teaching.md"] = re.sub(r"<!--.*?-->\n?", "", teaching)
    if not numbers:
        texts |= {f"api/{name}": text for name, text in api().items()}
    else:
        texts["api/index.md"] = "# The package\n"
    for name, text in texts.items():
        (SOURCE / name).write_text(text, encoding="utf-8")


def main(numbers: list[str]) -> None:
    gather(numbers)
    shutil.rmtree(MADE, ignore_errors=True)
    code = sphinx(
        [
            *("-q", "-j", "2", "-b", "html", "-c", str(BOOK)),
            *("-d", str(ROOT / "build" / "book-tree"), str(SOURCE), str(MADE)),
        ]
    )
    if code:
        sys.exit(code)
    lessons = MADE / "_static" / "lessons"
    lessons.mkdir()
    for folder in FOLDERS:
        shutil.copytree(data.DATA / folder, MADE / "_static" / folder)
    for path in (SOURCE / "lessons").glob("*.ipynb"):
        shutil.copy(ROOT / "notebooks" / path.name, lessons)
    size = sum(file.stat().st_size for file in MADE.rglob("*") if file.is_file())
    print(f"The book is {MADE / 'index.html'}: {size / 1e6:.0f} MB. Open it in a browser.")


if __name__ == "__main__":
    main(sys.argv[1:])
