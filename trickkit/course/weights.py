"""Make anew what the course trained itself: `make weights`, or python -m trickkit.course.weights. Same machine, same bytes."""
import hashlib

import torch
from safetensors.torch import save

from trickkit import attacks, characters, data, defences, fast_style, models, training
from trickkit.common import progress

STICKER = "stickers/toaster.png"


def networks() -> None:
    """Every network of `defences.RECIPES`, trained on the course's 4,000 digits and kept as float16: nine minutes."""
    digits, weights = data.digits(), {}
    for name, (spoil, epochs) in progress(defences.RECIPES.items(), "networks"):
        model = defences.train(defences.network(), digits.train_images, digits.train_labels, spoil, epochs)
        right = models.accuracy(model, digits.test_images, digits.test_labels)
        print(f"{name:<10} reads {right:.1%} of the test digits", flush=True)
        weights |= {f"{name}.{k}": v.half().cpu().contiguous() for k, v in model.state_dict().items()}
    keep(defences.FILE, save(weights))


def sticker() -> None:
    """The toaster of lesson 05, from nine photographs and six paintings: four minutes."""
    net = models.imagenet()
    pictures = [data.picture(name, net.size) for name in data.pictures()[:9]]
    paintings = [data.painting(name, net.size) for name in data.paintings()]
    toaster = attacks.patch(net, torch.cat(pictures + paintings), net.index("toaster"), side=48, steps=800, batch=6, rate=0.03)
    keep(STICKER, data.png(toaster))


def reader() -> None:
    """The reader of lesson 07, on this Python's own standard library: seven minutes. Another Python, other bytes."""
    with training.one_thread():
        model = characters.train(characters.untrained(), characters.library(), steps=9000)
        print(f"a character of the modules held out costs {characters.bits(model, characters.library(held_out=True)):.2f} bits")
    keep(characters.FILE, save({k: v.half().contiguous() for k, v in model.state_dict().items()}))


def painter() -> None:
    """The painter of lesson 15, three styles in one network: twenty-three minutes."""
    with training.one_thread():
        model = fast_style.train(fast_style.Painter())
    keep(fast_style.FILE, save({k: v.half().contiguous() for k, v in model.state_dict().items()}))


def keep(file: str, content: bytes) -> None:
    """Write a file of data/ whole, and its new size and checksum into its row of data/SOURCES.csv."""
    path = data.DATA / "SOURCES.csv"
    rows = path.read_bytes().decode().splitlines(keepends=True)
    place = next(i for i, row in enumerate(rows) if row.startswith(file + ","))
    kept, end = rows[place].rsplit(",", 2)[0], rows[place][len(rows[place].rstrip()):]
    rows[place] = f"{kept},{len(content)} bytes,{hashlib.sha256(content).hexdigest()}{end}"
    data.write_whole(data.DATA / file, content)
    data.write_whole(path, "".join(rows).encode())
    data.sources.cache_clear()


if __name__ == "__main__":
    networks()
    sticker()
    reader()
    painter()
