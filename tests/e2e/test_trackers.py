"""MLflow and trackio hold the figures, the report and the model of a run, in stores on this machine."""

import sqlite3
from pathlib import Path

import pytest

from tests.support import checkpoints
from tests.support.cli import toolkit


def finetuned(tracker: str, folder: Path, env: dict[str, str]) -> None:
    table = checkpoints.reviews(folder / "reviews.csv", 60)
    given = ("--model", checkpoints.TINY, "--data", table, "--epochs", "1", "--report-to", tracker, "--output", "run")
    outcome = toolkit("finetune", "sentiment", *given, cwd=folder, env=env, fresh=True)
    assert outcome.code == 0, outcome.text
    assert "failed" not in outcome.err


@pytest.mark.filterwarnings("default")  # those of MLflow's libraries
def test_mlflow_holds_a_run(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed: pip install mlflow")
    store = f"sqlite:///{tmp_path / 'store.db'}"
    finetuned("mlflow", tmp_path, {"MLFLOW_TRACKING_URI": store})
    client = mlflow.MlflowClient(store)
    (experiment,) = client.search_experiments(filter_string="name = 'finetune-toolkit'")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.data.params["training.epochs"] == "1.0"
    assert {"training/loss", "validation/accuracy", "test/accuracy"} <= run.data.metrics.keys()
    model = Path(client.download_artifacts(run.info.run_id, "model"))
    assert checkpoints.digest(model / "model.safetensors") == checkpoints.digest(
        tmp_path / "run" / "model" / "model.safetensors"
    )
    assert {item.path for item in client.list_artifacts(run.info.run_id, "report")} == {"report/report.html"}


def test_trackio_holds_a_run(tmp_path: Path) -> None:
    pytest.importorskip("trackio", reason="trackio is not installed: pip install trackio")
    finetuned("trackio", tmp_path, {"TRACKIO_DIR": str(tmp_path / "store")})
    with sqlite3.connect(tmp_path / "store" / "finetune-toolkit.db") as store:
        text = "".join(str(row[0]) for row in store.execute("select metrics from metrics"))
        kinds = {row[0] for row in store.execute("select type from artifacts")}
    assert all(name in text for name in ("training/loss", "validation/accuracy", "test/accuracy"))
    assert kinds == {"model", "report", "report-data"}
    blobs = (tmp_path / "store" / "artifacts").rglob("*")
    kept = {path.stat().st_size for path in blobs if path.is_file()}
    assert (tmp_path / "run" / "model" / "model.safetensors").stat().st_size in kept
