"""Generation by a sequence-to-sequence model: in batches of similar lengths, each text limited in length.

rows, longest first ─► batches of at most so many tokens × beams ─► beam search ─► texts, in the rows' order
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from toolkit import seq2seq
from toolkit.data.batching.batch import Features, split_step
from toolkit.distributed.process_group import ALONE, Team
from toolkit.inference.beam_search import beam_search
from toolkit.inference.predict import joined

SPARE = 10  # tokens added to the limit, so that the shortest sources get a translation, too


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
    """Generate texts for all examples.

    Args:
        model: In evaluation mode.
        features: The examples.
        collate: Stacks examples into a batch of tensors.
        generate: (model, batch on the device) → columns of one value an example.
        batch_size: Examples in a batch.
        tokens: Tokens, or other units of length, that their sources may have together.
        device: Where the model is.
        precision: "fp32", or "bf16" to multiply in 16 bits.
        observe: Called with (examples done, examples in all).
        team: The processes that share the work.

    Returns:
        Name → one value an example, in the order of `features`.
    """
    import torch

    lengths = features.input_lengths
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


def by_source_length(batch: Mapping[str, Any], factor: float, longest: int) -> list[int]:
    """Return the maximum number of tokens of each text: of its source's length, and `longest` for any source.

    Args:
        batch: With "attention_mask", shape (B, S).
        factor: Tokens for each of the source.
        longest: Maximum number of tokens of any text.
    """
    lengths = batch["attention_mask"].sum(dim=1).tolist()
    return [min(longest, int(factor * length) + SPARE) for length in lengths]


def by_beam_search(
    model: Any, batch: Mapping[str, Any], tokenizer: Any, bounds: Sequence[int], **settings: Any
) -> dict[str, list[Any]]:
    """Generate a text for each source of a batch: texts, and whether each was truncated at its limit.

    Args:
        model: In evaluation mode.
        batch: What the model takes, on its device; labels are not used.
        tokenizer: Turns tokens into texts.
        bounds: Maximum number of tokens of each text.
        settings: Of `beam_search`.
    """
    inputs = {name: values for name, values in batch.items() if name != "labels"}
    written = beam_search(model, inputs, bounds, **settings)
    texts = seq2seq.decode([text.tokens for text in written], tokenizer, model.generation_config.forced_bos_token_id)
    return {"prediction": texts, "cut": [not text.ended for text in written]}
