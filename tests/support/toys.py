"""A classifier with known attributions: each word has its weight, and the class is their sum."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from toolkit.data.batching.batch import pad
from toolkit.explanation.question import Model
from toolkit.explanation.words import Example


class Bag(torch.nn.Module):
    """Logits (0, Σ weight of each token)."""

    device = torch.device("cpu")
    config = SimpleNamespace(_attn_implementation="none")

    def __init__(self, weights: Sequence[float]) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(len(weights), 1)
        self.table.weight.data = torch.tensor(weights, dtype=torch.float32)[:, None]

    def set_attn_implementation(self, name: Any) -> None:
        """It has none, so nothing is recorded."""

    def get_input_embeddings(self) -> torch.nn.Embedding:
        return self.table

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        total = (self.table(input_ids)[..., 0] * attention_mask).sum(dim=1)
        return SimpleNamespace(logits=torch.stack([torch.zeros_like(total), total], dim=1))


def bag(weights: Sequence[float]) -> Model:
    """Return a model of words 1, 2, …; word 0 is padding and weighs nothing."""
    return Model(Bag([0.0, *weights]), lambda features: pad(features, {}), padding=0, batch_size=16)


def text(words: Sequence[int]) -> Example:
    """Return a text of these words, with no special tokens."""
    names = tuple(f"word{word}" for word in words)
    spans = tuple((place,) for place in range(len(words)))
    return Example((" ".join(names),), {"input_ids": np.array(words)}, names, names, spans)
