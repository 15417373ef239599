"""The command on GPUs: bf16 by itself, one process for each of them, and a run that goes on where it was."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import checkpoints
from tests.support.cli import environment, start, toolkit
from toolkit import launch

COMMON = (
    "--model", checkpoints.TINY, "--data", "reviews.csv", "--batch-size", "8", "--output", "run",
    "--set", "evaluation.baselines=false", "--set", "training.evaluate_every=20", "--learning-rate", "1e-3",
)  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Path:
    checkpoints.reviews(tmp_path / "reviews.csv", 400)
    return tmp_path


def facts(run: Path) -> dict:
    return json.loads((run / "run.json").read_text(encoding="utf-8"))["training"]


def validation_losses(run: Path) -> list[float]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [line["loss"] for line in lines if line["event"] == "validation"]


def test_counting_gpus_initializes_none() -> None:
    program = "import torch; from toolkit import launch; print(launch.count_gpus(), torch.cuda.is_initialized())"
    said = subprocess.check_output([sys.executable, "-c", program], text=True).split()
    assert int(said[0]) >= 1
    assert said[1] == "False"


def test_the_command_learns_on_a_gpu_in_bf16(place: Path) -> None:
    import torch

    outcome = toolkit("finetune", "sentiment", *COMMON, "--epochs", "3", "--num-processes", "1", cwd=place)
    assert outcome.code == 0, outcome.text
    expected = "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    assert (facts(place / "run")["device"], facts(place / "run")["precision"]) == ("cuda", expected)
    report = json.loads((place / "run" / "report.json").read_text(encoding="utf-8"))
    accuracy = next(m for m in report["evaluation"]["metrics"] if m["name"] == "accuracy")
    assert accuracy["value"] > 0.9
    assert toolkit("evaluate", "run", cwd=place).code == 0


def test_gpu_and_cpu_take_the_same_steps(place: Path) -> None:
    plain = ("--epochs", "1", "--set", "training.dropout=0", "--set", "training.precision=fp32", "--num-processes", "1")
    for device in ("cpu", "cuda"):
        more = ("--output", device, "--set", f"training.device={device}")
        outcome = toolkit("finetune", "sentiment", *COMMON, *plain, *more, cwd=place)
        assert outcome.code == 0, outcome.text
    assert validation_losses(place / "cuda") == pytest.approx(validation_losses(place / "cpu"), rel=0.02, abs=0.002)


def test_a_stopped_run_goes_on(place: Path) -> None:
    process = start("finetune", "sentiment", *COMMON, "--epochs", "20", "--num-processes", "1", cwd=place)
    deadline = time.monotonic() + 120
    while not list(place.glob("run/checkpoints/step-*")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    outcome = toolkit("finetune", "sentiment", *COMMON, "--epochs", "20", "--num-processes", "1", "--resume", cwd=place)
    assert outcome.code == 0, outcome.text
    assert "from step" in outcome.err


@pytest.mark.parametrize(
    "launcher",
    [("torch.distributed.run", "--nproc-per-node", "1"), ("accelerate.commands.launch", "--num_processes", "1")],
)
def test_a_launcher_that_starts_one_process_is_obeyed(launcher: tuple[str, ...], place: Path) -> None:
    command = [sys.executable, "-m", *launcher, "-m", "toolkit", "finetune", "sentiment", *COMMON, "--epochs", "1"]
    done = subprocess.run(command, cwd=place, env=environment(), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert facts(place / "run")["processes"] == 1


def test_every_gpu_is_used_by_itself_and_the_steps_stay(place: Path, gpus: int) -> None:
    if gpus < 2:
        pytest.skip("one CUDA device")
    plain = ("--epochs", "1", "--set", "training.dropout=0", "--set", "training.precision=fp32")
    for output, more in (("all", ()), ("one", ("--num-processes", "1"))):
        outcome = toolkit("finetune", "sentiment", *COMMON, *plain, "--output", output, *more, cwd=place)
        assert outcome.code == 0, outcome.text
    assert facts(place / "all")["processes"] == launch.count_gpus()
    assert facts(place / "one")["processes"] == 1
    assert facts(place / "all")["steps"] == facts(place / "one")["steps"]
    assert validation_losses(place / "all") == pytest.approx(validation_losses(place / "one"), rel=0.02, abs=0.002)


def test_more_processes_than_gpus_are_refused(place: Path, gpus: int) -> None:
    outcome = toolkit("finetune", "sentiment", *COMMON, "--num-processes", str(gpus + 1), cwd=place)
    assert outcome.code == 2
    assert f"{gpus + 1} processes need as many GPUs" in outcome.err
