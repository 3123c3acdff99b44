"""Lesson 19, second sitting: credit against sums by hand, the urn against Pólya's limit, cards in a
folder of their own, answers of pruned networks against the network asked anew."""

import errno
import functools
import io
import os
import pathlib

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.optimize import linprog
from scipy.stats import beta

from trickkit import audit, data, feedback
from trickkit.papers import hardt2016, hooker2019

TABLE = hardt2016.credit()


def test_credit_is_counted_as_the_federal_reserve_did():
    scores = data.credit_scores()
    people = scores.groupby("group", sort=False)["people"].first()
    everybody = TABLE.repaid[0] + TABLE.lost[0]
    assert TABLE.groups == list(people.index)
    assert np.allclose(everybody, people / people.sum())
    white = scores[scores["group"] == "white"].set_index("score")
    row = int(np.searchsorted(TABLE.thresholds, 41))
    above = 1 - white["at_or_below"].loc[40.5] / 100  # all who have 41 or more
    assert np.isclose((TABLE.repaid + TABLE.lost)[row, 0] / everybody[0], above)
    assert not TABLE.repaid[-1].any() and (np.diff(TABLE.repaid, axis=0) <= 0).all()


def test_at_break_even_a_loan_earns_nothing():
    assert hardt2016.profit(0.82, 0.18) == pytest.approx(0)
    assert hardt2016.profit(3, 1, break_even=0.75) == pytest.approx(0)
    assert hardt2016.profit(np.ones(2), np.zeros(2)).tolist() == [1, 1]
    for wrong in (0, 1, 82, "most"):
        with pytest.raises(ValueError, match="break_even is"):
            hardt2016.profit(1, 1, break_even=wrong)


def test_the_best_threshold_of_a_group_is_where_the_next_loan_breaks_even():
    earned = hardt2016.profit(TABLE.repaid, TABLE.lost)
    for group, row in enumerate(earned.argmax(0)):
        repaid, lost = (-np.diff(part[row - 1 : row + 2, group]) for part in TABLE[2:])
        below, above = repaid / (repaid + lost)  # who has just less than that score, and just that
        assert below < hardt2016.BREAK_EVEN < above


def test_each_policy_keeps_its_promise():
    policies = hardt2016.policies(TABLE)
    for name in ("equal opportunity", "equal odds"):
        assert np.ptp(policies[name].refused) < 1e-9
    order = [policy.earned for policy in policies.values()]
    assert order == sorted(order, reverse=True) and order[0] == 1
    # where all groups are alike, nothing costs anything
    scores = data.credit_scores()
    white = scores[scores["group"] == "white"]
    twins = pd.concat([white, white.assign(group="again", people=1000)])
    for policy in hardt2016.policies(hardt2016.credit(twins)).values():
        assert policy.earned == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("name", ["equal opportunity", "equal odds", "equal shares"])
def test_no_lottery_between_thresholds_earns_more(name):
    """Against a linear program: each group's lots over all thresholds, tied by what is equal."""
    rows, groups = TABLE.repaid.shape
    would, would_not = TABLE.repaid[0], TABLE.lost[0]
    equal = {
        "equal opportunity": [TABLE.repaid / would],
        "equal odds": [TABLE.repaid / would, TABLE.lost / would_not],
        "equal shares": [(TABLE.repaid + TABLE.lost) / (would + would_not)],
    }[name]
    ties = []
    for share in equal:
        for group in range(1, groups):
            tie = np.zeros((groups, rows))
            tie[0], tie[group] = share[:, 0], -share[:, group]
            ties.append(tie.ravel())
    ones = np.repeat(np.eye(groups), rows, 1)
    earned = hardt2016.profit(TABLE.repaid, TABLE.lost)
    best = linprog(
        -earned.T.ravel(),
        A_eq=np.vstack([*ties, ones]),
        b_eq=np.r_[np.zeros(len(ties)), np.ones(groups)],
    )
    ours = hardt2016.policies(TABLE)[name].earned
    assert ours == pytest.approx(-best.fun / earned.max(0).sum(), abs=5e-4)


def test_an_urn_goes_where_polya_says():
    """With a find for sure, one a day: in the limit a Beta distribution."""
    shares = feedback.patrol_days(
        (1, 1), (3, 2), rng=np.random.default_rng(0), days=2000, cities=4000
    )[-1, :, 0]
    places = (0.05, 0.25, 0.5, 0.75, 0.95)
    assert np.allclose(np.quantile(shares, places), beta(3, 2).ppf(places), atol=0.02)


def test_both_cures_count_crime_and_not_patrols():
    """What a find counts, times how often a district is looked at: the same for every district."""
    record = np.array([[8.0, 1.0, 1.0], [2.0, 3.0, 5.0]]).repeat(3, 0)
    patrol = np.tile(np.arange(3), 2)
    share = feedback.own_share(record, patrol)
    assert np.allclose(share * feedback.learn(record, patrol), 1)
    rng = np.random.default_rng(0)
    kept = np.mean([feedback.thin(record, patrol, rng=rng) for _ in range(4000)], axis=0)
    assert np.allclose((share * kept).reshape(2, 3), [[0.1], [0.2]], atol=0.02)


