"""A search continues after failures, interruptions and kills, depends on the seed, and writes a preset."""

import shlex
import sys
from dataclasses import replace
from types import SimpleNamespace

import pyarrow as pa
import pytest

from tests.support.errors import refused
from toolkit.commands.finetune.prepare import Prepared
from toolkit.commands.finetune.training.fit import Fitted
from toolkit.commands.tune.search import folder_of, tune
from toolkit.commands.tune.search_space import build
from toolkit.config import resolve
from toolkit.config.files import read_file
from toolkit.errors import ConfigError, Interrupted, RunError
from toolkit.events import Stage
from toolkit.tasks import loading
from toolkit.training.loop.progress import Validation

module = sys.modules["toolkit.commands.tune.search"]


@pytest.fixture
def prepared():
    layers = [("command", {"recipe": "sentiment"}), ("from the model", {"training": {"learning_rate": 1e-4}})]
    user = {"data": {"source": "reviews.csv", "label_map": {"4.5": "good", "1": "bad"}}, "training": {"seed": 5}}
    resolved = resolve([*layers, ("flag", user)])
    validation = pa.table({"text": ["a"] * 200, "label": [0] * 200})
    splits = SimpleNamespace(facts={"fingerprint": "sha256:1"}, validation=validation, labels=("no", "yes"))
    return Prepared(loading.load("sentiment"), resolved, None, splits, ())


class CountedFit:
    """Stands in for training: trials are right on so many of 200 validation rows, and take so long."""

    def __init__(self, *trials: tuple[int, float]) -> None:
        self.trials = list(trials)

    def __call__(self, run, prepared, observe, state, team):
        right, seconds = self.trials.pop(0)
        facts = {"evaluations": [{"step": 1, "accuracy": right / 200}], "best_step": 1, "seconds": seconds}
        return Fitted(run.path, facts, {})


class Fit:
    """Stands in for training: the loss is the distance of the learning rate from 2e-4."""

    def __init__(self, faults=()) -> None:
        self.faults = dict(faults)
        self.rates: list[float] = []

    def __call__(self, run, prepared, observe, state, team):
        rate = prepared.config.training.learning_rate
        self.rates.append(rate)
        fault = self.faults.pop(len(self.rates), None)
        if fault is not None:
            raise fault
        loss = abs(rate - 2e-4) * 1e4
        for epoch in range(1, int(prepared.config.training.epochs) + 1):
            observe(Validation(epoch, float(epoch), {"loss": loss}, best=True))
        return Fitted(run.path, {"evaluations": [{"step": 1, "loss": loss}], "best_step": 1}, {})


@pytest.fixture
def search(prepared, tmp_path, monkeypatch):
    def start(fit, trials=6, folder=tmp_path / "search", given=None, prepared=prepared):
        monkeypatch.setattr(module, "fit", fit)
        notes = []
        space = build(prepared.resolved, given or {})
        return tune(prepared, space, folder, trials, "toolkit tune sentiment", notes.append), notes

    return start


def test_the_best_trial_becomes_a_preset_that_runs(search, prepared):
    result, _ = search(Fit())
    values = [trial.value for trial in result.trials if trial.state == "complete"]
    assert result.best.value == min(values)
    assert len(result.trials) == 6
    first, second, *_ = result.preset.read_text(encoding="utf-8").splitlines()
    assert first == f"# {result.command}"
    assert shlex.split(result.command) == ["toolkit", "finetune", "sentiment", "--config", str(result.preset)]
    assert f"{result.best.value:.4f}" in second
    values = read_file(result.preset)
    again = resolve([("file", values)]).config
    assert again.training.learning_rate == result.best.values["training.learning_rate"]
    assert (again.training.seed, again.data) == (5, prepared.config.data)


@pytest.fixture
def counted(prepared):
    resolved = prepared.resolved.with_values("flag", {"training": {"best_metric": "accuracy"}})
    facts = {"fingerprint": "sha256:1", "splits": [{"name": "validation", "rows": 200, "given": False}]}
    return replace(prepared, resolved=resolved, splits=SimpleNamespace(**{**vars(prepared.splits), "facts": facts}))


