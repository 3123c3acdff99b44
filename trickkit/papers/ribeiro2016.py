"""The measurements of *Why should I trust you?* (Ribeiro, Singh, Guestrin 2016, arXiv:1602.04938), for bags of words.

Which words a box used, and whether an explainer finds them (§5.2); which of its predictions deserve trust (§5.3); which of two
boxes is better than its score (§5.4); and a shop whose pictures give the answer away, as snow did for the wolves (§6.4). A
*bag* is a sparse row of 0 and 1, a *box* answers bags (n, words) with probabilities (n, 2), and an explainer speaks of the
words that a document holds by their places among `row.indices`. Before that, how steady a table's explanations are.
"""
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import torch
from scipy.sparse import csr_array
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer

from trickkit import data, lime

K = 10  # words that an explanation shows
NOISE = 10  # words added that mean nothing, the last columns (§5.4)
Box = Callable[[csr_array | np.ndarray], np.ndarray]


# How steady --------------------------------------------------------------------------------------------------------------


def by_dice(box: lime.TableBox, row: pd.DataFrame, train: pd.DataFrame, samples: int, seed: int) -> lime.Explanation:
    """`lime.lime_table` with its made-up rows drawn by dice, as the lime package does, and not evenly."""
    def dice(n, dimensions, seed):
        return np.random.default_rng(seed).random((n, dimensions))

    return lime.lime_table(box, row, train, samples=samples, seed=seed, draw=dice)


def again(explainer: Callable[..., lime.Explanation], box: lime.TableBox, cases: pd.DataFrame, train: pd.DataFrame,
          samples: int | None = None, runs: int = 10) -> list[list[lime.Explanation]]:
    """Each case, a row of a table, explained again and again, with seeds 0, 1, …; explainer: `lime_table` or `by_dice`."""
    return [[explainer(box, cases.iloc[[i]], train, samples=samples, seed=seed) for seed in range(runs)]
            for i in range(len(cases))]


def shared(tops: Sequence[Sequence[Sequence[object]]]) -> tuple[float, float]:
    """What two runs have in common: how many names, and how many of those in either (Jaccard), mean over pairs and cases.

    tops: for each case, for each run, the names it gave. Raises ValueError for a case with fewer than two runs.
    """
    both, either = [], []
    for runs in tops:
        if len(runs) < 2:
            raise ValueError(f"A case came with {len(runs)} run; two or more are wanted, since they are compared in pairs.")
        pairs = [(set(a), set(b)) for i, a in enumerate(runs) for b in runs[:i]]
        both.append(np.mean([len(a & b) for a, b in pairs]))
        either.append(np.mean([len(a & b) / len(a | b) for a, b in pairs]))
    return float(np.mean(both)), float(np.mean(either))


# Does it find what the box used? (§5.2) -------------------------------------------------------------------------------------


def bags(texts: Sequence[str], labels: np.ndarray, glue: int, seed: int = 0, **options) -> tuple[csr_array, np.ndarray]:
    """Documents of `glue` sentences of one class each, as rows of 0 and 1, shuffled: (documents, words), (documents,).

    texts, labels: (n,), 0 or 1; options: for sklearn's CountVectorizer, such as min_df, the fewest documents that a word is in.
    Documents without any such word are left out.
    """
    texts, labels = np.asarray(texts, dtype=object), np.asarray(labels)
    groups, classes = [], []
    for k in (0, 1):
        own = texts[labels == k]
        parts = [" ".join(own[i:i + glue]) for i in range(0, len(own) - glue + 1, glue)]
        groups, classes = groups + parts, classes + [k] * len(parts)
    counted = CountVectorizer(binary=True, token_pattern=r"[a-z]\w+", **options).fit_transform(groups)
    order = np.random.default_rng(seed).permutation(len(groups))
    order = order[np.ravel(counted.sum(1))[order] > 0]
    return csr_array(counted.astype(float))[order], np.array(classes)[order]


def documents(bag: csr_array) -> list[csr_array]:
    """The rows of a bag, each (1, words)."""
    return [bag[[i]] for i in range(bag.shape[0])]


def asking(box: Box, row: csr_array) -> Callable[[np.ndarray], np.ndarray]:
    """What a box says of class 1 when words of a document are deleted: z (n, words of the row), True where kept -> (n,)."""
    def ask(z):
        z = csr_array(z.astype(float))
        return box(csr_array((z.data, row.indices[z.indices], z.indptr), shape=(z.shape[0], row.shape[1])))[:, 1]
    return ask


