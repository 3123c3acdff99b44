"""A deck of slides for a lesson, made by rule from its stored outputs: make slides LESSON=03.

    python tools/slides.py [NUMBER ...]

The rule: what the lesson promises; each part's heading; each prediction, alone, and on the next
slide what the cells below it show; each exercise; each live panel; what was seen. The speaker's
notes (key S, or `?showNotes=true` behind the address) come from TEACHING.md. Nothing is executed,
and a deck opens from build/slides without a network.

It is reveal.js as the wheel of sphinx-revealjs ships it, in a page of our own, deck.html: through
Sphinx each figure, table and note would first have to be written as MyST, and Sphinx would bring
its own styles, only to be undone.
"""

import base64
import csv
import difflib
import html
import importlib.util
import pathlib
import re
import shutil
import string
import sys
from collections.abc import Iterable, Iterator
from itertools import takewhile
from typing import NamedTuple

import guide
import minutes
import nbformat
from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin
from nbformat import NotebookNode
from tidy import GUARD

ROOT = guide.ROOT
SLIDES = ROOT / "build" / "slides"
OURS = pathlib.Path(__file__).with_suffix("")  # deck.html and slides.css
REVEAL = ("LICENSE", "dist/reveal.css", "dist/reveal.js", "plugin/notes/notes.js")
LINES = 14  # of printed text that can be read from the last row
ROWS = 6  # of a table of long lines
AIMS = "**You will be able to**"
SENTENCE = re.compile(
    r"\S.*?(?<!\bal)(?<!\bvs)(?<!e\.g)(?<!\b[A-Z])[.!?][\"”*)]*(?=\s+[\"“(*`$\[A-ZΑ-Ω0-9ε])|\S.*\S"
)
SOURCE = re.compile(r"\*\*(?:From|Papers?|After)\*\* .*")
EXERCISE = re.compile(
    r"^### (Exercise[ \d]*?) ?· ([^\n]+?) +\((★*)☆*, (\d+) minutes?\)\n*(.*?)(?=^#|\Z)",
    re.MULTILINE | re.DOTALL,
)
TRY = re.compile(r"\*(?:Only \w+ can tell|Try)[^*]*:\*\s*(.*?)(?:\n\n|\Z)", re.DOTALL)
BEFORE_TEXT = re.compile(r"\*Predict|\*Optional|\*Try|\*Only|#|\||[-\d]\.? |```|\$\$")
NEXT = re.compile(
    r"\*\*(Next lesson|The map)\*\* \[([^]]*)\]\([^)]*\)(.*?)(?= · \*\*|$)", re.MULTILINE
)
DATA = re.compile(r"^(?:\*\*Data\*\* )?(\w[\w ]*: [^\[\n]+)\.$", re.MULTILINE)
CREDIT = re.compile(
    r"[^;\n]+: [^;\n]+, (?:CC[-0]|public domain)[^;\n]*?(?=\.*(?:;|$))", re.MULTILINE
)


class Slide(NamedTuple):
    """A slide: its kind, which the style sheet knows, what it shows, and the speaker's notes."""

    kind: str
    body: str
    notes: Iterable[str] = ()

    def html(self) -> str:
        said = "".join(f"<p>{rich(note)}</p>" for note in self.notes if note)
        notes = f'<aside class="notes">{said}</aside>'
        return f'<section class="{self.kind}">\n{self.body}\n{notes}\n</section>'


def formula(tex: str, options: dict) -> str:
    """A formula as MathML, which browsers draw by themselves."""
    return convert(tex, display="block" if options["display_mode"] else "inline")


MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")
MARKDOWN.use(dollarmath_plugin, renderer=formula)


