"""Every exercise: the answer is right on fresh inputs, and each way of being wrong gets its own sentence."""
import json
import os
import re
import stat

import pytest
import torch
from scipy.stats import binomtest, norm

from trickkit import adversarial, attacks, check, data, defences, linear, plots
from trickkit.check import defences as defending
from trickkit.check import (
    explaining_adversarial_examples,
    linear_classifiers,
    panda_to_vulture,
    start_here,
    stronger_attacks,
)

MODULES = (start_here, linear_classifiers, panda_to_vulture, explaining_adversarial_examples, stronger_attacks, defending)
EXERCISES = [e for module in MODULES for e in vars(module).values() if isinstance(e, check.Exercise)]
g = attacks.input_gradient


def clipped_steps(size, once=False, way=1, ball=True):
    def steps_of(net, x, target, eps, steps):
        y, first = x, g(net, x, target).sign()
        for _ in range(steps):
            y = y + way * size * eps * (first if once else g(net, y, target).sign())
            y = (torch.minimum(torch.maximum(y, x - eps), x + eps) if ball else y).clamp(0, 1)
        return y
    return steps_of


def shortest_wrong(bias=True, square=True, signs=False, way=1):
    def change(weights, biases, image, label, target):
        d = weights[target] - weights[label]
        lead = -(d @ image + (biases[target] - biases[label] if bias else 0))
        along = d.sign() if signs else d
        return way * lead / (d @ along if square else d.norm()) * along
    return change


def unguarded(weights, biases, images, labels):
    scores = images @ weights.T + biases
    lead = scores.gather(1, labels[:, None]) - scores
    return (lead / (weights[labels][:, None] - weights).abs().sum(2)).amin(1)


def changes_its_input(x, weights, eps):
    x += eps * weights.sign()
    return x


explaining, F = explaining_adversarial_examples, torch.nn.functional


def worst_case_wrong(reach=lambda w, e, s: e * w.abs().sum(), bias=1, way=-1, mean=torch.mean):
    return lambda w, b, x, s, e: mean(F.softplus(reach(w, e, s) + way * s * (x @ w + bias * b)))


def mixed_wrong(clean, own, step=lambda m, x, y, e: adversarial.sign_step(m, x, y, e)):
    return lambda m, x, y, e, a: clean(a) * F.cross_entropy(m(x), y) + own(a) * F.cross_entropy(m(step(m, x, y, e)), y)


def as_is(a):
    return a


def rest(a):
    return 1 - a


def nothing(a):
    return 0


def cut_off(m, x, y, e, a):
    stepped = adversarial.sign_step(m, x, y, e)
    return a * F.cross_entropy(m(x), y) + (1 - a) * F.cross_entropy(m(stepped), y).detach()


def adding_up(m, x, y, e):
    F.cross_entropy(m(x.requires_grad_(True)), y).backward()
    return x.detach() + e * x.grad.sign()


def outside(w, b, x, s, e):
    return F.softplus(-s * (x @ w + b)).mean() + e * w.abs().sum()


def mixed_pictures(m, x, y, e, a):
    return F.cross_entropy(m(a * x + (1 - a) * adversarial.sign_step(m, x, y, e)), y)


def gradient_of_loss(m, x, y):
    return adversarial.sign_step(m, x, y, 1.0) - x


def rights(model, attempts, labels):
    return torch.stack([model(x).argmax(1) == labels for x in attempts])


def break_wrong(opened=True, draws=1, targeted=False, reach=1, **options):
    def attack(model, defence, images, labels, eps):
        through = defences.straight_through(defence) if opened else defence
        steady = defences.averaged(lambda x: model(through(x)), draws)
        return attacks.pgd(steady, images, labels, reach * eps, targeted=targeted, **options)
    return attack


def one_step_wrong(draws):
    def attack(model, defence, images, labels, eps):
        opened = defences.straight_through(defence)
        return attacks.fgsm(defences.averaged(lambda x: model(opened(x)), draws), images, labels, eps)
    return attack


def silent_at_a_tie(*args):
    label, radius = defences.certificate(*args)
    return (label, radius) if label >= 0 else None


def lower(k, n, alpha):
    return binomtest(k, n, alternative="greater").proportion_ci(1 - alpha).low


