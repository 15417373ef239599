"""A local Hub with a small DistilBERT and a data set, and one run made by the literal command."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
from filelock import FileLock

from tests.support import checkpoints
from tests.support.cli import Outcome, toolkit
from tests.support.hub import LocalHub
from toolkit import sources

DATA = "cornell-movie-review-data/rotten_tomatoes"


@pytest.fixture(scope="session")
def tiny_bert() -> Path:
    folder = sources.package_path("cognition/model")
    assert checkpoints.digest(folder / "model.safetensors") == checkpoints.TINY_SHA256
    return folder


@pytest.fixture(scope="session")
def tiny_distilbert(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.distilbert_from_bert(tiny_bert, tmp_path_factory.mktemp("checkpoints") / "distilbert")


@pytest.fixture(scope="session")
def reviews_parquet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set as the Hub holds it: Parquet parts, with class names in the schema."""
    import datasets

    folder = tmp_path_factory.mktemp("dataset")
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])})
    for number, (part, rows) in enumerate({"train": 240, "validation": 40, "test": 80}.items()):
        table = checkpoints.reviews(folder / "part.csv", rows, seed=number)
        lines = [line.rpartition(",") for line in table.read_text(encoding="utf-8").splitlines()[1:]]
        columns = {
            "text": [t.strip('"') for t, _, _ in lines],
            "label": [int(label == "positive") for _, _, label in lines],
        }
        datasets.Dataset.from_dict(columns, features=features).to_parquet(folder / f"{part}.parquet")
        table.unlink()
    return folder


@pytest.fixture(scope="session")
def hub(tiny_distilbert: Path, reviews_parquet: Path) -> Iterator[LocalHub]:
    with LocalHub() as server:
        server.add("distilbert/distilbert-base-uncased", tiny_distilbert)
        server.add(DATA, reviews_parquet, kind="dataset")
        yield server


@dataclass(frozen=True)
class Made:
    """A run that a command made."""

    cwd: Path
    run: Path
    env: dict[str, str]
    outcome: Outcome


@pytest.fixture(scope="session")
def made(hub: LocalHub, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The main job; its model keeps the two layers of its checkpoint, whose heads some tests count.

    It is run once, and each worker of the tests has a copy of the folder and of the Hub's cache.
    """

    def main_job(folder: Path) -> None:
        (folder / "cwd").mkdir()
        command = ("finetune", "sentiment", "--model", "distilbert", "--set", "training.mean_pooling=false")
        outcome = toolkit(*command, cwd=folder / "cwd", env=hub.environment(folder / "hf"), fresh=True)
        assert outcome.code == 0, outcome.text
        (folder / "outcome.json").write_text(json.dumps(asdict(outcome)), encoding="utf-8")

    kept = made_once("main-job", main_job, tmp_path_factory)
    folder = tmp_path_factory.mktemp("newcomer")
    shutil.copytree(kept, folder, symlinks=True, dirs_exist_ok=True)
    outcome = Outcome(**json.loads((folder / "outcome.json").read_text(encoding="utf-8")))
    (run,) = (folder / "cwd" / "runs").iterdir()
    return Made(folder / "cwd", run, hub.environment(folder / "hf"), outcome)


def made_once(name: str, make: Callable[[Path], None], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that the first worker made and that all only read.

    Args:
        name: Of the folder.
        make: Fills an empty folder.
        tmp_path_factory: Of this worker.
    """
    base = tmp_path_factory.getbasetemp()
    kept = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with FileLock(f"{kept}.lock"):
        if not kept.exists():
            folder = tmp_path_factory.mktemp(name)
            make(folder)
            folder.rename(kept)
    return kept
