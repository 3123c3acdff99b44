"""What lesson 04 rests on: the FGSM paper's losses, networks and measurements."""

import struct

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import nn
from torch.nn import functional as F

from trickkit import attacks, contract, data, models, papers, training
from trickkit.papers import goodfellow2015


def bent(seed: int, classes: int = 4) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Flatten(), nn.Linear(9, 12), nn.Tanh(), nn.Linear(12, classes)
    ).double()
    return network, torch.rand(5, 1, 3, 3).double(), torch.randint(classes, (5,))


@pytest.mark.parametrize("seed", range(5))
def test_the_sign_step_follows_finite_differences_and_may_leave_the_box(seed):
    network, images, labels = bent(seed)
    stepped = goodfellow2015.sign_step(network, images, labels, eps=0.25)
    for place in range(9):
        nudged = torch.zeros(1, 1, 3, 3).double()
        nudged.view(-1)[place] = 1e-5
        rise = F.cross_entropy(
            network(images + nudged), labels, reduction="none"
        ) - F.cross_entropy(network(images - nudged), labels, reduction="none")
        assert torch.equal((stepped - images).flatten(1)[:, place].sign(), rise.sign())
    assert torch.allclose((stepped - images).abs(), torch.tensor(0.25).double())
    assert torch.allclose(stepped.clamp(0, 1), attacks.fgsm(network, images, labels, eps=0.25))
    assert not stepped.requires_grad and all(p.grad is None for p in network.parameters())


@pytest.mark.parametrize("seed", range(5))
def test_no_change_within_eps_costs_a_logistic_regression_more_than_the_closed_form(seed):
    torch.manual_seed(seed)
    weights = torch.randn(6).double()
    bias = torch.randn(()).double()
    images = torch.rand(4, 6).double()
    signs = torch.tensor([1.0, -1, 1, -1]).double()
    eps = 0.2
    found = []
    # the largest loss in the box, by a general optimiser
    for x, y in zip(images, signs, strict=True):

        def loss(change, x=x, y=y):
            return -F.softplus(-y * (weights @ (x + torch.from_numpy(change)) + bias)).item()

        found.append(-minimize(loss, np.zeros(6), bounds=[(-eps, eps)] * 6).fun)
    assert goodfellow2015.worst_case_loss(
        weights, bias, images, signs, eps=eps
    ).item() == pytest.approx(np.mean(found), rel=1e-4)


def test_the_printed_formula_is_the_worst_case_for_plus_one_only():
    torch.manual_seed(0)
    weights = torch.randn(6)
    bias = torch.randn(())
    images = torch.rand(4, 6)
    for sign in (1.0, -1.0):
        signs = torch.full((4,), sign)
        printed = F.softplus(signs * (0.2 * weights.abs().sum() - images @ weights - bias)).mean()
        agrees = torch.isclose(
            printed, goodfellow2015.worst_case_loss(weights, bias, images, signs, eps=0.2)
        )
        assert agrees == (sign == 1)


def test_the_adversarial_loss_is_the_plain_one_without_a_step_and_leaves_the_sign_alone():
    network, images, labels = bent(0)
    plain = F.cross_entropy(network(images), labels)
    assert torch.isclose(goodfellow2015.adversarial_loss(network, images, labels, eps=0), plain)
    assert torch.isclose(goodfellow2015.adversarial_loss(network, images, labels, alpha=1), plain)
    loss = goodfellow2015.adversarial_loss(network, images, labels, eps=0.1, alpha=0.3)
    weight = network[1].weight
    slope = torch.autograd.grad(loss, weight)[0]
    weight.data[0, 0] += 1e-6
    higher = goodfellow2015.adversarial_loss(network, images, labels, eps=0.1, alpha=0.3)
    assert (higher - loss).item() / 1e-6 == pytest.approx(slope[0, 0].item(), rel=1e-3, abs=1e-6)


def test_one_thread_is_given_back_after_an_error_too():
    before = torch.get_num_threads()
    with pytest.raises(KeyError), training.one_thread():
        assert torch.get_num_threads() == 1
        raise KeyError
    assert torch.get_num_threads() == before


def test_maxout_is_the_largest_of_its_pieces():
    layer = models.Maxout(7, 3, pieces=2)
    x = torch.randn(4, 7)
    pieces = x @ layer.linear.weight.T + layer.linear.bias
    assert torch.allclose(
        layer(x), torch.stack([pieces[:, [2 * i, 2 * i + 1]].amax(1) for i in range(3)], 1)
    )
    same = models.maxout(units=8, pieces=2, seed=1)
    other = models.maxout(units=8, pieces=2, seed=2)
    assert torch.equal(same.logits.weight, models.maxout(units=8, pieces=2, seed=1).logits.weight)
    assert not torch.equal(same.logits.weight, other.logits.weight)


