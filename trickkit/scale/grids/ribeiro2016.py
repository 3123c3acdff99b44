"""Ribeiro, Singh, Guestrin 2016, "Why should I trust you?", arXiv:1602.04938: which words an
explainer finds (figure 6), whom to trust (table 1), which forest to take (figure 8), and the leak
(section 6).

A cell is one of these for one black box, by the functions of lesson 16. From each seed other
sentences are learnt, others explained, and others declared bad. Ours differ from the paper's in the
texts, hackers' and prophets' sentences for reviews of books and e-mails; in the questions asked a
document, 512 for 15,000; and in the boxes' own settings. For figure 6 five sentences make a
document; there are 1,200 such, and seeds share most of them. Table 1 has nearest neighbours and an
SVM, too; they stand without ids.

Nulls: trust in every prediction, and in those that show no bad word among ten at random; the
longest sentences in place of SP-LIME's; the commoner class; verses without a marked word, and one
who calls everything a verse. For figure 6 the paper prints its own, ten words at random.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from trickkit import data
from trickkit.papers import ribeiro2016
from trickkit.scale.grid import Grid

USERS = {"LIME": "lime", "parzen": "parzen", "greedy": "greedy"}  # those in the paper's table 1
OTHERS = ("parzen", "greedy")  # who do not learn from questions
WITHOUT_IDS = {"nn": "nearest neighbours", "svm": "SVM"}  # boxes of table 1 that have none
TRIES = 12  # at a pair of forests, a cell
# by what is measured and the box's short name: the box, untrained, from a seed
BOXES: dict[tuple[str, str], Callable[[int], Any]] = {
    ("recall", "lr"): lambda seed: LogisticRegression(
        C=0.03, l1_ratio=1, solver="liblinear", random_state=seed
    ),
    ("recall", "tree"): lambda seed: DecisionTreeClassifier(random_state=seed),
    ("trust", "lr"): lambda seed: LogisticRegression(solver="liblinear", random_state=seed),
    ("trust", "nn"): lambda seed: KNeighborsClassifier(),
    ("trust", "rf"): lambda seed: RandomForestClassifier(30, random_state=seed),
    ("trust", "svm"): lambda seed: CalibratedClassifierCV(SVC(), ensemble=False),
    ("leak", "svm"): lambda seed: SVC(),
}


def recall(clean: list[str], hacker: np.ndarray, *, seed: int, box: str) -> dict[str, float]:
    """Figure 6: of the words that the box used, the share among an explainer's ten."""
    bags, labels = ribeiro2016.bags(clean, hacker, glue=5, min_df=5, seed=seed)
    known, new = bags[:900], bags[900:1000]
    model = BOXES["recall", box](seed).fit(known, labels[:900])
    if box == "tree":
        paths = [model.decision_path(row).indices for row in ribeiro2016.documents(new)]
        used = [model.tree_.feature[path] for path in paths]
    else:
        used = [np.flatnonzero(model.coef_[0])] * new.shape[0]
    gold = ribeiro2016.used_places(new, used)
    found = ribeiro2016.recalls(model.predict_proba, known, new, gold, seed=seed)
    found["LIME"] = found.pop("K-LASSO")  # as in the paper, ten words at most
    return {f"ribeiro2016/recall-{box}-{who.lower()}": share for who, share in found.items()}


def trust(clean: list[str], hacker: np.ndarray, *, seed: int, box: str) -> dict[str, float]:
    """Table 1: the F1 of users who trust by an explanation, a quarter of all words being bad."""
    bags, labels = ribeiro2016.bags(clean, hacker, glue=1, min_df=3, max_df=0.1, seed=seed)
    known, new = bags[:900], bags[900:960]
    model = BOXES["trust", box](seed).fit(known, labels[:900])
    found, _ = ribeiro2016.trusts(model.predict_proba, known, new, seed=seed)
    if box in WITHOUT_IDS:
        name = f"F1 of trust in a prediction, {WITHOUT_IDS[box]}"
        return {f"{name}, {who}, %": f1 for who, f1 in found.items()}
    said = {}
    for name, who in USERS.items():
        said[f"ribeiro2016/trust-{box}-{who}"] = found[name]
        for null in ("random", "trusting all"):
            said[f"{null}: ribeiro2016/trust-{box}-{who}"] = found[null]
    return said


