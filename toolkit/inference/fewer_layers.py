"""A student with some layers of its teacher.

Source: Sanh et al. 2019, "DistilBERT", section 2: a student that starts from every other layer of its teacher.
"""

from typing import Any

import numpy as np

from toolkit.attention.implementations.packed import repeated_layers
from toolkit.errors import ConfigError, ModelError
from toolkit.training.adaptation import mean_pooling


def spaced(layers: int, wanted: int) -> list[int]:
    """Return the numbers of `wanted` of `layers` layers, evenly spaced, with the first and the last; or the last alone.

    Raises:
        ConfigError: There are not more layers than are wanted.
    """
    if not 0 < wanted < layers:
        raise ConfigError(
            f"The teacher has {layers} layers, so a student with {wanted} of them is not smaller.",
            f"Keep {f'1 to {layers - 1}' if layers > 2 else '1'} of them." if layers > 1 else "Name another model.",
            id="distill.layers",
        )
    if wanted == 1:
        return [layers - 1]
    return [round(place) for place in np.linspace(0, layers - 1, wanted).tolist()]


def keep(model: Any, wanted: int) -> list[int]:
    """Leave out all but `wanted` layers of a model in place; return the numbers of those that stay.

    A last layer that only averages the tokens (`mean_pooling`) is not counted, and stays.

    Raises:
        ConfigError: The model has no more layers than that.
        ModelError: Its layers are not one list, or its configuration does not say how many there are.
    """
    layers = repeated_layers(model)
    if layers is None or getattr(model.config, "num_hidden_layers", None) != len(layers):
        raise ModelError(
            f"{type(model).__name__} is not one sequence of equal layers, of which some could be left out.",
            "Name another model as the student, such as --student distilbert.",
            id="distill.no-layers",
        )
    pools = mean_pooling.is_added(layers[-1])  # an operation without parameters, which the head needs
    count = len(layers) - pools
    numbers = [*spaced(count, wanted), *([count] if pools else [])]
    for number in reversed(range(len(layers))):
        if number not in numbers:
            del layers[number]
    model.config.num_hidden_layers = len(numbers)
    if pools:
        layers[-1].requires_grad_(False)
    if isinstance(getattr(model.config, "layer_types", None), list):  # of the layers that stay
        model.config.layer_types = [model.config.layer_types[number] for number in numbers]
    return numbers
