"""The ML Test Score of this very repository, read off the names of its tests.

Breck, Cai, Nielsen, Salib and Sculley 2017, "The ML Test Score: A Rubric for ML Production
Readiness and Technical Debt Reduction": 28 things to test, seven in each of four sections. Each
earns a point if it is tested automatically, half a point if it is done by hand and written down.
"""

import ast
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
    tests: tuple[str, ...] = ()  # by file and name: the point is there while all of them are
    by_hand: str = ""  # "FILE: words" that stand in it: half a point


CRITERIA = (
    Criterion("data", "what is expected of each feature stands in a schema"),
    Criterion("data", "every feature is of use"),
    Criterion(
        "data", "no feature costs too much", ("test_data.py::test_the_data_fit_the_repository",)
    ),
    Criterion(
        "data",
        "features keep to the rules from above, such as licences",
        ("test_data.py::test_every_file_is_listed_and_as_shipped",),
    ),
    Criterion(
        "data",
        "what is private stays private",
        (
            "test_studio.py::test_nothing_secret_stands_where_others_of_this_computer_can_read_it",
            "test_jobs.py::test_a_gallery_is_for_its_owners_eyes_and_names_never_clash",
        ),
    ),
    Criterion("data", "a new feature is quickly added", by_hand="CONTRIBUTING.md: ## A data file"),
    Criterion(
        "data",
        "the code that makes features is tested",
        (
            "test_mes.py::test_blocks_count_the_ink",
            "test_zoo.py::test_shrunken_averages_four_pixels_inside_the_margin",
        ),
    ),
    Criterion(
        "model",
        "every specification is reviewed and kept",
        by_hand="CONTRIBUTING.md: that the course trains come from `make weights`",
    ),
    Criterion("model", "the metric offline follows the one online"),
    Criterion("model", "hyperparameters have been tuned"),
    Criterion("model", "what an old model costs is known"),
    Criterion(
        "model",
        "a simpler model is not better",
        by_hand="notebooks/18_rule_lists.ipynb: ## Is a list enough?",
    ),
    Criterion(
        "model",
        "quality holds on the slices that matter",
        (
            "test_slices.py::test_digits_thin_thick_and_dim",
            "test_slices.py::test_clothes_by_class_and_light",
            "test_slices.py::test_shoes_that_face_right_are_not_read",
        ),
    ),
    Criterion(
        "model",
        "tested for whom it leaves out",
        (
            "test_inclusion.py::test_the_sentence_network_has_learned_who_does_which_work",
            "test_inclusion.py::test_the_photograph_network_knows_a_groom_and_no_bride",
        ),
    ),
    Criterion(
        "infrastructure",
        "training can be repeated",
        ("test_training.py::test_training_is_deterministic_and_learns",),
    ),
    Criterion(
        "infrastructure",
        "the code of models has unit tests",
        ("test_models.py::test_vgg_features_are_torchvisions_network",),
    ),
    Criterion(
        "infrastructure",
        "the whole pipeline is tested at once",
        ("test_lessons.py::test_the_lesson_runs_with_every_exercise_solved",),
    ),
    Criterion(
        "infrastructure",
        "a model's quality is tested before it serves",
        ("test_defences.py::test_the_shipped_networks_do_what_they_were_trained_for",),
    ),
    Criterion(
        "infrastructure",
        "one example can be followed step by step",
        ("test_activations.py::test_reading_layers_leaves_the_model_as_it_was",),
    ),
    Criterion("infrastructure", "a few users get a new model first"),
    Criterion("infrastructure", "a model can be rolled back"),
    Criterion(
        "monitoring",
        "a dependency that changes is announced",
        ("test_setup.py::test_every_requirement_is_pinned_and_no_host_is_named",),
    ),
    Criterion(
        "monitoring",
        "inputs are checked when they come",
        ("test_anything.py::test_a_function_answers_or_refuses_and_changes_nothing",),
    ),
    Criterion(
        "monitoring",
        "training and serving compute the same features",
        (
            "test_models.py::test_dinov2_says_what_the_original_says",
            "test_bert.py::test_the_tokens_are_the_original_tokenizers",
        ),
    ),
    Criterion("monitoring", "no model is too old"),
    Criterion(
        "monitoring",
        "numbers stay numbers",
        ("test_contract.py::test_logits_of_no_number_are_no_answer",),
    ),
    Criterion("monitoring", "speed and memory are watched", by_hand="README.md: ## What it costs"),
    Criterion("monitoring", "the quality of what is served is watched"),
)


def named_tests(*, root: pathlib.Path = data.ROOT) -> set[str]:
    """The tests of a repository as "file::name"; the files are read, and nothing is run.

    root: the folder that holds `tests`.
    Raises FileNotFoundError where there are none.
    """
    files = sorted((root / "tests").rglob("test_*.py"))
    if not files:
        raise FileNotFoundError(f"There are no tests in {root / 'tests'}; take the repository's.")
    return {
        f"{file.name}::{node.name}"
        for file in files
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def repository_points(
    *, root: pathlib.Path = data.ROOT, without: Sequence[str] = ()
) -> dict[str, list[float]]:
    """The points of each of the `CRITERIA`, by section: 1, ½ or 0.

    A point is given for the test's being there. Whether it passes is for `make test` to say.

    root: of the repository.
    without: files of tests that are not counted, such as "test_slices.py".
    """
    there = {test for test in named_tests(root=root) if test.split("::")[0] not in without}
    points: dict[str, list[float]] = {section: [] for section in SECTIONS}
    for criterion in CRITERIA:
        tested = bool(criterion.tests) and there.issuperset(criterion.tests)
        file, _, words = criterion.by_hand.partition(": ")
        document = root / file
        written = bool(words) and document.is_file()
        written = written and words in document.read_text(encoding="utf-8")
        points[criterion.section].append(1.0 if tested else 0.5 if written else 0.0)
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
