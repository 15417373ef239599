"""A search by the real command, shared by two processes."""

import shlex
from pathlib import Path

import pytest

from tests.support import checkpoints
from tests.support.cli import start, toolkit


@pytest.mark.slow
def test_two_processes_share_a_search_and_the_preset_runs(tmp_path: Path) -> None:
    data = checkpoints.reviews(tmp_path / "reviews.csv", 120)
    common = ("tune", "sentiment", "--model", checkpoints.TINY, "--data", data, "--trials", "4", "--output", "search")
    options = (*common, "--search", "epochs=1", "--search", "batch_size=8|16")
    both = [start(*options, cwd=tmp_path) for _ in range(2)]
    for process in both:
        _, err = process.communicate(timeout=600)
        assert process.returncode == 0, err
    assert len(list((tmp_path / "search" / "trials").iterdir())) == 4
    rates = {path.read_text(encoding="utf-8") for path in tmp_path.glob("search/trials/*/config.yaml")}
    assert len(rates) == 4
    again = toolkit(*options, cwd=tmp_path)
    assert again.code == 0
    assert "Trial" not in again.err
    command = (tmp_path / "search" / "best.yaml").read_text(encoding="utf-8").splitlines()[0]
    outcome = toolkit(*shlex.split(command)[2:], "--output", "best", cwd=tmp_path)
    assert outcome.code == 0, outcome.text
