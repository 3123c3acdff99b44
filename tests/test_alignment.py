import re

import pytest
import torch

from trickkit import alignment, data


@pytest.fixture(scope="module")
def test_dates():
    return alignment.dates(300, seed=1)


def test_dates_are_what_they_say(test_dates):
    again = alignment.dates(300, seed=1)
    assert (again.texts, again.answers) == (test_dates.texts, test_dates.answers)
    assert alignment.dates(300, seed=2).texts != test_dates.texts
    assert set(test_dates.formats) == set(range(len(alignment.DATE_FORMATS)))
    assert all(re.fullmatch(r"(19[5-9]|20[0-4])\d-\d\d-\d\d", a) for a in test_dates.answers)
    assert alignment.codes(test_dates.texts).min() == 0


def test_the_right_alignment_is_right(test_dates):
    """What is marked says the piece, in words or in numbers."""
    months = "January February March April May June July August September October November December"
    for text, answer, marked in zip(
        test_dates.texts, test_dates.answers, test_dates.sources, strict=True
    ):
        year, month, day = (
            "".join(c for c, on in zip(text, row.tolist(), strict=False) if on)
            for row in marked[[0, 5, 8]]
        )
        assert answer[:4].endswith(year) and len(year) in (2, 4)
        name = months.split()[int(answer[5:7]) - 1]
        assert month in (name, name[:3], str(int(answer[5:7])))
        assert day == str(int(answer[8:]))
        assert not marked[:, len(text) :].any() and not marked[[4, 7]].any()
        assert (marked[[0, 5, 8]].sum(0) <= 1).all()
        assert (marked == marked[[0, 0, 0, 0, 4, 5, 5, 7, 8, 8]]).all()


def test_ordinals():
    days = {}
    dates = alignment.dates(3000, seed=0)
    for text, answer in zip(dates.texts, dates.answers, strict=True):
        if found := re.search(r"\d(st|nd|rd|th)", text):
            days[int(answer[8:])] = found[1]
    assert len(days) == 31
    assert {d for d, end in days.items() if end != "th"} == {1, 2, 3, 21, 22, 23, 31}
    assert (days[1], days[22], days[3]) == ("st", "nd", "rd")


def test_codes_and_bad_texts():
    assert alignment.codes(["ab", "b"]).tolist() == [
        [alignment.SYMBOLS.index("a") + 1, alignment.SYMBOLS.index("b") + 1],
        [alignment.SYMBOLS.index("b") + 1, 0],
    ]
    for texts, says in (
        (["é"], "'é' is not among"),
        ([""], "at least one"),
        ("ab", "A list"),
        ([], "A list"),
    ):
        with pytest.raises(ValueError, match=says):
            alignment.codes(texts)


@pytest.mark.parametrize("attend", [True, False])
def test_what_fills_a_row_changes_nothing(attend):
    model = alignment.untrained_translator(attend=attend)
    alone, _ = model(alignment.codes(["abc"]), length=4)
    beside, weights = model(alignment.codes(["abc", "abcdefgh"]), length=4)
    assert torch.allclose(alone[0], beside[0], atol=1e-5)
    assert (weights is not None) == attend
    if attend:
        assert (weights[0, :, 3:] == 0).all()
        assert torch.allclose(weights.sum(2), torch.ones(2, 4))


@pytest.mark.parametrize("attend", [True, False])
def test_writing_on_from_its_own_is_teacher_forcing_with_it(attend):
    model = alignment.untrained_translator(attend=attend)
    text = alignment.codes(["hello", "you"])
    free, _ = model(text, length=5)
    led, _ = model(text, length=5, answer=free.argmax(2))
    assert torch.equal(free, led)


def test_training_learns_to_copy_and_is_the_same_each_time():
    texts = alignment.strings(300, shortest=1, longest=2, seed=0)

    def taught():
        model = alignment.untrained_translator(attend=True, hidden=16)
        return alignment.train(model, texts, texts, epochs=30, lr=2e-2)

    model = taught()
    said, _ = alignment.translate(model, texts)
    assert alignment.right_characters(said, texts) > 0.9
    assert torch.equal(model.out.weight, taught().out.weight)


def test_answers_are_as_long_as_asked():
    model = alignment.untrained_translator(attend=False)
    said, weights = alignment.translate(model, ["abc", "abcdef"])
    assert [len(text) for text in said] == [3, 6] and weights is None
    said, _ = alignment.translate(model, ["abc"], length=10)
    assert len(said[0]) == 10


def test_alignment_score_of_the_truth_and_of_looking_everywhere(test_dates):
    perfect = test_dates.sources / test_dates.sources.sum(2, keepdim=True).clamp_min(1)
    n, _, longest = perfect.shape
    scores = alignment.alignment_score(perfect, test_dates)
    assert scores["mass"].tolist() == pytest.approx([1] * 3) and (scores["peak"] == 1).all()
    there = alignment.codes(test_dates.texts) > 0
    uniform = (there / there.sum(1, keepdim=True))[:, None].expand(n, 10, longest)
    scores = alignment.alignment_score(uniform, test_dates)
    assert scores["mass"].tolist() == pytest.approx(scores["uniform"].tolist())
    with pytest.raises(ValueError, match="ten characters for each date"):
        alignment.alignment_score(uniform[:, :9], test_dates)


@pytest.mark.parametrize("seed", alignment.STORED["dates"])
def test_stored_translators_read_dates_and_look_where_they_should(seed, test_dates):
    model = alignment.trained_translator("dates", attend=True, seed=seed)
    said, weights = alignment.translate(model, test_dates.texts, length=10)
    assert alignment.right_characters(said, test_dates.answers) > 0.99
    scores = alignment.alignment_score(weights, test_dates)
    assert (scores["mass"] > 2 * scores["uniform"]).all() and (scores["peak"] > 0.7).all()


def test_the_fixed_vector_collapses_with_length_and_attention_later():
    right = {
        attend: alignment.reversal_by_length(
            alignment.trained_translator("reversal", attend=attend), [5, 15, 30], count=60
        )
        for attend in (True, False)
    }
    assert right[True][15] > 0.95 and right[False][15] < right[True][15] - 0.2
    assert right[True][30] < 0.8


def test_what_was_not_stored_is_refused():
    with pytest.raises(ValueError, match="no task called 'date'. Did you mean 'dates'"):
        alignment.trained_translator("date", attend=True)
    with pytest.raises(ValueError, match="seed is 7"):
        alignment.trained_translator("dates", attend=True, seed=7)


def test_the_stored_file_is_float16_and_small():
    assert data.shipped(alignment.FILE).stat().st_size < 3e6
