"""A gate is read whole, with every mistake named, and never empty by mistake."""

from pathlib import Path

import pytest

from tests.support.errors import refused
from toolkit.config import gate
from toolkit.errors import ConfigError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "gate.yaml"


def test_unknown_keys_are_refused_with_the_nearest_name(file: Path) -> None:
    file.write_text("metrics:\n- margn: 0.01\nsloces: {}\n", encoding="utf-8")
    with refused(ConfigError, "config.unknown-key", "`metrics.margin`", "`slices`", "gate.yaml"):
        gate.read(str(file))


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("bias:\n", "`bias`"),
        ("metrics: []\n", "`metrics`"),
        ("error: 0.1\n", "metrics, slices"),
        ("", "metrics, slices"),
        ("slices: {margin: -0.1}\n", "`slices.0.margin`"),
        ("metrics: {}\nlooks: 0\n", "`looks`"),
    ],
)
def test_gate_without_effect_is_refused(file: Path, text: str, fact: str) -> None:
    file.write_text(text, encoding="utf-8")
    with refused(ConfigError, "config.invalid-value", fact):
        gate.read(str(file))


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with refused(ConfigError, "config.file-unreadable", "absent.yaml"):
        gate.read(str(tmp_path / "absent.yaml"))


def test_rules_have_default_values(file: Path) -> None:
    file.write_text("metrics: {}\nslices: {}\ncalibration: {}\nsize: {}\n", encoding="utf-8")
    assert gate.read(str(file)) == gate.read("default")
    file.write_text("size: {megabytes: 90}\n", encoding="utf-8")
    assert gate.read(str(file)).size == gate.SizeRule(megabytes=90)