def test_cured_records_learn_the_crime():
    rng = np.random.default_rng(0)
    for learn in (feedback.learn, functools.partial(feedback.thin, rng=rng)):
        ends = feedback.patrol_days((0.3, 0.2, 0.1), (9, 1, 2), rng=rng, learn=learn, days=4000)
        assert np.allclose(ends[-1].mean(0), np.array([3, 2, 1]) / 6, atol=0.03)


def test_greedy_patrols_choose_one_district_and_at_first_either():
    ends = feedback.patrol_days((0.5, 0.5), (1, 1), rng=np.random.default_rng(0), greedy=True)[-1]
    assert (ends.max(1) > 0.95).all() and 0.4 < (ends[:, 0] > 0.5).mean() < 0.6


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"crime": (0.3, 1.2)}, "crime is"),
        ({"record": (10, 0)}, "record is"),
        ({"record": (10, 10, 10)}, "each of 2 districts"),
        ({"rng": 0}, "a generator is wanted"),
        ({"days": 0}, "days is 0"),
        ({"greedy": 1}, "greedy is 1"),
    ],
)
def test_patrols_that_make_no_sense(change, says):
    options = {"crime": (0.3, 0.3), "record": (10, 10), "rng": np.random.default_rng(0)} | change
    with pytest.raises(ValueError, match=says):
        feedback.patrol_days(options.pop("crime"), options.pop("record"), **options)


def test_what_other_columns_give_away():
    rng = np.random.default_rng(0)
    word = rng.choice(["a", "b"], 900)
    table = pd.DataFrame({"word": word, "number": rng.normal(size=900), "upper": word})
    table["upper"] = table["upper"].str.upper()
    before = table.copy()
    most = (word == "a").mean()
    assert audit.give_away(table, "word") == pytest.approx(1 - max(most, 1 - most))
    assert audit.give_away(table.drop(columns="upper"), "word") < 0.06
    assert table.equals(before)
    table.loc[::9, "word"] = None  # what is not known is a value of its own
    assert 0 < audit.give_away(table, "word") < 1
    with pytest.raises(ValueError, match="no column called 'words'. Did you mean 'word'"):
        audit.give_away(table, "words")


ANSWERS = dict.fromkeys(audit.QUESTIONS, "not measured") | {
    "system": "My score: v2",
    "errors": {"refused": {"women": (3, 40), "men": (5, 50)}},
}


def test_a_card_turns_counts_into_intervals_and_asks_every_question():
    page = audit.Card(**ANSWERS).markdown()
    assert "| refused | women | 7.5% | 2.6% to 19.9% | 40 |" in page
    assert all(question in page and advice in page for question, advice in audit.QUESTIONS.values())
    assert "\nnot measured\n" in audit.Card(**ANSWERS | {"errors": "not measured"}).markdown()


EMPTY = ["", "  ", "…", "...", "-", "?", "n/a", "N/A.", "\u200b", "N.A.", "n.a", "to do", "x", "0"]
EMPTY += ["TODO: ask", "To-do", "TBD", "idk", "not applicable"]


@pytest.mark.parametrize("empty", EMPTY)
def test_a_card_names_every_empty_field(empty):
    with pytest.raises(
        ValueError, match="says nothing of: label, errors, consent. .Not measured. is"
    ):
        audit.Card(**ANSWERS | {"label": empty, "consent": empty, "errors": {}})


@pytest.mark.parametrize(
    "said", ["none", "no", "No.", "To do this, write to the court.", "2,000 people", "unknown"]
)
def test_a_short_answer_is_one(said):
    assert f"\n{said}\n" in audit.Card(**ANSWERS | {"recourse": said}).markdown()


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        ({"women": (41, 40)}, "more than there are"),
        ({"women": (-1, 40)}, "No count is below 0"),
        ({"women": (0.1, 40)}, "Counts, not shares"),
        ({"women": (0, 0)}, "Nobody is in that group"),
        ({"women": 0.3}, "of women came 0.3"),
        ({"women": (1, 2, 3)}, r"came \(1, 2, 3\)"),
        ({"women": "Not measured"}, "for `errors` as a whole; of women came 'Not measured'"),
        ("Not measured", "for `errors` as a whole; 'Not measured' came"),
        ({}, "{} came"),
        (3, "3 came"),
    ],
)
def test_a_card_wants_counts(counts, says):
    with pytest.raises(ValueError, match=f"errors.'refused'.: {{group.*{says}"):
        audit.Card(**ANSWERS | {"errors": {"refused": counts}})


@pytest.mark.parametrize("counts", [(3.0, 40.0), np.array([3, 40]), [np.int64(3), 40]])
def test_a_card_takes_whole_numbers_of_any_kind(counts):
    page = audit.Card(**ANSWERS | {"errors": {"refused": {"women": counts}}}).markdown()
    assert "| refused | women | 7.5% | 2.6% to 19.9% | 40 |" in page


@pytest.mark.parametrize("errors", [None, 3, [("women", 3, 40)], pd.Series({"women": 3})])
def test_errors_are_counts_or_words(errors):
    with pytest.raises(ValueError, match="(?s)errors is .*{rate: {group.* or an answer in words"):
        audit.Card(**ANSWERS | {"errors": errors})


