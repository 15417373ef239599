"""Trackers get the values of the log, through Accelerate, and their failures end no run."""

import sys
from types import SimpleNamespace

import pytest
from accelerate import Accelerator
from accelerate.tracking import GeneralTracker

from tests.support.errors import refused
from toolkit.config.settings import TrainingConfig
from toolkit.errors import ConfigError
from toolkit.training.distributed.devices import accelerator_for
from toolkit.training.loop.trackers import check, deliver, figures, tracking

TRAINING = {"event": "training", "step": 4, "epoch": 0.5, "loss": 0.25, "learning_rate": 1e-4}
VALIDATION = {"event": "validation", "step": 8, "epoch": 1.0, "loss": 0.5, "accuracy": 0.75, "best": True}


class Remembering(GeneralTracker):
    name = "remembering"
    requires_logging_directory = False

    def __init__(self, fails_at=None):
        super().__init__()
        self.config, self.told, self.ended, self.fails_at = None, [], False, fails_at

    @property
    def tracker(self):
        return self

    def store_init_configuration(self, values):
        self.config = values

    def log(self, values, step=None, **_):
        if step == self.fails_at:
            raise ConnectionError("no network\nat all")
        self.told.append((values, step))

    def finish(self):
        self.ended = True


def track(tracker, lines, said):
    accelerator = Accelerator(cpu=True, log_with=[tracker])
    with tracking(accelerator, ["remembering"], {"training.epochs": 2.0, "output": None}, said.append) as log:
        for line in lines:
            log(figures(line), line["step"])


def test_figures_and_configuration_are_tracked():
    tracker, output = Remembering(), []
    track(tracker, [TRAINING, VALIDATION], output)
    assert tracker.config == {"training.epochs": 2.0, "output": "None"}
    assert tracker.told == [
        ({"training/epoch": 0.5, "training/loss": 0.25, "training/learning_rate": 1e-4}, 4),
        ({"validation/epoch": 1.0, "validation/loss": 0.5, "validation/accuracy": 0.75}, 8),
    ]
    assert tracker.ended
    assert output == []


class Client:
    """What is used of MLflow's client."""

    def __init__(self):
        self.told = []

    def log_metric(self, run, name, value):
        self.told.append((run, name, value))

    def log_artifacts(self, run, path, place):
        self.told.append((run, place, path))

    log_artifact = log_artifacts


def test_model_report_and_metrics_are_delivered_to_the_run_of_the_tracker(tmp_path, monkeypatch):
    client, said = Client(), []
    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace(MlflowClient=lambda: client))
    page = tmp_path / "report.html"
    deliver({"mlflow": "7"}, {"accuracy": 0.5}, {"model": tmp_path, "report": page}, said.append)
    assert client.told == [("7", "test/accuracy", 0.5), ("7", "model", str(tmp_path)), ("7", "report", str(page))]
    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace())
    deliver({"mlflow": "7"}, {}, {}, said.append)
    (text,) = said
    assert "mlflow" in text


def test_failing_tracker_is_noted_once():
    tracker, output = Remembering(fails_at=4), []
    track(tracker, [TRAINING, VALIDATION, TRAINING], output)
    assert tracker.told == []
    assert output == ["Tracking with remembering failed (ConnectionError: no network); the run continues without it."]


def test_without_trackers_accelerate_is_not_called():
    with tracking(None, [], {}, pytest.fail) as log:
        log({"training/loss": 1.0}, 1)


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch):
    check([])
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.setattr("toolkit.training.loop.trackers.find_spec", lambda name: None if name == "wandb" else name)
    with refused(ConfigError, "machine.package-missing") as caught:
        check(["tensorboard", "wandb"])
    assert "wandb" in caught.value.problem
    assert "tensorboard" not in caught.value.problem
    assert caught.value.fix == "pip install wandb"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of tensorboard's own packages
def test_tensorboard_reads_what_was_written(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config = TrainingConfig(trackers=["tensorboard"], device="cpu")
    accelerator = accelerator_for(config, "fp32", tmp_path)
    with tracking(accelerator, config.trackers, {"training.epochs": 2.0}, pytest.fail) as log:
        log(figures(TRAINING), 4)
        log(figures(VALIDATION), 8)
    (folder,) = tmp_path.iterdir()
    events = EventAccumulator(str(folder)).Reload()
    assert [(e.step, e.value) for e in events.Scalars("training/loss")] == [(4, 0.25)]
    assert [(e.step, e.value) for e in events.Scalars("validation/accuracy")] == [(8, 0.75)]
