"""Random augmentation of pictures in training: whole batches at a time, on the device of the model.

    bytes (B, 3, H, W) → crop, flip, turn, colours, RandAugment → normalise → erase → MixUp or CutMix → the model

Validation and test are never changed. The operations are Kornia's; it draws from torch's own generator, so a run that
is resumed continues with the same random changes.

Sources: Cubuk et al. 2020, "RandAugment"; Zhang et al. 2018, "mixup"; Yun et al. 2019, "CutMix"; Zhong et al. 2020,
"Random Erasing Data Augmentation".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Literal

from toolkit.data.images.pixels import normalised
from toolkit.errors import ConfigError
from toolkit.training.augmentation import named_sets
from toolkit.training.augmentation.rand_augment import rand_augment

Batch = dict[str, Any]
Flip = Literal["none", "horizontal", "both"]


@dataclass(frozen=True)
class Changes:
    """The strength of each augmentation; by default none.

    Attributes:
        crop: Least share of a picture's area that is shown; 1 shows all of it.
        flip: "horizontal" mirrors every second picture, "both" also turns every second one upside down.
        rotate: Largest rotation in degrees, in either direction.
        shift: Largest shift and scaling, as a share of the side.
        color: Share by which brightness, contrast and saturation change at most.
        rand_augment: How many of RandAugment's operations each picture goes through.
        erase: Share of the pictures from which a rectangle is taken out.
        mixup: Parameter α of the Beta distribution by which two pictures are blended; 0 is off.
        cutmix: The same for a rectangle of one picture in the other; where both are set, each batch draws one of them.
    """

    crop: float = 1.0
    flip: Flip = "none"
    rotate: float = 0.0
    shift: float = 0.0
    color: float = 0.0
    rand_augment: int = 0
    erase: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0

    @property
    def mixes(self) -> bool:
        """Whether labels are mixed as well."""
        return self.mixup > 0 or self.cutmix > 0


# Sets that keep the class of each kind of pictures: a mirrored digit or scan may be another class.
SETS: Mapping[str, Changes] = {
    "none": Changes(),
    "light": Changes(crop=0.75, color=0.1),
    "photos": Changes(crop=0.5, flip="horizontal", color=0.2, rand_augment=1, erase=0.1),
    "medical": Changes(rotate=10, shift=0.08, color=0.1),
    "microscope": Changes(flip="both", rotate=20, shift=0.08, color=0.1),
    "digits": Changes(rotate=10, shift=0.1),
}


def chosen(name: str, given: Mapping[str, Any]) -> Changes:
    """Return a set of `SETS` as of `named_sets.chosen`."""
    return named_sets.chosen(SETS, name, given)


def check(changes: Changes, *, classes: bool) -> None:
    """Refuse augmentations that do not fit what is predicted.

    Args:
        changes: The augmentations.
        classes: Whether classes are predicted, and not a number.

    Raises:
        ConfigError: With what works instead.
    """
    if changes.cutmix and not classes:
        raise ConfigError(
            "CutMix needs classes: a share of a picture's area is no share of a number.",
            "Unset options.cutmix; options.mixup blends numbers as it blends pictures.",
            id="config.not-for-task",
        )


def changer(changes: Changes, processor: Any, classes: int) -> Callable[[Batch], Batch] | None:
    """Return a function that augments a training batch on its device: pixel_values (B, 3, H, W) of bytes become floats.

    Where pictures are mixed, class numbers (B,) become shares of each class, (B, C); labels that are fractions already,
    0 and 1 for each of several classes or a number, are mixed by the same shares.

    Args:
        changes: The augmentations.
        processor: Defines the normalisation.
        classes: How many there are; none where a number is predicted.

    Returns:
        The function, or None where nothing is to be changed.

    Raises:
        ConfigError: Kornia is not installed.
    """
    if changes == Changes():
        return None
    alone = _alone(changes)
    erase = _erasing(changes)

    def change(batch: Batch) -> Batch:
        pixels = batch["pixel_values"].float() / 255
        if alone is not None:
            pixels = alone(pixels).clamp(0, 1)
        pixels = erase(normalised(pixels * 255, processor))
        changed = {**batch, "pixel_values": pixels.detach()}
        return _mixed(changed, changes, classes) if changes.mixes else changed

    return change


def _kornia() -> Any:
    try:
        import kornia.augmentation
    except ImportError:
        raise ConfigError(
            "Augmentation of pictures needs kornia.",
            "pip install 'finetune-toolkit[image]', or set options.augment=none.",
            id="machine.package-missing",
        ) from None
    return kornia.augmentation


def _alone(changes: Changes) -> Any:
    """Return the changes that need a picture alone, one after another, for pictures from 0 to 1; None for none."""
    if changes == Changes(erase=changes.erase, mixup=changes.mixup, cutmix=changes.cutmix):
        return None
    steps = cache(partial(_steps, _kornia(), changes))  # of each size of pictures: nearly always one

    def work(pixels: Any) -> Any:
        import torch

        with torch.no_grad():
            for step in steps(tuple(pixels.shape[-2:])):
                pixels = step(pixels)
        return pixels

    return work


def _steps(kornia: Any, changes: Changes, size: tuple[int, ...]) -> list[Any]:
    steps = []
    if changes.crop < 1:
        steps.append(kornia.RandomResizedCrop(size, scale=(changes.crop, 1.0), ratio=(3 / 4, 4 / 3)))
    if changes.rotate or changes.shift:
        scale = (1 - changes.shift, 1 + changes.shift) if changes.shift else None
        moved = (changes.shift, changes.shift) if changes.shift else None
        steps.append(kornia.RandomAffine(changes.rotate, moved, scale, padding_mode="border", p=1.0))
    if changes.flip in ("horizontal", "both"):
        steps.append(kornia.RandomHorizontalFlip(p=0.5))
    if changes.flip == "both":
        steps.append(kornia.RandomVerticalFlip(p=0.5))
    if changes.color:
        # kornia's RandomBrightness adds, and its RandomContrast is about black; this one is about the picture's mean
        steps.append(kornia.ColorJitter(*3 * ((1 - changes.color, 1 + changes.color),)))
    if changes.rand_augment:
        steps.append(rand_augment(kornia, changes.rand_augment))
    return steps


def _erasing(changes: Changes) -> Callable[[Any], Any]:
    """Return a function that erases rectangles of normalised pictures: 0 is their mean."""
    if not changes.erase:
        return lambda pixels: pixels
    step: Callable[[Any], Any] = _kornia().RandomErasing(scale=(0.02, 0.2), p=changes.erase)
    return step


def _mixed(batch: Batch, changes: Changes, classes: int) -> Batch:
    """Mix each picture of a batch with another one of it, and their labels by the same shares."""
    import torch

    pixels, labels = batch["pixel_values"], batch["labels"]
    cuts = bool(changes.cutmix) and (not changes.mixup or bool(torch.rand(()) < 0.5))
    strength = changes.cutmix if cuts else changes.mixup
    share = float(torch.distributions.Beta(strength, strength).sample())
    order = torch.randperm(len(labels)).to(pixels.device)
    if cuts:
        height, width = pixels.shape[-2:]
        side = (1 - share) ** 0.5
        y, x = (float(torch.rand(())) * length for length in (height, width))
        top, bottom = (round(min(max(y + sign * side * height / 2, 0), height)) for sign in (-1, 1))
        left, right = (round(min(max(x + sign * side * width / 2, 0), width)) for sign in (-1, 1))
        pixels = pixels.clone()
        pixels[..., top:bottom, left:right] = batch["pixel_values"][order][..., top:bottom, left:right]
        share = 1 - (bottom - top) * (right - left) / (height * width)
    else:
        pixels = share * pixels + (1 - share) * pixels[order]
    # (B, C), or (B,) of numbers
    values = labels if labels.is_floating_point() else torch.nn.functional.one_hot(labels, classes).float()
    return {**batch, "pixel_values": pixels, "labels": share * values + (1 - share) * values[order]}
