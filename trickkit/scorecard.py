"""The ML Test Score of this very repository, read off its tests.

Breck, Cai, Nielsen, Salib and Sculley 2017, "The ML Test Score: A Rubric for ML Production
Readiness and Technical Debt Reduction": 28 things to test, seven in each of four sections. Each
earns a point if it is tested automatically, half a point if it is done by hand and written down.

The paper asks all this of one system. Here a point is given for what `make test` tests somewhere in
the course, of one model or table at least; the bicycles of lesson 20 count, though we only pretend
to serve them. That flatters. So does how tests are found: see `asserts`.
"""

import ast
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from trickkit import folders

SECTIONS = ("data", "model", "infrastructure", "monitoring")


class Criterion(NamedTuple):
    """One of the 28 things, and what this repository has of it."""

    section: str
    asks: str
    tests: tuple[str, ...] = ()  # "FILE::what it asserts": a point while all of them are there
    by_hand: str = ""  # "FILE::words" that stand in it: half a point


LESSON = "notebooks/20_technical_debt.ipynb"
CRITERIA = (
    Criterion(
        "data",
        "what is expected of each feature stands in a schema",
        (
            "tests/test_technical_debt.py::test_each_input_is_what_it_should_be",
            "tests/test_monitors.py::test_the_bicycles_keep_their_contract_but_for_four_days",
        ),
    ),
    Criterion("data", "every feature is of use", (f"{LESSON}::assert useless ==",)),
    Criterion("data", "no feature costs too much"),
    Criterion(
        "data",
        "features keep to the rules from above, such as licences",
        ("tests/test_data.py::test_every_file_is_listed_and_as_shipped",),
    ),
    Criterion(
        "data",
        "what is private stays private",
        (
            "tests/test_studio.py::"
            "test_nothing_secret_stands_where_others_of_this_computer_can_read_it",
            "tests/test_jobs.py::test_a_gallery_is_for_its_owners_eyes_and_names_never_clash",
        ),
    ),
    Criterion("data", "a new feature is quickly added"),
    Criterion(
        "data",
        "the code that makes features is tested",
        (
            "tests/test_mes.py::test_blocks_count_the_ink",
            "tests/test_zoo.py::test_shrunken_averages_four_pixels_inside_the_margin",
            "tests/test_bert.py::test_the_tokens_are_the_original_tokenizers",
        ),
    ),
    Criterion("model", "every specification is reviewed and kept"),
    Criterion("model", "the metric offline follows the one online"),
    Criterion("model", "hyperparameters have been tuned"),
    Criterion(
        "model", "what an old model costs is known", (f"{LESSON}::assert abs(expected.sum() /",)
    ),
    Criterion(
        "model",
        "a simpler model is not better",  # here it is: a point is for running the test
        (f"{LESSON}::assert simple <",),
    ),
    Criterion(
        "model",
        "quality holds on the slices that matter",
        (
            "tests/test_slices.py::test_digits_thin_thick_and_dim",
            "tests/test_slices.py::test_clothes_by_class_and_light",
            "tests/test_slices.py::test_shoes_that_face_right_are_not_read",
            "tests/test_slices.py::test_photographs_mirrored_and_dim",
        ),
    ),
    Criterion(
        "model",
        "tested for whom it leaves out",
        ("tests/test_inclusion.py::test_the_sentence_network_has_learned_who_does_which_work",),
    ),
    Criterion(
        "infrastructure",
        "training can be repeated",
        ("tests/test_training.py::test_training_is_deterministic_and_learns",),
    ),
    Criterion(
        "infrastructure",
        "the code of models has unit tests",
        (
            "tests/test_models.py::test_vgg_features_are_torchvisions_network",
            "tests/test_models.py::test_dinov2_read_is_timms_plain_forward",
        ),
    ),
    Criterion(
        "infrastructure",
        "the whole pipeline is tested at once",  # bicycles: data, training, serving, watching
        ("tests/test_monitors.py::test_a_year_is_rehearsed_fault_by_fault",),
    ),
    Criterion(
        "infrastructure",
        "a model's quality is tested before it serves",
        ("tests/test_defences.py::test_the_shipped_networks_do_what_they_were_trained_for",),
    ),
    Criterion(
        "infrastructure",
        "one example can be followed step by step",
        ("tests/test_activations.py::test_reading_layers_leaves_the_model_as_it_was",),
    ),
    Criterion("infrastructure", "a few users get a new model first"),
    Criterion("infrastructure", "a model can be rolled back"),
    Criterion("monitoring", "a dependency that changes is announced"),
    Criterion(
        "monitoring",
        "inputs are checked when they come",
        (
            "tests/test_contract.py::test_what_does_not_fit_is_refused_in_words",
            "tests/test_contract.py::test_images_of_another_type_or_size_are_told_what_to_do",
        ),
    ),
    Criterion(
        "monitoring",
        "training and serving compute the same features",
        (
            "tests/test_models.py::test_dinov2_says_what_the_original_says",
            "tests/test_bert.py::test_the_tokens_are_the_original_tokenizers",
        ),
    ),
    Criterion(
        "monitoring",
        "no model is too old",  # each month has its own; hours of a month without one are refused
        (
            "tests/test_monitors.py::test_a_month_is_forecast_by_a_model_that_has_not_seen_it",
            "tests/test_monitors.py::test_a_month_without_a_model_of_its_own_is_refused",
        ),
    ),
    Criterion(
        "monitoring",
        "numbers stay numbers",
        ("tests/test_contract.py::test_logits_of_no_number_are_no_answer",),
    ),
    Criterion(
        "monitoring",
        "speed and memory are watched",
        by_hand="CONTRIBUTING.md::| figures of speed in the README | `make bench`",
    ),
    Criterion(
        "monitoring",
        "the quality of what is served is watched",
        ("tests/test_monitors.py::test_who_sees_what_in_june",),
    ),
)


