import pytest
import torch
from torch import nn

from trickkit import attacks, contract


def test_labels_follow_one_contract():
    x = torch.rand(3, 1, 2, 2)
    assert contract.expanded_labels(2, x).tolist() == [2, 2, 2]
    for labels, says in (
        (torch.tensor([1, 2]), "One label an image"),
        (torch.tensor([0.5, 1, 2]), "whole numbers"),
    ):
        with pytest.raises(ValueError, match=says):
            contract.expanded_labels(labels, x)
    with pytest.raises(ValueError, match="from 0 to 4"):
        contract.validated_labels(5, x, 5)


def test_a_model_in_train_mode_is_refused():
    moody = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(4, 2))
    for model in (moody, nn.Sequential(moody)):  # however deep it lies
        with pytest.raises(ValueError, match=r"model.eval\(\)"):
            attacks.fgsm(model, torch.rand(1, 1, 2, 2), 0, eps=0.1)


def test_the_score_gradient_of_a_linear_model_is_its_weights():
    """Also for pixels outside [0, 1], which noisy copies have."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 5)).eval()
    x = 3 * torch.rand(4, 3, 2, 2) - 1
    y = torch.tensor([0, 4, 2, 2])
    assert torch.allclose(contract.score_gradient(net, x, y), net[1].weight[y].view(4, 3, 2, 2))
    assert contract.of_labels(net(x), y).tolist() == [net(x)[i, k].item() for i, k in enumerate(y)]
    with pytest.raises(ValueError, match="images / 255"):
        contract.score_gradient(net, 255 * torch.rand(1, 3, 2, 2), 0)


def test_the_loss_gradient_is_each_images_own_whatever_it_is_asked_about_beside():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 5)).double()
    x = torch.rand(4, 3, 2, 2).double()
    y = torch.tensor([0, 4, 2, 2])
    # of a linear model: (p − truth) · weights
    wrong = net(x).softmax(1) - nn.functional.one_hot(y, 5)
    expected = (wrong @ net[1].weight).view_as(x)
    assert torch.allclose(contract.loss_gradient(net, x, y), expected)
    assert torch.allclose(contract.loss_gradient(net, x[1:2], 4), expected[1:2])
