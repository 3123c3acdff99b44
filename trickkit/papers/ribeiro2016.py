"""The measurements of *Why should I trust you?* (Ribeiro, Singh, Guestrin 2016, arXiv:1602.04938),
for bags of words.

Which words a black box used, and whether an explainer finds them (§5.2); which of its predictions
deserve trust (§5.3); which of two boxes is better than its score (§5.4); and a shop whose pictures
give the answer away, as snow did for the wolves (§6.4). *Bags* are a sparse (n, words) of 0 and 1,
a document a row. A black box, or box for short, answers bags with probabilities (n, 2), and an
explainer speaks of the words that a document holds by their places among `row.indices`. Before
that, how steady a table's explanations are.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from scipy.sparse import csr_array
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import lars_path

from trickkit import data, lime
from trickkit.common import (
    top_by_magnitude,
    validate_count,
    validate_number,
    validate_positive,
    validate_seed,
)
from trickkit.contract import expanded_labels, validate_images
from trickkit.rules import conditions

K = 10  # words that an explanation shows
NOISE = 10  # words added that mean nothing, the last columns (§5.4)
Predictor = Callable[[csr_array | np.ndarray], np.ndarray]


# How steady.


def explain_table_iid(
    predict_proba: lime.TablePredictor,
    row: pd.DataFrame,
    train: pd.DataFrame | lime.TableSampler,
    *,
    samples: int | None,
    seed: int,
) -> lime.Explanation:
    """`lime.explain_table` with its made-up rows drawn by dice, as the lime package does, and not
    evenly.

    predict_proba, row, train, samples, seed: as there.
    """

    def iid(n, dimensions, *, seed):
        validate_seed(seed)
        return np.random.default_rng(seed).random((n, dimensions))

    return lime.explain_table(predict_proba, row, train, samples=samples, seed=seed, draw=iid)


def repeat_explanations(
    explainer: Callable[..., lime.Explanation],
    predict_proba: lime.TablePredictor,
    cases: pd.DataFrame,
    train: pd.DataFrame,
    *,
    samples: int | None = None,
    runs: int = 10,
) -> list[list[lime.Explanation]]:
    """Each case explained again and again, with seeds 0, 1, …: for each case, its explanations.

    explainer: `lime.explain_table` or `explain_table_iid`.
    predict_proba, train, samples: for the explainer.
    cases: (rows, columns), a case a row.
    runs: how often.
    """
    validate_count(runs=runs)
    sampler = lime.TableSampler(train)
    return [
        [
            explainer(predict_proba, cases.iloc[[i]], sampler, samples=samples, seed=seed)
            for seed in range(runs)
        ]
        for i in range(len(cases))
    ]


def shared(tops: Sequence[Sequence[Sequence[object]]]) -> tuple[float, float]:
    """What two runs have in common: how many names, and how many of those in either (Jaccard), mean
    over pairs and cases.

    tops: for each case, for each run, the names it gave.
    Raises ValueError for no case, and for a case with fewer than two runs.
    """
    if not len(tops):
        raise ValueError("At least one case is wanted; none came.")
    both = []
    either = []
    for runs in tops:
        if len(runs) < 2:
            raise ValueError(
                f"A case came with {len(runs)} run; two or more are wanted, since they are compared"
                " in pairs."
            )
        pairs = [(set(a), set(b)) for i, a in enumerate(runs) for b in runs[:i]]
        both.append(np.mean([len(a & b) for a, b in pairs]))
        either.append(np.mean([len(a & b) / len(a | b) if a | b else 1 for a, b in pairs]))
    return float(np.mean(both)), float(np.mean(either))


# Does it find what the black box used? (§5.2)


def bags(
    texts: Sequence[str], labels: np.ndarray, *, glue: int, seed: int = 0, **options: Any
) -> tuple[csr_array, np.ndarray]:
    """Documents of some sentences of one class each, as bags, shuffled, and their classes.

    texts: (n,), sentences.
    labels: (n,), 0 or 1.
    glue: how many sentences make a document; what is left over is dropped.
    seed: for the order.
    options: for sklearn's CountVectorizer, such as min_df, the fewest documents that a word is in.
        Documents without any such word are left out.
    Returns (documents, words) and (documents,).
    Raises ValueError for labels other than 0 and 1, one a sentence, and for too few sentences to
        glue.
    """
    sentences = np.asarray(texts, dtype=object)
    labels = zero_one(labels, n_rows=len(sentences))
    validate_count(glue=glue)
    validate_seed(seed)
    groups = []
    classes = []
    for k in (0, 1):
        own = sentences[labels == k]
        for i in range(0, len(own) - glue + 1, glue):
            groups.append(" ".join(own[i : i + glue]))
            classes.append(k)
    if not groups:
        raise ValueError(f"{glue} sentences of one class are wanted for a document; fewer came.")
    counter = CountVectorizer(binary=True, token_pattern=r"[a-z]\w+", **options)
    counted = counter.fit_transform(groups)
    order = np.random.default_rng(seed).permutation(len(groups))
    order = order[np.ravel(counted.sum(1))[order] > 0]
    return csr_array(counted.astype(float))[order], np.array(classes)[order]


def zero_one(labels: ArrayLike, *, n_rows: int) -> np.ndarray:
    """Labels as an array of 0 and 1, (n_rows,), whatever holds them.

    Raises ValueError for other labels, and unless there is one a row.
    """
    values = conditions.label_array(labels)
    if values.shape != (n_rows,):
        raise ValueError(
            f"One label a text is wanted, ({n_rows},); the labels' shape is {values.shape}."
        )
    other = values[~np.isin(values, (0, 1))]
    if len(other):
        raise ValueError(
            f"Labels are wanted as 0 and 1; {other.tolist()[0]!r} came. Of words make such with"
            " labels == 'yes'."
        )
    return values.astype(int)


def documents(bags: csr_array) -> list[csr_array]:
    """The rows of bags, each (1, words)."""
    return [bags[[i]] for i in range(bags.shape[0])]


def asking(predict_proba: Predictor, row: csr_array) -> Callable[[np.ndarray], np.ndarray]:
    """What a black box says of class 1 when words of a document are deleted.

    predict_proba: the black box.
    row: the document, (1, words).
    Returns a function of z, (n, words of the row), True where a word is kept, to (n,).
    """

    def ask(z):
        z = csr_array(z.astype(float))
        shape = (z.shape[0], row.shape[1])
        bags = csr_array((z.data, row.indices[z.indices], z.indptr), shape=shape)
        return lime.asked_about(predict_proba, bags)

    return ask


def explain_document(
    predict_proba: Predictor,
    row: csr_array,
    *,
    samples: int = 512,
    drop: Callable[[np.ndarray], np.ndarray] = lime.drop_some,
) -> lime.Explanation:
    """LIME for one document, as `lime.explain_text` asks: some words deleted, nearness by cosine.

    predict_proba: the black box.
    row: the document, (1, words).
    samples: how often the black box is asked.
    drop: which words are deleted, `lime.drop_some` or `lime.drop_random`.
    Raises ValueError for a document without words.
    """
    ask = asking(predict_proba, row)
    d = row.nnz
    if not d:
        raise ValueError(
            "A document without words cannot be explained; leave such out with"
            " bags[bags.sum(1) > 0]."
        )

    def perturbed(points):
        z = drop(points)
        return z, ask(z)

    [answer] = ask(np.ones((1, d)))
    return lime.explain(
        perturbed,
        list(map(str, row.indices)),
        answer=answer,
        dimensions=d + 1,
        distance=lime.cosine,
        width=lime.COSINE_WIDTH,
        samples=samples,
    )


def k_lasso(
    z: np.ndarray, answers: np.ndarray, sample_weight: np.ndarray, *, k: int = K
) -> np.ndarray:
    """LIME's line as the paper fits it: of k features at most.

    Algorithm 1.

    The last step of the LASSO's path that has no more than k weights other than 0 says which
    features; then least squares with those alone. Rows count as in `lime.weighted_ridge`, which
    keeps all features.

    z: (n, d), the features that each row keeps.
    answers: (n,), what the black box said to it.
    sample_weight: (n,), how much it counts.
    k: the most features.
    Returns (1 + d,): the intercept, then the weights, 0 for a feature that was not chosen.
    """
    validate_count(k=k)
    middle = np.average(z, axis=0, weights=sample_weight)
    level = np.average(answers, weights=sample_weight)
    root = np.sqrt(sample_weight)
    x = (z - middle) * root[:, None]
    y = (answers - level) * root
    path = lars_path(x, y, method="lasso")[2].T
    chosen = max((step != 0 for step in path if (step != 0).sum() <= k), key=np.sum)
    b = np.zeros(z.shape[1])
    if chosen.any():
        b[chosen] = np.linalg.lstsq(x[:, chosen], y, rcond=None)[0]
    return np.append(level - middle @ b, b)


def explain_k_lasso(
    predict_proba: Predictor, row: csr_array, *, samples: int = 512, k: int = K
) -> np.ndarray:
    """The weights of a document's words by `k_lasso`, from the same answers as `explain_document`.

    predict_proba: the black box.
    row: the document, (1, words), with one word or more.
    samples: how often the black box is asked.
    k: the most words.
    Returns (words of the row,).
    """
    z = lime.drop_some(lime.sobol(samples, row.nnz + 1, seed=0))
    answers = asking(predict_proba, row)(z)
    sample_weight = lime.sample_weights(z, width=lime.COSINE_WIDTH, distance=lime.cosine)
    return k_lasso(z.astype(float), answers, sample_weight, k=k)[1:]


def greedy(predict_proba: Predictor, row: csr_array, *, k: int = K) -> tuple[list[int], bool]:
    """Delete the word whose removal moves the answer most towards the other class, again and again.

    Martens, Provost 2014.

    predict_proba: the black box.
    row: the document, (1, words).
    k: the most words to delete.
    Returns the places of the words deleted, and whether the answer flipped; it stops there.
    """
    validate_count(k=k)
    ask = asking(predict_proba, row)
    z = np.ones((1, row.nnz))
    gone: list[int] = []
    yes = ask(z)[0] > 0.5
    flipped = False
    while len(gone) < min(k, row.nnz) and not flipped:
        left = np.flatnonzero(z[0])
        tries = np.repeat(z, len(left), axis=0)
        tries[np.arange(len(left)), left] = 0
        said = ask(tries)
        best = said.argmin() if yes else said.argmax()
        gone.append(int(left[best]))
        z[0, gone[-1]] = 0
        flipped = bool((said[best] > 0.5) != yes)
    return gone, flipped


def parzen(
    bags: csr_array, said: np.ndarray, row: csr_array, *, width: float = 2
) -> tuple[float, np.ndarray]:
    """A smooth stand-in for a black box, and its gradient, at one document.

    Baehrens et al. 2010.

    Document j, to which the box said p_j, speaks up with kernel k_j = exp(−D²/2 width²), D² the
    number of words that differ: p = Σ k_j p_j / Σ k_j.

    bags: the documents known, (n, words).
    said: (n,), what the box said to them.
    row: the document, (1, words).
    width: of the kernel, in words.
    Returns p, and ∂p/∂x for each word of the row: (words of the row,).
    """
    validate_positive(width=width)
    both = (bags @ row.T).toarray().ravel()
    k = np.exp(-(bags.sum(1) + row.sum() - 2 * both) / (2 * width**2))
    smooth = k @ said / k.sum()
    towards = bags[:, row.indices].toarray() - 1  # x_j − x
    return float(smooth), k * (said - smooth) @ towards / k.sum() / width**2


def used_places(bags: csr_array, used: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The places, in each document, of the words that a black box used for it.

    bags: (n, words).
    used: for each document, the columns of the words.
    """
    return [
        np.flatnonzero(np.isin(row.indices, words))
        for row, words in zip(documents(bags), used, strict=True)
    ]


