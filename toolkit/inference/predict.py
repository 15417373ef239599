"""Run a model over a split and keep its predictions, one compact row an example."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.attention.implementations.packed import unpadded
from toolkit.data.batching.batch import Features, Integers, plan_evaluation, probe
from toolkit.distributed.process_group import ALONE, Team
from toolkit.training.loss.objective import items_of

Answer = tuple[int, dict[str, list[Any]], float, int]  # number of the batch, columns, sum of the loss, items


@dataclass(frozen=True)
class Predictions:
    """Predictions of a model for each example of a split.

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
    precision: str = "fp32",
    observe: Callable[[int, int], None] | None = None,
    team: Team = ALONE,
    padded: bool = False,
) -> Predictions:
    """Run `model` over all examples, in batches of like lengths; outputs are reduced batch by batch.

    Args:
        model: In evaluation mode.
        features: The examples.
        collate: Stacks examples into a batch of tensors.
        extract: (outputs, batch) → columns of one value an example; the batch also holds what `collate` left out.
        batch_size: Examples in one forward pass.
        precision: "fp32", or "bf16" to multiply in 16 bits.
        observe: Called with (examples done, examples in all).
        team: The processes that share the work; each predicts some of the batches and returns all predictions.
        padded: Whether batches are padded even if the model can run without padding.
    """
    import torch

    device = getattr(model, "device", "cpu")
    items = items_of(model)
    plan = plan_evaluation(features.lengths, batch_size)
    answers = []
    done = 0
    ready = nullcontext(None) if padded else unpadded(model, probe(features, collate))
    with torch.inference_mode(), ready as packing:
        for number in range(team.rank, len(plan), team.size):
            rows = plan[number]
            examples = [features[int(row)] for row in rows]
            batch = collate(examples)
            packed = packing.batch(batch, device) if packing is not None else nullcontext()
            with packed, torch.autocast(torch.device(device).type, torch.bfloat16, enabled=precision == "bf16"):
                outputs = model(**{name: tensor.to(device) for name, tensor in batch.items()})
            count = items(batch) if outputs.get("loss") is not None else 0
            left_out = {name: [example[name] for example in examples] for name in examples[0] if name not in batch}
            columns = extract(outputs, {**left_out, **batch})
            answers.append((number, columns, float(outputs.loss) * count if count else 0.0, count))
            done = min(len(features), done + len(rows) * team.size)
            if observe is not None:
                observe(done, len(features))
    return joined(plan, [answer for theirs in team.everyones(answers) for answer in theirs], len(features))


def joined(plan: Sequence[Integers], answers: Sequence[Answer], size: int) -> Predictions:
    """Put the predictions of the batches in the order of the split; sums are taken in the order of the plan."""
    columns: dict[str, list[Any]] = {}
    total, items = 0.0, 0
    for number, values, loss, count in sorted(answers, key=lambda answer: answer[0]):
        total += loss
        items += count
        for name, entries in values.items():
            column = columns.setdefault(name, [None] * size)
            for row, value in zip(plan[number], entries, strict=True):
                column[row] = value
    return Predictions(columns, total / items if items else None)


def probabilities(logits: Any) -> Any:
    """Return the softmax of logits (B, C) as float64 numbers on the CPU, so that ties and sums survive saving."""
    return logits.double().softmax(dim=-1).cpu().numpy().astype(np.float64)
