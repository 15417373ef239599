"""Augmentation of recordings changes what it says, keeps padding silent, and can be repeated."""

import pytest
import torch

from toolkit.training.augmentation import sound
from toolkit.training.augmentation.sound import Changes

LENGTHS = (40, 60, 100)
SHAPES = {"samples": (3, 100), "frames": (3, 100, 8)}


def batch(shape: tuple[int, ...]) -> dict[str, torch.Tensor]:
    """Return ones in the place of recordings of different length, so that every change shows."""
    mask = torch.arange(shape[1])[None] < torch.tensor(LENGTHS)[:, None]
    values = torch.ones(shape) * (mask if len(shape) == 2 else mask[:, :, None])
    return {"input": values, "attention_mask": mask.long(), "labels": torch.tensor([0, 1, 0])}


def changed(shape: tuple[int, ...], **given: float) -> torch.Tensor:
    change = sound.changer(Changes(**given), "input", 1)
    assert change is not None
    torch.manual_seed(0)
    result = change(batch(shape))
    assert set(result) == {"input", "attention_mask", "labels"}
    return result["input"]


def test_nothing_is_changed_by_default():
    assert sound.changer(Changes(), "input", 1) is None
    assert sound.chosen("none", {"shift": None, "noise": None}) == Changes()
    assert sound.chosen("strong", {"noise": 0.0, "augment": "strong"}).noise == 0


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("given", [{"shift": 0.3}, {"noise": 0.5}, {"hide_time": 0.4}, vars(sound.SETS["strong"])])
def test_padding_stays_silent_and_a_seed_repeats(shape: tuple[int, ...], given: dict[str, float]):
    values = changed(shape, **given)
    assert values.shape == shape
    assert not torch.equal(values, batch(shape)["input"])
    for row, length in enumerate(LENGTHS):
        assert float(values[row, length:].abs().sum()) == 0
    assert torch.equal(values, changed(shape, **given))


def test_a_shift_moves_within_the_recording():
    change = sound.changer(Changes(shift=0.5), "input", 1)
    assert change is not None
    ramp = batch((3, 100))["input"] * torch.arange(1, 101)
    torch.manual_seed(1)
    moved = change({**batch((3, 100)), "input": ramp})["input"]
    for row, length in enumerate(LENGTHS):
        kept = moved[row][moved[row] > 0]
        assert 0.5 * length - 1 <= len(kept) <= length
        assert torch.equal(kept.diff(), torch.ones(len(kept) - 1))  # in order, without gaps


def test_hidden_time_is_at_most_its_share():
    values = changed((3, 100), hide_time=0.2)
    for row, length in enumerate(LENGTHS):
        assert 0 < int((values[row, :length] == 0).sum()) <= 2 * (0.2 * length + 1)


def test_hidden_bands_are_whole_bands():
    values = changed((3, 100, 8), hide_bands=0.4)[:, : min(LENGTHS)]
    hidden = values == 0
    assert hidden.any()
    assert torch.equal(hidden.any(dim=1), hidden.all(dim=1))
    assert torch.equal(changed((3, 100), hide_bands=0.4), batch((3, 100))["input"])  # samples have no bands


def test_time_may_be_the_last_axis():
    change = sound.changer(Changes(hide_time=0.4), "input", 2)
    assert change is not None
    torch.manual_seed(0)
    values = change({"input": torch.ones(2, 8, 50)})["input"]
    hidden = values == 0
    assert hidden.any()
    assert torch.equal(hidden.any(dim=1), hidden.all(dim=1))
