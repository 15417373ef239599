"""Two processes equal one: the same steps, the same evaluation, one set of files and messages."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from tests.support import checkpoints, steps
from tests.support.cli import Outcome, Running, environment, start, toolkit

ROOT = Path(__file__).parents[2]
COMMON = (
    "--model", checkpoints.TINY, "--data", "reviews.csv", "--batch-size", "8", "--output", "run",
    "--set", "evaluation.baselines=false", "--set", "training.evaluate_every=6", "--set", "evaluation.batch_size=8",
)  # fmt: skip
TWO = ("--num-processes", "2")
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
STILL = (
    "--epochs", "5", "--learning-rate", "1e-30", "--set", "training.dropout=0",
    "--set", "training.early_stopping_patience=2",
)  # fmt: skip
UNTIDY = ("--epochs", "2", "--set", "training.dropout=0.1", "--set", "training.checkpoint_minutes=0.005")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    checkpoints.reviews(tmp_path / "reviews.csv", 160)
    return tmp_path


def log(run: Path, event: str) -> list[dict]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line["event"] == event]


def files(run: Path) -> list[str]:
    return sorted(path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file())


def weights(run: Path) -> str:
    return checkpoints.digest(run / "model" / "model.safetensors")


# --- the same figures -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders of what tests/support/steps.py writes in one process, and in two that torchrun started."""
    folders = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    for folder, launcher in zip(folders, ((), TORCHRUN), strict=True):
        command = [sys.executable, *launcher, "-m", "tests.support.steps", str(folder)]
        subprocess.run(command, cwd=ROOT, env=environment(), check=True, timeout=300)
    return folders


@pytest.mark.parametrize("case", steps.CASES)
def test_two_processes_give_the_steps_of_one(case: str, trained: tuple[Path, Path]) -> None:
    first, two = (load_file(folder / f"{case}.safetensors") for folder in trained)
    for name, tensor in first.items():
        torch.testing.assert_close(two[name], tensor, rtol=1e-3, atol=2e-5, msg=lambda m, n=name: f"{n}: {m}")
    facts, other = (json.loads((folder / f"{case}.json").read_text(encoding="utf-8")) for folder in trained)
    assert other["losses"] == pytest.approx(facts["losses"], abs=1e-5)
    assert len(facts["losses"]) >= 3
    assert other["steps"] == facts["steps"]
    assert other["same weights"]
    assert other["same predictions"]
    assert [bool(text) for text in other["said"]] == [False, case.startswith("memory runs out")]


@pytest.mark.parametrize("case", steps.COMPRESSED)
def test_compressed_gradients_give_about_the_steps_of_one(case: str, trained: tuple[Path, Path]) -> None:
    facts, other = (json.loads((folder / f"{case}.json").read_text(encoding="utf-8")) for folder in trained)
    assert other["losses"] == pytest.approx(facts["losses"], abs=0.02)
    assert other["losses"] != pytest.approx(facts["losses"], abs=1e-7)
    assert other["same weights"]


@pytest.mark.parametrize("case", steps.RESUMED)
def test_resume_restores_each_random_generator(case: str, trained: tuple[Path, Path]) -> None:
    ended = [json.loads((folder / f"{case}.json").read_text(encoding="utf-8")) for folder in trained]
    assert ended == [[True], [True, True]]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """A run of one process whose model does not change, and what its command printed."""
    cwd = tmp_path_factory.mktemp("alone")
    checkpoints.reviews(cwd / "reviews.csv", 160)
    outcome = toolkit("finetune", "sentiment", *COMMON, *STILL, cwd=cwd)
    assert outcome.code == 0, outcome.text
    return cwd / "run", outcome


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_the_command_gives_the_same_run_and_one_set_of_files(
    alone: tuple[Path, Outcome], place: Path, strategy: str
) -> None:
    """With a learning rate below the weights' resolution the model is the same, and so is every prediction."""
    two = toolkit("finetune", "sentiment", *COMMON, *STILL, *TWO, "--strategy", strategy, cwd=place)
    assert two.code == 0, two.text
    runs = (alone[0], place / "run")
    assert files(runs[1]) == files(runs[0])
    validations = [[(v["step"], v["loss"], v["accuracy"], v["best"]) for v in log(run, "validation")] for run in runs]
    assert validations[0] == validations[1]
    assert 3 <= len(validations[0]) < 5 * 15 // 6  # patience ended it
    reports = [json.loads((run / "report.json").read_text(encoding="utf-8")) for run in runs]
    assert reports[0]["evaluation"] == reports[1]["evaluation"]
    assert reports[1]["training"]["processes"] == 2
    assert pq.read_table(runs[0] / "predictions.parquet") == pq.read_table(runs[1] / "predictions.parquet")
    kept = [load_file(run / "model" / "model.safetensors") for run in runs]
    torch.testing.assert_close(kept[1], kept[0], rtol=0, atol=1e-6)
    assert (runs[0] / "model" / "config.json").read_text() == (runs[1] / "model" / "config.json").read_text()
    assert len(re.findall("Evaluating on held-out data", two.err)) == 1
    assert "2 processes" in two.err
    assert "learning rate (1e-30)" in two.err
    assert two.out.count("report") == alone[1].out.count("report")


