"""A deck of slides for a lesson, made by rule from its stored outputs: make slides LESSON=03.

    python tools/slides.py [NUMBER ...]

The rule: what the lesson promises; then each part in the lesson's order: its heading, the lists,
tables and formulas of its text, each prediction and on the next slides what the cells below it show
and the answer, each exercise, each live panel, each other picture; at last what was seen. The
speaker's notes (key S, or `?showNotes=true` behind the address) come from TEACHING.md. Nothing is
executed, and a deck opens from build/slides without a network.

It is reveal.js as the wheel of sphinx-revealjs ships it, in a page of our own, deck.html: through
Sphinx each figure, table and note would first have to be written as MyST, and Sphinx would bring
its own styles, only to be undone.
"""

import base64
import csv
import html
import importlib.util
import io
import pathlib
import re
import shutil
import string
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate, groupby, takewhile
from operator import itemgetter
from typing import NamedTuple

import guide
import minutes
from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin
from nbformat import NotebookNode
from PIL import Image
from tidy import GUARD

ROOT = guide.ROOT
SLIDES = ROOT / "build" / "slides"
OURS = pathlib.Path(__file__).with_suffix("")  # deck.html and slides.css
REVEAL = ("LICENSE", "dist/reveal.css", "dist/reveal.js", "plugin/notes/notes.js")
ITEMS, LINES = 6, 20  # of a list or table, and of printed text, on a slide
FEW = 11  # printed lines that leave room for an answer
WIDE = 121  # letters of a printed line at the smallest type, 16 pixels
PAPERS = "application/vnd.trickkit.papers+json"
SENTENCE = re.compile(
    r"\S.*?(?<!\bal)(?<!\bvs)(?<!e\.g)(?<!\b[A-Z])[.!?][\"”*)]*(?=\s+[\"“(*`$\[A-ZΑ-Ω0-9ε])|\S.*\S"
)
SOURCE = re.compile(r"\*\*(?:From|Papers?|After)\*\* .*")
# What becomes a slide of a lesson's text: an exercise, a prediction, and a formula, table or list.
EVENT = re.compile(
    r"^### (Exercise[ \d]*?) ?· ([^\n]+?) +\((★*)☆*, (\d+) minutes?\)"
    r"|\*Predict:\*(.*?)(?=\n\s*\n|\Z)"
    r"|((?<=able to\*\* )[^\n]+"
    r"|^\$\$.*?\$\$$|^(?:\|[^\n]*\n?)+|^(?:(?:-|\d+\.) [^\n]*\n?(?: +[^\n]*\n?)*)+)",
    re.M | re.S,
)
TRY = re.compile(r"\*(?:Only \w+ can tell|Try)[^*]*:\*\s*(.*?)(?:\n\n|\Z)", re.S)
NO_PROSE = re.compile(r"\*Optional[^.]|\*Try|\*Only|\||[-\d]\.? |```|\$\$|$")
# What TEACHING.md tells the lecturer of a room's guesses, and not the room.
LECTURER = re.compile(
    r"[Ee]xpect|[Tt]empt|\b(?:[Vv]otes?|room|invites|Whoever|sounds like enough|\w+ will say)\b"
)
NEXT = re.compile(r"\*\*(Next lesson|The map)\*\* \[([^]]*)\]\([^)]*\)(.*?)(?= · \*\*|$)", re.M)
DATA = re.compile(r"^(?:\*\*Data\*\* )?(\w[\w ]*: [^\[\n]+)\.$", re.M)
CREDIT = re.compile(r"[^;\n]+: [^;\n]+, (?:CC[-0]|public domain)[^;\n]*?(?=\.*(?:;|$))", re.M)


class Slide(NamedTuple):
    """A slide: its kind, which the style sheet knows, what it shows, and the speaker's notes."""

    kind: str
    body: str
    notes: Iterable[str] = ()


def formula(tex: str, options: dict) -> str:
    """A formula as MathML, which browsers draw by themselves."""
    return convert(tex, display="block" if options["display_mode"] else "inline")


MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")
MARKDOWN.use(dollarmath_plugin, renderer=formula)


def rich(text: str, render: Callable[[str], str] = MARKDOWN.renderInline) -> str:
    """Markdown as HTML, of a sentence or two. A link into the course becomes its words."""
    text = re.sub(r"\[([^]]+)\]\((?!https?:)[^)]*\)", r"\1", text)
    spaces = r"(?<=\d) (?=[%°])| (?=[=±×] )|(?<=\S [=±×]) "
    shown = re.sub(spaces, "\N{NO-BREAK SPACE}", render(text))
    return shown.replace("<a href", '<a target="_blank" rel="noopener" href')


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def bare(text: str) -> str:
    """A text on one line, without numbers at arXiv and sentences in brackets."""
    text = re.sub(r",? *\[arXiv:[^]]*\]\([^)]*\)", "", text).replace(" ()", "")
    return re.sub(r"(?:^|(?<=[.!?] ))\([^()]*[.!?]\)(?: |$)", "", " ".join(text.split()))


def sentences(text: str, most: int = 99, letters: int = 9999) -> list[str]:
    """The first sentences of a text, at most so many, and so many letters.

    All is left out from a sentence on that is not ended, but leads to a formula or a list.
    """
    out: list[str] = []
    for said in SENTENCE.findall(bare(text)):
        whole = re.search(r"[.!?][\"”)*]*$", said)
        if not whole or len(out) == most or len(" ".join([*out, said])) > letters:
            break
        out.append(said)
    return out


def prose(text: str, place: int) -> str:
    """The first or the last paragraph of a text, without its heading, if it is prose."""
    pieces = re.split(r"\n\s*\n", re.sub(r"^#.*", "", text, flags=re.M).strip())
    said = re.split(r"\*(?:Try|Only)\b", pieces[place])[0]
    return "" if NO_PROSE.match(said) else bare(said)


def for_room(said: str) -> str:
    """An answer without what it tells the lecturer of people's guesses."""
    clear = re.sub(r"\bThe room [^.]*?: (\w)|: expect [^.]*", lambda m: (m[1] or "").upper(), said)
    return " ".join(one for one in SENTENCE.findall(clear) if not LECTURER.search(one))


def title(name: str) -> str:
    """A part's name as a slide's heading."""
    optional, rest = re.fullmatch(r"(Optional\b[^:]*: )?(?:Live: )?(.*)", name).groups()
    return rich(capital(rest) + (" (optional)" if optional else ""))


