"""A file of predictions is found again by its identity only."""

import json

import pyarrow as pa
import pytest

from tests.support.errors import refused
from toolkit import runs
from toolkit.errors import SourceError
from toolkit.evaluation import prediction_store
from toolkit.inference.predict import Predictions

ROWS = pa.table({"text": ["fine", "dull"], "label": [1, 0], "mood": ["x", "y"], "_file": ["a.csv"] * 2, "_row": [2, 3]})
ROLES = ("text", "label")


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("model.safetensors", "config.json", "toolkit.json", "README.md"):
        (folder / name).write_text(name, encoding="utf-8")
    return folder


@pytest.fixture
def recipe(write):
    return write("recipe.py", "METRICS = ()")


def identity(model, recipe, rows=ROWS, **settings):
    return prediction_store.identity(model, recipe, rows, ROLES, {"max_length": 8, **settings})


def test_the_same_model_rows_and_settings_have_the_same_identity(model, recipe):
    before = identity(model, recipe)
    (model / "toolkit.json").write_text("{}", encoding="utf-8")
    (model / "README.md").write_text("a card", encoding="utf-8")
    moved = ROWS.set_column(3, "_file", pa.array(["b.csv"] * 2))
    assert identity(model, recipe, moved) == before


def test_whatever_changes_a_prediction_changes_the_identity(model, recipe):
    seen = {identity(model, recipe), identity(model, recipe, max_length=9), identity(model, recipe, ROWS.slice(0, 1))}
    (model / "config.json").write_text("other", encoding="utf-8")
    seen.add(identity(model, recipe))
    recipe.write_text("METRICS = (1,)", encoding="utf-8")
    seen.add(identity(model, recipe))
    assert len(seen) == 5


def test_predictions_are_found_by_identity(tmp_path):
    output = Predictions({"prediction": [1, 1], "probabilities": [[0.2, 0.8], [0.4, 0.6]]}, 0.5)
    table = prediction_store.table(ROWS, ROLES, ["text"], output)
    path = tmp_path / "predictions.parquet"
    given = prediction_store.StoredPredictions(table, {"identity": "one", "loss": 0.5, "columns": list(output.columns)})
    prediction_store.write(path, given.beside({"Majority": [0, 0]}))
    result = prediction_store.find([tmp_path / "missing.parquet", path], "one")
    assert result is not None
    assert result.predictions == output
    assert result.baselines == {"Majority": [0, 0]}
    assert result.table["text"].to_pylist() == ["fine", "dull"]
    assert result.table["_row"].to_pylist() == [2, 3]
    assert prediction_store.find([path], "other") is None


def test_a_table_of_unknown_origin_is_refused(tmp_path):
    path = tmp_path / "predictions.parquet"
    runs.write_table(path, pa.table({"prediction": [1]}))
    with refused(SourceError, "run.damaged", path.name):
        prediction_store.read(path)
    assert prediction_store.find([path], "one") is None


@pytest.mark.parametrize(
    "facts", [[], 7, {"identity": "one"}, {"columns": ["absent"]}, {"columns": 7}, {"columns": [], "labels": "ab"}]
)
def test_facts_of_another_kind_are_no_predictions(tmp_path, facts):
    path = tmp_path / "predictions.parquet"
    stored = pa.table({"prediction": [1]}).replace_schema_metadata({b"toolkit": json.dumps(facts).encode()})
    runs.write_table(path, stored)
    with refused(SourceError, "run.damaged", path.name):
        prediction_store.read(path)


@pytest.mark.parametrize("said", [[0, 2], [0, -1], [10**9, 0], [0, None]])
def test_unknown_classes_are_rejected(said, tmp_path):
    path = tmp_path / "predictions.parquet"
    table = pa.table({"prediction": pa.array(said, pa.int64()), "probabilities": [[0.9, 0.1], [0.2, 0.8]]})
    for facts in ({"columns": ["prediction"], "labels": ["a", "b"]}, {"columns": ["prediction"]}):
        prediction_store.write(path, prediction_store.StoredPredictions(table, facts))
        with pytest.raises(SourceError):
            prediction_store.read(path)
