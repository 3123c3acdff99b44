"""What holds for every lesson: its anatomy, and that it runs as well with every exercise solved.
nbval runs it as it is."""

import ast
import base64
import builtins
import io
import re
import symtable
from collections import Counter

import nbformat
import numpy as np
import pytest
import tidy
from PIL import Image
from refresh import run

from trickkit import folders
from trickkit.scorecard import can_fail

LESSONS = sorted((folders.ROOT / "notebooks").glob("*.ipynb"))
STUB = re.compile(r"^(\w+) = check\.(\w+)\(\1\)$", re.MULTILINE)


def book(path):
    return nbformat.read(path, as_version=4)


def code(path):
    return [c for c in book(path).cells if c.cell_type == "code"]


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_every_picture_has_alt_text_and_every_cell_was_run(path):
    assert path.stat().st_size < 2e6
    for cell in code(path):
        assert cell.execution_count, cell.source
        for output in cell.outputs:
            for mime in output.get("data", {}):
                if mime.startswith("image/"):
                    assert len(output.metadata[mime]["alt"]) > 20


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_no_title_is_cut(path):
    """No dark ink at the edges of a figure's first lines, where its title stands."""
    for cell in code(path):
        for output in cell.outputs:
            if stored := output.get("data", {}).get("image/png"):
                picture = Image.open(io.BytesIO(base64.b64decode(stored))).convert("L")
                lines = np.asarray(picture)[:34]
                assert lines[:, [0, 1, -2, -1]].min() > 120, output.data["text/plain"][:80]


def names(tree, context=ast.expr_context):
    """How often each name stands in a piece of code; ast.Store counts where it is assigned."""
    return Counter(
        n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, context)
    )


def imported(trees):
    """What imports bring in: the same whatever a cell works out."""
    nodes = (node for tree in trees for node in ast.walk(tree))
    imports = (node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom))
    return {(alias.asname or alias.name).partition(".")[0] for i in imports for alias in i.names}


