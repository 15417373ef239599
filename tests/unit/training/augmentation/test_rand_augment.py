"""RandAugment: operations are symmetric, and the pictures of a batch get different ones."""

import kornia.augmentation
import pytest
import torch

from toolkit.training.augmentation import rand_augment
from toolkit.training.augmentation.rand_augment import operations

OPERATIONS = operations(kornia.augmentation)


def pictures(count: int) -> torch.Tensor:
    """Pictures of soft colours, from 0.2 to 0.8."""
    drawn = torch.rand(count, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * 0.6 + 0.2
    return torch.nn.functional.interpolate(drawn, 24, mode="bilinear")


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_changes_pictures_each_in_its_own_way_and_not_their_size(name):
    torch.manual_seed(0)
    before = pictures(1).expand(16, -1, -1, -1)
    after = OPERATIONS[name](before.clone())
    assert after.shape == before.shape
    assert torch.isfinite(after).all()
    assert torch.equal(after, before) == (name == "identity")
    fixed = ("identity", "auto_contrast", "equalize", "posterize", "solarize")  # no strength, few, or seldom any
    assert name in fixed or len(after.flatten(1).unique(dim=0)) > 12


@pytest.mark.parametrize("name", ["brightness", "contrast", "color", "sharpness"])
def test_colours_change_either_way(name):
    torch.manual_seed(0)
    before = pictures(1).expand(64, -1, -1, -1)
    after = OPERATIONS[name](before.clone())
    measure = {
        "brightness": lambda p: p.mean((1, 2, 3)),
        "contrast": lambda p: p.mean(1).std((1, 2)),
        "color": lambda p: p.std(1).mean((1, 2)),
        "sharpness": lambda p: p.diff(dim=2).abs().mean((1, 2, 3)),
    }[name]
    rises = (measure(after) > measure(before)).float().mean()
    assert 0.3 < rises < 0.7


def test_pictures_get_different_operations(monkeypatch):
    halves = {str(number): lambda pixels, by=number: pixels * 0.5 ** (2**by) for number in range(5)}
    monkeypatch.setattr(rand_augment, "operations", lambda _kornia: halves)
    for count in (1, 2, 9):
        torch.manual_seed(0)
        after = rand_augment.rand_augment(None, count)(torch.ones(64, 1, 2, 2))
        assert after.shape == (64, 1, 2, 2)
        assert torch.equal(after[:, 0, 0, 0], after[:, 0, 1, 1])
        ways = {round(-value.log2().item()) for value in after[:, 0, 0, 0]}
        assert all(way.bit_count() == min(count, 5) for way in ways)
        assert (len(ways) > 1) == (count < 5)