def test_lead_of_one_row_gets_advice(search, counted, tmp_path):
    result, _ = search(CountedFit((160, 90.0), (170, 100.0), (169, 20.0)), trials=3, prepared=counted)
    assert (result.best.number, result.lead.second.number) == (1, 2)
    assert result.lead.rows_ahead == pytest.approx(1)
    assert [trial.number for trial in result.lead.near] == [2]  # ten rows are more than a standard error, of five
    cheaper, more = result.advice
    assert (cheaper["id"], more["id"]) == ("tune.cheaper-trial", "tune.more-validation-rows")
    preset = tmp_path / "search" / "trial-3.yaml"
    assert shlex.split(cheaper["command"])[-1] == str(preset)
    again = resolve([("file", read_file(preset))]).config
    assert again.training.learning_rate == result.trials[2].values["training.learning_rate"]
    assert shlex.split(more["command"])[-2:] == ["--set", "data.validation_fraction=0.2"]
    text = result.preset.read_text(encoding="utf-8")
    assert more["evidence"] in text
    assert cheaper["command"] in text
    resolve([("file", read_file(result.preset))])


def test_a_clear_lead_gets_no_advice(search, counted):
    result, _ = search(CountedFit((150, 90.0), (180, 100.0), (160, 20.0)), trials=3, prepared=counted)
    assert result.lead.rows_ahead == pytest.approx(20)
    assert list(result.advice) == []


def test_where_every_row_is_right_one_row_decides_nothing(search, counted):
    result, _ = search(CountedFit((200, 90.0), (199, 100.0), (180, 20.0)), trials=3, prepared=counted)
    assert [trial.number for trial in result.lead.near] == [1]
    assert [piece["id"] for piece in result.advice] == ["tune.more-validation-rows"]


def test_single_trial_has_no_lead(search, counted):
    result, _ = search(CountedFit((150, 90.0)), trials=1, prepared=counted)
    assert (result.lead, list(result.advice)) == (None, [])


def test_the_same_seed_tries_the_same_values(search, tmp_path):
    first, two = Fit(), Fit()
    search(first)
    search(two, folder=tmp_path / "other")
    assert first.rates == two.rates
    assert len(set(first.rates)) == 6


def test_repeated_command_resumes_with_more_trials(search, tmp_path):
    whole, begun, rest = Fit(), Fit(), Fit()
    search(whole, folder=tmp_path / "whole")
    search(begun, trials=4)
    result, notes = search(rest)
    assert begun.rates + rest.rates == whole.rates
    assert len(result.trials) == 6
    assert "4 of 6" in notes[0].text
    nothing = Fit()
    search(nothing)
    assert nothing.rates == []


def test_a_trial_that_fails_is_recorded_and_survived(search):
    result, notes = search(Fit({2: RunError("The loss is nan.", "…"), 3: ValueError("odd")}))
    assert [trial.state for trial in result.trials].count("failed") == 2
    assert [trial.error for trial in result.trials][1:3] == ["RunError: The loss is nan.", "ValueError: odd"]
    assert len([note for note in notes if "failed" in getattr(note, "text", "")]) == 2


def test_failed_search_gives_the_reason(search):
    with refused(RunError, "run.all-trials-failed", "2 trials", "ValueError: odd"):
        search(Fit({1: ValueError("odd"), 2: ValueError("odd")}), trials=2)


@pytest.mark.parametrize("fault", [Interrupted("Stopped.", "…"), KeyboardInterrupt()])
def test_an_interrupted_trial_is_tried_again_with_its_values(search, fault, tmp_path):
    begun, rest, whole = Fit({3: fault}), Fit(), Fit()
    with refused(Interrupted, "run.interrupted", "toolkit tune") as caught:
        search(begun)
    assert "toolkit tune sentiment" in caught.value.fix
    result, _ = search(rest)
    assert rest.rates[0] == begun.rates[2]
    assert [trial.number for trial in result.trials] == [0, 1, 2, 3, 4, 5]
    assert all(trial.state in ("complete", "pruned") for trial in result.trials)
    search(whole, folder=tmp_path / "whole")
    assert begun.rates[:2] + rest.rates == whole.rates


