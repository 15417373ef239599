"""Masked language modelling: tokens are masked anew each time an example is used, and the model predicts them.

    15 % of the tokens are chosen: 80 % of them become the mask, 10 % another token, 10 % stay as they are
    labels: the chosen tokens; -100 elsewhere

Sources: Devlin et al. 2019, "BERT", section 3.1; Liu et al. 2019, "RoBERTa", section 4.1, for masks that change.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from toolkit.data.batching.batch import Integers, pad
from toolkit.training.loss.objective import IGNORED

SHARE = 0.15  # of the tokens, chosen to be predicted
_MASKED = 0.8  # of the chosen, replaced by the mask
_REPLACED = 0.1  # of the chosen, replaced by a token drawn from the vocabulary

Collate = Callable[[Sequence[Mapping[str, Any]]], dict[str, Any]]


def collate(processor: Any, seed: int, *, fixed: bool = False) -> Collate:
    """Return a function that stacks examples and masks tokens; "labels" (B, T) are added.

    Args:
        processor: A tokenizer with a mask token.
        seed: Of the draws.
        fixed: Whether the same examples always get the same mask, so that losses can be compared.
    """
    special = np.asarray(sorted(processor.all_special_ids), np.int64)
    random = np.random.default_rng([seed, 6])

    def collated(features: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        import torch

        batch = pad(features, {"input_ids": processor.pad_token_id or 0})
        tokens = batch["input_ids"].numpy()
        draws = np.random.default_rng([seed, zlib.crc32(tokens.tobytes())]) if fixed else random
        hidden, labels = masked(tokens, special, processor.mask_token_id, len(processor), draws)
        return {**batch, "input_ids": torch.from_numpy(hidden), "labels": torch.from_numpy(labels)}

    return collated


def masked(
    tokens: Integers, special: Integers, mask: int, vocabulary: int, random: np.random.Generator
) -> tuple[Integers, Integers]:
    """Return (tokens with some masked, labels), each of shape (B, T).

    Args:
        tokens: Shape (B, T).
        special: Numbers that are never chosen: padding, separators, the mask.
        mask: Number of the mask.
        vocabulary: How many tokens there are.
        random: Draws the tokens and their replacements.
    """
    free = ~np.isin(tokens, special)
    chosen = free & (random.random(tokens.shape) < SHARE)
    if free.any() and not chosen.any():  # at least one token per batch, also for very short texts
        chosen[tuple(np.argwhere(free)[random.integers(int(free.sum()))])] = True
    fate = random.random(tokens.shape)
    drawn = random.integers(vocabulary, size=tokens.shape)
    hidden = np.where(chosen & (fate < _MASKED), mask, tokens)
    hidden = np.where(chosen & (fate >= _MASKED) & (fate < _MASKED + _REPLACED), drawn, hidden)
    return hidden, np.where(chosen, tokens, IGNORED)
