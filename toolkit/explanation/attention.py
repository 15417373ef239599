"""Explanations from the attention weights of one text, or of one picture whose tokens are its patches.

Each is a matrix over the tokens, in which a token's row gives its attention to the others; the relevant rows follow
from the gradient: only that of [CLS] in a classifier that reads it alone, all in one that averages.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.attention.record import Record, recording
from toolkit.errors import ModelError
from toolkit.explanation.question import ONE_CLASS, Outcome
from toolkit.explanation.words import Floats


@dataclass(frozen=True)
class Watched:
    """The recorded attention of a model for one text.

    Attributes:
        weights: Attention weights of all layers. Shape (L, H, T, T).
        gradients: Of the score, such as the class's log odds, with respect to the weights. Shape (L, H, T, T).
        readout: Share of each token's last vector in the decision; sums to one. Shape (T,).
        both_ways: Whether attention that lowers the score counts as much as attention that raises it.
    """

    weights: Floats
    gradients: Floats
    readout: Floats
    both_ways: bool = False


def watchable(network: Any) -> bool:
    """Whether the model's attention can be recorded; some families compute it with their own code."""
    try:
        with recording(network):
            return True
    except ModelError:
        return False


def watch(network: Any, batch: dict[str, Any], target: int, outcome: Outcome = ONE_CLASS) -> Watched:
    """Record a model's attention for one text, and the gradient of the score.

    Args:
        network: A transformers model in evaluation mode.
        batch: One example, unpadded.
        target: Number of the output.
        outcome: What the outputs mean.

    Raises:
        ModelError: The attention cannot be recorded, or is not self-attention.
    """
    import torch

    with torch.enable_grad(), recording(network) as records:
        odds = outcome.score(network(**batch).logits, target)
    length = batch["input_ids"].shape[1] if "input_ids" in batch else records[0].weights.shape[-1] if records else 0
    if not records or any(record.weights.shape[-2:] != (length, length) for record in records):
        raise ModelError(
            f"{type(network).__name__} has no self-attention between all tokens of the text.",
            "Use a model such as BERT, DistilBERT or RoBERTa.",
            id="model.attention-unsupported",
        )
    tensors = [record.weights for record in records] + [records[-1].output]
    *gradients, last = torch.autograd.grad(odds.sum(), tensors)
    weights = _stack([record.weights for record in records])
    return Watched(weights, _stack(gradients), _readout(records[-1], last), outcome.number)


def _stack(tensors: Any) -> Floats:
    return np.stack([tensor[0].detach().double().cpu().numpy() for tensor in tensors])


def _readout(record: Record, gradient: Any) -> Floats:
    """Weight tokens by how strongly the decision depends on their output of the last attention."""
    strength = gradient[0].double().square().sum(dim=(0, 2)).sqrt().cpu().numpy()  # (H, T, D) → (T,)
    if not strength.sum() > 0:
        return np.full(len(strength), 1 / len(strength))
    return np.asarray(strength / strength.sum(), np.float64)


def mean_attention(watched: Watched) -> Floats:
    """Average the weights over layers and heads, and read the rows that count. Shape (T,)."""
    return np.asarray(watched.readout @ watched.weights.mean(axis=(0, 1)), np.float64)


def last_attention(watched: Watched) -> Floats:
    """Average the last layer's weights over its heads, and read the rows that count. Shape (T,)."""
    return np.asarray(watched.readout @ watched.weights[-1].mean(axis=0), np.float64)


def rollout(watched: Watched) -> Floats:
    """Multiply attention through all layers, with half of each token's vector from the residual connection.

    Source: Abnar and Zuidema 2020, "Quantifying Attention Flow in Transformers", section 3.

    Returns:
        Shape (T,).
    """
    length = watched.weights.shape[-1]
    reached = np.eye(length)  # (T, T): row i gives the composition of token i
    for layer in watched.weights.mean(axis=1):  # (T, T) each
        reached = (0.5 * layer + 0.5 * np.eye(length)) @ reached
    return np.asarray(watched.readout @ reached, np.float64)


def relevance(watched: Watched) -> Floats:
    """Propagate the attention that supports the class: the positive part of weights times their gradients.

    Where a number is explained, their absolute values: attention may raise it or lower it.

    Source: Chefer et al. 2021, "Generic Attention-model Explainability for Interpreting Bi-Modal and
    Encoder-Decoder Transformers", equations 5 and 6 (self-attention).

    Returns:
        Relevance without the initial identity. Shape (T,).
    """
    length = watched.weights.shape[-1]
    relevant = np.eye(length)  # (T, T)
    for weights, gradients in zip(watched.weights, watched.gradients, strict=True):
        effects = gradients * weights
        relevant = relevant + (np.abs(effects) if watched.both_ways else np.maximum(effects, 0)).mean(axis=0) @ relevant
    return np.asarray(watched.readout @ (relevant - np.eye(length)), np.float64)
