"""Predictions line by line, with explanations, and the same after a kill at any moment."""

import json
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import Made
from tests.support import checkpoints
from tests.support.cli import Running, start, toolkit


def piped(made: Made, *, fresh: bool = False) -> "Running | subprocess.Popen[str]":
    """Start to answer standard input on standard output."""
    return start("predict", made.run, "--input", "-", "--output", "-", cwd=made.cwd, fresh=fresh, given=True)


def test_lines_are_predicted_as_they_arrive(made: Made) -> None:
    process = piped(made, fresh=True)
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        for text in ("a wonderful film", " ", "a dull story"):
            process.stdin.write(f"{text}\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())  # while standard input is open
            assert answer["text"] == text
            assert (answer["prediction"] is None) == (not text.strip())
            assert list(answer) == ["text", "prediction", "score", "problem"]
        process.stdin.write("".join(f"a wonderful film, seen {n} times\n" for n in range(100)))
        rest, result = process.communicate()
    assert [json.loads(line)["text"].split()[4] for line in rest.splitlines()] == [str(n) for n in range(100)]
    assert "1 of 103 rows have no prediction; the first is row 2: `text` is empty." in result
    assert process.returncode == 0


@pytest.mark.parametrize("wish", [signal.SIGINT, signal.SIGTERM])
def test_interruption_ends_waiting_for_input(made: Made, wish: signal.Signals) -> None:
    process = piped(made)
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        process.stdin.write("a wonderful film\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["prediction"] in ("neg", "pos")
        process.send_signal(wish)
        assert process.wait(60) == 130
        assert process.stderr is not None
        text = process.stderr.read()
        assert "\nStopped: 1 row is predicted." in text
        assert "Fatal" not in text


def test_explanations_are_written_with_predictions(made: Made, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("a wonderful film\n \na dull story\n", encoding="utf-8")
    outcome = toolkit("predict", made.run, "-i", "in.txt", "-o", "out.jsonl", "--explain", cwd=tmp_path)
    assert outcome.code == 0, outcome.text
    answers = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert answers[0]["explanation"]["words"] == ["a", "wonderful", "film"]
    assert len(answers[0]["explanation"]["scores"]) == 3
    assert answers[1]["explanation"] is None
    assert answers[1]["problem"] == "`text` is empty"
    for answer in (answers[0], answers[2]):
        value = answer["explanation"]
        result = max(zip(value["scores"], value["words"], strict=True))[1]
        assert result in ("wonderful", "dull")
        assert value["method"]


def wait_for_parts(folder: Path, count: int, process: Running) -> None:
    while len(list(folder.glob("*.jsonl"))) < count:
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.005)


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_random_kill_gives_same_bytes(seed: int, made: Made, tmp_path: Path) -> None:
    draw = random.Random(seed)
    words = [*checkpoints.GOOD, *checkpoints.BAD, *checkpoints.NOUNS]
    lines = [" ".join(draw.choices(words, k=draw.randint(3, 12))) if n % 100 else "" for n in range(5 * 4096 + 10)]
    (tmp_path / "in.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = ("predict", made.run, "--input", "in.txt", "--output")
    process = start(*command, "killed.csv", cwd=tmp_path)
    with process:
        wait_for_parts(tmp_path / ".killed.csv.parts", draw.randint(1, 3), process)
        time.sleep(draw.random() / 2)
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed.csv").exists()
    again = toolkit(*command, "killed.csv", cwd=tmp_path)
    assert again.code == 0, again.text
    assert "rows were already predicted; resuming." in again.err
    whole = toolkit(*command, "whole.csv", cwd=tmp_path)
    assert "rows were already predicted" not in whole.err
    assert (tmp_path / "killed.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert len((tmp_path / "killed.csv").read_bytes().splitlines()) == len(lines) + 1
