"""Unterthiner et al. 2020, "Predicting Neural Network Accuracy from Weights", arXiv:2002.11448: how
well a network's accuracy can be told from statistics of its weights.

A cell is one zoo, drawn and trained anew from its seed by the functions of lesson 13; readers learn
from seven tenths of it and are judged by the rest. Ours are 4,000 perceptrons of 1,870 weights that
read 12 × 12 pixels (lesson 13 has 1,000); the paper's are 30,000 CNNs of 4,970 weights for each of
four sets of pictures, two of which are ours. Two other readers and Kendall's τ stand beside it
(Zhou et al. 2023). With full the pictures are all of MNIST and Fashion-MNIST.

Nulls: the same trees when they see only each network's recipe; only statistics of first weights,
drawn anew by that recipe; or accuracies dealt out at random.
"""

import torch
from scipy.stats import kendalltau
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import r2_score

from trickkit import contract, data, readers, zoo
from trickkit.scale.grid import Grid, axes

NETWORKS = 4000  # in a zoo, seven tenths of them to learn from
FEW = 700  # as many as lesson 13 learns from
BLIND = "R² of a reader blind to the order of neurons"
PICTURES = {"digits": data.digits, "clothes": data.clothes}


def complete(*, full: bool) -> None:
    """Fetch all pictures of both kinds."""
    for fetch in PICTURES.values():
        fetch(full=full)


def measure(*, seed: int, full: bool, pictures: str) -> dict[str, float]:
    """How well several readers guess the accuracy of networks that they have not seen."""
    split = PICTURES[pictures](full=full)
    x, labels, unseen, truth = (part.cpu() for part in split[:4])
    generator = contract.seeded(seed)
    recipe = zoo.drawn_recipes(NETWORKS, generator=generator)
    every = zoo.train(recipe, zoo.shrunken(x), labels, generator=generator)
    accuracy = zoo.accuracies(every, zoo.shrunken(unseen), truth)
    learn, judge = torch.arange(NETWORKS).tensor_split([NETWORKS * 7 // 10])

    def by_trees(table, wanted=accuracy, learn=learn):
        trees = HistGradientBoostingRegressor(max_iter=150, random_state=seed)
        return trees.fit(table[learn].numpy(), wanted[learn].numpy()).predict(table[judge].numpy())

    def by_reader(kind):
        reader = readers.fit(
            kind,
            every[learn],
            accuracy[learn],
            loss=readers.estimate_loss,
            epochs=40,
            seed=seed,
        )
        return reader(every[judge])[:, 0]

    statistics = readers.statistics(every.layers)
    first = zoo.layers_of(zoo.untrained(recipe, generator=generator))
    dealt = accuracy[torch.randperm(NETWORKS, generator=generator)]
    numbers = [recipe.lr, recipe.init, recipe.decay, recipe.steps, recipe.tanh]
    guesses = {
        "unterthiner2020/r2": by_trees(statistics),
        f"R² from statistics, {FEW} networks to learn from": by_trees(
            statistics, learn=learn[:FEW]
        ),
        "the recipe alone: unterthiner2020/r2": by_trees(
            torch.cat([torch.stack(numbers, 1), recipe.diet], 1)
        ),
        "first weights: unterthiner2020/r2": by_trees(readers.statistics(first)),
        "R² of a reader of all weights in a row": by_reader(readers.FlatReader),
        BLIND: by_reader(readers.SetReader),
    }
    said = {name: r2_score(accuracy[judge], guess) for name, guess in guesses.items()}
    for id, name in (
        ("zhou2023/statistics", "unterthiner2020/r2"),
        ("zhou2023/invariant", BLIND),
        ("the recipe alone: zhou2023/statistics", "the recipe alone: unterthiner2020/r2"),
    ):
        said[id] = kendalltau(accuracy[judge], guesses[name]).statistic
    said["accuracies dealt at random: unterthiner2020/r2"] = r2_score(
        dealt[judge], by_trees(statistics, dealt)
    )
    return said


GRID = Grid(
    measure=measure,
    settings=axes(pictures=tuple(PICTURES)),
    seeds=5,
    varies="the networks, their recipes, the dice of their readers; not the pictures",
    ours="4,000 perceptrons of 1,870 weights, 1,200 of them judged; 4,000 digits or 10,000 clothes",
    ours_full="4,000 perceptrons of 1,870 weights; 60,000 digits or clothes",
    complete=complete,
    why=dict.fromkeys(
        ("unterthiner2020/r2", "zhou2023/statistics", "zhou2023/invariant"),
        "perhaps because ours are perceptrons, not CNNs, and fewer",
    ),
)
