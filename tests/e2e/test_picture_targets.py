"""Several classes, ordered classes and numbers of pictures: every command works on each kind."""

import base64
import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.cli import Outcome, several
from tests.support.hub import LocalHub
from tests.support.json_documents import problems
from tests.support.service import post, serving

SMALL = ("--set", "options.image_size=16", "--set", "training.device=cpu", "--set", "evaluation.resamples=200")
FIRST = {"classes": "micro_f1", "stars": "quadratic_kappa", "number": "mae"}


@dataclass(frozen=True)
class Home:
    """A folder with pictures and a run, and the outcomes of commands by name."""

    path: Path
    kind: str
    outcomes: dict[str, Outcome]


def drawn(path: Path, rows: int) -> None:
    """Draw squares in three corners of a picture, and bars of five heights; write a table for each kind of target."""
    (path / "pictures").mkdir()
    random = np.random.default_rng(0)
    table = []
    for number in range(rows):
        pixels = random.integers(0, 40, (16, 16, 3), np.uint8)
        corners = random.random(3) < 0.5
        for there, (top, left) in zip(corners, ((0, 0), (0, 11), (11, 0)), strict=True):
            pixels[top : top + 5, left : left + 5] = 230 if there else pixels[top : top + 5, left : left + 5]
        height = int(random.integers(1, 6))
        pixels[15 - 2 * height :, 8:10, 0] = 255
        Image.fromarray(pixels).save(path / "pictures" / f"{number}.png")
        tags = "|".join(name for name, there in zip(("left", "right", "below"), corners, strict=True) if there)
        table.append([f"pictures/{number}.png", tags, height, f"{100 * height + random.normal():.2f}"])
    for column, name in ((1, "classes"), (2, "stars"), (3, "number")):
        with (path / f"{name}.csv").open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([["image", name], *([row[0], row[column]] for row in table)])


@pytest.fixture(scope="module")
def hub() -> Iterator[LocalHub]:
    with LocalHub() as server:
        yield server


@pytest.fixture(scope="module", params=list(FIRST))
def home(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, hub: LocalHub) -> Home:
    folder, kind = tmp_path_factory.mktemp(f"pictures-{request.param}"), request.param
    drawn(folder, 120)
    data = ("--data", f"{kind}.csv", "--label-column", kind, *SMALL)
    train = ("finetune", "image", "--model", "vit-tiny", "--from-scratch", "--batch-size", "16", *data)
    commands: dict[str, tuple[str, ...]] = {
        "inspect": ("inspect", f"{kind}.csv", "--recipe", "image", "--model", "vit-tiny", "--label-column", kind),
        "finetune": (*train, "--epochs", "3", "--output", "run"),
        "other": (*train, "--epochs", "1", "--output", "other"),
        "table": ("predict", "run", "--input", "pictures", "--output", "out.jsonl"),
        "typed": ("predict", "run", "pictures/0.png"),
        "compare": ("compare", "run", "other", "--output", "compared"),
        "explain": ("explain", "run", "pictures/0.png", "--output", "explained"),
        "export": ("export", "run", "--to", "onnx", "--output", "onnx"),
        "push": ("push", "run", f"acme/picture-{kind}"),
        "from hub": ("predict", f"acme/picture-{kind}", "pictures/0.png"),
    }
    env = hub.environment(folder / "hf", hub.token)
    return Home(folder, kind, dict(zip(commands, several(list(commands.values()), folder, env=env), strict=False)))


def test_every_command_ends_well(home: Home) -> None:
    failed = [f"{name}: {outcome.text}" for name, outcome in home.outcomes.items() if outcome.code]
    assert not failed, failed
    assert len(home.outcomes) == 10


def test_the_report_is_of_the_kind(home: Home) -> None:
    report = json.loads((home.path / "run" / "report.json").read_text(encoding="utf-8"))
    assert problems("report.json", report) == []
    assert report["config"]["data"]["target"] == home.kind
    first = report["evaluation"]["metrics"][0]
    assert first["name"] == FIRST[home.kind]
    if first["low"] is None:  # so small a model may predict one class of all pictures
        assert first["value"] == 0
    else:
        assert first["low"] < first["value"] < first["high"]
    assert len(report["baselines"]) >= 2
    assert all(baseline["difference"] for baseline in report["baselines"])


def test_explanations_score_patches(home: Home) -> None:
    explained = json.loads((home.path / "explained" / "explanation.json").read_text(encoding="utf-8"))
    assert explained["unit"] == "patch"
    assert explained["of_numbers"] is (home.kind == "number")


def test_the_export_predicts_the_same(home: Home) -> None:
    export = json.loads((home.path / "onnx" / "export.json").read_text(encoding="utf-8"))
    assert export["drift"]["largest"] < 0.05
    if home.kind != "number":
        assert export["agreement"]["value"] == 1


def test_a_pushed_model_answers_like_the_run(home: Home) -> None:
    assert home.outcomes["from hub"].out == home.outcomes["typed"].out


def test_the_service_answers_like_predict(home: Home) -> None:
    rows = [json.loads(line) for line in (home.path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    expected = next(row for row in rows if row["file"] == "0.png")
    content = base64.b64encode((home.path / "pictures" / "0.png").read_bytes()).decode()
    with serving("serve", "run", cwd=home.path) as address:
        _, answer = post(f"{address}/predict", {"inputs": [content]})
    (served,) = answer["predictions"]
    if home.kind == "number":
        assert served["prediction"] == pytest.approx(expected["prediction"], rel=1e-3)
    else:
        assert served["prediction"] == expected["prediction"]
