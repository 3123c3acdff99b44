from decimal import Decimal
from fractions import Fraction

import nbformat
import numpy as np
import pytest
import torch
from nbclient import NotebookClient

from trickkit import common
from trickkit.common import top_by_magnitude


def test_the_order_is_by_size_and_not_by_rounding():
    weights = np.array([0.1, -0.3, 0.2, 0.1, 0.3, -0.1])
    assert top_by_magnitude(weights).tolist() == [1, 4, 2, 0, 3, 5]
    assert top_by_magnitude(weights, k=2).tolist() == [1, 4]
    for seed in range(50):
        noisy = weights + 1e-12 * np.random.default_rng(seed).normal(size=6)
        assert top_by_magnitude(noisy).tolist() == [1, 4, 2, 0, 3, 5]
        equal = 0.7 + 1e-12 * np.random.default_rng(seed).normal(size=40)
        assert top_by_magnitude(equal, k=9).tolist() == list(range(9))
        apart = np.random.default_rng(seed).normal(size=40)
        assert np.array_equal(top_by_magnitude(apart), np.argsort(-np.abs(apart)))
    assert top_by_magnitude(1e-30 * weights).tolist() == [1, 4, 2, 0, 3, 5]
    assert top_by_magnitude(np.zeros(3)).tolist() == [0, 1, 2]
    assert top_by_magnitude(np.zeros(0)).tolist() == []


@pytest.mark.parametrize("one", [np.array, torch.tensor, Decimal, Fraction])
def test_a_number_is_a_plain_one(one):
    for validate in (common.validate_positive, common.validate_number):
        with pytest.raises(ValueError, match=r"eps is .*; a plain number is wanted: float\(eps\)"):
            validate(eps=one(1))
    with pytest.raises(ValueError, match=r"steps is .*; a plain number is wanted: int\(steps\)"):
        common.validate_count(steps=one(3))
    with pytest.raises(ValueError, match="whole number of at least 1 is wanted"):
        common.validate_count(steps=one(1.5))


def test_a_number_has_64_bits():
    for validate in (common.validate_count, common.validate_positive, common.validate_number):
        with pytest.raises(ValueError, match="64 bits at most"):
            validate(steps=10**30)
        validate(steps=2**60)


def test_bounds_are_told():
    common.validate_number(share=0, at_least=0, at_most=1)
    with pytest.raises(ValueError, match="share is 1.5; a number from 0 to 1 is wanted"):
        common.validate_number(share=1.5, at_least=0, at_most=1)
    with pytest.raises(ValueError, match="share is nan; a number from 0 to 1 is wanted"):
        common.validate_number(share=float("nan"), at_least=0, at_most=1)


def test_a_flag_is_true_or_false():
    common.validate_flag(targeted=np.bool_(True), early_stop=False)
    for flag in ("False", None, [], 1, torch.tensor(True), np.array(True)):
        with pytest.raises(ValueError, match="targeted is .*; True or False is wanted"):
            common.validate_flag(targeted=flag)


def test_numpys_seeds_are_whole_numbers():
    common.validate_seed(0)
    common.validate_seed(np.int64(7))
    for seed in (-1, None, "a", 1.5, True, [1, 2], np.array(3), torch.tensor(3), 10**30):
        with pytest.raises(ValueError, match="seed is"):
            common.validate_seed(seed)


def test_a_bar_in_a_notebook_is_a_line_of_text_that_goes_away(monkeypatch):
    """A widget would be "Error displaying widget" in a saved notebook that is opened again."""
    monkeypatch.delenv("TQDM_DISABLE")
    seen = []

    class Client(NotebookClient):
        def process_message(self, msg, *rest):
            if msg["msg_type"] in ("display_data", "update_display_data"):
                seen.append(msg["content"]["data"])
            return super().process_message(msg, *rest)

    cell = """
from trickkit.common import progress_bar
for i in progress_bar(range(3), "steps"):
    __import__("time").sleep(0.2)
"""
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
    Client(book, kernel_name="python3").execute()
    assert seen[0].keys() == {"text/plain"} and seen[0]["text/plain"].startswith("steps:   0%")
    assert any("67%" in data["text/plain"] for data in seen)
    (left,) = book.cells[0].outputs
    assert left.data == {"text/plain": ""}
