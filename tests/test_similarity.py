"""Indexes of how alike two representations are, against what is known and independent code."""

import numpy as np
import pytest
import torch
from sklearn.cross_decomposition import CCA

from trickkit import similarity
from trickkit.papers import kornblith2019

INDEXES = (
    similarity.cka,
    similarity.mean_cca,
    similarity.cca_r2,
    similarity.svcca,
    similarity.pwcca,
)


@pytest.fixture
def pair():
    torch.manual_seed(0)
    shared = torch.randn(40, 3)
    x, y = (shared @ torch.randn(3, d) + 0.4 * torch.randn(40, d) + 2 for d in (6, 9))
    return x, y


def orthogonal(d):
    return torch.linalg.qr(torch.randn(d, d)).Q


@pytest.mark.parametrize("index", INDEXES)
def test_every_index_is_1_with_itself_and_knows_neither_rotation_nor_scale(index, pair):
    x, y = pair
    assert float(index(x, x)) == pytest.approx(1, abs=1e-6)
    assert 0 < float(index(x, y)) < 1
    turned = 3 * x @ orthogonal(6) + 5, 0.1 * y @ orthogonal(9) - 2
    if index is similarity.pwcca:  # its weights hang on the features' own axes
        turned = 3 * x + 5, turned[1]
    assert float(index(*turned)) == pytest.approx(float(index(x, y)), abs=1e-5)
    assert float(index(x.view(40, 2, 3), y)) == float(index(x, y))


def test_cca_forgets_any_invertible_map_and_cka_does_not(pair):
    x, y = pair
    bent = x @ torch.randn(6, 6)
    for index in (similarity.mean_cca, similarity.cca_r2):
        assert float(index(bent, y)) == pytest.approx(float(index(x, y)), abs=1e-5)
    assert abs(similarity.cka(bent, y) - similarity.cka(x, y)) > 0.01


def test_cka_by_features_is_cka_by_kernels(pair):
    x, y = pair
    k, m = similarity.linear_kernel(x), similarity.linear_kernel(y)
    assert float(similarity.cka(x, y)) == pytest.approx(float(similarity.kernel_cka(k, m)))
    h = np.eye(40) - 1 / 40  # HSIC as it is defined, with the centring matrix written out
    hsic = lambda a, b: np.trace(a @ h @ b @ h) / 39**2  # noqa: E731
    k, m = k.numpy(), m.numpy()
    defined = hsic(k, m) / np.sqrt(hsic(k, k) * hsic(m, m))
    assert float(similarity.cka(x, y)) == pytest.approx(defined)


def song(k, m):
    """The unbiased estimate of HSIC, equation 5 of Song et al. 2012."""
    n = len(k)
    k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
    one = np.ones(n)
    whole = np.trace(k @ m) + (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2))
    return (whole - 2 / (n - 2) * one @ k @ m @ one) / (n * (n - 3))


def test_the_unbiased_estimate_is_songs_and_about_0_for_noise(pair):
    k, m = (similarity.linear_kernel(x).numpy() for x in pair)
    ours = similarity.kernel_cka(torch.tensor(k), torch.tensor(m), unbiased=True)
    assert float(ours) == pytest.approx(song(k, m) / np.sqrt(song(k, k) * song(m, m)))
    torch.manual_seed(1)
    noises = [similarity.linear_kernel(torch.randn(30, 200)) for _ in range(40)]
    plain, fair = (
        [
            similarity.kernel_cka(*pair, unbiased=u)
            for pair in zip(noises[::2], noises[1::2], strict=True)
        ]
        for u in (False, True)
    )
    assert min(plain) > 0.8 and abs(sum(fair)) / len(fair) < 0.05


def test_rbf_kernel_entry_by_entry(pair):
    x = pair[0][:12]
    distance = [[float(((a - b) ** 2).sum()) for b in x] for a in x]
    sigma = 0.8**2 * np.median(distance)
    right = [[np.exp(-d / (2 * sigma)) for d in row] for row in distance]
    assert np.allclose(similarity.rbf_kernel(x, bandwidth=0.8), right, atol=1e-5)


def test_canonical_correlations_are_scikit_learns(pair):
    x, y = (part.numpy() for part in pair)
    theirs = CCA(n_components=6, max_iter=5000, tol=1e-12, scale=False).fit(x, y)
    u, v = theirs.transform(x, y)
    right = [np.corrcoef(a, b)[0, 1] for a, b in zip(u.T, v.T, strict=True)]
    assert np.allclose(similarity.canonical_correlations(*pair), right, atol=1e-3)


