"""Predictions of a model for texts or pictures, whole or with words or patches left out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.data.batching.batch import plan_evaluation
from toolkit.explanation.words import Floats

Collate = Callable[[Sequence[Mapping[str, Any]]], dict[str, Any]]


@dataclass(frozen=True)
class Model:
    """A classifier of texts or pictures.

    Attributes:
        network: A transformers model in evaluation mode whose outputs have logits (B, C).
        collate: Stacks examples' features into a batch of tensors.
        padding: The padding token; unused for pictures.
        batch_size: Examples in one forward pass.
        pause: Called after each of them.
    """

    network: Any
    collate: Collate
    padding: int
    batch_size: int = 64
    pause: Callable[[], None] = lambda: None

    def batch(self, features: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Stack features on the model's device."""
        return {name: tensor.to(self.network.device) for name, tensor in self.collate(features).items()}

    def probabilities(self, features: Sequence[Mapping[str, Any]]) -> Floats:
        """Return the probability of each class for each example, computed in batches of like lengths. Shape (N, C)."""
        import torch

        lengths = np.array([len(example.get("input_ids", ())) for example in features], np.int64)
        by_row: list[Any] = [None] * len(features)
        with torch.inference_mode():
            for rows in plan_evaluation(lengths, self.batch_size):
                logits = self.network(**self.batch([features[row] for row in rows])).logits
                for row, probabilities in zip(rows, logits.double().softmax(dim=-1).cpu().numpy(), strict=True):
                    by_row[row] = probabilities
                self.pause()
        return np.stack(by_row)


def log_odds(logits: Any, target: int) -> Any:
    """Return the log odds of a class against all others together: log p / (1 - p).

    Unlike the probability it does not saturate at high confidence, and unlike the logit alone it does not
    change when all logits do.

    Args:
        logits: Shape (B, C).
        target: The class.

    Returns:
        Shape (B,).
    """
    others = [number for number in range(logits.shape[-1]) if number != target]
    return logits[:, target] - logits[:, others].logsumexp(dim=-1)
