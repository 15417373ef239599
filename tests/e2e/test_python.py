"""From Python: what the functions return and write, equal to the commands."""

import html
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import toolkit
from tests.support import checkpoints
from tests.support.cli import environment
from tests.support.cli import toolkit as command
from tests.support.hub import LocalHub
from toolkit.api.results import Report
from toolkit.errors import ConfigError, DataError, RunError, ToolkitError

ROOT = Path(__file__).resolve().parents[2]
SHORT = {"epochs": 1, "set": {"evaluation.baselines": False}, "progress": False}


@pytest.fixture(scope="module", autouse=True)
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder to work in, with two tables."""
    folder = tmp_path_factory.mktemp("notebook")
    checkpoints.reviews(folder / "reviews.csv", 160, seed=1)
    checkpoints.reviews(folder / "more.csv", 30, seed=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


@pytest.fixture(scope="module")
def run(place: Path) -> toolkit.Run:
    return toolkit.finetune("sentiment", model=checkpoints.TINY, data="reviews.csv", epochs=2, progress=False)


def weights(run: Path) -> str:
    return checkpoints.digest(run / "model" / "model.safetensors")


def test_python_page_runs(hub: LocalHub, tmp_path: Path) -> None:
    text = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) >= 7
    checkpoints.reviews(tmp_path / "reviews.csv", 200, seed=1)
    checkpoints.reviews(tmp_path / "more_reviews.csv", 80, seed=2)
    result = "\nassert {first.label, second.label} <= {'positive', 'negative'}\nassert second.score > 0.5\n"
    done = subprocess.run(
        [sys.executable, "-P", "-c", "\n".join(blocks) + result],
        cwd=tmp_path,
        env={**environment(hub.environment(tmp_path / "hf")), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


def test_run_object_reads_its_folder(run: toolkit.Run) -> None:
    stored = json.loads((run.path / "report.json").read_text(encoding="utf-8"))
    assert run.report == stored
    first = stored["evaluation"]["metrics"][0]
    figure = run.metrics[first["name"]]
    assert (float(figure), figure.low, figure.high) == (first["value"], first["low"], first["high"])
    assert repr(run) == f"<Run {run.path}: {stored['verdict']['headline']}>"
    assert (run.model_path / "model.safetensors").is_file()
    assert run.seeds == []
    frame = run.predictions
    held_out = pq.read_table(run.path / "predictions.parquet")
    assert len(frame) == held_out.num_rows == stored["evaluation"]["rows"]
    assert set(frame["prediction"]) <= {"negative", "positive"}
    assert (frame["label"] == frame["prediction"]).mean() == pytest.approx(run.metrics["accuracy"].value)
    total = frame["probability: negative"] + frame["probability: positive"]
    assert total.tolist() == pytest.approx([1.0] * len(frame))
    assert toolkit.Run(str(run.path)).report == stored


def test_report_page_is_isolated_in_a_frame(run: toolkit.Run) -> None:
    shown = run.report._repr_html_()
    assert re.fullmatch(r'<iframe sandbox="" style="[^"<>]*" srcdoc="[^"<>]*"></iframe>', shown)
    page = html.unescape(shown.partition('srcdoc="')[2].removesuffix('"></iframe>'))
    assert page == (run.path / "report.html").read_text(encoding="utf-8")


def test_the_command_in_the_report_gives_the_same_weights(run: toolkit.Run, place: Path) -> None:
    """The command line, called with what the report names, does what the function did."""
    words = shlex.split(run.report["command"])
    assert words[:3] == ["toolkit", "finetune", "sentiment"]
    outcome = command(*words[1:], "--output", "again", cwd=place)
    assert outcome.code == 0, outcome.text
    assert weights(place / "again") == weights(run.path)


def test_progress_is_shown_only_on_request(
    run: toolkit.Run, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "toolkit")
    toolkit.evaluate(run, fresh=True, progress=True)
    shown = capfd.readouterr()
    assert shown.out == ""
    assert "%|" in shown.err
    levels = {record.levelname for record in caplog.records if record.name == "toolkit"}
    assert levels == {"INFO"}
    toolkit.evaluate(run, progress=False)
    assert "%|" not in capfd.readouterr().err
    assert "WARNING" in {record.levelname for record in caplog.records}  # the note that predictions are used again


def test_rows_in_memory_are_accepted(run: toolkit.Run) -> None:
    import datasets

    frame = pd.read_csv("more.csv")
    evaluation = toolkit.evaluate(run, data=frame, progress=False)
    again = toolkit.evaluate(run, data=pa.Table.from_pandas(frame, preserve_index=False), progress=False)
    assert evaluation.report["data"]["fingerprint"] == again.report["data"]["fingerprint"]
    assert evaluation.report["evaluation"]["rows"] == len(frame)
    named = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])})
    numbers = frame.assign(label=(frame["label"] == "positive").astype(int))
    held = datasets.Dataset.from_pandas(numbers, features=named, preserve_index=False)
    (part,) = toolkit.inspect(held, model=checkpoints.TINY, progress=False).parts
    assert part.classes.keys() == {"neg", "pos"}
    parts = datasets.DatasetDict({"train": held, "test": held.select(range(10))})
    seen = toolkit.inspect(parts, model=checkpoints.TINY, progress=False)
    assert {part.name: part.rows for part in seen.parts} == {"train": 30, "test": 10}


def test_dataframe_is_found_again_by_resume(place: Path) -> None:
    frame = pd.read_csv("reviews.csv")
    call = {"model": checkpoints.TINY, "data": frame, "output": "resumed", **SHORT}
    first = toolkit.finetune("sentiment", **call)
    source = first.report["config"]["data"]["source"]
    pd.testing.assert_frame_equal(pd.read_parquet(source), frame, check_dtype=False)
    facts = json.loads((first.path / "run.json").read_text(encoding="utf-8"))
    (first.path / "run.json").write_text(json.dumps({**facts, "status": "interrupted"}), encoding="utf-8")
    before = weights(first.path)
    second = toolkit.finetune("sentiment", **call, resume=True)
    assert second.path == first.path
    assert second.report["config"]["data"]["source"] == source
    assert weights(second.path) == before
    with pytest.raises(ConfigError, match="complete run"):
        toolkit.finetune("sentiment", **call, resume=True)
    with pytest.raises(DataError, match="type set"):
        toolkit.finetune("sentiment", **{**call, "data": {"text"}, "output": None})


def test_a_loaded_model_predicts_what_the_command_predicts(run: toolkit.Run, place: Path) -> None:
    texts = pd.read_csv("more.csv")["text"].tolist()
    model = toolkit.load(run, progress=False)
    loaded = model.predict(texts)
    at_once = toolkit.predict(run, texts, all_scores=True, progress=False)
    assert [item.label for item in loaded] == [item.label for item in at_once]
    assert [item.score for item in loaded] == pytest.approx([item.score for item in at_once], abs=1e-4)
    written = toolkit.predict(run, input="more.csv", output="predicted.csv", progress=False)
    assert (written.rows, written.failed, written.path) == (30, 0, Path("predicted.csv"))
    assert written.table["prediction"].tolist() == [item.label for item in at_once]
    rows: list[dict[str, object]] = []
    handed = toolkit.predict(run, input="more.csv", output=rows.append, progress=False)
    assert handed.path is None
    assert [row["prediction"] for row in rows] == [item.label for item in at_once]
    assert command("predict", run.path, texts[0], cwd=place).out.startswith(f"{at_once[0].label} ")
    assert model.labels == ["negative", "positive"]
    assert model.predict(texts[0])[0].scores.keys() == {"negative", "positive"}
    empty, good = model.predict(["", {"text": texts[0]}])
    assert empty.problem
    assert empty.label is None
    assert good.label == loaded[0].label
    explained = model.explain("a wonderful film")
    assert explained.words == ["a", "wonderful", "film"]
    assert len(explained.scores) == 3
    with pytest.raises(ConfigError):
        model.predict([("one", "two", "three")])
    with pytest.raises(ConfigError):
        model.predict([{"txt": "one"}])


def test_the_other_functions_return_what_the_commands_print(run: toolkit.Run, place: Path) -> None:
    other = toolkit.finetune("sentiment", model=checkpoints.TINY, data="reviews.csv", **SHORT)
    comparison = toolkit.compare([run, other.path], progress=False)
    assert json.loads((comparison.path / "report.json").read_text(encoding="utf-8")) == comparison.report
    assert isinstance(comparison.report, Report)
    assert len(comparison.report["comparison"]["models"]) == 2
    explanation = toolkit.explain(run, "a wonderful film", method="leave-one-out", progress=False)
    (words,) = explanation.top_words
    assert {word for word, _ in words} <= {"a", "wonderful", "film"}
    shown = explanation._repr_html_()
    assert shown is not None
    assert re.fullmatch(r'<iframe sandbox="allow-scripts" style="[^"<>]*" srcdoc="[^"<>]*"></iframe>', shown)
    exported = toolkit.export(run, form="safetensors", rows=10, progress=False)
    assert exported.path == run.path / "exports" / "safetensors"
    assert exported.report.agreement.same == exported.report.agreement.rows == 10


def test_seed_runs_are_in_one_folder(place: Path) -> None:
    home = toolkit.finetune("sentiment", model=checkpoints.TINY, data="reviews.csv", seeds=2, **SHORT)
    assert len(home.seeds) == 2
    mean = sum(item.metrics["accuracy"].value for item in home.seeds) / 2
    assert home.metrics["accuracy"].value == pytest.approx(mean)
    with pytest.raises(RunError):
        _ = home.model_path


def test_search_is_resumed(place: Path) -> None:
    call = {"model": checkpoints.TINY, "data": "reviews.csv", "progress": False, "set": {"training.epochs": 1}}
    result = toolkit.tune("sentiment", trials=1, search={"dropout": "0|0.1"}, **call)
    again = toolkit.tune("sentiment", trials=2, search=["dropout=0|0.1"], **call)
    assert (len(result.trials), len(again.trials)) == (1, 2)
    assert again.folder == result.folder
    assert again.preset.is_file()


def test_a_dry_run_has_a_plan_and_no_folder(run: toolkit.Run) -> None:
    before = sorted(Path("runs").iterdir())
    planned = toolkit.finetune("sentiment", model=checkpoints.TINY, data="reviews.csv", dry_run=True, **SHORT)
    assert "step" in planned.plan
    with pytest.raises(RunError):
        _ = planned.path
    checked = toolkit.evaluate(run, dry_run=True, progress=False)
    assert str(checked.plan) in repr(checked)
    assert sorted(Path("runs").iterdir()) == before


@pytest.mark.parametrize(
    ("wrong", "fact"),
    [
        ({"set": {"training.epocs": 3}}, "training.epocs"),
        ({"num_processes": 2}, "num_processes"),
        ({"data": "revews.csv"}, "revews.csv"),
        ({"seeds": 2, "budget": "5m"}, "--budget"),
    ],
)
def test_errors_are_those_of_the_toolkit(wrong: dict[str, object], fact: str) -> None:
    call = {"model": checkpoints.TINY, "data": "reviews.csv", "progress": False} | wrong
    with pytest.raises(ToolkitError) as error:
        toolkit.finetune("sentiment", **call)
    assert fact in error.value.problem
    assert error.value.fix
    with pytest.raises(TypeError, match="epocs"):
        toolkit.finetune("sentiment", epocs=3)


def test_launched_program_uses_all_processes(place: Path) -> None:
    call = {"model": checkpoints.TINY, "data": "reviews.csv", "output": "shared", "epochs": 1}
    program = [  # a file for each process: lines that both print at once may mix
        "import os, pathlib, toolkit",
        f"path = toolkit.finetune('sentiment', **{call}).path",
        "pathlib.Path('path-' + os.environ['RANK']).write_text(str(path))",
    ]
    (place / "train.py").write_text("\n".join(program), "utf-8")
    launcher = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    env = {**environment(), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*launcher, "train.py"], cwd=place, env=env, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert [(place / f"path-{rank}").read_text("utf-8") for rank in range(2)] == ["shared", "shared"]
    assert toolkit.Run("shared").report["training"]["processes"] == 2
    assert len(re.findall("divided among 2 processes", done.stderr)) == 1  # the main process alone has a voice
