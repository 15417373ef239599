"""The choice of how steps are computed: measured once, stored, and without effect on the model or random generators."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.errors import refused
from tests.support.models import make
from toolkit.config.settings import TrainingConfig
from toolkit.errors import ConfigError
from toolkit.training.acceleration import autotune
from toolkit.training.acceleration.autotune import ComputeSettings

SETTINGS = TrainingConfig()


class Toy(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 2)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return type("Output", (), {"loss": torch.nn.functional.dropout(self.layer(x)).sum()})


BATCH = {"x": torch.ones(3, 2)}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "finetune-toolkit" / "speed.json"


def measured(model: Any, config: TrainingConfig = SETTINGS, steps: int = 10, **more: Any) -> ComputeSettings:
    return autotune.measured(model, more.get("batch", BATCH), more.get("probe"), config, "cpu", steps)


@pytest.mark.parametrize(("seconds", "choice"), [((1.0, 0.5), "bf16"), ((1.0, 0.95), "fp32"), ((1.0, 3.0), "fp32")])
def test_bf16_must_be_worth_it(seconds, choice, monkeypatch: pytest.MonkeyPatch) -> None:
    result = dict(zip(("fp32/auto", "bf16/auto"), seconds, strict=True))
    monkeypatch.setattr(autotune, "_measure", lambda *_: result)
    assert measured(Toy()).precision == choice


def test_the_fastest_kernel_of_the_better_precision_is_taken() -> None:
    seconds = {"fp32/sdpa": 1.0, "fp32/products": 0.9, "bf16/sdpa": 2.0, "bf16/products": 0.5}
    ways = [(precision, kernel) for precision in ("fp32", "bf16") for kernel in ("sdpa", "products")]
    assert autotune._fastest(seconds, ways) == ComputeSettings("bf16", "products")
    assert autotune._fastest({**seconds, "bf16/products": 0.89}, ways) == ComputeSettings("fp32", "products")


def test_measured_once_and_remembered(cache: Path) -> None:
    model = Toy()
    first = measured(model)
    calls = model.calls
    assert calls >= 2  # slow combinations are not measured again
    assert measured(model) == first
    assert model.calls == calls
    (entry,) = json.loads(cache.read_text(encoding="utf-8")).values()
    assert set(entry["seconds"]) == {"fp32/auto", "bf16/auto"}


def test_what_is_set_is_kept() -> None:
    assert measured(Toy(), TrainingConfig(precision="bf16")).precision == "bf16"
    assert measured(make("bert")[0], TrainingConfig(attention_kernel="sdpa"), batch=TEXTS, probe=TEXTS).kernel == "sdpa"


def test_kernels_are_measured_for_packed_batches(cache: Path) -> None:
    result = measured(make("bert")[0], batch=TEXTS, probe=TEXTS)
    assert result.kernel in ("sdpa", "products")
    (entry,) = json.loads(cache.read_text(encoding="utf-8")).values()
    assert {way.partition("/")[2] for way in entry["seconds"]} == {"sdpa", "products"}


def test_a_broken_memory_is_measured_anew(cache: Path) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text("[1,", encoding="utf-8")
    assert measured(Toy()).precision in ("fp32", "bf16")


def test_it_leaves_no_trace() -> None:
    model = Toy()
    before = model.layer.weight.detach().clone()
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    measured(model)
    assert torch.equal(torch.rand(2), expected)
    assert torch.equal(model.layer.weight, before)
    assert model.layer.weight.grad is None


@pytest.mark.parametrize(
    ("steps", "compiled"), [(1_000, False), (2_000, True)], ids=["the run is too short", "it pays back"]
)
def test_compiling_has_to_pay_within_the_run(steps, compiled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autotune, "_measure", lambda *_: {"fp32/sdpa": 1.0, "fp32/products": 2.0})
    costs = {"plain": 1.0, "compiled": 0.9, "warm_up": 150.0}
    monkeypatch.setattr(autotune, "_measure_compiled", lambda *_: costs)
    config = TrainingConfig(precision="fp32")
    assert measured(make("bert")[0], config, steps, batch=TEXTS, probe=TEXTS).compiled is compiled


def test_a_short_run_is_not_tried_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("compiled for a run that cannot pay it back")

    monkeypatch.setattr(autotune, "_measure_compiled", never)
    assert not measured(make("bert")[0], steps=3, batch=TEXTS, probe=TEXTS).compiled


def test_failed_compilation_is_noted_and_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("no compiler")

    monkeypatch.setattr(torch, "compile", broken)
    notes: list[str] = []
    model = make("bert")[0]
    result = autotune._measure_compiled(model, TEXTS, None, "cpu", ComputeSettings("fp32"), notes.append)
    assert result == {}
    assert "RuntimeError" in notes[0]
    assert not any("forward" in vars(layer) for layer in autotune.repeated_layers(model))


def test_a_record_is_read_back() -> None:
    chosen = ComputeSettings("bf16", "sdpa", True)
    assert autotune.recorded(chosen.facts()) == chosen
    assert autotune.recorded({"precision": "fp32"}) == ComputeSettings("fp32")
    assert autotune.recorded({}) is None


def test_varlen_needs_a_gpu() -> None:
    with refused(ConfigError, "device.unsupported", "varlen", "NVIDIA"):
        autotune.configured(TrainingConfig(attention_kernel="varlen"), "cpu")


TEXTS = {
    "input_ids": torch.tensor([[2, 5, 6, 3], [2, 7, 3, 0], [2, 9, 3, 0], [2, 9, 8, 3]]),
    "attention_mask": torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 1, 0], [1, 1, 1, 1]]),
    "labels": torch.tensor([0, 1, 0, 1]),
}
