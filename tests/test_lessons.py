"""What holds for every lesson: its anatomy, and that it runs as well with every exercise solved.
nbval runs it as it is."""

import ast
import re

import nbformat
import pytest
from refresh import run

from trickkit import data

LESSONS = sorted((data.ROOT / "notebooks").glob("*.ipynb"))
STUB = re.compile(r"^(\w+) = check\.(\w+)\(\1\)$", re.MULTILINE)


def book(path):
    return nbformat.read(path, as_version=4)


def code(path):
    return [c for c in book(path).cells if c.cell_type == "code"]


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_every_picture_has_alt_text_and_every_cell_was_run(path):
    assert path.stat().st_size < 1.5e6
    for cell in code(path):
        assert cell.execution_count, cell.source
        for output in cell.outputs:
            for mime in output.get("data", {}):
                if mime.startswith("image/"):
                    assert len(output.metadata[mime]["alt"]) > 20


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_a_cell_that_is_not_compared_is_guarded_by_an_assertion(path):
    cells = code(path)
    for i, cell in enumerate(cells):
        if "nbval-ignore-output" in cell.metadata.get("tags", []):
            assert any("assert " in c.source for c in cells[i : i + 2]), cell.source


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_short_cells_and_five_imports(path):
    cells = code(path)
    assert len([x for x in cells[0].source.splitlines() if x]) <= 5 and "import" in cells[0].source
    for cell in cells:
        assert len([x for x in cell.source.splitlines() if x.strip()]) <= 25


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_no_path_of_a_machine(path):
    text = path.read_text(encoding="utf-8")
    assert str(data.ROOT) not in text and "site-packages" not in text and "/home/" not in text


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
            cell.source = (
                f"def {name}({', '.join(asked)}):\n    return"
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