def rich(text: str) -> str:
    """A sentence or two of Markdown as HTML. A link into the course becomes its words."""
    text = re.sub(r"\[([^]]+)\]\((?!https?:)[^)]*\)", r"\1", " ".join(text.split()))
    shown = re.sub(
        r"(?<=\d) (?=[%°])| (?=[=±×] )|(?<=\S [=±×]) ",
        "\N{NO-BREAK SPACE}",
        MARKDOWN.renderInline(text),
    )
    return shown.replace("<a href", '<a target="_blank" rel="noopener" href')


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def sentences(text: str, most: int = 99, letters: int = 9999) -> list[str]:
    """The first sentences of a text: at most so many, and so many letters.

    What stands in brackets is left out, as are numbers at arXiv, and so is all from a sentence on
    that is not ended, but leads to a formula or a list.
    """
    text = re.sub(r",? *\[arXiv:[^]]*\]\([^)]*\)", "", text).replace(" ()", "")
    out: list[str] = []
    for said in SENTENCE.findall(" ".join(text.split())):
        whole = re.search(r"[.!?][\"”)*]*$", said)
        if not whole or len(out) == most or len(" ".join([*out, said])) > letters:
            break
        if not (said.startswith("(") and said.endswith(")")):
            out.append(said)
    return out


def size(text: str, *limits: int) -> str:
    """The class of a text that is longer than so many letters."""
    return ("", "long", "longer")[sum(len(text) > limit for limit in limits)]


def image(mime: str, data: str, alt: str) -> str:
    return f'<img src="data:{mime};base64,{data.strip()}" alt="{html.escape(alt)}">'


def picture(output: NotebookNode) -> str:
    """An output's picture, a film's still, with its words; "" without one."""
    for mime in ("image/png", "image/jpeg"):
        if mime in output.get("data", {}):
            return image(mime, output.data[mime], output.metadata[mime]["alt"])
    return ""


def learners(cells: Iterable[NotebookNode]) -> list[NotebookNode]:
    """The cells of code, but for an exercise's stub and what the course tests of itself."""
    return [
        cell
        for cell in cells
        if cell.cell_type == "code" and GUARD not in cell.metadata.get("tags", [])
        if not minutes.STUB.search(cell.source)
    ]


def outputs(cells: Iterable[NotebookNode]) -> list[NotebookNode]:
    return [output for cell in learners(cells) for output in cell.outputs]


def texts(cells: list[NotebookNode]) -> Iterator[tuple[str, list[NotebookNode]]]:
    """Each text, with the cells of code that follow it."""
    for place, cell in enumerate(cells):
        if cell.cell_type == "markdown":
            rest = cells[place + 1 :]
            yield cell.source, list(takewhile(lambda c: c.cell_type == "code", rest))


def pictures(cells: Iterable[NotebookNode]) -> list[str]:
    """All pictures that cells of code show."""
    return [shown for output in outputs(cells) if (shown := picture(output))]


