"""Folders and tables of recordings, and what is left out of them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.errors import refused
from tests.support.recordings import encoded, folder, tone
from toolkit.config.settings import DataConfig
from toolkit.data.load import load_table
from toolkit.errors import DataError
from toolkit.tasks import loading
from toolkit.tasks.contract import Recipe


@pytest.fixture
def speech() -> Recipe:
    return loading.load("speech")


def test_folders_of_classes_in_parts(tmp_path: Path, speech: Recipe):
    folder(tmp_path, 3, ("train", "test"))
    table = load_table(speech, DataConfig(source=str(tmp_path)))
    assert {part: rows.num_rows for part, rows in table.parts.items()} == {"train": 6, "test": 6}
    assert table.labels == ("high", "low")


def test_what_cannot_be_used_is_left_out_and_listed(tmp_path: Path, speech: Recipe):
    folder(tmp_path, 6)
    (tmp_path / "low" / "broken.wav").write_bytes(b"RIFF")
    (tmp_path / "low" / "empty.flac").touch()
    (tmp_path / "high" / "long.wav").write_bytes(encoded(tone(500, 3.0)))
    (tmp_path / "high" / "silent.wav").write_bytes(encoded(np.zeros(8000)))
    table = load_table(speech, DataConfig(source=str(tmp_path), max_seconds=2.0))
    assert table.parts["all"].num_rows == 13
    assert table.counts == {"unreadable": 3, "silent": 1}
    reasons = {item["file"]: item["reason"] for item in table.unreadable}
    assert set(reasons) == {"low/broken.wav", "low/empty.flac", "high/long.wav"}
    assert "data.max_seconds" in reasons["high/long.wav"]
    assert any("3 of 16 recordings" in note for note in table.notes)
    assert any("silent.wav" in note for note in table.notes)


def test_where_most_are_too_long_the_limit_is_named(tmp_path: Path, speech: Recipe):
    folder(tmp_path, 3)
    with refused(DataError, "media.unreadable", "Raise data.max_seconds"):
        load_table(speech, DataConfig(source=str(tmp_path), max_seconds=0.1))


def test_a_table_of_file_names_and_one_of_bytes_hold_the_same(tmp_path: Path, speech: Recipe):
    folder(tmp_path / "sounds", 2)
    files = sorted((tmp_path / "sounds").rglob("*.wav"))
    lines = ["file,label", *(f"sounds/{file.parent.name}/{file.name},{file.parent.name}" for file in files)]
    (tmp_path / "table.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    held = pa.array([{"bytes": file.read_bytes(), "path": file.name} for file in files])
    pq.write_table(pa.table({"audio": held, "label": [file.parent.name for file in files]}), tmp_path / "t.parquet")
    digests = []
    for name in ("table.csv", "t.parquet"):
        table = load_table(speech, DataConfig(source=str(tmp_path / name)))
        digests.append([row["digest"] for row in table.parts["all"]["audio"].to_pylist()])
    assert digests[0] == digests[1]
    assert len(set(digests[0])) == 4


def test_a_folder_without_classes_is_refused(tmp_path: Path, speech: Recipe):
    for part in ("train", "test"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "1.wav").write_bytes(encoded(tone(300)))
    with refused(DataError, "media.no-class-folders", "recordings", "train"):
        load_table(speech, DataConfig(source=str(tmp_path)))