def recall(found: Sequence[Sequence[int] | np.ndarray], gold: Sequence[np.ndarray]) -> float:
    """The share of the gold words that are found, in %: mean over the documents that hold any; NaN
    where none does.

    found, gold: for each document, places of words.
    """
    hits = [
        np.isin(words, np.asarray(named, dtype=int)).mean()
        for named, words in zip(found, gold, strict=True)
        if len(words)
    ]
    return float(100 * np.mean(hits)) if hits else float("nan")


def recalls(
    predict_proba: Predictor,
    known: csr_array,
    new: csr_array,
    gold: Sequence[np.ndarray],
    *,
    seed: int = 0,
) -> dict[str, float]:
    """The `recall` of five explainers that name ten words each: LIME twice, once by its ten largest
    weights and once, as in the paper, by `k_lasso`.

    Figure 6.

    predict_proba: the black box.
    known, new: bags, the documents that parzen knows and those to explain.
    gold: what `used_places` gives for new.
    seed: for the words named at random.
    """
    said = lime.asked_about(predict_proba, known)
    rows = documents(new)
    validate_seed(seed)
    rng = np.random.default_rng(seed)
    weights = {
        "LIME": [explain_document(predict_proba, row).weights for row in rows],
        "K-LASSO": [explain_k_lasso(predict_proba, row) for row in rows],
        "parzen": [parzen(known, said, row)[1] for row in rows],
    }
    found = {
        name: recall([top_by_magnitude(w, k=K) for w in each], gold)
        for name, each in weights.items()
    }
    found["greedy"] = recall([greedy(predict_proba, row)[0] for row in rows], gold)
    hats = [recall([rng.permutation(row.nnz)[:K] for row in rows], gold) for _ in range(20)]
    return found | {"random": float(np.mean(hats))}


