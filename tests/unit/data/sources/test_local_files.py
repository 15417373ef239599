"""Reading local files: every promise about formats, folders, line numbers and messages."""

import csv
import gzip
import io
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from tests.support.errors import refused
from toolkit.data.formats import csv_files, json_rows, text_decoding
from toolkit.data.sources import row_stream
from toolkit.data.sources.local_files import read
from toolkit.errors import DataError, SourceError, ToolkitError


def write(path: Path, content: str | bytes, encoding: str = "utf-8") -> Path:
    """Write a file, and the folders above it; names that end in .gz are packed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content if isinstance(content, bytes) else content.encode(encoding)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def write_parquet(path: Path, columns: dict) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.table(columns), path)
    return path


def fault(identifier: str, path: Path, kind: type[ToolkitError] = DataError, **options) -> str:
    """Read what cannot be read, and return the problem and the fix as the user sees them."""
    with refused(kind, identifier) as caught:
        read(path, **options)
    return str(caught.value)


def columns(path: Path, split: str = "all", **options) -> dict[str, list]:
    return read(path, **options).parts[split].to_pydict()


# --- formats --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "text,label\ngood,1\nbad,0\n"),
        ("a.tsv", "text\tlabel\ngood\t1\nbad\t0\n"),
        ("a.tab", "text\tlabel\ngood\t1\nbad\t0\n"),
        ("a.txt", "text\tlabel\ngood\t1\nbad\t0\n"),
        ("b.txt", "__label__1 good\n__label__0 bad\n"),
        ("a.csv", "sep=;\ntext;label\ngood;1\nbad;0\n"),
        ("a.csv", "text,label,\ngood,1,\nbad,0,\n,,\n"),
        ("a.jsonl", '{"text": "good", "label": "1"}\n{"text": "bad", "label": "0"}\n'),
        ("a.ndjson", '{"text": "good", "label": "1"}\n{"text": "bad", "label": "0"}\n'),
        ("a.json", '{"text": "good", "label": "1"}\n{"text": "bad", "label": "0"}\n'),
        ("b.json", '[{"text": "good", "label": "1"},\n {"text": "bad", "label": "0"}]'),
        ("A.CSV", "text,label\r\ngood,1\r\nbad,0"),
    ],
)
def test_text_formats(tmp_path, name, content, packed):
    path = write(tmp_path / (name + packed), content)
    tables = read(path).parts
    assert list(tables) == ["all"]
    assert tables["all"].column_names == ["text", "label", "_file", "_row"]
    result = tables["all"].to_pydict()
    assert (result["text"], result["label"]) == (["good", "bad"], ["1", "0"])
    assert result["_file"] == [path.name] * 2


def test_parquet_keeps_its_types(tmp_path):
    path = write_parquet(tmp_path / "a.parquet", {"n": [3, 4], "when": pa.array([1, 2], pa.timestamp("ms"))})
    table = read(path).parts["all"]
    assert table.schema.field("n").type == pa.int64()
    assert table.schema.field("when").type == pa.timestamp("ms")
    assert table["_row"].to_pylist() == [1, 2]
    assert table.schema.field("_row").type == pa.int64()


def test_what_a_run_directory_holds_is_read_again(tmp_path):
    table = pa.table({"text": ["good"], "label": [1], "_file": ["a.csv"], "_row": [7]})
    parquet.write_table(table, tmp_path / "validation.parquet")
    (found,) = read(tmp_path / "validation.parquet").parts.values()
    assert found.to_pylist() == [{"text": "good", "label": 1, "_file": "validation.parquet", "_row": 1}]


def test_unknown_ending_lists_the_known_ones(tmp_path):
    message = fault("data.unknown-format", write(tmp_path / "reviews.dat", b"PK"))
    assert "reviews.dat" in message
    assert all(suffix in message for suffix in (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet", ".gz"))


def test_unpacked_size_is_limited(tmp_path, monkeypatch):
    monkeypatch.setattr(text_decoding, "MAX_UNPACKED", 100)
    assert "unpacks to more than" in fault("data.too-large", write(tmp_path / "a.csv.gz", "text\n" + "a" * 200))


def test_truncated_gzip(tmp_path):
    path = write(tmp_path / "a.csv.gz", "text,label\n" + "good,1\n" * 1000)
    path.write_bytes(path.read_bytes()[:-12])
    assert "a.csv.gz cannot be unpacked" in fault("data.damaged-file", path)


def test_gzip_in_name_only(tmp_path):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(b"text,label\ngood,1\n")
    assert "cannot be unpacked" in fault("data.damaged-file", path)


def test_truncated_parquet(tmp_path):
    path = write_parquet(tmp_path / "a.parquet", {"n": [1, 2]})
    path.write_bytes(path.read_bytes()[:-20])
    assert "a.parquet cannot be read as Parquet" in fault("data.damaged-file", path)


# --- header and cells -----------------------------------------------------------------------------------------------


def test_names_are_stripped_of_space_and_mark(tmp_path):
    path = write(tmp_path / "a.csv", '\ufeff" text ", label \ngood,1\n')
    assert list(columns(path)) == ["text", "label", "_file", "_row"]


def test_pandas_index_gets_a_name(tmp_path):
    assert columns(write(tmp_path / "a.csv", ",text\n0,good\n"))["column_1"] == ["0"]


def test_header_of_one_name(tmp_path):
    assert columns(write(tmp_path / "a.csv", "text\ngood\n\n  \n"))["text"] == ["good", "  "]


@pytest.mark.parametrize(
    ("header", "identifier", "fact"),
    [
        ("text,text ", "data.duplicate-column", "`text`"),
        ("text,_row,label", "data.reserved-column", "`_row`"),
    ],
)
@pytest.mark.parametrize("suffix", [".csv", ".json", ".parquet"])
def test_bad_names(tmp_path, header, identifier, fact, suffix):
    names = header.split(",")
    path = tmp_path / f"a{suffix}"
    if suffix == ".csv":
        write(path, f"{header}\n{','.join('x' for _ in names)}\n")
    elif suffix == ".json":
        write(path, json.dumps([dict.fromkeys(names, "x")]))
    else:
        parquet.write_table(pa.Table.from_arrays([pa.array(["x"])] * len(names), names=names), path)
    assert fact in fault(identifier, path)


def test_a_row_of_data_that_repeats_a_value_may_lack_names(tmp_path):
    message = fault("data.duplicate-column", write(tmp_path / "a.csv", "0,0,a film\n1,0,another\n"))
    assert "two columns are named `0`" in message
    assert "data.column_names=" in message


def test_values_stay_as_written(tmp_path):
    result = columns(write(tmp_path / "a.csv", 'a,b,c,d\n01,NA," x ",1e3\n,null,,true\n'))
    assert [result[name] for name in "abcd"] == [["01", ""], ["NA", "null"], [" x ", ""], ["1e3", "true"]]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiter_is_found(tmp_path, delimiter):
    path = write(tmp_path / "a.csv", f'"text: a, b; c"{delimiter}label\nx{delimiter}y\n')
    assert columns(path)["label"] == ["y"]


def test_delimiter_can_be_given(tmp_path):
    path = write(tmp_path / "a.csv", "a,b^c\n1^2\n")
    assert columns(path, delimiter="^")["c"] == ["2"]
    tabbed = write(tmp_path / "b.csv", "a,b,c\td\n1\t2\n")
    assert columns(tabbed, delimiter="\\t")["d"] == ["2"]


def test_a_delimiter_that_separates_nothing_is_named(tmp_path):
    message = fault("data.wrong-delimiter", write(tmp_path / "a.csv", 'text,label\n"a, b",y\n'), delimiter=";")
    assert "`;`, the given delimiter, is not in the header; `,` is" in message


@pytest.mark.parametrize("delimiter", ["", "::", '"', "\n"])
def test_impossible_delimiter(tmp_path, delimiter):
    assert "data.delimiter" in fault(
        "config.malformed-value", write(tmp_path / "a.csv", "a,b\n1,2\n"), delimiter=delimiter
    )


def test_blank_lines_are_skipped_but_counted(tmp_path):
    result = columns(write(tmp_path / "a.csv", "\n \ntext,label\n\ngood,1\n   \nbad,0\n\n"))
    assert (result["text"], result["_row"]) == (["good", "bad"], [5, 7])


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_rows_point_to_lines_behind_line_breaks_in_fields(tmp_path, ending):
    lines = ["text,label", '"one', 'two",1', "three,0"]
    result = columns(write(tmp_path / "a.csv", ending.join(lines)))
    assert result["text"] == [f"one{ending}two", "three"]
    assert result["_row"] == [2, 4]


@pytest.mark.parametrize(
    ("row", "said"), [("one,two,three", "3 fields"), ("one", "1 field,"), ('""', "1 field,"), ("one,1,", "3 fields")]
)
def test_wrong_number_of_fields(tmp_path, row, said):
    message = fault("data.wrong-row-width", write(tmp_path / "a.csv", f"text,label\n\ngood,1\n{row}\n"))
    assert "a.csv:4: " in message
    assert said in message
    assert "2 columns (text, label)" in message
    assert "data.delimiter" in message


@pytest.mark.parametrize(
    ("rows", "line", "said"),
    [
        ('good,1\n"bad,0\nfine,1\n', 3, "not closed"),
        ('"long\nlong",1\n"long\nlong","bad\nfine,1\n', 5, "not closed"),
        ('good,1\n"bad" one,0\n', 3, "after its closing quote."),
        ('good,1\nx,"bad\n"fine",1\n', 3, "after its closing quote (it ends in line 4)"),
    ],
)
def test_broken_quotes_name_the_line_where_the_field_starts(tmp_path, rows, line, said):
    message = fault("data.broken-quotes", write(tmp_path / "a.csv", "text,label\n" + rows))
    assert f"a.csv:{line}: " in message
    assert said in message


def test_broken_header(tmp_path):
    assert "a.csv:1: " in fault("data.broken-quotes", write(tmp_path / "a.csv", 'text,"label\ngood,1\n'))
    assert "a.csv:3: " in fault("data.broken-quotes", write(tmp_path / "a.csv", '\n\ntext,"label\ngood,1\n'))
    assert "a.csv:3: " in fault("data.duplicate-column", write(tmp_path / "a.csv", "\n\ntext,text\ngood,1\n"))


def test_field_size_is_limited_and_the_limit_given_back(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_files, "MAX_FIELD", 1000)
    before = csv.field_size_limit()
    assert "a.csv:3: the field that starts here is longer" in fault(
        "data.too-long", write(tmp_path / "a.csv", 'text,label\ngood,1\n"bad,1\n' + "good,1\n" * 500)
    )
    assert csv.field_size_limit() == before


def test_fields_longer_than_the_csv_module_allows_by_itself(tmp_path):
    assert columns(write(tmp_path / "a.csv", f"text,label\n{'x' * 200_000},1\n"))["text"] == ["x" * 200_000]


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.csv", "text,label\n"), ("a.csv", "\n \n"), ("a.jsonl", "\n"), ("a.json", "[]"), ("a.json", "[{}]")],
)
def test_no_rows(tmp_path, name, content):
    assert f"{name} holds no rows" in fault("data.no-rows", write(tmp_path / name, content))


def test_no_rows_in_parquet(tmp_path):
    assert "holds no rows" in fault(
        "data.no-rows", write_parquet(tmp_path / "a.parquet", {"n": pa.array([], pa.int64())})
    )


def test_zero_bytes(tmp_path):
    assert "a.csv is empty (0 bytes)" in fault("data.no-rows", write(tmp_path / "a.csv", ""))


# --- JSON -----------------------------------------------------------------------------------------------------------


def test_json_keeps_types_and_fills_gaps(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_files, "CHUNK", 2)
    records = [
        {"n": 1},
        {"n": 2.5, "tags": []},
        {"tags": ["a"], "who": {"name": "x"}},
        {"who": {"age": 3}, "yes": True},
    ]
    path = write(tmp_path / "a.jsonl", "\n\n".join(map(json.dumps, records)))
    assert columns(path) == {
        "n": [1.0, 2.5, None, None],
        "tags": [None, [], ["a"], None],
        "who": [None, None, {"name": "x", "age": None}, {"name": None, "age": 3}],
        "yes": [None, None, None, True],
        "_file": ["a.jsonl"] * 4,
        "_row": [1, 3, 5, 7],
    }


@pytest.mark.parametrize("chunk", [1, 2, 100])
def test_mixed_scalars_become_text_whatever_the_chunk(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(csv_files, "CHUNK", chunk)
    values = [1, None, 0, "1", True, 2.5]
    path = write(tmp_path / "a.jsonl", "\n".join(json.dumps({"label": value}) for value in values))
    assert columns(path)["label"] == ["1", None, "0", "1", "true", "2.5"]


def test_numbers_beyond_64_bits_become_text(tmp_path):
    path = write(tmp_path / "a.json", f'[{{"id": {2**70}}}, {{"id": 1}}]')
    assert columns(path)["id"] == [str(2**70), "1"]


@pytest.mark.parametrize("chunk", [1, 100])
def test_lists_mixed_with_text_name_both_lines(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(csv_files, "CHUNK", chunk)
    message = fault("data.mixed-types", write(tmp_path / "a.jsonl", '{"x": null}\n{"x": "a"}\n\n{"x": ["a"]}\n'))
    assert "`x` is text in line 2 but a list in line 4" in message


@pytest.mark.parametrize("chunk", [1, 100])
def test_types_that_clash_inside_objects(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(csv_files, "CHUNK", chunk)
    assert "a.json" in fault("data.mixed-types", write(tmp_path / "a.json", '[{"x": {"y": 1}}, {"x": {"y": "a"}}]'))


@pytest.mark.parametrize(
    ("name", "content", "fact"),
    [
        ("a.jsonl", '{"x": 1}\n\n{"x": 1,}\n', "a.jsonl:3: not JSON"),
        ("a.jsonl", '{"x": 1}\n"text"\n', "a.jsonl:2: expected an object, not text"),
        ("a.jsonl", '["text", 1]\n["more", 2]\n', "a.jsonl: item 1: expected an object, not text"),
        ("a.json", '[{"x": 1}]\n[{"x": 2}]\n', "a.json:2: not JSON"),
        ("a.json", '[{"x": 1}\n', "the list is not closed"),
        ("a.json", '[{"x": 1} {"x": 2}]\n', "not JSON: expecting ',' delimiter at character 11"),
        ("a.json", '{\n  "x": 1\n}\n', "a.json:1: not JSON"),
        ("a.json", '\n[{"x": 1},\n {"x": }]', "a.json:3: not JSON"),
        ("a.json", '[{"x": 1}, null]', "a.json: item 2: expected an object, not null"),
        ("a.json", "[" * 100_000, "a.json:1: not JSON"),
    ],
)
def test_broken_json_names_the_place(tmp_path, name, content, fact):
    assert fact in fault("data.invalid-json", write(tmp_path / name, content))


@pytest.mark.parametrize(
    ("content", "fact"), [('{"x": "a"}\n{"x": "\\ud83d"}', "`x` in line 2"), ('{"\\ud83d": 1}', "a.jsonl")]
)
def test_lone_surrogates_in_json_are_refused(tmp_path, content, fact):
    assert fact in fault("data.invalid-unicode", write(tmp_path / "a.jsonl", content))


# --- encodings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize(("name", "content"), [("a.csv", '"text"\ncafé ✓\n'), ("a.jsonl", '{"text": "café ✓"}')])
def test_encodings_with_a_mark(tmp_path, encoding, name, content):
    assert columns(write(tmp_path / name, content, encoding)) == {
        "text": ["café ✓"],
        "_file": [name],
        "_row": [2 if name == "a.csv" else 1],
    }


@pytest.mark.parametrize("packed", ["", ".gz"])
def test_undecodable_bytes_name_line_and_encoding(tmp_path, packed):
    text = "text,label\n" + "good,1\n" * 20_000 + "un été très chaud, ça “va” bien,0\n".replace(", ", " ")
    message = fault("data.wrong-encoding", write(tmp_path / f"a.csv{packed}", text, "cp1252"))
    assert f"a.csv{packed}:20002: the byte 0xe9 is not UTF-8" in message
    assert "--set data.encoding=cp1252" in message
    assert columns(tmp_path / f"a.csv{packed}", encoding="cp1252")["text"][-1].startswith("un été")


def test_undecodable_cyrillic(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"text": "Привет, мир! Как твои дела сегодня?"}\n', "cp1251")
    assert "data.encoding=cp1251" in fault("data.wrong-encoding", path)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("café", "cp1252"),
        ("un film très réussi", "cp1252"),
        ("un film très réussi, déjà vu, où l'élève a été", "cp1252"),
        ("Björk is great", "cp1252"),
        ("It\u2019s a \u201cgreat\u201d film", "cp1252"),
        ("Хороший фильм", "koi8_r"),
        ("Хороший фильм", "cp866"),
        ("これはとても良い映画でした", "cp932"),
        ("这是一部非常好的电影", "gb18030"),
        ("Bardzo dobry film, świetna gra aktorów i piękne zdjęcia, łza się w oku kręci", "cp1250"),
    ],
)
def test_most_likely_encoding_is_named_first(tmp_path, text, encoding):
    path = write(tmp_path / "a.csv", f'text,label\n"{text}",good\n', encoding)
    assert f"add --set data.encoding={encoding}." in fault("data.wrong-encoding", path)
    assert columns(path, encoding=encoding)["text"] == [text]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (random.Random(1).randbytes(3000), "binary data"),
        (b"PK\x03\x04" + random.Random(2).randbytes(300), "a ZIP archive or an Excel workbook"),
        (gzip.compress(b"text,label\n" * 20, mtime=0), "data packed with gzip"),
        (b"\0\x81" + random.Random(3).randbytes(3000), "binary data"),
    ],
)
def test_binary_files_are_named(tmp_path, content, kind):
    message = fault("data.not-text", write(tmp_path / "a.csv", content))
    assert f"a.csv is not a text file: it holds {kind}" in message
    assert "data.encoding" not in message


def test_given_encoding_is_strict(tmp_path):
    message = fault("data.wrong-encoding", write(tmp_path / "a.csv", "text\nok\ncafé\n"), encoding="ascii")
    assert "a.csv:3: the byte 0xc3 is not ascii" in message


def test_cut_utf_8_at_the_end(tmp_path):
    assert "a.csv:2: the byte 0xc3" in fault(
        "data.wrong-encoding", write(tmp_path / "a.csv", "text\ncafé".encode()[:-1])
    )


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark(tmp_path, encoding):
    path = write(tmp_path / "a.csv", "text\ncafé\n", encoding)
    assert f"data.encoding={encoding}" in fault("data.wrong-encoding", path)
    assert columns(path, encoding=encoding)["text"] == ["café"]
    assert "is not utf-16" in fault("data.wrong-encoding", path, encoding="utf-16")


@pytest.mark.parametrize("encoding", ["utf-9", "hex", "a\0b"])
def test_unknown_encoding(tmp_path, encoding):
    assert "nknown text encoding" in fault(
        "config.unknown-encoding", write(tmp_path / "a.csv", "a\n1\n"), encoding=encoding
    )


# --- folders --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (["train.csv", "test.csv"], ["train", "test"]),
        (["Train.csv", "valid.csv", "extra.csv"], ["train", "validation"]),
        (["train_1.csv", "val-x.csv.gz", "devices.csv"], ["train", "validation"]),
        (["dev.csv"], ["validation"]),
        (["train/any.csv", "validation/name.csv", "test/b.csv"], ["train", "validation", "test"]),
        (["data/train-00000-of-00001.csv", "data/test-00000-of-00001.csv", "dataset_infos.json"], ["train", "test"]),
        (["plain_text/train-00000-of-00001.csv", "README.md"], ["train"]),
        (["value.csv"], ["all"]),
        (["reviews.csv", "notes.md", "test/code.py", ".hidden.csv"], ["all"]),
        (["data/reviews.csv", "images/x.png"], ["all"]),
    ],
)
def test_splits_of_a_folder(tmp_path, names, splits):
    for name in names:
        write(tmp_path / name, "text,label\ngood,1\n")
    tables = read(tmp_path).parts
    assert list(tables) == splits
    assert {name for table in tables.values() for name in table["_file"].to_pylist()} <= set(names)


def test_shards_are_joined_in_the_order_of_their_names(tmp_path):
    for number in (1, 0, 2):
        write_parquet(tmp_path / "data" / f"train-0000{number}-of-00003.parquet", {"n": [number, number + 10]})
    result = columns(tmp_path, "train")
    assert result["n"] == [0, 10, 1, 11, 2, 12]
    assert result["_row"] == [1, 2] * 3
    assert result["_file"][2] == "data/train-00001-of-00003.parquet"


def test_json_shards_may_leave_keys_out(tmp_path):
    write(tmp_path / "train-0.jsonl", '{"a": 1}')
    write(tmp_path / "train-1.jsonl", '{"a": 2, "b": "x"}')
    table = read(tmp_path).parts["train"]
    assert table.column_names == ["a", "b", "_file", "_row"]
    assert table["b"].to_pylist() == [None, "x"]


@pytest.mark.parametrize(
    ("files", "identifier", "fact"),
    [
        ({"train.csv": "a\n1\n", "train.jsonl": '{"a": 1}'}, "data.mixed-formats", "(.csv, .jsonl)"),
        ({"train.csv": "a\n1\n", "train.csv.gz": "a\n1\n"}, "data.mixed-formats", "(.csv, .csv.gz)"),
        ({"train-0.csv": "a,b\n1,2\n", "train-1.csv": "a,c\n1,2\n"}, "data.column-missing", "`b`"),
        ({"train-0.jsonl": '{"a": 1}', "train-1.jsonl": '{"a": "x"}'}, "data.mixed-types", "train-1.jsonl"),
    ],
)
def test_shards_that_do_not_fit(tmp_path, files, identifier, fact):
    for name, content in files.items():
        write(tmp_path / name, content)
    assert fact in fault(identifier, tmp_path)


def test_several_files_without_a_split_in_their_name(tmp_path):
    for name in ("pos.csv", "neg.csv"):
        write(tmp_path / name, "text\ngood\n")
    message = fault("source.ambiguous", tmp_path)
    assert "neg.csv, pos.csv" in message
    assert "rename them to train and test" in message


def test_a_folder_per_class(tmp_path):
    for name in ("train/pos/1.txt", "train/neg/2.txt", "train/neg/.hidden.txt", "test/pos/3.txt", "train/urls.txt"):
        write(tmp_path / name, f"Ein Text –\r\n{name}")
    tables = read(tmp_path).parts
    assert list(tables) == ["train", "test"]
    assert tables["train"].to_pydict() == {
        "text": ["Ein Text –\r\ntrain/neg/2.txt", "Ein Text –\r\ntrain/pos/1.txt"],
        "label": ["neg", "pos"],
        "_file": ["train/neg/2.txt", "train/pos/1.txt"],
        "_row": [1, 1],
    }


@pytest.mark.parametrize("above", ["", "movies/"])
def test_a_folder_per_class_without_splits(tmp_path, above):
    write(tmp_path / f"{above}pos/1.txt", "\ufeffgood")
    write(tmp_path / f"{above}neg/1.txt", "")
    result = columns(tmp_path)
    assert (result["text"], result["label"]) == (["", "good"], ["neg", "pos"])


def test_undecodable_text_of_a_class(tmp_path):
    write(tmp_path / "pos/1.txt", "good")
    write(tmp_path / "neg/1.txt", "un été\n", "cp1252")
    assert f"{Path('neg', '1.txt')}:1: the byte 0xe9" in fault("data.wrong-encoding", tmp_path)


def test_empty_folder(tmp_path):
    write(tmp_path / ".DS_Store", "x")
    assert "is empty" in fault("source.no-data-in-folder", tmp_path)


def test_folder_without_data(tmp_path):
    for name in ("notes.md", "a/b.py", "c/d.py"):
        write(tmp_path / name, "x")
    message = fault("source.no-data-in-folder", tmp_path)
    assert "it holds a, c, notes.md" in message
    assert ".parquet" in message


def test_a_model_is_no_data_set(tmp_path):
    for name in ("config.json", "model.safetensors", "train.csv"):
        write(tmp_path / name, "{}")
    assert "looks like a model" in fault("source.model-as-data", tmp_path)


# --- paths ----------------------------------------------------------------------------------------------------------


def test_missing_file_offers_the_nearest_names(tmp_path):
    write(tmp_path / "reviews.csv", "a\n1\n")
    message = fault("source.file-missing", tmp_path / "review.csv", SourceError)
    assert f"There is no file or folder {tmp_path / 'review.csv'}" in message
    assert f"Did you mean {tmp_path / 'reviews.csv'}?" in message


def test_missing_folder_above_is_the_one_named(tmp_path):
    write(tmp_path / "datasets/reviews.csv", "a\n1\n")
    assert f"Did you mean {tmp_path / 'datasets'}?" in fault(
        "source.file-missing", tmp_path / "dataset" / "reviews.csv", SourceError
    )


def test_missing_with_nothing_near(tmp_path):
    assert "looked up from" in fault("source.file-missing", tmp_path / "x" / "y.csv", SourceError)
    assert "looked up from" in fault("source.file-missing", Path("no-such-file-anywhere.csv"), SourceError)
    assert "no file or folder" in fault(
        "source.file-missing", write(tmp_path / "a.csv", "a\n1\n") / "b.csv", SourceError
    )


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet", "."])
def test_forbidden_paths(tmp_path, monkeypatch, name):
    """The superuser may read everything, so the refusal is played."""
    path = tmp_path / name
    if name != ".":
        write(path, "a\n1\n")

    def refuse(*_args, **_options):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(Path, "iterdir", refuse)
    monkeypatch.setattr(os, "scandir", refuse)
    monkeypatch.setattr(gzip, "open", refuse)
    message = fault("source.unreadable", path)
    assert f"{path} cannot be read: Permission denied" in message


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs symbolic links")
def test_link_to_nowhere(tmp_path):
    (tmp_path / "train.csv").symlink_to(tmp_path / "gone.csv")
    assert "train.csv cannot be read" in fault("source.unreadable", tmp_path)


# --- whole-module promises ------------------------------------------------------------------------------------------

cells = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(['"', "a\r\nb", "\n", ",;\t|"])


@settings(deadline=None, max_examples=150)
@given(rows=st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=8), delimiter=st.sampled_from(",;\t|"))
def test_what_the_csv_module_writes_reads_back_identical(tmp_path_factory, rows, delimiter):
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerow(["one", "two", "three"])
    writer.writerows(rows)
    path = write(tmp_path_factory.getbasetemp() / "round.csv", out.getvalue())
    rows = [row for row in rows if any(row)]
    if not rows:
        return
    result = columns(path)
    assert list(zip(result["one"], result["two"], result["three"], strict=True)) == rows
    with path.open(encoding="utf-8", newline="\n") as stream:
        lines = stream.readlines()
    for start, row in zip(result["_row"], rows, strict=True):
        assert next(csv.reader(lines[start - 1 :], delimiter=delimiter)) == list(row)


@settings(deadline=None, max_examples=50)
@given(
    rows=st.lists(st.dictionaries(st.sampled_from("abc"), st.none() | cells | st.booleans()), min_size=1, max_size=8)
)
def test_json_lines_read_back_identical(tmp_path_factory, rows):
    names = {name for row in rows for name in row}
    path = write(tmp_path_factory.getbasetemp() / "round.jsonl", "\n".join(map(json.dumps, rows)))
    if not names:
        return
    result = columns(path)
    for name in names:
        values = [row.get(name) for row in rows]
        if {str, bool} <= set(map(type, values)):
            values = [str(value).lower() if isinstance(value, bool) else value for value in values]
        assert result[name] == values


def test_200_000_rows_in_a_few_seconds(tmp_path):
    path = write(tmp_path / "a.csv", "text,label\n" + '"a text, of usual length, about nothing",1\n' * 200_000)
    before = time.process_time()
    table = read(path).parts["all"]
    assert time.process_time() - before < 4  # seconds; usually 0.3
    assert table.num_rows == 200_000
    assert table["_row"][-1].as_py() == 200_001
    assert table.nbytes < 3 * path.stat().st_size


def test_nothing_heavy_is_imported():
    code = (
        "import sys, toolkit.data.sources.local_files\n"
        "print(sorted({'torch', 'transformers', 'datasets', 'pandas', 'charset_normalizer'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_folder_of_pictures_is_recognized(tmp_path):
    for name in ("cat/1.png", "dog/2.JPG"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    with refused(DataError, "source.no-data-in-folder", "cat, dog", ".jpg, .png"):
        read(tmp_path)


# --- what other programs write --------------------------------------------------------------------------------------


def noted(path: Path, **options) -> tuple[dict[str, list], str]:
    tables = read(path, **options)
    (table,), notes = tables.parts.values(), tables.notes
    return table.to_pydict(), " ".join(notes)


def test_columns_and_rows_that_hold_nothing_are_passed_over(tmp_path):
    rows = "good,1,,kept\nbad,0,,\n" + ",,,\n" * 400
    result, notes = noted(write(tmp_path / "a.csv", f"text,label,,\n{rows}"))
    assert list(result) == ["text", "label", "column_4", "_file", "_row"]
    assert result["column_4"] == ["kept", ""]
    assert result["_row"] == [2, 3]
    assert "400 rows of a.csv" in notes
    assert "line 4" in notes
    assert "1 column of a.csv" in notes
    assert "column_4" in notes


def test_a_name_by_place_that_is_taken(tmp_path):
    assert list(columns(write(tmp_path / "a.csv", "column_2,\n1,2\n")))[:2] == ["column_2", "column_2_"]


@pytest.mark.parametrize("line", ["sep=;", '"sep=;"', "SEP=;;", "\ufeffsep=;"])
def test_the_separator_that_the_first_line_names(tmp_path, line):
    result = columns(write(tmp_path / "a.csv", f"{line}\r\ntext;a,b,c\r\none, two;1\r\n"))
    assert (result["text"], result["a,b,c"], result["_row"]) == (["one, two"], ["1"], [3])


@pytest.mark.parametrize("first", ["", "label,text\n"])
def test_names_of_columns_that_are_given(tmp_path, first):
    path = write(tmp_path / "a.csv", f"{first}good,a film\nbad,another\n")
    assert columns(path, names=["label", "text"])["text"] == ["a film", "another"]
    assert "has 2 fields, but data.column_names has 3 names" in fault(
        "data.wrong-row-width", path, names=["a", "b", "c"]
    )


def test_names_in_both_normal_forms_are_one(tmp_path):
    (found,) = read(write(tmp_path / "a.csv", "cafe\u0301\n1\n")).parts.values()
    assert found.column_names[0] == "caf\u00e9"
    (found,) = read(write(tmp_path / "a.jsonl", '{"cafe\u0301": 1}')).parts.values()
    assert found.column_names[0] == "caf\u00e9"


def test_nan_in_json_is_missing(tmp_path):
    result = columns(
        write(tmp_path / "a.jsonl", '{"a": NaN, "b": "x"}\n{"a": 1.5, "b": NaN}\n{"a": Infinity, "b": "NaN"}')
    )
    assert result["a"] == [None, 1.5, float("inf")]
    assert result["b"] == ["x", None, "NaN"]


def test_a_list_is_read_block_by_block(tmp_path, monkeypatch):
    monkeypatch.setattr(json_rows, "_BLOCK", 7)
    records = [{"text": 'ein [langer] Text, “quoted" \\ ”' * n, "n": {"x": [10**n]}} for n in range(1, 12)]
    for indent in (None, 1):
        path = write(tmp_path / "a.json", json.dumps(records, indent=indent))
        assert columns(path)["text"] == [record["text"] for record in records]
        assert columns(path)["_row"] == list(range(1, 12))
    pieces = json.dumps(records, indent=1).split('"n"')
    path = write(tmp_path / "a.json", '"n"'.join(pieces[:8]) + "n" + '"n"'.join(pieces[8:]))
    line = next(n for n, item in enumerate(path.read_text(encoding="utf-8").splitlines(), 1) if " n:" in item)
    assert f"a.json:{line}: not JSON" in fault("data.invalid-json", path)


@pytest.mark.parametrize(
    ("name", "content", "identifier"),
    [
        ("a.txt", "x" * 3000, "data.too-long"),
        ("a.csv", "text\n" + "x" * 3000, "data.too-long"),
        ("a.jsonl", json.dumps({"x": "x" * 3000}), "data.too-long"),
        ("a.json", json.dumps([{"x": "x" * 3000}]), "data.invalid-json"),
    ],
)
@pytest.mark.parametrize("packed", ["", ".gz"])
def test_a_line_has_a_bound(tmp_path, monkeypatch, name, content, identifier, packed):
    monkeypatch.setattr(text_decoding, "MAX_LINE", 1000)
    assert "is longer than" in fault(identifier, write(tmp_path / (name + packed), content))


def test_a_text_of_a_class_has_a_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(text_decoding, "MAX_LINE", 1000)
    for name in ("pos/1.txt", "neg/1.txt"):
        write(tmp_path / name, "x\n" * 1000)
    assert "is longer than" in fault("data.too-long", tmp_path)


def test_a_row_of_many_lines_has_a_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_files, "MAX_ROW", 1000)
    assert "is longer than" in fault("data.too-long", write(tmp_path / "a.csv", "text,label\n" + '"a\n",' * 1000))


@pytest.mark.parametrize("name", ["a.csv.gz", "a.jsonl.gz"])
def test_rows_of_little_are_counted_as_they_are_in_memory(tmp_path, monkeypatch, name):
    monkeypatch.setattr(text_decoding, "_HARMLESS", 200_000)
    monkeypatch.setattr(text_decoding, "_RATIO", 1)
    monkeypatch.setattr(csv_files, "CHUNK", 100)
    row = "1,2,3,4,5,6,7\n" if "csv" in name else '{"a":1,"b":2}\n'
    header = "a,b,c,d,e,f,g\n" if "csv" in name else ""
    assert "unpacks to more than" in fault("data.too-large", write(tmp_path / name, header + row * 13_000))


def test_values_as_keys_are_detected(tmp_path, monkeypatch):
    monkeypatch.setattr(text_decoding, "_HARMLESS", 100_000)
    monkeypatch.setattr(text_decoding, "_RATIO", 1)
    path = write(tmp_path / "a.jsonl", "".join(f'{{"k{n}": 1}}\n' for n in range(300)))
    assert "300 different keys" in fault("data.too-many-columns", path)


def test_many_columns_take_time_in_proportion(tmp_path):
    count = 40_000
    path = write(tmp_path / "a.csv", ",".join(f"c{n}" for n in range(count)) + "\n" + ",".join(["1"] * count) + "\n")
    before = time.process_time()
    assert read(path).parts["all"].num_columns == count + 2
    assert time.process_time() - before < 6  # seconds; usually 1, and it was 30 for comparing each name with all others


@pytest.mark.parametrize("folder", ["pos/more", "neg/deep/er"])
def test_texts_of_a_class_lie_however_deep(tmp_path, folder):
    for name in ("pos/1.txt", "neg/1.txt", f"{folder}/2.txt", "__MACOSX/pos/._1.txt", "pos/._1.txt"):
        write(tmp_path / name, name)
    result = columns(tmp_path)
    assert result["label"].count(folder[:3]) == 2
    assert len(result["label"]) == 3


def test_links_to_folders_are_followed_once(tmp_path):
    for name in ("data/pos/1.txt", "data/neg/1.txt", "elsewhere/2.txt"):
        write(tmp_path / name, name)
    (tmp_path / "data/pos/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/back").symlink_to(tmp_path / "data/pos")
    result = columns(tmp_path / "data")
    assert result["_file"] == ["neg/1.txt", "pos/1.txt", "pos/linked/2.txt"]


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (["train.txt", "test.txt", "readme.md"], {"train": 2, "test": 2}),
        (["lines.txt"], {"all": 2}),
        (["readme.txt", "data.csv"], {"all": 1}),
        (["train.txt", "train.csv"], {"train": 1}),
    ],
)
def test_lines_of_text_in_a_folder(tmp_path, names, splits):
    for name in names:
        write(tmp_path / name, "text,label\ngood,1\n")
    assert {split: table.num_rows for split, table in read(tmp_path).parts.items()} == splits


def test_pipes_and_devices_in_folders_are_no_data(tmp_path):
    for label in ("good", "bad"):
        (tmp_path / "texts" / label).mkdir(parents=True)
        (tmp_path / "texts" / label / "1.txt").write_text(label, encoding="utf-8")
    os.mkfifo(tmp_path / "texts" / "good" / "2.txt")
    (tmp_path / "texts" / "bad" / "endless.txt").symlink_to("/dev/zero")
    assert read(tmp_path / "texts").parts["all"]["text"].to_pylist() == ["bad", "good"]


def test_a_link_to_nothing(tmp_path: Path):
    (tmp_path / "a.csv").symlink_to("gone.csv")
    with refused(SourceError, "source.broken-link", "a.csv", "gone.csv"):
        read(tmp_path / "a.csv")


@pytest.mark.parametrize("name", ["sample_submission.csv", "sampleSubmission.csv", "Sample Submission.csv"])
def test_the_form_of_an_answer_is_not_read_with_a_folder(tmp_path: Path, name: str):
    write(tmp_path / "labels.csv", "text,label\na film,1\n")
    write(tmp_path / name, "text,label\nmade up,0\n")
    tables = read(tmp_path)
    (table,) = tables.parts.values()
    assert table["text"].to_pylist() == ["a film"]
    assert list(tables.notes) == [f"{name} is ignored: by its name it is a sample submission with placeholder labels."]
    (table,) = read(tmp_path / name).parts.values()
    assert table["text"].to_pylist() == ["made up"]


def test_a_separator_behind_the_last_field_of_each_row_is_no_column(write):
    path = write("a.csv", "text,label\ngood,pos,,\nbad,neg,,\n")
    tables = read(path)
    assert tables.parts["all"].drop_columns(["_file", "_row"]).to_pylist() == [
        {"text": "good", "label": "pos"},
        {"text": "bad", "label": "neg"},
    ]
    assert any("2 columns" in note for note in tables.notes)
    rows = list(row_stream.rows(str(path)))
    assert [row.problem for row in rows] == [None, None]
    assert [row.values["label"] for row in rows] == ["pos", "neg"]
    with refused(DataError, "data.wrong-row-width", "a.csv:3"):  # what is not so from the first row on
        read(write("a.csv", "text,label\ngood,pos\nbad, really,neg\n"))
    with refused(DataError, "data.wrong-row-width", "a.csv:2"):
        read(write("a.csv", "text,label\ngood, really,neg\nbad,pos\n"))
