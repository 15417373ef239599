"""Contact sheets of pictures with every kind of target."""

import csv
from pathlib import Path

import pytest
from PIL import Image

import toolkit
from tests.support import pictures
from tests.support.errors import refused
from toolkit.errors import ConfigError

LABELS = {"class": ["dark", "light"], "classes": ["dark|red", "light", "", "red"], "number": ["1.5", "2.25"]}


def sheet(folder: Path, monkeypatch: pytest.MonkeyPatch, kind: str, **options: object) -> Path:
    """Inspect a folder of pictures with a table of such labels; return the sheet's file."""
    monkeypatch.chdir(folder)
    (folder / "data").mkdir()
    with (folder / "data" / "labels.csv").open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["file_name", "label"])
        for number in range(12):
            pictures.picture(bool(number % 2), 16, number).save(folder / "data" / f"{number}.png")
            rows.writerow([f"{number}.png", LABELS[kind][number % len(LABELS[kind])]])
    values = {"data.target": kind, **{f"options.{key}": value for key, value in options.items()}}
    toolkit.inspect("data", recipe="image", model="vit-tiny", show=True, set=values, progress=False)
    return folder / "data-contact-sheet.png"


@pytest.mark.parametrize(("kind", "lines"), [("class", 2), ("classes", 3), ("number", 1)])
def test_a_sheet_has_a_line_for_each_class(kind, lines, tmp_path, monkeypatch):
    with Image.open(sheet(tmp_path, monkeypatch, kind, mixup=0.4)) as image:
        assert image.height == 18 + lines * (18 + 96 + 4)


def test_a_sheet_of_what_training_refuses_is_refused(tmp_path, monkeypatch):
    with refused(ConfigError, "config.not-for-task", "CutMix"):
        sheet(tmp_path, monkeypatch, "number", cutmix=1.0)
