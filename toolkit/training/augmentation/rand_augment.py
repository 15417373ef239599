"""RandAugment: each picture goes through a few operations drawn from a list, with random strength and sign.

    pixels (B, 3, H, W) ──┬── first group    operations 3, 11
                          ├── second group   operations 0, 7     each with a strength of each picture's own
                          └── …

Kornia has a RandAugment too. It draws one operation for the whole batch, with one strength and one sign, so that
photographs become darker on average; only its operations are used here.

Source: Cubuk et al. 2020, "RandAugment: Practical automated data augmentation with a reduced search space", table 6.
"""

from collections.abc import Callable, Mapping
from typing import Any

STRENGTH = 0.3  # 9 of the 30 that the operations' ranges are divided into
GROUP = 16  # minimum number of pictures that share their operations, since each call has a fixed cost

Operation = Callable[[Any], Any]


def rand_augment(kornia: Any, count: int) -> Operation:
    """Return a function that applies `count` operations to each picture of a batch; it uses torch's generator.

    Args:
        kornia: The module `kornia.augmentation`.
        count: Of operations, all different; no more than there are take place.

    Returns:
        (B, 3, H, W) from 0 to 1 → the same shape and range.
    """
    import torch

    known = tuple(operations(kornia).values())

    def change(pixels: Any) -> Any:
        changed = []
        for group in pixels.chunk(max(1, min(len(known), len(pixels) // GROUP))):
            for number in torch.randperm(len(known))[:count].tolist():
                group = known[number](group).clamp(0, 1)
            changed.append(group)
        return torch.cat(changed)

    return change


def operations(kornia: Any) -> Mapping[str, Operation]:
    """Return the paper's operations by their names; each draws a strength for each picture."""
    factors = (1 - 0.9 * STRENGTH, 1 + 0.9 * STRENGTH)
    return {
        "identity": lambda pixels: pixels,
        "auto_contrast": kornia.RandomAutoContrast(p=1.0),
        "equalize": kornia.RandomEqualize(p=1.0),
        "rotate": kornia.RandomAffine(30 * STRENGTH, padding_mode="border", p=1.0),
        "solarize": kornia.RandomSolarize((1 - STRENGTH, 1.0), 0.0, p=1.0),
        "color": kornia.ColorJitter(saturation=factors),
        "posterize": kornia.RandomPosterize((8 - 4 * STRENGTH, 8.0), p=1.0),
        "contrast": kornia.ColorJitter(contrast=factors),
        "brightness": kornia.ColorJitter(brightness=factors),
        "sharpness": kornia.RandomSharpness(factors, p=1.0),
        "shear_x": kornia.RandomShear((-17 * STRENGTH, 17 * STRENGTH, 0.0, 0.0), padding_mode="border", p=1.0),
        "shear_y": kornia.RandomShear((0.0, 0.0, -17 * STRENGTH, 17 * STRENGTH), padding_mode="border", p=1.0),
        "translate_x": kornia.RandomAffine(0.0, (0.45 * STRENGTH, 0.0), padding_mode="border", p=1.0),
        "translate_y": kornia.RandomAffine(0.0, (0.0, 0.45 * STRENGTH), padding_mode="border", p=1.0),
    }
