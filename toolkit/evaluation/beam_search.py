"""Beam search for sequence-to-sequence models of transformers.

    step     every open sentence has K unfinished translations; each is continued by its likeliest tokens
             of all continuations the best K go on; those that end are kept with their score
    end      when no unfinished translation scores above the best finished one, or at the sentence's own bound
    leaving  a finished sentence leaves the batch at once, so that nothing is computed for it

A score is the log probability over the length to a power (Wu et al. 2016, "Google's Neural Machine Translation
System", section 7, without its constants). Keys and values of the source never change places among the beams of one
sentence, so they are moved only when a sentence leaves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Written:
    """A translation.

    Attributes:
        tokens: Token numbers, without what decoding starts from and without the end.
        score: Log probability over the length to the power of the length penalty.
        ended: Whether it came to an end by itself, and not at its bound.
    """

    tokens: Sequence[int]
    score: float
    ended: bool


def beam_search(
    model: Any,
    input_ids: Any,
    attention_mask: Any,
    bounds: Sequence[int],
    *,
    beams: int,
    length_penalty: float = 1.0,
) -> list[Written]:
    """Return the best translation that beam search finds of each source.

    The model's own generation configuration says what decoding starts from, what ends it, and which tokens are forced
    at the start or never written.

    Args:
        model: A sequence-to-sequence model in evaluation mode.
        input_ids: Sources, padded. Shape (B, S).
        attention_mask: Which of their tokens are real. Shape (B, S).
        bounds: Tokens that each translation may have, at least 1. B of them.
        beams: Translations that are followed at a time, K.
        length_penalty: Above 1 favours long translations, below 1 short ones.
    """
    import torch
    from transformers import DynamicCache, EncoderDecoderCache

    rules = _rules(model)
    device, count = input_ids.device, input_ids.shape[0]
    encoded = model.get_encoder()(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state  # (B, S, H)
    encoded = encoded.repeat_interleave(beams, dim=0)  # (B·K, S, H)
    mask = attention_mask.repeat_interleave(beams, dim=0)
    cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
    tokens = torch.full((count * beams, 1), rules.start, device=device)  # (A·K, t + 1); A sentences are open
    totals = torch.full((count, beams), float("-inf"), device=device)  # log probabilities (A, K)
    totals[:, 0] = 0.0  # at the start all beams are the same one
    limits = torch.tensor(list(bounds), device=device)
    place = torch.arange(count, device=device)  # which sentence each open one is
    best: list[Written | None] = [None] * count
    best_scores = torch.full((count,), float("-inf"), device=device)  # (A,)
    length = 0
    while len(place):
        length += 1
        logits = model(
            encoder_outputs=(encoded,),
            attention_mask=mask,
            decoder_input_ids=tokens[:, -1:],
            past_key_values=cache,
            use_cache=True,
        ).logits[:, -1]  # (A·K, V)
        logits = logits.float()
        chances, words = _continuations(logits, rules, length, 2 * beams)  # (A·K, 2K)
        wide = chances.shape[1]
        summed = (totals.reshape(-1, 1) + chances).view(len(place), beams * wide)
        ranked, chosen = summed.topk(min(2 * beams, summed.shape[1]), dim=1)  # (A, 2K), the best first
        words = words.reshape(len(place), beams * wide).gather(1, chosen)
        origins = chosen // wide  # which beam each continues
        ending = torch.isin(words, rules.ends)
        scores = ranked / length**length_penalty
        # of the translations that end here, those among the first K count
        ended = ending.clone()
        ended[:, beams:] = False
        found = torch.where(ended, scores, float("-inf"))
        value, which = found.max(dim=1)
        better = value > best_scores
        for row in better.nonzero()[:, 0].tolist():
            line = tokens[row * beams + int(origins[row, which[row]]), 1:].tolist()
            best[int(place[row])] = Written(line, float(value[row]), ended=True)
        best_scores = torch.maximum(best_scores, value)
        # the first K that go on
        going = torch.argsort(ending.to(torch.int8), dim=1, stable=True)[:, :beams]  # (A, K)
        totals = ranked.masked_fill(ending, float("-inf")).gather(1, going)
        moved = (origins.gather(1, going) + beams * torch.arange(len(place), device=device)[:, None]).reshape(-1)
        tokens = torch.cat([tokens[moved], words.gather(1, going).reshape(-1, 1)], dim=1)
        bounded = limits <= length
        for row in (bounded & (best_scores == float("-inf"))).nonzero()[:, 0].tolist():
            line = tokens[row * beams, 1:].tolist()  # nothing has ended: what was best so far
            best[int(place[row])] = Written(line, float(totals[row, 0] / length**length_penalty), ended=False)
        stay = ~bounded & (totals[:, 0] / length**length_penalty > best_scores)
        if not bool(stay.all()):
            kept = (stay.nonzero() * beams + torch.arange(beams, device=device)).reshape(-1)
            tokens, moved, encoded, mask = tokens[kept], moved[kept], encoded[kept], mask[kept]
            cache.cross_attention_cache.batch_select_indices(kept)
            totals, limits, place, best_scores = totals[stay], limits[stay], place[stay], best_scores[stay]
        cache.self_attention_cache.batch_select_indices(moved)
    return [written for written in best if written is not None]


@dataclass(frozen=True)
class _Rules:
    """What a model's generation configuration says.

    Attributes:
        start: Token that decoding starts from.
        ends: Tokens that end a translation.
        first: Token that is forced at the first place, if any.
        never: Tokens that are not written.
    """

    start: int
    ends: Any
    first: int | None
    never: Any


def _rules(model: Any) -> _Rules:
    import torch

    settings = model.generation_config
    start = settings.decoder_start_token_id
    start = start if start is not None else settings.bos_token_id
    ends = settings.eos_token_id if isinstance(settings.eos_token_id, list) else [settings.eos_token_id]
    never = {settings.pad_token_id, *(settings.suppress_tokens or ())} - {None, *ends}
    never |= {words[0] for words in settings.bad_words_ids or () if len(words) == 1} - set(ends)
    device = model.device
    return _Rules(
        int(start),
        torch.tensor(ends, device=device),
        settings.forced_bos_token_id,
        torch.tensor(sorted(never), dtype=torch.long, device=device),
    )


def _continuations(logits: Any, rules: _Rules, length: int, wanted: int) -> tuple[Any, Any]:
    """Return log probabilities and numbers of the likeliest next tokens. Shapes (R, V) → (R, wanted) twice."""
    import torch

    if length == 1 and rules.first is not None:
        forced = torch.full((len(logits), 1), rules.first, device=logits.device)
        return torch.zeros_like(forced, dtype=logits.dtype), forced
    everything = logits.logsumexp(dim=1, keepdim=True)
    logits[:, rules.never] = float("-inf")
    found, words = logits.topk(min(wanted, logits.shape[1]), dim=1)
    return found - everything, words
