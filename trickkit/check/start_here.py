"""The check of lesson 00's practice exercise."""

import torch

from trickkit import plots
from trickkit.check import called, exercise, progress

__all__ = ["magnified", "progress"]


@exercise(
    "00 start_here",
    plots.magnified,
    "Where nothing changed, the answer is middle grey: 0.5.",
    "Divide by twice the largest absolute change. change.abs().max() finds it.",
    rounds=20,
)
def magnified(yours):
    """A change of pixels made visible: grey where nothing changed, black or white where it is
    largest.
    """
    change = (torch.rand(1, 3, 6, 6) - torch.rand(1)) / 50
    shown = called(yours, change.clone(), like=change, what="picture")
    if shown.min() < 0 or shown.max() > 1:
        return (
            f"your picture goes from {shown.min():.2f} to {shown.max():.2f}; it should stay in"
            " [0, 1]. Is it the largest *absolute* change that you divide by?"
        )
    if torch.allclose(shown, change + 0.5, atol=1e-6):
        return (
            "grey is in its place, but the change is as faint as before. Make its largest value"
            " 0.5."
        )
    grey = shown[change.abs() < change.abs().max() / 100]
    if len(grey) and (grey - 0.5).abs().max() > 0.05:
        return (
            "pixels that hardly changed should be grey, 0.5; one of yours is"
            f" {grey[(grey - 0.5).abs().argmax()]:.2f}."
        )
    extreme = (shown - 0.5).abs().max()
    if extreme < 0.49:
        return (
            f"your largest change is drawn at {extreme:.2f} from grey; stretch it to 0.5, black"
            " or white."
        )
    if not torch.allclose((shown - 0.5) * 2 * change.abs().max(), change, atol=1e-6):
        return (
            "the ends are right, but what lies between is not in proportion: one factor for all"
            " pixels."
        )
    return None
