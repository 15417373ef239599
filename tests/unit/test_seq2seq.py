"""Models for pairs of texts: one from scratch, and multilingual ones with language tokens."""

import numpy as np
import pytest
import torch

from tests.support import bitext
from tests.support.errors import refused
from toolkit import models, seq2seq
from toolkit.config import RunConfig
from toolkit.config.settings import LoadingConfig
from toolkit.errors import ConfigError, ModelError
from toolkit.inference.generate import SPARE
from toolkit.seq2seq import write_untrained
from toolkit.tasks import loading


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("untrained")
    texts = [text for pair in bitext.pairs(100) for text in pair]
    write_untrained(texts, made, vocabulary=400, width=32, layers=1, positions=40, seed=1)
    return made


@pytest.mark.parametrize("text", ["one cat", "fünf Katze", "漢字 and 🙂", "x  y", "¿qué?"])
def test_the_tokenizer_gives_back_what_it_read(folder, text):
    tokenizer = models.load_tokenizer(folder, LoadingConfig())
    ids = tokenizer(text)["input_ids"]
    assert ids[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(ids, skip_special_tokens=True).strip() == text


def test_the_model_is_one_of_transformers(folder):
    from transformers import AutoModelForSeq2SeqLM

    model = AutoModelForSeq2SeqLM.from_pretrained(folder)
    assert model.config.vocab_size == len(models.load_tokenizer(folder, LoadingConfig())) > 256
    assert model.get_input_embeddings().weight is model.get_output_embeddings().weight


def test_the_same_seed_gives_the_same_weights(folder, tmp_path):
    texts = [text for pair in bitext.pairs(100) for text in pair]
    write_untrained(texts, tmp_path / "again", vocabulary=400, width=32, layers=1, positions=40, seed=1)
    for name in ("model.safetensors", "tokenizer.json"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


# --- language tokens ------------------------------------------------------------------------------------------------

FIRST = {"mbart50": "de_DE", "m2m100": "__de__", "nllb": "deu_Latn"}  # and mbart-cc25 has it behind the end


@pytest.fixture(scope="module", params=["mbart", *FIRST])
def multilingual(request, tmp_path_factory):
    """Family, folder, recipe and configuration of a multilingual model."""
    folder = bitext.multilingual(tmp_path_factory.mktemp("multilingual") / request.param, request.param)
    options = {"source": "en", "target": "de", "beams": 3, "length_penalty": 1.0, "length_factor": 2.0}
    config = RunConfig(recipe="translation", data={"max_length": 20}, options=options)
    return request.param, folder, loading.load("translation"), config


def named(processor, ids):
    return processor.convert_ids_to_tokens([int(item) for item in ids])


def test_both_sides_carry_the_token_of_their_language(multilingual):
    family, folder, recipe, config = multilingual
    processor = recipe.load_processor(folder, config)
    rows = recipe.preprocess({"source": ["one cat"], "target": ["eins Katze"]}, processor, config)
    source, target = named(processor, rows["input_ids"][0]), named(processor, rows["labels"][0])
    if family == "mbart":  # X </s> language
        assert (source[-2:], target[-2:]) == (["</s>", "en_XX"], ["</s>", "de_DE"])
    else:  # language X </s>
        assert (source[-1], target[0], target[-1]) == ("</s>", FIRST[family], "</s>")
        assert source[0] in ("en_XX", "__en__", "eng_Latn")


def test_training_and_decoding_begin_with_the_target_language(multilingual):
    """What the decoder is given first in training is what decoding starts from, and then what is forced."""
    family, folder, recipe, config = multilingual
    processor = recipe.load_processor(folder, config)
    model = recipe.build_model(folder, (), config).eval()
    rows = recipe.preprocess({"source": ["one cat"], "target": ["eins Katze"]}, processor, config)
    batch = recipe.collate([{name: np.array(rows[name][0]) for name in ("input_ids", "labels")}], processor)
    seen = []
    model.get_decoder().register_forward_pre_hook(
        lambda _m, _a, given: seen.append(given["input_ids"]), with_kwargs=True
    )
    with torch.inference_mode():
        model(**batch)
    settings = model.generation_config
    begun = [settings.decoder_start_token_id, *([settings.forced_bos_token_id] if family != "mbart" else [])]
    assert seen[0][0, : len(begun)].tolist() == begun
    assert named(processor, begun[-1:]) == [FIRST.get(family, "de_DE")]


def test_translations_are_those_of_generate_and_hold_no_language_token(multilingual):
    _, folder, recipe, config = multilingual
    processor = recipe.load_processor(folder, config)
    model = recipe.build_model(folder, (), config).eval()
    torch.manual_seed(2)
    for parameter in model.parameters():  # gentle random weights write the same again and again
        parameter.data.add_(0.2 * torch.randn_like(parameter))
    sources = [source for source, _ in bitext.pairs(6)]
    rows = recipe.preprocess({"source": sources}, processor, config)
    batch = recipe.collate([{"input_ids": np.array(row)} for row in rows["input_ids"]], processor)
    bound = min(20, 2 * min(map(len, rows["input_ids"])) + SPARE)
    assert bound == 20
    with torch.inference_mode():
        output = recipe.generate(model, batch, processor, config)["prediction"]
        theirs = model.generate(**batch, max_new_tokens=20, suppress_tokens=[processor.pad_token_id])
    skipped = {model.generation_config.forced_bos_token_id, processor.pad_token_id}
    kept = [[token for token in row[1:] if token not in skipped] for row in theirs.tolist()]
    assert output == [text.strip() for text in processor.batch_decode(kept, skip_special_tokens=True)]
    assert not any("de_DE" in text or "__de__" in text or "deu_Latn" in text for text in output)


def test_a_language_that_the_model_does_not_know_is_refused(multilingual):
    _, folder, recipe, config = multilingual
    options = {**config.options, "target": "tlh"}
    with refused(ConfigError, "config.unknown-language", "'tlh'", "`target`"):
        recipe.load_processor(folder, config.model_copy(update={"options": options}))


def test_a_checkpoint_that_names_no_end_takes_its_tokenizers_or_is_refused(folder):
    from transformers import AutoModelForSeq2SeqLM

    model = AutoModelForSeq2SeqLM.from_pretrained(folder)
    tokenizer = models.load_tokenizer(folder, LoadingConfig())
    model.generation_config.eos_token_id = None
    seq2seq.settle_generation(model, tokenizer, beams=2, max_length=30, length_penalty=1.0)
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    model.generation_config.eos_token_id = tokenizer.eos_token = None
    with refused(ModelError, "model.generation-undefined", "`decoder_start_token_id`", "`eos_token_id`"):
        seq2seq.settle_generation(model, tokenizer, beams=2, max_length=30, length_penalty=1.0)
