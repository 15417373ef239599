"""Beam search for sequence-to-sequence models of transformers, token for token the results of their `generate`.

    step     every open sentence has K unfinished translations; each is continued by its most likely tokens
             of all continuations the best K continue; those that end are kept with their score
    end      by the generation configuration's `early_stopping`, or at the sentence's own limit
    leaving  a finished sentence leaves the batch at once, so that nothing is computed for it

A score is the log probability over the length to a power (Wu et al. 2016, "Google's Neural Machine Translation
System", section 7, without its constants). At the start all translations of a sentence are the same one, so the first
step is taken once for each, and keys and values of the source are computed once; they never change places among the
beams of one sentence, so they are moved only when a sentence leaves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from toolkit.errors import ModelError


@dataclass(frozen=True)
class Written:
    """A translation.

    Attributes:
        tokens: Token numbers, without start and end tokens.
        score: Log probability over the length to the power of the length penalty.
        ended: Whether it ended with an end token, and not at its limit.
    """

    tokens: Sequence[int]
    score: float
    ended: bool


def beam_search(
    model: Any,
    inputs: Mapping[str, Any],
    bounds: Sequence[int],
    *,
    beams: int,
    length_penalty: float = 1.0,
    prompt: Sequence[int] = (),
) -> list[Written]:
    """Return the best text that beam search finds for each source.

    The model's own generation configuration defines the start and end tokens, and which tokens are forced
    at the start or never generated.

    Args:
        model: A sequence-to-sequence model in evaluation mode.
        inputs: What its encoder takes: sources, padded, of shape (B, S, …), and for most models "attention_mask" of
            shape (B, S), which of their positions are real.
        bounds: Tokens that each text may have, at least 1. B of them.
        beams: Number of beams, K.
        length_penalty: Above 1 favours long texts, below 1 short ones.
        prompt: Tokens after the start token with which every text begins; they are no part of the result.

    Raises:
        ModelError: The generation configuration does not define the start or end token.
    """
    import torch
    from transformers import DynamicCache, EncoderDecoderCache

    rules = _rules(model, beams)
    given = next(iter(inputs.values()))
    device, count = given.device, given.shape[0]
    encoded = model.get_encoder()(**inputs).last_hidden_state  # (B, S', H)
    mask = inputs.get("attention_mask")
    cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
    width = beams * (1 + len(rules.ends))  # candidates; at least K of them continue
    begun = [rules.start, *prompt]
    tokens = torch.tensor([begun] * count, device=device)  # (A·K, t + P) from the second step; A are open
    totals = torch.zeros((count, 1), device=device)  # log probabilities (A, K)
    limits = torch.tensor(list(bounds), device=device)
    place = torch.arange(count, device=device)  # number of each open sentence
    best: list[Written | None] = [None] * count
    finished = torch.full((count, beams), float("-inf"), device=device)  # scores of ended translations, the best first
    length = 0
    while len(place):
        length += 1
        logits = (
            model(
                encoder_outputs=(encoded,),
                attention_mask=mask,
                decoder_input_ids=tokens[:, -1:] if length > 1 else tokens,
                past_key_values=cache,
                use_cache=True,
            )
            .logits[:, -1]
            .float()
        )  # (A·K, V)
        bounded = limits <= length  # (A,)
        probabilities, words = _continuations(logits, rules, length, bounded, width)  # (A·K, w)
        summed = (totals.reshape(-1, 1) + probabilities).view(len(place), -1)
        ranked, chosen = summed.topk(min(width, summed.shape[1]), dim=1)  # (A, w), the best first
        origins, words = chosen // probabilities.shape[1], words.reshape(len(place), -1).gather(1, chosen)
        if length == 1:  # from here on there are K translations of each
            tokens, encoded = (tensor.repeat_interleave(beams, dim=0) for tensor in (tokens, encoded))
            mask = None if mask is None else mask.repeat_interleave(beams, dim=0)
            cache.batch_repeat_interleave(beams)
            ranked, origins, words = (
                _filled(ranked, beams, float("-inf")),
                _filled(origins, beams),
                _filled(words, beams),
            )
        ending = torch.isin(words, rules.ends)
        ended = ending | bounded[:, None]
        # of the translations that end here, those among the first K count
        scores = torch.where(ended, ranked / length**length_penalty, float("-inf"))[:, :beams]
        value, which = scores.max(dim=1)
        for row in (value > finished[:, 0]).nonzero()[:, 0].tolist():
            at = int(which[row])
            line = tokens[row * beams + int(origins[row, at]), len(begun) :].tolist()
            whole = bool(ending[row, at])
            free = whole and not (rules.last is not None and bool(bounded[row]))
            line += [] if whole else [int(words[row, at])]
            best[int(place[row])] = Written(line, float(value[row]), ended=free)
        finished = torch.cat([finished, scores], dim=1).topk(beams, dim=1)[0]
        # the first K that continue
        going = torch.argsort(ended.to(torch.int8), dim=1, stable=True)[:, :beams]  # (A, K)
        totals = ranked.masked_fill(ended, float("-inf")).gather(1, going)
        moved = (origins.gather(1, going) + beams * torch.arange(len(place), device=device)[:, None]).reshape(-1)
        tokens = torch.cat([tokens[moved], words.gather(1, going).reshape(-1, 1)], dim=1)
        stay = ~bounded & _may_improve(totals[:, 0], finished[:, -1], length, limits, rules, length_penalty)
        if not bool(stay.all()):
            kept = (stay.nonzero() * beams + torch.arange(beams, device=device)).reshape(-1)
            tokens, moved, encoded = tokens[kept], moved[kept], encoded[kept]
            mask = None if mask is None else mask[kept]
            cache.cross_attention_cache.batch_select_indices(kept)
            totals, limits, place, finished = totals[stay], limits[stay], place[stay], finished[stay]
        cache.self_attention_cache.batch_select_indices(moved)
    return [written for written in best if written is not None]


@dataclass(frozen=True)
class _Rules:
    """The rules of a model's generation configuration.

    Attributes:
        start: Token that decoding starts from.
        ends: Tokens that end a translation.
        first: Token that is forced at the first position, if any.
        last: Token that is forced at the limit, if any.
        never: Tokens that are not generated.
        never_first: Tokens that are not generated at the first position.
        early_stopping: True ends a sentence with K finished translations; False continues while the best unfinished one
            scores above the worst of them, "never" while it could if it grew to its bound.
    """

    start: int
    ends: Any
    first: int | None
    last: int | None
    never: Any
    never_first: Any
    early_stopping: bool | str


def _rules(model: Any, beams: int) -> _Rules:
    import torch

    settings = model.generation_config
    start = settings.decoder_start_token_id
    start = start if start is not None else settings.bos_token_id
    ends = settings.eos_token_id if isinstance(settings.eos_token_id, list) else [settings.eos_token_id]
    if start is None or None in ends:
        raise ModelError(
            f"The generation configuration of {type(model).__name__} does not define the start and end tokens of a "
            "translation.",
            "Set `decoder_start_token_id` and `eos_token_id` in its generation_config.json.",
            id="model.generation-undefined",
        )
    never = {settings.pad_token_id, *(settings.suppress_tokens or ())} - {None, *ends}
    never |= {words[0] for words in settings.bad_words_ids or () if len(words) == 1} - set(ends)
    never_first = never | set(settings.begin_suppress_tokens or ())
    last = settings.forced_eos_token_id
    return _Rules(
        int(start),
        torch.tensor(ends, device=model.device),
        settings.forced_bos_token_id,
        last[0] if isinstance(last, list) else last,
        torch.tensor(sorted(never), dtype=torch.long, device=model.device),
        torch.tensor(sorted(never_first), dtype=torch.long, device=model.device),
        True if beams == 1 else settings.early_stopping or False,  # one beam is greedy search
    )


def _continuations(logits: Any, rules: _Rules, length: int, bounded: Any, wanted: int) -> tuple[Any, Any]:
    """Return log probabilities and numbers of the most likely next tokens. Shapes (R, V) → (R, wanted) twice."""
    import torch

    if length == 1 and rules.first is not None:
        scores = torch.zeros((len(logits), 1), device=logits.device)
        words = torch.full_like(scores, rules.first, dtype=torch.long)
    else:
        everything = logits.logsumexp(dim=1, keepdim=True)
        logits[:, rules.never_first if length == 1 else rules.never] = float("-inf")
        scores, words = logits.topk(min(wanted, logits.shape[1]), dim=1)
        scores = scores - everything
    if rules.last is not None and bool(bounded.any()):
        rows = bounded.repeat_interleave(len(logits) // len(bounded))
        scores[rows], words[rows] = float("-inf"), rules.last
        scores[rows, 0] = 0.0
    return scores, words


def _filled(candidates: Any, wanted: int, value: float = 0) -> Any:
    """Add columns of `value` to candidates of shape (A, w) that are fewer than `wanted`."""
    import torch

    return torch.nn.functional.pad(candidates, (0, max(0, wanted - candidates.shape[1])), value=value)


def _may_improve(running: Any, worst: Any, length: int, limits: Any, rules: _Rules, length_penalty: float) -> Any:
    """Return which sentences continue.

    Args:
        running: Log probability of the best unfinished translation. Shape (A,).
        worst: Score of the worst of K finished ones; minus infinity where fewer have finished. Shape (A,).
        length: Tokens so far.
        limits: Bounds of the sentences. Shape (A,).
        rules: Of the model.
        length_penalty: Of the scores.
    """
    full = worst > float("-inf")
    if rules.early_stopping is True:
        return ~full
    longest = limits if rules.early_stopping == "never" and length_penalty > 0 else length
    return ~full | (running / longest**length_penalty > worst)
