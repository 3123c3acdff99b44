"""Style transfer and dreams against the clock: python benchmarks/art.py [paint] [large] [keep]
[dream] [memory] [FOLDER]

paint: the well-known PyTorch tutorial's way to descend (torch.optim.LBFGS as it comes, clamping the
picture in its closure, float32, channels first) and ours, on the same network, start, loss and
number of evaluations, at 256 pixels. The loss of the picture that is left, inside [0, 1], is
computed in float32 for both. large: the same at 512 pixels. keep: 256 pixels, coarse to fine.
dream: a photo of 300 × 450. memory: the most that a process of the studio needs, for
`studio.NEEDS`. FOLDER: where to keep the pictures, if anywhere.
"""

import pathlib
import statistics
import subprocess
import sys
import time

import torch
from peers import measured

from trickkit import data, dreams, models, style
from trickkit.course import studio

EVALUATIONS = 60
RATIO = 1e-4
WORDS = [word for word in sys.argv[1:] if word in ("paint", "large", "keep", "dream", "memory")]
FOLDER = next((pathlib.Path(word) for word in sys.argv[1:] if word not in WORDS), None)


def wanted(part):
    return not WORDS or part in WORDS


def save(image, name):
    if FOLDER:
        (FOLDER / f"{name}.png").write_bytes(data.png(image))


def loss_of(net, photo, painting, quick=False):
    grams = style.style_of(net, painting)
    with torch.no_grad():
        content = style.responses(net, photo, [style.CONTENT_LAYER])[0]

    def loss(x):
        *now, here = style.responses(
            net, x, [*style.STYLE_LAYERS, style.CONTENT_LAYER], quick=quick
        )
        return RATIO * style.content_loss(here, content) + style.style_loss(
            [style.gram(a) for a in now], grams
        )

    return loss


def tutorial(net, photo, painting):
    loss = loss_of(net, photo, painting)
    x = photo.clone().contiguous().requires_grad_(True)
    looks = [0]
    descent = torch.optim.LBFGS([x])

    def closure():
        with torch.no_grad():
            x.clamp_(0, 1)
        descent.zero_grad()
        value = loss(x)
        value.backward()
        looks[0] += 1
        return value

    while looks[0] < EVALUATIONS:
        descent.param_groups[0]["max_eval"] = min(25, EVALUATIONS - looks[0])
        descent.step(closure)
    return x.detach().clamp(0, 1)


def ours(net, photo, painting):
    return style.paint(
        net, photo, style.style_of(net, painting), ratio=RATIO, max_evals=EVALUATIONS
    )


def in_float32(net, photo, painting):
    able = models.has_bfloat16
    models.has_bfloat16 = lambda there: False
    try:
        return ours(net, photo, painting)
    finally:
        models.has_bfloat16 = able


def paint(side, rounds=3):
    net = style.vgg()
    photo = data.picture("macaw", size=side)
    painting = data.painting("great_wave", size=side)
    plain = style.vgg().to(memory_format=torch.contiguous_format)
    judge = loss_of(net, photo, painting)
    dice = torch.Generator().manual_seed(0)
    nudged = (photo + 0.5 / 255 * torch.randn(photo.shape, generator=dice).to(photo)).clamp(0, 1)
    jobs = {
        "tutorial": lambda: tutorial(plain, photo, painting),
        "ours": lambda: ours(net, photo, painting),
        "ours, float32": lambda: in_float32(net, photo, painting),
    }
    times = {n: [] for n in jobs}
    memory = dict.fromkeys(jobs, 0.0)
    made = {}
    for _ in range(rounds):
        for name, job in jobs.items():
            made[name], seconds, mib = measured(job)
            times[name].append(seconds)
            memory[name] = max(memory[name], mib)
    other = in_float32(net, nudged, painting)
    base = statistics.median(times["ours"])
    print(
        f"\n{side} pixels, {EVALUATIONS} evaluations, {torch.get_num_threads()} threads, median of"
        f" {rounds}; loss of the start {judge(photo).item():.3f}"
    )
    print(
        f"{'':<16}{'seconds':>9}{'× ours':>8}{'loss':>9}{'added MiB':>11}"
        f"{'grey levels from ours in float32':>34}"
    )
    for name, image in made.items():
        seconds = statistics.median(times[name])
        apart = (image - made["ours, float32"]).abs().mean().item() * 255
        with torch.no_grad():
            print(
                f"{name:<16}{seconds:>9.1f}{seconds / base:>8.2f}{judge(image).item():>9.4f}"
                f"{memory[name]:>11.0f}{apart:>34.1f}"
            )
        save(image, f"{name}_{side}")
    chance = (other - made["ours, float32"]).abs().mean().item() * 255
    print(f"ours in float32 from a start half a grey level away: {chance:.1f}", flush=True)


def keep(rounds=3):
    photo = data.picture("macaw")
    for name in ("great_wave", "auvers"):
        times = []
        for _ in range(rounds):
            begun = time.perf_counter()
            image = style.coarse_to_fine(style.vgg(), photo, data.painting(name), sides=(128, 256))
            times.append(time.perf_counter() - begun)
        print(
            f"\nmacaw as {name}, 256 pixels, coarse to fine, network and all:"
            f" {statistics.median(times):.1f} s",
            flush=True,
        )
        save(image, f"keep_{name}")


def dream(rounds=5):
    net = models.imagenet()
    photo = torch.nn.functional.interpolate(
        data.picture("rocket"), (300, 450), mode="bicubic", antialias=True
    ).clamp(0, 1)
    for layer in ("network.blocks.4", "network.blocks.5"):
        times = []
        for _ in range(rounds):
            begun = time.perf_counter()
            image = dreams.dream(net, photo, dreams.layer(layer), octaves=4, steps=10)
            times.append(time.perf_counter() - begun)
        print(
            f"\ndream on {layer}, 300 × 450, 4 octaves of 10 steps:"
            f" {statistics.median(times):.2f} s",
            flush=True,
        )
        save(image, f"dream_{layer}")


PEAK = """
import resource, sys, torch
from trickkit import data
from trickkit.course import studio
kind, side = sys.argv[1], int(sys.argv[2])
photo = data.scaled(data.picture("astronaut"), side=side)
settings = {"side": side, "colours": "painting", "minutes": 0.3, "ratio": 1e-4,
            "tv_weight": 1e-3, "layer": "network.blocks.5", "octaves": 2, "steps": 2}
made = getattr(studio, f"{kind}_job")
made(photo, data.painting("great_wave"), settings, lambda image, share: studio.jpeg(image))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def memory():
    for kind in studio.NEEDS:
        peaks = {}
        for side in (256, 512, 1024):
            done = subprocess.run(
                [sys.executable, "-c", PEAK, kind, str(side)],
                capture_output=True,
                text=True,
                check=True,
            )
            peaks[side] = int(done.stdout)
            print(f"{kind}, {side} × {side}: at most {peaks[side] / 1e9:.2f} GB", flush=True)
        each = (peaks[1024] - peaks[512]) / (1024**2 - 512**2)
        print(
            f"{kind}: {each:.0f} bytes a pixel, and {(peaks[1024] - each * 1024**2) / 1e9:.2f} GB"
            f" to begin with; studio.NEEDS has {studio.NEEDS[kind]}"
        )


if wanted("dream"):
    dream()
if wanted("keep"):
    keep()
if wanted("paint"):
    paint(256)
if wanted("large"):
    paint(512, rounds=1)
if wanted("memory"):
    memory()
