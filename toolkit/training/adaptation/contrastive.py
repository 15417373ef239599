"""Supervised contrastive learning: examples of one class are drawn together, those of different classes apart.

    vectors z of a batch, each of length 1;  p(j | i) = exp(z[i]·z[j] / τ) / Σ_{a ≠ i} exp(z[i]·z[a] / τ)
    loss of i = mean over the other examples j of its class of -log p(j | i)

N labelled examples give N² pairs, so it suits small N. A logistic regression on the tuned
features follows.

Sources: Khosla et al. 2020, "Supervised Contrastive Learning", equation 2; Tunstall et al. 2022, "Efficient Few-Shot
Learning Without Prompts", for tuning a backbone by pairs before a logistic regression.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from toolkit.config.settings import TrainingConfig
from toolkit.data.batching.batch import Features
from toolkit.training.loss.objective import Batch, Objective

TEMPERATURE = 0.2  # τ: small values emphasize the nearest examples of other classes
_BATCHES = (16, 32, 64)
_OF_A_CLASS = 3  # examples of each class that a batch has on average, while it has no more than 64
_STEPS = 8  # at least
_PASSES = 8  # over the rows, where these are more steps


def plan(config: TrainingConfig, rows: int, classes: int) -> TrainingConfig:
    """Return the training settings: steps and batches by the number of rows and classes, the rest as configured."""
    batch = next((size for size in _BATCHES if size >= _OF_A_CLASS * classes), _BATCHES[-1])
    a_pass = math.ceil(rows / batch)
    steps = max(_STEPS, _PASSES * a_pass)
    return config.model_copy(
        update={
            "batch_size": batch,
            "epochs": steps / a_pass,
            "micro_batch_size": None,
            "micro_batch_tokens": None,  # the pairs of a batch have to be in one forward pass
        }
    )


def shuffled(features: Features) -> Features:
    """Return features without lengths, so that batches are drawn at random and all pairs occur."""
    return replace(features, lengths=np.full(len(features), int(features.lengths.max())))


def objective(temperature: float = TEMPERATURE) -> Objective:
    """Return the loss over vectors instead of logits (B, D); the only example of a class does not count."""
    import torch

    def weight(batch: Batch) -> float:
        labels = batch["labels"]
        return float(((labels[:, None] == labels).sum(dim=1) > 1).sum())

    def mean(outputs: Any, batch: Batch) -> Any:
        vectors = torch.nn.functional.normalize(outputs.logits.float(), dim=-1)  # (B, D)
        labels = batch["labels"].to(vectors.device)
        itself = torch.eye(len(labels), dtype=torch.bool, device=vectors.device)
        similarities = (vectors @ vectors.T / temperature).masked_fill(itself, -torch.inf)
        likelihoods = similarities.log_softmax(dim=1).masked_fill(itself, 0.0)  # (B, B), log p(j | i)
        positives = ((labels[:, None] == labels) & ~itself).to(likelihoods.dtype)
        count = positives.sum(dim=1)
        losses = -(likelihoods * positives).sum(dim=1) / count.clamp(min=1)
        return losses.sum() / (count > 0).sum().clamp(min=1)

    return Objective(f"supervised contrastive loss (τ {temperature:g})", weight, mean, labels=False)


@contextmanager
def without_output_layer(model: Any, layer: Any) -> Iterator[None]:
    """Let a model return the input of its output layer instead of logits."""
    import torch

    parent, name = next((m, name) for m in model.modules() for name, child in m.named_children() if child is layer)
    setattr(parent, name, torch.nn.Identity())
    try:
        yield
    finally:
        setattr(parent, name, layer)