def asserted(tree):
    """What a cell asserts: its `assert`s, and the rows of a table of papers, each with a band."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            yield node.test
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("compare", "papers.compare"):
            yield from node.args


def guarded(cell, following, *, known=frozenset()):
    """Whether an assertion in a cell, or in the one after it, hangs on what the cell works with.

    known: names that say nothing of that, such as what was imported.
    """
    used = names(cell)
    for node in ast.walk(cell):
        if isinstance(node, ast.Assert):
            used -= names(node.test)
    used = used.keys() - known
    theirs = used - names(following, ast.Store).keys()  # what it assigns anew is another thing
    return any(
        can_fail(test) and names(test).keys() & about
        for tree, about in ((cell, used), (following, theirs))
        for test in asserted(tree)
    )


@pytest.mark.parametrize(
    ("cell", "following", "is_guarded"),
    [
        ("a = f(b)\nassert a > 1", "", True),
        ("a = f(b)", "assert b > 1", True),
        ("a = f(b)", "compare(Row('id', a, (0, 1)))", True),
        ("a = f(b)\nprint('assert a > 1')", "c = 1  # assert a > 1", False),
        ("a = f(b)\nassert c > 1", "assert all(d > 1 for d in c)", False),
        ("a = f(b)", "a = 2\nassert a > 1", False),
        ("a = f(b)\nassert True", "assert (a > 1, 'a')", False),
        ("a = f(b)\nassert a == a", "assert a > 1 or True", False),
        ("a = f(b)\nassert torch.cuda.is_available()", "", False),
    ],
)
def test_what_counts_as_guarded(cell, following, is_guarded):
    known = {"torch", "f"}
    assert guarded(ast.parse(cell), ast.parse(following), known=known) == is_guarded


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_a_cell_that_is_not_compared_is_guarded_by_an_assertion(path):
    cells = code(path)
    trees = [ast.parse(cell.source) for cell in cells]
    known = imported(trees) | set(dir(builtins))
    for cell, tree, following in zip(cells, trees, [*trees[1:], ast.parse("")], strict=True):
        if "nbval-ignore-output" in cell.metadata.get("tags", []):
            assert guarded(tree, following, known=known), cell.source


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_assertions_stand_in_folded_cells_alone(path):
    for cell in code(path):
        asserts = any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(cell.source)))
        assert asserts == (tidy.GUARD in cell.metadata.get("tags", [])), cell.source


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_short_cells_and_five_imports(path):
    cells = code(path)
    assert len([x for x in cells[0].source.splitlines() if x]) <= 5 and "import" in cells[0].source
    for cell in cells:
        assert len([x for x in cell.source.splitlines() if x.strip()]) <= 25


def given_values(source):
    """The names that a cell gives a value to, outside the functions that it defines."""
    symbols = symtable.symtable(source, "cell", "exec").get_symbols()
    return {s.get_name() for s in symbols if s.is_assigned() or s.is_imported()}


def read_when_called(source):
    """Each function of a cell, with the names that it reads from outside when it is called."""

    def read(table):
        own = {s.get_name() for s in table.get_symbols() if s.is_global()}
        return own.union(*map(read, table.get_children()))

    children = symtable.symtable(source, "cell", "exec").get_children()
    return {child.get_name(): read(child) for child in children}


def overwritten(cells):
    """What a panel reads whenever a control moves, and a later cell gives another value."""
    found, reads = set(), {}
    for place, source in enumerate(cells):
        reads |= read_when_called(source)
        for drawn in re.findall(r"widgets\.panel\(\s*(\w+)", source):
            needed, new = set(), {drawn}
            while new:
                needed |= new
                new = set().union(*(reads.get(name, ()) for name in new)) - needed
            found |= needed & set().union(*map(given_values, cells[place + 1 :]))
    return found


def test_what_counts_as_overwritten():
    cells = [
        "import os\nn = 1\ndef f():\n    return n",
        "def draw(x):\n    m = 2\n    return f()\nwidgets.panel(draw, x=1)",
    ]
    assert overwritten(cells + ["m = 3; x = 4", "def g():\n    n = 2"]) == set()
    assert overwritten(cells + ["for n in 'ab':\n    pass"]) == {"n"}
    assert overwritten(cells + ["def f():\n    return 2"]) == {"f"}


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_a_panel_works_to_the_end_of_the_lesson(path):
    assert not overwritten([cell.source for cell in code(path)])


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_no_cell_reads_what_a_guard_worked_out(path):
    """A guard only asserts: whoever takes it out changes nothing below."""
    guards = set()  # the names that have their value from a guard
    for cell in code(path):
        given = given_values(cell.source)
        if tidy.GUARD in cell.metadata.get("tags", []):
            guards |= given
        else:
            symbols = symtable.symtable(cell.source, "cell", "exec").get_symbols()
            read = {s.get_name() for s in symbols if s.is_referenced()}
            read = read.union(*read_when_called(cell.source).values()) - given
            assert not read & guards, cell.source
            guards -= given


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_no_path_of_a_machine(path):
    text = path.read_text(encoding="utf-8")
    assert str(folders.ROOT) not in text and "site-packages" not in text and "/home/" not in text


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_links_between_lessons_lead_somewhere(path):
    for cell in book(path).cells:
        for target in re.findall(r"\]\(([^)]+\.ipynb)\)", cell.source):
            assert (path.parent / target).exists(), target


@pytest.mark.solved
@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_the_lesson_runs_with_every_exercise_solved(path):
    """What this shows beyond the stored run: a check hands back the answer bound to the learner's
    signature, so that both run the same functions, called alike.
    """
    solved = book(path)
    names = []
    for cell in solved.cells:
        for name, exercise in STUB.findall(cell.source) if cell.cell_type == "code" else []:
            stub = next(
                n
                for n in ast.parse(cell.source).body
                if isinstance(n, ast.FunctionDef) and n.name == name
            )
            asked = [a.arg for a in stub.args.args]
            imports = cell.source.partition("def ")[0]
            cell.source = (
                f"{imports}def {name}({ast.unparse(stub.args)}):\n    return"
                f" check.{exercise}.by_place({', '.join(asked)})\n\n\n{name} ="
                f" check.{exercise}({name})"
            )
            names.append(exercise)
    said = "".join(
        o.text
        for c in run(solved, path.parent).cells
        if c.cell_type == "code"
        for o in c.outputs
        if "text" in o
    )
    assert names and all(f"{name}: right." in said for name in names)
