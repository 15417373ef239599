"""Run a model over a split and keep what it said, one compact row an example."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.data.batch import Features, plan_evaluation
from toolkit.training.loop import count_items


@dataclass(frozen=True)
class Predictions:
    """What a model said of each example of a split.

    Attributes:
        columns: Name → one value an example, in the split's order; "prediction" is what metrics compare.
        loss: Mean loss over the split's items, or None when there were no labels.
    """

    columns: Mapping[str, Sequence[Any]]
    loss: float | None


def predict(
    model: Any,
    features: Features,
    collate: Callable[[Sequence[Mapping[str, Any]]], dict[str, Any]],
    extract: Callable[[Any, Mapping[str, Any]], dict[str, list[Any]]],
    *,
    batch_size: int,
    device: Any,
    observe: Callable[[int, int], None] | None = None,
) -> Predictions:
    """Run `model` over all examples, in batches of like lengths; outputs are reduced batch by batch.

    Args:
        model: In evaluation mode.
        features: The examples.
        collate: Stacks examples into a batch of tensors.
        extract: (outputs, batch) → columns of one value an example.
        batch_size: Examples in one forward pass.
        device: Where the model is.
        observe: Told (examples done, examples in all).
    """
    import torch

    columns: dict[str, list[Any]] = {}
    total, items, done = 0.0, 0, 0
    with torch.inference_mode():
        for rows in plan_evaluation(features.lengths, batch_size):
            batch = collate([features[int(row)] for row in rows])
            outputs = model(**{name: tensor.to(device) for name, tensor in batch.items()})
            count = count_items(batch) if outputs.get("loss") is not None else 0
            if count:
                total += float(outputs.loss) * count
                items += count
            for name, values in extract(outputs, batch).items():
                column = columns.setdefault(name, [None] * len(features))
                for row, value in zip(rows, values, strict=True):
                    column[row] = value
            done += len(rows)
            if observe is not None:
                observe(done, len(features))
    return Predictions(columns, total / items if items else None)


def probabilities(logits: Any) -> Any:
    """Return the softmax of logits (B, C) as float64 numbers on the CPU, so that ties and sums survive saving."""
    return logits.double().softmax(dim=-1).cpu().numpy().astype(np.float64)
