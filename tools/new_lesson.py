"""Begin a lesson: everything that one has, small, and passing every test, to be written over.

    python tools/new_lesson.py 22_my_lesson

makes the notebook (run, with outputs), a module of the package, the exercise's check, their tests,
and a row for the paper's number, all from tools/template; then it brings the maps up to date.
Nothing that is there already is written over.
"""

import pathlib
import re
import subprocess
import sys

import nbformat
import refresh

ROOT = pathlib.Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "tools" / "template"


def notebook(text: str) -> nbformat.NotebookNode:
    """A notebook from cells that begin with a line `%% text` or `%% code`."""
    book = nbformat.v4.new_notebook()
    make = {"text": nbformat.v4.new_markdown_cell, "code": nbformat.v4.new_code_cell}
    for cell in text.split("%% ")[1:]:
        kind, _, source = cell.partition("\n")
        book.cells.append(make[kind](source.strip()))
    return book


def begin(name: str, *, root: pathlib.Path = ROOT) -> list[pathlib.Path]:
    """Write a new lesson's files.

    name: NN_name, the notebook's; the module is called name.
    root: where the course lies.
    Returns what was written, the notebook first.
    Raises ValueError for a name of another form, FileExistsError for one that is taken.
    """
    match = re.fullmatch(r"(\d\d)_([a-z][a-z0-9_]*)", name)
    if not match:
        raise ValueError(
            f"A lesson is called like 22_my_lesson, two digits and a name; {name!r} came."
        )
    number, module = match.groups()
    files = {
        root / "notebooks" / f"{name}.ipynb": "lesson.ipynb",
        root / "trickkit" / f"{module}.py": "method.py",
        root / "trickkit" / "check" / f"{module}.py": "check.py",
        root / "tests" / f"test_{module}.py": "test_method.py",
        root / "tests" / "check" / f"test_{module}.py": "test_check.py",
    }
    taken = [str(path.relative_to(root)) for path in files if path.exists()]
    taken += [
        lesson.name
        for lesson in (root / "notebooks").glob(f"{number}_*.ipynb")
        if lesson.stem != name
    ]
    if taken:
        raise FileExistsError(f"Nothing was written, for there is already {', '.join(taken)}.")
    fields = {
        "number": number,
        "module": module,
        "lesson": f"{number} {module}",
        "title": module.replace("_", " ").capitalize(),
        "paper": f"todo-{module}",
    }
    for path, template in files.items():
        text = (TEMPLATE / f"{template}.txt").read_text(encoding="utf-8")
        text = re.sub(r"\{\{(\w+)\}\}", lambda field: fields[field[1]], text)
        if path.suffix == ".ipynb":
            book = notebook(text)
            book.metadata["trickkit"] = {"does": "TODO: what one does in it", "papers": "TODO"}
            nbformat.write(book, path)
        else:
            path.write_text(text, encoding="utf-8", newline="\n")
    number_of_paper = (
        f"{fields['paper']}/dimmed,TODO,TODO: where,photos read as before,,%,in words: TODO\n"
    )
    with open(root / "data" / "papers.csv", "a", encoding="utf-8", newline="\n") as papers:
        papers.write(number_of_paper)
    return list(files)


def main(name: str) -> None:
    try:
        written = begin(name)
    except (ValueError, FileExistsError) as error:
        sys.exit(str(error))
    for tidied in (["format"], ["check", "--fix"]):
        subprocess.run([sys.executable, "-m", "ruff", *tidied, "--quiet", *written], check=True)
    refresh.main([str(written[0])])
    for step in ([str(ROOT / "tools" / "maps.py")], ["-m", "trickkit.papers"]):
        subprocess.run([sys.executable, *step], check=True, cwd=ROOT)
    print("\n".join(str(path.relative_to(ROOT)) for path in written[1:]))
    print(
        f"Now: make test LESSON={name[:2]}, then write over what says TODO. CONTRIBUTING.md helps."
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