def test_rbf_is_the_printed_formula_and_is_sure_only_near_its_centres():
    torch.manual_seed(0)
    images = torch.rand(60, 1, 4, 4)
    labels = torch.arange(60) % 3
    net = models.rbf(images, labels, classes=3)
    with torch.no_grad():
        net.log_betas += torch.randn(3, 16)
        x = images.flatten(1)
        beta = net.log_betas.exp()
        by_hand = -torch.stack(
            [((x - c).square() * b).sum(1) for c, b in zip(net.centres, beta, strict=True)], 1
        )
        assert torch.allclose(net(images), by_hand, atol=1e-4)
        assert torch.allclose(
            net(net.centres.view(3, 1, 4, 4)).diagonal().exp(), torch.ones(3), atol=1e-4
        )
        assert net(5 * torch.randn(50, 1, 4, 4)).exp().max() < 1e-6
    own = models.rbf(images, labels, classes=3)(images).gather(1, labels[:, None])
    assert own.mean().item() == pytest.approx(-1, rel=1e-3)
    with pytest.raises(ValueError, match="class 3 has none"):
        models.rbf(images, labels, classes=4)


def test_the_losses_of_separate_questions_are_the_sums_of_binary_cross_entropies():
    torch.manual_seed(0)
    logits = torch.randn(6, 4).double()
    labels = torch.tensor([0, 1, 2, 3, 0, 1])
    yes = F.one_hot(labels, 4).double()
    by_hand = F.binary_cross_entropy(logits.sigmoid(), yes, reduction="none").sum(1).mean()
    assert torch.isclose(goodfellow2015.sigmoid_loss(logits, labels), by_hand)
    assert torch.isclose(goodfellow2015.rbf_loss(F.logsigmoid(logits), labels), by_hand)
    # p = 1 for every class: a large loss, but finite, with a gradient
    sure = torch.zeros(1, 4, requires_grad=True)
    value = goodfellow2015.rbf_loss(sure, torch.tensor([0]))
    assert value.isfinite() and torch.autograd.grad(value, sure)[0].isfinite().all()


@pytest.mark.parametrize("seed", range(3))
def test_nothing_within_eps_makes_an_rbf_surer_of_a_wrong_class(seed):
    torch.manual_seed(seed)
    images = torch.rand(30, 1, 3, 3)
    labels = torch.arange(30) % 3
    net = models.rbf(images, labels, classes=3)
    aimed = goodfellow2015.sign_step(net, images, labels, eps=0.2)
    with torch.no_grad():
        net.log_betas += 0.5 * torch.randn(3, 9)
        worst = goodfellow2015.to_centre(net, images, labels, eps=0.2)
        assert (worst - images).abs().max() <= 0.2 + 1e-6

        def surest(x):  # the largest p of a class that is not the label
            return net(x).exp().scatter(1, labels[:, None], 0).amax(1)

        best = surest(worst)
        for other in [
            aimed,
            *(images + 0.2 * (torch.rand_like(images) * 2 - 1) for _ in range(300)),
        ]:
            assert (surest(other) <= best + 1e-5).all()
        assert (best > surest(images) + 0.01).all()


@pytest.mark.parametrize("seed", range(3))
def test_nothing_within_eps_gives_a_wrong_class_of_an_rbf_a_larger_lead(seed):
    torch.manual_seed(seed)
    images = torch.rand(30, 1, 3, 3)
    labels = torch.arange(30) % 3
    net = models.rbf(images, labels, classes=3)
    with torch.no_grad():
        net.log_betas += torch.randn(3, 9)
        worst = goodfellow2015.past_border(net, images, labels, eps=0.2)
        assert (worst - images).abs().max() <= 0.2 + 1e-6

        def lead(x):  # of the best wrong class over the label
            return -contract.margin(net(x), labels)

        best = lead(worst)
        ends = (images + 0.2 * (torch.randint(2, images.shape) * 2 - 1) for _ in range(300))
        for other in [goodfellow2015.to_centre(net, images, labels, eps=0.2), *ends, images]:
            assert (lead(other) <= best + 1e-4).all()
        box = [(p - 0.2, p + 0.2) for p in images[0].flatten().double().tolist()]
        found = -min(
            minimize(
                lambda x: (
                    -lead(torch.tensor(x).float().view(1, 1, 3, 3).expand(30, -1, -1, -1))[0].item()
                ),
                [dice.uniform(*pair) for pair in box],
                bounds=box,
                method="Powell",
            ).fun
            for dice in [np.random.default_rng(seed)]
            for _ in range(5)
        )
        assert best[0].item() == pytest.approx(found, rel=1e-2, abs=1e-2)


