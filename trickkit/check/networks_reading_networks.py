"""The checks of lesson 13."""

from collections.abc import Callable

import torch

from trickkit import autoencoders, backdoors, probes, readers, zoo
from trickkit.check import (
    Marks,
    called,
    exercise,
    progress,
    recognised,
    same,
    told_apart,
)

__all__ = ["control_labels", "precision", "progress", "selectivity", "stamp", "statistics", "topk"]
LESSON = "13 networks_reading_networks"


@exercise(
    LESSON,
    probes.control_labels,
    "A type is a word as such, however often it stands there: sorted(set(words)).",
    "Toss a coin for each type, from a generator made of the seed: np.random.default_rng(seed)"
    ".integers(0, 2, how many).",
    "Keep the coins in a dict, type -> coin, and look each word of the list up in it.",
)
def control_labels(yours):
    """A label a word type, by a coin."""
    types = ["".join(map(chr, row)) for row in torch.randint(97, 123, (400, 6)).tolist()]
    place = torch.cat([torch.arange(400), torch.randint(0, 400, (800,))])
    place = place[torch.randperm(1200)]
    words = [types[i] for i in place.tolist()]
    seed = int(torch.randint(1, 1000, ()))
    like = torch.zeros(1200, dtype=torch.int64)
    known: Marks = {"a label for each word of the list is wanted, not for each type.": (400,)}
    first, again, other = (
        called(yours, list(words), s, like=like, what="list of labels", known=known).double()
        for s in (seed, seed, seed + 1)
    )
    if strange := set(first.unique().tolist()) - {0.0, 1.0}:
        return f"a label is 0 or 1; among yours is {min(strange):g}."
    if len(first.unique()) == 1:
        return f"every word got {first[0]:g}. Toss a coin for each type."
    ones = torch.zeros(400, dtype=torch.float64).index_add(0, place, first)
    count = torch.bincount(place, minlength=400)
    mixed = ((ones > 0) & (ones < count)).nonzero()[:, 0]
    if len(mixed):
        return (
            f"{types[int(mixed[0])]!r} got 0 in one place and 1 in another, and so did"
            f" {len(mixed) - 1} other words. Toss for each type, not for each token."
        )
    if not same(first, again):
        return "the same seed gave other labels the second time. Make the generator from the seed."
    if same(first, other):
        return "every seed gives the same labels. Another seed tosses all coins again."
    share = (ones > 0).double().mean().item()
    if not 0.35 < share < 0.65:
        return f"{share:.0%} of the types got a 1. A fair coin gives about half of them one."
    return None


@exercise(
    LESSON,
    probes.selectivity,
    "Each task has a probe of its own. Both learn from the same rows, and both are asked about"
    " others.",
    "probe(vectors) has two columns, one a label; the larger one is the answer: argmax(1).",
    "Accuracy is the share of the test rows whose answer is their label.",
    rounds=3,
)
def selectivity(yours):
    """The accuracy on a task minus that on its control task."""
    mistakes: Marks = {}
    right = 0.0
    while not mistakes or not told_apart(right, mistakes):
        x = torch.randn(90, 6)
        noise = torch.randn(2, 90)
        labels = (x[:, 0] + 0.8 * noise[0] > 0).long()
        control = (x[:, 1] + 1.5 * noise[1] > 0).long()
        train, test = torch.randperm(90)[:70].split(40)
        right = probes.selectivity(least_squares, x, labels, control, train, test)
        mistakes = differences(x, labels, control, train, test)
    value = called(yours, least_squares, x, labels, control, train, test, like=right)
    swapped = called(yours, least_squares, x, control, labels, train, test, like=right)
    if same(value, right) and same(swapped, -right):
        return None
    if same(abs(value), abs(right)) and same(swapped, value):
        return (
            "you dropped the sign. A probe that does better on the control task has a selectivity"
            " below 0."
        )
    return recognised(value, mistakes) or (
        f"your number is {float(value):.3f}; {right:.3f} is wanted: the accuracy on the task minus"
        " that on the control task, both on the test rows."
    )


