"""A model whose class names differ from its training is rejected."""

import json
from pathlib import Path

import pytest

from tests.support.errors import refused
from toolkit import runs
from toolkit.commands.evaluate.stored_model import find_stored
from toolkit.errors import ModelError


@pytest.fixture
def stored(tmp_path: Path):
    """Write a model's files without weights that anybody loads, in a run or on its own."""

    def write(names: list[str], card: dict[str, object], learnt: list[str] | None = None) -> Path:
        model = tmp_path / "run" / "model"
        model.mkdir(parents=True)
        config = {"model_type": "bert", "id2label": dict(enumerate(names)), "architectures": ["BertForX"]}
        (model / "config.json").write_text(json.dumps(config), encoding="utf-8")
        (model / "model.safetensors").touch()
        (model / runs.CARD).write_text(json.dumps({"recipe": "sentiment", **card}), encoding="utf-8")
        if learnt is not None:
            runs.write_json(tmp_path / "run" / "run.json", {"status": "complete", "labels": learnt})
            (tmp_path / "run" / "config.yaml").touch()
            return tmp_path / "run"
        return model

    return write


@pytest.mark.parametrize(
    ("card", "learnt"), [({"labels": ["up", "down"]}, None), ({}, ["up", "down"]), ({"labels": ["up", "down"]}, ["x"])]
)
def test_exchanged_names_are_refused_with_both(stored, card, learnt):
    with refused(ModelError, "model.classes-mismatch") as caught:
        find_stored(str(stored(["down", "up"], card, learnt)), {}, None)
    assert "config.json: down, up" in caught.value.problem
    assert "trained:     up, down" in caught.value.problem


@pytest.mark.parametrize(("card", "learnt"), [({"labels": ["up", "down"]}, ["up", "down"]), ({}, None)])
def test_matching_or_unknown_names_are_accepted(stored, card, learnt):
    *_, labels = find_stored(str(stored(["up", "down"], card, learnt)), {}, None)
    assert labels == ("up", "down")


def test_names_in_another_order_than_the_runs_are_refused(stored):
    with refused(ModelError, "model.classes-mismatch", "toolkit.json", "run.json") as caught:
        find_stored(str(stored(["down", "up"], {"labels": ["down", "up"]}, ["up", "down"])), {}, None)
    assert "run.json:     up, down" in caught.value.problem


def test_new_names_are_taken(stored):
    *_, labels = find_stored(str(stored(["rise", "fall"], {"labels": ["rise", "fall"]}, ["up", "down"])), {}, None)
    assert labels == ("rise", "fall")
