"""Predictions of a model for texts or pictures, whole or with words or patches left out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from toolkit.data.batching.batch import plan_evaluation
from toolkit.explanation.words import Floats

Collate = Callable[[Sequence[Mapping[str, Any]]], dict[str, Any]]


@dataclass(frozen=True)
class Outcome:
    """What a model's outputs mean, and what of them is explained.

    Attributes:
        values: Logits (B, C) → the value of each output as it is shown: a probability, or a number. (B, C)
        score: (logits (B, C), number of an output) → the score whose changes are explained, (B,); differentiable.
        chosen: (values of a row, what is stored of validation rows) → the outputs that are predicted, the most
            probable first.
        least: Outputs that a model must have.
        number: Whether the value is a number, which a word may raise or lower; both count alike.
        unit: What changes of values are divided by where faithfulness is measured.
        change: Name of such a change.
    """

    values: Callable[[Any], Any]
    score: Callable[[Any, int], Any]
    chosen: Callable[[Floats, Mapping[str, Any]], list[int]]
    least: int = 1
    number: bool = False
    unit: float = 1.0
    change: str = "drop of the class probability"


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


ONE_CLASS = Outcome(
    values=lambda logits: logits.softmax(dim=-1),
    score=log_odds,
    chosen=lambda values, _stored: [int(values.argmax())],
    least=2,
)


@dataclass(frozen=True)
class Model:
    """A model whose predictions for texts or pictures are explained.

    Attributes:
        network: A transformers model in evaluation mode whose outputs have logits (B, C).
        collate: Stacks examples' features into a batch of tensors.
        padding: The padding token; unused for pictures.
        batch_size: Examples in one forward pass.
        pause: Called after each of them.
        outcome: What the outputs mean.
    """

    network: Any
    collate: Collate
    padding: int
    batch_size: int = 64
    pause: Callable[[], None] = lambda: None
    outcome: Outcome = field(default=ONE_CLASS)

    def batch(self, features: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Stack features on the model's device."""
        return {name: tensor.to(self.network.device) for name, tensor in self.collate(features).items()}

    def logits(self, features: Sequence[Mapping[str, Any]]) -> Any:
        """Return the outputs for each example, computed in batches of like lengths. Shape (N, C), 64-bit numbers."""
        import torch

        lengths = np.array([len(example.get("input_ids", ())) for example in features], np.int64)
        by_row: list[Any] = [None] * len(features)
        with torch.inference_mode():
            for rows in plan_evaluation(lengths, self.batch_size):
                logits = self.network(**self.batch([features[row] for row in rows])).logits
                for row, outputs in zip(rows, logits.double().cpu(), strict=True):
                    by_row[row] = outputs
                self.pause()
        return torch.stack(by_row)

    def values(self, features: Sequence[Mapping[str, Any]]) -> Floats:
        """Return the probability of each class, or the number, for each example. Shape (N, C)."""
        values: Floats = self.outcome.values(self.logits(features)).numpy()
        return values

    def scores(self, features: Sequence[Mapping[str, Any]], target: int) -> Floats:
        """Return the score of one output for each example. Shape (N,)."""
        scores: Floats = self.outcome.score(self.logits(features), target).numpy()
        return scores
