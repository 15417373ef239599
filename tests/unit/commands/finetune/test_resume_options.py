"""Adapters, averaged and frozen weights in a stopped and resumed run are bit-identical."""

import copy
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.utils import set_seed

from tests.support import classifiers
from tests.support.errors import refused
from tests.support.training import train
from toolkit.config.settings import AdapterConfig, TrainingConfig
from toolkit.data.batching.batch import Features, Ragged, pad, plan_epoch
from toolkit.errors import Interrupted
from toolkit.training.adaptation import adapters
from toolkit.training.adaptation.layer_groups import freeze
from toolkit.training.loop import checkpoint
from toolkit.training.loss.objective import cross_entropy

OPTIONS = {
    "lora": AdapterConfig(kind="lora", rank=2, dropout=0.1),
    "dora": AdapterConfig(kind="dora", rank=2),
    "frozen": AdapterConfig(),
}


def data() -> Features:
    random = np.random.default_rng(0)
    ids = Ragged(random.integers(5, 50, 40 * 7).astype(np.int32), np.arange(41) * 7)
    return Features({"input_ids": ids, "labels": random.integers(0, 2, 40)}, ids.lengths)


def run(kind: str, folder: Path, stop_at: int | None = None, state: checkpoint.State | None = None):
    """Return (final weights by name, the weights that each validation saw)."""
    set_seed(1)
    model = classifiers.classifier("distilbert", dropout=0.1)
    if kind == "frozen":
        freeze(model, 1)
    else:
        adapters.attach(model, OPTIONS[kind], "x", None)
    steps, seen = [], []

    def validate(model) -> dict[str, float]:
        seen.append(copy.deepcopy(model.state_dict()))
        return {"loss": 1.0 / len(seen)}

    def save(_model, step: int) -> None:
        checkpoint.best_path(folder, step).mkdir(parents=True, exist_ok=True)

    def stop_requested() -> bool:
        steps.append(1)
        return len(steps) == stop_at

    train(
        model,
        data(),
        partial(pad, padding={"labels": -100}),
        TrainingConfig(batch_size=8, epochs=2, learning_rate=1e-2, ema_decay=0.8, layer_decay=0.7, evaluate_every=4),
        Accelerator(cpu=True),
        objective=cross_entropy([0.5, 2.0], 1.0, 0.0),
        validate=validate,
        save=save,
        higher_is_better=False,
        observe=lambda _event: None,
        write_state=partial(checkpoint.write, folder),
        state=state,
        stop_requested=stop_requested,
    )
    return model.state_dict(), seen


@pytest.mark.parametrize("kind", OPTIONS)
@pytest.mark.parametrize("stop_at", [2, 5])
def test_a_stopped_run_ends_as_one_that_was_not(kind, stop_at, tmp_path):
    whole, judged = run(kind, tmp_path / "whole")
    with refused(Interrupted, "run.interrupted"):
        run(kind, tmp_path / "halved", stop_at)
    state, _ = checkpoint.newest(tmp_path / "halved")
    assert state.step == stop_at
    resumed, seen = run(kind, tmp_path / "halved", state=state)
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items())
    assert len(judged) == 3
    for item, other in zip(judged[-len(seen) :], seen, strict=True):  # the averages
        assert all(torch.equal(tensor, other[name]) for name, tensor in item.items())
    assert not all(torch.equal(tensor, whole[name]) for name, tensor in judged[-1].items())


def test_a_resumed_run_reads_only_what_is_left(tmp_path, monkeypatch):
    with refused(Interrupted, "run.interrupted"):
        run("frozen", tmp_path, 7)
    state, _ = checkpoint.newest(tmp_path)
    read = []
    item = Features.__getitem__
    monkeypatch.setattr(Features, "__getitem__", lambda self, row: read.append(int(row)) or item(self, row))
    run("frozen", tmp_path, state=state)
    plan = plan_epoch(data().lengths, 8, seed=7, epoch=1)
    left = [int(row) for step in plan[2:] for row in step]  # five steps are an epoch
    tried, trained = read[: -len(left)], read[-len(left) :]
    assert sorted(trained) == sorted(left)
    assert len(tried) <= 8  # on which packing is tried