def test_a_trial_whose_process_was_killed_is_made_again_at_once_under_its_number(search, prepared, tmp_path):
    study = module._open(prepared, build(prepared.resolved, {}), tmp_path / "search")
    killed = study.ask()  # its lock is free
    rate = killed.suggest_float("training.learning_rate", 2e-5, 4e-4, log=True)
    (tmp_path / "search" / "trials" / "0001").mkdir(parents=True)
    (tmp_path / "search" / "trials" / "0001" / "metrics.jsonl").write_text("half a li", encoding="utf-8")
    fit = Fit()
    result, notes = search(fit, trials=2)
    assert fit.rates[0] == pytest.approx(rate, rel=1e-3)
    assert [(trial.number, trial.state) for trial in result.trials] == [(0, "complete"), (1, "complete")]
    assert [note.name.split(":")[0] for note in notes if isinstance(note, Stage)] == ["Trial 1 of 2", "Trial 2 of 2"]
    assert not (tmp_path / "search" / "trials" / "0001" / "metrics.jsonl").exists()
    assert list((tmp_path / "search" / "running").iterdir()) == []


def test_a_trial_of_a_living_process_is_left_to_it(search, prepared, tmp_path):
    study = module._open(prepared, build(prepared.resolved, {}), tmp_path / "search")
    other = module._Searching(
        study, prepared, build(prepared.resolved, {}), tmp_path / "search", 3, lambda _event: None
    )
    _, place, held = other.begin()
    fit = Fit()
    result, notes = search(fit, trials=3)
    held.release()
    assert place == 0
    assert [trial.state for trial in result.trials] == ["running", "complete", "complete"]
    assert len(fit.rates) == 2
    assert notes[-1].text == "Trial 1 is running in another process."


def test_bad_trials_are_pruned(search):
    class Worsening(Fit):
        def __call__(self, run, prepared, observe, state, team):
            self.rates.append(0.0)
            for epoch in (1, 2):
                observe(Validation(epoch, float(epoch), {"loss": float(len(self.rates))}, best=True))
            return Fitted(run.path, {"evaluations": [{"step": 1, "loss": float(len(self.rates))}], "best_step": 1}, {})

    result, _ = search(Worsening())
    assert [trial.state for trial in result.trials] == ["complete"] * 4 + ["pruned"] * 2
    assert result.best.number == 0


def test_weights_of_trials_are_not_kept(search, tmp_path):
    class Saving(Fit):
        def __call__(self, run, prepared, observe, state, team):
            (run.path / "checkpoints").mkdir()
            return super().__call__(run, prepared, observe, state, team)

    search(Saving(), trials=2)
    assert sorted(path.name for path in (tmp_path / "search" / "trials" / "0001").iterdir()) == ["config.yaml"]


def test_another_search_is_not_mixed_in(search):
    search(Fit(), trials=1)
    with refused(ConfigError, "run.other-configuration", "--search training.dropout"):
        search(Fit(), given={"dropout": "0..0.5"})


def test_the_folder_is_named_by_all_that_decides(prepared):
    usual = folder_of(prepared, build(prepared.resolved, {}))
    assert usual == folder_of(prepared, build(prepared.resolved, {}))
    assert usual != folder_of(prepared, build(prepared.resolved, {"dropout": "0..0.5"}))
    assert usual.name.startswith("tune-sentiment-distilbert-")


def test_without_optuna_the_command_that_installs_it_is_named(search, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with refused(ConfigError, "machine.package-missing") as caught:
        search(Fit())
    assert "pip install 'finetune-toolkit[tune]'" in caught.value.fix
