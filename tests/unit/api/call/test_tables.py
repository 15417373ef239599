"""Rows in memory become files that are named by their contents."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from toolkit.api.call.tables import FOLDER, stored
from toolkit.errors import DataError

ROWS = {"text": ["a", "b", None], "label": [0, 1, 1]}


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_names_and_paths_stay_as_they_are(tmp_path):
    assert stored(None) is None
    assert stored("org/name") == "org/name"
    assert stored(tmp_path) == str(tmp_path)
    assert not FOLDER.exists()


def test_the_same_rows_are_one_file_and_others_another():
    table = pa.table(ROWS)
    path = stored(table)
    assert pq.read_table(path) == table
    assert stored(pa.concat_tables([table.slice(0, 1), table.slice(1)])) == path
    assert stored(table.slice(0, 2)) != path
    assert stored(table.cast(pa.schema({"text": pa.string(), "label": pa.int32()}))) != path
    assert len(list(FOLDER.iterdir())) == 3


def test_a_frame_loses_its_index_and_nothing_else():
    frame = pd.DataFrame({**ROWS, 3: [1.5, 2.5, float("nan")]}, index=[7, 8, 9])
    path = stored(frame)
    read = pq.read_table(path)
    assert read.column_names == ["text", "label", "3"]
    assert read.to_pydict() == {**ROWS, "3": [1.5, 2.5, None]}


def test_parts_are_files_of_a_folder():
    folder = Path(stored({"train": pd.DataFrame(ROWS), "test": pa.table(ROWS)}))
    assert folder.parent == FOLDER
    assert {file.name for file in folder.iterdir()} == {"test.parquet", "train.parquet"}


def test_what_is_no_table_is_refused():
    with pytest.raises(DataError, match="type list cannot be read"):
        stored([1, 2])
    with pytest.raises(DataError, match="DataFrame"):
        stored(pd.DataFrame({"text": ["a", 1, b"x"]}))
