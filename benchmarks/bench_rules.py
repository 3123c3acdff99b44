"""Bayesian rule lists by us and by imodels, in one process, in turns: python
benchmarks/bench_rules.py [--tiny] [peer]
[growth]

peer: the same tables cut by the same conditions, the same antecedents (support 10 %, up to 2
conditions, counted over all rows, as imodels does), three walks of 10,000 steps each, half dropped.
Both mine, walk and choose. Each library's best list visited after burn-in is scored by one and the
same posterior, ours. The walks of both draw from the same posterior, so at the same number of steps
their bests are alike but for luck; ours with twenty times the walks takes less time still. growth:
our seconds and memory by rows and by antecedents, each in a process of its own; draws
benchmarks/rules.png.
"""

import collections
import functools
import os
import pathlib
import pickle
import statistics
import time
from unittest import mock

import numpy as np
import pandas as pd
from side_by_side import alone, chosen, installed, sized, table

from trickkit import data, plots, rules

CHAINS = 3
STEPS = sized(10_000, 1_000)
SEEDS = sized((1, 2, 3, 4, 5), (1,))
MORE = 20
PICTURE = sized(pathlib.Path(__file__).with_name("rules.png"), pathlib.Path(os.devnull))


def tables_of_the_course():
    """Name, frame and labels of each."""
    for name, frame, label in (
        ("Titanic", data.titanic, "survived"),
        ("German credit", data.german_credit, "risk"),
        ("tic-tac-toe", data.tic_tac_toe, "x_wins"),
    )[: sized(3, 1)]:
        rows = frame()
        yield name, rows.drop(columns=label), rows[label].to_numpy()


def ours(frame, labels, seed, *, chains=CHAINS):
    """Seconds, and the log posterior of the best list."""
    begun = time.perf_counter()
    posterior = rules.Posterior(antecedents_of(frame), frame, labels)
    rng = np.random.default_rng(seed)
    visits = collections.Counter()
    for _ in range(chains):
        init = rules.from_prior(posterior, rng)
        walk = rules.metropolis(posterior, steps=STEPS, init=init, seed=int(rng.integers(2**31)))
        visits.update(list(walk)[STEPS // 2 :])
    rules.point(posterior, visits)
    return time.perf_counter() - begun, max(map(posterior, visits))


def antecedents_of(frame):
    y = np.zeros(len(frame), dtype=int)  # one class: support over all rows
    facts = rules.bayesian.frequent_conditions(frame, y, support=0.1, bins=4)
    return rules.bayesian.frequent_rules(facts, y, support=0.1, max_conditions=2)


def imodels(frame, labels, seed):
    """The same by imodels."""
    import imodels.rule_list.bayesian_rule_list.bayesian_rule_list as peer

    every = [condition for name in frame for condition in rules.column_conditions(frame[name])]
    met = pd.DataFrame({f"c{i}": c.holds(frame).astype(int) for i, c in enumerate(every)})
    seen = {}
    choose = peer.get_point_estimate

    def watched(visits, *arguments, **options):  # the visited lists are not kept otherwise
        seen.update(visits)
        return choose(visits, *arguments, **options)

    model = peer.BayesianRuleListClassifier(
        max_iter=STEPS,
        n_chains=CHAINS,
        minsupport=0.1,
        maxcardinality=2,
        verbose=False,
        random_state=seed,
    )
    with mock.patch.object(peer, "get_point_estimate", watched):
        begun = time.perf_counter()
        model.fit(met, labels)
        seconds = time.perf_counter() - begun
    posterior = rules.Posterior(antecedents_of(frame), frame, labels)
    place = {frozenset(rule): i for i, rule in enumerate(posterior.antecedents)}
    named = {}
    for names in (met.columns, model.feature_placeholders):
        named |= zip(names, every, strict=True)
    ids = [place[frozenset(named[c] for c in items)] for items in model.itemsets[1:]]
    assert sorted(ids) == list(range(len(posterior.antecedents)))  # the same antecedents
    # 0 is the last line
    lists = [tuple(ids[i - 1] for i in pickle.loads(text) if i) for text in seen]
    return seconds, max(map(posterior, lists))


def compare(name, frame, labels):
    runs = installed(
        {
            "trickkit": ours,
            "imodels": imodels,
            f"trickkit, {MORE * CHAINS} walks": functools.partial(ours, chains=MORE * CHAINS),
        }
    )
    found = {library: [] for library in runs}
    for seed in SEEDS:
        for library, run in runs.items():
            found[library].append(run(frame, labels, seed))
    base = statistics.median(seconds for seconds, _ in found["trickkit"])
    rows = {}
    for library, pairs in found.items():
        seconds = statistics.median(seconds for seconds, _ in pairs)
        rows[library] = {"seconds": seconds, "× first": seconds / base} | {
            f"best, seed {seed}": f"{best:.1f}"
            for seed, (_, best) in zip(SEEDS, pairs, strict=True)
        }
    table(
        f"{name}: {len(frame)} rows, {len(antecedents_of(frame))} antecedents, {CHAINS} walks of"
        f" {STEPS} steps, and the log posterior of the best list",
        rows,
    )


def peer():
    for name, frame, labels in tables_of_the_course():
        compare(name, frame, labels)


GROWN = """
import sys
import time

import pandas as pd

from trickkit import rules

rows, wanted, file = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
frame = pd.read_csv(file).sample(rows, replace=True, random_state=0).reset_index(drop=True)
labels = frame.pop("risk")
settings = {"support": 0.01 if wanted else 0.1, "max_conditions": 3 if wanted > 700 else 2}
begun = time.perf_counter()
antecedents = rules.mine(frame, labels, **settings)[: wanted or None]
mined = time.perf_counter() - begun
posterior = rules.Posterior(antecedents, frame, labels)
walk = list(rules.metropolis(posterior, steps=10_000, seed=0))
print(len(antecedents), mined, time.perf_counter() - begun - mined, peak())
"""


def grown(rows, *, wanted=0):
    """A row of the table.

    wanted: so many antecedents; 0 for all that are frequent.
    """
    file = data.shipped("tables/german_credit.csv")
    count, mined, walked, peak = alone(GROWN, rows, wanted, file)
    return f"{rows:,} rows, {count:,.0f} antecedents", {
        "seconds to mine": mined,
        "seconds for 10,000 steps": walked,
        "GiB at most": peak / 2**30,
    }


def growth():
    sizes = sized((10**3, 10**4, 10**5, 10**6), (10**3,))
    counts = sized((30, 100, 300, 1000, 3000), ())
    by_rows = dict(grown(rows) for rows in sizes)
    by_antecedents = dict(grown(1000, wanted=count) for count in counts)
    table("German credit's rows, drawn again and again", by_rows | by_antecedents)
    mined, walked, _ = zip(*(row.values() for row in by_rows.values()), strict=True)
    longer = (mined[-1] + walked[-1]) / (mined[0] + walked[0])
    drawn = plots.curves(
        sizes,
        {"mining": mined, "a walk of 10,000 steps": walked},
        f"{sizes[-1] // sizes[0]:,} times the rows takes {longer:.0f} times as long",
        xlabel="rows",
        ylabel="seconds",
        log="xy",
    )
    PICTURE.write_bytes(drawn.bytes)


for part in chosen({"peer": peer, "growth": growth}).values():
    part()
