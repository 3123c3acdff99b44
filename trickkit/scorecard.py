"""The ML Test Score of this very repository, read off its tests.

Breck, Cai, Nielsen, Salib and Sculley 2017, "The ML Test Score: A Rubric for ML Production
Readiness and Technical Debt Reduction": 28 things to test, seven in each of four sections. Each
earns a point if it is tested automatically, half a point if it is done by hand and written down.

The paper asks all this of one system. Here a point is given for what `make test` tests somewhere in
the course, of one model or table at least.
"""

import ast
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from trickkit import data

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
        ("tests/test_monitors.py::test_the_bicycles_keep_their_contract_but_for_four_days",),
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
        "a simpler model is not better",
        by_hand="notebooks/18_rule_lists.ipynb::## Is a list enough?",
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
    Criterion(
        "monitoring",
        "a dependency that changes is announced",
        by_hand="CONTRIBUTING.md::its version in `constraints.txt`, then `make test",
    ),
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
    Criterion("monitoring", "no model is too old"),
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
    Criterion("monitoring", "the quality of what is served is watched"),
)


def asserts(test: ast.FunctionDef) -> bool:
    """Whether `make test` runs a test, and the test can fail: it asserts something, or waits for an
    error.
    """
    marks = " ".join(map(ast.unparse, test.decorator_list))
    parts = list(ast.walk(test))
    calls = [part.func for part in parts if isinstance(part, ast.Call)]
    called = {call.attr for call in calls if isinstance(call, ast.Attribute)}
    checked = any(isinstance(part, ast.Assert) for part in parts)
    left_out = "skip" in called or any(mark in marks for mark in ("skip", "xfail", "solved"))
    return not left_out and (checked or bool(called & {"raises", "assert_close"}))


def named_tests(*, root: pathlib.Path = data.ROOT) -> set[str]:
    """The tests of a repository as "tests/FILE::name"; the files are read, and nothing is run.

    A test that is skipped, or that asserts nothing, is none.

    root: the folder that holds `tests`.
    Raises FileNotFoundError where there are none.
    """
    files = sorted((root / "tests").rglob("test_*.py"))
    if not files:
        raise FileNotFoundError(f"There are no tests in {root / 'tests'}; take the repository's.")
    return {
        f"{file.relative_to(root).as_posix()}::{node.name}"
        for file in files
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and asserts(node)
    }


def asserted(root: pathlib.Path, lesson: str, words: str) -> bool:
    """Whether a line of a lesson's code begins with these words, so that running it tests them."""
    if not (root / lesson).is_file():
        return False
    cells = json.loads((root / lesson).read_text(encoding="utf-8"))["cells"]
    lines = [
        line
        for cell in cells
        if cell["cell_type"] == "code" and "nbval-skip" not in cell["metadata"].get("tags", ())
        for line in "".join(cell["source"]).splitlines()
    ]
    return any(line.strip().startswith(words) for line in lines)


def repository_points(
    *, root: pathlib.Path = data.ROOT, without: Sequence[str] = ()
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
