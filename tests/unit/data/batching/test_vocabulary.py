"""Unsupported characters and scripts are reported before training starts."""

from typing import Any

import pyarrow as pa
import pytest
from tokenizers import ByteLevelBPETokenizer
from transformers import PreTrainedTokenizerFast

from tests.support import bitext, checkpoints
from tests.support.models import tokenizer
from toolkit import models, sources
from toolkit.config.settings import LoadingConfig
from toolkit.data.batching.vocabulary import remarks, unread, unread_rows, unwritable
from toolkit.tasks.inputs.image import IMAGE
from toolkit.tasks.inputs.text import TEXT
from toolkit.tasks.inputs.words import WORDS
from toolkit.tasks.targets.token_labels import TOKEN_LABELS
from toolkit.tasks.task import Column


def test_characters_that_become_unknown():
    made = tokenizer("a b c ##a ##b ##c")
    assert unwritable(["abc", "añb", "ñ"], made) == {"ñ": 2}
    (output,) = remarks({"source": ["ab"], "target": ["añb", "b"]}, made)
    assert output == (
        "The vocabulary lacks 1 character of the target, which cannot be generated: ñ (1). They occur in 1 of 2 rows."
    )


def test_the_target_is_tokenized_as_a_target(tmp_path):
    made = models.load_tokenizer(bitext.marian(tmp_path / "marian"), LoadingConfig(), fast=False)
    assert not unwritable(["one cat"], made)
    assert unwritable(["Kätz"], made, target=True) == {"ä": 1}


# --- texts that a vocabulary knows little of ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def english() -> Any:
    return models.load_tokenizer(sources.package_path(checkpoints.TINY.removeprefix("pkg://")), LoadingConfig())


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("ጥሩ ነበር በጣም ታሪኩ ወደድኩት", "Ethiopic"),
        ("很无聊的电影剧情混乱演员再好也没有用", "Han"),
        ("หนังเรื่องนี้น่าเบื่อมาก", "Thai"),
    ],
)
def test_unknown_script_is_named_with_a_share_and_a_model(english: Any, text: str, script: str) -> None:
    output = unread([text] * 3, english, translates=False)
    assert output is not None
    ids = english(text, add_special_tokens=False)["input_ids"]
    assert output.startswith(f"{ids.count(english.unk_token_id) / len(ids):.0%} of the tokens are unknown")
    assert f"the {script} script" in output
    assert "xlm-roberta-base" in output
    assert "nllb" in str(unread([text], english, translates=True))


@pytest.mark.parametrize(
    ("text", "script"),
    [("Фильм был очень скучным, сценарий не понравился", "Cyrillic"), ("كان الفيلم مملا جدا", "Arabic")],
)
def test_script_of_which_letters_alone_are_known_is_named(english: Any, text: str, script: str) -> None:
    output = unread([text], english, translates=False)
    assert output is not None
    assert f"no words of the {script} script" in output
    assert f"{100 * len(english.tokenize(text)) / len(text.replace(' ', '')):.0f} tokens for 100 characters" in output
    assert unread([text], english, translates=True) is None


@pytest.mark.parametrize(
    "text",
    [
        "a dull film with a clever script", "Elokuva oli valitettavasti tylsä, vaikka näyttelijät yrittivät parhaansa",
        "Bộ phim rất nhàm chán và kịch bản yếu", "1,2,3 4,5;6", "a b c d", "for(i=0;i<n;i++){a[i]=b[i];}", " ", "",
    ],
)  # fmt: skip
def test_texts_that_are_read_well_are_not_remarked_on(english: Any, text: str) -> None:
    assert unread([text], english, translates=False) is None


def test_signs_that_are_no_letters_are_shown(english: Any) -> None:
    output = unread(["good \U0001f600 \U0001f389"], english, translates=False)
    assert output is not None
    assert "\U0001f600 \U0001f389" in output
    assert "script" not in output


def test_few_unknown_tokens_are_not_remarked_on(english: Any) -> None:
    texts = ["a dull film with a clever script and a fine cast"] * 20
    assert unread([*texts, "\U0001f600"], english, translates=False) is None


def test_bytes_are_counted_where_nothing_is_unknown() -> None:
    made = ByteLevelBPETokenizer()
    made.train_from_iterator(["a dull film with a clever script"], vocab_size=300, show_progress=False)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made._tokenizer, eos_token="<e>")
    output = unread(["很无聊的电影剧情混乱"], tokenizer, translates=False)
    assert output is not None
    assert "300 tokens for 100 characters" in output
    assert "the Han script" in output


def test_words_and_pairs_of_a_table_are_read(english: Any) -> None:
    columns = (Column("words", ("words",), WORDS), Column("labels", ("labels",), TOKEN_LABELS))
    foreign = ["ጥሩ", "ነበር"]
    assert unread_rows(pa.table({"words": [foreign]}), columns, english) is not None
    assert unread_rows(pa.table({"words": [["we", "met"]]}), columns, english) is None
    pair = (Column("text", ("text",), TEXT), Column("text_pair", ("text_pair",), TEXT, required=False))
    rows = pa.table({"text": ["fine"] * 1200, "text_pair": [" ".join(foreign), None] * 600})
    assert "Ethiopic" in str(unread_rows(rows, pair, english))
    picture = (Column("image", ("image",), IMAGE),)
    assert unread_rows(pa.table({"image": ["x.png"]}), picture, object()) is None
