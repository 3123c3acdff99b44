"""The same explanations by us and by the lime package, in one process, in turns: python
benchmarks/bench_explanations.py [--tiny] [tables] [texts] [pictures]

Both are asked about the same cases of the same black boxes, with as many samples as each other.
Steady: the share that the top five of two seeds have in common (Jaccard), over ten seeds (text
five, pictures two), averaged over the cases. Agrees: the same between the first row's and another's
of one seed. Seconds are the median over all calls, in turns; lime's explainers, which carry the
seed, and our sampler of a table are made beforehand. lime names ten features, as is its default, of
which the first five are compared. For pictures lime gets the network as timm builds it, and once
more the one that ours gets, at its own batch of 10 and at ours; the patches are the same, and cut
beforehand. lime's own patches, by quickshift, are in the last line.
"""

import statistics
import time

import numpy as np
import torch
from side_by_side import chosen, installed, sized, table, unfolded
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from trickkit import data, lime, models
from trickkit.papers import ribeiro2016

SEEDS = sized(10, 2)
CASES = sized(5, 1)


def compared(jobs, cases, *, seeds):
    """A row for each job that is installed, once each has explained each case with each seed, in
    turns.

    jobs: what makes each job, (case, seed) -> the top five.
    """
    jobs = {name: make() for name, make in installed(jobs).items()}
    tops = {name: [[] for _ in cases] for name in jobs}
    seconds = {name: [] for name in jobs}
    for i, case in enumerate(cases):
        for seed in range(seeds):
            for name, job in jobs.items():
                start = time.perf_counter()
                top = job(case, seed)
                seconds[name].append(time.perf_counter() - start)
                tops[name][i].append(set(top))
    first = next(iter(jobs))
    middle = {name: statistics.median(times) for name, times in seconds.items()}
    return {
        name: {
            "steady": ribeiro2016.shared(tops[name])[1],
            "agrees": np.mean(
                [
                    len(a & b) / len(a | b)
                    for some, others in zip(tops[first], tops[name], strict=True)
                    for a, b in zip(some, others, strict=True)
                ]
            ),
            "seconds": middle[name],
            "× first": middle[name] / middle[first],
        }
        for name in jobs
    }


def splits():
    """The breast-cancer table: all of it, known and explained; and cut in two in six usual ways."""
    x, y = load_breast_cancer(return_X_y=True, as_frame=True)
    yield "the whole table", x, x, y
    for share in sized((0.2, 0.25, 0.3), ()):
        for seed in (0, 42):
            known, fresh, labels, _ = train_test_split(x, y, test_size=share, random_state=seed)
            yield (
                f"{share:.0%} fresh, split {seed}",
                known.reset_index(drop=True),
                fresh.reset_index(drop=True),
                labels,
            )


def table_jobs(forest, known, fresh, *, samples):
    """Both libraries' jobs on rows of a table.

    samples: None goes on until settled, which lime cannot.
    """

    def ours():
        sampler = lime.TableSampler(known)

        def ask(frame):
            return forest.predict_proba(frame.to_numpy())

        def top(i, seed):
            row = fresh.iloc[[i]]
            names = lime.explain_table(ask, row, sampler, samples=samples, seed=seed).top(5)
            return [max((c for c in known if c in name), key=len) for name in names]

        return top

    def theirs():
        from lime.lime_tabular import LimeTabularExplainer

        explainers = [
            LimeTabularExplainer(known.to_numpy(), feature_names=list(known), random_state=seed)
            for seed in range(SEEDS)
        ]

        def top(i, seed):
            row = fresh.to_numpy()[i]
            explained = explainers[seed].explain_instance(
                row, forest.predict_proba, num_samples=samples
            )
            return [str(known.columns[j]) for j, _ in explained.local_exp[1][:5]]

        return top

    if samples is None:
        return {"trickkit, until settled": ours}
    return {f"trickkit, {samples} samples": ours, f"lime, {samples} samples": theirs}


def tables():
    for split, known, fresh, labels in splits():
        forest = RandomForestClassifier(100, random_state=0).fit(known.to_numpy(), labels)
        rows = {}
        for samples in sized((500, 5000, None), (200,)):
            jobs = table_jobs(forest, known, fresh, samples=samples)
            rows |= compared(jobs, range(CASES), seeds=SEEDS)
        table(f"Breast cancer, {split}, {torch.get_num_threads()} threads", rows)


def texts():
    frame = data.hackers_and_prophets()
    box = make_pipeline(TfidfVectorizer(), LogisticRegression(C=10))
    box.fit(frame["text"][:4000], frame["source"][:4000])
    long = [t for t in frame["text"][4000:] if 25 < len(set(t.split())) < 40][:CASES]
    samples = sized(5000, 1000)

    def ours():
        return lambda text, seed: lime.explain_text(
            box.predict_proba, text, target=0, samples=samples, seed=seed
        ).top(5)

    def theirs():
        from lime.lime_text import LimeTextExplainer

        explainers = [LimeTextExplainer(random_state=seed) for seed in range(SEEDS)]

        def top(text, seed):
            explained = explainers[seed].explain_instance(
                text, box.predict_proba, labels=(0,), num_samples=samples
            )
            return [word for word, _ in explained.as_list(0)[:5]]

        return top

    rows = compared({"trickkit": ours, "lime": theirs}, long, seeds=sized(5, 2))
    table(f"Texts, {samples} samples, {torch.get_num_threads()} threads", rows)


def pictures():
    net = models.imagenet()
    timm = unfolded()
    panda = net.index("giant panda")
    image = data.picture("panda", size=sized(224, 64))
    segments = lime.superpixels(image, count=sized(50, 12))
    samples = sized(250, 64)

    def ours(model):
        return lambda: (
            lambda image, seed: lime.explain_picture(
                model, image, panda, segments, samples=samples, seed=seed
            ).top(5)
        )

    def theirs(model, batch, *, cut=lambda _: segments.cpu().numpy()):
        @torch.no_grad()
        def ask(pixels):
            x = torch.from_numpy(np.stack(pixels)).float().permute(0, 3, 1, 2)
            return model(x.to(image.device)).softmax(1).cpu().numpy()

        def job():
            from lime.lime_image import LimeImageExplainer

            def top(image, seed):
                explained = LimeImageExplainer(random_state=seed, verbose=False).explain_instance(
                    image[0].permute(1, 2, 0).cpu().numpy().astype(np.float64),
                    ask,
                    labels=(panda,),
                    top_labels=None,
                    num_samples=samples,
                    batch_size=batch,
                    segmentation_fn=cut,
                )
                return [f"patch {i}" for i, _ in explained.local_exp[panda][:5]]

            return top

        return job

    jobs = {
        "trickkit, models.quick": ours(models.quick(net)),
        "trickkit": ours(net),
        "lime, timm's network": theirs(timm, 10),
        f"lime, timm's network, batch of {lime.BATCH}": theirs(timm, lime.BATCH),
        "lime, our network": theirs(net, 10),
        "lime, timm's network, its own patches": theirs(timm, 10, cut=None),
    }
    table(
        f"A picture, {samples} samples, {torch.get_num_threads()} threads",
        compared(jobs, [image], seeds=2),
    )


PARTS = {"tables": tables, "texts": texts, "pictures": pictures}

for part in chosen(PARTS).values():
    part()
