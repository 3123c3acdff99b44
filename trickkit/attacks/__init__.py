"""Attacks: (model, images, labels, …) -> images that it gets wrong but that look the same to us.

`labels` are what to leave, or with targeted=True what to reach: an int64 tensor (N,), or one number
for all; ε is a change of pixels (see `contract`). A file a family: those that follow the gradient
inside a budget ε, those that look for the smallest change, those that find one change for many
images, and those that only ask.
"""

from trickkit.attacks.gradient import (
    apgd,
    checkpoints,
    fgsm,
    iterate_until_fooled,
    loss_and_gradient,
    many_steps,
    momentum,
    norms,
    one_step,
    pgd,
    project,
    random_in_ball,
    steepest_step,
)
from trickkit.attacks.minimal import cw, deepfool, sizes
from trickkit.attacks.queries import (
    border,
    guess_gradient,
    hop_skip_jump,
    hop_skip_jump_one,
    nes,
    one_pixel,
    share_of_image,
    square,
)
from trickkit.attacks.reusable import paste, patch, universal