def printed(cells: list[NotebookNode]) -> str:
    """What cells of code print, as far as it fits, or a table that they show."""
    kept, space = [], LINES
    for output in outputs(cells):
        page = output.get("data", {}).get("text/html", "")
        if table := re.search(r"(?<=<table)[^>]*(>.*</table>)", page, re.DOTALL):
            if (rows := table[1].count("<tr")) <= LINES:
                letters = min(26, 264 / rows)
                plain = re.sub(r' (style|valign)="[^"]*"', "", table[1])
                return f'<table style="font-size: {letters:.1f}px"{plain}'
        if output.output_type == "stream" and output.name == "stdout":
            text = re.sub(r"^.*, (CC[-0]|public domain).*$", "", output.text, flags=re.MULTILINE)
            for block in re.split(r"\n\s*\n", text.strip("\n")):
                space -= len(block.splitlines()) + bool(kept)
                if space < 0 or not block:
                    break
                kept.append(block.rstrip())
    if not kept:
        return ""
    text = re.sub(r"^(.{100,150}) .{50,}$", r"\1 …", "\n\n".join(kept), flags=re.MULTILINE)
    rows = [len(row) for row in text.splitlines()]
    letters = min(38, 1770 / max(rows), 270 / len(rows))
    wrap = letters < (28 if len(rows) < 3 else 18)  # broken lines, rather than small ones
    if wrap:
        fits = (s for s in range(30, 10, -1) if sum(-(-row * s // 1770) for row in rows) * s < 250)
        letters = next(fits, 11)
    style = f"font-size: {letters:.1f}px; white-space: {'pre-wrap' if wrap else 'pre'}"
    return f'<pre style="{style}">{html.escape(text)}</pre>'


def figure(shown: str, cells: Iterable[NotebookNode] = ()) -> str:
    """A picture or what was printed; below a photograph what its licence asks for, if it is short.

    What a lesson stores as JPEG is made of photographs.
    """
    asked = [line for line in credits(cells) if "CC-BY" in line] if "image/jpeg" in shown else []
    line = html.escape("; ".join(asked)) if len(asked) < 3 else ""
    return f'<figure>{shown}</figure><p class="small">{line}</p>' if shown else ""


def sources() -> dict[str, tuple[str, str]]:
    """The course's pictures by the name that code has for them: their folder, and their credit."""
    with (ROOT / "data" / "SOURCES.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    out = {}
    for row in rows:
        path, title = pathlib.Path(row["file"]), row["title"]
        name = {"mnist_5k": "digits", "fashion_mnist_12k": "clothes"}.get(path.stem, path.stem)
        if name in ("digits", "clothes"):
            title = name.capitalize()
        if path.suffix == ".jpg" and path.parent.name != "examples" or title == name.capitalize():
            out[name] = (path.parent.name, f"{title}: {row['author']}, {row['licence']}")
    return out


def credits(cells: Iterable[NotebookNode]) -> list[str]:
    """What is to be said of the pictures that cells of code name, or print a line about."""
    cells = learners(cells)
    code = "\n".join(cell.source for cell in cells)
    told = "\n".join(output.get("text", "") for output in outputs(cells))
    named = []
    for name, (folder, line) in sources().items():
        whole = rf"data\.{folder[:-1]}_names\("  # all of the folder
        own = rf"data\.{name}\(" if folder == "datasets" else rf"(?<![\w.]){name}\b"
        if re.search(f"{whole}|{own}", code):
            named.append(line)
    return list(dict.fromkeys([said.strip() for said in CREDIT.findall(told)] + named))


def answer(question: str, told: guide.Guide) -> str:
    """What TEACHING.md answers to a question, also to one that it puts a little shorter."""
    known = {guide.plain(asked): said for asked, said in told.answers}
    asked = guide.plain(question)
    near = [short for short in known if asked.startswith(short)]
    near += difflib.get_close_matches(asked, known, 1, 0.75)
    return known[near[0]] if near else ""


def opening(cells: list[NotebookNode], number: str, told: guide.Guide) -> list[Slide]:
    """The title, with the sentences that promise something and a picture; and the aims."""
    first, _, rest = cells[0].source.partition(AIMS)
    promise = first.partition("\n")[2]
    source = SOURCE.search(rest)
    foot = minutes.stated(cells) + (f" · {source[0]}" if source else "")
    title = (
        f'<h1 class="{size(told.title, 32)}">{number} · {rich(told.title)}</h1>\n'
        f'<div class="lead"><div class="{size(promise, 200)}">'
        + "".join(f"<p>{rich(said)}</p>" for said in sentences(promise))
        + f'</div>{figure(cover(number, cells))}</div>\n<p class="small">{rich(foot)}</p>'
    )
    aims = re.split(r"^- ", rest.partition("**You need**")[0], flags=re.MULTILINE)
    aims = [aim.strip(" \n;.") for aim in aims if aim.strip()]
    stuck = [f"**{what}** {said}" for what, said in told.stuck if not what.startswith("Exercise")]
    return [
        Slide("title", title, [told.about]),
        listed("You will be able to", aims, stuck),
    ]


def listed(head: str, points: list[str], notes: Iterable[str] = ()) -> Slide:
    """A slide of a few sentences."""
    items = "".join(f"<li>{rich(point)}</li>" for point in points)
    long = size("".join(points), 420)
    return Slide("list", f'<h2>{head}</h2>\n<ul class="{long}">{items}</ul>', notes)


def cover(number: str, cells: list[NotebookNode]) -> str:
    """The picture of a lesson's title: its cover, the one it opens with, or its largest."""
    for path in (ROOT / "cover").glob(f"{number}_*"):
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        alt = re.search(rf"!\[([^]]*)\]\(cover/{path.name}\)", readme)
        data = base64.b64encode(path.read_bytes()).decode()
        return image(f"image/{path.suffix[1:]}", data, alt[1] if alt else path.stem)
    if first := pictures(minutes.by_part(cells)[""]):
        return first[0]
    asked = [after for text, after in texts(cells) if guide.PREDICT.search(text)]
    answers = {shown for after in asked for shown in pictures(after)}
    others = set(pictures(cells)) - answers
    return max(others, key=lambda shown: ("image/jpeg" in shown, len(shown)), default="")


def part(
    name: str, cells: list[NotebookNode], told: guide.Guide, spent: tuple[int, int]
) -> list[Slide]:
    """A part's heading, then its questions with their answers, its exercises and its panels."""
    inner: list[Slide] = []
    live = name.startswith("Live: ")
    for text, after in texts(cells):
        inner += predictions(name, text, after, told) + exercises(text, after, told)
        for cell in after if not live else []:
            shown = pictures([cell]) if minutes.PANEL.search(cell.source) else []
            if shown and not any(shown[0] in slide.body for slide in inner):
                inner.append(panel(name, text, [cell]))
    if not name:
        return inner
    total, own = spent
    lasts = f"{total} minutes" + (f", {own} of them for exercises." if own else ".")
    notes = [told.notes.get(guide.plain(name), ""), lasts]
    text = "\n\n".join(text for text, _ in texts(cells))
    if live and pictures(cells):
        return [panel(name, text, cells, notes), *inner]
    body = f"<h2>{rich(name)}</h2>\n{lead(text)}"
    if name.startswith("Paper and us"):
        body = f"<h2>{rich(name)}</h2>\n{compared(cells)}"
    elif (shown := pictures(cells)) and not inner:  # nothing that it could give away
        body += figure(shown[0], cells)
    return [Slide("part", body, notes), *inner]


def lead(text: str) -> str:
    """The first two sentences that a part begins with, or the first of each item of a list."""
    first = text.partition("\n")[2].strip().split("\n\n")[0]
    items = re.findall(r"^(?:-|\d\.) (.*?)(?=\n(?:-|\d\.) |\Z)", first, re.MULTILINE | re.DOTALL)
    if items:
        said = "".join(f"<li>{rich((sentences(item, 1) or [item])[0])}</li>" for item in items)
        return f"<ul>{said}</ul>"
    if first.startswith("|") and first.count("\n") < ROWS + 2:
        return MARKDOWN.render(first)
    if BEFORE_TEXT.match(first):
        return ""
    first = re.split(r"\*(?:Predict|Try|Only)\b", first)[0]
    return f'<p class="large">{rich(" ".join(sentences(first, 2, 240)))}</p>'


def predictions(name: str, text: str, after: list[NotebookNode], told: guide.Guide) -> list[Slide]:
    """Each question that a text asks, alone; then what the cells below show, and the answer."""
    out = []
    for match in guide.PREDICT.finditer(text):
        question = capital(match[1].strip())
        before = text[: match.start()].strip().split("\n\n")[-1]
        body = f'<p class="kicker">Predict</p>\n<h2 class="{size(question, 150, 260)}">'
        context = "" if before.startswith(("#", "|", "`")) else f"Before it: {before}"
        out.append(Slide("question", f"{body}{rich(question)}</h2>", [context]))

        said = answer(match[1], told)
        first = " ".join(sentences(said, 2, 110) or sentences(said, 1))
        seen = [figure(shown, [cell]) for cell in after for shown in pictures([cell])]
        seen = seen or [figure(printed(after))]
        for shown in seen:
            below = f'<p class="{"" if shown else "large"}">{rich(first)}</p>'
            body = f'<h2 class="kicker">{rich(name)}</h2>\n{shown}'
            out.append(Slide("answer", body + (below if shown is seen[-1] else ""), [said]))
    return out


def exercises(text: str, after: list[NotebookNode], told: guide.Guide) -> list[Slide]:
    """The exercises that a text sets: what is to be done, how hard it is and how long it takes."""
    out = []
    for which, name, stars, own, task in EXERCISE.findall(text):
        task = re.split(r"\n\n(?=\$\$|```|- )|\*Predict", task)[0]
        stub = next((cell.source for cell in after if minutes.STUB.search(cell.source)), "")
        docstring = re.search(r'"""(.*?)(?:\n\n|""")', stub, re.DOTALL)
        do = sentences(task, 4, 400) or sentences(docstring[1] if docstring else name)
        function = re.search(r"^(\w+) = check", stub, re.MULTILINE)
        head = f"<code>{function[1]}</code>" if function else rich(name)
        hard = f'<span role="img" aria-label="level {len(stars)} of 3">{stars:☆<3}</span>'
        body = (
            f'<p class="kicker">{which} · {hard} · {own} minutes</p>\n'
            f'<h2>{head}</h2>\n<p class="large">{rich(" ".join(do))}</p>'
        )
        stuck = [said for what, said in told.stuck if what.startswith(f"{which},")]
        out.append(Slide("exercise", body, stuck))
    return out


def panel(name: str, text: str, cells: list[NotebookNode], notes: Iterable[str] = ()) -> Slide:
    """A live panel, with what to try on it."""
    tries = TRY.findall(text)
    tried = capital(rich(" ".join(sentences(tries[-1], 2, 240)))) if tries else ""
    body = (
        f'<p class="kicker">Live</p>\n<h2>{rich(capital(name.removeprefix("Live: ")))}</h2>\n'
        f"<p>{tried}</p>{figure(pictures(cells)[0], cells)}"
    )
    return Slide("live", body, notes)


def compared(cells: list[NotebookNode]) -> str:
    """The first rows of a lesson's comparison with its papers, of those that give a number."""
    rows = [
        row
        for output in outputs(cells)
        for row in output.get("data", {}).get("application/vnd.trickkit.papers+json", [])
        if row["value"]
    ]
    lines = "".join(
        f'<tr><th scope="row">{rich(row["quantity"])}</th><td>{row["value"]} {row["unit"]}</td>'
        f"<td>{row['ours']} {row['unit']}</td><td>{row['verdict']}</td></tr>"
        for row in rows[:ROWS]
    )
    head = "".join(f'<th scope="col">{what}</th>' for what in ("what", "paper", "ours", "verdict"))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>" if rows else ""


def ending(cells: list[NotebookNode]) -> list[Slide]:
    """What was seen, the next lesson, and whose the pictures are."""
    text = minutes.by_part(cells)["What you saw"][0].source
    match = NEXT.search(text)
    rest = match[3].strip(" ,:.")
    following = f'<p class="kicker">{match[1]}</p>\n<h2>{rich(match[2])}</h2>\n'
    out = [
        listed("What you saw", sentences(text.split("\n\n")[0].partition("\n")[2])),
        Slide("end", f'{following}<p class="large">{rich(rest)}</p>'),
    ]
    lines = credits(cells)
    for line in DATA.findall(text[match.end() :]):
        if not any(known.startswith(line.partition(":")[0]) for known in lines):
            lines.append(line)
    if lines:
        said = html.escape("; ".join(lines))
        body = f'<h2>Pictures and data</h2>\n<p class="{size(said, 500)} credits">{said}.</p>'
        out.append(Slide("list", body))
    return out


def deck(number: str) -> str:
    """A lesson's deck, a page of HTML."""
    cells = nbformat.read(guide.lesson(number), as_version=4).cells
    told = guide.guides()[number]
    spent = guide.spent(number)
    slides = opening(cells, number, told)
    for name, own in minutes.by_part(cells).items():
        if name != "What you saw":
            slides += part(name, own, told, spent[name])
    slides += ending(cells)
    page = string.Template((OURS / "deck.html").read_text(encoding="utf-8"))
    title = html.escape(f"{number} · {told.title}")
    return page.substitute(title=title, slides="\n".join(slide.html() for slide in slides))


def main(numbers: list[str], folder: pathlib.Path = SLIDES) -> None:
    """Make the decks of those lessons, or of all, and what they share."""
    static = folder / "_static"
    static.mkdir(parents=True, exist_ok=True)
    wheel = pathlib.Path(importlib.util.find_spec("sphinx_revealjs").origin).parent
    for name in REVEAL:
        shutil.copy(wheel / "_static" / "revealjs" / name, static)
    shutil.copy(OURS / "slides.css", static)
    for number in numbers or sorted(guide.guides()):
        path = folder / f"{guide.lesson(number).stem}.html"
        path.write_text(deck(number), encoding="utf-8", newline="\n")
        print(path)


if __name__ == "__main__":
    main(sys.argv[1:])
