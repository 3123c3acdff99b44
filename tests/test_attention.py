import math

import pytest
import torch
from torch.nn import functional as F

from trickkit import attention

SHAPES = [((5, 4), (7, 4), (7, 6)), ((2, 3, 5, 4), (2, 3, 7, 4), (2, 3, 7, 4)), ((1, 1),) * 3]


@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("masked", [False, True])
def test_attention_agrees_with_pytorchs_own(shapes, masked):
    torch.manual_seed(0)
    q, k, v = (torch.randn(shape, dtype=torch.float64) for shape in shapes)
    mask = None
    if masked:
        mask = torch.rand(*q.shape[:-1], k.shape[-2]) < 0.5
        mask[..., 0] = True
    out, weights = attention.attention(q, k, v, mask=mask)
    assert torch.allclose(out, F.scaled_dot_product_attention(q, k, v, attn_mask=mask))
    assert torch.allclose(weights.sum(-1), torch.ones_like(weights[..., 0]))
    if masked:
        assert (weights[~mask] == 0).all()


def test_attention_by_hand_and_the_reason_for_the_root():
    q = torch.tensor([[1.0, 0.0]])
    k = torch.tensor([[0.0, 1.0], [math.sqrt(2) * math.log(3), 5.0]])
    out, weights = attention.attention(q, k, torch.tensor([[0.0], [8.0]]))
    assert torch.allclose(weights, torch.tensor([[0.25, 0.75]])) and out.item() == pytest.approx(6)
    # products of long vectors are of size √d; divided by it, they are as spread as short ones'
    torch.manual_seed(0)
    for d in (4, 400):
        scores = torch.randn(2000, d) * torch.randn(2000, d)
        assert scores.sum(1).std().item() / math.sqrt(d) == pytest.approx(1, abs=0.1)


def test_a_mask_that_stretches_and_one_that_only_looks_back():
    x = torch.randn(3, 5, 4)
    _, weights = attention.attention(x, x, x, mask=torch.ones(5, 5, dtype=torch.bool).tril())
    assert (weights.triu(1) == 0).all() and (weights[:, 0, 0] == 1).all()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"k": torch.ones(7, 5)}, "Queries and keys of one length"),
        ({"v": torch.ones(6, 4)}, "a value for each key"),
        ({"mask": torch.ones(5, 7)}, "a tensor of booleans"),
        ({"mask": True}, "a tensor of booleans"),
        ({"mask": torch.ones(7, 5, dtype=torch.bool)}, "a row for each query"),
        ({"mask": torch.zeros(5, 7, dtype=torch.bool)}, "nowhere to look"),
    ],
)
def test_bad_input_is_answered(change, says):
    given = {"q": torch.ones(5, 4), "k": torch.ones(7, 4), "v": torch.ones(7, 4), "mask": None}
    given |= change
    mask = given.pop("mask")
    with pytest.raises(ValueError, match=says):
        attention.attention(**given, mask=mask)


def test_additive_attention_is_the_papers_equation():
    torch.manual_seed(0)
    asks = attention.AdditiveAttention(6, 5, state=4).requires_grad_(False)
    h = torch.randn(2, 7, 6)
    s = torch.randn(2, 4)
    mask = torch.arange(7) < torch.tensor([[7], [3]])
    c, a = asks(h, mask, s)
    for n, length in enumerate((7, 3)):
        e = torch.stack(
            [
                asks.v.weight[0]
                @ (asks.W.weight @ s[n] + asks.U.weight @ h[n, j] + asks.U.bias).tanh()
                for j in range(length)
            ]
        )
        assert torch.allclose(a[n, :length], e.softmax(0), atol=1e-6)
        assert torch.allclose(c[n], e.softmax(0) @ h[n, :length], atol=1e-6)
        assert (a[n, length:] == 0).all()


def test_additive_attention_of_a_classifier_has_no_state():
    asks = attention.AdditiveAttention(6, 5)
    assert asks.W is None
    _, a = asks(torch.randn(2, 7, 6), torch.ones(2, 7, dtype=torch.bool))
    assert torch.allclose(a.sum(1), torch.ones(2))


def test_deceiving_loss_by_hand():
    logits = torch.zeros(2, 2)
    weights = torch.tensor([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0]])
    forbidden = torch.tensor([[True, True, False], [False, False, True]])
    labels = torch.tensor([0, 1])

    def loss(lam):
        return attention.deceiving_loss(logits, weights, forbidden, labels, lam=lam).item()

    assert loss(0) == pytest.approx(math.log(2))
    # a quarter is left in the first sentence, all in the second
    assert loss(3) == pytest.approx(math.log(2) + 3 * math.log(4) / 2)


def test_deceiving_loss_has_a_gradient_where_all_is_forbidden():
    scores = torch.zeros(1, 2, requires_grad=True)
    loss = attention.deceiving_loss(
        torch.zeros(1, 2),
        scores.softmax(1),
        torch.ones(1, 2, dtype=torch.bool),
        torch.tensor([0]),
        lam=1,
    )
    loss.backward()
    assert loss.isfinite() and scores.grad.isfinite().all()


def test_deceiving_loss_refuses_what_does_not_fit():
    good = [torch.zeros(2, 2), torch.ones(2, 3) / 3, torch.ones(2, 3) > 0, torch.tensor([0, 1])]
    for place, bad, says in (
        (0, torch.zeros(3, 2), "2"),
        (1, torch.ones(2, 4), "a row for each of 2 labels"),
        (2, torch.ones(3, 3) > 0, "a row for each of 2 labels"),
    ):
        with pytest.raises(ValueError, match=says):
            attention.deceiving_loss(*good[:place], bad, *good[place + 1 :], lam=1)
    with pytest.raises(ValueError, match="lam is -1"):
        attention.deceiving_loss(*good, lam=-1)
