"""The same explanations by us and by the lime package, in one process, in turns: python
benchmarks/explanations.py

Both are asked about the same cases of the same black boxes, with as many samples as each other.
Steady: the share that the top five of two seeds have in common (Jaccard), over ten seeds (text
five, pictures two), averaged over the cases. Agree: the same between ours and lime's of one seed.
Seconds are the median over all calls, in turns; lime's explainers, which carry the seed, and our
sampler of a table are made beforehand. lime names ten features, as is its default, of which the
first five are compared. For pictures lime gets the network as timm builds it, and once more the one
that ours gets, at its own batch of 10 and at ours; the patches are the same, and cut beforehand.
lime's own patches, by quickshift, are in the last line.
"""

import statistics
import sys
import time
import warnings

import numpy as np
import torch
from lime.lime_image import LimeImageExplainer
from lime.lime_tabular import LimeTabularExplainer
from lime.lime_text import LimeTextExplainer
from peers import unfolded
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from trickkit import data, lime, models
from trickkit.papers import ribeiro2016

warnings.filterwarnings("ignore")
SEEDS = 10


def turns(jobs, cases, seeds=SEEDS):
    """Each job explains each case with each seed, in turns; a job gives the set of its top five."""
    tops = {name: [] for name in jobs}
    seconds = {name: [] for name in jobs}
    for case in cases:
        runs = {name: [] for name in jobs}
        for seed in range(seeds):
            for name, job in jobs.items():
                start = time.perf_counter()
                runs[name].append(set(job(case, seed)))
                seconds[name].append(time.perf_counter() - start)
        for name, sets in runs.items():
            tops[name].append(sets)
    return tops, {name: statistics.median(s) for name, s in seconds.items()}


def told(what, tops, seconds, note=""):
    first = next(iter(tops))
    for name, cases in tops.items():
        steady = ribeiro2016.shared(cases)[1] if len(cases[0]) > 1 else float("nan")
        agree = [
            len(a & b) / len(a | b)
            for ours, theirs in zip(tops[first], cases, strict=True)
            for a, b in zip(ours, theirs, strict=True)
        ]
        print(
            f"| {what}{note} | {name} | {steady:.2f} | {np.mean(agree):.2f} | {seconds[name]:.3f} "
            f"| {seconds[name] / seconds[first]:.1f} |",
            flush=True,
        )


def splits():
    """The breast-cancer table: all of it, known and explained; and cut in two in six usual ways."""
    x, y = load_breast_cancer(return_X_y=True, as_frame=True)
    yield "whole table", x, x, y
    for share in (0.2, 0.25, 0.3):
        for seed in (0, 42):
            known, fresh, labels, _ = train_test_split(x, y, test_size=share, random_state=seed)
            yield (
                f"{share:.0%} fresh, split {seed}",
                known.reset_index(drop=True),
                fresh.reset_index(drop=True),
                labels,
            )


def table_jobs(forest, known, fresh, samples):
    """Both libraries ready to explain rows of a table; lime wants a number of samples."""
    sampler = lime.TableSampler(known)
    explainers = [
        LimeTabularExplainer(known.to_numpy(), feature_names=list(known), random_state=seed)
        for seed in range(SEEDS)
    ]

    def box(frame):
        return forest.predict_proba(frame.to_numpy())

    def ours(i, seed):
        told = lime.explain_table(box, fresh.iloc[[i]], sampler, samples=samples, seed=seed)
        return [max((c for c in known if c in name), key=len) for name in told.top(5)]

    def theirs(i, seed):
        row = fresh.to_numpy()[i]
        told = explainers[seed].explain_instance(row, forest.predict_proba, num_samples=samples)
        return [str(known.columns[j]) for j, _ in told.local_exp[1][:5]]

    return {"trickkit": ours, "lime": theirs} if samples else {"trickkit": ours}


def tables():
    for split, known, fresh, labels in splits():
        forest = RandomForestClassifier(100, random_state=0).fit(known.to_numpy(), labels)
        for samples in (500, 5000, None):
            jobs = table_jobs(forest, known, fresh, samples)
            told(f"table, {split}", *turns(jobs, range(5)), f", {samples or 'until settled'}")


def texts():
    frame = data.hackers_and_prophets()
    box = make_pipeline(TfidfVectorizer(), LogisticRegression(C=10))
    box.fit(frame["text"][:4000], frame["source"][:4000])
    long = [t for t in frame["text"][4000:] if 25 < len(set(t.split())) < 40][:5]
    explainers = [LimeTextExplainer(random_state=seed) for seed in range(SEEDS)]

    def ours(t, seed):
        return lime.explain_text(box.predict_proba, t, target=0, samples=5000, seed=seed).top(5)

    def theirs(t, seed):
        told = explainers[seed].explain_instance(t, box.predict_proba, labels=(0,))
        return [word for word, _ in told.as_list(0)[:5]]

    told("text", *turns({"trickkit": ours, "lime": theirs}, long, 5), ", 5000")


def pictures():
    net = models.imagenet()
    image = data.picture("panda", size=224)
    quick = models.quick(net)
    panda = net.index("giant panda")
    segments = lime.superpixels(image)
    pixels = image[0].permute(1, 2, 0).numpy().astype(np.float64)
    patches = segments.numpy()

    def ours(model):
        def top(_, seed):
            told = lime.explain_picture(model, image, panda, segments, samples=250, seed=seed)
            return told.top(5)

        return top

    def theirs(model, batch, cut=lambda _: patches):
        @torch.no_grad()
        def box(batch):
            x = torch.from_numpy(np.stack(batch)).float().permute(0, 3, 1, 2)
            return model(x).softmax(1).numpy()

        settings = {"num_samples": 250, "batch_size": batch, "segmentation_fn": cut}

        def top(_, seed):
            explainer = LimeImageExplainer(random_state=seed, verbose=False)
            told = explainer.explain_instance(
                pixels, box, labels=(panda,), top_labels=None, **settings
            )
            return [f"patch {i}" for i, _ in told.local_exp[panda][:5]]

        return top

    timm = unfolded()
    jobs = {
        "trickkit, models.quick": ours(quick),
        "trickkit": ours(net),
        "lime, timm's network": theirs(timm, 10),
        f"lime, timm's network, batch of {lime.BATCH}": theirs(timm, lime.BATCH),
        "lime, our network": theirs(net, 10),
        "lime, timm's network, its own patches": theirs(timm, 10, None),
    }
    told("picture", *turns(jobs, [0], 2), ", 250")


print(
    f"{torch.get_num_threads()} threads\n\n| what, samples | by | steady | agree with ours |"
    " seconds | × ours |"
)
print("| --- | --- | --- | --- | --- | --- |")
for job in (tables, texts, pictures):
    if not sys.argv[1:] or job.__name__ in sys.argv[1:]:
        job()
