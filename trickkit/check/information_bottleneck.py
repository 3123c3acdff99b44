"""The checks of lesson 10, on codes, values and networks that are drawn anew each time."""

import numpy as np
import torch

from trickkit import information
from trickkit.check import (
    Wrong,
    called,
    exercise,
    fresh_rng,
    progress,
    recognised,
    same,
    told_apart,
    written,
)

__all__ = ["bins", "entropy", "impostor", "kde_bound", "mutual_information", "progress"]
LESSON = "10 information_bottleneck"
ABSENT = (
    "your entropy is not a finite number: a code that never comes up has p = 0, and log₂ of that is"
    " −∞. np.unique lists only those that do come up."
)
IN_NATS = "that is in nats, by the natural logarithm. Bits are wanted: np.log2."


def counts(codes: np.ndarray) -> np.ndarray:
    """How often each code comes up."""
    return np.unique(codes, axis=0, return_counts=True)[1]


def put_together(codes: np.ndarray) -> list[float]:
    """The entropies of rows that became one code each, the same for some that differ."""
    units = codes.shape[1]
    weights = [b ** np.arange(units)[::turn] for b in (2, 10) for turn in (1, -1)]
    strings = np.array(["".join(map(str, row)) for row in codes.tolist()])
    return [information.entropy(codes @ weight) for weight in (*weights, np.ones(units, int))] + [
        information.entropy(np.unique(strings, return_inverse=True)[1])
    ]


def tallied(p: np.ndarray) -> float:
    """Σ p log₂ 1/p, whatever p may be."""
    return float((p * np.log2(1 / p)).sum())


def by_unit(codes: np.ndarray) -> float:
    """The entropies of the units, added up."""
    return sum(information.entropy(unit) for unit in codes.reshape(len(codes), -1).T)


@exercise(
    LESSON,
    information.entropy,
    "np.unique(codes, axis=0, return_counts=True)[1] says how often each code comes up; axis=0"
    " takes a row as one code.",
    "Divided by their sum, those are the shares p. Each code adds p · log₂ 1/p.",
    "(p * np.log2(1 / p)).sum()",
    rounds=5,
)
def entropy(yours):
    """H = Σ p log₂ 1/p of codes, or of rows of codes."""
    rng = fresh_rng()
    alone = rng.choice([1, 3, 7, 11, 12], 90, p=[0.4, 0.3, 0.15, 0.1, 0.05])
    rows = rng.choice([1, 2, 11, 12, 21, 30], (200, 3), p=[0.3, 0.25, 0.2, 0.1, 0.1, 0.05])
    rows[:, 1] = np.where(
        rng.random(200) < 0.5, rows[:, 0], rows[:, 1]
    )  # the units share something
    for codes in (alone, rows, alone - 8):
        right = information.entropy(codes)
        said = called(yours, codes, like=right, what="entropy", not_finite=ABSENT)
        if same(said, right):
            continue
        n = counts(codes)
        p = n / n.sum()
        mistakes = {
            IN_NATS: right * np.log(2),
            "the sign is turned: log₂ p is negative, and entropy is not.": -right,
            "you took the counts for shares. Divide them by their sum first.": [
                -(n * np.log2(n)).sum(),
                (n * np.log2(n)).sum(),
            ],
            "you divided the counts by how many different codes there are. Divide them by their"
            " sum, which is the number of all codes.": tallied(n / len(n)),
            "that is log₂ of how many codes there are, which is right only where all are equally"
            " frequent.": np.log2(len(n)),
            "you took the mean over the codes. Each counts by its share: add up p log₂ 1/p.": [
                (p * np.log2(1 / p)).mean(),
                np.log2(1 / p).mean(),
            ],
            "you added up log₂ 1/p. Each code counts by its share: add up p log₂ 1/p.": (
                np.log2(1 / p).sum()
            ),
            "that is by the logarithm to base 10. Bits are wanted: np.log2.": right * np.log10(2),
        }
        if (codes > 0).all():
            mistakes[
                "a code is only a name, and you took it for a count. Count how often each one"
                " comes up: np.unique(…, return_counts=True)."
            ] = tallied(codes / codes.sum())
        if codes.ndim == 2:
            mistakes |= {
                "you added up the units' entropies. What two units share counts once: a row is one"
                " code, np.unique(…, axis=0).": by_unit(codes),
                "you counted single numbers. A row is one code: np.unique(…, axis=0).": (
                    information.entropy(codes.ravel())
                ),
                "you compared columns. A row is one code: axis=0, not −1 or 1.": (
                    information.entropy(codes.T)
                ),
                "you divided by the number of numbers, codes.size. The shares are of all rows,"
                " len(codes).": tallied(n / codes.size),
                "some rows that differ became the same when you put their numbers together. Leave a"
                " row as it is: np.unique(…, axis=0).": put_together(codes),
                "you looked at some of the units only. A row is one code, however many units it"
                " has: np.unique(…, axis=0).": [
                    information.entropy(codes[:, some])
                    for some in (0, 1, 2, [0, 1], [1, 2], [0, 2])
                ],
            }
        return recognised(said, mistakes) or (
            f"of {len(codes)} codes, {len(n)} of them different, the entropy is {right:.3f} bits;"
            f" yours is {float(said):.3f}."
        )
    nothing = called(yours, np.full(9, 4), like=0.0, what="entropy of nine equal codes")
    if not same(nothing, 0):
        return f"nine equal codes tell nothing: 0 bits. Yours are {float(nothing):.3f}."
    return None


