"""Obstacles to a push are reported."""

import pytest

from tests.support.errors import refused
from tests.support.reports import sample
from toolkit import runs
from toolkit.commands.publish.publication import publication_of, recipe_of
from toolkit.commands.publish.push import _model_files, _report, check_licence
from toolkit.errors import ConfigError, RecipeError, SourceError
from toolkit.hub import destinations
from toolkit.hub.destinations import Destination
from toolkit.runs import checksums


def test_missing_recipe_is_named_with_a_fix(tmp_path):
    run = runs.Run(tmp_path / "run")
    runs.write_json(run.model / runs.CARD, {"recipe": "./gone.py"})
    with refused(RecipeError, "recipe.not-installed") as caught:
        recipe_of(run, None, lambda _event: None)
    assert f"The model in {run.model} was trained with the recipe ./gone.py" in caught.value.problem
    assert "--recipe FILE" in caught.value.fix


@pytest.mark.parametrize("scratch", [False, True])
def test_random_weights_have_no_base_and_no_licence_of_another(scratch, tmp_path):
    base = tmp_path / "base"
    base.mkdir()
    (base / "README.md").write_text("---\nlicense: mit\n---\n", encoding="utf-8")
    run = runs.Run(tmp_path / "run")
    runs.write_json(run.model / runs.CARD, {"recipe": "sentiment"})
    runs.write_json(run.path / "run.json", {"model": str(base)})
    report = {"config": {"loading": {"from_scratch": scratch}}, "data": {"source": "reviews.csv"}}
    told = []
    recipe = recipe_of(run, None, told.append)
    found = publication_of(run, report, Destination("someone/model"), None, recipe, (), told.append)
    assert (found.from_scratch, found.licence) == (scratch, None if scratch else "mit")
    assert bool(told) == scratch


def test_a_licence_that_the_hub_does_not_know_is_found_before_training(tmp_path, monkeypatch):
    def refuse(card, destination):
        raise ConfigError('"license" must be one of the known.', "…", id="hub.card-rejected")

    monkeypatch.setattr(destinations, "check_card", refuse)
    (tmp_path / "README.md").write_text("---\nlicense: my-own\n---\n", encoding="utf-8")
    with refused(ConfigError, "hub.card-rejected", "`my-own`") as caught:
        check_licence(Destination("someone/model"), str(tmp_path), from_scratch=False)
    assert "toolkit push --license" in caught.value.fix
    check_licence(Destination("someone/model"), str(tmp_path), from_scratch=True)


@pytest.mark.parametrize("edited", ["report.json", "evaluations/held-out/report.json"])
def test_edited_report_is_not_pushed(edited, tmp_path):
    report = sample()
    report["title"] = "0.8"
    for folder in (tmp_path, tmp_path / "evaluations" / "held-out"):
        runs.write_json(folder / "report.json", report)
        checksums.record(folder, ["report.json"])
    assert _report(runs.Run(tmp_path)) == report
    better = (tmp_path / edited).read_text(encoding="utf-8").replace("0.8", "0.9")
    (tmp_path / edited).write_text(better, encoding="utf-8")
    with refused(SourceError, "run.changed", "report.json"):
        _report(runs.Run(tmp_path))


def test_links_to_files_of_this_machine_are_not_pushed(tmp_path):
    run = runs.Run(tmp_path / "run")
    run.model.mkdir(parents=True)
    (run.model / "model.safetensors").write_bytes(b"weights")
    (run.model / "merges.txt").symlink_to(run.model / "model.safetensors")
    assert _model_files(run, []).keys() == {"model.safetensors", "merges.txt"}
    (tmp_path / "mine").write_text("secret", encoding="utf-8")
    (run.model / "vocab.txt").symlink_to(tmp_path / "mine")
    with refused(SourceError, "run.link-outside", "vocab.txt"):
        _model_files(run, [])


@pytest.mark.parametrize("edited", ["model/model.safetensors", "adapter/adapter_model.safetensors"])
def test_weights_that_are_not_those_of_the_report_are_not_pushed(edited, tmp_path):
    run = runs.Run(tmp_path)
    for file in (run.model / "model.safetensors", tmp_path / "adapter" / "adapter_model.safetensors"):
        file.parent.mkdir()
        file.write_bytes(b"weights")
    checksums.record_weights(run)
    assert set(_model_files(run, [])) == {"model.safetensors", "adapter/adapter_model.safetensors"}
    (tmp_path / edited).write_bytes(b"others!")
    with refused(SourceError, "run.changed", "safetensors"):
        _model_files(run, [])
