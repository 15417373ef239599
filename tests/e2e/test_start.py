"""What commands import: nothing heavy without a model, and before training only what it needs."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.e2e.conftest import Made
from tests.support import checkpoints
from tests.support.cli import environment

HEAVY = frozenset(
    ("torch", "transformers", "datasets", "evaluate", "accelerate", "peft", "pandas", "sklearn", "scipy", "matplotlib")
)
NOT_FOR_TRAINING = frozenset(
    (
        *("transformers.pipelines", "transformers.trainer", "evaluate", "datasets", "peft", "matplotlib", "onnx"),
        *("onnxruntime", "captum", "optuna", "kornia", "tensorflow"),
    )
)
AT_END = "import atexit, json, sys; atexit.register(lambda: print('\\n' + json.dumps([*sys.modules]), file=sys.stderr))"
AT_TRAINING = """
import json, sys
from toolkit.training.loop import train as loop
def train(*_, **__):
    print('\\n' + json.dumps([*sys.modules]), file=sys.stderr)
    sys.exit(0)
import toolkit.commands.finetune.training.fit as fit
assert fit.train is loop.train
fit.train = train
"""


def imported(before: str, arguments: Sequence[str], cwd: Path) -> set[str]:
    """Run a command in a new interpreter; return the modules that the code before it writes as its last line."""
    program = f"{before}\nimport sys\nsys.argv = ['toolkit', *{list(arguments)!r}]\n"
    program += "from toolkit.__main__ import main\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=cwd, env=environment(), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return set(json.loads(done.stderr.rstrip().splitlines()[-1]))


@pytest.mark.parametrize(
    "command",
    [
        "--help",
        "--version",
        "runs list",
        "runs list --json",
        "recipes list",
        "recipes show sentiment",
        "recipes copy sentiment own.py",
        "schema",
        "schema inspect",
        "launch --on slurm finetune sentiment",
        "lr-find --help",
        "plan --help",
        "doctor --help",
    ],
)
def test_commands_without_a_model_import_nothing_heavy(command: str, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    assert not imported(AT_END, command.split(), tmp_path) & HEAVY


def test_a_table_is_inspected_without_torch(tmp_path: Path) -> None:
    checkpoints.reviews(tmp_path / "rows.csv", 60)
    seen = imported(AT_END, ["inspect", "rows.csv"], tmp_path)
    assert "pyarrow" in seen
    assert not seen & (HEAVY - {"pandas"})  # pyarrow imports pandas to convert Python values


def test_runs_are_compared_without_torch(made: Made, tmp_path: Path) -> None:
    other = shutil.copytree(made.run, tmp_path / "other")
    seen = imported(AT_END, ["compare", str(made.run), str(other)], tmp_path)
    assert not seen & (HEAVY - {"pandas", "scipy"})  # pyarrow's readers import pandas; scipy has the distributions


def test_training_begins_with_what_it_needs(tiny_bert: Path, tmp_path: Path) -> None:
    checkpoints.reviews(tmp_path / "rows.csv", 1200)
    command = ["finetune", "sentiment", "--data", "rows.csv", "--model", str(tiny_bert), "--output", "run"]
    seen = imported(AT_TRAINING, [*command, "--set", "data.max_length=32"], tmp_path)
    assert {"torch", "transformers.modeling_utils"} <= seen
    assert not seen & NOT_FOR_TRAINING
