"""The choice of precision: measured once, remembered, and without a trace in the model or the dice."""

import json
from pathlib import Path

import pytest
import torch

from toolkit.training import tune


class Toy(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 2)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return type("Output", (), {"loss": torch.nn.functional.dropout(self.layer(x)).sum()})


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "finetune-toolkit" / "speed.json"


@pytest.mark.parametrize(("seconds", "choice"), [((1.0, 0.5), "bf16"), ((1.0, 0.95), "fp32"), ((1.0, 3.0), "fp32")])
def test_bf16_must_be_worth_it(seconds, choice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune, "_measure", lambda *_: dict(zip(("fp32", "bf16"), seconds, strict=True)))
    assert tune.precision(Toy(), {}, {}, "cpu") == choice


def test_measured_once_and_remembered(cache: Path) -> None:
    model, batch = Toy(), {"x": torch.ones(3, 2)}
    first = tune.precision(model, batch, batch, "cpu")
    calls = model.calls
    assert calls == 2 * (tune.ROUNDS + 1)
    assert tune.precision(model, batch, batch, "cpu") == first
    assert model.calls == calls
    (entry,) = json.loads(cache.read_text(encoding="utf-8")).values()
    assert set(entry["seconds"]) == {"fp32", "bf16"}


def test_a_broken_memory_is_measured_anew(cache: Path) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text("[1,", encoding="utf-8")
    assert tune.precision(Toy(), {"x": torch.ones(3, 2)}, {}, "cpu") in ("fp32", "bf16")


def test_it_leaves_no_trace(cache: Path) -> None:
    model = Toy()
    before = model.layer.weight.detach().clone()
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    tune.precision(model, {"x": torch.ones(3, 2)}, {}, "cpu")
    assert torch.equal(torch.rand(2), expected)
    assert torch.equal(model.layer.weight, before)
    assert model.layer.weight.grad is None
