"""Recordings, from folders to a model that is exported, served and pushed."""

import base64
import csv
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.support import recordings
from tests.support.cli import several, toolkit
from tests.support.dossiers import documented
from tests.support.hub import LocalHub
from tests.support.json_documents import problems
from tests.support.service import post, serving

QUICK = ("--set", "training.device=cpu", "--set", "evaluation.resamples=100")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the outcomes of the commands."""
    folder = tmp_path_factory.mktemp("speech")
    recordings.folder(folder / "data", 30)
    (folder / "data" / "low" / "broken.wav").write_bytes(b"RIFF")
    recordings.checkpoints(folder / "families")
    commands: list[list[str | Path]] = [
        ["inspect", "data", "--recipe", "speech"],
        [
            *("finetune", "speech", "--model", "families/wav2vec2", "--data", "data", "--epochs", "4", *QUICK),
            *(
                "--output",
                "run",
                "--batch-size",
                "8",
                "--learning-rate",
                "0.003",
                "--set",
                "evaluation.checks=[robustness]",
            ),
        ],
        ["evaluate", "run", "--fresh"],
        ["predict", "run", "--input", "data", "--output", "out.csv"],
        ["export", "run", "--to", "onnx"],
    ]
    outcomes = several(commands, folder)
    assert [outcome.code for outcome in outcomes] == [0] * 5, outcomes[-1].text
    assert "low/broken.wav" in outcomes[0].err
    return folder


def test_documentation_has_the_figures_of_the_files(home: Path) -> None:
    assert documented(home / "run", output=home / "documents")["counts"]["from the run"] >= 18


def test_run_learns_and_reports(home: Path) -> None:
    report = json.loads((home / "run" / "report.json").read_text(encoding="utf-8"))
    assert problems("report.json", report) == []
    figures = {figure["name"]: figure["value"] for figure in report["evaluation"]["metrics"]}
    assert figures["accuracy"] > 0.8
    names = [baseline["name"] for baseline in report["baselines"]]
    assert names[:2] == ["Majority class", "Logistic regression on log-mel statistics"]
    assert [item["file"] for item in report["data"]["unreadable"]] == ["low/broken.wav"]
    robustness = report["evaluation"]["robustness"]
    assert robustness["kind"] == "audio"
    assert {row["name"] for row in robustness["invariance"]} == {
        *("noise", "quieter", "louder", "slower", "faster", "delay")
    }
    quieter = next(row for row in robustness["invariance"] if row["name"] == "quieter")
    assert quieter["changed"] > 0
    assert quieter["flipped"]["value"] == 0  # inputs are normalised
    assert "Recordings changed" in (home / "run" / "report.html").read_text(encoding="utf-8")


def test_evaluation_needs_no_folder_of_recordings(home: Path) -> None:
    rows = pq.read_table(home / "run" / "data" / "test.parquet").to_pylist()
    assert all(row["audio"]["bytes"] for row in rows)
    assert not any("/" in row["audio"]["path"] for row in rows)
    first, again = (
        json.loads(file.read_text(encoding="utf-8"))["evaluation"]["metrics"]
        for file in (home / "run" / "report.json", home / "run" / "evaluations" / "held-out" / "report.json")
    )
    assert first == again


def test_predictions_account_for_every_file(home: Path) -> None:
    with (home / "out.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 61
    (bad,) = [row for row in rows if row["problem"]]
    assert bad["file"] == "low/broken.wav"
    right = [row["file"].startswith(row["prediction"]) for row in rows if row is not bad]
    assert sum(right) / len(right) > 0.9


def test_single_files_are_predicted_and_not_explained(home: Path) -> None:
    outcome = toolkit("predict", "run", "data/low/000.wav", "none.wav", cwd=home)
    assert "low" in outcome.out.splitlines()[0]
    assert "none.wav" in outcome.out.splitlines()[1]
    refused = toolkit("explain", "run", "data/low/000.wav", cwd=home)
    assert "[model.wrong-input]" in refused.err
    assert "recordings" in refused.err


def test_the_export_predicts_the_same(home: Path) -> None:
    facts = json.loads((home / "run" / "exports" / "onnx" / "export.json").read_text(encoding="utf-8"))
    assert facts["agreement"]["same"] == facts["agreement"]["rows"] > 5
    assert facts["drift"]["largest"] < 1e-4
    assert set(facts["inputs"]) == {"input_values"}
    assert facts["max_length"] is None


def test_a_request_holds_a_recording_in_base64(home: Path) -> None:
    data = base64.b64encode((home / "data" / "low" / "001.wav").read_bytes()).decode()
    with serving("serve", "run", cwd=home) as address:
        status, answer = post(f"{address}/predict", {"inputs": [data, f"data:audio/wav;base64,{data}", "%", "YQ=="]})
    assert status == 200
    first, same, unwritten, broken = answer["predictions"]
    assert first["prediction"] in recordings.CLASSES
    assert same["scores"] == pytest.approx(first["scores"], abs=1e-5)
    assert "base64" in unwritten["problem"]
    assert "not a recording" in broken["problem"]


def test_pushed_model_is_tagged_for_audio(home: Path) -> None:
    with LocalHub() as hub:
        pushed = toolkit("push", "run", "acme/tones", cwd=home, env=hub.environment(home / "hf", hub.token))
        assert pushed.code == 0, pushed.text
        files = {path: file.read_bytes() for path, file in hub.files("acme/tones").items()}
    card = files["README.md"].decode()
    assert "pipeline_tag: audio-classification" in card
    assert "soundfile.read" in card
    assert {"model.safetensors", "preprocessor_config.json"} <= files.keys()
    assert not any(str(home).encode() in content for content in files.values())


def test_transformers_own_pipeline_gives_the_same_predictions(home: Path) -> None:
    import soundfile
    from transformers import pipeline

    classify = pipeline("audio-classification", model=str(home / "run" / "model"))
    labels = json.loads((home / "run" / "run.json").read_text(encoding="utf-8"))["labels"]
    for row in pq.read_table(home / "run" / "predictions.parquet").to_pylist()[:4]:
        samples, rate = soundfile.read(home / "data" / row["_file"], dtype="float32")
        theirs = {item["label"]: item["score"] for item in classify({"raw": samples, "sampling_rate": rate})}
        for label, chance in zip(labels, row["probabilities"], strict=True):
            assert theirs[label] == pytest.approx(chance, abs=1e-5)
