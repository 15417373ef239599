"""A plan, and what then happens."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import checkpoints
from tests.support.cli import environment, toolkit
from tests.support.json_documents import document

RUN = ("sentiment", "--model", checkpoints.TINY, "--epochs", "1", "--set", "evaluation.resamples=200")


def planned(place: Path, *options: str, fresh: bool = False) -> dict[str, Any]:
    outcome = toolkit("plan", *RUN, "--data", "data.csv", *options, "--json", "--quiet", cwd=place, fresh=fresh)
    assert outcome.code == 0, outcome.text
    return document(outcome, "plan")


def test_a_plan_writes_nothing_and_knows_what_is_trained(tmp_path: Path) -> None:
    checkpoints.reviews(tmp_path / "data.csv", 240, seed=0)
    plan = planned(tmp_path, "--set", "adapter.kind=lora", "--batch-size", "16")
    assert [path.name for path in tmp_path.iterdir()] == ["data.csv"]
    memory = plan["here"]["memory"]
    assert memory["total"] == sum(value for name, value in memory.items() if name != "total")
    assert memory["gradients"] == 4 * plan["trainable"] < memory["weights"]
    assert memory["moments"] == 2 * memory["gradients"]
    assert plan["steps"] == -(-plan["rows"] // 16)
    assert plan["here"]["total_seconds"] == pytest.approx(sum(plan["here"]["seconds"].values()))
    assert all(fit["low_seconds"] <= fit["high_seconds"] for fit in plan["elsewhere"])
    assert plan["train"].startswith("toolkit finetune sentiment")


@pytest.mark.slow
def test_memory_is_within_15_percent(tmp_path: Path) -> None:
    checkpoints.reviews(tmp_path / "data.csv", 1500, seed=0)
    plan = planned(tmp_path, fresh=True)
    program = tmp_path / "measure.py"
    program.write_text(
        "import json, resource, subprocess, sys\n"
        "done = subprocess.run([sys.executable, '-m', 'toolkit', *sys.argv[1:]], capture_output=True, text=True)\n"
        "print(json.dumps([done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024]))\n",
        encoding="utf-8",
    )
    words = [sys.executable, str(program), "finetune", *RUN, "--data", "data.csv", "--output", "run"]
    done = subprocess.run(words, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True)
    code, peak = json.loads(done.stdout)
    assert code == 0
    assert abs(plan["here"]["memory"]["total"] / peak - 1) < 0.15
    training = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))["training"]
    assert training["steps"] == plan["steps"]