# --- going on where it was ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cwd = tmp_path_factory.mktemp("uninterrupted")
    checkpoints.reviews(cwd / "reviews.csv", 160)
    outcome = toolkit("finetune", "sentiment", *COMMON, *UNTIDY, *TWO, cwd=cwd)
    assert outcome.code == 0, outcome.text
    return cwd / "run"


def begin(place: Path, *more: str) -> Running:
    """Start a run and wait for its first state."""
    process = start("finetune", "sentiment", *COMMON, *UNTIDY, *TWO, *more, cwd=place)
    deadline = time.monotonic() + 120
    while not list(place.glob("run/checkpoints/step-*")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return process


def members(process: Running) -> list[int]:
    """Return the processes that a launcher started, by rank."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="utf-8").split()
    return [int(child) for child in children]


@pytest.mark.slow
def test_resume_of_processes_gives_same_weights(uninterrupted: Path, place: Path) -> None:
    process = begin(place)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert err.count("--resume") == err.count("Stopped") == 1
    assert "Interrupted" not in err
    assert json.loads((place / "run" / "run.json").read_text(encoding="utf-8"))["status"] == "interrupted"
    outcome = toolkit("finetune", "sentiment", *COMMON, *UNTIDY, *TWO, "--resume", cwd=place)
    assert outcome.code == 0, outcome.text
    assert "from step" in outcome.err
    assert weights(place / "run") == weights(uninterrupted)
    assert log(place / "run", "validation") == log(uninterrupted, "validation")


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_killed_process_ends_run_with_one_message(place: Path) -> None:
    process = begin(place)
    os.kill(members(process)[1], signal.SIGKILL)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1, err
    assert "Process 1 of 2 was terminated by SIGKILL" in err
    assert "Traceback" not in err
    assert err.count("Error") == 1
    assert json.loads((place / "run" / "run.json").read_text(encoding="utf-8"))["status"] == "failed"


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
@pytest.mark.parametrize("rank", [0, 1])
def test_killed_process_is_started_again_and_gives_same_weights(rank: int, uninterrupted: Path, place: Path) -> None:
    process = begin(place, "--max-restarts", "1")
    os.kill(members(process)[rank], signal.SIGKILL)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert f"Process {rank} of 2 was terminated by SIGKILL" in err
    assert "from step" in err
    assert err.count("Error") == 0
    assert weights(place / "run") == weights(uninterrupted)
    assert log(place / "run", "validation") == log(uninterrupted, "validation")


# --- one voice ------------------------------------------------------------------------------------------------------


def test_ctrl_c_prints_one_message(place: Path) -> None:
    process = start("finetune", "sentiment", *COMMON, *TWO, cwd=place)
    deadline = time.monotonic() + 60
    while len(members(process)) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(random.Random(0).uniform(0.1, 3))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.count("Interrupted") + err.count("Stopped") == 1
    assert "Traceback" not in err


def test_errors_are_reported_once(place: Path) -> None:
    outcome = toolkit("finetune", "sentiment", *COMMON, *TWO, "--text-column", "nope", cwd=place)
    assert outcome.code == 2
    assert outcome.err.count("no column `nope`") == 1
    assert outcome.err.count("Error") == 1
    assert not (place / "run").exists()


@pytest.mark.slow
def test_error_of_another_process_is_reported_once(place: Path) -> None:
    recipe = place / "mine.py"
    source = (ROOT / "recipes" / "sentiment.py").read_text(encoding="utf-8")
    failing = [
        *("def collate(features, processor):", "    import os"),
        *('    if os.environ["RANK"] == "1":', '        raise ValueError("a hurdle")'),
        *("    from toolkit.data.batching import batch", "    return batch.collate(features, processor)"),
    ]
    recipe.write_text("\n".join([source, *failing, ""]), encoding="utf-8")
    outcome = toolkit("finetune", str(recipe), *COMMON, *TWO, cwd=place)
    assert outcome.code == 2
    assert "ValueError: a hurdle" in outcome.err
    assert outcome.err.count("a hurdle") == 1
    assert json.loads((place / "run" / "run.json").read_text(encoding="utf-8"))["status"] == "failed"


def test_other_process_number_is_rejected(place: Path) -> None:
    env = {"RANK": "0", "WORLD_SIZE": "3", "LOCAL_RANK": "0"}
    outcome = toolkit("finetune", "sentiment", *COMMON, *TWO, cwd=place, env=env)
    assert outcome.code == 2
    assert "`training.num_processes` is 2, but the launcher started 3" in outcome.err