@exercise(
    LESSON,
    information.mutual_information,
    "Your entropy does all the work, three times.",
    "For H(A, B) put both side by side, so that a row is what a and b say together:"
    " np.column_stack([a, b]).",
    "entropy(a) + entropy(b) - entropy(np.column_stack([a, b]))",
    rounds=5,
)
def mutual_information(yours):
    """I(A; B) = H(A) + H(B) − H(A, B)."""
    while True:
        rng = fresh_rng()
        b = rng.choice(3, 120, p=[0.5, 0.3, 0.2])
        told = (b + (rng.random((3, 120)) < [[0.3], [0.5], [0.6]])) % 3
        a = told.T + rng.integers(9)
        right = information.mutual_information(a, b)
        h_a, h_b = information.entropy(a), information.entropy(b)
        both = h_a + h_b - right
        units = sum(information.mutual_information(unit, b) for unit in a.T)
        fewer = [information.mutual_information(a[:, some], b) for some in (0, 1, 2, [0, 1])]
        mistakes = {
            IN_NATS: right * np.log(2),
            "that is H(A, B), what both say together. Take it from H(A) + H(B).": both,
            "that is what is left of A once B is known, H(A, B) − H(B).": both - h_b,
            "that is what is left of B once A is known, H(A, B) − H(A).": both - h_a,
            "the sign is turned: H(A) + H(B) is the larger one.": -right,
            "you added up what each unit tells. A row of a is one code.": units,
            "you looked at some of a's units only. A row of a is one code.": fewer,
            "you divided it by an entropy. Bits are wanted, as they are.": [
                right / h_a,
                right / h_b,
                right / both,
                2 * right / (h_a + h_b),
                right / np.sqrt(h_a * h_b),
            ],
            "that is H(A) alone.": h_a,
            "that is H(B) alone.": h_b,
            "that is H(A) + H(B); what they say together is to be taken away.": h_a + h_b,
        }
        if told_apart(right, mistakes):
            break
    for first, second, wanted in ((a, b, right), (b, b, h_b), (b, a, right)):
        try:
            said = called(yours, first, second, like=wanted, what="information")
        except (TypeError, ValueError, IndexError) as error:
            return (
                f"it stopped with {type(error).__name__}: {str(error).removesuffix('.')}. Here a is"
                f" {first.shape} and b {second.shape}. For H(A, B) put them side by side:"
                " entropy(np.column_stack([a, b]))."
            )
        if same(said, wanted):
            continue
        if first is a:
            return recognised(said, mistakes) or (
                f"H(A) is {h_a:.3f}, H(B) {h_b:.3f} and H(A, B) {both:.3f}, so I is {right:.3f}"
                f" bits; yours is {float(said):.3f}."
            )
        if second is b:
            return (
                "right where a has rows; but of single numbers, a is (N,), and anything tells all"
                f" of itself: I(B; B) = H(B) = {h_b:.3f}. Yours is {float(said):.3f}."
            )
        return (
            "right where a has rows; but b may have them too, (N, units), and a row is one code."
            f" I is {right:.3f} bits either way round; yours is {float(said):.3f}."
        )
    return None


