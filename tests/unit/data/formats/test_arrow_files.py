"""Parquet and Arrow files: missing values, class names, and limits on unpacking."""

import json

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.support.errors import refused
from toolkit.data.formats import arrow_files, text_decoding
from toolkit.data.sources.local_files import read
from toolkit.errors import DataError

FEATURES = {
    "label": {"names": ["bullish", "bearish"], "_type": "ClassLabel"},
    "tags": {"feature": {"names": ["O", "PER"], "_type": "ClassLabel"}, "_type": "Sequence"},
}
NOTED = {b"huggingface": json.dumps({"info": {"features": FEATURES}}).encode()}


def write(path, table):
    if path.suffix == ".parquet":
        parquet.write_table(table, path)
    elif path.suffix == ".feather":
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table)
    else:
        with pa.ipc.new_stream(path, table.schema) as writer:
            writer.write_table(table)
    return path


@pytest.mark.parametrize("suffix", arrow_files.SUFFIXES)
def test_values_are_the_same_in_every_format(tmp_path, suffix):
    rows = [
        {"text": "one", "label": 1, "tags": [0, 1], "score": 0.5, "kind": "a", "who": {"name": "x"}},
        {"text": None, "label": -1, "tags": None, "score": float("nan"), "kind": None, "who": None},
        {"text": "one", "label": 0, "tags": [], "score": None, "kind": "a", "who": {"name": None}},
    ]
    table = pa.Table.from_pylist(rows).replace_schema_metadata(NOTED)
    table = table.set_column(4, "kind", table["kind"].dictionary_encode())
    (found,) = read(write(tmp_path / f"a{suffix}", table)).parts.values()
    assert found.drop_columns(["_file"]).to_pylist() == [
        {**rows[0], "label": "bearish", "tags": ["O", "PER"], "_row": 1},
        {**rows[1], "label": None, "score": None, "_row": 2},
        {**rows[2], "label": "bullish", "_row": 3},
    ]
    assert found["kind"].type == pa.string()


@pytest.mark.parametrize(
    "notes", [b"{", b"[]", b'{"info": {"features": {"label": {"names": 3, "_type": "ClassLabel"}}}}']
)
def test_notes_that_make_no_sense_are_none(tmp_path, notes):
    table = pa.table({"text": ["a"], "label": [1]}).replace_schema_metadata({b"huggingface": notes})
    (found,) = read(write(tmp_path / "a.parquet", table)).parts.values()
    assert found["label"].to_pylist() == [1]


def bomb(path, value, rows):
    """One value repeated for many rows, in a file of about a kilobyte."""
    repeated = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([value]))
    return write(path, pa.table({"text": repeated, "label": pa.array(["x"] * rows).dictionary_encode()}))


@pytest.mark.parametrize("suffix", arrow_files.SUFFIXES)
@pytest.mark.parametrize("value", ["x" * 100_000, ["x" * 50_000] * 2])
def test_dictionary_texts_are_counted_before_decoding(tmp_path, monkeypatch, suffix, value):
    monkeypatch.setattr(text_decoding, "_HARMLESS", 20_000_000)
    monkeypatch.setattr(text_decoding, "_RATIO", 1)
    if isinstance(value, list):
        inside = pa.DictionaryArray.from_arrays(pa.array([0, 0] * 1000, pa.int32()), pa.array([value[0]]))
        lists = pa.ListArray.from_arrays(pa.array(np.arange(0, 2001, 2), pa.int32()), inside)
        path = write(tmp_path / f"a{suffix}", pa.table({"text": lists}))
    else:
        path = bomb(tmp_path / f"a{suffix}", value, 1000)
    with refused(DataError, "data.too-large", path.name, "GiB"):
        read(path)
    monkeypatch.setattr(arrow_files, "_BATCH_BYTES", 1_000_000)
    sizes = [batch.nbytes for batch in arrow_files.batches(path)]
    assert sum(sizes) > 100_000_000  # row by row all of it can be had
    assert max(sizes) < 1_100_000


def test_numbers_that_repeat_are_counted_too(tmp_path, monkeypatch):
    monkeypatch.setattr(text_decoding, "_HARMLESS", 1_000_000)
    monkeypatch.setattr(text_decoding, "_RATIO", 1)
    path = write(tmp_path / "a.parquet", pa.table({"n": [[7] * 200_000]}))
    assert path.stat().st_size < 5000
    with refused(DataError, "data.too-large", path.name, "GiB"):
        list(arrow_files.batches(path))


def test_what_is_not_utf_8_is_damage(tmp_path):
    broken = pa.StringArray.from_buffers(1, pa.py_buffer(np.array([0, 1], np.int32)), pa.py_buffer(b"\xff"))
    for suffix in arrow_files.SUFFIXES:
        with refused(DataError, "data.damaged-file", f"a{suffix}"):
            read(write(tmp_path / f"a{suffix}", pa.table({"text": broken})))


def test_values_that_share_bytes_are_refused(tmp_path):
    views = pa.table({"text": pa.array(["a"], pa.string_view())})
    with refused(DataError, "data.damaged-file", "a.arrow", "string_view"):
        read(write(tmp_path / "a.arrow", views))


def test_a_data_set_that_was_saved_to_disk(tmp_path):
    for part in ("train", "test"):
        folder = tmp_path / part
        folder.mkdir()
        names = [f"data-0000{number}-of-00002.arrow" for number in range(2)]
        for number, name in enumerate(names):
            write(folder / name, pa.table({"text": [f"{part} {number}"], "label": [number]}))
        write(folder / "cache-1f.arrow", pa.table({"text": ["old"], "label": [0]}))
        state = {"_data_files": [{"filename": name} for name in names]}
        (folder / "state.json").write_text(json.dumps(state))
        (folder / "dataset_info.json").write_text(json.dumps({"features": FEATURES}))
    (tmp_path / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "test"]}))
    tables = read(tmp_path).parts
    assert {part: table["text"].to_pylist() for part, table in tables.items()} == {
        "train": ["train 0", "train 1"],
        "test": ["test 0", "test 1"],
    }
    assert tables["train"]["label"].to_pylist() == ["bullish", "bearish"]
    assert read(tmp_path / "train").parts["all"]["_file"].to_pylist() == [
        "data-00000-of-00002.arrow",
        "data-00001-of-00002.arrow",
    ]