def certify_wrong(bound=lower, chooser=0, power=1, abstain=True):
    def answer(selection, counts, sigma, alpha):
        label = (selection, counts)[chooser].argmax().item()
        p = bound(int(counts[label]), int(counts.sum()), alpha)
        return (label, sigma**power * norm.ppf(p)) if p > 0.5 or not abstain else (-1, 0.0)
    return answer


def lead_wrong(hide=True, sign=1, top=False, chances=False):
    def lead_of(logits, labels):
        z = logits.softmax(1) if chances else logits
        own = z.gather(1, labels[:, None])[:, 0]
        if top:
            two = z.topk(2, dim=1).values
            return two[:, 0] - two[:, 1]
        other = (z.scatter(1, labels[:, None], -torch.inf) if hide else z).amax(1)
        return sign * (own - other)
    return lead_of


def scatters_in_place(logits, labels):
    own = logits.gather(1, labels[:, None])[:, 0]
    return own - logits.scatter_(1, labels[:, None], -torch.inf).amax(1)


def guess_wrong(times=lambda sigma, samples: 1.0, paired=True, draw=torch.randn, mixed=False):
    def guess(ask, x, samples, sigma):
        u = draw((samples // 2 if paired else samples, *x.shape[1:]))
        u = torch.cat([u, -u]) if paired else u
        said = ask(x + sigma * u).view(-1, 1, 1, 1)
        return times(sigma, samples) * (said * (u[torch.randperm(len(u))] if mixed else u)).mean(0, keepdim=True) / sigma
    return guess


def guess_clamped(ask, x, samples, sigma):
    return guess_wrong()(lambda z: ask(z.clamp(0, 1)), x, samples, sigma)


def border_wrong(inside_end=False, rounds=None, scan=False, number=False, ends="right"):
    def walk(misread, image, far, close):
        low, high = 0.0, 1.0
        if scan:
            while not misread(image + low * (far - image)):
                low += close
            return image + low * (far - image)
        k = 0
        while high - low > close and (rounds is None or k < rounds):
            middle, k = (low + high) / 2, k + 1
            if misread(image + middle * (far - image)) == (ends == "right"):
                high = middle
            else:
                low = middle
        t = low if inside_end else high
        return t if number else image + t * (far - image)
    return walk


WRONG = [
    (start_here.magnified, lambda c: c + 0.5, "as faint as before"),
    (start_here.magnified, lambda c: 0.5 + c / (2 * c.max()), "absolute"),
    (start_here.magnified, lambda c: 0.5 + c / (4 * c.abs().max()), "stretch it to 0.5"),
    (start_here.magnified, lambda c: (c - c.min()) / (c.max() - c.min()), "should be grey|in proportion"),
    (start_here.magnified, lambda c: (c > 0).float(), "should be grey|in proportion"),
    (linear_classifiers.nudge, lambda x, w, e: x - e * w.sign(), "the score fell"),
    (linear_classifiers.nudge, lambda x, w, e: x + e * w * 3, "No number may move further"),
    (linear_classifiers.nudge, lambda x, w, e: x + e * w / w.abs().max(), "Every number may move the full ε"),
    (linear_classifiers.nudge, lambda x, w, e: x[:1], "has shape"),
    (linear_classifiers.nudge, changes_its_input, "changed x itself"),
    (linear_classifiers.shortest, shortest_wrong(bias=False), "the biases"),
    (linear_classifiers.shortest, shortest_wrong(square=False), "too far"),
    (linear_classifiers.shortest, lambda *a: linear.shortest(*a) / 2, "still leads by"),
    (linear_classifiers.shortest, shortest_wrong(way=-1), "lead grew"),
    (linear_classifiers.shortest, shortest_wrong(signs=True), "times as long"),
    (linear_classifiers.shortest, lambda W, b, x, y, t: x + linear.shortest(W, b, x, y, t), "the change alone"),
    (linear_classifiers.distance, unguarded, "not a number"),
    (linear_classifiers.distance, lambda *a: linear.distance(*a, "l2"), r"length ε \(ℓ₂\)"),
    (linear_classifiers.distance, lambda *a: linear.distance(*a) - 0.1, "negative"),
    (linear_classifiers.distance, lambda *a: linear.distance(*a) / 2, "too short"),
    (linear_classifiers.distance, lambda *a: linear.distance(*a) * 2, "sooner than you say"),
    (linear_classifiers.distance, lambda *a: linear.distance(*a).clamp(min=0.001), "misread from the start|sooner"),
    (panda_to_vulture.one_step, lambda n, x, t, e: (x - e * g(n, x, t).sign()).clamp(0, 1), "fell in 20 of 20"),
    (panda_to_vulture.one_step, lambda n, x, t, e: x + e * g(n, x, t).sign(), "whiter than white"),
    (panda_to_vulture.one_step, lambda n, x, t, e: (x + e * g(n, x, t) / 50).clamp(0, 1), "use only the sign"),
    (panda_to_vulture.one_step, lambda n, x, t, e: (x + 2 * e * g(n, x, t).sign()).clamp(0, 1), "at most ε away"),
    (panda_to_vulture.one_step, lambda n, x, t, e: (x + 50 * e * g(n, x, t)).clamp(0, 1), "at most ε away"),
    (panda_to_vulture.many_steps, clipped_steps(0.25, ball=False), "at most ε away"),
    (panda_to_vulture.many_steps, clipped_steps(0.25, once=True), "the network was asked"),
    (panda_to_vulture.many_steps, clipped_steps(0.25, way=-1), "probability fell"),
    (panda_to_vulture.many_steps, clipped_steps(0.01), "a step of ε/4 is asked for"),
    (panda_to_vulture.many_steps, lambda n, x, t, e, s: [attacks.one_step(n, x, t, e / 4) for _ in range(s)][0], "start where"),
    (panda_to_vulture.one_step, lambda n, x, t, e: e * g(n, x, t).sign(), "the change alone"),
    (panda_to_vulture.one_step, lambda n, x, t, e: torch.cat([attacks.one_step(n, x[:1], t, e), x[1:]]), "only the first"),
    (panda_to_vulture.as_saved, lambda i: i.round().clamp(0, 1), "before you round"),
    (linear_classifiers.nudge, lambda x, w, e: e * w.sign(), "the change alone"),
    (linear_classifiers.shortest, lambda *a: 2 * linear.shortest(*a), "too far"),
    (linear_classifiers.distance, lambda w, b, x, y: linear.distance(w, 0 * b, x, y), "biases|misread"),
    (panda_to_vulture.as_saved, lambda i: (i.clamp(0, 1) * 255).floor() / 255, "not to the one below"),
    (panda_to_vulture.as_saved, lambda i: (i * 255).round() / 255, "nothing below 0"),
    (panda_to_vulture.as_saved, lambda i: (i.clamp(0, 1) * 255).round(), "divide by 255"),
    (panda_to_vulture.as_saved, lambda i: i.clamp(0, 1), "between two grey levels"),
    (explaining.sign_step, lambda m, x, y, e: attacks.fgsm(m, x, y, e), "kept the pixels in"),
    (explaining.sign_step, lambda m, x, y, e: x - e * gradient_of_loss(m, x, y), "the sign is flipped"),
    (explaining.sign_step, lambda m, x, y, e: e * gradient_of_loss(m, x, y), "the change alone"),
    (explaining.sign_step, lambda m, x, y, e: x + e * attacks.loss_gradient(m, x, y), "use only the sign"),
    (explaining.sign_step, lambda m, x, y, e: x + 2 * e * gradient_of_loss(m, x, y), "Each should move by ε"),
    (explaining.sign_step, lambda m, x, y, e: x - e * g(m, x, y).sign(), "the score of the label alone"),
    (explaining.sign_step, lambda m, x, y, e: x + e * gradient_of_loss(m, x, (y + 1) % 5), "go the other way"),
    (explaining.sign_step, lambda m, x, y, e: torch.cat([adversarial.sign_step(m, x[:1], y[:1], e), x[1:]]), "only the first"),
    (explaining.worst_case_loss, worst_case_wrong(lambda w, e, s: s * e * w.abs().sum()), "times y, as the paper prints"),
    (explaining.sign_step, adding_up, "right the first time"),
    (explaining.sign_step, lambda m, x, y, e: adversarial.sign_step(m, x.requires_grad_(True), y, e), "for images itself"),
    (explaining.sign_step, lambda m, x, y, e: adversarial.sign_step(m, x, y, 0.25), "is eps used"),
    (explaining.worst_case_loss, outside, "belongs inside"),
    (explaining.adversarial_loss, mixed_pictures, "mixed the \\*pictures"),
    (explaining.worst_case_loss, worst_case_wrong(lambda w, e, s: 0), "without an attacker"),
    (explaining.worst_case_loss, worst_case_wrong(lambda w, e, s: -e * w.abs().sum()), "your attacker helps"),
    (explaining.worst_case_loss, worst_case_wrong(lambda w, e, s: e * w.norm()), "the length"),
    (explaining.worst_case_loss, worst_case_wrong(lambda w, e, s: e * w.sum()), "both signs cancel"),
    (explaining.worst_case_loss, worst_case_wrong(bias=0), "bias is missing"),
    (explaining.worst_case_loss, worst_case_wrong(mean=torch.sum), "the mean is wanted"),
    (explaining.worst_case_loss, worst_case_wrong(mean=torch.clone), "Their mean is wanted"),
    (explaining.worst_case_loss, worst_case_wrong(way=1), "turned round"),
    (explaining.worst_case_loss, worst_case_wrong(lambda w, e, s: e * w.abs().mean()), "by hand gives"),
    (explaining.adversarial_loss, mixed_wrong(rest, as_is), "have changed places"),
    (explaining.adversarial_loss, mixed_wrong(lambda a: 1, nothing), "as they are. The stepped ones"),
    (explaining.adversarial_loss, mixed_wrong(nothing, lambda a: 1), "stepped images alone"),
    (explaining.adversarial_loss, mixed_wrong(lambda a: 1, lambda a: 1), "added as they are"),
    (explaining.adversarial_loss, mixed_wrong(lambda a: 0.5, lambda a: 0.5), "half and half"),
    (explaining.adversarial_loss, mixed_wrong(as_is, rest, lambda m, x, y, e: adversarial.sign_step(m, x, y, -e)), "easier"),
    (explaining.adversarial_loss, mixed_wrong(as_is, rest, attacks.fgsm), "in \\[0, 1\\]"),
    (explaining.adversarial_loss, lambda *a: adversarial.adversarial_loss(*a).item(), "a plain number"),
    (explaining.adversarial_loss, lambda *a: adversarial.adversarial_loss(*a).detach(), "no gradient leads"),
    (explaining.adversarial_loss, cut_off, "not its gradient"),
    (explaining.adversarial_loss, mixed_wrong(as_is, lambda a: a * a), "is wanted, from"),
    (stronger_attacks.lead, lead_wrong(hide=False), "the best \\*other\\* class"),
    (stronger_attacks.lead, lead_wrong(sign=-1), "the other way round"),
    (stronger_attacks.lead, lead_wrong(top=True), "never below 0"),
    (stronger_attacks.lead, lead_wrong(chances=True), "not on probabilities"),
    (stronger_attacks.lead, lambda z, y: lead_wrong()(z, y)[:, None], "has shape"),
    (stronger_attacks.lead, lambda z, y: z.gather(1, y[:, None])[:, 0] - z.mean(1), "and yours says"),
    (stronger_attacks.lead, scatters_in_place, "changed the logits themselves"),
    (stronger_attacks.guess_gradient, guess_wrong(lambda sigma, n: sigma), "Divide by sigma"),
    (stronger_attacks.guess_gradient, guess_wrong(lambda sigma, n: n), "the mean of the answers"),
    (stronger_attacks.guess_gradient, guess_wrong(lambda sigma, n: 0.5), "Halve nothing"),
    (stronger_attacks.guess_gradient, guess_wrong(lambda sigma, n: 2), "counted as two"),
    (stronger_attacks.guess_gradient, guess_wrong(lambda sigma, n: -1), "the other way"),
    (stronger_attacks.guess_gradient, guess_wrong(paired=False), "Ask in pairs|somewhere else|times as long"),
    (stronger_attacks.guess_gradient, guess_wrong(draw=torch.rand), "times as long|somewhere else"),
    (stronger_attacks.guess_gradient, guess_wrong(mixed=True), "the other way|times as long|somewhere else"),
    (stronger_attacks.guess_gradient, lambda f, x, n, s: guess_wrong()(f, x, 2 * n, s), "you asked 12000 questions"),
    (stronger_attacks.guess_gradient, lambda f, x, n, s: guess_wrong()(f, x, n, s)[0], "has shape"),
    (stronger_attacks.border, border_wrong(inside_end=True), "Return the misread end"),
    (stronger_attacks.border, border_wrong(rounds=4), "Go on halving|still read right"),
    (stronger_attacks.border, border_wrong(scan=True), "you asked"),
    (stronger_attacks.border, border_wrong(number=True), "you returned the number"),
    (stronger_attacks.border, border_wrong(ends="wrong"), "Which end moves|beyond the border|takes the place"),
    (stronger_attacks.border, lambda m, i, f, c: f, "takes the place of the far end|beyond the border"),
    (stronger_attacks.guess_gradient, guess_clamped, "Do not clamp here"),
    (stronger_attacks.border, lambda m, i, f, c: (attacks.border(m, i, f, c) + 0.1), "straight line"),
    (defending.held, lambda *a: rights(*a).any(0), r"every\* attempt fails"),
    (defending.held, lambda *a: ~rights(*a).all(0), "other way round"),
    (defending.held, lambda *a: rights(*a).float().mean(0), "an average"),
    (defending.held, lambda *a: rights(*a).float().mean(1).min(), "one number"),
    (defending.held, lambda *a: rights(*a)[-1], "only the last"),
    (defending.held, lambda *a: rights(*a).float().mean(0) > 0.5, "majority wins"),
    (defending.held, lambda *a: rights(*a)[1:].all(0), "hold by your answer"),
    (defending.straight_through, lambda d: d, "gradient is zero"),
    (defending.straight_through, lambda d: lambda x: x, "as they came"),
    (defending.straight_through, lambda d: lambda x: d(x).detach(), "no gradient gets through"),
    (defending.straight_through, lambda d: lambda x: x + d(x) - x.detach(), "two gradients"),
    (defending.straight_through, lambda d: lambda x: 2 * x + (d(x) - 2 * x).detach(), "2.00 times"),
    (defending.straight_through, lambda d: lambda x: x + d(x).detach(), "not what the defence puts out"),
    (defending.straight_through, lambda d: d(torch.rand(2, 1, 4, 4)), "a function, from images to images, is wanted"),
    (defending.break_defence, break_wrong(opened=False, draws=10, early_stop=False), "noise of the same size"),
    (defending.break_defence, break_wrong(targeted=True, draws=16, early_stop=False), "noise of the same size"),
    (defending.break_defence, lambda m, d, x, y, e: attacks.fgsm(m, x, y, e), "never called the defence"),
    (defending.break_defence, lambda m, d, x, y, e: attacks.pgd(m, x, y, e, early_stop=False), "never called the defence"),
    (defending.break_defence, break_wrong(early_stop=False), "mostly noise"),
    (defending.break_defence, one_step_wrong(16), "mostly noise"),
    (defending.break_defence, one_step_wrong(200), "as in one step"),
    (defending.break_defence, break_wrong(draws=16), "One lucky draw is no success|no early stop"),
    (defending.break_defence, break_wrong(draws=16, reach=0.3, early_stop=False), "You may use all of ε"),
    (defending.break_defence, break_wrong(reach=2), "lie within ε"),
    (defending.break_defence, lambda m, d, x, y, e: x + e, "stays in"),
    (defending.break_defence, lambda m, d, x, y, e: x, "as they came"),
    (defending.certificate, certify_wrong(abstain=False), "may be no majority"),
    (defending.certificate, certify_wrong(lambda k, n, a: binomtest(k, n).proportion_ci(1 - a).low), "two-sided"),
    (defending.certificate, certify_wrong(lambda k, n, a: k / n), "as it was counted"),
    (defending.certificate, certify_wrong(chooser=1), "choose by selection"),
    (defending.certificate, certify_wrong(power=0), "σ is missing"),
    (defending.certificate, certify_wrong(power=2), "the variance"),
    (defending.certificate, lambda s, c, sigma, a: (s.argmax(), sigma * norm.ppf(1 - a)), "alpha alone"),
    (defending.certificate, lambda s, c, sigma, a: (s.argmax(), sigma * lower(int(c[s.argmax()]), int(c.sum()), a)), "σ·p"),
    (defending.certificate, lambda *a: defences.certificate(*a)[1], "a pair, a class number and a radius"),
    (defending.certificate, lambda *a: (-1, 0.0), "that is a majority"),
    (defending.certificate, silent_at_a_tie, "you return nothing where"),
    (defending.certificate, certify_wrong(lambda k, n, a: binomtest(k, n, alternative="less").proportion_ci(1 - a).low),
     'binomtest wants alternative="greater"'),
    (defending.certificate, lambda s, c, sigma, a: defences.certificate(s, s, sigma, a), "you abstain where|can|is certain"),
]


def yours(function):
    return lambda *args: function(*args)


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.name)
def test_the_answer_is_right_every_time(exercise):
    for seed in range(30):
        torch.manual_seed(seed)  # a judgement puts the dice back, so without this each would be the same
        assert exercise.judge(yours(exercise.answer)).startswith("right")


@pytest.mark.parametrize(("exercise", "function", "says"), WRONG)
def test_each_way_of_being_wrong_has_its_sentence(exercise, function, says):
    for seed in range(5):
        torch.manual_seed(seed)
        said = exercise.judge(yours(function))
        assert re.search(says, said), said


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.name)
def test_odd_answers_never_raise(exercise, capsys):
    assert exercise.judge(None).startswith("not written yet") and exercise.judge(...).startswith("not written yet")
    assert exercise.judge(lambda *a: None).startswith("not written yet: it returns nothing")
    assert "function's name, without brackets" in exercise.judge(torch.zeros(3))
    assert "the course's own function" in exercise.judge(exercise.answer)
    assert "a str" in exercise.judge(lambda *a: "five") and "has shape" in exercise.judge(lambda *a: torch.zeros(7, 7, 7))
    assert "TypeError" in exercise.judge(lambda: 1)
    assert exercise(lambda *a: None) is exercise.answer
    mine = yours(exercise.answer)
    assert exercise(mine) is mine
    capsys.readouterr()
    for _ in exercise.hints:
        exercise.hint()
    exercise.hint()
    said = capsys.readouterr().out
    assert all(hint in said for hint in exercise.hints) and "last hint" in said


