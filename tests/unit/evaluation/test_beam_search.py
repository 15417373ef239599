"""Beam search finds what transformers' own finds, sentence by sentence, and ends where it is told."""

import pytest
import torch

from tests.support import models
from toolkit.evaluation.beam_search import beam_search

END, LONGEST = 2, 12


@pytest.fixture(params=["t5", "marian"])
def model(request):
    made, _ = models.make(request.param)
    made.generation_config.update(eos_token_id=END, pad_token_id=0, forced_eos_token_id=None)
    return made


def sources(rows=8):
    torch.manual_seed(1)
    ids, mask = torch.randint(3, models.WORDS, (rows, 7)), torch.ones(rows, 7, dtype=torch.long)
    mask[2:5, 4:] = 0
    return ids, mask


def search(model, ids, mask, bounds=None, **settings):
    with torch.inference_mode():
        return beam_search(model, ids, mask, bounds or [LONGEST] * len(ids), **settings)


def reference(model, ids, mask, beams):
    written = model.generate(
        input_ids=ids, attention_mask=mask, num_beams=beams, max_new_tokens=LONGEST, suppress_tokens=[0]
    )
    return [row[: row.index(END)] if END in row else row[:LONGEST] for row in written[:, 1:].tolist()]


def log_probability(model, ids, mask, written):
    """Score one translation as training would: forced, in one pass."""
    tokens = [*written.tokens, *([END] if written.ended else [])]
    before = torch.tensor([[model.config.decoder_start_token_id, *tokens[:-1]]])
    with torch.inference_mode():
        logits = model(input_ids=ids, attention_mask=mask, decoder_input_ids=before).logits[0].log_softmax(-1)
    return float(logits[range(len(tokens)), tokens].sum()) / len(tokens)


def test_greedy_search_is_transformers_own(model):
    ids, mask = sources()
    assert [list(one.tokens) for one in search(model, ids, mask, beams=1)] == reference(model, ids, mask, 1)


def test_scores_are_those_of_the_model_and_no_worse_than_transformers(model):
    ids, mask = sources()
    ours, greedy = search(model, ids, mask, beams=4), search(model, ids, mask, beams=1)
    theirs = reference(model, ids, mask, 4)
    assert sum(list(one.tokens) == other for one, other in zip(ours, theirs, strict=True)) >= 7  # ends a step sooner
    for row, one in enumerate(ours):
        alone = ids[row : row + 1, : int(mask[row].sum())]
        assert log_probability(model, alone, torch.ones_like(alone), one) == pytest.approx(one.score, abs=1e-4)
    assert sum(one.score for one in ours) > sum(one.score for one in greedy)


def test_a_sentence_is_translated_alike_alone_and_among_others(model):
    ids, mask = sources()
    together = search(model, ids, mask, beams=3)
    for row, one in enumerate(together):
        alone = ids[row : row + 1, : int(mask[row].sum())]
        (single,) = search(model, alone, torch.ones_like(alone), beams=3)
        assert single.tokens == one.tokens


def test_each_sentence_has_its_own_bound(model):
    ids, mask = sources()
    bounds = [1, 2, 3, 4, 5, 6, 7, 12]
    written = search(model, ids, mask, bounds, beams=2)
    assert all(len(one.tokens) <= bound for one, bound in zip(written, bounds, strict=True))
    assert all(one.ended or len(one.tokens) == bound for one, bound in zip(written, bounds, strict=True))


def test_a_language_token_is_forced_first(model):
    ids, mask = sources()
    model.generation_config.forced_bos_token_id = 17
    assert {one.tokens[0] for one in search(model, ids, mask, beams=3)} == {17}


def test_the_padding_token_and_bad_words_are_never_written(model):
    ids, mask = sources()
    model.generation_config.bad_words_ids = [[5], [6], [7, 8]]
    written = {token for one in search(model, ids, mask, beams=3) for token in one.tokens}
    assert not written & {0, 5, 6}