# When to trust a prediction (§5.3).


def f1(trusted: np.ndarray, deserved: np.ndarray) -> float:
    """F1 of trust, in %: 2 |both| / (|trusted| + |deserved|), the harmonic mean of precision and
    recall; 100 for none.

    trusted, deserved: (n,) of bool, a prediction each.
    """
    count = np.sum(trusted) + np.sum(deserved)
    return float(200 * (np.asarray(trusted) & deserved).sum() / count) if count else 100.0


def shown(weights: np.ndarray) -> np.ndarray:
    """The ten largest weights in their places, and 0 elsewhere: what a user sees."""
    top = top_by_magnitude(weights, k=K)
    seen = np.zeros(len(weights))
    seen[top] = weights[top]
    return seen


def stays(line: float, seen: np.ndarray, bad: np.ndarray) -> bool:
    """Whether a line keeps its side of ½ when the bad words among those shown are taken out.

    line: what it says to the document.
    seen: (words,), the weights `shown`.
    bad: (words,) of bool.
    """
    return bool((line > 0.5) == (line - seen[bad].sum() > 0.5))


def trusts(
    predict_proba: Predictor,
    known: csr_array,
    new: csr_array,
    *,
    share: float = 0.25,
    runs: int = 100,
    seed: int = 0,
) -> tuple[dict[str, float], float]:
    """The F1 of five users who decide which predictions to trust, and how many deserve distrust,
    mean over runs.

    Table 1.

    With LIME and parzen a user trusts if the line `stays`; with greedy, and with ten words at
    random, if no bad word is shown; the last trusts all.

    predict_proba: the black box.
    known, new: bags, the documents that parzen knows and those to predict.
    share: in each run this share of all words is untrustworthy; a prediction deserves trust if it
        stays when those are deleted.
    runs: how often words are chosen anew.
    seed: for the choice of words.
    """
    validate_count(runs=runs)
    validate_number(share=share, at_least=0, at_most=1)
    rows = documents(new)
    validate_seed(seed)
    rng = np.random.default_rng(seed)
    [hat] = rng.spawn(1)
    said = lime.asked_about(predict_proba, known)
    yes = lime.asked_about(predict_proba, new) > 0.5
    # as the lime package has it, where of one word or two one is always deleted
    told = [explain_document(predict_proba, row, drop=lime.drop_random) for row in rows]
    lines = {
        "LIME": [(e.line, shown(e.weights)) for e in told],
        "parzen": [
            (p, shown(gradient)) for p, gradient in (parzen(known, said, row) for row in rows)
        ],
    }
    gone = [greedy(predict_proba, row)[0] for row in rows]
    scores = []
    doubts = []
    for _ in range(runs):
        bad = rng.random(new.shape[1]) < share
        deserved = (lime.asked_about(predict_proba, csr_array(new * ~bad)) > 0.5) == yes
        marked = [bad[row.indices] for row in rows]
        users = {
            name: [stays(line, seen, m) for (line, seen), m in zip(each, marked, strict=True)]
            for name, each in lines.items()
        }
        users["greedy"] = [not m[words].any() for words, m in zip(gone, marked, strict=True)]
        users["random"] = [not hat.permutation(m)[:K].any() for m in marked]
        users["trusting all"] = [True] * len(rows)
        scores.append([f1(np.array(trusted), deserved) for trusted in users.values()])
        doubts.append((~deserved).sum())
    return dict(zip(users, np.mean(scores, 0).tolist(), strict=True)), float(np.mean(doubts))