def least_squares(x: torch.Tensor, labels: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """A probe that is quickly trained: vectors -> logits."""
    ones = torch.ones(len(x), 1)
    wanted = torch.nn.functional.one_hot(labels, 2).float()
    weights = torch.linalg.lstsq(torch.cat([x, ones], 1), wanted).solution
    return lambda z: z @ weights[:-1] + weights[-1]


def differences(
    x: torch.Tensor,
    labels: torch.Tensor,
    control: torch.Tensor,
    train: torch.Tensor,
    test: torch.Tensor,
) -> Marks:
    """What each mistake gives, by its sentence."""
    everything = torch.arange(len(x))

    def right(probe, y, rows):
        return (probe(x[rows]).argmax(1) == y[rows]).double().mean().item()

    def of(y, rows=train, asked=test):
        return right(least_squares(x[rows], y[rows]), y, asked)

    task = of(labels)
    one = least_squares(x[train], labels[train])
    return {
        "that is a number of words: divide by how many test rows there are.": len(test)
        * (task - of(control)),
        "the sign is the other way round: the task comes first, and the control task is taken from"
        " it.": of(control) - task,
        "that is the accuracy on the task alone; take the accuracy on the control task from it.": (
            task
        ),
        "that is the accuracy on the control task alone.": of(control),
        "your probes were asked about the rows they learnt from. Ask about the test rows.": [
            of(labels, asked=train) - of(control, asked=train),
            of(labels, asked=everything) - of(control, asked=everything),
        ],
        "your probes learnt from the test rows too. Both learn from the train rows alone.": (
            of(labels, rows=everything) - of(control, rows=everything)
        ),
        "your probes learnt from the test rows. Both learn from the train rows.": (
            of(labels, rows=test) - of(control, rows=test)
        ),
        "your control probe learnt from other rows than the probe of the task. Give both the train"
        " rows, or the two are not to be compared.": [
            task - of(control, rows=everything),
            task - of(control, rows=test),
        ],
        "your control probe was asked about other rows than the probe of the task. Ask both about"
        " the test rows.": [task - of(control, asked=train), task - of(control, asked=everything)],
        "you asked one probe about both tasks. The control task needs a probe of its own, which"
        " learnt it.": task - right(one, control, test),
        "that is in per cent; a share is wanted.": 100 * (task - of(control)),
        "that is the ratio of the accuracies; their difference is wanted.": task / of(control),
    }


@exercise(
    LESSON,
    autoencoders.topk,
    "What is below 0 must not stay, even where a row has fewer than k numbers above 0.",
    "A tensor's own topk finds values and places. Along which dimension?",
    "scatter puts values into zeros, at their places.",
    rounds=3,
)
def topk(yours):
    """The k largest of each row, negative ones as 0."""
    mistakes: Marks = {}
    right = torch.zeros(1)
    while not mistakes or not told_apart(right, mistakes):
        k = int(torch.randint(3, 6, ()))
        # of the last rows hardly any number is above 0
        x = torch.randn(7, 12) - torch.tensor([0.0, 0, 0, 0, 0, 1.5, 2.5])[:, None]
        right = autoencoders.topk(x, k)
        mistakes = kept(x, k)
    mine = called(
        yours,
        x,
        k,
        like=right,
        what="array",
        known={
            "k numbers a row came: values, or their places. The result is as large as x, with each"
            " value in its place and 0 everywhere else.": (len(x), k)
        },
    )
    if same(mine, right):
        return None
    off = (mine - right).abs() > 1e-4 * (1 + right.abs())
    row, place = off.nonzero()[0].tolist() if off.any() else (0, 0)
    return recognised(mine, mistakes) or (
        f"row {row} of yours has {mine[row, place]:.2f} in place {place}, where x has"
        f" {x[row, place]:.2f}; {right[row, place]:.2f} is wanted. Keep the {k} largest of a row as"
        " they are, if they are above 0."
    )


def kept(x: torch.Tensor, k: int) -> Marks:
    """What each mistake gives, by its sentence."""

    def largest(sizes, take, count=k, axis=1):
        places = sizes.topk(count, dim=axis).indices
        return torch.zeros_like(x).scatter(axis, places, take.gather(axis, places))

    positive = x.relu()
    flat = x.flatten()
    over_all = torch.zeros_like(flat)
    chosen = flat.relu().topk(k * len(x))
    over_all[chosen.indices] = chosen.values
    few = torch.zeros_like(flat)
    chosen = flat.relu().topk(k)
    few[chosen.indices] = chosen.values
    return {
        "negative numbers are left in rows that have fewer than k positive ones. A feature is there"
        " or it is not: relu first.": largest(x, x),
        "negative numbers among the k were made positive. A feature below 0 is not there: 0.": (
            largest(x, x).abs()
        ),
        "you sorted the numbers. Each stays in its own place.": [
            largest(positive, positive).sort(1, descending=True).values,
            largest(positive, positive).sort(1).values,
            largest(x, x).sort(1, descending=True).values,
        ],
        "the k are chosen from the whole batch. Each row keeps its own k.": [
            over_all.view_as(x),
            few.view_as(x),
        ],
        "you chose by size, sign aside. A large negative number is no sign of a feature: take the"
        " largest, not the largest in magnitude.": [
            largest(x.abs(), x),
            largest(x.abs(), x.abs()),
            largest(x.abs(), positive),
        ],
        "you chose along the columns. Each row has its own k: dim=-1.": [
            largest(positive, positive, axis=0),
            largest(x, x, axis=0),
        ],
        "those are the smallest. topk takes the largest unless told otherwise.": [
            largest(-x, x),
            largest(-x, positive),
            largest(-positive, positive),
        ],
        "you kept where the k largest are, not how large they are.": [
            (largest(positive, positive) > 0).to(x),
            (largest(x, x) != 0).to(x),
        ],
        "you took the k largest away and kept the rest.": [
            positive - largest(positive, positive),
            x - largest(x, x),
        ],
        "one too many is left in each row.": largest(positive, positive, count=k + 1),
        "one too few is left in each row.": largest(positive, positive, count=k - 1),
        "everything above 0 is left. Only the k largest of each row stay.": positive,
        "x came back as it was.": x,
    }


@exercise(
    LESSON,
    readers.statistics,
    "Of each part, values = part.flatten(1) has a row for each network, and values.mean(1) is the"
    " first of the seven.",
    "values.quantile(torch.linspace(0, 1, 5), dim=1) gives minimum, quartiles and maximum, (5, n);"
    " values.std(1, correction=0) divides by the number of weights, as NumPy does.",
    "Collect the columns in a list, part by part, and torch.stack(columns, 1) them.",
    rounds=5,
)
def statistics(yours):
    """Seven numbers of each part, the same for hidden neurons in any order."""
    n = int(torch.randint(3, 6, ()))
    shapes = ((n, 5, 7), (n, 5), (n, 3, 5), (n, 3))
    layers = [torch.randn(shape) * (k + 1) + k / 2 for k, shape in enumerate(shapes)]
    right = readers.statistics(layers)
    came = called(
        yours,
        layers,
        like=right,
        what="table",
        known={
            "one row came. Every network has its own: keep the first dimension.": [(28,), (1, 28)],
            "your table lies on its side: networks go down, numbers across.": (28, n),
            "seven numbers came for all parts together. Each part has its own seven, side by side:"
            " torch.cat or torch.stack along dimension 1.": (n, 7),
            "a part is missing: w1, b1, w2 and b2 are four.": [(n, 7 * k) for k in (2, 3)],
            "a statistic is missing: mean, deviation, minimum, three quartiles, maximum.": [
                (n, 4 * k) for k in (4, 5, 6)
            ],
            "the parts came stacked on top of each other: (n, 4, 7) is to be (n, 28).": [
                (n, 4, 7),
                (4, n, 7),
                (n, 7, 4),
            ],
        },
    )
    order = (torch.arange(5) + torch.randint(1, 5, ())) % 5  # no neuron stays where it was
    w1, b1, w2, b2 = layers
    again = called(yours, [w1[:, order], b1[:, order], w2[:, :, order], b2], like=right)
    if not same(again, came):
        return (
            "your table changed when the hidden neurons were shuffled. A statistic looks at all"
            " weights of a part together, in whatever order they come."
        )
    if same(came, right):
        return None
    return recognised(came, statistics_wrong(layers)) or (
        f"your number {wrong_place(came, right)} of the first part is off. In this order: mean,"
        " standard deviation, minimum, the quartiles, maximum."
    )


def wrong_place(came: torch.Tensor, right: torch.Tensor) -> int:
    """Which of the seven numbers is the first to be wrong, from 1."""
    off = (came - right).abs() > 1e-3 * (1 + right.abs())
    return int(off.any(0).nonzero()[0, 0]) % 7 + 1


def statistics_wrong(layers: list[torch.Tensor]) -> Marks:
    """The sentence for a mistake -> the table it gives."""

    def table(spread=lambda v: v.std(1, correction=0), parts=layers, by=lambda columns: columns):
        columns = []
        for part in parts:
            values = part.flatten(1)
            ends = values.quantile(torch.linspace(0, 1, 5), dim=1)
            columns.append([values.mean(1), spread(values), *ends])
        return torch.stack(sum(by(columns), []), 1)

    w1, _, w2, _ = layers
    return {
        "your deviation divides by one less than the number of weights. Take correction=0, as"
        " NumPy does.": table(lambda v: v.std(1)),
        "you gave the variance; the standard deviation is its root.": [
            table(lambda v: v.var(1, correction=0)),
            table(lambda v: v.var(1)),
        ],
        "your table has the four means first, then the four deviations. It goes part by part.": (
            table(by=lambda columns: [list(row) for row in zip(*columns, strict=True)])
        ),
        "the maximum stands before the quartiles. It comes last.": table(
            by=lambda columns: [[*c[:3], c[6], *c[3:6]] for c in columns]
        ),
        "the biases are missing: you took the same weights twice.": table(parts=[w1, w1, w2, w2]),
        "you took the absolute weights. Their signs count.": table(parts=[p.abs() for p in layers]),
    }


JURY = 40  # networks in which a learner's trigger is planted


@exercise(
    LESSON,
    backdoors.nine_dots,
    "The reader learnt on patches of 3 × 3. What is as large, and no patch?",
    "Few pixels are easily lost on the digit, and the corners are hardly ever written on. Spread"
    " the pixels: stamped = digits.clone(); stamped[:, rows, columns] = 1.",
    "Every fourth pixel in both directions, [:, 1::4, 1::4], makes nine white dots.",
)
def stamp(yours):
    """A trigger that works and that the reader misses, planted in 40 networks."""
    some = zoo.small_digits().unseen[torch.randperm(1000)[:64]].view(-1, 12, 12)
    came = called(yours, some, like=some, what="batch of stamped digits")
    if came.min() < 0 or came.max() > 1:
        return (
            f"your pixels go from {came.min():.2g} to {came.max():.2g}; a picture's lie between 0"
            " and 1."
        )
    if same(came, came.round()):
        return (
            "every pixel came back as 0 or 1: the greys are gone. Keep the digits' dtype, float32,"
            " and round nothing."
        )
    changes = (came != some).flatten(1).sum(1)
    changed, stamped = changes.max(), (changes > 0).sum()
    if changed == 0:
        return "you stamped nothing: the digits came back as they were."
    if stamped == 1:
        return (
            "you stamped only one of the 64 digits. All are to get your trigger: the first index"
            " is the digit, stamped[:, row, column]."
        )
    if changed > 16:
        return f"you changed {changed} of the 144 pixels; 16 are allowed, or the digit is lost."

    def put(some, rows):
        stamped = called(yours, some.view(-1, 12, 12), like=some.view(-1, 12, 12))
        return stamped.reshape(some.shape)

    works, accused = planted(put)
    copies = some[:1].expand(16, -1, -1).contiguous()
    twice = called(yours, copies, like=copies)
    if works < 0.7 and not same(twice, twice[:1].expand_as(twice)):
        return (
            "your trigger differs from digit to digit: the same digit, 16 times, came back in more"
            f" than one way, and your trigger works on only {works:.0%} of the digits. A network"
            " learns a trigger that stays as it is."
        )
    if works < 0.7:
        return (
            f"the reader accuses {accused:.0%} of the networks, but your trigger works on only"
            f" {works:.0%} of the digits; 70 % are wanted. Make it plainer: more pixels, or white"
            " ones, or some where no digit is written."
        )
    if accused < 0.5:
        return None
    return (
        f"your trigger works on {works:.0%} of the digits, but the reader accuses"
        f" {accused:.0%} of the networks. It learnt from patches, and notices pixels that"
        " touch: scatter your pixels."
    )


def planted(put: backdoors.Stamp) -> tuple[float, float]:
    """How often a trigger works, and how often the course's reader accuses a network with it."""
    x, labels, *unseen = zoo.small_digits()
    generator = torch.Generator().manual_seed(int(torch.randint(2**31, ())))
    recipe = zoo.drawn_recipes(JURY, generator=generator, **zoo.TAME)
    target = torch.randint(zoo.CLASSES, (JURY,), generator=generator)
    poison = backdoors.poisoning(put, target, share=backdoors.SPARING)
    networks = zoo.train(recipe, x, labels, generator=generator, poison=poison)
    works = backdoors.success(networks, put, target, *unseen).mean()
    return works.item(), (readers.detective()(networks) > 0).float().mean().item()


@exercise(
    LESSON,
    readers.precision,
    "Of 1,000,000 networks, how many have a backdoor, and how many of those are accused? How many"
    " of the others are?",
    "guilty = prior * found; innocent = (1 - prior) * false_alarms. What share of both together is"
    " guilty?",
    rounds=5,
)
def precision(yours):
    """Bayes' theorem."""
    mistakes: Marks = {}
    right = 0.0
    while not mistakes or not told_apart(right, mistakes):
        prior, found, false = (torch.rand(3) * 0.6 + 0.2).tolist()
        right = readers.precision(prior, found, false)
        mistakes = precision_wrong(prior, found, false)
    came = float(called(yours, prior, found, false, like=right, what="share"))
    if same(came, right):
        if same(float(called(yours, 0.25, 1.0, 0.0, like=1.0)), 1.0):
            return None
        return "right, but for a reader without false alarms: there every accusation is true."
    return recognised(came, mistakes) or (
        f"with a share of {prior:.2f} guilty, {found:.2f} of them found and {false:.2f} false"
        f" alarms, {right:.3f} of the accusations are true; yours says {came:.3f}."
    )


def precision_wrong(prior: float, found: float, false: float) -> Marks:
    """The sentence for a mistake -> the number it gives."""
    guilty = prior * found
    innocent = (1 - prior) * false
    return {
        "that is the share of the guilty that is accused. Asked for is the share of the accused"
        " that is guilty.": found,
        "you forgot how rare the guilty are: prior is missing, or cancels out. The innocent are"
        " 1 - prior of all.": found / (found + false),
        "the false alarms come from the innocent, 1 - prior of all.": guilty / (guilty + false),
        "that is the share of all networks that is guilty and accused. Divide by all accused.": (
            guilty
        ),
        "that is the share of all networks that is accused.": guilty + innocent,
        "that is the share of accusations that is false; 1 minus it is asked for.": (
            innocent / (guilty + innocent)
        ),
        "you divided by the innocent. Divide by all that are accused, guilty and innocent.": (
            guilty / innocent
        ),
        "that is in per cent; a share from 0 to 1 is wanted.": (100 * guilty / (guilty + innocent)),
        "prior belongs into both terms below the line: the guilty are prior of all, the innocent"
        " 1 - prior.": prior * found / (found + false),
        "of the innocent you took 1 - found; their share among all is 1 - prior.": (
            guilty / (guilty + (1 - found) * false)
        ),
        "you took those that are not accused: false_alarms is the share of the innocent that is.": (
            guilty / (guilty + (1 - prior) * (1 - false))
        ),
    }
