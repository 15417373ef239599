"""Speech to text, from a table of recordings to a model that is exported, served and pushed."""

import base64
import csv
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from tests.support import recordings
from tests.support.cli import several, toolkit
from tests.support.dossiers import documented
from tests.support.hub import LocalHub
from tests.support.json_documents import problems
from tests.support.service import post, serving

QUICK = ("--set", "training.device=cpu", "--set", "evaluation.resamples=100")
TONES = {"a": 300.0, "b": 1500.0}
TEXTS = ("A b.", "b a", "ab", "ba b", "a", "b", "aa", "b b a")


def spoken(text: str, seed: int) -> bytes:
    """A tone for each letter, and silence between."""
    letters = [sign for sign in text.lower() if sign in " ab"]
    parts = [
        np.zeros(3200, np.float32) if sign == " " else recordings.tone(TONES[sign], 0.12, seed + number)
        for number, sign in enumerate(letters)
    ]
    gap = np.zeros(800, np.float32)
    return recordings.encoded(np.concatenate([gap, *(piece for part in parts for piece in (part, gap))]))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the outcomes of the commands."""
    folder = tmp_path_factory.mktemp("transcribe")
    for part, rows in (("train", 96), ("validation", 8), ("test", 16)):
        (folder / "data").mkdir(exist_ok=True)
        lines = []
        for row in range(rows):
            text = TEXTS[row % len(TEXTS)]
            (folder / "data" / f"{part}-{row}.wav").write_bytes(spoken(text, 1000 * len(part) + 10 * row))
            lines.append((f"{part}-{row}.wav", text))
        with (folder / "data" / f"{part}.csv").open("w", newline="") as stream:
            csv.writer(stream).writerows([("file", "transcript"), *lines])
    recordings.checkpoints(folder / "families")
    recordings.whisper(folder / "whisper")
    small = ("--epochs", "24", "--batch-size", "8", "--width", "32", "--layers", "1", "--augment", "none")
    commands: list[list[str | Path]] = [
        ["inspect", "data", "--recipe", "transcribe"],
        [*("finetune", "transcribe", "--from-scratch", "--data", "data", "--output", "run"), *small, *QUICK],
        [
            *("finetune", "transcribe", "--model", "families/wav2vec2", "--data", "data", "--output", "other"),
            *("--epochs", "1", "--batch-size", "16", *QUICK),
        ],
        [
            *("finetune", "transcribe", "--model", "whisper", "--language", "German", "--data", "data"),
            *("--output", "tokens", "--epochs", "6", "--batch-size", "8", "--learning-rate", "3e-3", *QUICK),
            *("--augment", "none", "--set", "options.beams=2"),
        ],
        ["evaluate", "run", "--fresh"],
        ["compare", "run", "tokens"],
        ["predict", "run", "--input", "data/test.csv", "--output", "table.csv"],
        ["predict", "run", "--input", "data", "--output", "folder.csv"],
        ["predict", "tokens", "--input", "data/test.csv", "--output", "tokens.csv"],
        ["export", "other", "--to", "onnx"],
    ]
    outcomes = several(commands, folder)
    assert [outcome.code for outcome in outcomes] == [0] * len(commands), outcomes[-1].text
    return folder


def test_documentation_has_the_figures_of_the_files(home: Path) -> None:
    assert documented(home / "run", output=home / "documents")["counts"]["from the run"] >= 18


def report_of(run: Path) -> dict:
    """The report of a run."""
    report: dict = json.loads((run / "report.json").read_text(encoding="utf-8"))
    return report


def test_run_learns_and_reports(home: Path) -> None:
    report = report_of(home / "run")
    assert problems("report.json", report) == []
    figures = {figure["name"]: figure for figure in report["evaluation"]["metrics"]}
    assert list(figures) == ["wer", "cer", "wer_as_written", "cer_as_written"]
    assert figures["cer"]["value"] < 0.4 < figures["wer_as_written"]["value"] + 0.4
    assert figures["wer"]["signature"].startswith("unit:word|case:folded")
    assert [baseline["name"] for baseline in report["baselines"]] == ["Empty transcript", "Most frequent transcript"]
    assert report["baselines"][0]["metrics"][0]["value"] == 1
    assert report["baselines"][0]["difference"]["better"] == "lower"


def test_worst_transcripts_are_shown(home: Path) -> None:
    report = report_of(home / "other")
    worst = report["evaluation"]["transcripts"]["worst"]
    assert len(worst) == report["evaluation"]["transcripts"]["wrong"] == 16
    assert worst[0]["score"] >= worst[-1]["score"] > 0
    assert {row["reference"] for row in worst} == {*TEXTS}
    assert "The worst by" in (home / "other" / "report.html").read_text(encoding="utf-8")


def test_a_new_vocabulary_lies_beside_the_model(home: Path) -> None:
    for run in ("run", "other"):
        vocabulary = json.loads((home / run / "model" / "vocab.json").read_text(encoding="utf-8"))
        assert sorted(vocabulary) == ["<pad>", "<unk>", "a", "b", "|"]
    assert not (home / "families" / "wav2vec2" / "vocab.json").exists()


def test_a_model_that_writes_is_evaluated_before_training(home: Path) -> None:
    names = [[baseline["name"] for baseline in report_of(home / run)["baselines"]] for run in ("other", "tokens")]
    assert names[0] == ["Empty transcript", "Most frequent transcript"]
    assert names[1] == [*names[0], "Before fine-tuning"]


def test_a_model_that_writes_tokens_learns_and_reports(home: Path) -> None:
    report = report_of(home / "tokens")
    assert problems("report.json", report) == []
    value, before = (part["metrics"][0]["value"] for part in (report["evaluation"], report["baselines"][2]))
    assert value < before
    assert report["training"]["truncated_by_length"] is False
    settings = json.loads((home / "tokens" / "model" / "generation_config.json").read_text(encoding="utf-8"))
    assert (settings["language"], settings["task"], settings["num_beams"]) == ("de", "transcribe", 2)


def test_a_model_that_writes_tokens_writes_the_same_everywhere(home: Path) -> None:
    from transformers import pipeline

    with (home / "tokens.csv").open(encoding="utf-8", newline="") as stream:
        table = {row["file"]: row["prediction"] for row in csv.DictReader(stream)}
    rows = pq.read_table(home / "tokens" / "predictions.parquet").to_pylist()
    assert {row["audio"]["path"]: row["prediction"] for row in rows} == table
    assert any(table.values())
    transcribe = pipeline("automatic-speech-recognition", model=str(home / "tokens" / "model"))
    whole = [name for name in table if soundfile.info(home / "data" / name).duration < 1]
    for name in whole[:6]:
        samples, rate = soundfile.read(home / "data" / name, dtype="float32")
        assert transcribe({"raw": samples, "sampling_rate": rate})["text"].strip() == table[name]


def test_stored_evaluation_is_the_same(home: Path) -> None:
    again = report_of(home / "run" / "evaluations" / "held-out")
    assert again["evaluation"]["metrics"] == report_of(home / "run")["evaluation"]["metrics"]
    assert again["evaluation"]["loss"] == report_of(home / "run")["evaluation"]["loss"]


def test_a_table_and_a_folder_get_the_same_transcripts(home: Path) -> None:
    tables = []
    for name in ("table.csv", "folder.csv"):
        with (home / name).open(encoding="utf-8", newline="") as stream:
            rows = [row for row in csv.DictReader(stream) if row["file"].startswith("test-")]
            tables.append({row["file"]: row["prediction"] for row in rows})
    assert tables[0] == tables[1]
    assert len(tables[0]) == 16


def test_exports_write_the_same(home: Path) -> None:
    facts = json.loads((home / "other" / "exports" / "onnx" / "export.json").read_text(encoding="utf-8"))
    assert facts["agreement"]["same"] == facts["agreement"]["rows"] == 16
    assert "input_values" in facts["inputs"]


def test_a_request_holds_a_recording_in_base64(home: Path) -> None:
    data = base64.b64encode((home / "data" / "test-0.wav").read_bytes()).decode()
    with serving("serve", "run", cwd=home) as address:
        status, answer = post(f"{address}/predict", {"inputs": [data, "%"]})
    assert status == 200
    first, unwritten = answer["predictions"]
    rows = pq.read_table(home / "run" / "predictions.parquet").to_pylist()
    stored = {row["_file"]: row["prediction"] for row in rows}
    assert isinstance(first["prediction"], str)
    assert "base64" in unwritten["problem"]
    assert len(stored) > 0


def test_pushed_model_is_tagged_for_transcription(home: Path) -> None:
    with LocalHub() as hub:
        pushed = toolkit("push", "run", "acme/letters", cwd=home, env=hub.environment(home / "hf", hub.token))
        assert pushed.code == 0, pushed.text
        files = {path: file.read_bytes() for path, file in hub.files("acme/letters").items()}
    card = files["README.md"].decode()
    assert "pipeline_tag: automatic-speech-recognition" in card
    assert {"model.safetensors", "preprocessor_config.json", "vocab.json", "tokenizer_config.json"} <= files.keys()


def test_transformers_own_pipeline_writes_the_same(home: Path) -> None:
    from transformers import pipeline

    transcribe = pipeline("automatic-speech-recognition", model=str(home / "run" / "model"))
    for row in pq.read_table(home / "run" / "predictions.parquet").to_pylist()[:6]:
        samples, rate = soundfile.read(home / "data" / row["audio"]["path"], dtype="float32")
        assert transcribe({"raw": samples, "sampling_rate": rate})["text"] == row["prediction"]