@exercise(
    LESSON,
    information.bins,
    "(values - low) / (high - low) goes from 0 to 1; times count, from 0 to count.",
    "np.floor of that is the bin's number. Only the very end, high, comes out as count: it belongs"
    " into the last bin, count - 1.",
    ".clip(0, count - 1) sees to both ends; .astype(int) makes whole numbers.",
    rounds=5,
)
def bins(yours):
    """Which of `count` equal bins from low to high each value falls into."""
    while True:
        rng = fresh_rng()
        count, low = int(rng.integers(4, 9)), float(rng.integers(-3, 1)) - 0.5
        high = low + float(rng.integers(1, 5))
        inside = (np.arange(12 * count) % count + rng.uniform(0.1, 0.9, 12 * count)) / count
        inside = low + inside.reshape(3, -1) * (high - low)
        right = information.bins(inside, count=count, low=low, high=high)
        share = (inside - low) / (high - low)
        edges = np.linspace(low, high, count)
        mistakes = {
            "your bins are numbered from 1. The first is 0, as everywhere in Python: np.floor, and"
            " not np.ceil.": right + 1,
            f"those are {count - 1} bins, one too few. np.linspace(low, high, {count}) has {count}"
            f" edges, with {count - 1} bins between them; so has a share times count - 1.": [
                np.digitize(inside, edges) - 1,
                np.digitize(inside, edges),
            ],
            "you rounded to the nearest number, so that the bins at the ends are half as wide: take"
            " np.floor of the share times count.": [
                np.round(share * count),
                np.round(share * count).clip(0, count - 1),
                np.round(share * (count - 1)),
            ],
            "you forgot to start from low: (values - low) / (high - low).": [
                np.floor(inside / (high - low) * count),
                np.floor(inside / (high - low) * count).clip(0, count - 1),
            ],
            "that is the middle of the bin, or its edge. The bin's number is wanted.": [
                low + (right + middle) / count * (high - low) for middle in (0, 0.5, 1)
            ],
            "those are places between 0 and count, not yet bins: np.floor.": share * count,
            "those are shares of the way from low to high. Times count, and np.floor.": share,
            "your bins go from −1 to 1, whatever low and high say.": [
                information.bins(inside, count=count),
                np.floor((inside + 1) / 2 * count),
            ],
            "the numbers run from the wrong end: the bin at low is 0.": count - 1 - right,
            "your bins go from the smallest value to the largest, whatever low and high say.": (
                information.bins(inside, count=count, low=inside.min(), high=inside.max())
            ),
        }
        if told_apart(right, mistakes):
            break
    said = called(yours, inside, count, low, high, like=right, what="array of bins")
    if not same(said, right):
        off = abs(said - right).argmax()
        return recognised(said, mistakes) or (
            f"{inside.flat[off]:.3f} lies in bin {right.flat[off]} of {count} from {low:g} to"
            f" {high:g}; you say bin {said.flat[off]:g}."
        )
    ends = np.array([low, high])
    at_ends = called(yours, ends, count, low, high, like=ends, what="array of bins")
    if not same(at_ends, [0, count - 1]):
        last = f"{float(at_ends[1]):g}"
        if last == f"{count}":
            return (
                f"a value of exactly high falls into bin {last}, one too many: a saturated tanh"
                f" would have a bin for itself. The last bin is {count - 1}."
            )
        return f"low and high belong into bins 0 and {count - 1}; yours are {at_ends.tolist()}."
    beyond = np.array([low - 0.7 * (high - low), high + 0.7 * (high - low)])
    outside = called(yours, beyond, count, low, high, like=beyond, what="array of bins")
    if not same(outside, [0, count - 1]):
        return (
            f"right within low and high; what lies outside goes into the bin at that end, 0 or"
            f" {count - 1}. Yours are {outside.tolist()}: .clip them."
        )
    inner = low + np.arange(1, 4) * (high - low) / 4  # numbers that a computer has exactly
    at_edges = called(yours, inner, 4, low, high, like=inner, what="array of bins")
    if not same(at_edges, [1, 2, 3]):
        return (
            "a value on the edge of two bins belongs into the upper one: of four bins from"
            f" {low:g} to {high:g}, {inner[0]:g} lies in bin 1; you say bin {float(at_edges[0]):g}."
        )
    zero = called(yours, np.zeros(1), 20, -1.0, 1.0, like=np.zeros(1), what="array of bins")
    if not same(zero, [10]):
        return (
            "0 is the edge between bins 9 and 10 of twenty from −1 to 1, and belongs into 10; you"
            f" say {float(zero[0]):g}. With fractions // can come out one too small: 1 // 0.1 is 9."
            " Divide by high - low, times count, and then np.floor."
        )
    return None