@pytest.mark.parametrize("errors", [{"": {"women": (3, 40)}}, {"refused": {" ": (3, 40)}}])
def test_rates_and_groups_have_names(errors):
    with pytest.raises(ValueError, match="name them both"):
        audit.Card(**ANSWERS | {"errors": errors})


def test_no_answer_breaks_the_page():
    page = audit.Card(
        **ANSWERS
        | {
            "system": "mine\n# yours",
            "label": "# heading\n\n- a point\n---\n<script>",
            "errors": {"a|b": {"x\ny": (3, 40)}},
        }
    ).markdown()
    assert page.startswith("# Audit card: mine # yours\n")
    assert "\n\\# heading\n\n- a point\n\\---\n\\<script>\n" in page
    assert "\n| a\\|b | x y | 7.5% |" in page


def test_a_card_wants_words():
    with pytest.raises(ValueError, match="recourse is None; an answer in words"):
        audit.Card(**ANSWERS | {"recourse": None})


def test_a_card_is_kept_in_the_learners_folder_and_never_written_over(tmp_path, monkeypatch):
    monkeypatch.setenv("TRICKKIT_COURSE", str(tmp_path / "mine"))
    first = audit.Card(**ANSWERS).save()
    second = audit.Card(**ANSWERS | {"consent": "asked"}).save()
    assert [p.name for p in (first, second)] == ["audit_my_score_v2.md", "audit_my_score_v2_2.md"]
    assert first.parent == tmp_path / "mine" and "asked" not in first.read_text(encoding="utf-8")
    assert sorted(os.listdir(first.parent)) == [first.name, second.name]


@pytest.mark.parametrize(
    ("system", "name"),
    [
        ("Кредит 日本語 ÄÖÜ", "audit_кредит_日本語_äöü.md"),
        ("../../etc/passwd", "audit_etc_passwd.md"),
        ("日" * 300, f"audit_{'日' * 50}.md"),
        ("٣", "audit_٣.md"),
    ],
)
def test_a_cards_file_has_its_systems_name(system, name, tmp_path):
    assert audit.Card(**ANSWERS | {"system": system}).save(folder=str(tmp_path)).name == name
    assert os.listdir(tmp_path) == [name]


def test_a_link_to_nowhere_is_not_written_over(tmp_path):
    link = tmp_path / "audit_my_score_v2.md"
    link.symlink_to(tmp_path / "nowhere")
    assert audit.Card(**ANSWERS).save(folder=tmp_path).name == "audit_my_score_v2_2.md"
    assert link.is_symlink() and not link.exists()


def test_a_card_that_cannot_be_kept_leaves_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file cannot be written to .*TRICKKIT_COURSE to a folder"):
        audit.Card(**ANSWERS).save(folder=tmp_path / "file")


def test_a_full_disk_leaves_no_half_card(tmp_path, monkeypatch):
    class Full(io.StringIO):
        def write(self, text):
            raise OSError(errno.ENOSPC, "No space left on device")

    def full(path, *args, **options):
        pathlib.Path(path).touch()
        return Full()

    monkeypatch.setattr("builtins.open", full)
    with pytest.raises(OSError, match=r"No space left on device\)"):
        audit.Card(**ANSWERS).save(folder=tmp_path)
    assert not os.listdir(tmp_path)


def test_as_many_shoes_are_mirrored_as_are_wanted():
    clothes = data.clothes()
    images, labels = clothes.train_images[:2000], clothes.train_labels[:2000]
    shoes = hooker2019.is_shoe(labels)
    mirrored = hooker2019.with_mirrored(
        images, labels, share=0.5, generator=torch.Generator().manual_seed(0)
    )
    changed = (mirrored != images).flatten(1).any(1)
    assert changed.sum() == round(0.5 * int(shoes.sum())) and not (changed & ~shoes).any()
    assert torch.equal(mirrored[changed], images[changed].flip(3))


def test_a_smaller_network_has_so_many_weights_and_leaves_the_whole_one():
    clothes = data.clothes()
    images, labels = clothes.train_images[:200], clothes.train_labels[:200]
    whole = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))
    before = whole[1].weight.clone()
    small = hooker2019.smaller(whole, images, labels, sparsity=0.9, seed=0)
    assert (small[1].weight == 0).float().mean() == pytest.approx(0.9, abs=1e-3)
    largest = before.abs().flatten().topk(784).indices
    assert (small[1].weight.flatten()[largest] != 0).float().mean() > 0.99
    assert torch.equal(whole[1].weight, before)


def test_the_answers_are_those_that_the_course_keeps():
    kept = hooker2019.answers_kept("rare")
    images, labels = hooker2019.pictures_asked()
    assert kept.shape == (hooker2019.HOW_MANY, len(hooker2019.SPARSITIES), len(images))
    right = (kept == labels).double()
    assert (right[:, 0, :2000].mean(1) > 0.85).all()
    assert (right[:, 0, 2000:].mean(1) - right[:, 2, 2000:].mean(1) > 0.08).all()
