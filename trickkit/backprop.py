"""Backpropagation by hand, in NumPy: what went forward as a matrix product comes back as two.

Written as in Rumelhart, Hinton, Williams 1986, Nature 323:533-536, equations 4 to 7, with a row an
image in place of their one case at a time. A letter g is the loss's gradient with respect to what a
step put out; each *_backward takes that and returns the gradient with respect to what went in.
Arrays are float64, (N, n): N images, n numbers each. A `Net` is [W1, b1, W2, b2].
"""

from collections.abc import Callable

import numpy as np

Net = list[np.ndarray]  # [W1 (pixels, hidden), b1 (hidden,), W2 (hidden, K), b2 (K,)]


def validate_labels(scores: np.ndarray, y: np.ndarray) -> None:
    """Raise ValueError unless y (N,) are whole numbers that choose columns of scores (N, K).

    N is at least 1.
    """
    y = np.asarray(y)
    if (
        y.size == 0
        or y.shape != scores.shape[:1]
        or y.dtype.kind not in "iu"
        or y.min() < 0
        or y.max() >= scores.shape[1]
    ):
        raise ValueError(
            f"The labels have shape {y.shape} and type {y.dtype}. For scores {scores.shape} they"
            f" must be {scores.shape[:1]}, whole numbers from 0 to {scores.shape[1] - 1}:"
            " np.array([7]) for one 7."
        )


def init(*, pixels: int = 784, hidden: int = 50, classes: int = 10, seed: int = 0) -> Net:
    """A fresh network: random weights, and biases of 0.

    The weights have variance 1/inputs, so that sums neither grow nor fade. Same seed, same weights.
    """
    rng = np.random.default_rng(seed)
    W1 = rng.normal(size=(pixels, hidden)) / pixels**0.5
    W2 = rng.normal(size=(hidden, classes)) / hidden**0.5
    return [W1, np.zeros(hidden), W2, np.zeros(classes)]


def forward(net: Net, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sums a (N, hidden), hidden units h = max(a, 0), scores (N, K) of images x (N, pixels).

    Raises ValueError for images of another shape.
    """
    W1, b1, W2, b2 = net
    x = np.asarray(x)
    if x.ndim != 2 or x.shape[1] != len(W1):
        raise ValueError(
            f"The images have shape {x.shape}; (N, {len(W1)}) is wanted, a row an image."
            f" x.reshape(-1, {len(W1)}) makes rows of pictures."
        )
    a = x @ W1 + b1
    h = np.maximum(a, 0)
    return a, h, h @ W2 + b2


def softmax(scores: np.ndarray) -> np.ndarray:
    """Scores (N, K) as probabilities: positive, each row adding up to 1."""
    # the largest becomes 1, so that nothing overflows
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def cross_entropy(scores: np.ndarray, y: np.ndarray) -> float:
    """The mean over images of -log p(label).

    scores: (N, K).
    y: class numbers (N,).
    Raises ValueError for labels that do not fit.
    """
    validate_labels(scores, y)
    top = scores.max(axis=1)
    log_sum = top + np.log(np.exp(scores - top[:, None]).sum(axis=1))
    return (log_sum - scores[np.arange(len(y)), y]).mean()


def layer_backward(
    g: np.ndarray, x: np.ndarray, W: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Back through x @ W + b.

    Rumelhart et al. 1986, equations 7 and 6, all images at once.

    g: (N, m).
    x: (N, n).
    W: (n, m).
    Returns the gradients with respect to x (N, n), W (n, m) and b (m,).
    """
    return g @ W.T, x.T @ g, g.sum(axis=0)


def relu_backward(g: np.ndarray, a: np.ndarray) -> np.ndarray:
    """Back through max(a, 0): g passes where a was positive and stops elsewhere.

    g, a: (N, m).
    Returns (N, m).
    """
    return g * (a > 0)


def cross_entropy_backward(scores: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The gradient of `cross_entropy` with respect to the scores.

    Probabilities, less 1 at the label, over N.

    scores: (N, K).
    y: class numbers (N,).
    Returns (N, K).
    Raises ValueError for labels that do not fit.
    """
    validate_labels(scores, y)
    g = softmax(scores)
    g[np.arange(len(y)), y] -= 1
    return g / len(y)


def backward(net: Net, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, Net]:
    """The gradient of the loss with respect to the images, and to the weights and biases.

    net: [W1, b1, W2, b2].
    x: (N, pixels).
    y: class numbers (N,).
    Returns the gradient for the images (N, pixels), and a list of those for W1, b1, W2, b2.
    """
    W1, _, W2, _ = net
    a, h, scores = forward(net, x)
    g = cross_entropy_backward(scores, y)
    g, gW2, gb2 = layer_backward(g, h, W2)
    g = relu_backward(g, a)
    gx, gW1, gb1 = layer_backward(g, x, W1)
    return gx, [gW1, gb1, gW2, gb2]


def fool(
    net: Net, x: np.ndarray, target: np.ndarray, *, step_size: float, steps: int
) -> np.ndarray:
    """Images trained to be read as another class: each step goes down the loss and stays in [0, 1].

    net: [W1, b1, W2, b2].
    x: (N, pixels) in [0, 1].
    target: a class an image, the one it is to be read as, (N,).
    step_size: what the gradient is multiplied by.
    steps: how many.
    Returns (N, pixels) in [0, 1].
    """
    for _ in range(steps):
        gx, _ = backward(net, x, target)
        x = np.clip(x - step_size * gx, 0, 1)
    return x


def finite_differences(
    loss: Callable[[np.ndarray], float], at: np.ndarray, *, h: float = 1e-6
) -> np.ndarray:
    """The gradient by trying: two losses a number.

    Each number of `at` goes a little up and a little down; the gradient is how far the loss went.

    loss: a function of one array.
    at: where the gradient is asked for, an array of any shape.
    h: how little.
    Returns an array of the shape of `at`.
    """
    at = at.astype(float)
    gradient = np.empty(at.shape)
    for place in np.ndindex(at.shape):
        here = at[place]
        at[place] = here + h
        up = loss(at.copy())
        at[place] = here - h
        down = loss(at.copy())
        at[place] = here
        gradient[place] = (up - down) / (2 * h)
    return gradient


def compare_gradients(name: str, mine: np.ndarray, theirs: np.ndarray) -> bool:
    """Print a line on two gradients: equal to the last bit, close, and the largest difference.

    After the six-line `cmp` of Karpathy's makemore.

    They are close if no difference is above a millionth of the largest number in theirs.

    name: a word to begin the line with.
    mine, theirs: the two, of one shape.
    Returns whether they are close.
    Raises ValueError for shapes that differ.
    """
    mine = np.asarray(mine)
    theirs = np.asarray(theirs)
    if mine.shape != theirs.shape:
        raise ValueError(
            f"{name}: your gradient has shape {mine.shape}, the other {theirs.shape}. A gradient"
            " has the shape of what it is the gradient of."
        )
    exact = bool((mine == theirs).all())
    apart = np.abs(mine - theirs).max()
    close = bool(apart <= 1e-6 * np.abs(theirs).max())
    print(
        f"{name:<10} exact {'yes' if exact else 'no':<3}   close {'yes' if close else 'no':<3}   "
        f"largest difference {apart:.0e}"
    )
    return close
