"""Whom the networks that the course ships leave out or put in a box: what was found, so that it is
known.

None of these findings is one to be proud of. A test that fails here says that a network has
changed, and that README's "Limits" must be written anew.
"""

import itertools

import numpy as np
import pytest
import torch

from trickkit import bert, data, models

# Words for women and for men as in Caliskan, Bryson and Narayanan 2017. The occupations were chosen
# before anything was measured: mostly women hold the first in the United States, mostly men the
# others.
SHE = ("female", "woman", "girl", "sister", "she", "her", "hers", "daughter")
HE = ("male", "man", "boy", "brother", "he", "him", "his", "son")
MOSTLY_WOMEN = (
    "nurse librarian receptionist hairdresser secretary teacher nanny housekeeper".split()
)
MOSTLY_MEN = "engineer mechanic carpenter electrician pilot programmer plumber soldier".split()


def vectors(texts):
    """The mean vector of each text, of length 1: how MiniLM's authors use it."""
    net = models.minilm()
    tokens = net.tokenizer(texts)
    weight = (tokens != bert.PAD)[..., None]
    with torch.no_grad():
        mean = (net(tokens).cpu() * weight).sum(1) / weight.sum(1)
    return torch.nn.functional.normalize(mean).double().numpy()


def effect(scores):
    """Caliskan's effect size d of the first half against the second, and the exact share of all
    ways to halve the scores that lie as far apart.
    """
    half = len(scores) // 2
    apart = scores[:half].mean() - scores[half:].mean()
    firsts = [list(c) for c in itertools.combinations(range(len(scores)), half)]
    means = scores[np.array(firsts)].mean(1)
    others = (scores.sum() - half * means) / half
    return apart / scores.std(ddof=1), np.mean(means - others > apart - 1e-9)


@pytest.mark.parametrize("sentence", ["{}", "a {}", "The {} arrived."])
def test_the_sentence_network_has_learned_who_does_which_work(sentence):
    """On average, occupations that mostly women hold lie relatively nearer to "she" than those that
    mostly men hold: d about 1.5, and of 12,870 ways to halve sixteen hardly any does as well. Not
    one by one: librarian and plumber are about level, and few of the sixteen are nearer to "he".
    """
    work = vectors([sentence.format(name) for name in MOSTLY_WOMEN + MOSTLY_MEN])
    scores = (work @ vectors(list(SHE)).T).mean(1) - (work @ vectors(list(HE)).T).mean(1)
    d, p = effect(scores)
    assert 1.4 < d < 1.6 and p < 0.001


def test_the_measure_finds_nothing_where_there_is_nothing():
    rng = np.random.default_rng(0)
    found = [effect(rng.normal(size=16)) for _ in range(40)]
    assert abs(np.mean([d for d, _ in found])) < 0.3
    assert 0.3 < np.mean([p for _, p in found]) < 0.7


def test_the_photograph_network_has_a_name_for_a_groom_and_none_for_a_bride():
    """A fact of ImageNet's thousand classes, which the network can but choose from: hardly any is a
    person, and these by a role."""
    names = models.imagenet().names
    assert {"groom", "ballplayer", "scuba diver"} <= set(names)
    assert not {"bride", "woman", "man", "child", "person"} & set(names)


def test_a_person_gets_the_name_of_a_thing():
    """The network has no word for the astronaut in her photograph, and names a thing."""
    net = models.imagenet()
    (name, probability), *_ = models.top(net, data.picture("astronaut", size=net.size))
    assert name in ("bobsled", "football helmet") and probability < 0.5  # these two are close
