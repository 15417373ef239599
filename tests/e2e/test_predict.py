"""A file of texts in, the same rows with predictions out."""

import csv
import importlib
import json
import os
import shutil
import signal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.e2e.conftest import Made
from tests.support.cli import several, start, toolkit
from tests.support.errors import refused
from toolkit import runs
from toolkit.commands.predict import predictor
from toolkit.errors import DataError, Interrupted
from toolkit.events import Counted, Event, Note, Observe
from toolkit.inference.predict_features import predict_features

predicting = importlib.import_module("toolkit.commands.predict.run")  # the package's attribute is the function


def test_predict_agrees_with_evaluation_in_row_order(made: Made, tmp_path: Path) -> None:
    rows = pq.read_table(made.run / "data" / "test.parquet")["text"].to_pylist()
    output = pq.read_table(made.run / "predictions.parquet")
    rows.insert(3, " ")  # a row without text
    with (tmp_path / "in.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([["id", "text"], *enumerate(rows)])
    outcome = toolkit("predict", made.run, "--input", "in.csv", "--output", "out.jsonl", "--all-scores", cwd=tmp_path)
    assert outcome.code == 0, outcome.text
    assert "1 of 81 rows have no prediction; the first is row 4: `text` is empty." in outcome.err
    answers = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [answer["id"] for answer in answers] == [str(number) for number in range(81)]
    bad = answers.pop(3)
    assert (bad["prediction"], bad["score"]) == (None, None)
    assert [answer["prediction"] for answer in answers] == [["neg", "pos"][n] for n in output["prediction"].to_pylist()]
    for answer, probabilities in zip(answers, output["probabilities"].to_pylist(), strict=True):
        assert answer["score"] == pytest.approx(max(probabilities), abs=1e-5)
        assert answer["score: neg"] + answer["score: pos"] == pytest.approx(1, abs=1e-5)
        assert "calibrated_score" not in answer  # right on all validation rows: there was no temperature to fit
    again = toolkit("predict", made.run, "--input", "in.csv", "--output", "out.jsonl", cwd=tmp_path)
    assert again.code == 2
    assert "already exists" in again.err


def test_a_row_of_wrong_width_keeps_what_it_has(made: Made, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("id;text;note\n1;a dull story;x\n2;a good film;b;c\n", encoding="utf-8")
    outcome = toolkit("predict", made.run, "--input", "in.csv", "--output", "out.csv", cwd=tmp_path)
    assert outcome.code == 0, outcome.text
    rows = (tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()
    assert rows[0].startswith("id;text;note;")
    assert rows[2].startswith('2;a good film;"b;c";;')


def test_sets_and_promises(made: Made, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("text\na wonderful film\na dull story\n")
    file = ("predict", made.run, "--input", "in.csv", "--output", "out.jsonl")
    sets, error = several(
        [(*file, "--sets", "0.8"), ("predict", made.run, "a dull story", "--max-error", "0.0001")],
        cwd=tmp_path,
        all_of_them=True,
    )
    assert sets.code == 0, sets.text
    answers = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [answer["prediction"] in answer["set"] for answer in answers] == [True, True]
    assert error.code == 2
    assert "model.no-promise" in error.err


def test_standard_input(made: Made, tmp_path: Path) -> None:
    """And the score at the temperature that a run has fitted."""
    run = shutil.copytree(made.run, tmp_path / "run")
    card = runs.read_object(run / "model" / runs.CARD)
    runs.write_json(run / "model" / runs.CARD, {**card, "calibration": {"temperature": 2.0}})
    with start("predict", run, "--input", "-", "--output", "out.csv", cwd=tmp_path, given=True) as process:
        assert process.stdin is not None
        process.stdin.write("a wonderful film\na dull story\n" + "dull " * 600 + "\n")
        _, err = process.communicate(60)
    assert process.returncode == 0, err
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as stream:
        answers = list(csv.DictReader(stream))
    assert len(answers) == 3
    assert "1 row was truncated to 256 tokens" in err
    for answer in answers:
        odds = float(answer["score"]) / max(1 - float(answer["score"]), 5e-7)  # it is rounded to six digits
        assert float(answer["calibrated_score"]) == pytest.approx(odds**0.5 / (1 + odds**0.5), abs=1e-3)


def test_kill_loses_at_most_one_part(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predicting, "CHUNK", 10)
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "in.txt"
    source.write_text("".join(f"a wonderful film, seen {n} times\n" for n in range(35)), encoding="utf-8")
    ask, requested, seen = predict_features, list[int](), list[Event]()

    def dying(subject: object, features: object, observe: Observe) -> object:
        requested.append(len(features))  # type: ignore[arg-type]
        if len(requested) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        observe(Counted(len(features), len(features)))  # type: ignore[arg-type]
        return ask(subject, features)  # type: ignore[arg-type]

    def run(output: str) -> None:
        seen.clear()
        predicting.predict(str(made.run), str(source), Path(output), {}, None, seen.append, command="toolkit …")

    monkeypatch.setattr(predictor, "predict_features", dying)
    with refused(Interrupted, "run.interrupted", "20 rows", "out.csv") as stopped:
        run("out.csv")
    assert stopped.value.fix == "Resume with: toolkit …"
    assert not Path("out.csv").exists()
    run("out.csv")
    assert requested == [10, 10, 10, 10, 5]
    counted = [event.done for event in seen if isinstance(event, Counted)]
    assert counted == [10, 20, 30, 30, 35, 35]  # the parts that were there, and then within parts and behind them
    run("whole.csv")
    assert Path("out.csv").read_bytes() == Path("whole.csv").read_bytes()
    requested.clear()
    with refused(Interrupted, "run.interrupted"):
        run("edited.csv")
    when = source.stat()
    source.write_text(source.read_text(encoding="utf-8").replace("0 times", "9 times"), encoding="utf-8")
    os.utime(source, ns=(when.st_atime_ns, when.st_mtime_ns))
    run("edited.csv")
    assert any("20 rows were predicted before but discarded" in event.text for event in seen if isinstance(event, Note))
    assert "seen 9 times" in Path("edited.csv").read_text(encoding="utf-8").splitlines()[1]
    with refused(DataError, "data.column-taken"):
        predicting.predict(str(made.run), "whole.csv", Path("twice.csv"), {}, None, lambda event: None)


def test_texts_on_command_line_are_predicted(made: Made, tmp_path: Path) -> None:
    commands = [
        ("predict", made.run, "a warm and funny film", " "),
        ("predict", made.run, "a warm and funny film", "--output", "out.csv"),
        ("predict", made.run),
    ]
    outcomes, both, nothing = several(commands, cwd=tmp_path, all_of_them=True)
    assert outcomes.code == 0, outcomes.text
    first, second = outcomes.out.splitlines()
    assert first.startswith(("neg", "pos"))
    assert first.endswith("a warm and funny film")
    assert "%" in first
    assert "`text` is empty" in second
    assert (both.code, nothing.code) == (2, 2)
    assert "--output" in both.err
    assert "--input" in nothing.err
    assert not (tmp_path / "out.csv").exists()
