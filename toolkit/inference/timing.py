"""Times of models that run in turn, so that other work on the machine affects all alike."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def in_turn(
    models: Sequence[Any], batches: Sequence[Mapping[str, Any]], rounds: int
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the seconds of a forward pass for each example, after one round that warms up. Shape (rounds, models).

    Args:
        models: In evaluation mode.
        batches: For each model its own inputs, on its device.
        rounds: Forward passes of each model.
    """
    rows = [[_seconds(*pair) for pair in zip(models, batches, strict=True)] for _ in range(1 + rounds)]
    return np.array(rows[1:])


def _seconds(model: Any, batch: Mapping[str, Any]) -> float:
    """Return the seconds of a forward pass, of the processor or a GPU's user, for each example of a batch."""
    import torch

    clock = time.process_time if model.device.type == "cpu" else time.perf_counter
    start = clock()
    with torch.inference_mode():
        model(**batch).logits.cpu()  # a GPU has computed it when it is here
    return (clock() - start) / len(next(iter(batch.values())))
