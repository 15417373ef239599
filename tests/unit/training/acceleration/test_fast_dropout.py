"""Fast dropout has the distribution of dropout: rate, independence, scale, gradient."""

import copy
import math

import pytest
import torch

from toolkit.training.acceleration import fast_dropout

DRAWS = 400_000


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.5, 0.9])
def test_the_rate_is_kept_in_every_piece_of_a_draw(rate: float) -> None:
    torch.manual_seed(0)
    mask = fast_dropout.keep_mask((DRAWS,), rate).bool()
    spread = 4.5 * math.sqrt(rate * (1 - rate) / (DRAWS / 4))
    for piece in range(4):  # four activations share 64 bits
        assert abs(mask[piece::4].float().mean().item() - (1 - rate)) < spread


def test_neighbours_are_independent() -> None:
    torch.manual_seed(0)
    mask = fast_dropout.keep_mask((DRAWS,), 0.3).bool().float()
    for lag in (1, 2, 3, 4):
        together = (mask[:-lag] * mask[lag:]).mean().item()
        assert abs(together - 0.49) < 4.5 * math.sqrt(0.25 / DRAWS)


def test_any_shape_is_filled() -> None:
    for shape in ((1,), (3,), (5, 7), (2, 3, 5)):
        assert fast_dropout.keep_mask(shape, 0.1).shape == shape


def test_the_expectation_is_untouched_and_the_gradient_has_the_same_mask() -> None:
    torch.manual_seed(0)
    layer = torch.nn.Sequential(torch.nn.Dropout(0.1))
    assert fast_dropout.cheapen(torch.nn.ModuleList([layer, torch.nn.Linear(1, 1)])) == 1
    x = torch.ones(DRAWS, requires_grad=True)
    y = layer(x)
    assert y.mean().item() == pytest.approx(1, abs=4.5 * math.sqrt(0.1 / 0.9 / DRAWS))
    assert y.unique().numel() == 2
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float32])
def test_the_mask_is_the_same_in_any_precision(kind: torch.dtype) -> None:
    values = torch.randn(50, 30)[:, :20].to(kind).T.requires_grad_()  # with uneven strides
    torch.manual_seed(3)
    mask = fast_dropout.keep_mask(values.shape, 0.3)
    assert mask.unique().tolist() == [-1, 0]
    torch.manual_seed(3)
    dropped = fast_dropout.drop(values, 0.3)
    scale = 2**15 / (2**15 - fast_dropout.quantized(0.3))
    expected = values * mask.bool() * torch.tensor(scale, dtype=kind)
    torch.testing.assert_close(dropped, expected)
    weights = torch.randn(20, 50).to(kind)
    (dropped * weights).sum().backward()
    torch.testing.assert_close(values.grad, weights * mask.bool() * torch.tensor(scale, dtype=kind))


def test_evaluation_rate_zero_and_restore() -> None:
    layer = torch.nn.Dropout(0.5)
    holder = torch.nn.Sequential(torch.nn.Linear(2, 2), layer)
    names = list(holder.state_dict())
    fast_dropout.cheapen(holder)
    assert list(holder.state_dict()) == names
    x = torch.ones(1000)
    assert torch.equal(layer.eval()(x), x)
    assert not torch.equal(layer.train()(x), x)
    layer.p = 0.0
    assert torch.equal(layer(x), x)
    fast_dropout.restore(holder)
    assert "forward" not in layer.__dict__


def test_the_same_seed_gives_the_same_mask() -> None:
    torch.manual_seed(5)
    first = fast_dropout.keep_mask((999,), 0.2)
    torch.manual_seed(5)
    assert torch.equal(first, fast_dropout.keep_mask((999,), 0.2))


def test_a_copied_model_keeps_its_own_modules() -> None:
    layer = torch.nn.Sequential(torch.nn.Dropout(0.5))
    assert fast_dropout.cheapen(torch.nn.ModuleList([layer, torch.nn.Linear(1, 1)])) == 1
    other = copy.deepcopy(layer).eval()
    x = torch.ones(100)
    assert torch.equal(other(x), x)
    assert not torch.equal(layer(x), x)
