"""The running average of the weights: its values, its storage, and no effect on the weights."""

import pytest
import torch

from toolkit.training.adaptation import ema


def made():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 2))
    model[0].requires_grad_(False)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.1, fused=True)
    return model, optimizer


def step(model, optimizer) -> None:
    model(torch.ones(1, 3)).square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()


def test_the_average_is_the_recursion_written_out():
    model, optimizer = made()
    expected = None
    for number in range(1, 30):
        step(model, optimizer)
        ema.update(optimizer, 0.7, number)
        decay = min(0.7, number / (number + 10))
        weights = model[1].weight.detach().double()
        expected = weights if expected is None else decay * expected + (1 - decay) * weights
    torch.testing.assert_close(optimizer.state[model[1].weight]["average"].double(), expected, rtol=1e-5, atol=1e-6)
    assert set(optimizer.state) == set(model[1].parameters())


def test_applied_swaps_and_restores_weights():
    model, optimizer = made()
    for number in (1, 2, 3):
        step(model, optimizer)
        ema.update(optimizer, 0.9, number)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with ema.applied(optimizer):
        assert torch.equal(model[1].bias, optimizer.state[model[1].bias]["average"])
        assert not torch.equal(model[1].bias, before["1.bias"])
        assert torch.equal(model[0].weight, before["0.weight"])
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    with pytest.raises(ZeroDivisionError), ema.applied(optimizer):
        raise ZeroDivisionError
    assert torch.equal(model[1].bias, before["1.bias"])


def test_without_an_average_nothing_happens():
    model, optimizer = made()
    step(model, optimizer)
    before = model[1].weight.detach().clone()
    with ema.applied(optimizer):
        assert torch.equal(model[1].weight, before)


def test_the_average_does_not_disturb_the_optimizer():
    (one, with_average), (other, without) = made(), made()
    for number in (1, 2, 3):
        step(one, with_average)
        ema.update(with_average, 0.9, number)
        step(other, without)
    assert torch.equal(one[1].weight, other[1].weight)
