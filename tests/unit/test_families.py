"""Families that count positions, pad and pool differently: their maximum length, and the effect of padding."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import WordLevel

from toolkit import checkpoints, models
from toolkit.attention.implementations import packed
from toolkit.config.settings import LoadingConfig, TrainingConfig
from toolkit.data.batching.batch import pad

TABLE = 26  # rows of the table of positions
SMALL = {
    "vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
    "max_position_embeddings": TABLE, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
}  # fmt: skip
ROBERTA = SMALL | {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
GPT = {"vocab_size": 60, "n_positions": TABLE, "n_embd": 16, "n_layer": 2, "n_head": 2, "bos_token_id": 2,
       "eos_token_id": 2}  # fmt: skip
LLAMA = {"vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
         "num_key_value_heads": 2, "intermediate_size": 24, "bos_token_id": 2, "eos_token_id": 2}  # fmt: skip
# family → its configuration's own keys
SHIFTED: dict[str, dict[str, Any]] = {
    "camembert": ROBERTA,
    "data2vec-text": ROBERTA,
    "ibert": ROBERTA,
    "longformer": ROBERTA | {"attention_window": 4},
    "markuplm": ROBERTA | {"xpath_unit_hidden_size": 4, "max_depth": 2},
    "mpnet": ROBERTA,
    "roberta": ROBERTA,
    "roberta-prelayernorm": ROBERTA,
    "xlm-roberta": ROBERTA,
    "xlm-roberta-xl": ROBERTA,
    "xmod": ROBERTA | {"default_language": "en_XX", "languages": ["en_XX"]},
}
LAST_TOKEN: dict[str, dict[str, Any]] = {
    "ctrl": GPT | {"dff": 16},
    "gpt2": GPT,
    "gpt_bigcode": GPT,
    "openai-gpt": GPT,
    "llama": LLAMA,
    "qwen2": LLAMA,
    "bloom": {"vocab_size": 60, "hidden_size": 16, "n_layer": 2, "n_head": 2, "bos_token_id": 2, "eos_token_id": 2},
    "opt": SMALL | {"ffn_dim": 16, "word_embed_proj_dim": 16, "pad_token_id": 1, "bos_token_id": 2, "eos_token_id": 2},
}
TABLES = {**SHIFTED, **{name: LAST_TOKEN[name] for name in ("ctrl", "gpt2", "gpt_bigcode", "openai-gpt", "opt")}}


def build(family: str, values: dict[str, Any]) -> Any:
    """Return a random classifier whose weights are large enough for a mistake to show."""
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(family, num_labels=3, **values)
    model = transformers.AutoModelForSequenceClassification.from_config(config).eval()
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.2)
    return model


def raw(model: Any) -> dict[str, Any]:
    return dict(json.loads(model.config.to_json_string(use_diff=False)))


def batch(lengths: tuple[int, ...], padding: int) -> dict[str, Any]:
    draw = np.random.default_rng(0)
    return pad([{"input_ids": draw.integers(5, 60, length)} for length in lengths], {"input_ids": padding})


@pytest.mark.parametrize("family", TABLES)
def test_reach_is_the_longest_text_that_a_family_takes(family: str) -> None:
    model = build(family, TABLES[family])
    reach = checkpoints.reach(raw(model))
    assert reach is not None
    assert reach in (TABLE, TABLE - 2)
    if family in SHIFTED:
        assert reach == TABLE - 2
    if model.config.pad_token_id is None:
        model.config.pad_token_id = 2
    assert model(**batch((reach,), 1)).logits.shape == (1, 3)
    with pytest.raises((IndexError, RuntimeError)):
        model(**batch((reach + 1,), 1))


def test_every_family_with_such_positions_is_known() -> None:
    """A family whose table of positions has a row for padding counts from behind it."""
    known = transformers.models.auto.modeling_auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES
    folder = Path(transformers.__file__).parent / "models"
    unknown = []
    for family in known:
        name = family.removesuffix("-text").replace("-", "_")
        sources = (folder / name).glob("modeling_*.py")
        counts = any("def create_position_ids_from_input_ids" in file.read_text("utf-8") for file in sources)
        if counts and checkpoints.reach({"model_type": family, "max_position_embeddings": 10, "pad_token_id": 1}) != 8:
            unknown.append(family)
    assert unknown == []


@pytest.mark.parametrize("family", {**SHIFTED, **LAST_TOKEN})
def test_neither_padding_nor_packing_changes_a_prediction(family: str) -> None:
    values = {**SHIFTED, **LAST_TOKEN}[family]
    model = build(family, values)
    reach = checkpoints.reach(raw(model)) or 30
    if model.config.pad_token_id is None:
        model.config.pad_token_id = 2
    padding = model.config.pad_token_id
    lengths = (3, min(reach, 24), 7, 3)
    inputs = batch(lengths, padding)
    with torch.no_grad():
        padded = model(**inputs).logits
        alone = [
            model(input_ids=inputs["input_ids"][row : row + 1, :length]).logits for row, length in enumerate(lengths)
        ]
        torch.testing.assert_close(padded, torch.cat(alone), atol=1e-4, rtol=1e-3)
        with packed.unpadded(model, batch((3, 5, 8), padding)) as packing:
            if packing is not None:
                with packing.batch(inputs, "cpu"):
                    torch.testing.assert_close(model(**inputs).logits, padded, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(
    "marks", [{"eos_token": "<e>"}, {"unk_token": "<u>"}, {"eos_token": "<e>", "pad_token": "<p>"}]
)
def test_last_token_model_gets_the_padding_token(marks: dict[str, str], tmp_path: Path) -> None:
    words = {"<e>": 0, "<u>": 1, "<p>": 2, "one": 3, "two": 4, "three": 5}
    made = Tokenizer(WordLevel(words, unk_token="<u>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(tokenizer_object=made, **marks).save_pretrained(tmp_path)
    build("gpt2", GPT | {"bos_token_id": None, "eos_token_id": None}).save_pretrained(tmp_path)
    auto = transformers.AutoModelForSequenceClassification
    model = models.load(auto, tmp_path, ("a", "b", "c"), LoadingConfig(), TrainingConfig(dropout=None)).eval()
    tokenizer = models.load_tokenizer(tmp_path, LoadingConfig())
    expected = words[marks.get("pad_token") or next(iter(marks.values()))]
    assert (model.config.pad_token_id, tokenizer.pad_token_id) == (expected, expected)
    texts = ["one two three", "two"]
    rows = [{"input_ids": np.array(tokenizer(text)["input_ids"])} for text in texts]
    with torch.no_grad():
        together = model(**pad(rows, {"input_ids": tokenizer.pad_token_id})).logits
        alone = torch.cat([model(**pad([row], {})).logits for row in rows])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)
    models.save(model, tokenizer, tmp_path / "saved")
    assert models.load_tokenizer(tmp_path / "saved", LoadingConfig()).pad_token_id == expected


def test_padding_of_families_that_read_the_first_token_stays_as_it_is(tmp_path: Path) -> None:
    """Their positions are counted from its number."""
    build("roberta", ROBERTA).save_pretrained(tmp_path)
    auto = transformers.AutoModelForSequenceClassification
    model = models.load(auto, tmp_path, ("a", "b", "c"), LoadingConfig(), TrainingConfig(dropout=None))
    assert model.config.pad_token_id == 1