def near(squared: np.ndarray, width: float) -> np.ndarray:
    """exp(−squared / width)."""
    return np.exp(-squared / width)


@exercise(
    LESSON,
    information.kde_bound,
    "torch.cdist(t, t) is the distance of any two rows, (N, N); .square() it.",
    "exp(−squared / 2σ²) is 1 for the same place and 0 far away. Its mean over a row, .mean(1), is"
    " the share of inputs that are near: that is what plays the part of p.",
    "-near.mean(1).log2().mean(): the logarithm first, then the mean over all inputs.",
    rounds=3,
)
def kde_bound(yours):
    """−⟨log₂ ⟨exp(−‖tᵢ − tⱼ‖² / 2σ²)⟩⟩."""
    rng = fresh_rng()
    t = torch.tensor(rng.normal(size=(24, 2)))
    variance = float(rng.uniform(0.2, 0.4))
    right = information.kde_bound(t, variance=variance)
    known = {
        "there is still a number for each input. Take their mean, the outer one.": (24,),
        "there is still a number for each pair of inputs. Two means are to be taken.": (24, 24),
    }
    said = called(yours, t, variance, like=right, what="bound", known=known)
    if same(said, right):
        many = torch.tensor(rng.normal(size=(1000, 2)))
        try:
            called(yours, many, variance, like=right, what="bound", known=known)
        except Wrong:  # it ran too many lines
            return (
                "right, but with a Python loop over all pairs, which takes minutes with a thousand"
                " inputs. torch.cdist(t, t) has all distances in one go."
            )
        return None
    squared = torch.cdist(t, t).square().numpy()
    share = near(squared, 2 * variance).mean(1)
    others = (near(squared, 2 * variance).sum(1) - 1) / 23

    def bound(width, of=squared):
        return -np.log2(near(of, width).mean(1)).mean()

    mistakes = {
        "that is in nats, by the natural logarithm. Bits are wanted: .log2().": right * np.log(2),
        "you added up the units' absolute differences, p=1 in torch.cdist. ‖tᵢ − tⱼ‖² adds up their"
        " squares.": bound(2 * variance, torch.cdist(t, t, p=1).square().numpy()),
        "the sign is turned: the shares are below 1, so their logarithms are below 0.": -right,
        "the squares are missing: ‖tᵢ − tⱼ‖² is the distance squared.": (
            bound(2 * variance, np.sqrt(squared))
        ),
        "you squared the variance. σ² is the variance, and needs no square.": (
            bound(2 * variance**2)
        ),
        "you took σ, the root, where the variance σ² is wanted.": bound(2 * variance**0.5),
        "the 2 in 2σ² is missing.": bound(variance),
        "/ 2 * variance divides by 2 and then multiplies by the variance. Put brackets:"
        " / (2 * variance).": bound(2 / variance),
        "your variance is 0.001, whatever came for it.": bound(2e-3),
        "you took a power of 2 where e is the base: torch.exp.": bound(2 * variance / np.log(2)),
        "with 8σ² that is the lower bound of the same paper. Take 2σ².": bound(8 * variance),
        "the inner mean became a sum, and every input looks 24 times as near.": (
            -np.log2(24 * share).mean()
        ),
        "the outer mean became a sum: 24 times too large.": 24 * right,
        "the logarithm goes around the inner mean alone; you took it of the mean of all.": (
            -np.log2(share.mean())
        ),
        "the logarithm goes around the mean; you took the mean of logarithms.": (
            (squared / (2 * variance)).mean() / np.log(2)
        ),
        "you left out j = i. An input is near to itself, and counts.": -np.log2(others).mean(),
        "the minus in the exponent is missing: what is far away must count less.": (
            bound(-2 * variance)
        ),
        "you took the mean over the units where ‖tᵢ − tⱼ‖² adds them up.": (
            bound(2 * variance, squared / t.shape[1])
        ),
        "the units are not added up: ‖tᵢ − tⱼ‖² is one number for each two inputs.": np.mean(
            [information.kde_bound(unit[:, None], variance=variance) for unit in t.T]
        ),
        "you compared units, not inputs: a row is an input.": (
            information.kde_bound(t.T, variance=variance)
        ),
    }
    return recognised(said, mistakes) or (
        f"of 24 inputs and σ² = {variance:.2f}, the bound is {right:.3f} bits; yours is"
        f" {float(said):.3f}."
    )


