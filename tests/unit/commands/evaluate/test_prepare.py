"""What can be evaluated, and the messages for everything else."""

import pytest

from tests.support.errors import refused
from toolkit import runs
from toolkit.commands.evaluate.prepare import prepare_evaluation
from toolkit.errors import ToolkitError


@pytest.fixture
def fault(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def refuse(identifier: str, target: str) -> str:
        with refused(ToolkitError, identifier) as caught:
            prepare_evaluation(target, {}, None, lambda _: None)
        return str(caught.value)

    return refuse


def test_unknown_name_is_rejected(fault):
    message = fault("run.not-found", "nothere")
    assert "There is no run directory nothere" in message
    assert "--data" in message


@pytest.mark.parametrize("name", ["org/model", "org/model@v1"])
def test_a_model_of_the_hub_wants_data(fault, name):
    message = fault("data.not-given", name)
    assert message.startswith(f"{name} is not a local folder")
    assert "--data" in message


def test_a_misspelt_run(fault, tmp_path):
    (tmp_path / "runs" / "sentiment-bert-1").mkdir(parents=True)
    assert "Did you mean runs/sentiment-bert-1?" in fault("run.not-found", "runs/sentiment-brt-1")


def test_a_folder_that_is_neither_run_nor_model(fault, tmp_path):
    (tmp_path / "notes").mkdir()
    assert "run.json and config.json" in fault("run.not-a-run", "notes")
    (tmp_path / "notes" / "a.txt").touch()
    assert "is a file, so it is neither a run nor a model" in fault("run.not-a-run", "notes/a.txt")


def test_a_run_without_its_run_json(fault, tmp_path):
    runs.write_text(tmp_path / "old" / "config.yaml", "recipe: sentiment\n")
    assert "old was a run directory, but its run.json is missing" in fault("run.file-missing", "old")


def test_a_model_brings_no_data(fault, tmp_path):
    runs.write_json(tmp_path / "model" / "config.json", {})
    message = fault("data.not-given", "model")
    assert "is a model and not a run" in message
    assert "--data" in message


def test_a_run_with_a_damaged_run_json(fault, tmp_path):
    runs.write_text(tmp_path / "old" / "run.json", "{")
    assert "run.json cannot be read: not JSON" in fault("run.damaged", "old")


def test_a_run_with_a_damaged_card(fault, tmp_path):
    run = runs.Run(tmp_path / "old")
    runs.write_text(run.path / "config.yaml", "recipe: sentiment\n")
    runs.write_json(run.model / "config.json", {"model_type": "bert"})
    runs.write_text(run.model / "model.safetensors", "")
    runs.write_text(run.model / "toolkit.json", "{")
    run.record(status="complete")
    assert "toolkit.json cannot be read: not JSON" in fault("run.damaged", "old")


def test_a_recipe_that_moved_names_the_option(fault, tmp_path):
    run = runs.Run(tmp_path / "old")
    runs.write_text(run.path / "config.yaml", "recipe: mine.py\n")
    runs.write_json(run.model / "config.json", {"model_type": "bert"})
    runs.write_text(run.model / "model.safetensors", "")
    runs.write_json(run.model / "toolkit.json", {"recipe": "./mine.py"})
    run.record(status="complete")
    message = fault("recipe.not-installed", "old")
    assert "the recipe ./mine.py" in message
    assert "--recipe" in message