def test_a_broken_answer_is_told_with_its_line():
    def many_steps(net, x, target, eps, steps):
        return x + undefined  # noqa: F821

    said = panda_to_vulture.many_steps.judge(many_steps)
    assert "NameError" in said and "return x + undefined" in said


def test_a_check_leaves_the_learners_dice_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    panda_to_vulture.one_step.judge(yours(attacks.one_step))
    assert torch.equal(torch.rand(2), expected)


def test_the_solution_is_the_packages_source(capsys):
    linear_classifiers.nudge.solution()
    assert "return x + eps * weights.sign()" in capsys.readouterr().out
    assert start_here.magnified.answer is plots.magnified and panda_to_vulture.as_saved.answer is data.as_saved


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr(check, "SOLVED", set())
    monkeypatch.setenv("TRICKKIT_PROGRESS", str(tmp_path / "new" / "progress.json"))
    return tmp_path / "new" / "progress.json"


def test_progress_is_kept_and_drawn(file, capsys):
    linear_classifiers.nudge(yours(linear.nudge))
    assert "right. 1 of 3 in this lesson." in capsys.readouterr().out
    assert json.loads(file.read_text()) == ["02 linear_classifiers/nudge"]
    check.SOLVED.clear()  # a new kernel
    linear_classifiers.shortest(yours(linear.shortest))
    assert "2 of 3" in capsys.readouterr().out
    check.progress()
    assert "■■□" in capsys.readouterr().out


@pytest.mark.parametrize("damage", [b"", b"{half", b"\xff\xfe\x00", b"3", b"null", b'[1, {"a": 2}]'])
def test_a_damaged_file_harms_nothing(file, damage, capsys):
    file.parent.mkdir()
    file.write_bytes(damage)
    check.progress()
    linear_classifiers.nudge(yours(linear.nudge))
    assert "right. 1 of 3" in capsys.readouterr().out
    assert "02 linear_classifiers/nudge" in json.loads(file.read_text())


def test_a_file_that_cannot_be_written_is_told(file, capsys):
    file.parent.write_text("a file where the folder should be")
    linear_classifiers.nudge(yours(linear.nudge))
    assert "could not be written down" in capsys.readouterr().out
    assert stat.S_ISREG(os.stat(file.parent).st_mode)


def test_nothing_is_written_while_notebooks_are_tested():
    assert os.environ["TRICKKIT_PROGRESS"] == "" and check.progress_file() is None
    assert check.remember("a/b") == ""
    check.SOLVED.discard("a/b")
