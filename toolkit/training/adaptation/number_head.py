"""The last layer of a model that predicts a number: standard units in training, and the data's units elsewhere.

Numbers of the data may be prices of a million or shares of a thousandth, and an optimizer's step has one size for all.
So the model learns standardized numbers, and wherever its outputs are read or saved its last layer is scaled to the
data's units:

    output in the data's units = deviation × standardized output + mean
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of the training rows' numbers.

    Attributes:
        mean: In the data's units.
        deviation: Above 0.
    """

    mean: float
    deviation: float

    @classmethod
    def of(cls, numbers: Any) -> "Scale":
        """Return those of numbers (N,); equal numbers have the deviation 1."""
        values = np.asarray(numbers, np.float64)
        deviation = float(values.std())
        return cls(float(values.mean()), deviation if deviation > 0 else 1.0)


@dataclass(frozen=True)
class Units:
    """The units in which a model is read and saved.

    Attributes:
        layer: Its last layer, a linear one with one output and a bias; None where training uses the data's units.
        scale: Of the training rows.
    """

    layer: Any = None
    scale: Scale = Scale(0.0, 1.0)

    @contextmanager
    def of_data(self) -> Iterator[None]:
        """Within the block, let the model predict in the data's units; afterwards it is exactly as before."""
        import torch

        if self.layer is None:
            yield
            return
        weight, bias = self.layer.weight.detach().clone(), self.layer.bias.detach().clone()
        with torch.no_grad():
            self.layer.weight.mul_(self.scale.deviation)
            self.layer.bias.mul_(self.scale.deviation).add_(self.scale.mean)
        try:
            yield
        finally:
            with torch.no_grad():
                self.layer.weight.copy_(weight)
                self.layer.bias.copy_(bias)

    def loss(self, squared: float) -> float:
        """Return the training loss for a mean squared error in the data's units.

        The Huber loss of standardized numbers is half the squared error, as long as that is below one deviation.
        """
        return squared if self.layer is None else squared / self.scale.deviation**2 / 2
