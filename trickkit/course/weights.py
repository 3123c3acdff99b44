"""Make anew what the course trained itself: `make weights`, or python -m trickkit.course.weights.

Same machine, same bytes.
"""

import hashlib

import torch
from safetensors.torch import save
from torch import nn

from trickkit import (
    alignment,
    atlas,
    attacks,
    autoencoders,
    backdoors,
    characters,
    data,
    defences,
    fast_style,
    folders,
    information,
    models,
    probes,
    readers,
    training,
    tricked,
    zoo,
)
from trickkit.common import progress_bar
from trickkit.contract import seeded
from trickkit.course import jobs, studio
from trickkit.papers import hooker2019, huang2017, jain2019, kornblith2019, li2018, mnih2015

STICKER = "stickers/toaster.png"


def train_networks() -> None:
    """Every network of `defences.RECIPES`, trained on the course's 4,000 digits: nine minutes."""
    digits = data.digits()
    weights: dict[str, torch.Tensor] = {}
    for name, (augment, epochs, seed) in progress_bar(defences.RECIPES.items(), "networks"):
        model = training.train(
            defences.digit_network(seed=seed),
            digits.train_images,
            digits.train_labels,
            epochs=epochs,
            lr=2e-3,
            seed=seed,
            augment=augment,
            schedule=training.cosine_decay,
        )
        right = models.accuracy(model, digits.test_images, digits.test_labels)
        print(f"{name:<10} reads {right:.1%} of the test digits", flush=True)
        weights |= halves(model, prefix=f"{name}.")
    keep(defences.FILE, save(weights))


def make_sticker() -> None:
    """The toaster of lesson 05, from nine photographs and six paintings: four minutes."""
    net = models.imagenet()
    pictures = [data.picture(name, size=net.size) for name in data.picture_names()[:9]]
    paintings = [data.painting(name, size=net.size) for name in data.painting_names()]
    toaster = attacks.patch(
        net,
        torch.cat(pictures + paintings),
        net.index("toaster"),
        side=48,
        steps=800,
        batch_size=6,
        lr=0.03,
    )
    keep(STICKER, data.png(toaster))


def train_reader() -> None:
    """The reader of lesson 07, on this Python's own standard library: seven minutes.

    Another Python, other bytes.
    """
    with training.one_thread():
        model = characters.train(characters.untrained(), characters.library(), steps=9000)
        print(
            "a character of the modules held out costs"
            f" {characters.bits_per_character(model, characters.library(held_out=True)):.2f} bits"
        )
    keep(characters.FILE, save(halves(model)))


def train_painter() -> None:
    """The painter of lesson 15, three styles in one network: twenty-three minutes."""
    with training.one_thread():
        model = fast_style.train(fast_style.Painter())
    keep(fast_style.FILE, save(halves(model)))


def train_translators() -> None:
    """The translators of lesson 09, of dates and of strings to reverse: six minutes."""
    dates = alignment.dates(20_000, seed=-1)
    texts = alignment.strings(20_000, shortest=4, longest=16, seed=-1)
    tasks = {
        "dates": (dates.texts, dates.answers),
        "reversal": (texts, [text[::-1] for text in texts]),
    }
    # of reversal, one vector learns for three times as long, and still collapses
    epochs = {"dates": {True: 1, False: 1}, "reversal": {True: 2, False: 6}}
    weights: dict[str, torch.Tensor] = {}
    with training.one_thread():
        for task, seeds in alignment.STORED.items():
            for seed in seeds:
                for attend in (True, False):
                    model = alignment.untrained_translator(attend=attend, seed=seed)
                    alignment.train(model, *tasks[task], epochs=epochs[task][attend], seed=seed)
                    weights |= halves(model, prefix=f"{task}.{attend}.{seed}.")
    keep(alignment.FILE, save(weights))


def train_sentence_readers() -> None:
    """The readers of sentences of lesson 09, honest and not: four minutes."""
    weights: dict[str, torch.Tensor] = {}
    with training.one_thread():
        for seed in jain2019.SEEDS:
            for kind, model in jain2019.train_all(seed=seed).items():
                weights |= halves(model, prefix=f"{kind}.{seed}.")
    keep(jain2019.FILE, save(weights))


def train_planes() -> None:
    """The networks of lesson 10, those of `information.EXPERIMENTS`: twenty minutes."""
    kept: dict[str, torch.Tensor] = {}
    with training.one_thread():
        for name, experiment in progress_bar(information.EXPERIMENTS.items(), "experiments"):
            networks = information.train(experiment)
            right = information.unseen_accuracy(networks)[-1].mean()
            print(f"{name:<16} reads {right:.1%} of unseen patterns", flush=True)
            kept |= {f"{name}.weights": networks.flat, f"{name}.seen": networks.seen}
    keep(information.FILE, save(kept))


def map_landscapes() -> None:
    """The deep networks of lesson 11 and slices through their landscapes: ten minutes."""
    kept: dict[str, torch.Tensor] = {}
    with training.one_thread():
        for name in progress_bar(li2018.NETWORKS, "landscapes"):
            model = li2018.trained_network(name)
            kept |= halves(model, prefix=f"{name}.")
            kept[f"{name}.slices"] = torch.from_numpy(li2018.measured_slices(model)).float()
    keep(li2018.FILE, save(kept))


