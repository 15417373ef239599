"""Which run is resumed, and the note when there is none."""

from types import SimpleNamespace

import pytest

from tests.support.errors import refused
from toolkit import runs
from toolkit.commands.finetune.resume import find_state, unfinished
from toolkit.config import RunConfig
from toolkit.config.files import to_yaml
from toolkit.errors import ConfigError, SourceError
from toolkit.events import Note


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def prepare(**values):
        return SimpleNamespace(
            config=RunConfig(recipe="sentiment", **values), splits=SimpleNamespace(facts={"fingerprint": "abc"})
        )

    return prepare


def begin(path, config, status="interrupted"):
    run = runs.Run(path)
    runs.write_text(path / "config.yaml", to_yaml(config))
    run.record(status=status, data={"fingerprint": "abc"})
    return run


def notes(prepared):
    heard = []
    return unfinished(prepared, heard.append), " ".join(event.text for event in heard if isinstance(event, Note))


def test_nothing_to_resume_is_noted(prepared):
    run, output = notes(prepared())
    assert run is None
    assert "There is nothing to resume" in output
    assert "new run" in output


def test_nothing_to_resume_in_given_folder_is_noted(prepared):
    run, output = notes(prepared(output="mine"))
    assert run is None
    assert output.startswith("There is nothing to resume in mine;")


def test_differences_from_nearest_run_are_named(prepared):
    begin(runs.HOME / "one", prepared(training={"epochs": 9}).config)
    run, output = notes(prepared())
    assert run is None
    assert "runs/one has a different training.epochs" in output


def test_matching_run_is_resumed(prepared):
    begin(runs.HOME / "one", prepared().config)
    begin(runs.HOME / "whole", prepared().config, status="complete")
    run, output = notes(prepared())
    assert run == runs.Run(runs.HOME / "one")
    assert "Resuming runs/one" in output


def test_values_without_effect_on_weights_may_differ(prepared, tmp_path):
    run = begin(tmp_path / "mine", prepared(output="mine").config)
    now = {"training": {"checkpoint_minutes": 1, "trackers": ["tensorboard"]}, "evaluation": {"checks": ["cost"]}}
    assert notes(prepared(output=str(run.path), **now))[0] == run
    with refused(ConfigError, "run.other-configuration", "evaluation.precision"):
        notes(prepared(output=str(run.path), evaluation={"precision": "bf16"}))


def test_a_damaged_record_is_not_blamed_on_the_data(prepared, tmp_path):
    run = begin(tmp_path / "mine", prepared(output="mine").config)
    (run.path / "run.json").write_text("{", encoding="utf-8")
    with refused(SourceError, "run.damaged", "run.json"):
        notes(prepared(output=str(run.path)))


def test_run_without_state_restarts_with_a_note(prepared, tmp_path):
    run = begin(tmp_path / "mine", prepared(output="mine").config)
    heard = []
    assert find_state(run, heard.append) is None
    assert "restarts at the first step" in heard[0].text
