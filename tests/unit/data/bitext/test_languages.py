"""One code for a language, for every notation of a model."""

import json

import pytest

from tests.support.errors import refused
from toolkit.data.bitext.languages import alike, check, codes_of, match, name_of, token_number
from toolkit.errors import ConfigError

MBART = ("ar_AR", "en_XX", "fr_XX", "zh_CN")
NLLB = ("eng_Latn", "fra_Latn", "zho_Hans", "zho_Hant", "srp_Cyrl", "kas_Arab", "kas_Deva")
M2M100 = ("en", "fr", "zh")


@pytest.mark.parametrize(
    ("code", "known", "expected"),
    [
        ("fr", MBART, "fr_XX"),
        ("fra", MBART, "fr_XX"),
        ("fr_XX", MBART, "fr_XX"),
        ("en", NLLB, "eng_Latn"),
        ("zh", NLLB, "zho_Hans"),
        ("zho_Hant", NLLB, "zho_Hant"),
        ("zh-Hant", NLLB, "zho_Hant"),
        ("sr", NLLB, "srp_Cyrl"),
        ("fr", M2M100, "fr"),
        ("zho", M2M100, "zh"),
    ],
)
def test_codes(code, known, expected):
    assert match(code, known, "target") == expected


def test_unknown_and_ambiguous_codes():
    with refused(ConfigError, "config.unknown-language", "`target`", "'xx'") as caught:
        match("xx", MBART, "target")
    assert "`target`" in caught.value.problem
    with refused(ConfigError, "config.unknown-language", "'kas'", "2 forms") as caught:
        match("kas", NLLB, "source")
    assert "kas_Arab" in caught.value.fix


def test_invalid_language_pair_is_rejected():
    check("en", "de")
    check(None, None)
    with refused(ConfigError, "config.same-language", "'en'"):
        check("en", "en")
    with refused(ConfigError, "config.same-language", "'en_US'", "'en-us'"):
        check("en_US", "en-us")
    check("en_US", "en_GB")
    with refused(ConfigError, "config.unknown-language", "'French'", "--target fr") as caught:
        check("en", "French")
    assert caught.value.fix == "Give its code: --target fr."


def test_spellings_of_one_language_and_region():
    known = ["en", "EN_us", "en-US", "en_GB", "fr"]
    assert alike("en-us", known) == ["EN_us", "en-US"]
    assert alike("eng", known) == ["en"]
    assert alike("en", known[1:]) == ["EN_us", "en-US", "en_GB"]
    assert alike("fr_CA", known) == ["fr"]
    assert alike("en_AU", known[1:]) == []


def test_names():
    assert name_of("de") == name_of("deu_Latn") == name_of("DE-at") == "German"
    assert name_of("tlh") == "tlh"


def test_the_token_of_a_language_is_not_the_piece_of_words_written_alike(tmp_path):
    sentencepiece = pytest.importorskip("sentencepiece")
    from transformers import M2M100Tokenizer

    text = tmp_path / "text.txt"
    text.write_text("the cat sat here\nle chat des fruits\n" * 50)
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(tmp_path / "pieces"), vocab_size=40, hard_vocab_limit=False, minloglevel=2
    )
    vocabulary = {piece: number for number, piece in enumerate(("<s>", "<pad>", "</s>", "<unk>", "\u2581c", "fr"))}
    (tmp_path / "vocab.json").write_text(json.dumps(vocabulary))
    tokenizer = M2M100Tokenizer(str(tmp_path / "vocab.json"), str(tmp_path / "pieces.model"))
    tokenizer.tgt_lang = "fr"
    assert "fr" in codes_of(tokenizer)
    assert vocabulary["fr"] != token_number(tokenizer, "fr") == tokenizer(text_target="chat").input_ids[0]
