"""Penalties on recorded attention: for its entropy, and for its distance from the words that people marked.

Both are computed from the records of `toolkit.attention.record`, whose weights stay in autograd's graph.
"""

from collections.abc import Sequence
from typing import Any

from toolkit.attention.record import Record

_LEAST = 1e-12  # weights below it count as this much, so that no logarithm is infinite


def entropy(weights: Any) -> Any:
    """Return the entropy of each row of weights, in nats: 0 on one key, log n evenly on n (Shannon 1948).

    Args:
        weights: Shape (B, H, T, S).

    Returns:
        Shape (B, H, T).
    """
    weights = weights.float()
    return -(weights * weights.clamp(min=_LEAST).log()).sum(dim=-1)


def mean_entropy(records: Sequence[Record], real: Any = None) -> Any:
    """Return the mean entropy over layers, heads and the tokens of each example, in nats.

    Args:
        records: Of one forward pass of an encoder.
        real: 1 for tokens, 0 for padding, whose rows do not count. Shape (B, T); None where all are real.

    Returns:
        The mean over the examples. A scalar.
    """
    import torch

    layers = []
    for record in records:
        each = entropy(record.weights).mean(dim=1)  # (B, T)
        rows = torch.ones_like(each) if real is None else real.to(each)
        layers.append((each * rows).sum(dim=1) / rows.sum(dim=1))  # (B,)
    return torch.stack(layers).mean()


def from_first(record: Record) -> Any:
    """Return the attention of the first token, which classifiers read, to each token: (B, H, S)."""
    return record.weights[:, :, 0].float()


def off_rationale(record: Record, marks: Any) -> Any:
    """Return the cross entropy between an even share of attention on the marked tokens and that of the first token.

    Source: Mathew et al. 2021, "HateXplain", section 5.3: the last layer's attention of [CLS], here of all heads.

    Args:
        record: Of the last layer.
        marks: 1 for tokens of the rationale. Shape (B, S).

    Returns:
        The mean over heads and examples, in nats; an example with no mark counts as 0. A scalar.
    """
    marks = marks.to(record.weights.device).float()  # (B, S)
    surely = from_first(record).clamp(min=_LEAST).log().mean(dim=1)  # (B, S)
    return -((marks * surely).sum(dim=1) / marks.sum(dim=1).clamp(min=1)).mean()


def on_rationale(record: Record, marks: Any) -> Any:
    """Return the share of the first token's attention that lies on marked tokens, mean over heads. Shape (B,)."""
    marks = marks.to(record.weights.device).float()
    return (from_first(record).mean(dim=1) * marks).sum(dim=1)
