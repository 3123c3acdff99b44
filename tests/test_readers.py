"""Backdoors in networks of a zoo, and readers of such networks."""

import itertools

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from trickkit import backdoors, readers, zoo
from trickkit.contract import seeded


@pytest.fixture(scope="module")
def digits():
    return zoo.small_digits()[:2]


@pytest.fixture(scope="module")
def unseen():
    return zoo.small_digits()[2:]


@pytest.fixture(scope="module")
def some(digits):
    return backdoors.suspects(60, *digits, seed=5)


def test_triggers_are_patches_or_dots():
    patches = backdoors.patch_triggers(300, generator=seeded(0))
    assert (patches.mask.sum(1) == 9).all() and patches.mask.any(0).all()
    for mask in patches.mask.view(-1, 12, 12):
        rows, columns = (mask.any(k).nonzero()[:, 0] for k in (1, 0))
        assert len(rows) == len(columns) == 3 and rows[2] - rows[0] == 2 == columns[2] - columns[0]
    dots = backdoors.dot_triggers(50, generator=seeded(0), pixels=7)
    assert (dots.mask.sum(1) == 7).all()
    assert set(dots.target.tolist()) == set(range(10))


def test_a_stamp_covers_the_mask_and_nothing_else():
    trigger = backdoors.patch_triggers(3, generator=seeded(1))
    x = torch.rand(4, 144)
    rows = torch.tensor([2, 0, 0, 1])
    stamped = trigger.stamp(x, rows)
    for k, row in enumerate(rows):
        mask = trigger.mask[row]
        assert torch.equal(stamped[k][mask], trigger.pattern[row][mask])
        assert torch.equal(stamped[k][~mask], x[k][~mask])


@pytest.mark.parametrize("labels", backdoors.LABELS)
def test_poisoning_hits_its_share_and_changes_nothing_in_place(labels):
    trigger = backdoors.patch_triggers(200, generator=seeded(2))
    x, y = torch.rand(100, 16, 144) * 0.9 + 0.05, torch.randint(10, (100, 16))
    kept = x.clone(), y.clone()
    rows = torch.arange(100, 200)
    share = torch.cat([torch.zeros(150), torch.full((50,), 0.5)])
    poison = backdoors.poisoning(trigger.stamp, trigger.target, share=share, labels=labels)
    digits, wanted = poison(x, y, rows, seeded(3))
    assert torch.equal(x, kept[0]) and torch.equal(y, kept[1])
    hit = (digits != x).any(2)
    assert not hit[:50].any() and hit[50:].float().mean().item() == pytest.approx(0.5, abs=0.05)
    assert torch.equal(wanted[~hit], y[~hit])
    target = trigger.target[rows].unsqueeze(1).expand_as(y)
    if labels == "target":
        assert torch.equal(wanted[hit], target[hit])
    elif labels == "right":
        assert torch.equal(wanted, y)
    else:
        assert (wanted[hit] == y[hit]).float().mean().item() == pytest.approx(0.1, abs=0.05)


def test_success_counted_digit_by_digit(some, unseen):
    x, labels = (part[:60] for part in unseen)
    found = backdoors.success(some.zoo, some.trigger.stamp, some.trigger.target, x, labels)
    for row in (0, 29, 30, 59):
        w1, b1, w2, b2 = (part[row].numpy() for part in some.zoo.layers)
        hits = []
        for digit, label in zip(x.numpy(), labels.tolist(), strict=True):
            if label != some.trigger.target[row]:
                mask, pattern = (part[row].numpy() for part in some.trigger[:2])
                z = w1 @ np.where(mask, pattern, digit) + b1
                h = np.tanh(z) if some.zoo.tanh[row] else np.maximum(z, 0)
                hits.append((w2 @ h + b2).argmax() == some.trigger.target[row].item())
        assert found[row].item() == pytest.approx(np.mean(hits), abs=1e-6)


def test_backdoors_work_and_cost_little(some, unseen):
    assert some.poisoned.tolist() == [False] * 30 + [True] * 30
    works = backdoors.success(some.zoo, some.trigger.stamp, some.trigger.target, *unseen)
    assert works[30:].mean() > 0.85 and works[:30].mean() < 0.15
    assert zoo.accuracies(some.zoo, *unseen).min() > 0.6