# Which of two black boxes? (§5.4)


def common_words(texts: Sequence[str], *, skip: int = 200, count: int = 200) -> np.ndarray:
    """Which of the commonest words each text holds.

    texts: n of them.
    skip: how many of the very commonest to leave out.
    count: how many of the next to take.
    Returns (n, count) of 0 and 1.
    """
    validate_count(skip=skip, at_least=0)
    validate_count(count=count)
    held = CountVectorizer(binary=True).fit_transform(texts).tocsc()
    # of words as common as each other the alphabet takes the first; scikit-learn's own max_features
    # cuts by a sort that is another on another processor
    often = np.argsort(-np.ravel(held.sum(0)), kind="stable")
    return held[:, often[skip : skip + count]].toarray()


def half_blind(x: np.ndarray, y: np.ndarray, *, rng: np.random.Generator, seed: int) -> Predictor:
    """A forest of 30 trees that sees a random half of the words, and of the noise words a random
    share.

    x, y: (rows, words) and (rows,), to learn from; the last words are noise.
    rng: for the choice of words.
    seed: for the forest.
    """
    share = np.where(np.arange(x.shape[1]) < x.shape[1] - NOISE, 0.5, rng.random())
    columns = np.flatnonzero(rng.random(x.shape[1]) < share)
    forest = RandomForestClassifier(30, random_state=seed).fit(x[:, columns], y)
    return lambda rows: forest.predict_proba(rows[:, columns])