def test_as_many_features_as_examples_make_all_correlations_1():
    torch.manual_seed(0)
    x, y = torch.randn(2, 20, 30)
    assert float(similarity.mean_cca(x, y)) == pytest.approx(1)
    assert float(similarity.svcca(x, y, variance=0.5)) < 0.99


def test_svcca_keeps_the_directions_that_hold_the_variance():
    torch.manual_seed(0)
    x = torch.randn(50, 4) * torch.tensor([100.0, 50.0, 0.1, 0.1])
    assert similarity.basis(x, variance=0.99).shape == (50, 2)
    assert similarity.basis(x).shape == (50, 4)


def test_pwcca_weighs_by_what_a_direction_accounts_for():
    torch.manual_seed(0)
    x = torch.linalg.qr(torch.randn(50, 2) - torch.randn(50, 2).mean(0)).Q
    x = torch.linalg.qr(x - x.mean(0)).Q * torch.tensor([9.0, 1.0])
    noise = torch.randn(50)
    same_large, same_small = (torch.stack([x[:, i], noise], 1) for i in (0, 1))
    assert similarity.pwcca(x, same_large) > similarity.pwcca(x, same_small) + 0.3


def test_tables_at_once_and_pair_by_pair_are_the_same(pair):
    torch.manual_seed(0)
    xs, ys = [*pair, torch.randn(40, 3, 2, 2)], [pair[1], torch.randn(40, 80)]
    slow = similarity.index_table(xs, ys)
    assert torch.allclose(similarity.cka_table(xs, ys), slow)
    for mean, index in (("plain", "mean_cca"), ("squared", "cca_r2"), ("weighted", "pwcca")):
        fast = similarity.cca_table(pair, ys, mean=mean)
        assert torch.allclose(
            fast, similarity.index_table(pair, ys, index=getattr(similarity, index))
        )
    k, m = similarity.rbf_kernel(xs[2]), similarity.rbf_kernel(ys[1])
    fair = similarity.cka_table(xs, ys, kernel=similarity.rbf_kernel, unbiased=True)
    assert torch.allclose(fair[2, 1], similarity.kernel_cka(k, m, unbiased=True))


def test_who_is_matched_and_that_a_tie_is_shared():
    assert similarity.matched(torch.eye(3)) == 1
    assert similarity.matched(torch.ones(4, 4)) == 0.25
    assert similarity.matched(torch.tensor([[1.0, 0.0], [1.0 - 1e-9, 1.0]])) == 0.75


def test_what_does_not_fit_is_refused(pair):
    x, y = pair
    with pytest.raises(ValueError, match="same examples; here are 40 and 30"):
        similarity.cka(x, y[:30])
    with pytest.raises(ValueError, match="All examples are the same"):
        similarity.cka(torch.ones(5, 3), torch.randn(5, 3))
    with pytest.raises(ValueError, match="not finite"):
        similarity.mean_cca(x, y / 0)
    with pytest.raises(ValueError, match="of two examples or more"):
        similarity.cka(x[0], y[0])
    with pytest.raises(ValueError, match="four examples or more; here are 2"):
        similarity.kernel_cka(torch.eye(2), torch.eye(2), unbiased=True)
    with pytest.raises(ValueError, match="A kernel is wanted"):
        similarity.centred_kernel(x)
    with pytest.raises(ValueError, match="median is no measure"):
        similarity.rbf_kernel(torch.ones(5, 3))
    with pytest.raises(ValueError, match="layers\\)"):
        similarity.matched(torch.ones(2, 3))
    with pytest.raises(ValueError, match="no mean called 'square'"):
        similarity.cca_table([x], [y], mean="square")
    with pytest.raises(ValueError, match="no design called 'bass'"):
        kornblith2019.untrained_twin("bass", seed=0)
    with pytest.raises(ValueError, match="keeps the networks of"):
        kornblith2019.twin("base", seed=7)


@pytest.mark.parametrize("name", kornblith2019.DESIGNS)
def test_the_networks_that_are_kept_have_the_layers_that_are_compared(name):
    torch.manual_seed(0)
    seen = kornblith2019.representations(name, torch.rand(6, 1, 28, 28), seed=0)
    recipe = kornblith2019.DESIGNS[name]
    assert len(seen) == len(kornblith2019.compared_layers(recipe)) == recipe.depth + 2
    assert seen[0].shape == (6, recipe.width * 14 * 14) and seen[-1].shape == (6, 10)
