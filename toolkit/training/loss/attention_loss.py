"""Auxiliary attention losses: the entropy of attention, and supervision by rationales.

    loss of a batch = the objective's mean + attention_entropy × entropy + attention_supervision × distance

Attention weights exist only while attention is recorded, so batches are padded and attention is not fused: slower
than SDPA on batches without padding, by a factor that grows with the length of the examples.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from toolkit.attention import penalties
from toolkit.attention.record import Record, recording
from toolkit.config.settings import LossConfig, TrainingConfig
from toolkit.data.batching.batch import Features
from toolkit.errors import ConfigError, ModelError
from toolkit.training.loss.objective import RATIONALE, Objective, model_inputs

MEASURED = 200  # validation examples at most on which attention is measured


def wanted(config: LossConfig) -> bool:
    """Whether the loss has a part that depends on attention."""
    return bool(config.attention_entropy or config.attention_supervision)


def check(config: LossConfig, training: TrainingConfig, columns: Sequence[str]) -> None:
    """Refuse invalid configurations before a model is loaded.

    Args:
        config: The loss.
        training: The training settings.
        columns: Roles that the training rows have.

    Raises:
        ConfigError: There are no rationales, or gradient checkpointing discards the attention.
    """
    if config.attention_supervision and RATIONALE not in columns:
        raise ConfigError(
            "`loss.attention_supervision` is set, but the training rows have no rationales.",
            "Give a column `rationale` with phrases of each text, separated by |, or select one with "
            "--set data.columns.rationale=COLUMN.",
            id="data.no-rationales",
        )
    if wanted(config) and training.gradient_checkpointing:
        raise ConfigError(
            "`training.gradient_checkpointing` discards the attention that the keys under `loss` need.",
            "Unset it; a smaller `training.micro_batch_size` saves memory too.",
            id="config.conflict",
        )


def watchable(model: Any) -> None:
    """Refuse a model whose attention cannot be recorded, or is not self-attention.

    Raises:
        ModelError: It is one of these.
    """
    with recording(model):
        pass
    if getattr(model.config, "is_encoder_decoder", False):
        raise ModelError(
            f"{type(model).__name__} uses cross-attention, but the attention keys under `loss` are for models that "
            "classify one text.",
            "Unset `loss.attention_entropy` and `loss.attention_supervision`.",
            id="model.attention-unsupported",
        )


def penalty(config: LossConfig) -> Callable[[Sequence[Record], Mapping[str, Any]], Any] | None:
    """Return what is added to the mean loss of a batch, from its records and itself; None where nothing is."""
    if not wanted(config):
        return None

    def total(records: Sequence[Record], batch: Mapping[str, Any]) -> Any:
        added: Any = 0.0
        if config.attention_entropy:
            added = config.attention_entropy * penalties.mean_entropy(records, batch.get("attention_mask"))
        if config.attention_supervision:
            added = added + config.attention_supervision * penalties.off_rationale(records[-1], batch[RATIONALE])
        return added

    return total


def regularised(objective: Objective, config: LossConfig) -> Objective:
    """Return the objective with the configured penalties, also in its name."""
    added = {"attention entropy": config.attention_entropy, "distance to the rationales": config.attention_supervision}
    named = [f"{weight:+g} × {what}".replace("-", "−") for what, weight in added.items() if weight]
    return replace(objective, name=" ".join([objective.name, *named]), penalty=penalty(config))


def measure(
    model: Any, features: Features, collate: Callable[..., dict[str, Any]], batch_size: int
) -> dict[str, float]:
    """Measure attention on some of the examples, spread evenly.

    Args:
        model: In evaluation mode, on its device.
        features: Examples, with rationales or without.
        collate: Stacks them.
        batch_size: Examples in one forward pass.

    Returns:
        "attention_entropy" in nats and, where there are rationales, "rationale_attention": the share of the first
        token's attention in the last layer that lies on them.
    """
    import torch

    rows = np.unique(np.linspace(0, len(features) - 1, min(len(features), MEASURED)).astype(np.int64))
    entropies, shares = 0.0, list[float]()
    for start in range(0, len(rows), batch_size):
        batch = collate([features[int(row)] for row in rows[start : start + batch_size]])
        with torch.no_grad(), recording(model) as records:
            model(**{name: tensor.to(model.device) for name, tensor in model_inputs(batch).items()})
        size = len(batch["labels"])
        entropies += float(penalties.mean_entropy(records, batch.get("attention_mask"))) * size
        if RATIONALE in batch:
            marked = batch[RATIONALE].any(dim=1)
            shares += penalties.on_rationale(records[-1], batch[RATIONALE]).cpu()[marked].tolist()
    figures = {"attention_entropy": entropies / len(rows)}
    return {**figures, "rationale_attention": sum(shares) / len(shares)} if shares else figures