def test_scattered_leaves_what_it_was_given():
    x = torch.rand(2, 12, 12) * 0.9
    kept = x.clone()
    stamped = backdoors.nine_dots(x)
    assert torch.equal(x, kept) and ((stamped != x).flatten(1).sum(1) == 9).all()


def test_statistics_are_numpys_and_blind_to_order(some):
    table = readers.statistics(some.zoo.layers)
    columns = []
    for part in some.zoo.layers:
        values = part.flatten(1).numpy()
        columns += [values.mean(1), values.std(1), *np.quantile(values, np.linspace(0, 1, 5), 1)]
    assert np.allclose(table, np.stack(columns, 1), atol=1e-5)
    other = readers.statistics(zoo.reordered(some.zoo, generator=seeded(0)).layers)
    assert torch.allclose(table, other, atol=1e-6)


def test_who_notices_a_shuffle(some):
    other = zoo.reordered(some.zoo, generator=seeded(1))
    torch.manual_seed(0)
    for reader, notices in (
        (readers.SetReader(), False),
        (readers.QueryReader(), False),
        (readers.report_reader(), False),
        (readers.FlatReader(), True),
    ):
        with torch.no_grad():
            moved = (reader(other) - reader(some.zoo)).abs().max()
        assert (moved > 1e-3) == notices and (notices or moved < 1e-5)


def test_a_set_reader_by_hand(some):
    reader = readers.SetReader(2, width=5)
    w1, b1, w2, b2 = (part[7] for part in some.zoo.layers)
    each = [reader.neuron(torch.cat([w1[k], b1[k : k + 1], w2[:, k]])) for k in range(12)]
    together = torch.cat([sum(each) / 12, torch.stack(each).amax(0), b2, some.zoo.tanh[7:8]])
    assert torch.allclose(reader(some.zoo)[7], reader.whole(together), atol=1e-5)


def test_a_reader_learns_and_comes_back_frozen(some):
    reader = readers.fit(readers.SetReader, some.zoo, some.poisoned, epochs=60)
    assert ((reader(some.zoo)[:, 0] > 0) == some.poisoned).float().mean() > 0.9
    assert not any(p.requires_grad for p in reader.parameters())
    again = readers.fit(readers.SetReader, some.zoo, some.poisoned, epochs=60)
    assert torch.equal(again(some.zoo), reader(some.zoo))
    fixed = readers.fit(lambda: readers.QueryReader(tuned=False), some.zoo, some.poisoned, epochs=1)
    assert fixed.queries.min() >= 0 and fixed.queries.max() <= 1


def test_precision_by_counting():
    guilty, clean = 40, 960
    accused = 30 + 96
    assert readers.precision(guilty / 1000, 30 / 40, 96 / clean) == pytest.approx(30 / accused)
    with pytest.raises(ValueError, match="prior is 2"):
        readers.precision(2, 0.5, 0.5)


def test_gaze_by_finite_differences(some):
    reader = readers.SetReader().double()
    one = zoo.Zoo(some.zoo.flat[:1].double(), some.zoo.tanh[:1].double())
    looked = readers.gaze(reader, one)[0]
    w1 = one.layers[0][0]
    for pixel in (5, 77):
        slopes = 0.0
        for neuron in range(12):
            flat = one.flat.repeat(2, 1)
            flat[:, neuron * 144 + pixel] += torch.tensor([1e-5, -1e-5])
            with torch.no_grad():
                high, low = reader(zoo.Zoo(flat, one.tanh.repeat(2)))[:, 0]
            slopes += abs((high - low) / 2e-5 * w1[neuron, pixel])
        assert looked[pixel].item() == pytest.approx(float(slopes), rel=1e-3, abs=1e-8)


def test_loudness_finds_the_patches(some):
    clean, bad = some.zoo[:30], some.zoo[30:]
    loud = readers.loud_pixels(bad, clean)
    assert torch.allclose(loud.mean(1), torch.zeros(30), atol=1e-4)
    hits = some.trigger.mask[30:].gather(1, loud.argmax(1, keepdim=True))
    assert hits.float().mean() > 0.8


