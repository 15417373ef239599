"""Doubts for each kind of task, on rows of which some labels were exchanged; nothing is fine-tuned."""

import csv
import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.support import planted
from toolkit import runs
from toolkit.commands.finetune.prepare import Prepared, configure, prepare
from toolkit.commands.finetune.trained_run import TrainedRun
from toolkit.commands.repair import annotators, find
from toolkit.commands.repair.features import cross_fitted
from toolkit.data import corrections
from toolkit.errors import ConfigError, DataError
from toolkit.evaluation.context import references
from toolkit.evaluation.doubts.doubt import DUPLICATE, LABEL
from toolkit.tasks import loading

GOOD = ("great", "lovely", "superb", "charming")
BAD = ("dull", "awful", "boring", "weak")
NOUNS = ("film", "plot", "scene", "story", "actor", "music", "ending", "joke")
BERT = "pkg://cognition/model"


def sentence(draw: random.Random, good: bool) -> str:
    words = [*draw.choices(GOOD if good else BAD, k=3), *draw.choices(NOUNS, k=4), str(draw.randint(1, 999))]
    draw.shuffle(words)
    return " ".join(words)


def table(folder: Path, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> Path:
    file = folder / "rows.csv"
    with file.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([head, *rows])
    return file


def prepared(recipe: str, source: Path, **values: Any) -> Prepared:
    settings = {"data": {"source": str(source)}, "training": {"device": "cpu", "acceleration": "off"}}
    loaded, resolved = configure(recipe, [("test", {"model": BERT, **settings}), ("more", values)])
    return prepare(loaded, resolved, lambda _event: None, may_compare=True)


def doubts(made: Prepared, reason: str = LABEL) -> list[tuple[int, Any]]:
    """Return row and suggestion of each doubt with a reason; every suggestion can be written and read again."""
    found = find.find(made, lambda _event: None)
    target, labels = made.recipe.task.target, made.splits.labels
    for doubt in found.doubts:
        if doubt.suggestion is not None:
            cell = corrections.cell(target, doubt.suggestion, labels)
            assert target.kind.of_cell(cell, labels) == pytest.approx(doubt.suggestion)
    rows = made.splits.train["_row"].to_pylist()
    return [(rows[doubt.row], doubt.suggestion) for doubt in found.doubts if reason in doubt.reasons]


def test_pairs(tmp_path: Path) -> None:
    draw = random.Random(0)
    rows = [[sentence(draw, n % 2 == 0), sentence(draw, n % 2 == 0), "ab"[n % 2]] for n in range(160)]
    wrong = (40, 77, 103, 121)
    for row in wrong:
        rows[row][2] = "ab"[(row + 1) % 2]
    made = prepared("text", table(tmp_path, ("premise", "hypothesis", "label"), rows))
    kept = {row - 2 for row in made.splits.train["_row"].to_pylist()} & {*wrong}
    found = {row - 2 for row, _ in doubts(made)[: 2 * len(kept)]}
    assert len(found & kept) >= len(kept) - 1


def test_near_duplicate_with_another_label(tmp_path: Path) -> None:
    draw = random.Random(0)
    rows = [[sentence(draw, n % 2 == 0), "ab"[n % 2]] for n in range(120)]
    text = "an unmistakable sequence of uncommon vocabulary appears throughout these remarkable paragraphs"
    rows[30:32] = [[text, "a"], [f"{text} again", "b"]]
    values = {"validation_fraction": 0.05, "test_fraction": 0.05}
    made = prepared("text", table(tmp_path, ("text", "label"), rows), data=values)
    there = {row - 2 for row in made.splits.train["_row"].to_pylist()}
    assert {30, 31} <= there
    assert {row - 2 for row, _ in doubts(made, DUPLICATE)} == {30, 31}


def test_several_classes(tmp_path: Path) -> None:
    draw = random.Random(0)
    rows = []
    for number in range(160):
        good, long = number % 2 == 0, number % 3 == 0
        names = [name for name, has in (("good", good), ("music", long)) if has]
        rows.append([sentence(draw, good) + (" music music music" if long else ""), "|".join(names)])
    made = prepared("text", table(tmp_path, ("text", "labels"), rows), data={"target": "classes"})
    (music,) = (n for n, name in enumerate(made.splits.labels) if name == "music")
    truth = references(made.recipe, made.splits.train)
    wrong = range(0, len(truth), 12)
    given = [sorted({*row} ^ {music}) if k in wrong else row for k, row in enumerate(truth)]
    found = dict(doubts(changed_labels(made, given)))
    numbers = made.splits.train["_row"].to_pylist()
    corrected = [k for k in wrong if sorted(found.get(numbers[k], [-1])) == sorted(truth[k])]
    assert len(corrected) >= 0.6 * len(wrong)


def changed_labels(made: Prepared, values: Sequence[Any]) -> Prepared:
    """Return the run with other labels of its training rows."""
    train, role = made.splits.train, made.recipe.task.target.role
    column = pa.chunked_array([pa.array(values, train[role].type)])
    return replace(
        made, splits=replace(made.splits, train=train.set_column(train.column_names.index(role), role, column))
    )


@pytest.mark.parametrize("target", ["number", "stars"])
def test_numbers_and_stars(tmp_path: Path, target: str) -> None:
    draw = random.Random(0)
    rows = []
    for number in range(180):
        level = number % 3
        words = [*draw.choices(GOOD, k=2 * level), *draw.choices(BAD, k=4 - 2 * level), *draw.choices(NOUNS, k=3)]
        rows.append(
            [" ".join([*words, str(draw.randint(1, 999))]), level + (draw.gauss(0, 0.1) if target == "number" else 1)]
        )
    made = prepared(
        "text", table(tmp_path, ("text", "score"), rows), data={"target": target, "columns": {"label": "score"}}
    )
    numbers = made.splits.train["_row"].to_pylist()
    place = next(k for k, row in enumerate(numbers) if (row - 2) % 3 == 0)
    values = made.splits.train["label"].to_pylist()
    values[place] = 9.0 if target == "number" else 2
    found = [row for row, _ in doubts(changed_labels(made, values))]
    assert numbers[place] in found[:5]


def test_words_by_sentence(tmp_path: Path) -> None:
    draw = random.Random(0)
    lines = []
    for _ in range(120):
        words = [draw.choice((*GOOD, *NOUNS)) for _ in range(6)]
        labels = ["B-MOOD" if word in GOOD else "O" for word in words]
        lines.append(json.dumps({"words": words, "labels": labels}))
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(lines), encoding="utf-8")
    made = prepared("tokens", file)
    values = made.splits.train["labels"].to_pylist()
    true = values[7]
    values[7] = [1 - number for number in true]
    found = dict(doubts(changed_labels(made, values)))
    assert found[made.splits.train["_row"][7].as_py()] == true