def explain_document(box: Box, row: csr_array, samples: int = 512) -> lime.Explanation:
    """LIME for one document (1, words), as `lime.lime_text` asks: some words deleted, nearness by cosine."""
    ask, d = asking(box, row), row.nnz

    def perturbed(points):
        z = lime.some_off(points)
        return z, ask(z)

    [answer] = ask(np.ones((1, d)))
    return lime.lime(perturbed, list(map(str, row.indices)), answer, d + 1, lime.cosine, lime.COSINE_WIDTH, samples)


def greedy(box: Box, row: csr_array, k: int = K) -> tuple[list[int], bool]:
    """Delete the word whose loss moves the answer most towards the other class, again and again (Martens, Provost 2014).

    Returns the places of the words deleted, at most k, and whether the answer flipped; it stops there.
    """
    ask, z, gone = asking(box, row), np.ones((1, row.nnz)), []
    yes = flipped = ask(z)[0] > 0.5
    while len(gone) < min(k, row.nnz) and flipped == yes:
        left = np.flatnonzero(z[0])
        tries = np.repeat(z, len(left), axis=0)
        tries[np.arange(len(left)), left] = 0
        said = ask(tries)
        gone.append(int(left[said.argmin() if yes else said.argmax()]))
        z[0, gone[-1]] = 0
        flipped = ask(z)[0] > 0.5
    return gone, bool(flipped != yes)


def parzen(bag: csr_array, said: np.ndarray, row: csr_array, width: float = 2) -> tuple[float, np.ndarray]:
    """A smooth stand-in for a box, and its slope, at one document (Baehrens et al. 2010).

    Each document j of a bag (n, words) to which the box said p_j speaks up with kernel k_j = exp(−D²/2 width²), D² the number
    of words that differ: p = Σ k_j p_j / Σ k_j. Returns p, and ∂p/∂x for each word of the row.
    """
    both = (bag @ row.T).toarray().ravel()
    k = np.exp(-(bag.sum(1) + row.sum() - 2 * both) / (2 * width**2))
    smooth = k @ said / k.sum()
    towards = bag[:, row.indices].toarray() - 1  # x_j − x
    return float(smooth), k * (said - smooth) @ towards / k.sum() / width**2


