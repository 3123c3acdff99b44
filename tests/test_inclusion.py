"""Whom the networks that the course ships leave out: what was found, so that it is known.

None of these findings is one to be proud of. A test that fails here says that a network has
changed, and that README's "Limits" must be written anew.
"""

import itertools

import numpy as np
import pytest
import torch

from trickkit import bert, data, models

# Words for women and for men as in Caliskan, Bryson and Narayanan 2017; the occupations, chosen
# before anything was measured, are mostly women's in the United States, and mostly men's.
SHE = ("female", "woman", "girl", "sister", "she", "her", "hers", "daughter")
HE = ("male", "man", "boy", "brother", "he", "him", "his", "son")
HERS = "nurse librarian receptionist hairdresser secretary teacher nanny housekeeper".split()
HIS = "engineer mechanic carpenter electrician pilot programmer plumber soldier".split()


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
    """Occupations lie nearer to "she" or to "he" as women and men hold them: d about 1.5, and of
    12,870 ways to halve sixteen occupations hardly any does as well.
    """
    work = vectors([sentence.format(name) for name in HERS + HIS])
    scores = (work @ vectors(list(SHE)).T).mean(1) - (work @ vectors(list(HE)).T).mean(1)
    d, p = effect(scores)
    assert 1.4 < d < 1.6 and p < 0.001


def test_the_measure_finds_nothing_where_there_is_nothing():
    rng = np.random.default_rng(0)
    found = [effect(rng.normal(size=16)) for _ in range(40)]
    assert abs(np.mean([d for d, _ in found])) < 0.3
    assert 0.3 < np.mean([p for _, p in found]) < 0.7


def test_the_photograph_network_knows_a_groom_and_no_bride():
    """Of ImageNet's thousand classes three are people, all named by what they do."""
    names = models.imagenet().names
    assert {"groom", "ballplayer", "scuba diver"} <= set(names)
    assert not {"bride", "woman", "man", "child", "person"} & set(names)


def test_a_person_gets_the_name_of_a_thing():
    """The network has no word for the astronaut in her photograph, and names a thing."""
    net = models.imagenet()
    (name, probability), *_ = models.top(net, data.picture("astronaut", size=net.size))
    assert name == "bobsled" and probability < 0.5