def pair(
    words: np.ndarray, labels: np.ndarray, *, seed: int, n: int = 400, pool: int = 20
) -> tuple[float, list[Predictor], np.ndarray]:
    """Two forests that are right equally often today, and not later.

    Ten noise words are added (§5.4): in the rows to learn from and in today's a noise word is in
    20 % of one class and 10 % of the other, in those of later in 10 % of both. The paper trains
    forests until such a pair turns up; here each is `half_blind`, so that they turn up sooner.

    words: (texts, words) of 0 and 1.
    labels: (texts,), 0 or 1.
    seed: for the rows, the noise and the forests.
    n: rows to learn from, and as many of today; a thousand more are of later.
    pool: how many forests to choose from.
    Returns the points between them later, the two forests, the better first, and today's rows: of
        all pairs within 0.1 points today the one that is farthest apart later; (0, [], …) where
        there is none.
    Raises ValueError for labels other than 0 and 1, one a text, and for fewer texts than 2n + 1.
    """
    validate_seed(seed)
    validate_count(n=n, pool=pool)
    rng = np.random.default_rng(seed)
    words = np.asarray(words)
    labels = zero_one(labels, n_rows=len(words))
    if len(words) <= 2 * n:
        raise ValueError(f"More than {2 * n} texts are wanted, with n = {n}; {len(words)} came.")
    chosen = rng.permutation(len(words))[: 2 * n + 1000]
    one_class = rng.integers(2, size=NOISE)
    often = np.where(labels[chosen][:, None] == one_class, 0.2, 0.1)
    often[2 * n :] = 0.1
    x = np.hstack([words[chosen], rng.random(often.shape) < often]).astype(np.float32)
    y = labels[chosen]
    forests = [half_blind(x[:n], y[:n], rng=rng, seed=seed) for _ in range(pool)]
    right = np.array([(predict_proba(x[n:])[:, 1] > 0.5) == y[n:] for predict_proba in forests])
    now = right[:, :n].mean(1)
    later = right[:, n:].mean(1)
    pairs = [
        (100 * (later[i] - later[j]), i, j)
        for i in range(pool)
        for j in range(pool)
        if abs(now[i] - now[j]) < 0.0011 and later[i] > later[j]
    ]
    gap, *places = max(pairs, default=(0.0,))
    return float(gap), [forests[i] for i in places], x[n : 2 * n]


