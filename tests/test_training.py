import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from trickkit import data, models, training


def test_training_is_deterministic_and_learns():
    digits = data.digits()
    x = digits.train_images[:1000]
    y = digits.train_labels[:1000]
    first, second = (training.train(models.convnet(), x, y, epochs=6) for _ in range(2))
    assert all(
        torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True)
    )
    assert (
        not first.training and models.accuracy(first, digits.test_images, digits.test_labels) > 0.7
    )
    other = training.train(models.convnet(), x, y, epochs=6, seed=1)
    assert not torch.equal(first.logits.weight, other.logits.weight)


@pytest.mark.parametrize("seed", range(3))
def test_the_penalty_is_half_lambda_w_squared(seed):
    """Trained to the bottom, the gradient of exactly that loss is 0."""
    model = models.linear_classifier(3)
    there = model.templates.weight.device
    x = torch.rand(10, 1, 28, 28, generator=torch.Generator().manual_seed(seed)).to(there)
    y = torch.tensor([0] * 6 + [1] * 3 + [2]).to(there)  # a bias for each, and no penalty on it
    trained = training.train(
        model,
        x,
        y,
        epochs=300,
        lr=0.05,
        weight_decay=1.0,
        batch_size=10,
        schedule=training.cosine_decay,
    )
    weights, biases = trained.templates.weight, trained.templates.bias
    loss = nn.functional.cross_entropy(trained(x), y) + 0.5 * weights.square().sum()
    gradients = torch.autograd.grad(loss, [weights, biases])
    assert all(gradient.abs().max() < 0.01 for gradient in gradients)
    assert biases.abs().max() > 0.1


def test_the_rate_follows_the_schedule_and_the_images_what_becomes_of_them(monkeypatch):
    """One weight, and a gradient of 1 at every step: Adam's step is then the rate itself."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(1, 1, bias=False))
    x = torch.rand(7, 1, 1, 1)
    seen, places, order = [], [], []

    def augment(model, images, labels, done, generator):
        seen.append((len(images), done, torch.rand((), generator=generator).item()))
        order.extend(labels.tolist())
        assert torch.equal(images.flatten(), x.flatten()[labels])
        return torch.ones_like(images)

    def loss(model, images, labels):
        assert (images == 1).all()
        places.append(model[1].weight.item())
        return model(images).mean()

    training.train(
        model,
        x,
        torch.arange(7),
        epochs=2,
        lr=0.1,
        batch_size=3,
        loss=loss,
        augment=augment,
        schedule=training.cosine_decay,
    )
    places.append(model[1].weight.item())
    assert [n for n, _, _ in seen] == [3, 3, 1] * 2 and len({dice for _, _, dice in seen}) == 6
    assert sorted(order[:7]) == sorted(order[7:]) == list(range(7)) and order[:7] != order[7:]
    assert [done for _, done, _ in seen] == pytest.approx([k / 6 for k in range(1, 7)])
    steps = [a - b for a, b in zip(places, places[1:], strict=False)]
    expected = [0.05 * (1 + math.cos(math.pi * k / 6)) for k in range(1, 7)]
    assert steps == pytest.approx(expected, abs=1e-5)


def test_what_training_refuses():
    with pytest.raises(ValueError, match="Pixels are wanted"):
        training.train(models.linear_classifier(), torch.rand(4, 1, 28, 28) * 255, torch.zeros(4))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"epochs": 1.5}, "epochs is 1.5"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"lr": 0}, "lr is 0"),
        ({"weight_decay": -1}, "weight_decay is -1"),
        ({"seed": None}, "seed is None"),
        ({"labels": torch.zeros(3).long()}, "One label an image"),
        ({"labels": torch.full((4,), 7)}, "from 0 to 2"),
        ({"images": torch.rand(4, 1, 2, 2).double()}, r"images.float\(\)"),
        ({"model": nn.Sequential(nn.Flatten(), nn.Linear(4, 1))}, "two or more classes"),
        ({"model": nn.Sequential(nn.Flatten(), nn.Linear(4, 3)).requires_grad_(False)}, "thaws"),
    ],
)
def test_what_cannot_be_trained_is_said(change, says):
    given = {
        "model": nn.Sequential(nn.Flatten(), nn.Linear(4, 3)),
        "images": torch.rand(4, 1, 2, 2),
        "labels": torch.arange(4) % 3,
        **change,
    }
    with pytest.raises(ValueError, match=says):
        training.train(**given)


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
def test_training_goes_on_where_gradients_were_switched_off(off):
    def trained(model):
        x = torch.arange(24).view(6, 1, 2, 2) / 24
        labels = [0, 1, 2, 0, 1, 2]
        return training.train(model, x, labels, batch_size=np.int64(2), epochs=2)[1].weight

    def fresh():
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(4, 3))

    model = fresh()
    with off():
        found = trained(model)
    assert torch.equal(found, trained(fresh()))


def images_and_labels():
    return torch.rand(6, 1, 28, 28), torch.tensor([0, 1, 2, 0, 1, 2])


@pytest.mark.parametrize(
    "loss, says",
    [
        (lambda model, x, y: None, "returned None"),
        (lambda model, x, y: 0.5, "returned 0.5"),
        (lambda model, x, y: torch.tensor(0.5), "differentiate"),
        (lambda model, x, y: nn.functional.cross_entropy(model(x), y, reduction="none"), "one num"),
        (lambda model, x, y: model(x).sum() * torch.nan, "The loss is nan"),
        (lambda model, x, y: model(x).sum() * torch.inf, "The loss is -?(inf|nan)"),
    ],
)
def test_a_loss_that_cannot_be_lowered(loss, says):
    with pytest.raises(ValueError, match=says):
        training.train(models.convnet(3, seed=0), *images_and_labels(), epochs=1, loss=loss)


@pytest.mark.parametrize("made", [None, 3, torch.rand(2, 1, 28, 28)])
def test_images_that_augment_made_something_else_of(made):
    with pytest.raises(ValueError, match="augment should return the 6 images"):
        training.train(
            models.convnet(3, seed=0), *images_and_labels(), epochs=1, augment=lambda *_: made
        )


def test_labels_may_be_a_column_of_a_table():
    images, labels = images_and_labels()
    column = pd.Series(labels.numpy(), index=range(10, 16))
    nets = [
        training.train(models.convnet(3, seed=0), images, y, epochs=1)
        for y in (labels, column, labels.tolist())
    ]
    for net in nets[1:]:
        assert torch.equal(net.conv1.weight, nets[0].conv1.weight)