def train_twins() -> None:
    """The networks of lesson 12, twins but for their seeds: three minutes."""
    weights: dict[str, torch.Tensor] = {}
    with training.one_thread():
        for name, design in progress_bar(kornblith2019.DESIGNS.items(), "designs"):
            for seed in kornblith2019.TWIN_SEEDS if design.epochs else ():
                model = kornblith2019.trained_twin(name, seed=seed)
                weights |= halves(model, prefix=f"{name}.{seed}.")
    keep(kornblith2019.FILE, save(weights))


def draw_atlases() -> None:
    """The maps of lesson 12, laid out and drawn: five minutes."""
    with training.one_thread():
        keep(atlas.FILE, save(atlas.make()))


def train_autoencoders() -> None:
    """The sparse autoencoders of lesson 13, of sentences and of patches: three minutes."""
    texts = data.hackers_and_prophets()["text"].tolist()
    later = set(autoencoders.kept_back())
    read = [text for number, text in enumerate(texts) if number not in later]
    weights: dict[str, torch.Tensor] = {}
    with training.one_thread():
        for name in progress_bar(autoencoders.NAMES, "autoencoders"):
            if name == "dinov2":
                x = autoencoders.read_patches(autoencoders.random_squares()).flatten(0, 1)
            else:
                net = autoencoders.sentence_net(name)
                [x] = probes.read_tokens(net, read, autoencoders.LAYER)[1]
            model = autoencoders.train(x)
            left = autoencoders.unexplained(x[:20_000], model(x[:20_000]))
            print(f"{name:<10} leaves {left:.2f} of the variance unexplained", flush=True)
            weights |= halves(model, prefix=f"{name}.")
            if name == "trained":
                other = autoencoders.train(x, seed=1)
                weights["another seed"] = other.decoder[:256].half().clone()
    keep(autoencoders.FILE, save(weights))


def train_readers_of_networks() -> None:
    """The readers of lesson 13, on 18,000 networks that are not kept: two minutes."""
    x, labels, unseen, truth = zoo.small_digits()
    some = backdoors.suspects(8000, x, labels, seed=1)
    detective = readers.fit(readers.SetReader, some.zoo, some.poisoned)
    generator = seeded(2)
    recipe = zoo.drawn_recipes(10_000, generator=generator)
    many = zoo.train(recipe, x, labels, generator=generator)
    facts = torch.cat(readers.measured(zoo.confusions(many, unseen, truth)), 1)
    teller = readers.fit(readers.report_reader, many, facts, loss=readers.report_loss)
    keep(
        readers.FILE,
        save(halves(detective, prefix="detective.") | halves(teller, prefix="teller.")),
    )


def prune_networks() -> None:
    """What the pruned networks of lesson 19 answer: two minutes."""
    with training.one_thread():
        keep(hooker2019.FILE, save(hooker2019.all_asked_anew()))


def measure_players() -> None:
    """The tables of lesson 21: a tiny game learnt with broken parts, a quarter of an hour, and the
    scores of five players of Space Invaders, five minutes.
    """
    with training.one_thread():
        keep(mnih2015.PARTS_FILE, mnih2015.learn_broken())
        keep(mnih2015.SCORES_FILE, mnih2015.play_scores())


def trick_players() -> None:
    """The games of lesson 21, tricked and not, and what they scored: half an hour.

    Raises ImportError where the emulator, ale-py, is not installed.
    """
    keep(tricked.FILE, huang2017.record_games())
    keep(
        huang2017.FILE, huang2017.measure_tricks().to_csv(index=False, lineterminator="\n").encode()
    )


def make_examples() -> None:
    """What hangs in the studio before anyone has painted there, as it would be made there: half an
    hour.

    What is painted in a given time depends on the computer.
    """
    for example in progress_bar(studio.EXAMPLES, "examples"):
        settings = studio.whole(example) | {"tv_weight": studio.TV_WEIGHT}
        photo = data.any_photo(settings["photo"])
        if settings["kind"] == "paint":
            painting = data.painting(settings["painting"])
            made = jobs.paint_job(photo, painting, settings, lambda image, share: None)
        else:
            made = jobs.dream_job(photo, None, settings, lambda image, share: None)
        small = (jobs.jpeg(made, side=640, quality=q) for q in range(90, 30, -2))
        keep(studio.file_of(example), next(jpeg for jpeg in small if len(jpeg) <= 60_000))


def halves(model: nn.Module, *, prefix: str = "") -> dict[str, torch.Tensor]:
    """A model's weights in half as many bits, by their names, for `models.load_weights`."""
    return {prefix + k: v.half().cpu().contiguous() for k, v in model.state_dict().items()}


def keep(file: str, content: bytes) -> None:
    """Write a file of data/ whole, and its new size and checksum into data/SOURCES.csv."""
    path = data.DATA / "SOURCES.csv"
    rows = path.read_bytes().decode().splitlines(keepends=True)
    place = next(i for i, row in enumerate(rows) if row.startswith(file + ","))
    kept = rows[place].rsplit(",", 2)[0]
    end = rows[place][len(rows[place].rstrip()) :]
    rows[place] = f"{kept},{len(content)} bytes,{hashlib.sha256(content).hexdigest()}{end}"
    folders.write_whole(data.DATA / file, content)
    folders.write_whole(path, "".join(rows).encode())
    data.sources.cache_clear()


if __name__ == "__main__":
    train_networks()
    make_sticker()
    train_reader()
    train_painter()
    train_translators()
    train_sentence_readers()
    train_planes()
    map_landscapes()
    train_twins()
    draw_atlases()
    train_autoencoders()
    train_readers_of_networks()
    prune_networks()
    measure_players()
    trick_players()
    make_examples()