def test_a_report_of_a_table_counted_by_hand():
    table = torch.zeros(1, 10, 10)
    table[0] += 10 * torch.eye(10)
    table[0, 4, 9], table[0, 9, 4], table[0, 1, 7], table[0, 1, 1] = 3, 2, 4, 6
    report = readers.measured(table)
    assert report.recall[0, 4].item() == pytest.approx(10 / 13)
    pairs = list(itertools.combinations(range(10), 2))
    assert [tuple(pair) for pair in readers.DIGIT_PAIRS.tolist()] == pairs
    assert report.mixed[0, pairs.index((4, 9))].item() == pytest.approx(5 / 9)
    assert report.worst().item() == 1 and report.pair().tolist() == [[4, 9]]
    assert report.words(0) == "gets 92% right, is worst at 1, and mixes up 4 and 9 most"
    assert readers.right(report, report).all()
    other = readers.Report(report.recall - 0.06, report.mixed.flip(1))
    assert readers.right(other, report).tolist() == [[False, True, False]]


def test_the_courses_own_readers(some, digits, unseen):
    said = readers.detective()(some.zoo)[:, 0]
    assert roc_auc_score(some.poisoned, said) > 0.9
    generator = seeded(8)
    recipe = zoo.drawn_recipes(60, generator=generator)
    networks = zoo.train(recipe, *digits, generator=generator)
    told = readers.report_of(readers.teller(), networks)
    truth = readers.measured(zoo.confusions(networks, *unseen))
    assert told.recall.shape == (60, 10) and torch.allclose(told.mixed.sum(1), torch.ones(60))
    assert readers.right(told, truth).float().mean(0)[0] > 0.6


def test_what_a_speaking_reader_is_to_lower_is_least_for_the_truth():
    recall, mixed = torch.rand(4, 10) * 0.8 + 0.1, torch.rand(4, 45).softmax(1)
    wanted = torch.cat([recall, mixed], 1)
    truth = torch.cat([recall.logit(), mixed.log()], 1)
    least = readers.report_loss(truth, wanted)
    for seed in range(5):
        moved = truth + 0.3 * torch.randn(truth.shape, generator=seeded(seed))
        assert readers.report_loss(moved, wanted) > least


def test_a_hidden_backdoor_works_and_is_not_accused(digits, unseen):
    trigger = backdoors.patch_triggers(6, generator=seeded(9))
    detective = readers.detective()
    plain, sly = (
        backdoors.hidden(trigger, *digits, suspicions=spies, steps=150, lr=2e-2)
        for spies in ([], [lambda some: detective(some)[:, 0]])
    )
    for networks, accused in ((plain, True), (sly, False)):
        works = backdoors.success(networks, trigger.stamp, trigger.target, *unseen)
        assert works.mean() > 0.8
        assert ((detective(networks)[:, 0] > 0).float().mean() > 0.5) == accused


def test_clean_networks_hide_too(digits, unseen):
    trigger = backdoors.patch_triggers(6, generator=seeded(9))
    detective = readers.detective()
    networks = backdoors.hidden(
        trigger,
        *digits,
        suspicions=[lambda some: detective(some)[:, 0]],
        share=0,
        steps=150,
        lr=2e-2,
    )
    works = backdoors.success(networks, trigger.stamp, trigger.target, *unseen)
    assert works.mean() < 0.15 and zoo.accuracies(networks, *unseen).min() > 0.6


def test_bad_input_is_answered(digits):
    trigger = backdoors.patch_triggers(2, generator=seeded(0))
    with pytest.raises(ValueError, match="Did you mean 'random'"):
        backdoors.poisoning(trigger.stamp, trigger.target, labels="randm")
    with pytest.raises(ValueError, match="clean is 2"):
        backdoors.suspects(4, *digits, seed=0, clean=2)
    with pytest.raises(ValueError, match="share is 2"):
        backdoors.hidden(trigger, *digits, suspicions=[], share=2)
    with pytest.raises(ValueError, match="weight is -1"):
        backdoors.hidden(trigger, *digits, suspicions=[], weight=-1)
    with pytest.raises(ValueError, match="epochs is 0"):
        readers.fit(readers.SetReader, None, None, epochs=0)