def test_an_ensemble_is_the_mean_of_its_members_probabilities():
    torch.manual_seed(0)
    members = [nn.Sequential(nn.Flatten(), nn.Linear(9, 4)) for _ in range(3)]
    images = torch.rand(5, 1, 3, 3)
    mean = torch.stack([m(images).softmax(1) for m in members]).mean(0)
    assert torch.allclose(models.ensemble(members)(images).exp(), mean, atol=1e-6)


def test_mistakes_rubbish_and_agreement_by_hand():
    answers = torch.tensor([[0.95, 0.05], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]])
    error, sure = goodfellow2015.mistakes(
        lambda _: answers.log(), torch.zeros(4, 1, 1, 1), torch.tensor([0, 0, 0, 0])
    )
    assert error == 50 and sure == pytest.approx(75)
    assert goodfellow2015.mistakes(
        lambda _: answers.log(), torch.zeros(4, 1, 1, 1), answers.argmax(1)
    ) == (0, 0)

    def says(images):  # sure of class 1 where the first pixel is positive, of nothing elsewhere
        first = images[:, 0, 0, 0] > 0
        one = torch.tensor([[0.4, 0.3, 0.3], [0.05, 0.9, 0.05]]).to(images)
        return one[first.long()].log()

    error, sure, favourite = goodfellow2015.rubbish(says, count=2000)
    assert error == pytest.approx(50, abs=4) and sure == pytest.approx(90) and favourite == 100
    assert goodfellow2015.rubbish(lambda images: torch.zeros(len(images), 3), count=10) == (0, 0, 0)
    reference = torch.tensor([1, 1, 2, 0])
    other = torch.tensor([1, 0, 1, 0])
    labels = torch.tensor([0, 0, 0, 0])
    assert goodfellow2015.agreement(reference, other, labels) == (
        pytest.approx(100 / 3),
        pytest.approx(50),
    )


def test_a_straight_line_is_overtaken_where_geometry_says():
    layer = nn.Sequential(nn.Flatten(), nn.Linear(2, 2, bias=False))
    # class 0 leads by the sum of two pixels
    layer[1].weight.data = torch.tensor([[1.0, 1.0], [0.0, 0.0]])
    images = torch.tensor([[0.3, 0.2], [0.4, 0.4]]).view(2, 1, 1, 2)
    labels = torch.tensor([0, 0])
    # 0.5 = 2 · 0.25
    assert goodfellow2015.overtaken(layer, images[:1], labels[:1]) == pytest.approx(
        0.26, abs=0.0101
    )
    three = torch.tensor([[0.3, 0.2], [0.1, 0.1], [0.8, 0.9]]).view(3, 1, 1, 2)
    median = goodfellow2015.overtaken(layer, three, torch.tensor([0, 0, 0]))
    assert median == goodfellow2015.overtaken(layer, images[:1], labels[:1])
    line = goodfellow2015.along(layer, images[1:], 0, [-0.1, 0.0, 0.25])
    assert torch.allclose(line.flatten(1), torch.tensor([[0.5, 0.5], [0.4, 0.4], [0.15, 0.15]]))


def test_a_linear_model_keeps_what_its_gradient_promises_and_a_bent_one_does_not():
    torch.manual_seed(0)
    images = torch.rand(6, 1, 3, 3)
    labels = torch.tensor([0, 1, 1, 0, 1, 0])
    line = nn.Sequential(nn.Flatten(), nn.Linear(9, 2))
    promised, found = goodfellow2015.promised_and_found(line, images, labels, [0, 0.1, 0.5])
    assert promised[0] == found[0] == 0 and found == pytest.approx(promised, rel=1e-3)
    weights = line[1].weight[0] - line[1].weight[1]
    assert promised[1] == pytest.approx(0.1 * weights.abs().sum().item(), rel=1e-3)
    promised, found = goodfellow2015.promised_and_found(
        nn.Sequential(line, nn.Tanh()), images, labels, [5.0]
    )
    assert found[0] < 0.9 * promised[0]


