"""Rows one by one: what is read, what is bad, and that the rest goes on."""

import gzip
import io
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from toolkit.data.stream import check_input, rows
from toolkit.errors import DataError, SourceError


def read(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return [(row.values, row.problem) for row in rows(str(path))]


def test_lines_of_text_stay_one_to_one(tmp_path):
    found = read(tmp_path / "a.txt", "\ufeffone\r\n\ntwo")
    assert found == [({"text": "one"}, None), ({"text": ""}, None), ({"text": "two"}, None)]


def test_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"one\ntwo\xff\n")))
    assert [row.values["text"] for row in rows("-")] == ["one", "two\ufffd"]


def test_csv_with_rows_of_another_width(tmp_path):
    found = read(tmp_path / "a.csv", 'id;text\n1;"a; b\nc"\n2\n\n3;d;e\n')
    assert found[0] == ({"id": "1", "text": "a; b\nc"}, None)
    assert found[1] == ({"id": "2", "text": None}, "1 fields where the header has 2")
    assert found[2] == ({"id": "3", "text": "d;e"}, "3 fields where the header has 2")
    assert len(found) == 3


def test_json_lines_with_a_broken_one(tmp_path):
    found = read(tmp_path / "a.jsonl.gz", gzip.compress(b'{"text": "one", "n": [1]}\n\n{"text": \n[1]\n'))
    assert found[0] == ({"text": "one", "n": [1]}, None)
    assert [problem and problem.partition(":")[0] for _, problem in found] == [None, "not JSON", "no object with keys"]


def test_parquet(tmp_path):
    pq.write_table(pa.table({"text": ["one", None]}), tmp_path / "a.parquet")
    assert [row.values for row in rows(str(tmp_path / "a.parquet"))] == [{"text": "one"}, {"text": None}]
    (tmp_path / "b.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        list(rows(str(tmp_path / "b.parquet")))


def test_what_cannot_be_read_is_told_before(tmp_path):
    with pytest.raises(SourceError, match="no file"):
        check_input(str(tmp_path / "none.csv"))
    (tmp_path / "a.xlsx").write_bytes(b"")
    with pytest.raises(DataError, match="no format"):
        check_input(str(tmp_path / "a.xlsx"))
    check_input("-")
