"""Random augmentation of recordings in training: whole batches at a time, on the device of the model.

    samples (B, T) or log-mel frames (B, T, F) → shift in time → noise → hide spans of time → hide bands → the model

Inputs are normalised: their mean is 0, which hidden parts are set to. All numbers come from torch's own generator, so
a run that is resumed continues with the same random changes.

Source: Park et al. 2019, "SpecAugment: A Simple Data Augmentation Method for Automatic Speech Recognition".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from toolkit.config import RunConfig
from toolkit.training.augmentation import named_sets

Batch = dict[str, Any]


@dataclass(frozen=True)
class Changes:
    """The strength of each augmentation; by default none.

    Attributes:
        shift: Largest shift in time, either way, as a share of the recording; what leaves it is lost.
        noise: Largest standard deviation of white noise, as a share of that of the recordings.
        hide_time: Largest share of the recording's time that each of two hidden spans takes.
        hide_bands: Largest share of the frequency bands that each of two hidden ranges takes; of log-mel frames alone.
    """

    shift: float = 0.0
    noise: float = 0.0
    hide_time: float = 0.0
    hide_bands: float = 0.0


# hidden bands made small models from scratch less accurate on spoken digits, so no set has them
SETS: Mapping[str, Changes] = {
    "none": Changes(),
    "light": Changes(shift=0.05, hide_time=0.05),
    "strong": Changes(shift=0.1, noise=0.3, hide_time=0.1),
}
_SPANS = 2


def chosen(name: str, given: Mapping[str, Any]) -> Changes:
    """Return a set of `SETS` as of `named_sets.chosen`."""
    return named_sets.chosen(SETS, name, given)


def configured(config: RunConfig, **instead: float) -> Changes:
    """Return the augmentations that a recipe's options name; "auto" follows from what is trained.

    Args:
        config: Its options hold `augment`, and values in the place of the set's own.
        instead: Values that the recipe decides.
    """
    name = config.options["augment"]
    if name == "auto":
        name = "none" if config.training.freeze is not None else "strong" if config.loading.from_scratch else "light"
    return chosen(name, {**config.options, **instead})


def changer(changes: Changes, name: str, time_axis: int) -> Callable[[Batch], Batch] | None:
    """Return a function that augments a training batch on its device; None where nothing is to be changed.

    Args:
        changes: The augmentations.
        name: Of the model's input in the batch: (B, T), or with log-mel bands (B, T, F) or (B, F, T).
        time_axis: Which axis of it is time.
    """
    if changes == Changes():
        return None

    def change(batch: Batch) -> Batch:
        values = batch[name].transpose(1, time_axis)  # (B, T) or (B, T, F)
        lengths = _lengths(values, batch.get("attention_mask"))
        if changes.shift:
            values = _shifted(values, lengths, changes.shift)
        if changes.noise:
            values = values + _noise(values, changes.noise)
        if changes.hide_time:
            values = values.masked_fill(_like(_hidden(lengths, values.shape[1], changes.hide_time), values), 0.0)
        if changes.hide_bands and values.ndim == 3:
            bands = values.new_full((len(values),), values.shape[2])
            values = values.masked_fill(_hidden(bands, values.shape[2], changes.hide_bands)[:, None], 0.0)
        values = values.masked_fill(_like(_places(values) >= lengths[:, None], values), 0.0)  # padding stays 0
        return {**batch, name: values.transpose(1, time_axis)}

    return change


def _lengths(values: Any, mask: Any) -> Any:
    """Return the real length of each recording, (B,)."""
    if mask is not None:
        return mask.sum(dim=1)
    return values.new_full((len(values),), values.shape[1]).long()


def _places(values: Any) -> Any:
    """Return the place of each step in time. Shape (1, T)."""
    import torch

    return torch.arange(values.shape[1], device=values.device)[None]


def _like(mask: Any, values: Any) -> Any:
    """Return a mask (B, T) as one that broadcasts to values."""
    return mask if values.ndim == 2 else mask[:, :, None]


def _uniform(values: Any) -> Any:
    """Return a random number from 0 to 1 for each recording, (B,)."""
    import torch

    return torch.rand(len(values), device=values.device)


def _shifted(values: Any, lengths: Any, share: float) -> Any:
    """Move each recording within its own length; 0 enters."""
    moved = ((2 * _uniform(values) - 1) * share * lengths).round().long()  # (B,)
    sources = _places(values) - moved[:, None]  # (B, T)
    inside = (sources >= 0) & (sources < lengths[:, None])
    index = _like(sources.clamp(0, values.shape[1] - 1), values).expand_as(values)
    return values.gather(1, index).masked_fill(~_like(inside, values), 0.0)


def _noise(values: Any, share: float) -> Any:
    """Return white noise of a random strength for each recording."""
    import torch

    strength = _uniform(values) * share * values.std()
    return torch.randn_like(values) * strength.view(-1, *[1] * (values.ndim - 1))


def _hidden(lengths: Any, size: int, share: float) -> Any:
    """Return which of `size` places are in a random span, each of at most a share of the length. Shape (B, size)."""
    import torch

    places = torch.arange(size, device=lengths.device)[None]
    hidden = torch.zeros(len(lengths), size, dtype=torch.bool, device=lengths.device)
    for _ in range(_SPANS):
        width = _uniform(lengths) * share * lengths
        start = _uniform(lengths) * (lengths - width)
        hidden |= (places >= start[:, None]) & (places < (start + width)[:, None])
    return hidden