LEAST, MOST = 1.0, 4.0  # bits of layer 5 that impostors may have on average
FEW, MANY = 0.5, 5.0  # and each alone, but for two of ten
KNOWN = 0.25  # bits that it may tell of the label
CHANCE = 0.4, 0.6  # its accuracy


@exercise(
    LESSON,
    information.impostor,
    "A network is a list of six pairs, weights and biases. Try one thing to all of them, and look"
    " at layer 5's bits with 30 bins, as in the cells above.",
    "Where are tanh's values if its inputs are huge?",
    "Large inputs drive tanh to −1 or 1: two bins of thirty. [(16 * w, b) for w, b in weights]",
    rounds=2,
)
def impostor(yours):
    """Weights of networks that compress and have learnt nothing."""
    x, y = information.patterns()
    generator = torch.Generator().manual_seed(int(torch.randint(2**31, ())))
    weights = information.untrained(10, generator=generator)
    made = written(yours(weights))
    pairs = f"a list of {len(weights)} pairs, (weights, biases), is wanted"
    if not isinstance(made, list | tuple):
        if hasattr(made, "shape"):
            return f"your network has shape {tuple(made.shape)}; {pairs}."
        return f"your network is a {type(made).__name__}; {pairs}."
    if len(made) != len(weights):
        return f"your network has {len(made)} layers; {pairs}."
    network = []
    for layer, (pair, old) in enumerate(zip(made, weights, strict=True), 1):
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            return f"layer {layer} of yours is no pair; {pairs}."
        parts = [torch.as_tensor(part).detach().float() for part in pair]
        for name, part, was in zip(("weights", "biases"), parts, old, strict=True):
            if part.shape != was.shape:
                return (
                    f"layer {layer}'s {name} have shape {tuple(part.shape)}; they came as"
                    f" {tuple(was.shape)}."
                )
            if not part.isfinite().all():
                return f"layer {layer}'s {name} hold numbers that are not finite."
        network.append((parts[0], parts[1]))
    values = information.outputs(network, x)
    plane = information.plane(values, y, code=lambda t: information.bins(t, count=30))
    each = plane[0][:, 4]
    fifth, of_label = (bits[:, 4].mean() for bits in plane)
    accuracy = (values[-1].argmax(-1) == y).double().mean().item()
    if torch.equal(information.packed(network), information.packed(weights)):
        return (
            f"these are the weights that came: layer 5 has {fifth:.2f} bits, and {MOST:g} at most"
            " are wanted."
        )
    if accuracy > CHANCE[1]:
        return f"your networks have {accuracy:.0%} of the patterns right: they are to know nothing."
    if accuracy < CHANCE[0]:
        return (
            f"your networks have {accuracy:.0%} of the patterns right: to be wrong so often, they"
            " must know the answer. They are to know nothing."
        )
    if fifth > MOST:
        return (
            f"layer 5 has {fifth:.2f} bits; {MOST:g} at most are wanted. Drive its values into"
            " fewer bins."
        )
    if fifth < LEAST:
        return (
            f"layer 5 has {fifth:.2f} bits: it says the same to nearly every input, and nobody"
            f" would take it for a trained one. {LEAST:g} at least are wanted."
        )
    alike = int(((each >= FEW) & (each <= MANY)).sum())
    if alike < 8:
        return (
            f"the mean is right, {fifth:.2f} bits, but only {alike} of the ten networks have"
            f" between {FEW:g} and {MANY:g}. Each is to look like a trained one."
        )
    if of_label > KNOWN:
        return (
            f"layer 5 tells {of_label:.2f} bits of the label, and {KNOWN:g} at most are wanted:"
            " your networks know the answer, whatever their last layer says."
        )
    return None