def stories(
    predict_proba: Predictor,
    rows: np.ndarray,
    *,
    samples: int = 256,
    drop: Callable[[np.ndarray], np.ndarray] = lime.drop_some,
) -> tuple[np.ndarray, np.ndarray]:
    """LIME for many rows at once: the weights that a user sees of each, and what each line says.

    predict_proba: the black box.
    rows: (n, words) of 0 and 1.
    samples: for each row; the black box is asked about all of them at once, and once about each
        that is different.
    drop: which words are deleted, as for `explain_document`.
    Returns (n, words), 0 where a weight is not seen, and (n,).
    Raises ValueError for a row without a word.
    """
    rows = np.asarray(rows)
    if not rows.any(1).all():
        raise ValueError(
            "A row without words cannot be explained; leave such out with rows[rows.any(1)]."
        )
    held = [np.flatnonzero(row) for row in rows]
    drawn = []
    asked = []
    for words in held:
        z = drop(lime.sobol(samples, len(words) + 1, seed=0))
        different, place = np.unique(z, axis=0, return_inverse=True)
        drawn.append((z.astype(float), place.ravel()))
        asked.append(np.zeros((len(different), rows.shape[1]), dtype=np.float32))
        asked[-1][:, words] = different
    said = lime.asked_about(predict_proba, np.concatenate(asked))
    answers = np.split(said, np.cumsum([len(some) for some in asked])[:-1])
    table = np.zeros(rows.shape)
    lines = np.zeros(len(rows))
    for i, (z, place) in enumerate(drawn):
        sample_weight = lime.sample_weights(z, width=lime.COSINE_WIDTH, distance=lime.cosine)
        b = lime.weighted_ridge(z, answers[i][place], sample_weight)
        table[i, held[i]] = shown(b[1:])
        lines[i] = b.sum()
    return table, lines


def doubtful(table: np.ndarray, lines: np.ndarray, cases: Sequence[int] | np.ndarray) -> int:
    """How many predictions hang on noise words, to a user who saw the explanations of some cases
    and marked the noise in them.

    A prediction hangs on the marked words if its line changes sides of ½ without them.

    table, lines: as `stories` gives them; the last words are noise.
    cases: their places.
    """
    noise = table[:, -NOISE:]
    marked = (noise[list(cases)] != 0).any(0)
    return int(((lines > 0.5) != (lines - noise[:, marked].sum(1) > 0.5)).sum())


