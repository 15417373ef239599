"""A running average of the weights, kept as one more moment of the optimizer.

It is part of the optimizer's state, like Adam's two moments, so it is on the parameter's device, exists for the
trained parameters only, and is saved and restored with every training state.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

NAME = "average"


def update(optimizer: Any, decay: float, step: int) -> None:
    """Move the average towards the weights, after the optimizer's step.

    average ← d · average + (1 - d) · weights, with d = min(decay, step / (step + 10)), so that the first weights,
    which are those of an untrained head, lose their influence quickly.

    Args:
        optimizer: A torch optimizer.
        decay: Share of the past, each step.
        step: Optimizer steps taken, this one included.

    Source: Polyak and Juditsky 1992; the rising decay is that of TensorFlow's ExponentialMovingAverage.
    """
    import torch

    decay = min(decay, step / (step + 10))
    with torch.no_grad():
        for parameter, state in optimizer.state.items():
            if NAME not in state:
                state[NAME] = parameter.detach().clone()
            else:
                state[NAME].lerp_(parameter, 1.0 - decay)


@contextmanager
def applied(optimizer: Any) -> Iterator[None]:
    """Inside the block the model's weights are the averages; afterwards they are restored bit for bit."""
    import torch

    kept = {parameter: parameter.detach().clone() for parameter, state in optimizer.state.items() if NAME in state}
    with torch.no_grad():
        for parameter in kept:
            parameter.copy_(optimizer.state[parameter][NAME])
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, weights in kept.items():
                parameter.copy_(weights)
