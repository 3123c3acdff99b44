"""How alike two representations are: CCA and its kin, and centred kernel alignment (CKA).

A representation is what a layer says of n examples, (n, features), a row an example; of a layer of
maps, all its places side by side (`flat`). Two of them are compared over the same examples, and may
differ in their features (Kornblith, Norouzi, Lee, Hinton 2019, arXiv:1905.00414).
"""

from collections.abc import Callable, Sequence

import torch

from trickkit.common import ROUNDING, unknown, validate_number, validate_positive
from trickkit.contract import described

Index = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # two representations -> a number


def flat(x: torch.Tensor) -> torch.Tensor:
    """What a layer put out as a representation: (n, …) -> (n, features), in 64 bits.

    Raises ValueError for what is no tensor of n examples, two or more, or holds numbers that are
        not finite.
    """
    if not isinstance(x, torch.Tensor) or x.dim() < 2 or len(x) < 2 or not x[0].numel():
        raise ValueError(
            "A representation is wanted, (n, features), of two examples or more;"
            f" {described(x)} came."
        )
    x = x.flatten(1).double()
    if not x.isfinite().all():
        raise ValueError("The representation holds numbers that are not finite.")
    return x


def centred(x: torch.Tensor) -> torch.Tensor:
    """A representation less its mean over the examples, (n, features), in 64 bits.

    Raises ValueError for what is none, and for one in which all examples are the same.
    """
    x = flat(x)
    middle = x - x.mean(0)
    if middle.abs().max() <= ROUNDING * x.abs().max():
        raise ValueError(
            "All examples are the same in this representation, so there is nothing to compare."
        )
    return middle


def validate_pair(x: torch.Tensor, y: torch.Tensor) -> None:
    """Raise ValueError unless two representations, or two kernels, are of as many examples."""
    if len(x) != len(y):
        raise ValueError(
            "Two representations are compared over the same examples; here are"
            f" {len(x)} and {len(y)} of them."
        )


