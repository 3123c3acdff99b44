"""Networks that read networks: what can be told of a network from its weights, or from its answers
to a few questions.

In this order: statistics of weights (Unterthiner et al. 2020), three readers that learn, where a
reader looks, a rule to read by eye, and a reader that speaks in words.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from trickkit.common import progress_bar, validate_count, validate_number, validate_positive
from trickkit.contract import drawn_from, seeded, with_gradients
from trickkit.models import load_weights
from trickkit.training import one_thread
from trickkit.zoo import ALL_WEIGHTS, CLASSES, PIXELS, Zoo, answers

FILE = "weights/zoo_readers.safetensors"
Factory = Callable[[], nn.Module]  # makes an untrained reader, such as `SetReader`
ZooReader = Callable[[Zoo], torch.Tensor]  # n networks -> (n,) or (n, outputs)
DIGIT_PAIRS = torch.combinations(torch.arange(CLASSES))  # of digits, (45, 2)


def statistics(layers: Sequence[torch.Tensor]) -> torch.Tensor:
    """Seven numbers of each part of a network: mean, standard deviation, minimum, quartiles (three)
    and maximum.

    Unterthiner et al. 2020, who take the variance instead of the deviation.

    layers: w1, b1, w2, b2, each of n networks, (n, …).
    Returns (n, 7 · parts).
    """
    found = []
    for part in layers:
        values = part.flatten(1)
        ends = values.quantile(torch.linspace(0, 1, 5, dtype=values.dtype), dim=1)
        found += [values.mean(1), values.std(1, correction=0), *ends]
    return torch.stack(found, 1)


class FlatReader(nn.Module):
    """Reads all weights in a row, as they come: zoo -> (n, outputs)."""

    def __init__(self, outputs: int = 1, *, width: int = 64):
        super().__init__()
        self.reads = nn.Sequential(
            nn.Linear(ALL_WEIGHTS + 1, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, outputs),
        )

    def forward(self, zoo: Zoo) -> torch.Tensor:
        return self.reads(torch.cat([zoo.flat, zoo.tanh.unsqueeze(1)], 1))


class SetReader(nn.Module):
    """Reads each hidden neuron by itself, with the weights into and out of it, and then what all of
    them have in common: in any order the same, zoo -> (n, outputs).

    Zaheer et al. 2017, "Deep Sets", arXiv:1703.06114, theorem 2: ρ(Σ φ(neuron)); here the mean and
    the maximum.
    """

    def __init__(self, outputs: int = 1, *, width: int = 64):
        super().__init__()
        self.neuron = nn.Sequential(
            nn.Linear(PIXELS + 1 + CLASSES, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()
        )
        self.whole = nn.Sequential(
            nn.Linear(2 * width + CLASSES + 1, width), nn.ReLU(), nn.Linear(width, outputs)
        )

    def forward(self, zoo: Zoo) -> torch.Tensor:
        w1, b1, w2, b2 = zoo.layers
        each = self.neuron(torch.cat([w1, b1.unsqueeze(2), w2.mT], 2))
        return self.whole(torch.cat([each.mean(1), each.amax(1), b2, zoo.tanh.unsqueeze(1)], 1))


class QueryReader(nn.Module):
    """Asks each network a few made-up pictures and reads its answers; of the weights it sees
    nothing: zoo -> (n, outputs).

    Xu et al. 2021, "Detecting AI Trojans Using Meta Neural Analysis", arXiv:1910.03137: ten
    queries, learnt with the reader.

    tuned: the queries are learnt; if not, they stay noise.
    """

    def __init__(self, outputs: int = 1, *, queries: int = 10, width: int = 20, tuned: bool = True):
        super().__init__()
        self.queries = nn.Parameter(torch.rand(queries, PIXELS), requires_grad=tuned)
        self.reads = nn.Sequential(
            nn.Linear(queries * CLASSES, width), nn.ReLU(), nn.Linear(width, outputs)
        )

    def forward(self, zoo: Zoo) -> torch.Tensor:
        return self.reads(answers(zoo, self.queries).softmax(2).flatten(1))


def verdict_loss(said: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """The loss of a reader that accuses: cross-entropy of (n, 1) logits and yes or no, (n,)."""
    return F.binary_cross_entropy_with_logits(said[:, 0], wanted.float())


def estimate_loss(said: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """The loss of a reader that estimates: the squared error of (n, 1) and a number each, (n,)."""
    return F.mse_loss(said[:, 0], wanted)


@with_gradients
def fit(
    make: Factory,
    zoo: Zoo,
    wanted: torch.Tensor,
    *,
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = verdict_loss,
    epochs: int = 20,
    lr: float = 2e-3,
    seed: int = 0,
) -> nn.Module:
    """A reader, trained on networks of which the answer is known, and frozen.

    make: makes the untrained reader.
    wanted: the answers, (n, …).
    loss: (what the reader says, wanted) -> a number to lower.
    epochs: how often each network is read, 64 a step.
    lr: of AdamW, falling to 0.
    seed: of the reader's first weights, and of the order.
    """
    validate_count(epochs=epochs)
    validate_positive(lr=lr)
    with drawn_from(seed):
        reader = make()
    generator = seeded(seed)
    optimizer = torch.optim.AdamW([p for p in reader.parameters() if p.requires_grad], lr=lr)
    steps = epochs * -(-len(zoo) // 64)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=steps)
    with one_thread():
        for _ in progress_bar(range(epochs), "reader"):
            for rows in torch.randperm(len(zoo), generator=generator).split(64):
                value = loss(reader(zoo[rows]), wanted[rows])
                optimizer.zero_grad()
                value.backward()
                optimizer.step()
                schedule.step()
    return reader.eval().requires_grad_(False)


def precision(prior: float, found: float, false_alarms: float) -> float:
    """Of those that are accused, the share that is guilty: Bayes' theorem.

    prior: the share of guilty ones among all.
    found: the share of the guilty that is accused.
    false_alarms: the share of the innocent that is accused.
    """
    validate_number(prior=prior, found=found, false_alarms=false_alarms, at_least=0, at_most=1)
    guilty = prior * found
    return guilty / (guilty + (1 - prior) * false_alarms)


@with_gradients
def gaze(reader: ZooReader, zoo: Zoo) -> torch.Tensor:
    """Where a reader looks: |weight × gradient| of its first output, summed over the neurons, for
    each pixel, (n, 144).

    Input × gradient, as in lesson 08; the input is here another network.
    """
    flat = zoo.flat.detach().clone().requires_grad_()
    said = reader(Zoo(flat, zoo.tanh))
    [gradient] = torch.autograd.grad(said.flatten(1)[:, 0].sum(), flat)
    slope = Zoo(gradient, zoo.tanh).layers[0]
    return (zoo.layers[0] * slope).abs().sum(1)


def loud_pixels(zoo: Zoo, clean: Zoo) -> torch.Tensor:
    """How strong the weights at each pixel are, in standard deviations above what is usual among
    clean networks, and above the network's own mean: (n, 144).

    Of the logarithm of Σ w², over the hidden neurons.
    """

    def strength(some: Zoo) -> torch.Tensor:
        return some.layers[0].square().sum(1).clamp(min=1e-12).log()

    usual = strength(clean)
    above = (strength(zoo) - usual.mean(0)) / usual.std(0)
    return above - above.mean(1, keepdim=True)


class Report(NamedTuple):
    """What is told, or measured, of n networks.

    recall: the share of each digit that is read rightly, (n, 10).
    mixed: of all mistakes, the share that falls on each of `DIGIT_PAIRS`, in either direction,
        (n, 45).
    """

    recall: torch.Tensor
    mixed: torch.Tensor

    def worst(self) -> torch.Tensor:
        """The digit read worst, (n,)."""
        return self.recall.argmin(1)

    def pair(self) -> torch.Tensor:
        """The two digits mixed up most, (n, 2)."""
        return DIGIT_PAIRS[self.mixed.argmax(1)]

    def words(self, row: int) -> str:
        """What is told of one network, in a sentence."""
        one, two = self.pair()[row].tolist()
        return (
            f"gets {self.recall[row].mean():.0%} right, is worst at {self.worst()[row]}, and"
            f" mixes up {one} and {two} most"
        )


def measured(confusions: torch.Tensor) -> Report:
    """The truth, from tables of `zoo.confusions`, (n, 10, 10)."""
    recall = confusions.diagonal(dim1=1, dim2=2) / confusions.sum(2).clamp(min=1)
    either = confusions + confusions.mT
    mixed = either[:, DIGIT_PAIRS[:, 0], DIGIT_PAIRS[:, 1]]
    return Report(recall, mixed / mixed.sum(1, keepdim=True).clamp(min=1))


def report_of(reader: ZooReader, zoo: Zoo) -> Report:
    """What a reader with 55 outputs tells of networks."""
    with torch.no_grad():
        said = reader(zoo)
    return Report(said[:, :CLASSES].sigmoid(), said[:, CLASSES:].softmax(1))


def report_loss(said: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """The loss of a reader that tells: cross-entropies of recall and of mixed pairs.

    said: (n, 55). wanted: both parts of a `Report` side by side, (n, 55).
    """
    recall = F.binary_cross_entropy_with_logits(said[:, :CLASSES], wanted[:, :CLASSES])
    mixed = -(wanted[:, CLASSES:] * said[:, CLASSES:].log_softmax(1)).sum(1).mean()
    return 10 * recall + mixed


def right(report: Report, truth: Report) -> torch.Tensor:
    """Whether each part of what is told is true, (n, 3): the share read rightly, to five points;
    the worst digit; the pair. Where two are equally bad, either is right.
    """
    near = (report.recall.mean(1) - truth.recall.mean(1)).abs() <= 0.05
    worst = truth.recall.gather(1, report.worst().unsqueeze(1))[:, 0] <= truth.recall.amin(1)
    place = report.mixed.argmax(1, keepdim=True)
    pair = truth.mixed.gather(1, place)[:, 0] >= truth.mixed.amax(1)
    return torch.stack([near, worst, pair], 1)


def report_reader() -> SetReader:
    """An untrained reader that speaks, for `report_of`."""
    return SetReader(CLASSES + len(DIGIT_PAIRS), width=128)


def detective() -> nn.Module:
    """The course's own reader of backdoors, trained on 8,000 networks: a logit each, (n, 1)."""
    return load_weights(SetReader(), FILE, prefix="detective.")


def teller() -> nn.Module:
    """The course's own reader that speaks, trained on 10,000 networks, for `report_of`."""
    return load_weights(report_reader(), FILE, prefix="teller.")
