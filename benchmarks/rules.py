"""Bayesian rule lists by us and by imodels, in one process, in turns: python benchmarks/rules.py
[peer] [growth]

peer: the same tables cut by the same conditions, the same antecedents (support 10 %, up to 2
conditions, counted over all rows, as imodels does), three walks of 10,000 steps each, half dropped.
Both mine, walk and choose. Each library's best list visited after burn-in is scored by one and the
same posterior, ours. The walks of both draw from the same posterior, so at the same number of steps
their bests are alike but for luck; ours with twenty times the walks takes less time still. growth:
our seconds and memory by rows and by antecedents, each in a process of its own; draws
benchmarks/rules.png.
"""

import collections
import pickle
import statistics
import subprocess
import sys
import time

import numpy as np
import pandas as pd

from trickkit import data, plots, rules

CHAINS = 3
STEPS = 10_000
SEEDS = (1, 2, 3, 4, 5)


def tables_of_the_course():
    people = data.titanic()
    loans = data.german_credit()
    boards = data.tic_tac_toe()
    yield "Titanic", people.drop(columns="survived"), people["survived"].to_numpy()
    yield "German credit", loans.drop(columns="risk"), loans["risk"].to_numpy()
    yield "tic-tac-toe", boards.drop(columns="x_wins"), boards["x_wins"].to_numpy()


def ours(frame, labels, seed, chains=CHAINS):
    begun = time.perf_counter()
    antecedents = rules.mine(frame, np.zeros(len(frame)))  # one class: support over all rows
    posterior = rules.Posterior(antecedents, frame, labels)
    rng = np.random.default_rng(seed)
    visits = collections.Counter()
    for _ in range(chains):
        init = rules.from_prior(posterior, rng)
        walk = rules.metropolis(posterior, steps=STEPS, init=init, seed=int(rng.integers(2**31)))
        visits.update(list(walk)[STEPS // 2 :])
    rules.point(posterior, visits)
    return time.perf_counter() - begun, max(map(posterior, visits)), posterior


def theirs(frame, labels, seed, posterior):
    import imodels.rule_list.bayesian_rule_list.bayesian_rule_list as peer

    every = [condition for name in frame for condition in rules.column_conditions(frame[name])]
    met = pd.DataFrame({f"c{i}": c.holds(frame).astype(int) for i, c in enumerate(every)})
    seen = {}
    choose = peer.get_point_estimate

    def watched(visits, *arguments, **options):  # the visited lists are not kept otherwise
        seen.update(visits)
        return choose(visits, *arguments, **options)

    peer.get_point_estimate = watched
    model = peer.BayesianRuleListClassifier(
        max_iter=STEPS,
        n_chains=CHAINS,
        minsupport=0.1,
        maxcardinality=2,
        verbose=False,
        random_state=seed,
    )
    begun = time.perf_counter()
    try:
        model.fit(met, labels)
    finally:
        peer.get_point_estimate = choose
    seconds = time.perf_counter() - begun
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
    more = f"trickkit, {20 * CHAINS} walks"
    times = {library: [] for library in ("trickkit", "imodels", more)}
    best = {library: [] for library in times}
    for seed in SEEDS:
        seconds, score, posterior = ours(frame, labels, seed)
        runs = {
            "trickkit": (seconds, score),
            "imodels": theirs(frame, labels, seed, posterior),
            more: ours(frame, labels, seed, 20 * CHAINS)[:2],
        }
        for library, (seconds, score) in runs.items():
            times[library].append(seconds)
            best[library].append(score)
    base = statistics.median(times["trickkit"])
    print(
        f"\n{name}: {len(frame)} rows, {len(posterior.antecedents)} antecedents, {CHAINS} walks of"
        f" {STEPS} steps, median of {len(SEEDS)} seeds"
    )
    print(f"{'':<20}{'seconds':>9}{'× ours':>8}  best log posterior, a seed each")
    for library in times:
        seconds = statistics.median(times[library])
        print(
            f"{library:<20}{seconds:>9.2f}{seconds / base:>8.1f} "
            f" {', '.join(f'{b:.1f}' for b in best[library])}",
            flush=True,
        )


GROWN = """
import sys, time
from trickkit import data, rules
rows, wanted = int(sys.argv[1]), int(sys.argv[2])
frame = data.german_credit().sample(rows, replace=True, random_state=0).reset_index(drop=True)
labels = frame.pop("risk")
settings = {"support": 0.01 if wanted else 0.1, "max_conditions": 3 if wanted > 700 else 2}
begun = time.perf_counter()
antecedents = rules.mine(frame, labels, **settings)[: wanted or None]
mined = time.perf_counter() - begun
posterior = rules.Posterior(antecedents, frame, labels)
walk = list(rules.metropolis(posterior, steps=10_000, seed=0))
walked = time.perf_counter() - begun - mined
# ru_maxrss would count the parent's, too
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(len(antecedents), mined, walked, int(peak.split()[1]) / 2**20)
"""


def grown(rows, antecedents=0):
    asked = [sys.executable, "-c", GROWN, str(rows), str(antecedents)]
    said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    count, mined, walked, gib = map(float, said.split())
    print(
        f"{rows:>9,} rows, {count:>6,.0f} antecedents: mined in {mined:.2f} s, 10,000 steps in"
        f" {walked:.2f} s, at most {gib:.2f} GiB",
        flush=True,
    )
    return mined, walked


def growth():
    print("\nGerman credit's rows drawn again and again")
    sizes = [10**3, 10**4, 10**5, 10**6]
    mined, walked = zip(*(grown(rows) for rows in sizes), strict=True)
    drawn = plots.curves(
        sizes,
        {"mining": mined, "a walk of 10,000 steps": walked},
        "A thousand times the rows takes a few hundred times as long",
        xlabel="rows",
        ylabel="seconds",
        log="xy",
    )
    with open("benchmarks/rules.png", "wb") as file:
        file.write(drawn.bytes)
    for antecedents in (30, 100, 300, 1000, 3000):
        grown(1000, antecedents)


asked = sys.argv[1:]
if not asked or "peer" in asked:
    for table in tables_of_the_course():
        compare(*table)
if not asked or "growth" in asked:
    growth()
