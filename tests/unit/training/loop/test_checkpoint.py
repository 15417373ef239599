"""States of training on disk: valid ones are found, damaged ones are skipped, old ones are removed."""

import json
from pathlib import Path

import pytest
import torch

from tests.support.errors import refused
from toolkit import runs
from toolkit.errors import RunError
from toolkit.training.loop import checkpoint


def made(steps: int = 3):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    for _ in range(steps):
        model(torch.randn(8, 4)).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    return model, optimizer


def written(folder: Path, *steps: int, best: int = 0):
    model, optimizer = made()
    for step in steps:
        if best:
            checkpoint.best_path(folder, best).mkdir(parents=True, exist_ok=True)
        checkpoint.write(folder, step, checkpoint.gather(model, optimizer), {"best_step": best, "note": "ünïcode"})
    return model, optimizer


def test_everything_comes_back_to_the_bit(tmp_path: Path) -> None:
    model, optimizer = written(tmp_path, 7)
    expected = torch.rand(3)
    state, notes = checkpoint.newest(tmp_path)
    assert notes == []
    assert (state.step, state.facts["note"]) == (7, "ünïcode")
    other, other_optimizer = made(0)
    torch.manual_seed(123)
    checkpoint.restore(state, other, other_optimizer)
    assert torch.equal(torch.rand(3), expected)
    for name, tensor in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor), name
    x = torch.randn(8, 4)
    for m, o in ((model, optimizer), (other, other_optimizer)):
        m(x).square().sum().backward()
        o.step()
    assert torch.equal(model[0].weight, other[0].weight)


def test_the_last_states_stay_and_the_best_models_they_speak_of(tmp_path: Path) -> None:
    model, optimizer = made()
    for step, best in ((10, 10), (20, 20), (30, 20), (40, 40)):
        checkpoint.best_path(tmp_path, best).mkdir(parents=True, exist_ok=True)
        checkpoint.write(tmp_path, step, checkpoint.gather(model, optimizer), {"best_step": best})
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["best-00000020", "best-00000040", "step-00000030", "step-00000040"]


@pytest.mark.parametrize("file", ["weights.safetensors", "optimizer.safetensors", "random.safetensors", "state.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "empty"])
def test_a_damaged_state_is_passed_over(file: str, damage: str, tmp_path: Path) -> None:
    written(tmp_path, 1, 2)
    path = tmp_path / "step-00000002" / file
    content = path.read_bytes()
    if damage == "flip":
        path.write_bytes(content[:-3] + bytes([content[-3] ^ 1]) + content[-2:])
        if file == "state.json":
            path.write_bytes(b"{" + content)
    elif damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        path.unlink()
    state, notes = checkpoint.newest(tmp_path)
    assert state.step == 1
    assert "step-00000002 is damaged" in notes[0]


def test_a_state_whose_best_model_is_gone_is_not_whole(tmp_path: Path) -> None:
    written(tmp_path, 5, best=5)
    checkpoint.best_path(tmp_path, 5).rmdir()
    state, notes = checkpoint.newest(tmp_path)
    assert state is None
    assert "best model" in notes[0]


@pytest.mark.parametrize("damage", ["flip", "remove"])
def test_a_state_whose_best_model_is_damaged_is_not_whole(damage: str, tmp_path: Path) -> None:
    best = checkpoint.best_path(tmp_path, 5)
    best.mkdir(parents=True)
    (best / "model.safetensors").write_bytes(b"weights")
    written(tmp_path, 5, best=5)
    assert checkpoint.newest(tmp_path)[0] is not None
    if damage == "flip":
        (best / "model.safetensors").write_bytes(b"weighTs")
    else:
        (best / "model.safetensors").unlink()
    state, notes = checkpoint.newest(tmp_path)
    assert state is None
    assert "its best model differs from what was written" in notes[0]


def test_a_state_that_names_files_of_elsewhere_is_not_whole(tmp_path: Path) -> None:
    written(tmp_path / "checkpoints", 7)
    (tmp_path / "mine").write_text("mine", encoding="utf-8")
    file = tmp_path / "checkpoints" / "step-00000007" / "state.json"
    state = json.loads(file.read_text(encoding="utf-8"))
    for place in ("/dev/zero", "../../mine"):
        state["sha256"] = {place: runs.digest(tmp_path / "mine")}
        file.write_text(json.dumps(state), encoding="utf-8")
        assert place in str(checkpoint._fault(file.parent))


def test_no_state_at_all(tmp_path: Path) -> None:
    assert checkpoint.newest(tmp_path / "none") == (None, [])


def test_the_state_of_another_model_is_refused(tmp_path: Path) -> None:
    written(tmp_path, 1)
    state, _ = checkpoint.newest(tmp_path)
    other = torch.nn.Linear(4, 4)
    with refused(RunError, "run.other-model", "step-00000001"):
        checkpoint.restore(state, other, torch.optim.AdamW(other.parameters()))


def test_nothing_is_pickled(tmp_path: Path) -> None:
    written(tmp_path, 1)
    names = {path.suffix for path in (tmp_path / "step-00000001").iterdir()}
    assert names == {".safetensors", ".json"}