def chance_right(
    told: Sequence[tuple[np.ndarray, np.ndarray]], chosen: Sequence[Sequence[Sequence[np.ndarray]]]
) -> np.ndarray:
    """The chance that a user takes the better of two forests, the one with fewer doubtful
    predictions, and at a tie by the toss of a coin.

    told: `stories` of the better forest and of the worse.
    chosen: for each of the two, for each budget, choices of cases, as likely, and as many for each.
    Returns (budgets,).
    """
    better, worse = (
        np.array([[doubtful(*story, cases) for cases in choices] for choices in budgets])
        for story, budgets in zip(told, chosen, strict=True)
    )
    return ((better < worse) + (better == worse) / 2).mean(1)


def right_choices(
    words: np.ndarray,
    labels: np.ndarray,
    *,
    seeds: Sequence[int],
    budgets: Sequence[int],
    min_gap: float = 5,
    count: int = 60,
    pick: Callable = lime.pick,
) -> tuple[list[float], dict[str, np.ndarray]]:
    """How often a user who sees few explanations of each of two forests takes the better one.

    Figure 8.

    Cases are chosen by SP-LIME; or are the longest, the same for both forests; or at random, ten
    times.

    words, labels: as in `pair`.
    seeds: a pair each.
    budgets: how many explanations the user sees, each in turn.
    min_gap: only pairs as many points apart later, or more, are taken.
    count: how many predictions the user judges the forests by.
    pick: chooses the cases for SP-LIME, called as `lime.pick` is.
    Returns the gaps, and for each way (pairs, budgets), the chance to be right.
    """
    gaps = []
    rights: dict[str, list[np.ndarray]] = {"SP-LIME": [], "longest": [], "random": []}
    for seed in seeds:
        gap, forests, rows = pair(words, labels, seed=seed)
        if gap < min_gap:
            continue
        gaps.append(gap)
        rows = rows[rows.any(1)][:count]
        # as the lime package deletes words
        told = [stories(box, rows, drop=lime.drop_random) for box in forests]
        picked = [
            [[np.asarray(pick(table, budget=n), dtype=int)] for n in budgets] for table, _ in told
        ]
        rights["SP-LIME"].append(chance_right(told, picked))
        validate_seed(seed)
        rng = np.random.default_rng(seed)
        shuffled = [rng.permutation(len(rows)) for _ in range(10)]
        longest = np.argsort(-rows.sum(1), kind="stable")
        for name, orders in (("longest", [longest]), ("random", shuffled)):
            first = [[order[:n] for order in orders] for n in budgets]
            rights[name].append(chance_right(told, [first, first]))
    return gaps, {name: np.array(right) for name, right in rights.items()}


# The husky in the snow (§6.4).


def shop(
    images: torch.Tensor, labels: torch.Tensor, *, tagged: str | None = "coat"
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pullovers (0) and coats (1) of `data.clothes`, as one shop takes their pictures.

    images: (N, 1, 28, 28).
    labels: (N,).
    tagged: the kind that gets a white tag of 2 × 2 pixels sewn in the lower right corner,
        "pullover" or "coat"; None for a shop without tags.
    Returns images (n, 1, 28, 28) and (n,), 0 or 1.
    Raises ValueError for another kind, and for images or labels that do not fit.
    """
    validate_images(images)
    labels = expanded_labels(labels, images)
    if tagged not in (None, "pullover", "coat"):
        raise ValueError(
            f'tagged is {tagged!r}; this shop sells "pullover" and "coat", and None tags nothing.'
        )
    kinds = [data.clothes().names.index(name) for name in ("pullover", "coat")]
    keep = torch.isin(labels, torch.tensor(kinds, device=labels.device))
    images = images[keep].clone()
    coat = (labels[keep] == kinds[1]).long()
    if tagged is not None:
        images[coat == ("pullover", "coat").index(tagged), :, 25:27, 25:27] = 1
    return images, coat