def can_fail(test: ast.expr) -> bool:
    """Whether an assertion can: no constant, nothing compared with itself, no constant after an
    `or`.
    """
    for node in ast.walk(test):
        if isinstance(node, ast.Compare):
            if len({ast.dump(side) for side in (node.left, *node.comparators)}) == 1:
                return False
        elif isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
            if any(isinstance(value, ast.Constant) for value in node.values):
                return False
    return not isinstance(test, ast.Constant | ast.Tuple)


def is_check(node: ast.AST) -> bool:
    """Whether a piece of code is an assert that `can_fail`."""
    return isinstance(node, ast.Assert) and can_fail(node.test)


def names_called(node: ast.AST) -> set[str]:
    """The names of all that is called: `raises` for `pytest.raises(…)`, and for `raises(…)`."""
    calls = [part.func for part in ast.walk(node) if isinstance(part, ast.Call)]
    return {c.attr if isinstance(c, ast.Attribute) else getattr(c, "id", "") for c in calls}


def left_out(*marks: ast.AST) -> bool:
    """Whether one of the marks keeps `make test` from running a test, or from minding it."""
    words = " ".join(map(ast.unparse, marks))
    return any(mark in words for mark in ("skip", "xfail", "solved"))


def asserts(test: ast.FunctionDef) -> bool:
    """Whether `make test` runs a test that asserts something, or waits for an error.

    It does not see whether the assert is reached: one after `return`, in a function that nobody
    calls, or within `try` counts, and so does a test with an empty list of parameters.
    """
    calls = names_called(test)
    checked = any(map(is_check, ast.walk(test))) or any(
        call == "raises" or call.startswith("assert_") for call in calls
    )
    return checked and not left_out(*test.decorator_list) and not calls & {"skip", "importorskip"}


def tests_of(module: ast.Module) -> list[str]:
    """The names of a file's tests that `make test` runs and that assert something."""
    marks = [
        node.value
        for node in module.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
    ]
    top = [node for node in module.body if not isinstance(node, ast.FunctionDef | ast.ClassDef)]
    if left_out(*marks) or any(names_called(node) & {"skip", "importorskip"} for node in top):
        return []
    functions = [node for node in module.body if isinstance(node, ast.FunctionDef)]
    return [f.name for f in functions if f.name.startswith("test_") and asserts(f)]


def named_tests(*, root: pathlib.Path = folders.ROOT) -> set[str]:
    """The tests of a repository as "tests/FILE::name"; the files are read, and nothing is run.

    A test that is skipped, or that asserts nothing, is none; nor are the methods of classes.

    root: the folder that holds `tests`.
    Raises FileNotFoundError where there are none.
    """
    files = sorted((root / "tests").rglob("test_*.py"))
    if not files:
        raise FileNotFoundError(f"There are no tests in {root / 'tests'}; take the repository's.")
    return {
        f"{file.relative_to(root).as_posix()}::{name}"
        for file in files
        for name in tests_of(ast.parse(file.read_text(encoding="utf-8")))
    }


def asserted(root: pathlib.Path, lesson: str, words: str) -> bool:
    """Whether an assert in a lesson's code begins with these words, so that running it tests them.

    Cells that are not run, or that may fail, are passed over.

    Raises SyntaxError for a cell that is no plain Python.
    """
    if not (root / lesson).is_file():
        return False
    for cell in json.loads((root / lesson).read_text(encoding="utf-8"))["cells"]:
        tags = set(cell["metadata"].get("tags", ()))
        if cell["cell_type"] != "code" or tags & {"nbval-skip", "raises-exception"}:
            continue
        statements = ast.walk(ast.parse("".join(cell["source"])))
        if any(is_check(part) and ast.unparse(part).startswith(words) for part in statements):
            return True
    return False


def repository_points(
    *, root: pathlib.Path = folders.ROOT, without: Sequence[str] = ()
) -> dict[str, list[float]]:
    """The points of each of the `CRITERIA`, by section: 1, ½ or 0.

    A point is given for the test's being there. Whether it passes is for `make test` to say, and
    whether it is any good, for whoever reads it.

    root: of the repository.
    without: files that are not counted, such as "tests/test_slices.py".
    """
    there = named_tests(root=root)

    def stands(test):
        file, _, words = test.partition("::")
        if file in without:
            return False
        return asserted(root, file, words) if file.endswith(".ipynb") else test in there

    def written(passage):
        file, _, words = passage.partition("::")
        document = root / file
        return bool(words) and document.is_file() and words in document.read_text(encoding="utf-8")

    points: dict[str, list[float]] = {section: [] for section in SECTIONS}
    for criterion in CRITERIA:
        tested = bool(criterion.tests) and all(map(stands, criterion.tests))
        points[criterion.section].append(
            1.0 if tested else 0.5 if written(criterion.by_hand) else 0.0
        )
    return points


def ml_test_score(points: Mapping[str, Sequence[float]]) -> float:
    """The score: the sum of the section that has the least.

    Breck 2017, section VI.

    points: by section, 0, ½ or 1 for each thing in it; an empty section has 0.
    Raises ValueError for no sections, and for other points.
    """
    if not points:
        raise ValueError("No section came; the score is that of the lowest.")
    for section, given in points.items():
        if not np.isin(np.asarray(given, float), (0, 0.5, 1)).all():
            raise ValueError(f"The points of {section} are {list(given)}; 0, 0.5 or 1 are wanted.")
    return float(min(sum(given) for given in points.values()))
