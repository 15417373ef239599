"""A planted bad group is found; with random mistakes, false alarms are within the level."""

import numpy as np
import pyarrow as pa
import pytest

from toolkit.evaluation.checks import slices
from toolkit.evaluation.statistics.claims import worst_groups

WORDS = [f"word{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]


def sentences(random, size=400):
    return [" ".join(random.choice(WORDS, random.integers(3, 12), replace=False)) for _ in range(size)]


def study(wrong, rows, seed=0, classes=None):
    return slices.section(~wrong, rows, {"text": rows["text"].to_pylist()}, classes, 0.95, seed)


def test_mistakes_at_random_rarely_make_any_group_look_bad(monkeypatch):
    monkeypatch.setattr(worst_groups, "SHUFFLES", 200)
    alarms = []
    for seed in range(150):
        random = np.random.default_rng([7, seed])
        texts = sentences(random, 300)
        rows = pa.table({"text": texts, "source": random.choice(["a", "b", "c"], 300)})
        wrong = random.random(300) < 0.2
        alarms.append(study(wrong, rows, seed)["clear"] > 0)
    assert np.mean(alarms) <= 0.09  # 0.05 and twice the error of so few draws


def test_a_planted_bad_word_is_found_and_no_innocent_one():
    random = np.random.default_rng(0)
    texts = sentences(random)
    wrong = np.array([random.random() < (0.6 if "wordq" in text.split() else 0.1) for text in texts])
    result = study(wrong, pa.table({"text": texts}))
    assert [(item["by"], item["name"]) for item in result["worst"]] == [("word", "wordq")]
    (worst,) = result["worst"]
    assert worst["p"] < 0.05
    assert worst["rows"] == sum("wordq" in text.split() for text in texts)
    assert worst["accuracy"]["low"] < worst["accuracy"]["value"] < worst["accuracy"]["high"] < result["accuracy"]


def test_a_planted_bad_source_is_found_among_columns_of_every_kind():
    random = np.random.default_rng(1)
    source = random.choice(["web", "mail", "chat"], 400)
    rows = pa.table(
        {
            "text": sentences(random),
            "source": pa.array(source).dictionary_encode(),
            "stars": random.integers(1, 100, 400),
            "score": pa.array([None if value < 0.2 else value for value in random.random(400)]),
            "same": ["x"] * 400,
            "id": [f"id{number}" for number in range(400)],
            "words": pa.array([["a"]] * 400),
            "_file": ["f.csv"] * 400,
            "_row": range(400),
        }
    )
    wrong = random.random(400) < np.where(source == "chat", 0.5, 0.1)
    result = study(wrong, rows)
    assert (result["worst"][0]["by"], result["worst"][0]["name"]) == ("source", "chat")
    groups = {item["by"] for item in result["groups"]}
    assert groups == {"length", "source", "stars", "score"}
    for by in ("length", "stars"):
        assert sum(item["rows"] for item in result["groups"] if item["by"] == by) == 400


def test_classes_are_groups_and_small_groups_are_none():
    random = np.random.default_rng(2)
    classes = ["common"] * 185 + ["rare"] * 15
    result = study(np.arange(200) >= 185, pa.table({"text": sentences(random, 200)}), classes=classes)
    assert [(item["name"], item["rows"]) for item in result["groups"] if item["by"] == "class"] == [("common", 185)]
    assert result["smallest"] == 20


@pytest.mark.parametrize("wrong", [np.zeros(60, bool), np.ones(60, bool)])
def test_no_group_is_worse_without_variation(wrong):
    result = study(wrong, pa.table({"text": sentences(np.random.default_rng(3), 60)}))
    assert result["worst"] == []
    assert result["looked_at"] >= 5


def test_few_rows_make_no_groups():
    result = study(np.array([True, False]), pa.table({"text": ["a", "b"]}))
    assert (result["looked_at"], result["groups"], result["worst"]) == (0, [], [])


def test_apostrophes_and_case_belong_to_words():
    texts = ["Don't go", "don’t stop", "DON'T"] * 10 + ["other"] * 40
    names = {item.name: len(item.members) for item in slices.by_word(texts)}
    assert names == {"don't": 20}


def test_pairs_are_grouped_by_the_length_of_each_text_and_by_the_words_they_share():
    random = np.random.default_rng(4)
    first = sentences(random)
    shared = [number % 2 == 0 for number in range(len(first))]
    second = [" ".join(text.split()[:2]) if same else "other words" for text, same in zip(first, shared, strict=True)]
    wrong = np.array([same and random.random() < 0.5 for same in shared])
    rows = pa.table({"text": first, "text_pair": second})
    inputs = {name: rows[name].to_pylist() for name in rows.column_names}
    result = slices.section(~wrong, rows, inputs, None, 0.95, 0)
    by = {(group["by"], group["name"]): group for group in result["groups"]}
    assert by["overlap", "100 % of the words shared"]["rows"] == sum(shared)
    assert by["overlap", "0 % of the words shared"]["accuracy"]["value"] == 1
    assert any(name.endswith(" words in text") for _, name in by)
    assert ("overlap", "100 % of the words shared") in {(group["by"], group["name"]) for group in result["worst"]}


def test_the_index_that_pandas_writes_is_no_group():
    places = np.sort(np.random.default_rng(0).choice(1000, 200, replace=False))
    columns = {"text": ["x"] * 200, "price": places[::-1], "counted": places + 7, "__index_level_0__": places[::-1]}
    rows = pa.table({**columns, "_file": ["a.parquet"] * 200, "_row": places})
    assert {group.by for group in slices.by_column(rows, ["text"])} == {"price"}
