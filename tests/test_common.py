import numpy as np

from trickkit.common import top_by_magnitude


def test_the_order_is_by_size_and_not_by_rounding():
    weights = np.array([0.1, -0.3, 0.2, 0.1, 0.3, -0.1])
    assert top_by_magnitude(weights).tolist() == [1, 4, 2, 0, 3, 5]
    assert top_by_magnitude(weights, k=2).tolist() == [1, 4]
    for seed in range(50):
        noisy = weights + 1e-12 * np.random.default_rng(seed).normal(size=6)
        assert top_by_magnitude(noisy).tolist() == [1, 4, 2, 0, 3, 5]
        equal = 0.7 + 1e-12 * np.random.default_rng(seed).normal(size=40)
        assert top_by_magnitude(equal, k=9).tolist() == list(range(9))
        apart = np.random.default_rng(seed).normal(size=40)
        assert np.array_equal(top_by_magnitude(apart), np.argsort(-np.abs(apart)))
    assert top_by_magnitude(1e-30 * weights).tolist() == [1, 4, 2, 0, 3, 5]
    assert top_by_magnitude(np.zeros(3)).tolist() == [0, 1, 2]
    assert top_by_magnitude(np.zeros(0)).tolist() == []
