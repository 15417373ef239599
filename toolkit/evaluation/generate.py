"""Let a sequence-to-sequence model write: in batches of like lengths, and never longer than the source allows.

rows, longest first ─► batches of at most so many tokens × beams ─► beam search ─► texts, in the rows' order
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from toolkit.data.batch import Features, Ragged, split_step
from toolkit.evaluation.predict import joined
from toolkit.team import ALONE, Team


def write(
    model: Any,
    features: Features,
    collate: Callable[[Sequence[Mapping[str, Any]]], dict[str, Any]],
    generate: Callable[[Any, Mapping[str, Any]], dict[str, list[Any]]],
    *,
    batch_size: int,
    tokens: int | None,
    device: Any,
    precision: str = "fp32",
    observe: Callable[[int, int], None] | None = None,
    team: Team = ALONE,
) -> Mapping[str, Sequence[Any]]:
    """Have answers written to all examples.

    Args:
        model: In evaluation mode.
        features: The examples, with "input_ids".
        collate: Stacks examples into a batch of tensors.
        generate: (model, batch on the device) → columns of one value an example.
        batch_size: Examples that are written to at a time.
        tokens: Tokens that their sources may have together.
        device: Where the model is.
        precision: "fp32", or "bf16" to multiply in 16 bits.
        observe: Told (examples done, examples in all).
        team: The processes that share the work.

    Returns:
        Name → one value an example, in the order of `features`.
    """
    import torch

    inputs = features.columns["input_ids"]
    lengths = inputs.lengths if isinstance(inputs, Ragged) else np.ones(len(features), np.int64)
    plan = split_step(np.argsort(-lengths, kind="stable"), lengths, batch_size, tokens)
    answers = []
    done = 0
    sixteen = torch.autocast(torch.device(device).type, torch.bfloat16, enabled=precision == "bf16")
    with torch.inference_mode(), sixteen:
        for number in range(team.rank, len(plan), team.size):
            rows = plan[number]
            batch = collate([features[int(row)] for row in rows])
            columns = generate(model, {name: tensor.to(device) for name, tensor in batch.items()})
            answers.append((number, columns, 0.0, 0))
            done = min(len(features), done + len(rows) * team.size)
            if observe is not None:
                observe(done, len(features))
    return joined(plan, [answer for theirs in team.everyones(answers) for answer in theirs], len(features)).columns
