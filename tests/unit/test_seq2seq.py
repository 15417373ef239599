"""A model from nothing: it loads as any other, and its tokenizer writes every character."""

import pytest

from tests.support import bitext
from toolkit import models
from toolkit.seq2seq import write_untrained
from toolkit.settings import LoadingConfig


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