def cka(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Linear CKA: ‖YᵀX‖² / (‖XᵀX‖ ‖YᵀY‖), of columns less their means.

    Kornblith et al. 2019, eq. 2 to 4 and §3; all norms are Frobenius'. It stays the same where a
    representation is rotated, or multiplied by one number.

    x, y: (n, …), the same examples.
    Returns one number from 0 to 1.
    Raises ValueError for what are no representations of the same examples.
    """
    x, y = centred(x), centred(y)
    validate_pair(x, y)
    return (y.T @ x).norm() ** 2 / ((x.T @ x).norm() * (y.T @ y).norm())


def linear_kernel(x: torch.Tensor) -> torch.Tensor:
    """How alike each two examples are: their dot product, (n, n)."""
    x = flat(x)
    return x @ x.T


def rbf_kernel(x: torch.Tensor, *, bandwidth: float = 0.5) -> torch.Tensor:
    """How alike each two examples are: exp(−distance² / 2σ²), (n, n).

    Kornblith et al. 2019, §3, and the authors' code: σ is a fraction of the median distance.

    bandwidth: that fraction.
    Raises ValueError for a fraction of 0 or less, for what is no representation, and for one whose
        median distance is 0.
    """
    validate_positive(bandwidth=bandwidth)
    x = flat(x)
    squares = torch.cdist(x, x).square()
    # NumPy's median: of an even count, the mean of the middle two
    median = squares.flatten().quantile(0.5) if squares.numel() < 2**24 else squares.median()
    if not median > 0:
        raise ValueError(
            "Half of the distances in this representation are 0, so their median is no measure."
        )
    return (-squares / (2 * bandwidth**2 * median)).exp()


def centred_kernel(k: torch.Tensor, *, unbiased: bool = False) -> torch.Tensor:
    """A kernel as HSIC wants it, (n, n): HSIC is then the sum of two kernels' products.

    Song et al. 2007, arXiv:0704.2668, for the unbiased estimate; in the form of Székely, Rizzo 2014
    (Annals of Statistics 42), as in Kornblith's code.

    k: (n, n), symmetric.
    unbiased: leaves out each example's likeness to itself, which says nothing of the others.
    Raises ValueError for what is no kernel, and unbiased for one of fewer than four examples.
    """
    if not isinstance(k, torch.Tensor) or k.dim() != 2 or k.shape[0] != k.shape[1] or len(k) < 2:
        raise ValueError(
            f"A kernel is wanted, (n, n), of two examples or more; {described(k)} came."
        )
    n = len(k)
    k = k.double()
    if not unbiased:
        means = k.mean(0)
        return k - means - means[:, None] + means.mean()
    if n < 4:
        raise ValueError(f"The unbiased estimate wants four examples or more; here are {n}.")
    k = k - k.diag().diag()
    means = k.sum(0) / (n - 2)
    means = means - means.sum() / (2 * (n - 1))
    k = k - means - means[:, None]
    return k - k.diag().diag()


def kernel_cka(k: torch.Tensor, m: torch.Tensor, *, unbiased: bool = False) -> torch.Tensor:
    """CKA of two kernels: HSIC(K, L) / √(HSIC(K, K) HSIC(L, L)).

    Kornblith et al. 2019, eq. 3 and 4. Of linear kernels it is `cka`.

    k, m: (n, n), of the same examples.
    unbiased: of HSIC; the quotient is near 0 where the two have nothing in common, or below.
    Returns one number.
    Raises ValueError for what are no kernels of the same examples.
    """
    k, m = (centred_kernel(one, unbiased=unbiased) for one in (k, m))
    validate_pair(k, m)
    return (k * m).sum() / (k.norm() * m.norm())


def basis(x: torch.Tensor, *, variance: float = 1.0) -> torch.Tensor:
    """Orthonormal directions among the examples that a representation spans, (n, directions), those
    in which it varies most first.

    variance: keep as many as hold this share of the variance; 1 for all that are not rounding.
    Raises ValueError for a share that is none, and for what is no representation.
    """
    validate_number(variance=variance, at_least=0, at_most=1)
    u, s, _ = torch.linalg.svd(centred(x), full_matrices=False)
    held = s.square().cumsum(0) / s.square().sum()
    count = int((held < variance).sum()) + 1 if variance < 1 else int((s > 1e-7 * s[0]).sum())
    return u[:, :count]


def canonical_correlations(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """How well the best pairs of directions agree, one in each representation, from the best down.

    Hotelling 1936; as singular values of Q_xᵀQ_y in Kornblith et al. 2019, §3. They are the same
    for any invertible map of a representation. Where it has as many features as there are examples,
    less one, it spans everything, and all correlations are 1.

    x, y: (n, …), the same examples.
    Returns (k,), the lower rank of the two, from 0 to 1.
    """
    validate_pair(x, y)
    return torch.linalg.svdvals(basis(x).T @ basis(y)).clamp(max=1)


def mean_cca(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The mean canonical correlation, ρ̄, from 0 to 1."""
    return canonical_correlations(x, y).mean()


def cca_r2(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The mean squared canonical correlation, R²_CCA, from 0 to 1."""
    return canonical_correlations(x, y).square().mean()


def svcca(x: torch.Tensor, y: torch.Tensor, *, variance: float = 0.99) -> torch.Tensor:
    """The mean canonical correlation of those directions that hold most of the variance.

    Raghu, Gilmer, Yosinski, Sohl-Dickstein 2017, arXiv:1706.05806.

    variance: the share of it that they hold.
    """
    return cca_table([x], [y], variance=variance)[0, 0]


def pwcca(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The mean canonical correlation, weighted by how much of x each direction accounts for.

    Morcos, Raghu, Bengio 2018, arXiv:1806.05759, §3; it is not symmetric, and hangs on the axes of
    x.
    """
    return cca_table([x], [y], mean="weighted")[0, 0]


def index_table(
    xs: Sequence[torch.Tensor], ys: Sequence[torch.Tensor], *, index: Index = cka
) -> torch.Tensor:
    """How alike each layer of one network is to each of another, (len(xs), len(ys)).

    xs, ys: representations of the same examples, (n, …) each.
    index: of two representations, such as `mean_cca`.
    """
    return torch.stack([torch.stack([index(x, y) for y in ys]) for x in xs])


def cka_table(
    xs: Sequence[torch.Tensor],
    ys: Sequence[torch.Tensor],
    *,
    kernel: Callable[[torch.Tensor], torch.Tensor] = linear_kernel,
    unbiased: bool = False,
) -> torch.Tensor:
    """`index_table` for CKA: each layer's kernel is worked out once, and all pairs are one product
    of matrices.

    xs, ys: representations of the same examples, (n, …) each.
    kernel: of a representation, such as `rbf_kernel`.
    unbiased: as in `kernel_cka`.
    Returns (len(xs), len(ys)).
    Raises ValueError for layers of other examples.
    """

    def rows(layers: Sequence[torch.Tensor]) -> torch.Tensor:
        kernels = [centred_kernel(kernel(x), unbiased=unbiased).flatten() for x in layers]
        return torch.stack([k / k.norm() for k in kernels])

    for y in ys:
        validate_pair(xs[0], y)
    return rows(xs) @ rows(ys).T


def cca_table(
    xs: Sequence[torch.Tensor],
    ys: Sequence[torch.Tensor],
    *,
    mean: str = "plain",
    variance: float = 1.0,
) -> torch.Tensor:
    """`index_table` for CCA and its kin: each layer's `basis` is worked out once.

    xs, ys: representations of the same examples, (n, …) each.
    mean: of the correlations: "plain" for `mean_cca`, "squared" for `cca_r2`, "weighted" for
        `pwcca`.
    variance: the share that the directions hold which are kept: with 0.99 it is `svcca`.
    Returns (len(xs), len(ys)).
    Raises ValueError for layers of other examples, and for an unknown mean.
    """
    means = {
        "plain": lambda x, u, r: r.mean(),
        "squared": lambda x, u, r: r.square().mean(),
        "weighted": lambda x, u, r: (u.T @ x).abs().sum(1) @ r / (u.T @ x).abs().sum(),
    }
    if mean not in means:
        raise unknown("mean", mean, means)
    for y in ys:
        validate_pair(xs[0], y)
    left, right = ([basis(x, variance=variance) for x in layers] for layers in (xs, ys))
    rows = []
    for x, p in zip(map(centred, xs), left, strict=True):
        for q in right:
            u, correlations, _ = torch.linalg.svd(p.T @ q, full_matrices=False)
            rows.append(means[mean](x, p @ u, correlations))
    return torch.stack(rows).view(len(xs), len(ys))


def matched(scores: torch.Tensor) -> float:
    """The share of layers, 0 to 1, whose most similar layer in the other network is their own
    counterpart.

    Kornblith et al. 2019, §6.1. Layers that are as similar, up to rounding, share the honour.

    scores: (layers, layers), of two networks of one architecture.
    Raises ValueError for scores that are not square.
    """
    if scores.dim() != 2 or scores.shape[0] != scores.shape[1]:
        raise ValueError(
            "A score for each layer of one network and each of its twin is wanted, (layers,"
            f" layers); {described(scores)} came."
        )
    best = scores >= scores.amax(1, keepdim=True) - 1e-6
    return (best.diag() / best.sum(1)).mean().item()
