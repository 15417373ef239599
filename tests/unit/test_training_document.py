"""docs/training.md lists every key of three sections as the configuration has it."""

import re
from pathlib import Path

import pytest

from toolkit.config.settings import AdapterConfig, LossConfig, Section, TrainingConfig
from toolkit.tasks import catalogue

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
SECTIONS = {"training": TrainingConfig, "loss": LossConfig, "adapter": AdapterConfig}


def written(default: object) -> str:
    if default is None or isinstance(default, bool):
        return "–" if default is None else str(default).lower()
    return f"{default:g}" if isinstance(default, float) else str(default)


@pytest.mark.parametrize("section", SECTIONS)
def test_page_lists_every_key_with_default_and_meaning(section):
    model: type[Section] = SECTIONS[section]
    rows = re.findall(rf"^\| `{section}\.\w+` \|.*$", TEXT, re.MULTILINE)
    expected = [
        f"| `{section}.{name}` | {written(field.default)} | {field.description} | "
        for name, field in model.model_fields.items()
    ]
    written_otherwise = [start for start in expected if not any(row.startswith(start) for row in rows)]
    assert written_otherwise == []  # add or correct these rows of docs/training.md, with when to change the value
    assert [row.split("|")[1] for row in rows] == [start.split("|")[1] for start in expected]
    assert all(len(row) > len(start) + 5 for row, start in zip(rows, expected, strict=True))


def test_named_presets_exist():
    named = set(re.findall(r"--preset ([\w-]+)", TEXT))
    assert {"small-data", "noisy-labels"} <= named <= catalogue.presets().keys()
