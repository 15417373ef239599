"""Rows to label, for several classes, stars, numbers, pictures and pairs of texts; other tasks are refused."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import toolkit as api
from tests.support import checkpoints, pictures
from tests.support.errors import refused
from toolkit.commands.select.run import check_task
from toolkit.errors import ConfigError
from toolkit.tasks import loading

SET = {"evaluation.resamples": 100, "evaluation.baselines": False, "training.few_labels": "off"}
QUICK: dict[str, Any] = {"epochs": 1, "set": SET, "progress": False}
BERT: dict[str, Any] = {"model": "pkg://cognition/model", **QUICK}


def texts(tmp_path: Path, rows: int) -> Sequence[tuple[str, str]]:
    with checkpoints.reviews(tmp_path / "reviews.csv", rows).open(encoding="utf-8", newline="") as stream:
        return [(row["text"], row["label"]) for row in csv.DictReader(stream)]


def write(file: Path, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> Path:
    with file.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([names, *rows])
    return file


@pytest.mark.parametrize(
    ("target", "label", "expected", "control"),
    [
        ("classes", lambda n, label: f"{label}|long" if n % 3 == 0 else label, "uncertainty-diverse", "Choices"),
        ("stars", lambda n, label: 1 + n % 2 + 2 * (label == "positive"), "uncertainty-diverse", "Choices"),
        ("number", lambda n, label: n % 7 + 2.5 * (label == "positive"), "diverse", "Number"),
    ],
)
def test_kinds_of_targets(tmp_path: Path, target: str, label: Any, expected: str, control: str) -> None:
    rows = texts(tmp_path, 160)
    write(tmp_path / "data.csv", ("text", "label"), [(text, label(n, of)) for n, (text, of) in enumerate(rows[:120])])
    write(tmp_path / "pool.csv", ("text",), [(text,) for text, _ in rows[120:]])
    api.finetune("text", data=tmp_path / "data.csv", target=target, output=tmp_path / "run", **BERT)
    options = {"pool": tmp_path / "pool.csv", "rows": 10, "progress": False}
    file = {"tool": "label-studio", "output": tmp_path / "tasks.json", "with_suggestions": True}
    answer = api.select(tmp_path / "run", **options, **file)
    assert answer.facts["strategy"] == expected
    assert (answer.rows[0]["uncertainty"] is None) == (target == "number")
    assert f"<{control} " in (tmp_path / "tasks.xml").read_text(encoding="utf-8")
    assert answer.curve is not None, answer.facts["curve_missing"]
    truth = [(text, label(n, of)) for n, (text, of) in enumerate(rows)][120:130]
    write(tmp_path / "labelled.csv", ("text", "label"), truth)
    joined = api.select(tmp_path / "run", labelled=tmp_path / "labelled.csv", output=tmp_path / "next", progress=False)
    kind = {part.name: part for part in api.inspect(tmp_path / "next", recipe="text", target=target).parts}
    assert kind["train"].rows == joined.facts["train"] + joined.facts["added"]
    assert joined.facts["added"] > 5
    if target == "number":
        assert 0 < answer.curve["points"][-1]["error"] < 2  # in shares of the variance
        with refused(ConfigError, "config.not-for-task"):
            api.select(tmp_path / "run", strategy="uncertainty", **options)


def test_pictures_of_a_folder_and_back(tmp_path: Path) -> None:
    pictures.folder(tmp_path / "data", 20)
    pool = tmp_path / "pool"
    (pool / "inner").mkdir(parents=True)
    for number in range(30):
        pictures.picture(number % 2 == 0, seed=1000 + number).save(pool / "inner" / f"{number} a.png")
    (pool / "broken.png").write_bytes(b"no picture")
    scratch = {**QUICK, "set": {**SET, "loading.from_scratch": True}}
    api.finetune("image", model="vit-tiny", data=tmp_path / "data", output=tmp_path / "run", **scratch)
    options = {"pool": pool, "rows": 8, "progress": False}
    answer = api.select(tmp_path / "run", output=tmp_path / "out" / "rows.csv", **options)
    assert answer.facts["pool"]["unreadable"] == 1
    assert answer.curve is None  # nothing was pretrained
    with (tmp_path / "out" / "rows.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    (name,) = [name for name in rows[0] if rows[0][name].endswith(".png")]
    assert all((tmp_path / "out" / row[name]).is_file() for row in rows)
    for number, row in enumerate(rows):
        row["label"] = ("light", "dark")[number % 2]
    write(tmp_path / "out" / "filled.csv", list(rows[0]), [list(row.values()) for row in rows])
    joined = api.select(
        tmp_path / "run", labelled=tmp_path / "out" / "filled.csv", output=tmp_path / "next", progress=False
    )
    assert joined.facts["added"] == 8
    inspection = api.inspect(tmp_path / "next", recipe="image", model="vit-tiny", progress=False)
    assert {part.name: part.rows for part in inspection.parts}["train"] == joined.facts["train"] + 8
    with refused(ConfigError, "select.files-outside"):
        api.select(tmp_path / "run", tool="label-studio", output=tmp_path / "out" / "tasks.json", **options)
    api.select(tmp_path / "run", tool="label-studio", output=tmp_path / "tasks.json", **options)
    data = json.loads((tmp_path / "tasks.json").read_text(encoding="utf-8"))[0]["data"]
    assert any(str(value).startswith("/data/local-files/?d=pool/inner/") for value in data.values())
    assert "<Image " in (tmp_path / "tasks.xml").read_text(encoding="utf-8")


def test_pairs_of_texts(tmp_path: Path) -> None:
    rows = texts(tmp_path, 160)
    pairs = [(text, rows[-1 - n][0], of) for n, (text, of) in enumerate(rows)]
    write(tmp_path / "data.csv", ("premise", "hypothesis", "label"), pairs[:120])
    write(tmp_path / "pool.csv", ("premise", "hypothesis"), [pair[:2] for pair in pairs[120:]])
    api.finetune("text", data=tmp_path / "data.csv", output=tmp_path / "run", **BERT)
    answer = api.select(tmp_path / "run", pool=tmp_path / "pool.csv", rows=5, no_curve=True, progress=False)
    assert {"premise", "hypothesis"} <= answer.rows[0].keys()


@pytest.mark.parametrize("recipe", ["tokens", "translation", "recommend", "transcribe"])
def test_other_tasks_are_refused(recipe: str) -> None:
    with refused(ConfigError, "config.not-for-task"):
        check_task(loading.load(recipe))
