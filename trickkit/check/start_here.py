"""The check of lesson 00's practice exercise."""

import torch

from trickkit import plots
from trickkit.check import called, exercise, progress, recognised

__all__ = ["magnified", "progress"]


@exercise(
    "00 start_here",
    plots.magnified,
    "Where nothing changed, the answer is middle grey: 0.5.",
    "Divide by twice the largest absolute change. change.abs().max() finds it.",
    rounds=3,
)
def magnified(yours):
    """A change of pixels made visible: grey where nothing changed, black or white where it is
    largest.
    """
    for sign in (1, -1):  # the largest change is a rise, and then a fall
        change = torch.rand(2, 3, 5, 7).mul(1.4).sub(0.7)
        change[1] /= 2
        change[1, 0, 0, 0] = 0
        place = tuple(int(torch.randint(n, ())) for n in (3, 5, 7))
        change[(0, *place)] = sign
        change /= torch.randint(20, 60, ())
        shown = called(yours, change, like=change, what="picture")
        right = plots.magnified(change)
        if (shown - right).abs().max() > 1e-4:
            return magnified_sentence(shown, right, change)
    return None


def magnified_sentence(shown: torch.Tensor, right: torch.Tensor, change: torch.Tensor) -> str:
    """What a wrong picture may be, and the sentence for it."""
    most = change.abs().max()
    share = change / most
    of_range = (change - change.min()) / (change.max() - change.min())
    rises = 0.5 + change / (2 * change.max())
    exchanged = "black and white are exchanged: a rise should be white, a fall black."
    signless = (
        "a fall looks the same as a rise. Take .abs() only for the largest change that you divide"
        " by, not for the change itself."
    )
    absolute = (
        "you divide by the largest rise. The largest change may be a fall: change.abs().max()."
    )
    twice = "twice too strong: divide by *twice* the largest change, for 0.5 is all there is."
    apart = "one factor for all pixels is wanted; yours differs from one {} to the next."
    mistakes = {
        "grey is in its place, but the change is as faint as before. Make its largest value 0.5.": (
            change + 0.5
        ),
        "this is the change as it came.": change,
        absolute: [rises, rises.clamp(0, 1)],
        "you divide by the lowest value, which is negative. Divide by change.abs().max(), twice.": [
            0.5 + change / (2 * change.min()),
            (0.5 + change / (2 * change.min())).clamp(0, 1),
        ],
        exchanged: [1 - right, 0.5 - change],
        signless: [0.5 + share.abs() / 2, share.abs(), share.abs() / 2, 0.5 - share.abs() / 2],
        "you stretched from the lowest value to the highest, so no change should be grey, and is"
        " not. Add 0.5 to the change, over twice its largest absolute value.": of_range,
        twice: [0.5 + share, (0.5 + share).clamp(0, 1)],
        "your picture goes below 0. Halve it and add 0.5, so that no change is grey.": share,
        "your picture goes below 0: add 0.5, so that no change is grey.": share / 2,
        "falls are cut off: all of them are black. Halve the change, and add 0.5.": (
            share.clamp(0, 1)
        ),
        "falls are cut off: add 0.5 before you clamp.": (share / 2).clamp(0, 1),
        "only three levels are left: black, grey and white. What lies between should be in"
        " proportion.": 0.5 + change.sign() / 2,
        "only black and white are left. What lies between should be in proportion.": [
            (change > 0).float(),
            (change < 0).float(),
        ],
        apart.format("picture"): (0.5 + change / (2 * change.abs().amax((1, 2, 3), keepdim=True))),
        apart.format("channel"): [
            0.5 + change / (2 * change.abs().amax(axes, keepdim=True))
            for axes in ((2, 3), (0, 2, 3))
        ],
        "one factor for all pixels is wanted; yours depends on the row, the column or the pixel.": [
            0.5 + change / (2 * change.abs().amax(axis, keepdim=True)) for axis in (0, 1, 2, 3)
        ],
    }
    if wrong := recognised(shown, mistakes):
        return wrong
    if shown.min() < 0 or shown.max() > 1:
        return (
            f"your picture goes from {shown.min():.2f} to {shown.max():.2f}; it should stay in"
            f" [0, 1]. The largest change, up or down, is {most:.4f}: over twice that, and plus"
            " 0.5."
        )
    farthest = (shown - 0.5).abs().max()
    if torch.allclose((shown - 0.5) * 2 * most, 2 * farthest * change, atol=1e-5):
        return (
            f"your largest change is drawn at {farthest:.2f} from grey; stretch it to 0.5, black or"
            " white."
        )
    worst = (shown - right).abs().argmax()
    return (
        f"where the change is {change.flatten()[worst]:.4f}, of {most:.4f} at most, yours is"
        f" {shown.flatten()[worst]:.2f} and {right.flatten()[worst]:.2f} is wanted: 0.5, plus the"
        " change over twice the largest."
    )
