"""What `inspect` counts, on tables whose counts are known."""

from pathlib import Path

import numpy as np
import pytest

from toolkit.config.settings import DataConfig
from toolkit.data.load import load_table
from toolkit.data.tables.inspect import inspect
from toolkit.tasks import loading

RECIPES = Path(__file__).parents[3] / "support" / "recipes"


@pytest.fixture
def part(sentiment, write_csv):
    rows = [("a b c", "x"), ("A  b c", "x"), ("a b c", "y"), ("d e", "y"), ("d e", "y"), ("f", "x"), ("g h i j", "x")]
    table = load_table(sentiment, DataConfig(source=str(write_csv("all.csv", rows))))

    def look(lengths_of=None):
        (result,) = inspect(table, sentiment.columns, lengths_of)
        return result

    return look


def test_classes_repeats_and_contradictions(part):
    result = part()
    assert (result.name, result.rows) == ("all", 7)
    assert result.classes == {"x": 4, "y": 3}
    assert result.repeated == 3
    assert result.contradictory == 3
    assert result.examples == {"x": "a b c", "y": "a b c"}


def test_lengths_are_words_without_a_tokenizer(part):
    result = part()
    assert result.lengths.tolist() == [3, 3, 3, 2, 2, 1, 4]
    assert result.cut_at(2) == 4
    assert result.cut_at(4) == 0


def test_lengths_are_tokens_with_one(part):
    result = part(lambda rows: {"input_ids": [[7] * len(text) for text in rows["text"]]})
    assert result.lengths.tolist() == [5, 6, 5, 3, 3, 1, 7]
    assert result.cut_at(5) == 2


def test_every_part_is_described(sentiment, write_csv, tmp_path):
    write_csv("reviews/train.csv", [("a", "x"), ("b", "y")])
    write_csv("reviews/test.csv", [("c", "x")])
    table = load_table(sentiment, DataConfig(source=str(tmp_path / "reviews")))
    results = {part.name: part for part in inspect(table, sentiment.columns, None)}
    assert results["test"].classes == {"x": 1, "y": 0}
    assert results["test"].examples == {"x": "c"}
    assert results["train"].repeated == results["train"].contradictory == 0


def test_several_labels_of_a_row_are_shown_as_shares_of_rows(write):
    recipe = loading.load(str(RECIPES / "topics.py"))
    rows = "text,topics\na,x;y\na,y;x\nb,x\nb,\nc,z\n"
    settings = DataConfig(source=str(write("all.csv", rows)), label_map={"x": "x", "y": "y", "z": None})
    table = load_table(recipe, settings)
    (found,) = inspect(table, recipe.columns, None)
    assert found.classes == {"x": 3, "y": 2}
    assert found.summary == {"classes": "x 3 (75.0 %), y 2 (50.0 %), rows without any 1 (25.0 %)"}
    assert found.contradictory == 2
    assert found.examples == {"x": "a", "y": "a"}
    assert table.counts == {"without_label": 1}


def test_labels_of_words_are_counted_by_word(tokens, write):
    rows = '{"words": ["Ada", "wrote"], "labels": ["B-PER", "O"]}\n{"words": ["it", "is"], "labels": ["O", "O"]}\n'
    table = load_table(tokens, DataConfig(source=str(write("all.jsonl", rows))))
    (found,) = inspect(table, tokens.columns, None)
    assert found.classes == {"B-PER": 1, "O": 3}
    assert found.summary == {"classes": "B-PER 1 (25.0 %), O 3 (75.0 %)"}
    assert np.array_equal(found.lengths, [2, 2])
    assert found.contradictory == 0


def test_the_example_of_a_class_has_both_texts_of_a_pair(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text(
        "premise,hypothesis,label\na man sleeps,he is asleep,x\nsnow falls,it rains,y\n", encoding="utf-8"
    )
    recipe = loading.load("text")
    (result,) = inspect(load_table(recipe, DataConfig(source=str(tmp_path / "pairs.csv"))), recipe.columns, None)
    assert [text.split(" ⏎ ") for text in result.examples.values()] == [
        ["a man sleeps", "he is asleep"],
        ["snow falls", "it rains"],
    ]
