"""Beam search gives the results of transformers' own, sentence by sentence, and respects its limits."""

import pytest
import torch

from tests.support import models, recordings
from tests.support.errors import refused
from toolkit.errors import ModelError
from toolkit.inference.beam_search import beam_search

END, LONGEST = 2, 12


@pytest.fixture(params=["t5", "marian", "mbart", "m2m100"])
def model(request):
    made, _ = models.make(request.param)
    if request.param != "t5":  # an output of its own, and not too sure of itself to have a second choice
        torch.manual_seed(3)
        made.lm_head.weight = torch.nn.Parameter(torch.randn(models.WORDS, 16) * 0.5)
    made.generation_config.update(eos_token_id=END, pad_token_id=0, forced_eos_token_id=None, early_stopping=True)
    return made


def sources(rows=8):
    torch.manual_seed(1)
    ids, mask = torch.randint(3, models.WORDS, (rows, 7)), torch.ones(rows, 7, dtype=torch.long)
    mask[2:5, 4:] = 0
    return ids, mask


def search(model, ids, mask, bounds=None, **settings):
    with torch.inference_mode():
        inputs = {"input_ids": ids, "attention_mask": mask}
        return beam_search(model, inputs, bounds or [LONGEST] * len(ids), **settings)


def reference(model, ids, mask, beams, **settings):
    """Let transformers' generate translate; what follows the end is left out."""
    written = model.generate(
        input_ids=ids, attention_mask=mask, num_beams=beams, max_new_tokens=LONGEST, suppress_tokens=[0], **settings
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
    assert [list(item.tokens) for item in search(model, ids, mask, beams=1)] == reference(model, ids, mask, 1)


@pytest.mark.parametrize("early_stopping", [True, False, "never"])
@pytest.mark.parametrize(("beams", "penalty"), [(2, 1.0), (4, 1.0), (5, 0.6), (4, 2.0), (3, 0.0)])
def test_beam_search_is_transformers_own(model, beams, penalty, early_stopping):
    ids, mask = sources(12)
    model.generation_config.early_stopping = early_stopping
    ours = search(model, ids, mask, beams=beams, length_penalty=penalty)
    theirs = reference(model, ids, mask, beams, length_penalty=penalty)
    assert [list(item.tokens) for item in ours] == theirs
    assert len(set(map(tuple, theirs))) > 3


def test_an_end_that_is_forced_at_the_bound_is_transformers_own(model):
    ids, mask = sources(12)
    model.generation_config.update(forced_eos_token_id=END, forced_bos_token_id=17)
    ours = search(model, ids, mask, beams=4)
    assert [list(item.tokens) for item in ours] == reference(model, ids, mask, 4)
    assert {item.tokens[0] for item in ours} == {17}
    bounded = search(model, ids, mask, [3] * len(ids), beams=4)
    assert all(len(item.tokens) <= 2 for item in bounded)
    assert not all(item.ended for item in bounded)


def test_several_tokens_may_end_a_translation(model):
    ids, mask = sources(12)
    model.generation_config.eos_token_id = [END, 9, 23]
    ours = search(model, ids, mask, beams=3)
    written = model.generate(
        input_ids=ids, attention_mask=mask, num_beams=3, max_new_tokens=LONGEST, suppress_tokens=[0]
    )
    for item, row in zip(ours, written[:, 1:].tolist(), strict=True):
        assert row[: len(item.tokens)] == list(item.tokens)
        assert not item.ended or row[len(item.tokens)] in (END, 9, 23)


def test_scores_are_those_of_the_model_and_better_than_of_greedy_search(model):
    ids, mask = sources()
    ours, greedy = search(model, ids, mask, beams=4), search(model, ids, mask, beams=1)
    for row, item in enumerate(ours):
        alone = ids[row : row + 1, : int(mask[row].sum())]
        assert log_probability(model, alone, torch.ones_like(alone), item) == pytest.approx(item.score, abs=1e-4)
    assert sum(item.score for item in ours) > sum(item.score for item in greedy)


@pytest.mark.parametrize("missing", ["eos_token_id", "decoder_start_token_id"])
def test_a_model_that_does_not_say_where_to_start_or_end_is_refused(model, missing):
    model.generation_config.update(**{missing: None, "bos_token_id": None})
    with refused(ModelError, "model.generation-undefined", "`decoder_start_token_id`", "`eos_token_id`"):
        search(model, *sources(), beams=2)


def test_a_sentence_is_translated_alike_alone_and_among_others(model):
    ids, mask = sources()
    together = search(model, ids, mask, beams=3)
    for row, item in enumerate(together):
        alone = ids[row : row + 1, : int(mask[row].sum())]
        (single,) = search(model, alone, torch.ones_like(alone), beams=3)
        assert single.tokens == item.tokens


def test_each_sentence_has_its_own_bound(model):
    ids, mask = sources()
    bounds = [1, 2, 3, 4, 5, 6, 7, 12]
    written = search(model, ids, mask, bounds, beams=2)
    assert all(len(item.tokens) <= bound for item, bound in zip(written, bounds, strict=True))
    assert all(item.ended or len(item.tokens) == bound for item, bound in zip(written, bounds, strict=True))


def test_a_language_token_is_forced_first(model):
    ids, mask = sources()
    model.generation_config.forced_bos_token_id = 17
    assert {item.tokens[0] for item in search(model, ids, mask, beams=3)} == {17}


def test_the_padding_token_and_bad_words_are_never_written(model):
    ids, mask = sources()
    model.generation_config.bad_words_ids = [[5], [6], [7, 8]]
    written = {token for item in search(model, ids, mask, beams=3) for token in item.tokens}
    assert not written & {0, 5, 6}


@pytest.fixture(scope="module")
def whisper(tmp_path_factory):
    from transformers import WhisperForConditionalGeneration

    made = WhisperForConditionalGeneration.from_pretrained(
        recordings.whisper(tmp_path_factory.mktemp("whisper"))
    ).eval()
    torch.manual_seed(3)
    for parameter in made.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    return made


@pytest.mark.parametrize(("beams", "early_stopping"), [(1, None), (4, True), (3, False)])
def test_whisper_writes_what_transformers_own_writes(whisper, beams, early_stopping):
    settings = whisper.generation_config
    settings.early_stopping = early_stopping
    features = torch.randn(6, 16, 100)
    prompt = [settings.lang_to_id["<|de|>"], settings.task_to_id["transcribe"], settings.no_timestamps_token_id]
    with torch.inference_mode():
        written = beam_search(whisper, {"input_features": features}, [LONGEST] * 6, beams=beams, prompt=prompt)
        theirs = whisper.generate(
            features, language="de", task="transcribe", num_beams=beams, max_new_tokens=LONGEST, return_timestamps=False
        )
    end = settings.eos_token_id
    rows = [[token for token in row if token not in (end, *prompt, end + 1)] for row in theirs.tolist()]
    assert [[token for token in item.tokens if token not in prompt] for item in written] == rows
    assert all(len(row) > 2 for row in rows)
    assert {item.tokens[0] for item in written}.isdisjoint(settings.begin_suppress_tokens)