def held(bag: csr_array, used: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The places, in each document of a bag, of the words that a box used for it; used: the words' columns, for each."""
    return [np.flatnonzero(np.isin(row.indices, words)) for row, words in zip(documents(bag), used, strict=True)]


def recall(found: Sequence[Sequence[int]], gold: Sequence[np.ndarray]) -> float:
    """The share of the gold words that are found, in %: mean over the documents that hold any; NaN where none does."""
    hits = [np.isin(g, np.asarray(f, dtype=int)).mean() for f, g in zip(found, gold, strict=True) if len(g)]
    return float(100 * np.mean(hits)) if hits else float("nan")


def recalls(box: Box, known: csr_array, new: csr_array, gold: Sequence[np.ndarray], seed: int = 0) -> dict[str, float]:
    """The `recall` of four explainers that name ten words each (figure 6). gold: what `held` gives for new."""
    said, rows, dice = box(known)[:, 1], documents(new), np.random.default_rng(seed)
    return {"LIME": recall([lime.loudest(explain_document(box, row).weights, K) for row in rows], gold),
            "parzen": recall([lime.loudest(parzen(known, said, row)[1], K) for row in rows], gold),
            "greedy": recall([greedy(box, row)[0] for row in rows], gold),
            "random": float(np.mean([recall([dice.permutation(row.nnz)[:K] for row in rows], gold) for _ in range(20)]))}


# When to trust a prediction (§5.3) -------------------------------------------------------------------------------------------


def f1(trusted: np.ndarray, deserved: np.ndarray) -> float:
    """F1 of trust, in %: 2 |both| / (|trusted| + |deserved|), the harmonic mean of precision and recall; 100 for none."""
    count = np.sum(trusted) + np.sum(deserved)
    return float(200 * (np.asarray(trusted) & deserved).sum() / count) if count else 100.0


def stays(line: float, weights: np.ndarray, bad: np.ndarray) -> bool:
    """Whether a line keeps its side of ½ when the bad words among its ten loudest are taken out. weights, bad: (words,)."""
    shown = lime.loudest(weights, K)
    return bool((line > 0.5) == (line - weights[shown][bad[shown]].sum() > 0.5))


def trusts(box: Box, known: csr_array, new: csr_array, share: float = 0.25, runs: int = 100,
           seed: int = 0) -> tuple[dict[str, float], float]:
    """The F1 of four users who decide which predictions to trust (table 1), and how many deserve distrust, mean over runs.

    In each run a share of all words is untrustworthy; a prediction deserves trust if it stays when those are deleted. With LIME
    and parzen a user trusts if the line `stays`; with greedy if no bad word is shown; the last trusts all.
    """
    rows, dice, scores, doubts = documents(new), np.random.default_rng(seed), [], []
    said, yes = box(known)[:, 1], box(new)[:, 1] > 0.5
    told, smooth = [explain_document(box, row) for row in rows], [parzen(known, said, row) for row in rows]
    gone = [greedy(box, row)[0] for row in rows]
    for _ in range(runs):
        bad = dice.random(new.shape[1]) < share
        deserved = (box(csr_array(new * ~bad))[:, 1] > 0.5) == yes
        marked = [bad[row.indices] for row in rows]
        users = ([stays(e.line, e.weights, m) for e, m in zip(told, marked, strict=True)],
                 [stays(*s, m) for s, m in zip(smooth, marked, strict=True)],
                 [not m[g].any() for g, m in zip(gone, marked, strict=True)], [True] * len(rows))
        scores.append([f1(np.array(user), deserved) for user in users])
        doubts.append((~deserved).sum())
    who = ("LIME", "parzen", "greedy", "trusting all")
    return dict(zip(who, np.mean(scores, 0).tolist(), strict=True)), float(np.mean(doubts))


# Which of two boxes? (§5.4) -----------------------------------------------------------------------------------------------


def common_words(texts: Sequence[str], skip: int = 200, count: int = 200) -> np.ndarray:
    """Which of the commonest words each text holds, without the very commonest: (n, count) of 0 and 1."""
    held = CountVectorizer(binary=True, max_features=skip + count).fit_transform(texts).tocsc()
    return held[:, np.argsort(-np.ravel(held.sum(0)), kind="stable")[skip:]].toarray()


def half_blind(x: np.ndarray, y: np.ndarray, dice: np.random.Generator, seed: int) -> Box:
    """A forest of 30 trees that sees a random half of the words, and of the noise words a random share."""
    share = np.where(np.arange(x.shape[1]) < x.shape[1] - NOISE, 0.5, dice.random())
    columns = np.flatnonzero(dice.random(x.shape[1]) < share)
    forest = RandomForestClassifier(30, random_state=seed).fit(x[:, columns], y)
    return lambda rows: forest.predict_proba(rows[:, columns])


def pair(words: np.ndarray, labels: np.ndarray, seed: int, n: int = 400, pool: int = 20) -> tuple[float, list[Box], np.ndarray]:
    """Two forests, the better first, that are right equally often today: the points between them later, they, today's rows.

    words: (texts, words) of 0 and 1; labels: (texts,). Ten noise words are added (§5.4): in the rows to learn from and in
    today's, n each, a noise word is in 20 % of one class and 10 % of the other; in the thousand rows of later in 10 % of both.
    Of a pool, the pair within 0.1 points today and farthest apart later; (0, [], …) where there is none. The paper trains
    forests until such a pair turns up; here each is `half_blind`, so that they turn up sooner.
    """
    dice = np.random.default_rng(seed)
    chosen, one_class = dice.permutation(len(words))[:2 * n + 1000], dice.integers(2, size=NOISE)
    often = np.where(labels[chosen][:, None] == one_class, 0.2, 0.1)
    often[2 * n:] = 0.1
    x, y = np.hstack([words[chosen], dice.random(often.shape) < often]).astype(np.float32), labels[chosen]
    boxes = [half_blind(x[:n], y[:n], dice, seed) for _ in range(pool)]
    right = np.array([(box(x[n:])[:, 1] > 0.5) == y[n:] for box in boxes])
    now, later = right[:, :n].mean(1), right[:, n:].mean(1)
    pairs = [(100 * (later[i] - later[j]), i, j) for i in range(pool) for j in range(pool)
             if abs(now[i] - now[j]) < 0.0011 and later[i] > later[j]]
    gap, *places = max(pairs, default=(0.0,))
    return float(gap), [boxes[i] for i in places], x[n:2 * n]


def stories(box: Box, rows: np.ndarray, samples: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """LIME for many rows (n, words) at once: the weights of the ten loudest words of each, (n, words), else 0; each line, (n,).

    The box is asked once about each different row. Rows without a word are refused.
    """
    if not rows.any(1).all():
        raise ValueError("A row without words cannot be explained; leave such out with rows[rows.any(1)].")
    held, asked = [np.flatnonzero(row) for row in rows], []
    drawn = [np.unique(np.vstack([lime.some_off(lime.even(samples, len(h) + 1, 0)), np.ones((1, len(h)), dtype=bool)]),
                       axis=0, return_inverse=True) for h in held]
    for h, (different, _) in zip(held, drawn, strict=True):
        asked.append(np.zeros((len(different), rows.shape[1]), dtype=np.float32))
        asked[-1][:, h] = different
    said = np.split(box(np.concatenate(asked))[:, 1], np.cumsum([len(a) for a in asked])[:-1])
    table, lines = np.zeros(rows.shape), np.zeros(len(rows))
    for i, (h, (different, place), answers) in enumerate(zip(held, drawn, said, strict=True)):
        z, place = different[place.ravel()], place.ravel()
        b = lime.fit(z[:-1].astype(float), answers[place[:-1]], lime.nearness(z[:-1], lime.COSINE_WIDTH))
        top = lime.loudest(b[1:], K)
        table[i, h[top]], lines[i] = b[1:][top], b.sum()
    return table, lines


def doubtful(table: np.ndarray, lines: np.ndarray, cases: Sequence[int]) -> int:
    """How many predictions hang on noise words, to a user who saw the explanations of some cases and marked the noise in them.

    table, lines: as `stories` gives them. A prediction hangs on the marked words if its line changes sides of ½ without them.
    """
    noise = table[:, -NOISE:]
    marked = (noise[list(cases)] != 0).any(0)
    return int(((lines > 0.5) != (lines - noise[:, marked].sum(1) > 0.5)).sum())


def chosen(words: np.ndarray, labels: np.ndarray, seeds: Sequence[int], budgets: Sequence[int], apart: float = 5,
           count: int = 60, pick: Callable = lime.pick) -> tuple[list[float], dict[str, np.ndarray]]:
    """How often a user who sees few explanations of each of two forests takes the better one (figure 8).

    Of the pairs by these seeds only those `apart` points or more apart later. The user takes the forest with fewer doubtful
    predictions of `count`, and tosses a coin at a tie. Cases by SP-LIME (`pick`), the longest, which are the same for both
    forests, or ten random choices. Returns the gaps, and for each way (pairs, budgets), the chance to be right.
    """
    gaps, rights = [], {"SP-LIME": [], "longest": [], "random": []}
    for seed in seeds:
        gap, boxes, rows = pair(words, labels, seed)
        if gap < apart:
            continue
        rows, dice = rows[rows.any(1)][:count], np.random.default_rng(seed)
        told, longest = [stories(box, rows) for box in boxes], np.argsort(-rows.sum(1), kind="stable")
        orders = [dice.permutation(len(rows)) for _ in range(10)]
        ways = {"SP-LIME": lambda table, n: [np.asarray(pick(table, n), dtype=int)],
                "longest": lambda table, n, longest=longest: [longest[:n]],
                "random": lambda table, n, orders=orders: [order[:n] for order in orders]}
        gaps.append(gap)
        for name, cases in ways.items():
            doubts = [np.array([[doubtful(*t, c) for c in cases(t[0], n)] for n in budgets]) for t in told]
            rights[name].append(((doubts[0] < doubts[1]) + (doubts[0] == doubts[1]) / 2).mean(1))
    return gaps, {name: np.array(right) for name, right in rights.items()}


# The husky in the snow (§6.4) ---------------------------------------------------------------------------------------------


def shop(images: torch.Tensor, labels: torch.Tensor, tagged: str | None = "coat") -> tuple[torch.Tensor, torch.Tensor]:
    """Pullovers (0) and coats (1) of `data.clothes`, as one shop takes their pictures.

    images: (N, 1, 28, 28); labels: (N,). It sews a white tag of 2 × 2 pixels in the lower right corner of one kind, "pullover"
    or "coat"; None for a shop without tags. Raises ValueError for another kind.
    """
    if tagged not in (None, "pullover", "coat"):
        raise ValueError(f"tagged is {tagged!r}; this shop sells \"pullover\" and \"coat\", and None tags nothing.")
    kinds = [data.clothes().names.index(name) for name in ("pullover", "coat")]
    keep = torch.isin(labels, torch.tensor(kinds, device=labels.device))
    images, coat = images[keep].clone(), (labels[keep] == kinds[1]).long()
    if tagged is not None:
        images[coat == ("pullover", "coat").index(tagged), :, 25:27, 25:27] = 1
    return images, coat
