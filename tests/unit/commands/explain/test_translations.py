"""Inputs of `explain` for translations: texts, pairs, and manual alignments."""

from dataclasses import dataclass
from typing import Any

import pytest
from transformers import AutoModelForSeq2SeqLM

from tests.support import bitext
from tests.support.errors import refused
from toolkit.commands.explain.request import Budget, ExplanationRequest
from toolkit.commands.explain.translations import _check_gold, _score_pairs, explain, read_pairs
from toolkit.config import RunConfig
from toolkit.errors import ConfigError, DataError
from toolkit.events import Counted
from toolkit.explanation.translations.error_rate import Gold
from toolkit.inference.model import LoadedModel
from toolkit.tasks import loading


@dataclass
class RecipeAndConfig:
    """The part of the inputs that reading texts needs."""

    recipe: Any
    config: RunConfig


@pytest.fixture
def subject():
    config = RunConfig(recipe="translation", options={"source": "en", "target": "de"})
    return RecipeAndConfig(loading.load("translation"), config)


def gold(*links):
    return Gold(frozenset(links), frozenset(links))


def test_lines_are_translated_and_pairs_are_taken_as_they_are(subject, write):
    assert read_pairs(write("a.txt", "one\n\n two \n"), subject) == [("one",), ("two",)]
    assert read_pairs(write("b.tsv", "en\tde\none cat\teins Katze\ntwo\t\n"), subject) == [("one cat", "eins Katze")]
    assert read_pairs(write("c.csv", "en,note\none cat,x\n"), subject) == [("one cat",)]
    assert read_pairs(write("d.jsonl", '{"translation": {"en": "one", "de": "eins"}}\n'), subject) == [("one", "eins")]
    write("e.de", "eins\n")
    assert read_pairs(write("e.en", "one\n"), subject) == [("one", "eins")]  # a pair of files


def test_a_file_without_texts(subject, write):
    with refused(DataError, "data.no-rows", "a.txt", "source"):
        read_pairs(write("a.txt", " \n"), subject)


def test_a_gold_alignment_has_to_be_of_the_pairs(tmp_path):
    file = tmp_path / "gold.txt"
    _check_gold(file, [gold((0, 0)), gold()], [("a b", "c"), ("d", "e")])
    with refused(ConfigError, "data.gold-mismatch", "1 lines", "2 pairs"):
        _check_gold(file, [gold()], [("a", "b"), ("c", "d")])
    with refused(DataError, "data.gold-mismatch", "line 2", "0-1", "1 and 1 words"):
        _check_gold(file, [gold(), gold((0, 1))], [("a", "b"), ("c", "d")])
    with refused(ConfigError, "data.gold-mismatch", "--file"):
        _check_gold(file, [gold()], [("a",)])


def test_methods_are_for_classes():
    with refused(ConfigError, "config.not-for-task", "--method"):
        explain(None, ExplanationRequest([("a",)], ("rollout",)), None, "", print)


def test_pairs_are_aligned_until_the_time_is_spent(subject, tmp_path):
    folder = bitext.t5(tmp_path)
    processor = subject.recipe.load_processor(folder, subject.config)
    model = AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    loaded = LoadedModel(model, processor, subject.recipe, (), subject.config)
    pairs, told = bitext.pairs(3), []
    seen = _score_pairs(loaded, pairs, told.append, Budget.of(0), by_spaces=False)
    assert [(one.pair.source, one.pair.target) for one in seen] == pairs[:1]
    assert told == [Counted(1, 3)]
    assert len(_score_pairs(loaded, pairs, told.append, Budget.of(None), by_spaces=False)) == 3
