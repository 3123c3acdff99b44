"""Hewitt, Liang 2019, "Designing and Interpreting Probes with Control Tasks", arXiv:1909.03368:
how much of a task a probe could learn by itself.

A cell is one kind of probe for one network, by the functions of lesson 13. From each seed other
sentences are kept for the test, other words drawn, other coins tossed, the twin drawn anew and the
probe trained. Ours asks MiniLM, level 3, whether a word had a capital; the paper asks ELMo, first
layer, for one of 45 parts of speech, in the Penn Treebank, which is not free. So our control task
is a coin a word type, and theirs a random tag: by luck alone a coin is right half the time. A probe
has no hidden layer, or one of 1,000 units as in the paper, of 64 as in the lesson, or of 10.

Nulls: an untrained twin; level 0, which knows only the word and its place; and for the task itself
each word by heart.
"""

import functools

import pandas as pd
import torch

from trickkit import autoencoders, data, probes
from trickkit.scale.grid import Grid, axes

LEVELS = {"trained": (3, 0, 6), "untrained": (3,)}
IDS = {0: "linear", 1000: "mlp"}  # by hidden units, as many as in the paper


@functools.lru_cache(maxsize=2)  # reading takes longer than most probes
def read(network: str, seed: int) -> tuple[pd.DataFrame, dict[int, torch.Tensor]]:
    """The words of the sentences that lesson 13 asks about, and a network's vectors at its levels.

    seed: of the twin's weights.
    """
    texts = data.hackers_and_prophets()["text"].tolist()
    texts = [texts[number] for number in autoencoders.kept_back()]
    net = autoencoders.sentence_net(network, seed=seed)
    levels = LEVELS[network]
    _, vectors = probes.read_tokens(net, texts, *map(probes.level, levels))
    return probes.cased_words(texts, net.tokenizer), dict(zip(levels, vectors, strict=True))


def measure(*, seed: int, full: bool, network: str, hidden: int) -> dict[str, float]:
    """Accuracy, accuracy on the control task, and selectivity of one kind of probe."""
    words, vectors = read(network, 0 if network == "trained" else seed)
    later = probes.held_out(words, seed=seed)
    train = probes.balanced(words[~later], seed=seed)
    test = probes.balanced(words[later & words["word"].isin(train["word"])], seed=seed)
    both = pd.concat([train, test])
    rows = torch.tensor(both["row"].to_numpy())
    labels = torch.tensor(both["capital"].to_numpy()).long()
    coins = probes.control_labels(both["word"].tolist(), seed=seed)
    learn, judge = torch.arange(len(both)).split([len(train), len(test)])

    def fit(x, y):
        return probes.fit_probe(x, y, hidden=hidden, seed=seed)

    said = {}
    if network == "trained" and not hidden:  # once a seed, for it asks no network
        mostly = train.groupby("word")["capital"].mean() > 0.5
        by_heart = (test["word"].map(mostly) == test["capital"]).mean()
        said["accuracy of each word by heart, %"] = 100 * by_heart
    for level, each in vectors.items():
        x = each[rows]
        right = fit(x[learn], labels[learn])(x[judge]).argmax(1) == labels[judge]
        accuracy = right.double().mean().item()
        selectivity = probes.selectivity(fit, x, labels, coins, learn, judge)
        said[f"accuracy at level {level}, %"] = 100 * accuracy
        null = "untrained: " if network == "untrained" else "level 0: " if level == 0 else ""
        for name, unit, share in (
            ("control", "%", accuracy - selectivity),
            ("selectivity", "points", selectivity),
        ):
            if hidden in IDS and level != 6:
                said[f"{null}hewitt2019/{IDS[hidden]}-{name}"] = 100 * share
            else:
                said[f"{name} at level {level}, {unit}"] = 100 * share
    return said


GRID = Grid(
    measure=measure,
    settings=axes(network=("trained", "untrained"), hidden=(0, 10, 64, 1000)),
    seeds=5,
    varies="the sentences held out, the words drawn, the coins, the probes, the untrained network;"
    " not the trained one",
    ours="MiniLM, level 3: capitalised or not; new coin tosses for each seed",
    why={
        f"hewitt2019/{kind}-{name}": reason
        for kind in ("linear", "mlp")
        for name, reason in (
            (
                "control",
                "perhaps because our control has two labels, and a coin is right half the time",
            ),
            (
                "selectivity",
                "our task itself is read less well (accuracy at level 3, in the whole table; the"
                " paper's two rows add to 97 %), and perhaps because our control has two labels",
            ),
        )
    },
)