def test_pictures(tmp_path: Path) -> None:
    planted.model(tmp_path / "vit")
    planted.folder(tmp_path / "data", 30, seed=0)
    made = prepared("image", tmp_path / "data", model=str(tmp_path / "vit"))
    found = find.find(made, lambda _event: None)
    source = TrainedRun(runs.Run(tmp_path / "run"), "image", {})
    (tmp_path / "run").mkdir()
    summary = find.write(source, made, found, None)
    assert summary["rows"] == made.splits.train.num_rows
    page = (tmp_path / "run" / "repair" / "repair.html").read_text(encoding="utf-8")
    assert page.count("data:image/") == len(found.doubts)


@pytest.mark.parametrize("recipe", ["translation", "transcribe", "recommend"])
def test_tasks_without_classes_are_refused(recipe: str) -> None:
    with pytest.raises(ConfigError) as caught:
        find.check_task(loading.load(recipe))
    assert caught.value.id == "repair.not-for-task"


def test_rows_of_a_group_and_equal_rows_are_in_one_fold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(0)
    rows = [[sentence(draw, n % 2 == 0), "ab"[n % 2], f"g{n // 4}"] for n in range(120)]
    made = prepared("text", table(tmp_path, ("text", "label", "who"), rows), data={"group_column": "who"})
    seen: list[Any] = []

    def kept(_vectors: Any, folds: Any, *_: Any) -> None:
        seen.append(folds)

    monkeypatch.setattr("toolkit.training.adaptation.linear_probe.out_of_fold", kept)
    with pytest.raises(ConfigError) as caught:
        cross_fitted(made, lambda _event: None)
    assert caught.value.id == "repair.no-features"
    groups = made.splits.train["who"].to_pylist()
    by_group: dict[str, set[int]] = {}
    for group, fold in zip(groups, seen[0].tolist(), strict=True):
        by_group.setdefault(group, set()).add(fold)
    assert all(len(folds) == 1 for folds in by_group.values())
    assert len({fold for folds in by_group.values() for fold in folds}) == 5


def test_agreement_of_annotators(tmp_path: Path) -> None:
    draw = random.Random(0)
    texts = [sentence(draw, n % 2 == 0) for n in range(60)]
    rows = [
        [text, "ab"[(n + (name == "cy" and n % 3 == 0)) % 2], name]
        for n, text in enumerate(texts)
        for name in ("ann", "bo", "cy")
    ]
    made = prepared("text", table(tmp_path, ("text", "label", "who"), rows))
    measured = annotators.measured(made, "who")
    assert measured["alpha"]["items"] == 60
    assert 0.4 < measured["alpha"]["low"] < measured["alpha"]["value"] < measured["alpha"]["high"] < 1
    assert measured["annotators"][0]["name"] == "cy"
    assert measured["annotators"][0]["value"] == pytest.approx(2 / 3)
    with pytest.raises(DataError) as caught:
        annotators.measured(made, "whom")
    assert caught.value.id == "data.column-missing"
