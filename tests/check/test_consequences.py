"""Lesson 19's exercises, answered rightly in other ways than the course's, and wrongly in each way
that has a sentence of its own."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.tree import DecisionTreeClassifier

from trickkit import audit, fairness, feedback
from trickkit.check import consequences as check
from trickkit.papers import hardt2016

from .answers import accepted, refused


def table(counts, threshold):
    flagged = counts[:, threshold - 1 :].sum(1)
    (fp, tp), (tn, fn) = flagged, counts.sum(1) - flagged
    return tn, fp, fn, tp


def from_table(rates):
    return lambda counts, threshold: rates(*table(np.array(counts), threshold))


def odds(change):
    """The identity, with something changed."""
    return lambda p, ppv, fnr: change(p, ppv, fnr, fairness.forced_fpr(p, ppv, fnr))


def search(keep, score=lambda right, people: right.sum(), common=False):
    """Of all pairs that are kept, the one with the highest score."""

    def pair(counts, tolerance):
        found = []
        for both in itertools.product(range(1, 11), repeat=2):
            if common and both[0] != both[1]:
                continue
            fours = np.array([table(c, t) for c, t in zip(counts, both, strict=True)])
            tn, fp, fn, tp = fours.T
            rates = {
                "FPR": fp / (fp + tn),
                "FNR": fn / (fn + tp),
                "PPV": tp / (fp + tp),
                "flagged": (fp + tp) / fours.sum(1),
            }
            gap = {name: abs(a - b) for name, (a, b) in rates.items()}
            gap["signed"] = max(rates[name][0] - rates[name][1] for name in ("FPR", "FNR"))
            if keep(gap, tolerance):
                found.append((score(tn + tp, fours.sum(1)), both, gap))
        return max(found, key=lambda one: one[:2])[1]

    return pair


def even(gap, tolerance):
    return max(gap["FPR"], gap["FNR"]) <= tolerance


def most_even(counts, tolerance, used=True):
    def gap(pair):
        both = [fairness.error_rates(c, t) for c, t in zip(counts, pair, strict=True)]
        return abs(both[0] - both[1]).max()

    return min(itertools.product(range(1 + used, 11), repeat=2), key=gap)


def shares(reoffended, people):
    return np.asarray(reoffended) / people


def suffix(bad):
    """From where on all are bad."""
    return len(bad) - int(np.logical_and.accumulate(bad[::-1]).sum())


def onwards(charged, people):
    """From where on nine in ten of all together are charged again."""
    totals = [np.cumsum(list(reversed(list(counts))))[::-1] for counts in (charged, people)]
    bad = totals[0] / totals[1] > 0.9
    return int(bad.argmax()) if bad.any() else len(bad)


WRONG = [
    (
        check.error_rates,
        from_table(lambda tn, fp, fn, tp: (fp / (fp + tp), fn / (fn + tn))),
        "look down the columns",
    ),
    (
        check.error_rates,
        from_table(lambda tn, fp, fn, tp: (fp / (fp + tp), fn / (fn + tp))),
        "look down the columns",
    ),
    (
        check.error_rates,
        lambda counts, t: fairness.error_rates(counts, t + 1),
        "above the threshold only",
    ),
    (check.error_rates, lambda c, t: fairness.error_rates(c, t)[::-1], "the other order"),
    (
        check.error_rates,
        lambda c, t: abs(fairness.error_rates(c, t) - (0, 1)),
        "the second is the share that was flagged",
    ),
    (
        check.error_rates,
        lambda c, t: abs(fairness.error_rates(c, t) - (1, 0)),
        "the first is the share that was rightly left alone",
    ),
    (check.error_rates, lambda c, t: 1 - fairness.error_rates(c, t), "those below the threshold"),
    (
        check.error_rates,
        from_table(lambda tn, fp, fn, tp: np.array([fp, fn]) / (tn + fp + fn + tp)),
        "you divide by everyone",
    ),
    (check.error_rates, from_table(lambda tn, fp, fn, tp: (fp, fn)), "numbers of people"),
    (check.error_rates, lambda c, t: 100 * fairness.error_rates(c, t), "percentages"),
    (check.error_rates, lambda c, t: fairness.error_rates(c[::-1], t), "you took row 0 for"),
    (
        check.error_rates,
        lambda c, t: [
            c[0][c[0] >= t].sum() / c[0].sum(),
            1 - c[1][c[1] >= t].sum() / c[1].sum(),
        ],
        "you compare the counts",
    ),
    (check.error_rates, lambda c, t: (0.5, 0.5), "the rates are .*and yours are 0.5000"),
    (check.error_rates, lambda c, t: fairness.error_rates(c, min(t, 9)), "at threshold 11 nobody"),
    (check.error_rates, lambda c, t: c.sum(1), "numbers of|the rates are"),
    (check.error_rates, lambda c, t: c, "has shape"),
    (
        check.forced_fpr,
        odds(lambda p, ppv, fnr, right: right * ((1 - p) / p) ** 2),
        "base rate's odds are upside down",
    ),
    (
        check.forced_fpr,
        odds(lambda p, ppv, fnr, right: right * (ppv / (1 - ppv)) ** 2),
        "odds of PPV are upside down",
    ),
    (
        check.forced_fpr,
        odds(lambda p, ppv, fnr, right: right * fnr / (1 - fnr)),
        "you multiply by FNR",
    ),
    (
        check.forced_fpr,
        odds(lambda p, ppv, fnr, right: right * (1 - p)),
        "share of the whole group",
    ),
    (
        check.forced_fpr,
        odds(lambda p, ppv, fnr, right: right * (1 - p) / p),
        "the base rate is missing",
    ),
    (
        check.forced_fpr,
        odds(lambda p, ppv, fnr, right: p / 1 - p * (1 - ppv) / ppv * (1 - fnr)),
        "brackets are missing",
    ),
    (
        check.forced_fpr,
        odds(lambda p, ppv, fnr, right: right / (1 - ppv)),
        "counts all who are flagged",
    ),
    (check.forced_fpr, odds(lambda p, ppv, fnr, right: 1 - right), "this is 1 − FPR"),
    (check.forced_fpr, odds(lambda p, ppv, fnr, right: right / p), "multiply by p"),
    (check.forced_fpr, odds(lambda p, ppv, fnr, right: 2.0), r"it is .*yours is 2\.0000"),
    (check.balance, search(lambda gap, t: gap["FPR"] <= t), "only FPR is even|gaps of"),
    (check.balance, search(lambda gap, t: gap["FNR"] <= t), "only FNR is even|gaps of"),
    (check.balance, search(lambda gap, t: gap["flagged"] <= t), "flags like shares"),
    (check.balance, search(lambda gap, t: gap["PPV"] <= t), "has like PPV"),
    (check.balance, most_even, "most even pair of those that do not"),
    (check.balance, lambda c, t: most_even(c, t, used=False), "it flags everyone"),
    (check.balance, search(lambda gap, t: True), "most accurate pair of all"),
    (
        check.balance,
        search(even, score=lambda right, people: (right / people).mean()),
        "mean of the two groups' accuracies",
    ),
    (check.balance, lambda c, t: fairness.balance(c, t)[::-1], "in the other order"),
    (check.balance, lambda c, t: fairness.balance(c, t) - 1, "counted from 0"),
    (
        check.balance,
        search(lambda gap, t: gap["FPR"] + gap["FNR"] <= t),
        "two gaps together",
    ),
    (check.balance, search(lambda gap, t: gap["signed"] <= t), "only F|without regard|gaps of"),
    (check.balance, lambda c, t: (0, 0), "not both whole numbers from 1 to 10"),
    (check.balance, lambda c, t: (10, 2), "have gaps of .* is allowed; .* and are right about"),
    (
        check.first_bad_month,
        lambda reoffended, people: int((shares(reoffended, people) > 0.9).argmax()),
        "by chance all charged again",
    ),
    (
        check.first_bad_month,
        lambda reoffended, people: int(np.where(np.asarray(people) < 50, 999, people).argmin()),
        "has few people, but a usual share",
    ),
    (
        check.first_bad_month,
        lambda reoffended, people: fairness.first_bad_month(reoffended, people) + 1,
        "already above nine in ten",
    ),
    (
        check.first_bad_month,
        lambda reoffended, people: fairness.first_bad_month(reoffended, people) - 1,
        "is the last in order",
    ),
    (
        check.first_bad_month,
        lambda reoffended, people: len(people) - 1,
        "the last month of all|already above",
    ),
    (check.first_bad_month, lambda reoffended, people: 15, "month 15 is where|month \\d+ is|order"),
    (
        check.first_bad_month,
        lambda reoffended, people: int(np.argmin(people)),
        "by chance all charged again|it is the first|is the first from",
    ),
    (
        check.first_bad_month,
        lambda reoffended, people: len(people) - fairness.first_bad_month(reoffended, people),
        "how many months are bad|month|first",
    ),
    (check.first_bad_month, lambda reoffended, people: 0, "month .* is the first from which on"),
    (
        check.first_bad_month,
        lambda reoffended, people: fairness.first_bad_month(reoffended, people) % len(people),
        "without a bad month .* you say 0",
    ),
    (
        check.first_bad_month,
        lambda reoffended, people: [
            *range(fairness.first_bad_month(reoffended, people), len(people))
        ][0],
        "without a bad month .* stopped with IndexError",
    ),
    (
        check.first_bad_month,
        lambda charged, people: next(
            p for p in range(len(people)) if (shares(charged, people)[p:] > 0.9).all()
        ),
        "without a bad month .* stopped with StopIteration.$",
    ),
    (
        check.first_bad_month,
        lambda charged, people: (
            None if (place := fairness.first_bad_month(charged, people)) == len(people) else place
        ),
        "without a bad month .* returns nothing",
    ),
    (check.first_bad_month, onwards, "you add up all months"),
    (check.first_bad_month, lambda c, p: suffix(shares(c, p) > 0.5), "is the last in order"),
    (
        check.error_rates,
        lambda c, t: (fairness.error_rates(c, t + 1)[0], fairness.error_rates(c, t)[1]),
        "above the threshold only",
    ),
    (check.error_rates, lambda c, t: fairness.error_rates(c, t - 1), "one decile too many"),
    (check.error_rates, lambda c, t: np.array(c)[:, t - 1] / c.sum(1), "own decile alone"),
    (check.error_rates, lambda c, t: fairness.error_rates(c, 5), "whatever `threshold` says"),
    (check.error_rates, lambda c, t: fairness.error_rates(c, t).round(2), "rounded"),
    (check.forced_fpr, odds(lambda p, ppv, fnr, right: right * ppv), "without dividing by PPV"),
    (check.forced_fpr, odds(lambda p, ppv, fnr, right: right / (1 - fnr)), "FNR is missing"),
    (check.forced_fpr, odds(lambda p, ppv, fnr, right: 100 * right), "percentages"),
    (check.forced_fpr, odds(lambda p, ppv, fnr, right: ppv), "this is PPV"),
    (
        check.forced_fpr,
        odds(lambda p, ppv, fnr, right: right * (1 - p) / 1 - p),
        "brackets are missing",
    ),
    (check.balance, lambda c, t: fairness.balance(c, t) + 1, "one too high"),
]

WRONG += [
    (check.balance, search(even, common=True), "one threshold for both"),
    (check.balance, search(lambda gap, t: True, common=True), "one threshold for both"),
    (
        check.forced_fpr,
        odds(lambda p, ppv, fnr, right: p * (1 - fnr) / (1 - p)),
        r"\(1 − PPV\) / PPV is missing",
    ),
    (check.forced_fpr, odds(lambda p, ppv, fnr, right: round(right, 2)), "rounded to two digits"),
    (check.profit, lambda r, lost, b: b / (1 - b), "what one lost loan costs. Now"),
    (check.profit, lambda r, lost, b: np.float64(b / (1 - b)), "what one lost loan costs. Now"),
]

RIGHT = [
    (check.error_rates, from_table(lambda tn, fp, fn, tp: [fp / (fp + tn), fn / (fn + tp)])),
    (
        check.error_rates,
        lambda counts, t: torch.tensor(fairness.error_rates(counts, t)).float(),
    ),
    (
        check.forced_fpr,
        lambda p, ppv, fnr: (lambda tp: tp / ppv - tp)(p * (1 - fnr)) / (1 - p),
    ),
    (check.forced_fpr, lambda p, ppv, fnr: torch.tensor(fairness.forced_fpr(p, ppv, fnr))),
    (check.balance, search(even)),
    (check.balance, search(lambda gap, t: gap["FPR"] <= t and gap["FNR"] <= t)),
    (
        check.first_bad_month,
        lambda reoffended, people: next(
            (
                place
                for place in range(len(people))
                if (shares(reoffended, people)[place:] > 0.9).all()
            ),
            len(people),
        ),
    ),
]


def own(record, patrol):
    return record[np.arange(len(record)), patrol]


def commonest(frame, column):
    return frame[column].value_counts(normalize=True).max()


def held_out(model, inputs, answers):
    x, x_test, y, y_test = train_test_split(
        pd.get_dummies(inputs), answers, test_size=0.3, random_state=0
    )
    return model.fit(x, y).score(x_test, y_test)


def seen(frame, inputs, column, model=None):
    """Scored on the rows it was trained on."""
    model = model or DecisionTreeClassifier(random_state=0)
    inputs = pd.get_dummies(inputs)
    return model.fit(inputs, frame[column]).score(inputs, frame[column])


def of_others(frame, column):
    return frame.drop(columns=column)


def folds(frame, column, cv=5, **how):
    return cross_val_score(
        audit.trees(max_iter=20), of_others(frame, column), frame[column], cv=cv, **how
    )


def scored(frame, column):
    return folds(frame, column).mean()


def right(frame, column):
    return scored(frame, column) - commonest(frame, column)


WRONG += [
    (check.profit, lambda r, lost, b: r - lost, "break even at one half"),
    (check.profit, lambda r, lost, b: r - lost * (1 - b) / b, "upside down"),
    (check.profit, lambda r, lost, b: r * (1 - b) - lost * b, "Divide by 1 − break_even"),
    (check.profit, lambda r, lost, b: r * (1 - b) / b - lost, "and not \\(1 − break_even\\)"),
    (check.profit, lambda r, lost, b: r - lost * b, "how many lost ones"),
    (check.profit, lambda r, lost, b: r - lost / (1 - b), "not all of them"),
    (check.profit, lambda r, lost, b: r + lost * b / (1 - b), "look at the sign"),
    (check.profit, lambda r, lost, b: lost - r * b / (1 - b), "changed places"),
    (check.profit, lambda r, lost, b: r - lost * 0.82 / 0.18, "whatever break_even says"),
    (check.profit, lambda r, lost, b: r, "cost nothing yet"),
    (check.profit, lambda r, lost, b: r / (r + lost), "not what is earned"),
    (check.profit, lambda r, lost, b: (r - lost * b / (1 - b)).sum(), "added everything up"),
    (check.profit, lambda r, lost, b: (r - lost * b / (1 - b)).sum(1), "each row"),
    (check.profit, lambda r, lost, b: (r - lost * b / (1 - b)).sum(0), "each column"),
    (check.profit, lambda r, lost, b: r - lost * b / 1 - b, "brackets are missing"),
    (check.profit, lambda r, lost, b: (r - lost) * b / (1 - b), "for what is lost alone"),
    (check.profit, lambda r, lost, b: (r - lost * b / (1 - b)) / (r + lost), "of one loan"),
    (check.profit, lambda r, lost, b: 100 * (r - lost * b / (1 - b)), "per cent"),
    (check.profit, lambda r, lost, b: np.maximum(r - lost * b / (1 - b), 0), "stops at 0"),
    (check.profit, lambda r, lost, b: hardt2016.profit(r, lost, break_even=b) + 1, "yours is"),
    (check.give_away, scored, "take that away"),
    (check.give_away, lambda f, c: folds(f, c).max() - commonest(f, c), "luckiest part"),
    (
        check.give_away,
        lambda f, c: folds(f, c, cv=3).max() - commonest(f, c),
        "luckiest part",
    ),
    (
        check.give_away,
        lambda f, c: folds(f, c, scoring="balanced_accuracy").mean() - commonest(f, c),
        "balanced accuracy",
    ),
    (
        check.give_away,
        lambda f, c: seen(f, of_others(f, c), c) - commonest(f, c),
        "saw the column itself, or was scored on",
    ),
    (
        check.give_away,
        lambda f, c: (
            seen(f, of_others(f, c), c, DecisionTreeClassifier(max_depth=6)) - commonest(f, c)
        ),
        "knows by heart",
    ),
    (
        check.give_away,
        lambda f, c: held_out(DecisionTreeClassifier(), f, f[c]) - commonest(f, c),
        "saw the column itself",
    ),
    (
        check.give_away,
        lambda f, c: held_out(DecisionTreeClassifier(), f, f[c]),
        "was left among the inputs, and the share",
    ),
    (check.give_away, lambda f, c: 100 * right(f, c), "per cent"),
    (check.give_away, lambda f, c: scored(f, c) / commonest(f, c), "you divided by the share"),
    (check.give_away, lambda f, c: scored(f, c) - f[c].value_counts().max(), "how many rows"),
    (check.give_away, lambda f, c: scored(f, c) - 1 + commonest(f, c), "the \\*rarest\\* value"),
    (check.give_away, lambda f, c: right(f, c) / (1 - commonest(f, c)), "all there was"),
    (check.give_away, lambda f, c: right(f, c) + (f.pop(c) == "").sum(), "Work on a copy"),
    (check.give_away, lambda f, c: -right(f, c), "sign is turned"),
    (check.give_away, lambda f, c: scored(f, c) - 0.5, "one half"),
    (
        check.give_away,
        lambda f, c: (
            held_out(LogisticRegression(), of_others(f, c).select_dtypes("number"), f[c])
            - commonest(f, c)
        ),
        "words too",
    ),
    (check.give_away, lambda f, c: 0.4 * right(f, c), "to gain. Yours"),
    (check.learn, lambda r, p: np.ones(len(r)), "without a cure"),
    (check.learn, lambda r, p: own(r, p) / r.sum(1), "should divide"),
    (check.learn, lambda r, p: 1 - own(r, p) / r.sum(1), r"one \*over\* the share"),
    (check.learn, lambda r, p: r.sum(1) / own(r, p) - 1, "odds against"),
    (check.learn, lambda r, p: 1 / own(r, p), r"the \*share\* of the record is wanted"),
    (check.learn, lambda r, p: own(r, p), "not what a find counts"),
    (check.learn, lambda r, p: r.sum(1) / r.max(1), "longest record"),
    (check.learn, lambda r, p: r.sum(1) / r[:, 0], "first district"),
    (check.learn, lambda r, p: r.sum() / own(r, p), "added up all cities"),
    (check.learn, lambda r, p: r.sum(0)[p] / own(r, p), "a district over all cities"),
    (check.learn, lambda r, p: r.min(1) / own(r, p), "whatever the least patrolled"),
    (check.learn, lambda r, p: r.mean(1) / own(r, p), "the mean is not the sum"),
    (check.learn, lambda r, p: r.sum(1) / r[:, p], r"in \*every\* city"),
    (check.learn, lambda r, p: r.sum(1, keepdims=True) / r, "a number for each district"),
    (check.learn, lambda r, p: feedback.learn(r, p) ** 2, "by the share twice"),
    (check.learn, lambda r, p: r.max(1) / own(r, p), "the longest record over"),
    (check.learn, lambda r, p: len(p) / np.bincount(p)[p], "today's patrols in all cities"),
    (check.learn, lambda r, p: feedback.learn(r, p) + 1, "Yours counts"),
]

RIGHT += [
    (check.profit, lambda r, lost, b: r - lost / (1 / b - 1)),
    (check.profit, lambda r, lost, b: torch.tensor(r - lost * b / (1 - b)).float()),
    (check.give_away, right),
    (
        check.give_away,
        lambda f, c: (
            held_out(RandomForestClassifier(30, random_state=0), of_others(f, c), f[c])
            - commonest(f, c)
        ),
    ),
    (check.learn, lambda r, p: 1 / (own(r, p) / r.sum(1))),
    (check.learn, lambda r, p: [sum(city) / city[d] for city, d in zip(r, p, strict=True)]),
    (check.learn, lambda r, p: torch.tensor(r).sum(1) / torch.tensor(own(r, p))),
]


@pytest.mark.parametrize(("exercise", "function"), RIGHT)
def test_another_right_way_is_right(exercise, function):
    accepted(exercise, function, times=10 if exercise is check.give_away else 40)


@pytest.mark.parametrize(("exercise", "function", "says"), WRONG)
def test_each_way_of_being_wrong_has_its_sentence(exercise, function, says):
    refused(exercise, function, says)
