"""Distillation: a student learns from the classes, hidden states and attention of a teacher.

    loss = hard × loss on the labels
         + soft × T² × KL(softmax(teacher / T) ‖ softmax(student / T))
         + hidden × (1 - cosine of the last hidden states), a mean over the tokens
         + relations × KL of the relations among queries, keys and values, a mean over the three

The teacher's classes are known before training, as logarithms of its probabilities, which differ from its logits by a
constant for each row. For its hidden states and relations it is run on each batch, whose tokens must be its own.

Sources: Hinton et al. 2015, "Distilling the Knowledge in a Neural Network", section 2; Sanh et al. 2019, "DistilBERT",
sections 2 and 3; Wang et al. 2021, "MiniLMv2", section 3.1.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from toolkit.attention.record import Record, recording
from toolkit.config.distillation import DistillationConfig
from toolkit.training.loss.objective import TEACHER, Batch, Objective, model_inputs


def distilled(objective: Objective, config: DistillationConfig, teacher: Any) -> Objective:
    """Return the objective of a student.

    Args:
        objective: The loss on the labels.
        config: Weights and temperature.
        teacher: The teacher's module, in evaluation mode and on the device of the student; it is run for its hidden
            states and relations alone.
    """
    hidden, relations = config.hidden_weight, config.relations

    def mean(outputs: Any, batch: Batch) -> Any:
        total = config.soft * soft_loss(outputs.logits, batch[TEACHER], config.temperature)
        if config.hard:
            total = total + config.hard * objective.mean(outputs, batch)
        if hidden:
            last = _run(teacher, batch, output_hidden_states=True).hidden_states[-1]
            total = total + hidden * hidden_loss(outputs.hidden_states[-1], last, batch.get("attention_mask"))
        return total

    def penalty(records: Sequence[Record], batch: Batch) -> Any:
        with recording(teacher) as theirs:
            _run(teacher, batch)
        added = relations * relation_loss(records[-1], theirs[-1], batch.get("attention_mask"))
        return added if objective.penalty is None else added + objective.penalty(records, batch)

    return replace(
        objective,
        name=_name(objective.name, config),
        mean=mean,
        penalty=penalty if relations else objective.penalty,
        arguments={"output_hidden_states": True} if hidden else {},
    )


def _name(hard: str, config: DistillationConfig) -> str:
    parts = {
        f"{hard}": config.hard,
        f"soft targets at temperature {config.temperature:g}": config.soft,
        "distance of the hidden states": config.hidden_weight,
        "distance of the attention relations": config.relations,
    }
    return " + ".join(f"{weight:g} × {what}" for what, weight in parts.items() if weight)


def _run(teacher: Any, batch: Batch, **arguments: Any) -> Any:
    """Run the teacher on a batch of the student."""
    import torch

    inputs = {name: tensor.to(teacher.device) for name, tensor in model_inputs(batch).items() if name != "labels"}
    with torch.no_grad():
        return teacher(**inputs, **arguments)


def soft_loss(logits: Any, known: Any, temperature: float) -> Any:
    """Return T² × KL(teacher ‖ student), a mean over the rows.

    Args:
        logits: The student's. Shape (B, C).
        known: Logarithms of the teacher's probabilities, or its logits. Shape (B, C).
        temperature: T.
    """
    import torch

    ours = (logits.float() / temperature).log_softmax(dim=-1)
    theirs = (known.to(logits.device).float() / temperature).log_softmax(dim=-1)
    divergence = torch.nn.functional.kl_div(ours, theirs, reduction="batchmean", log_target=True)
    return temperature**2 * divergence


def hidden_loss(ours: Any, theirs: Any, mask: Any) -> Any:
    """Return 1 - cosine similarity of hidden states, a mean over the tokens that are not padding.

    Args:
        ours: The student's. Shape (B, T, H).
        theirs: The teacher's, of the same shape.
        mask: 1 for each token that is not padding, (B, T); None where all are.
    """
    import torch

    distance = 1 - torch.nn.functional.cosine_similarity(ours.float(), theirs.float(), dim=-1)  # (B, T)
    if mask is None:
        return distance.mean()
    real = mask.to(distance.device, distance.dtype)
    return (distance * real).sum() / real.sum()


def relation_loss(ours: Record, theirs: Record, mask: Any) -> Any:
    """Return the divergence of the relations among queries, among keys and among values, a mean over the three.

    A relation of a token is the softmax of the scaled products of its vector with those of all tokens. Both models'
    vectors are divided into as many heads, so that their widths may differ.

    Args:
        ours: The last layer of the student.
        theirs: That of the teacher.
        mask: As of `hidden_loss`.
    """
    import torch

    heads = math.gcd(theirs.query.shape[1], _width(ours), _width(theirs))
    total: Any = 0.0
    for kind in ("query", "key", "value"):
        mine, known = (_relations(getattr(record, kind), heads, mask) for record in (ours, theirs))
        divergence = torch.nn.functional.kl_div(mine, known, reduction="none", log_target=True)
        divergence = divergence.sum(dim=-1).mean(dim=1)  # (B, T)
        real = torch.ones_like(divergence) if mask is None else mask.to(divergence)
        total = total + (divergence * real).sum() / real.sum()
    return total / 3


def _width(record: Record) -> int:
    return int(record.query.shape[1] * record.query.shape[3])


def _relations(vectors: Any, heads: int, mask: Any) -> Any:
    """Return the logarithms of relations, (B, heads, T, T), of vectors (B, H, T, D)."""
    batch, _, tokens, _ = vectors.shape
    split = vectors.float().transpose(1, 2).reshape(batch, tokens, heads, -1).transpose(1, 2)  # (B, heads, T, D')
    scores = split @ split.transpose(-1, -2) / split.shape[-1] ** 0.5
    if mask is not None:  # a finite number, so that no difference of two is undefined
        scores = scores.masked_fill(mask.to(scores.device)[:, None, None, :] == 0, -1e4)
    return scores.log_softmax(dim=-1)
