"""Random changes: what they keep, what they mix, and that they can be repeated."""

import pytest
import torch

from tests.support.errors import refused
from toolkit.data.images.pixels import normalised
from toolkit.errors import ConfigError
from toolkit.tasks.targets.ordinal import cumulative
from toolkit.training.augmentation import augment
from toolkit.training.loss.objective import OWN, cross_entropy

PIXELS = torch.randint(0, 256, (8, 3, 12, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(8) % 3


class Processor:
    do_rescale, do_normalize = True, True
    rescale_factor = 1 / 255
    image_mean, image_std = [0.5, 0.4, 0.3], [0.5, 0.4, 0.3]


def changed(seed: int = 0, **given):
    change = augment.changer(augment.chosen("none", given), Processor(), 3)
    assert change is not None
    torch.manual_seed(seed)
    return change({"pixel_values": PIXELS, "labels": LABELS})


def test_no_augmentation_by_default():
    assert augment.changer(augment.chosen("none", {}), Processor(), 3) is None


@pytest.mark.parametrize("name", [name for name in augment.SETS if name != "none"])
def test_every_set_changes_pictures_keeps_their_size_and_can_be_repeated(name):
    own = vars(augment.SETS[name])
    first, again, other = (changed(seed, **own)["pixel_values"] for seed in (1, 1, 2))
    assert first.shape == PIXELS.shape
    assert first.dtype == torch.float32
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.min() >= -1 - 1e-5
    assert first.max() <= 7 / 3 + 1e-4


@pytest.mark.parametrize("name", ["light", "medical", "digits"])
def test_sets_for_scans_and_digits_mirror_nothing(name):
    assert augment.SETS[name].flip == "none"
    assert not augment.SETS[name].mixes


def test_a_flip_mirrors_and_nothing_else():
    result = changed(flip="both")["pixel_values"]
    plain = normalised(PIXELS, Processor())
    ways = [plain, plain.flip(-1), plain.flip(-2), plain.flip(-1, -2)]
    for row in range(8):
        assert any(torch.allclose(result[row], way[row], atol=1e-4) for way in ways)


@pytest.mark.parametrize("given", [{"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.2, "cutmix": 1.0}])
def test_mixed_pictures_have_mixed_labels(given):
    plain = normalised(PIXELS, Processor())
    for seed in range(6):
        result = changed(seed, **given)
        shares = result["labels"]
        assert shares.shape == (8, 3)
        assert torch.allclose(shares.sum(dim=1), torch.ones(8))
        own = shares[torch.arange(8), LABELS]
        kept = (result["pixel_values"] == plain).all(dim=1).float().mean(dim=(1, 2))  # share of the pixels
        if "mixup" not in given:
            assert (own >= kept - 1e-5).all()
            assert torch.allclose(kept[own < 1], own[own < 1], atol=0.02)
    assert PIXELS.dtype == torch.uint8


def test_several_classes_and_numbers_are_mixed_by_the_share_of_the_pictures():
    rows, numbers = torch.eye(8), torch.arange(8.0) * 100
    batch = {"pixel_values": PIXELS}
    for given, classes in (({"mixup": 0.4}, 8), ({"cutmix": 1.0}, 8), ({"mixup": 0.4}, 0)):
        change = augment.changer(augment.chosen("none", given), Processor(), classes)
        mixed = []
        for labels in (rows, torch.arange(8)) if classes else (rows, numbers):
            torch.manual_seed(3)
            mixed.append(change({**batch, "labels": labels})["labels"])
        expected = mixed[1] if classes else mixed[0] @ numbers
        torch.testing.assert_close(mixed[0] if classes else mixed[1], expected)
        assert (mixed[0] < 1).any()


def test_cutmix_of_numbers_is_refused():
    with refused(ConfigError, "config.not-for-task", "cutmix"):
        augment.check(augment.chosen("none", {"cutmix": 1.0}), classes=False)
    augment.check(augment.chosen("none", {"cutmix": 1.0}), classes=True)
    augment.check(augment.chosen("none", {"mixup": 1.0}), classes=False)


def test_erasing_changes_only_rectangles():
    result, plain = changed(erase=1.0)["pixel_values"], normalised(PIXELS, Processor())
    same = (result - plain).abs().amax(dim=1) < 1e-4
    assert 0.7 < same.float().mean() < 1
    assert (result[~same[:, None].expand_as(result)] == 0).all()


def test_losses_of_shares_are_those_of_the_classes_they_are_shares_of():
    class Outputs:
        loss = None
        logits = torch.randn(8, 3, generator=torch.Generator().manual_seed(1))

    sure = torch.nn.functional.one_hot(LABELS, 3).float()
    expected = torch.nn.functional.cross_entropy(Outputs.logits, LABELS)
    assert torch.allclose(OWN.mean(Outputs, {"labels": sure}), expected)
    ordered = cumulative(3)
    assert torch.allclose(ordered.mean(Outputs, {"labels": LABELS}), ordered.mean(Outputs, {"labels": sure}), atol=1e-6)
    for settings in ((None, 0.0, 0.1), ([1.0, 2.0, 5.0], 0.0, 0.0), (None, 2.0, 0.0), ([1.0, 3.0, 0.5], 2.0, 0.0)):
        objective = cross_entropy(*settings)
        hard, soft = ({"labels": labels} for labels in (LABELS, sure))
        assert objective.weight(hard) == pytest.approx(objective.weight(soft))
        assert torch.allclose(objective.mean(Outputs, hard), objective.mean(Outputs, soft), atol=1e-6)
