"""Classes take the names that a file's schema, or a second column, gives them."""

import json

import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.support.errors import refused
from toolkit.config.settings import DataConfig
from toolkit.data.load import load_splits, load_table
from toolkit.data.tables import class_names
from toolkit.errors import DataError

CLASS = {"names": ["up", "down", "flat"], "_type": "ClassLabel"}


def described(table: pa.Table, **features) -> pa.Table:
    return table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


@pytest.mark.parametrize(
    "feature",
    [CLASS, {"feature": CLASS, "_type": "Sequence"}, {"feature": CLASS, "_type": "List", "length": -1}, [CLASS]],
)
def test_names_in_a_schema(feature):
    assert class_names.in_schema(described(pa.table({"label": [0]}), label=feature).schema) == {"label": CLASS["names"]}


@pytest.mark.parametrize(
    "metadata", [None, {"huggingface": "{"}, {"huggingface": "[]"}, {"huggingface": '{"info": 3}'}]
)
def test_a_schema_without_names(metadata):
    assert class_names.in_schema(pa.table({"label": [0]}).replace_schema_metadata(metadata).schema) == {}


def test_numbers_become_names_and_minus_one_is_no_label():
    table = class_names.named(pa.table({"label": [2, 0, -1, None]}), {"label": CLASS["names"]}, "a.parquet")
    assert table["label"].to_pylist() == ["flat", "up", None, None]
    assert class_names.order(table, "label") == ["up", "down", "flat"]
    lists = class_names.named(pa.table({"tags": [[1, 0], None]}), {"tags": CLASS["names"]}, "a.parquet")
    assert lists["tags"].to_pylist() == [["down", "up"], None]


def test_a_number_without_a_name_is_refused():
    with refused(DataError, "label.unnamed-class", "class 3", "3 classes"):
        class_names.named(pa.table({"label": [3]}), {"label": CLASS["names"]}, "a.parquet")


def test_shards_that_number_their_classes_differently_meet_by_name(sentiment, tmp_path):
    (tmp_path / "data").mkdir()
    for number, names in enumerate([["up", "down"], ["down", "up"]]):
        table = pa.table({"text": [f"{number} {n}" for n in range(20)], "label": [n % 2 for n in range(20)]})
        table = described(table, label={"names": names, "_type": "ClassLabel"})
        parquet.write_table(table, tmp_path / "data" / f"train-{number}-of-2.parquet")
    (rows,) = load_table(sentiment, DataConfig(source=str(tmp_path))).parts.values()
    assert rows["label"].to_pylist() == [0, 1] * 10 + [1, 0] * 10


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"label": [0, 1, 1], "label_text": ["up", "down", "down"]}, ("label_text", ["up", "down"])),
        (
            {"label": ["1", "0", None], "label_name": ["down", "up", ""]},
            (
                "label_name",
                [
                    "up",
                    "down",
                ],
            ),
        ),
        ({"label": [1.0, 0.0], "Label Names": ["down", "up"]}, ("Label Names", ["up", "down"])),
        ({"label": [0, 1], "label_text": ["same", "same"]}, None),
        ({"label": [0, 0], "label_text": ["up", "down"]}, None),
        ({"label": ["a", "b"], "label_text": ["up", "down"]}, None),
        ({"label": [0, 1], "title_text": ["up", "down"]}, None),
    ],
)
def test_a_column_beside_the_numbers(columns, expected):
    assert class_names.beside(pa.table(columns), "label") == expected


def test_name_column_is_used_without_a_label_map(sentiment, write):
    path = write("all.csv", "text,label,label_text\n" + "".join(f"film {n},{n % 2},{'ba'[n % 2]}\n" for n in range(30)))
    splits = load_splits(sentiment, DataConfig(source=str(path)), 0)
    assert splits.labels == ("b", "a")
    assert splits.facts["notes"] == ["Columns: label is `label_text`."]
    mapped = DataConfig(source=str(path), label_map={"0": "no", "1": "yes"})
    assert load_splits(sentiment, mapped, 0).labels == ("no", "yes")


def test_contradictory_names_are_noted(sentiment, write):
    names = ["c" if n == 4 else "abc"[n % 3] for n in range(12)]
    lines = "".join(f"film {n},{n % 3},{name}\n" for n, name in enumerate(names))
    table = load_table(sentiment, DataConfig(source=str(write("a.csv", f"text,label,label_text\n{lines}"))))
    assert table.labels == ("0", "1", "2")
    assert "`label_text` does not give the names of `label`: 1 has the names b, c. It is not used." in table.notes