def choice(clean: list[str], hacker: np.ndarray, *, seed: int) -> dict[str, float]:
    """Figure 8, at five cases: how much more often than after a random pick the better forest is
    taken. Without any pair of forests there is only their number, 0.
    """
    gaps, rights = ribeiro2016.right_choices(
        ribeiro2016.common_words(clean),
        hacker,
        seeds=range(TRIES * seed, TRIES * (seed + 1)),
        budgets=[5],
    )
    said = {f"pairs of forests found in {TRIES} tries": float(len(gaps))}
    if gaps:
        share = {who: right.mean() for who, right in rights.items()}
        said["ribeiro2016/choice"] = share["SP-LIME"] - share["random"]
        said["the longest sentences: ribeiro2016/choice"] = share["longest"] - share["random"]
    return said


def leak(texts: pd.Series, hacker: np.ndarray, *, seed: int, box: str) -> dict[str, float]:
    """Section 6: the braces of the hackers' dictionary, which give the answer away. The real world
    is verses whose last word an editor has put in braces.
    """
    order = np.random.default_rng(seed).permutation(len(texts))
    learn, test = order[:400], order[-2000:]
    labels = hacker[test]
    commoner = 100 * max(labels.mean(), 1 - labels.mean())
    clean = texts.str.replace("[{}]", "", regex=True)
    verses = clean.iloc[test][labels == 0]
    marked = verses.str.replace(r"(\w+)(\W*)$", r"{\1}\2", regex=True)
    said = {}
    for name, some in (("leak", texts), ("clean", clean)):
        tfidf = TfidfVectorizer(token_pattern=r"\w+|[{}]")
        model = make_pipeline(tfidf, BOXES["leak", box](seed)).fit(some.iloc[learn], hacker[learn])
        test_id, world_id = f"ribeiro2016/{name}-test", f"ribeiro2016/{name}-world"
        said[test_id] = 100 * model.score(some.iloc[test], labels)
        said[f"the commoner class: {test_id}"] = commoner
        said[world_id] = 100 * (model.predict(marked) == 0).mean()
        said[f"always “a verse”: {world_id}"] = 100.0  # for nothing else is asked
        if name == "leak":  # the cleaned box knows no mark
            unmarked = 100 * (model.predict(verses) == 0).mean()
            said[f"verses without a mark: {world_id}"] = unmarked
    return said


def measure(*, seed: int, full: bool, what: str, box: str) -> dict[str, float]:
    """What one figure, table or section says of one black box."""
    table = data.hackers_and_prophets()
    hacker = (table["source"] == "jargon file").to_numpy().astype(int)
    if what == "leak":
        return leak(table["text"], hacker, seed=seed, box=box)
    clean = table["text"].str.replace("[{}]", "", regex=True).tolist()
    if what == "choice":
        return choice(clean, hacker, seed=seed)
    return {"recall": recall, "trust": trust}[what](clean, hacker, seed=seed, box=box)


GRID = Grid(
    measure=measure,
    settings=[{"what": what, "box": box} for what, box in [*BOXES, ("choice", "rf")]],
    seeds=10,
    varies="the sentences learnt and explained (of figure 6 most are shared), the words called bad,"
    " the dice of boxes and explainers",
    ours="6,000 sentences of hackers and prophets; explained are 100 documents for figure 6, 60"
    " sentences for table 1",
    why={
        f"ribeiro2016/{name}": reason
        for names, reason in (
            (
                ("recall-lr-lime", "recall-tree-lime", "trust-lr-lime", "trust-rf-lime"),
                "perhaps the other texts, perhaps 512 questions a document, not 15,000",
            ),
            (
                [
                    *(
                        f"recall-{box}-{who}"
                        for box in ("lr", "tree")
                        for who in (*OTHERS, "random")
                    ),
                    *(f"trust-{box}-{who}" for box in ("lr", "rf") for who in OTHERS),
                ],
                "perhaps the other texts and boxes",
            ),
            (("leak-test",), "perhaps another leak: braces, not the headers of e-mails"),
            (("clean-test",), "perhaps the other texts, of hackers and prophets"),
            (
                ("leak-world", "clean-world"),
                "ours is the share of verses read as verses; no hackers are asked",
            ),
        )
        for name in names
    },
)
