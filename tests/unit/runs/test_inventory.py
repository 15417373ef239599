"""Runs of a folder: listed, shown, ranked and removed, also where the folders are from elsewhere."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.support.cli import toolkit
from tests.support.errors import refused
from toolkit.api.documents.document import as_json
from toolkit.cli.analysis import runs as command
from toolkit.errors import ConfigError, SourceError
from toolkit.runs import inventory, lock
from toolkit.runs.inventory import rankings, removable, remove, summaries, summary

Make = Callable[..., Path]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


@pytest.fixture
def make(home: Path) -> Make:
    """Write a run directory with one metric."""

    def make_run(name: str, value: Any = 0.8, rows: str = "a1", metric: str = "accuracy", **facts: Any) -> Path:
        run = home / name
        (run / "model").mkdir(parents=True)
        whole = {"status": "complete", "recipe": "sentiment", "model": "minilm", "created": "2026-01-02T03:04:05+00:00"}
        whole |= {"data": {"origin": "reviews.csv"}, "command": "toolkit finetune sentiment", **facts}
        (run / "run.json").write_text(json.dumps(whole), encoding="utf-8")
        cell = {"name": metric, "title": metric.title(), "value": value, "low": 0.7, "high": 0.9, "unit": "fraction"}
        cell |= {"better": "lower"} if metric == "log_loss" else {}
        (run / "report.json").write_text(json.dumps({"evaluation": {"metrics": [cell]}}), encoding="utf-8")
        (run / "SHA256SUMS").write_text(f"{rows}  data/test.parquet\nff  model/model.safetensors\n", encoding="utf-8")
        (run / "config.yaml").write_text("recipe: sentiment\n", encoding="utf-8")
        (run / "model" / "model.safetensors").write_bytes(b"0" * 1000)
        return run

    return make_run


def test_runs_are_listed_newest_first(home, make):
    make("old", created="2026-01-01T00:00:00+00:00")
    make("new", created="2026-02-01T00:00:00+00:00")
    make("stopped", status="running", created="2026-01-15T00:00:00+00:00")
    make("failed", status="failed", created="2025-01-01T00:00:00+00:00")
    (home / "notes").mkdir()
    found = summaries(home)
    assert [(run.path.name, run.state) for run in found] == [
        *(("new", "finished"), ("stopped", "interrupted"), ("old", "finished"), ("failed", "failed"))
    ]
    first = found[0]
    assert (first.recipe, first.model, first.data, first.test_rows) == ("sentiment", "minilm", "reviews.csv", "a1")
    assert (first.metrics[0].value, first.metrics[0].low, first.metrics[0].high) == (0.8, 0.7, 0.9)
    assert first.bytes == sum(file.stat().st_size for file in first.path.rglob("*") if file.is_file())
    assert found[1].metrics == ()


def test_a_run_in_training_is_running_and_kept(make):
    run = make("busy", status="running")
    with lock.claimed(run):
        assert summary(run).state == "running"
        with refused(ConfigError, "run.in-use"):
            removable([run])
    assert summary(run).state == "interrupted"


def test_runs_of_several_seeds_are_listed_one_by_one(home, make, tmp_path):
    for name in ("seeds/seed-1", "seeds/seed-2", "seeds/deeper/run", "single", "single/inner"):
        make(name)
    listed = {run.path.relative_to(home).as_posix() for run in summaries(home)}
    assert listed == {"seeds/seed-1", "seeds/seed-2", "single"}
    assert "seeds/seed-1" in toolkit("runs", "list", cwd=tmp_path).out


@pytest.mark.parametrize(("metric", "best"), [("accuracy", "b"), ("log_loss", "a")])
def test_best_follows_the_direction_of_the_metric(home, make, metric, best):
    for name, value in (("a", 0.2), ("b", 0.9), ("c", 0.5)):
        make(name, value, metric=metric)
    make("unfinished", 1.0 if metric == "accuracy" else 0.0, metric=metric, status="running")
    (ranking,) = rankings(metric, summaries(home))
    assert ranking.runs[0].path.name == best
    assert len(ranking.runs) == 3


def test_runs_with_other_test_rows_or_tasks_are_ranked_apart(home, make):
    make("a", 0.8, rows="a1")
    make("b", 0.9, rows="a1")
    make("other-rows", 0.99, rows="b2")
    make("other-task", 0.98, recipe="text")
    for name in ("no-rows", "no-rows-2"):
        (make(name, 0.97) / "SHA256SUMS").unlink()
    ranked = rankings("accuracy", summaries(home))
    assert [run.path.name for run in ranked[0].runs] == ["b", "a"]
    assert sorted(run.path.name for ranking in ranked[1:] for run in ranking.runs) == [
        *("no-rows", "no-rows-2", "other-rows", "other-task")
    ]
    assert all(len(ranking.runs) == 1 for ranking in ranked[1:])


def test_a_metric_that_no_run_has_is_refused(home, make):
    with refused(SourceError, "run.not-found"):
        rankings("accuracy", summaries(home))
    make("a")
    with refused(ConfigError, "config.unknown-choice", "accurracy", "accuracy"):
        rankings("accurracy", summaries(home))


HOSTILE = {
    "not JSON": "{",
    "a list": "[1, 2]",
    "deep": "[" * 100_000,
    "deep object": '{"a":' * 500 + "1" + "}" * 500,
    "wrong types": '{"status": "complete", "recipe": 3, "data": []}',
    "long number": f'{{"status": {"9" * 10_000}}}',
    "not UTF-8": b"\xff\xfe{",
    "empty": "",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("file", ["run.json", "report.json"])
def test_damaged_files_do_not_stop_the_list(home, make, file, content):
    make("good")
    bad = make("bad")
    (bad / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    states = {run.path.name: (run.state, len(run.metrics)) for run in summaries(home)}
    assert states == {"good": ("finished", 1), "bad": ("damaged" if file == "run.json" else "finished", 0)}


@pytest.mark.parametrize("value", [None, "0.9", True, [1], {}, 10**400, float("nan"), float("inf")])
def test_a_figure_that_is_no_number_is_left_out(home, make, value):
    make("a", value)
    assert summaries(home)[0].metrics == ()
    json.dumps(as_json(summaries(home)[0]), allow_nan=False)


def test_a_huge_file_is_not_read(make, monkeypatch):
    run = make("a")
    monkeypatch.setattr(inventory, "_MOST_BYTES", 300)
    with (run / "report.json").open("a", encoding="utf-8") as stream:
        stream.write(" " * 300)
    assert (summary(run).state, summary(run).metrics) == ("finished", ())
    with (run / "run.json").open("a", encoding="utf-8") as stream:
        stream.write(" " * 300)
    assert summary(run).state == "damaged"


def test_links_and_pipes_are_not_followed(home, make, tmp_path):
    outside = make("../outside")
    (home / "linked").symlink_to(outside)
    (home / "circle").symlink_to(home / "circle")
    inner = make("inner")
    (inner / "all").symlink_to(outside)
    for name in ("report.json", "SHA256SUMS"):
        (inner / name).unlink()
    os.mkfifo(inner / "report.json")  # reading it would wait for ever
    (inner / "SHA256SUMS").symlink_to(outside / "SHA256SUMS")
    (inner / lock.NAME).symlink_to(outside / "run.json")
    piped = make("piped")
    (piped / "run.json").unlink()
    os.mkfifo(piped / "run.json")
    (found,) = summaries(home)
    assert (found.path.name, found.metrics, found.test_rows) == ("inner", (), None)
    assert found.bytes < 2000
    with refused(SourceError, "run.not-a-run"):
        removable([home / "linked"])
    remove(removable([inner])[0])
    assert not inner.exists()
    assert json.loads((outside / "run.json").read_text(encoding="utf-8"))["status"] == "complete"
    assert (outside / "model" / "model.safetensors").stat().st_size == 1000


def test_only_run_directories_are_removed(home, make, tmp_path, monkeypatch):
    run = make("a")
    for place in (home, tmp_path / "nowhere", run / "model", run / "run.json"):
        with refused(SourceError, "run.not-found" if "nowhere" in place.name else "run.not-a-run"):
            removable([run, place])
    other = home / "program"
    other.mkdir()
    (other / "run.json").write_text('{"scripts": {}}', encoding="utf-8")
    with refused(SourceError, "run.not-a-run"):
        removable([other])
    monkeypatch.chdir(run / "model")
    with refused(SourceError, "run.not-a-run"):
        removable([Path("..")])
    monkeypatch.chdir(tmp_path)
    assert run.is_dir()
    (run / "run.json").write_text("{", encoding="utf-8")
    (found,) = removable([run, run])
    remove(found)
    assert sorted(path.name for path in home.iterdir()) == ["program"]


def test_removal_asks_first(make, monkeypatch):
    run = make("a")
    with refused(ConfigError, "config.nothing-given", "--yes"):
        command.remove([run])
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(typer, "confirm", lambda *_, **__: False)
    with pytest.raises(typer.Exit) as end:
        command.remove([run])
    assert end.value.exit_code == 1
    assert run.is_dir()
    monkeypatch.setattr(typer, "confirm", lambda *_, **__: True)
    command.remove([run])
    assert not run.exists()


def test_commands_print_tables_and_json(home, make, tmp_path):
    make("good", 0.8)
    make("evil", 0.9, model="\x1b]0;title\x07\nfake  row\ud800", recipe="\u202eevil", created="x\ty\x00")
    listed = toolkit("runs", "list", cwd=tmp_path)
    assert listed.code == 0
    assert len(listed.out.splitlines()) == 4
    assert "80.0 % (70.0 to 90.0)" in listed.out
    shown = toolkit("runs", "show", "runs/evil", cwd=tmp_path)
    assert shown.code == 0
    best = toolkit("runs", "best", "--metric", "accuracy", cwd=tmp_path)
    assert best.code == 0
    for outcome in (listed, shown, best):
        assert not set("\x1b\x07\x00\u202e") & set(outcome.text)
    content = json.loads(toolkit("runs", "list", "runs", "--json", cwd=tmp_path).out)
    assert {run["path"] for run in content["runs"]} == {"runs/good", "runs/evil"}
    content = json.loads(toolkit("runs", "show", "runs/good", "--json", cwd=tmp_path).out)
    assert content["run"]["metrics"][0]["value"] == 0.8
    content = json.loads(toolkit("runs", "best", "--metric", "accuracy", "--json", cwd=tmp_path).out)
    assert content["comparable"] is False  # their tasks differ
    assert {ranking["best"] for ranking in content["rankings"]} == {"runs/good", "runs/evil"}
    refusal = toolkit("runs", "remove", "runs/good", cwd=tmp_path)
    assert (refusal.code, (home / "good").is_dir()) == (2, True)
    done = toolkit("runs", "remove", "runs/good", "--yes", "--json", cwd=tmp_path)
    assert [run["path"] for run in json.loads(done.out)["removed"]] == ["runs/good"]
    assert not (home / "good").exists()
    missing = toolkit("runs", "show", "runs/good", "--json", cwd=tmp_path)
    assert (missing.code, json.loads(missing.out)["error"]["id"]) == (2, "run.not-found")


def test_a_hundred_runs_are_listed_quickly_without_torch(home, make, tmp_path):
    for number in range(100):
        run = make(f"run-{number}")
        report = json.loads((run / "report.json").read_text(encoding="utf-8"))
        report["sections"] = [{"row": row, "text": "word " * 10} for row in range(500)]
        (run / "report.json").write_text(json.dumps(report), encoding="utf-8")
    outcome = toolkit("runs", "list", "--json", cwd=tmp_path, fresh=True)
    assert len(json.loads(outcome.out)["runs"]) == 100
    assert outcome.cpu_seconds < 1.0  # of which half is for a slow machine
    program = (
        "import sys\nfrom toolkit.cli import app\ntry:\n    app(['runs', 'list'])\nexcept SystemExit:\n    pass\n"
        "print('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
