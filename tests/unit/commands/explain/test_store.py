"""A measurement of a run's methods is found again, only for the same weights."""

import json
import os

import pytest

from tests.support.errors import refused
from toolkit import runs
from toolkit.commands.explain import store
from toolkit.commands.explain.service import ONE_PASS, QUICK, default_method
from toolkit.config import RunConfig
from toolkit.errors import SourceError
from toolkit.inference.model import StoredModel

METHODS = ("leave-one-out", "relevance", "rollout")


@pytest.fixture
def run(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").write_bytes(b"weights")
    return runs.Run(tmp_path)


def stored(run, **config):
    return StoredModel(run.model, None, ("bad", "good"), RunConfig(recipe="sentiment", **config))


def write(run, facts, methods, texts, age=0):
    file = store.measurement(run, stored(run), facts)
    runs.write_json(file, {"best": methods[0], "texts": texts, "methods": {name: {} for name in methods}})
    os.utime(file, (1_000_000 - age, 1_000_000 - age))
    return file


def test_nothing_is_found_where_nothing_was_measured(run):
    assert store.find_measurement(run, stored(run)) is None
    assert store.find_measurement(None, stored(run)) is None
    assert store.measurement(None, stored(run), []) is None


def test_of_several_measurements_that_of_most_methods_counts(run):
    write(run, ["a"], METHODS[1:2], 200)
    write(run, ["b"], METHODS, 20, age=9)
    assert store.find_measurement(run, stored(run))["texts"] == 20
    write(run, ["c"], METHODS, 60, age=99)
    assert store.find_measurement(run, stored(run))["texts"] == 60
    write(run, ["d"], METHODS[::-1], 60)
    assert store.find_measurement(run, stored(run))["best"] == "rollout"  # the newest of equals


def test_other_weights_and_another_attention_were_not_measured(run):
    write(run, ["a"], METHODS, 60)
    assert store.find_measurement(run, stored(run, attention="top-k:8")) is None
    (run.model / "model.safetensors").write_bytes(b"others")
    assert store.find_measurement(run, stored(run)) is None


@pytest.mark.parametrize(
    "content",
    [{}, {"best": "magic", "texts": 2, "methods": {}}, {"best": None, "texts": 2, "methods": {"magic": 1}},
     {"reading": "one", "texts": 2}],
)  # fmt: skip
def test_a_damaged_measurement_is_refused(run, content):
    write(run, ["a"], METHODS, 60).write_text(json.dumps(content), encoding="utf-8")
    with refused(SourceError, "run.damaged", "trust-"):
        store.find_measurement(run, stored(run))


def test_the_default_method_is_the_most_faithful_one_or_a_quick_one():
    measured = {"best": "rollout", "methods": dict.fromkeys(METHODS)}
    assert default_method(METHODS, measured) == "rollout"
    assert default_method(METHODS[:2], measured) == QUICK
    assert default_method(METHODS, {**measured, "best": None}, ONE_PASS) == ONE_PASS
    assert default_method((QUICK, "gradient-input"), None, ONE_PASS) == QUICK


def test_the_command_that_measures_names_data_where_none_come_with_the_model():
    assert store.command("runs/my run", has_data=True) == "toolkit explain 'runs/my run' --measure"
    assert store.command("org/name", has_data=False).endswith("--measure --data FILE")