def test_training_takes_another_loss():
    torch.manual_seed(0)
    images = torch.rand(80, 1, 28, 28).to(contract.device())
    labels = (images.mean((1, 2, 3)) > 0.5).long()
    signs = labels.float() * 2 - 1
    asked = []

    def counted(model, x, y):
        asked.append(len(x))
        return goodfellow2015.logistic_loss(model, x, y)

    training.train(
        models.linear_classifier(1), images, signs, epochs=2, batch_size=32, loss=counted
    )
    assert asked == [32, 32, 16] * 2
    by_default, by_name = (
        training.train(
            models.maxout(units=4, pieces=2), images, labels, epochs=1, **options
        ).logits.weight
        for options in ({}, {"loss": training.mean_cross_entropy})
    )
    assert torch.equal(by_default, by_name)


def test_the_experiment_runs_on_the_complete_digits_as_they_are_kept(tmp_path, monkeypatch):
    """full=True on files in MNIST's own format: 80 + 40 of our digits, written as torchvision keeps
    them."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    raw = data.cache() / "MNIST" / "raw"
    few = data.digits()
    raw.mkdir(parents=True)
    for part, images, labels in (
        ("train", few.train_images[:80], few.train_labels[:80]),
        ("t10k", few.test_images[:40], few.test_labels[:40]),
    ):
        pixels = (images * 255).round().byte().cpu().numpy()
        classes = labels.byte().cpu().numpy()
        (raw / f"{part}-images-idx3-ubyte").write_bytes(
            struct.pack(">IIII", 0x803, len(pixels), 28, 28) + pixels.tobytes()
        )
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(
            struct.pack(">II", 0x801, len(classes)) + classes.tobytes()
        )
    split = data.digits(full=True)
    assert len(split.train_images) == 80 and torch.equal(split.test_images, few.test_images[:40])
    nets, ours = goodfellow2015.experiment(split, seeds=(0, 1), epochs=2)
    assert len(nets) == 2 and set(nets[0]) == set(nets[1])
    wanted = {
        id_.removeprefix("goodfellow2015/")
        for id_ in papers.reported()
        if id_.startswith("goodfellow2015/")
    }
    assert set(ours) == wanted and all(len(runs) == 2 for runs in ours.values())
    x, y = split.test_images, split.test_labels
    plain, decayed = (nets[0][name].maxout1.linear.weight.abs().sum() for name in ("maxout", "l1"))
    assert decayed < 0.865 * plain
    committee = models.ensemble([nets[0][name] for name in ("maxout", "member1", "member2")])
    at_all = goodfellow2015.sign_step(committee, x, y)
    assert ours["ensemble-error"][0] == goodfellow2015.mistakes(committee, at_all, y)[0]
    again = goodfellow2015.measure(goodfellow2015.networks(split, seed=1, epochs=2), split)
    assert again == {name: runs[1] for name, runs in ours.items()}


def test_the_two_noises_are_of_the_size_of_eps(monkeypatch):
    few = data.digits()
    split = few._replace(train_images=few.train_images[:80], train_labels=few.train_labels[:80])
    added = []

    def train(model, x, y, *, loss, **_):  # no training: what the loss shows the model first
        seen = []
        watch = model.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
        loss(model, x, y)
        watch.remove()
        added.append((seen[0] - x).abs() / goodfellow2015.EPS)
        return model

    monkeypatch.setattr(training, "train", train)
    sizes = dict(zip(goodfellow2015.networks(split), added, strict=True))
    assert torch.allclose(sizes["noise_sign"], torch.tensor(1.0), atol=1e-5)
    assert sizes["noise_even"].max() < 1.001 and abs(sizes["noise_even"].mean() - 0.5) < 0.01
    assert not sizes["maxout"].any()


def test_a_row_of_several_runs_shows_their_spread():
    row = papers.compare(
        papers.Row("goodfellow2015/maxout-error", [88.0, 89.0, 90.0], (85, 100))
    ).rows[0]
    assert row["ours"] == "89.0 ± 1.0" and row["verdict"] == "near"
    small = papers.compare(
        papers.Row("goodfellow2015/rbf-confidence", [0.03, 0.04, 0.05], (0, 1), why="a fit")
    ).rows[0]
    assert small["ours"] == "0.04 ± 0.01"  # with the paper's one digit it would read 0.0
    with pytest.raises(AssertionError, match="ours is 89, outside its band"):
        papers.compare(papers.Row("goodfellow2015/maxout-error", [90.0, 89.0, 88.0], (89.5, 100)))