def cut(pieces: list[str], most: int, weigh: Callable[[str], int] = lambda _: 1) -> list[list[str]]:
    """Pieces in as few groups as hold at most about so much each, equally full."""
    weights = [weigh(piece) for piece in pieces]
    share = sum(weights) / max(1, -(-sum(weights) // most))
    middles = [end - weight / 2 for end, weight in zip(accumulate(weights), weights, strict=True)]
    placed = zip((middle // share for middle in middles), pieces, strict=True)
    return [[piece for _, piece in group] for _, group in groupby(placed, itemgetter(0))]


def size(text: str, *limits: int) -> str:
    """The class of a text that is longer than so many letters."""
    return ("", "long", "longer")[sum(len(text) > limit for limit in limits)]


def image(mime: str, data: str, alt: str) -> str:
    return f'<img src="data:{mime};base64,{data.strip()}" alt="{html.escape(alt)}">'


def picture(output: NotebookNode) -> str:
    """An output's picture, a film's still, with its words; "" without one."""
    found = [it for it in ("image/png", "image/jpeg") if it in output.get("data", {})]
    return "".join(image(it, output.data[it], output.metadata[it]["alt"]) for it in found[:1])


def learners(cells: Iterable[NotebookNode]) -> list[NotebookNode]:
    """The cells of code, but for an exercise's stub and what the course tests of itself."""
    code = [cell for cell in cells if cell.cell_type == "code"]
    code = [cell for cell in code if GUARD not in cell.metadata.get("tags", [])]
    return [cell for cell in code if not minutes.STUB.search(cell.source)]


def outputs(cells: Iterable[NotebookNode]) -> list[NotebookNode]:
    return [output for cell in learners(cells) for output in cell.outputs]


def texts(cells: list[NotebookNode]) -> Iterator[tuple[str, list[NotebookNode]]]:
    """Each text, with the cells of code that follow it."""
    for place, cell in enumerate(cells):
        if cell.cell_type == "markdown":
            rest = cells[place + 1 :]
            yield cell.source, list(takewhile(lambda c: c.cell_type == "code", rest))


def figures(cells: Iterable[NotebookNode], printed: bool = False) -> list[str]:
    """The pictures and short tables that cells of code show; on request, all that they print."""
    out, text = [], ""
    for cell, output in ((it, output) for it in learners(cells) for output in it.outputs):
        data = output.get("data", {})
        table = re.search(r"(?<=<table)[^>]*(>.*</table>)", data.get("text/html", ""), re.S)
        page = data.get("text/markdown", "```") if PAPERS not in data else "```"
        if drawn := picture(output):
            out.append(f"<figure>{drawn}</figure>{credit(cell, drawn)}")
        elif table and (printed or table[1].count("<tr") < 10):
            letters = min(28, 300 / table[1].count("<tr"))
            plain = re.sub(r'\n| (style|valign)="[^"]*"', "", table[1])
            out.append(f'<figure><table style="font-size: {letters:.1f}px"{plain}</figure>')
        elif printed and not page.startswith("```"):
            pieces = cut(re.split(r"\n\n(?=\*\*)", page), 900, len)
            pages = [rich("\n\n".join(piece), MARKDOWN.render) for piece in pieces]
            out += [f"<figure>{page}</figure>" for page in pages]
        elif printed and output.get("name") == "stdout":
            said = re.sub(r"^.*, (CC[-0]|public domain).*$", "", output.text, flags=re.M)
            text += said.strip("\n") + "\n\n" * bool(said.strip())
    return out + [pre(rows) for rows in cut(text.rstrip().splitlines(), LINES)]


def pre(rows: list[str]) -> str:
    """Printed lines, as large as they fit: few leave room for an answer below."""
    widest = max(map(len, rows))
    wrap = "pre-wrap" if widest > WIDE else "pre"  # a whole paragraph in one line
    most = 26 if widest > WIDE else 16 * WIDE / widest
    letters = min(34, most, (236 if len(rows) <= FEW else 400) / len(rows))
    style = f"font-size: {letters:.1f}px; white-space: {wrap}"
    return f'<figure><pre style="{style}">{html.escape(chr(10).join(rows))}</pre></figure>'


def room(drawn: str) -> int:
    """How many letters may stand below what is shown, and leave it large."""
    if data := re.search(r"base64,([^\"]*)", drawn):
        width, height = Image.open(io.BytesIO(base64.b64decode(data[1]))).size
        return 170 if width > 2.2 * height else 85 if width > 1.4 * height else 0
    return 250 if len(re.findall(r"\n|<tr", drawn)) <= FEW else 0


def credit(cell: NotebookNode, drawn: str) -> str:
    """What the licence of a photograph asks for, if a line holds it. JPEGs hold photographs."""
    asked = [line for line in credits([cell]) if "CC-BY" in line] if "image/jpeg" in drawn else []
    line = html.escape("; ".join(asked))
    return f'<p class="credit">{line}</p>' if 0 < len(line) < 110 else ""


def credits(cells: Iterable[NotebookNode]) -> list[str]:
    """What is to be said of the pictures that cells of code name, or print a line about."""
    cells = learners(cells)
    code = "\n".join(cell.source for cell in cells)
    told = "\n".join(output.get("text", "") for output in outputs(cells))
    out = [said.strip() for said in CREDIT.findall(told)]
    with (ROOT / "data" / "SOURCES.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            path, title = pathlib.Path(row["file"]), row["title"]
            named = rf"(?<![\w.]){path.stem}\b|data\.{path.parent.name[:-1]}_names\("  # or all
            if name := {"mnist_5k": "digits", "fashion_mnist_12k": "clothes"}.get(path.stem):
                named, title = rf"data\.{name}\(", name.capitalize()
            elif path.suffix != ".jpg" or path.parent.name == "examples":
                continue
            if re.search(named, code):
                out.append(f"{title}: {row['author']}, {row['licence']}")
    return list(dict.fromkeys(out))


def answer(question: str, told: guide.Guide) -> str:
    """What TEACHING.md answers to a question, which it may put a little shorter."""
    asked, known = guide.plain(question), [*told.answers, *told.dragged]
    return next((said for short, said in known if asked.startswith(guide.plain(short))), "")


def opening(cells: list[NotebookNode], number: str, told: guide.Guide) -> Slide:
    """The title, with the sentences that promise something and a picture."""
    first, _, rest = cells[0].source.partition("**You will be able to**")
    promise = first.partition("\n")[2]
    source = SOURCE.search(rest)
    foot = minutes.stated(cells) + (f" · {source[0]}" if source else "")
    said = "".join(f"<p>{rich(one)}</p>" for one in sentences(promise))
    body = (
        f'<h1 class="{size(told.title, 32)}">{number} · {rich(told.title)}</h1>\n'
        f'<div class="lead"><div class="{size(promise, 200)}">{said}</div>'
        f'{cover(number, cells)}</div>\n<p class="small">{rich(foot)}</p>'
    )
    return Slide("title", body)


def cover(number: str, cells: list[NotebookNode]) -> str:
    """The picture of a lesson's title: its cover, or one that answers nothing.

    What it opens with, or its largest photographs, or its first plot.
    """
    for path in (ROOT / "cover").glob(f"{number}_*"):
        data = base64.b64encode(path.read_bytes()).decode()
        drawn = image(f"image/{path.suffix[1:]}", data, guide.covers()[path.name])
        return f"<figure>{drawn}</figure>"
    own = [figures(after) for text, after in texts(cells) if not guide.PREDICT.search(text)]
    drawn = [it for some in own for it in some if "<img" in it]
    photographs = [it for it in drawn if "image/jpeg" in it]
    return max(own[0][:1] or photographs, key=len, default=drawn[0])


def part(name: str, cells: list[NotebookNode], told: guide.Guide) -> list[Slide]:
    """A part's heading, and in the lesson's order what its text sets apart and its cells show.

    What is only printed is shown as an answer, or where a part would show nothing else.
    """
    head = title(name or told.title)
    papers = name.startswith("Paper and us")
    for printed in (False, True):
        inner: list[Slide] = []
        for text, after in texts(cells):
            inner += set_apart(head, text, after, told)
            if asked := guide.PREDICT.search(text):
                inner += answers(head, answer(asked[1], told), after)
            else:
                inner += shown(head, text, after, told, printed)
        if papers or not name or any("<figure>" in slide.body for slide in inner):
            break
    lead = " ".join(sentences(prose(EVENT.split(cells[0].source)[0], 0), 2, 240))
    begun = inner and (inner[0].kind == "list" and not lead or name.startswith("Live: "))
    below = compared(cells) if papers else f'<p class="large">{rich(lead)}</p>'
    heading = [] if begun or not name else [Slide("part", f"<h2>{head}</h2>\n{below}")]
    return heading + inner


def set_apart(head: str, text: str, after: list[NotebookNode], told: guide.Guide) -> list[Slide]:
    """The exercises, the questions, and the lists, tables and formulas of a text."""
    out: list[Slide] = []
    pieces = EVENT.split(text)
    for place in range(0, len(pieces) - 1, 7):
        before, which, name, stars, own, asked, apart, rest = pieces[place : place + 8]
        said = SENTENCE.findall(prose(before, -1))
        said = " ".join(said[-2:] if len(" ".join(said[-2:])) < 240 else said[-1:])
        if which:
            hard = f'<span role="img" aria-label="level {len(stars)} of 3">{stars:☆<3}</span>'
            top = f'<p class="kicker">{which} · {hard} · {own} minutes</p>\n'
            stuck = [said for what, said in told.stuck if what.startswith(f"{which},")]
            out.append(
                Slide("exercise", top + exercise(name, rest.partition("\n#")[0], after), stuck)
            )
        elif asked:
            out.append(question(asked, said, prose(rest, 0)))
        else:
            out += [Slide("list", body) for body in definition(head, apart.strip(), said)]
    return out


def question(asked: str, before: str, after: str) -> Slide:
    """A prediction: what it asks, large; above and below it what one must know to answer."""
    large, mark, known = asked.rpartition("?")
    large, known = (large + mark, known) if mark else (known, "")
    known = " ".join([known, *sentences(after, 2, 240)])
    body = (
        f'<p class="kicker">Predict</p>\n<p class="context">{rich(before)}</p>\n'
        f'<h2 class="{size(large, 150, 260)}">{rich(capital(bare(large)))}</h2>\n'
        f'<p class="context">{rich(known.strip())}</p>'
    )
    return Slide("question", body)


def definition(head: str, apart: str, intro: str) -> list[str]:
    """A formula, or as many slides as a table or a list needs."""
    if name := re.fullmatch(r"\*\*(.*)\*\*", intro):
        head, intro = name[1], ""
    top = f"<h2>{head}</h2>\n<p>{rich(intro)}</p>"
    if apart.startswith("$$"):
        lines = apart.strip("$ \n").split(r"\qquad")
        drawn = "".join(MARKDOWN.render(f"$$\n{line.strip()}\n$$") for line in lines)
        letters = [re.sub(r"\\[a-zA-Z]+|[{}^_\\\s]", "", line) for line in lines]
        kind = size(max(letters, key=len), 26, 46)
        return [f'{top}<div class="formula {kind}">{drawn}</div>']
    if apart.startswith("|"):
        names, rule, *rows = apart.splitlines()
        tables = ["\n".join([names, rule, *some]) for some in cut(rows, ITEMS)]
        return [top + rich(table, MARKDOWN.render) for table in tables]
    items = [bare(item.removeprefix("- ")) for item in re.split(r"\n(?=-|\d)", apart)]
    if len("".join(items)) > 700:
        items = [" ".join(sentences(item, letters=220)) or item for item in items]
    return [top + listed(some) for some in cut(items, ITEMS)]


def listed(points: list[str]) -> str:
    """A list, in smaller type the more there is to say."""
    items = "".join(f"<li>{rich(point.strip(';'))}</li>" for point in points)
    return f'<ul class="{size("".join(points) + " " * 50 * len(points), 470, 700)}">{items}</ul>'


def answers(head: str, said: str, after: list[NotebookNode]) -> list[Slide]:
    """What the cells below a question show; then the answer, below it if there is room."""
    seen = figures(after) or figures(after, printed=True)
    words = for_room(said)
    if seen and len(words) <= room(seen[-1]):
        seen[-1] += f"<p>{rich(words)}</p>"
    else:
        seen.append(f'<p class="large">{rich(words)}</p>')
    return [Slide("answer", f'<h2 class="kicker">{head}</h2>\n{it}', [said]) for it in seen]


def shown(
    head: str, text: str, after: list[NotebookNode], told: guide.Guide, printed: bool
) -> list[Slide]:
    """What the cells below a text show; a panel, with what to try on it."""
    out: list[Slide] = []
    for cell in after:
        drawn = figures([cell], printed)
        if drawn and minutes.PANEL.search(cell.source):
            own = [head, *map(title, re.findall(r"^### (?!Exercise)(.*)", text, re.M))]
            tries = ["", *(" ".join(sentences(one, 2, 240)) for one in TRY.findall(text))]
            top = f'<p class="kicker">Live</p>\n<h2>{own[-1]}</h2>\n'
            top += f"<p>{rich(capital(tries[-1]))}</p>"
            notes = [answer(asked, told) for asked in guide.DRAG.findall(text)]
            out.append(Slide("live", top + drawn.pop(0), notes))
        out += [Slide("figure", f'<h2 class="kicker">{head}</h2>\n{it}') for it in drawn]
    return out


def exercise(name: str, task: str, after: list[NotebookNode]) -> str:
    """What is to be done in an exercise, as its text says it, or its function's docstring."""
    stub = next((cell.source for cell in after if minutes.STUB.search(cell.source)), "")
    docstring = re.search(r'"""(.*?)(?:\n\n|""")', stub, re.S)
    do = sentences(task.split("```")[0], 4, 400) or sentences(docstring[1] if docstring else name)
    function = re.search(r"^(\w+) = check", stub, re.M)
    head = f"<code>{function[1]}</code>" if function else rich(name)
    return f'<h2>{head}</h2>\n<p class="large">{rich(" ".join(do))}</p>'


def compared(cells: list[NotebookNode]) -> str:
    """The first rows of a lesson's comparison with its papers, of those that give a number."""
    rows = [row for output in outputs(cells) for row in output.get("data", {}).get(PAPERS, [])]
    lines = "".join(
        f'<tr><th scope="row">{rich(row["quantity"])}</th>'
        f"<td>{row['value'] or 'in words'} {row['unit'] * bool(row['value'])}</td>"
        f"<td>{row['ours']} {row['unit']}</td><td>{row['verdict']}</td>"
        f"<td>{rich(row['why'] or row['our_settings'])}</td></tr>"
        for row in ([row for row in rows if row["value"]] or rows)[:6]
    )
    names = ("what", "paper", "ours", "verdict", "why")
    head = "".join(f'<th scope="col">{what}</th>' for what in names)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>" if lines else ""


def ending(cells: list[NotebookNode]) -> list[Slide]:
    """What was seen, the next lesson, and whose the pictures are."""
    text = minutes.by_part(cells)["What you saw"][0].source
    match = NEXT.search(text)
    seen = listed(sentences(prose(text, 0)))
    following = f'<p class="kicker">{match[1]}</p>\n<h2>{rich(match[2])}</h2>\n'
    following += f'<p class="large">{rich(match[3].strip(" ,:."))}</p>'
    lines = credits(cells)
    starts = tuple(line.partition(":")[0] for line in lines)
    lines += [
        line for line in DATA.findall(text[match.end() :]) if line.partition(":")[0] not in starts
    ]
    said = html.escape("; ".join(lines))
    pictures = f'<h2>Pictures and data</h2>\n<p class="{size(said, 500)} credits">{said}.</p>'
    out = [Slide("list", f"<h2>What you saw</h2>\n{seen}"), Slide("end", following)]
    return [*out, Slide("list", pictures)] if lines else out


def deck(number: str) -> str:
    """A lesson's deck, a page of HTML. A part's note is with each of its slides."""
    cells = guide.cells(number)
    told, spent = guide.guides()[number], guide.spent(number)
    stuck = [f"**{what}** {said}" for what, said in told.stuck if not what.startswith("Exercise")]
    pages: list[str] = []
    for name, own in minutes.by_part(cells).items():
        total, exercises = spent[name]
        lasts = f"This part: {total} minute{'s' * (total > 1)}"
        lasts += f", {exercises} of them for exercises." if exercises else "."
        note = told.notes.get(guide.plain(name), "" if name else told.about)
        made = ending(cells) if name == "What you saw" else part(name, own, told)
        for kind, body, notes in made if name else [opening(cells, number, told), *made]:
            works = kind in ("exercise", "live")
            foot = f"Now in the notebook: run lesson {number} up to here."
            foot = f'<p class="small foot">{foot}</p>\n' if works else ""
            helps = stuck if works or len(pages) == 1 else []
            said = "".join(f"<p>{rich(it)}</p>" for it in [*notes, note, *helps, lasts] if it)
            pages.append(
                f'<section class="{kind}">\n{body}\n{foot}'
                f'<aside class="notes">{said}</aside>\n</section>'
            )
    page = string.Template((OURS / "deck.html").read_text(encoding="utf-8"))
    return page.substitute(title=html.escape(f"{number} · {told.title}"), slides="\n".join(pages))


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
