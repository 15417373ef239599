"""A killed and resumed run ends with the same weights as an uninterrupted one."""

import json
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import checkpoints
from tests.support.cli import Outcome, start, toolkit
from toolkit import sources

COMMON = (
    "--model", checkpoints.TINY, "--data", "reviews.csv", "--epochs", "3", "--batch-size", "8", "--output", "run",
    "--set", "training.dropout=0.1", "--set", "training.evaluate_every=40",
    "--set", "training.checkpoint_minutes=0.005",
    "--set", "training.early_stopping_patience=null", "--set", "evaluation.baselines=false",
    "--set", "training.best_metric=loss",
)  # fmt: skip


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing disturbed."""
    cwd = tmp_path_factory.mktemp("uninterrupted")
    checkpoints.reviews(cwd / "reviews.csv", 400)
    outcome = toolkit("finetune", "sentiment", *COMMON, cwd=cwd, fresh=True)
    assert outcome.code == 0, outcome.text
    return cwd / "run"


@dataclass(frozen=True)
class Interrupted:
    """A run that SIGTERM ended after its second state.

    Attributes:
        cwd: Where it ran; tests change copies of it.
        code: Its exit code.
        err: What it wrote to standard error.
    """

    cwd: Path
    code: int
    err: str


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Interrupted:
    cwd = tmp_path_factory.mktemp("interrupted")
    checkpoints.reviews(cwd / "reviews.csv", 400)
    process = start("finetune", "sentiment", *COMMON, cwd=cwd)
    wait_for("run/checkpoints/step-*", cwd, process, count=2)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    return Interrupted(cwd, process.returncode, err)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    checkpoints.reviews(tmp_path / "reviews.csv", 400)
    return tmp_path


def resumed(place: Path) -> Outcome:
    return toolkit("finetune", "sentiment", *COMMON, "--resume", cwd=place)


def weights(run: Path) -> str:
    return checkpoints.digest(run / "model" / "model.safetensors")


def same_result(run: Path, reference: Path) -> None:
    assert weights(run) == weights(reference)
    first, other = (json.loads((r / "report.json").read_text(encoding="utf-8")) for r in (run, reference))
    for report in (first, other):
        del report["evaluation"]["not_checked"]["command"]  # it names the run
    assert first["evaluation"] == other["evaluation"]
    assert first["training"]["evaluations"] == other["training"]["evaluations"]
    assert first["training"]["loss"] == other["training"]["loss"]
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert steps == sorted(steps)
    assert not (run / "checkpoints").exists()
    assert not [path for path in run.iterdir() if path.name.startswith(".")]


def wait_for(pattern: str, place: Path, process, count: int = 1) -> None:
    deadline = time.monotonic() + 120
    while len(list(place.glob(pattern))) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    "number", [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)]
)
def test_resume_after_kill_gives_same_weights(number: int, uninterrupted: Path, place: Path) -> None:
    draw = random.Random(number)
    for _ in range(2):  # twice, so that a resumed run is killed as well
        process = start("finetune", "sentiment", *COMMON, "--resume", cwd=place)
        wait_for("run/checkpoints/step-*", place, process)
        time.sleep(draw.uniform(0, 1))
        process.send_signal(signal.SIGKILL)
        process.communicate()
    outcome = resumed(place)
    assert outcome.code == 0, outcome.text
    same_result(place / "run", uninterrupted)


def test_kill_while_writing_state_is_recovered(uninterrupted: Path, place: Path) -> None:
    process = start("finetune", "sentiment", *COMMON, cwd=place)
    wait_for("run/checkpoints/step-*", place, process)
    wait_for("run/checkpoints/.step-*/*/weights.safetensors", place, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    outcome = resumed(place)
    assert outcome.code == 0, outcome.text
    same_result(place / "run", uninterrupted)


def test_sigterm_saves_and_says_how_to_go_on(uninterrupted: Path, interrupted: Interrupted, tmp_path: Path) -> None:
    assert interrupted.code == 130, interrupted.err
    assert "--resume" in interrupted.err
    place = shutil.copytree(interrupted.cwd, tmp_path, dirs_exist_ok=True)
    assert json.loads((place / "run" / "run.json").read_text(encoding="utf-8"))["status"] == "interrupted"
    outcome = resumed(place)
    assert outcome.code == 0, outcome.text
    assert "from step" in outcome.err
    same_result(place / "run", uninterrupted)


@pytest.fixture
def small_disk(place: Path) -> Iterator[Path]:
    """A disk of its own of 400 MB; what needs the right to mount one."""
    disk = place / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", str(disk)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("no `mount` here")
    if done.returncode != 0:
        pytest.skip(f"no disk can be mounted: {done.stderr.strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.slow
def test_full_disk_keeps_earlier_states(uninterrupted: Path, place: Path, small_disk: Path) -> None:
    command = ("finetune", "sentiment", *COMMON, "--output", "disk/run")
    process = start(*command, cwd=place)
    wait_for("disk/run/checkpoints/step-*", place, process)
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as stream, suppress(OSError):
        while stream.write(bytes(2**20)):
            pass
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1, err
    assert "No space left on device" in err
    assert "Traceback" not in err
    assert not list(small_disk.glob("run/checkpoints/.step-*"))
    filler.unlink()
    outcome = toolkit(*command, "--resume", cwd=place)
    assert outcome.code == 0, outcome.text
    assert "from step" in outcome.err
    same_result(small_disk / "run", uninterrupted)


def test_a_damaged_state_is_reported_and_the_one_before_it_used(
    uninterrupted: Path, interrupted: Interrupted, tmp_path: Path
) -> None:
    place = shutil.copytree(interrupted.cwd, tmp_path, dirs_exist_ok=True)
    newest = max(place.glob("run/checkpoints/step-*"))
    with (newest / "weights.safetensors").open("r+b") as stream:
        stream.seek(-8, 2)
        stream.write(b"\x01" * 8)
    empty = newest.with_name("step-99999999")  # a folder that a crash left is no checkpoint either
    empty.mkdir()
    outcome = resumed(place)
    assert outcome.code == 0, outcome.text
    assert f"{newest.name} is damaged" in outcome.err
    assert "step-99999999 is damaged" in outcome.err
    same_result(place / "run", uninterrupted)


@pytest.mark.slow
def test_resume_restores_adapters_and_averages(place: Path) -> None:
    options = (
        *COMMON, "--set", "adapter.kind=dora", "--set", "adapter.dropout=0.1",
        "--set", "training.ema_decay=0.9", "--set", "training.layer_decay=0.8", "--set", "loss.focal_gamma=1",
        "--set", "training.gradient_checkpointing=true",
    )  # fmt: skip
    outcome = toolkit("finetune", "sentiment", *options, "--output", "whole", cwd=place)
    assert outcome.code == 0, outcome.text
    process = start("finetune", "sentiment", *options, cwd=place)
    wait_for("run/checkpoints/step-*", place, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    outcome = toolkit("finetune", "sentiment", *options, "--resume", cwd=place)
    assert outcome.code == 0, outcome.text
    assert "from step" in outcome.err
    same_result(place / "run", place / "whole")
    kept = [checkpoints.digest(place / run / "adapter" / "adapter_model.safetensors") for run in ("run", "whole")]
    assert kept[0] == kept[1]


def test_other_values_or_data_are_not_resumed(interrupted: Interrupted, tmp_path: Path) -> None:
    place = shutil.copytree(interrupted.cwd, tmp_path, dirs_exist_ok=True)
    other = toolkit("finetune", "sentiment", *COMMON, "--learning-rate", "1e-3", "--resume", cwd=place)
    assert other.code == 2
    assert "training.learning_rate" in other.err
    checkpoints.reviews(place / "reviews.csv", 400, seed=5)
    changed = resumed(place)
    assert changed.code == 2
    assert "different data" in changed.err


def test_a_complete_run_is_not_resumed(uninterrupted: Path, tmp_path: Path) -> None:
    shutil.copytree(uninterrupted.parent, tmp_path, dirs_exist_ok=True)
    outcome = resumed(tmp_path)
    assert outcome.code == 2
    assert "complete" in outcome.err


def test_packaged_checkpoint_digest() -> None:
    path = sources.package_path("cognition/model/model.safetensors")
    assert checkpoints.digest(path) == checkpoints.TINY_SHA256
