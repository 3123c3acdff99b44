"""Style in one go: a network trained once to lower what `style.paint` lowers for each picture.

Johnson, Alahi, Fei-Fei 2016, arXiv:1603.08155; several styles in one: Dumoulin, Shlens, Kudlur
2017, arXiv:1610.07629.
"""

import torch
from torch import nn
from torch.nn import functional as F

from trickkit import data, models, style
from trickkit.common import progress_bar, unknown, validate_count, validate_positive
from trickkit.contract import (
    device,
    drawn_from,
    seeded,
    validate_batch,
    validate_images,
    with_gradients,
)

STYLES = ("great_wave", "auvers", "composition_viii")
HELD_OUT = ("macaw", "cat", "astronaut")  # no training picture is cut from these
FILE = "weights/fast_style.safetensors"


class Layer(nn.Module):
    """A convolution, normalised, and a style's own scale and shift of every channel.

    Normalised, every channel has mean 0 and standard deviation 1 over the picture.

    inputs, outputs: channels.
    side, stride: of the filters, in pixels.
    up: what comes in is first enlarged, to twice its side.
    forward: maps (N, inputs, h, w), and the place of the style in STYLES -> maps
        (N, outputs, …, …).
    """

    def __init__(
        self, inputs: int, outputs: int, *, side: int = 3, stride: int = 1, up: bool = False
    ):
        super().__init__()
        self.stride = stride
        self.up = up
        self.conv = nn.Conv2d(inputs, outputs, side, stride, side // 2, padding_mode="reflect")
        self.scale = nn.Parameter(torch.ones(len(STYLES), outputs))
        self.shift = nn.Parameter(torch.zeros(len(STYLES), outputs))

    def forward(self, x: torch.Tensor, place: int) -> torch.Tensor:
        x = F.instance_norm(self.conv(F.interpolate(x, scale_factor=2.0) if self.up else x))
        return x * self.scale[place].view(1, -1, 1, 1) + self.shift[place].view(1, -1, 1, 1)


class Painter(nn.Module):
    """A network that paints photographs in a style, given by its name.

    Johnson et al. 2016, §2; Dumoulin et al. 2017, eq. 5.

    Down to a quarter of the size, four residual blocks there, up again; Johnson et al. have five,
    and a third more channels. All that tells one style from another is a scale and a shift a
    channel.

    width: channels at the photograph's own size.
    seed: same seed, same weights.
    forward: photographs (N, 3, H, W) in [0, 1] and the name of a style -> paintings, as large, in
        [0, 1].
    Raises ValueError, when it paints, for an unknown style, pixels outside [0, 1], and photographs
        that are not in colour or are too small.
    """

    def __init__(self, *, width: int = 24, seed: int = 0):
        super().__init__()
        with drawn_from(seed):
            self.down = nn.ModuleList(
                [
                    Layer(3, width, side=9),
                    Layer(width, 2 * width, stride=2),
                    Layer(2 * width, 4 * width, stride=2),
                ]
            )
            self.blocks = nn.ModuleList(
                [nn.ModuleList([Layer(4 * width, 4 * width) for _ in range(2)]) for _ in range(4)]
            )
            self.up = nn.ModuleList(
                [Layer(4 * width, 2 * width, up=True), Layer(2 * width, width, up=True)]
            )
            self.last = Layer(width, 3, side=9)

    def forward(self, photos: torch.Tensor, name: str) -> torch.Tensor:
        if name not in STYLES:
            raise unknown("style that was trained", name, STYLES)
        validate_batch(photos, channels=3)
        validate_images(photos)
        if min(photos.shape[2:]) < 5:
            raise ValueError(
                "Photographs of 5 pixels or more a side are wanted, so that two are left at a"
                f" quarter; these have {photos.shape[2]} × {photos.shape[3]}."
            )
        place = STYLES.index(name)
        height, width = photos.shape[2:]
        x = F.pad(photos - 0.5, (0, -width % 4, 0, -height % 4), mode="replicate")
        for layer in self.down:
            x = layer(x, place).relu()
        for block in self.blocks:
            first, second = block.children()
            x = x + second(first(x, place).relu(), place)
        for layer in self.up:
            x = layer(x, place).relu()
        return self.last(x, place).sigmoid()[..., :height, :width].float()


def crops(
    generator: torch.Generator, *, photos: list[torch.Tensor], count: int, side: int
) -> torch.Tensor:
    """Random squares of random photographs at random sizes, half of them mirrored.

    generator: of all that is random.
    photos: (1, 3, H, W) each, no side shorter than `side`.
    count: how many.
    side: of each, in pixels.
    Returns (count, 3, side, side).
    """

    def at_most(n):
        return int(torch.randint(n + 1, (1,), generator=generator))

    cut = []
    for _ in range(count):
        photo = photos[at_most(len(photos) - 1)]
        wide = side + at_most(min(photo.shape[2:]) - side)
        top, left = (at_most(n - wide) for n in photo.shape[2:])
        square = photo[..., top : top + wide, left : left + wide]
        cut.append(data.scaled(square.flip(3) if at_most(1) else square, side=side))
    return torch.cat(cut)


@with_gradients
def train(
    painter: Painter,
    *,
    steps: int = 3600,
    batch_size: int = 2,
    side: int = 128,
    ratio: float = 2e-3,
    tv_weight: float = 0.3,
    lr: float = 2e-3,
    seed: int = 0,
) -> Painter:
    """Teach a painter its styles, by lowering the loss of `style.paint` on crops of photographs.

    It learns in place and comes back in eval mode. The photographs are the course's, all but
    HELD_OUT; a step takes one style and `batch_size` squares of `side` pixels.

    painter: as `Painter` makes it; it goes to `device()`.
    steps: how many.
    batch_size, side: of a step.
    ratio: as in `style.paint`.
    tv_weight: as in `style.paint`, but of the roughness summed over the batch, not averaged.
    lr: Adam's step, falling to 0 as a cosine.
    seed: same seed and threads, same painter.
    """
    validate_count(steps=steps, batch_size=batch_size, side=side, at_least=1)
    validate_positive(lr=lr)
    net = style.vgg()
    generator = seeded(seed)
    photos = [data.picture(name) for name in data.picture_names() if name not in HELD_OUT]
    wanted = [style.style_of(net, data.scaled(data.painting(name), side=256)) for name in STYLES]
    painter.to(device()).train()
    optimizer = torch.optim.Adam(painter.parameters(), lr)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in progress_bar(range(steps), "painter"):
        place = step % len(STYLES)
        x = crops(generator, photos=photos, count=batch_size, side=side)
        with torch.no_grad():
            content = style.responses(net, x, [style.CONTENT_LAYER], quick=True)[0]
        with torch.autocast(x.device.type, torch.bfloat16, enabled=models.has_bfloat16(x.device)):
            painted = painter(x, STYLES[place])
        *now, here = style.responses(
            net, painted, [*style.STYLE_LAYERS, style.CONTENT_LAYER], quick=True
        )
        losses = [
            style.style_loss([style.gram(a[[one]]) for a in now], wanted[place])
            for one in range(batch_size)
        ]
        weighed = ratio * style.content_loss(here, content) + sum(losses)
        loss = weighed / batch_size + tv_weight * style.total_variation(painted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
    return painter.eval()


def painter() -> Painter:
    """The painter that came with the course, trained by `make weights`."""
    return models.load_weights(Painter(), FILE).to(device())
