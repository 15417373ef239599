"""Training on a stream: killed and resumed, it ends with the weights of an undisturbed run."""

import json
import time

import pyarrow.csv
import pytest
from pyarrow import parquet

from tests.support import cli
from tests.support.checkpoints import TINY, digest, reviews


@pytest.mark.slow
def test_killed_and_resumed_run_has_the_same_weights(tmp_path):
    table = pyarrow.csv.read_csv(reviews(tmp_path / "all.csv", 600))
    (tmp_path / "data").mkdir()
    for shard in range(4):
        piece = table.slice(150 * shard, 150)
        parquet.write_table(piece, tmp_path / "data" / f"part-{shard}.parquet", row_group_size=30)
    command = [
        *("finetune", "sentiment", "--model", TINY, "--data", "data", "--streaming", "--epochs", "2"),
        *("--batch-size", "8", "--max-length", "24", "--set", "data.buffer_rows=100"),
        *("--set", "evaluation.resamples=100"),
        *("--set", "training.evaluate_every=10", "--set", "evaluation.baselines=false"),
    ]  # fmt: skip
    whole = cli.toolkit(*command, "--output", "whole", cwd=tmp_path)
    assert whole.code == 0, whole.text
    killed = cli.start(*command, "--output", "killed", cwd=tmp_path)
    states = tmp_path / "killed" / "checkpoints"
    deadline = time.monotonic() + 120
    while not (states / "step-00000020" / "state.json").is_file() and time.monotonic() < deadline:
        time.sleep(0.01)
    killed.kill()
    killed.communicate()
    assert states.is_dir()  # it was not finished
    resumed = cli.toolkit(*command, "--output", "killed", "--resume", cwd=tmp_path)
    assert resumed.code == 0, resumed.text
    assert "from step " in resumed.text
    report = json.loads((tmp_path / "killed" / "report.json").read_text(encoding="utf-8"))
    assert report["training"]["best_step"] > 20
    files = [tmp_path / run / "model" / "model.safetensors" for run in ("whole", "killed")]
    assert digest(files[0]) == digest(files[1])
