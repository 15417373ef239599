"""Outputs made of parts."""

import csv
import datetime
import decimal
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.errors import refused
from toolkit.data import resumable_output
from toolkit.data.sources.row_formats import normal
from toolkit.errors import ConfigError

ROWS = [
    [{"text": "ä", "n": 1, "prediction": "a", "problem": None}, {"prediction": None, "problem": "bad"}],
    [{"text": "\ud800", "n": 1.5, "more": {"k": [1]}, "prediction": "b", "problem": None}],
]


def made(output):
    assert resumable_output.open_parts(output, {"input": "x"}) == resumable_output.Kept(differing=("input",))
    for number, rows in enumerate(ROWS):
        resumable_output.write_part(output, number, rows)
    resumable_output.finish(output, len(ROWS))
    assert [path.name for path in output.parent.iterdir()] == [output.name]
    return output


def test_json_lines_are_what_went_in(tmp_path):
    lines = made(tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [row for rows in ROWS for row in rows]
    assert "ä" in lines[0]


def test_csv_has_every_column_and_the_predictions_last(tmp_path):
    with made(tmp_path / "out.csv").open(encoding="utf-8", newline="") as stream:
        table = list(csv.reader(stream))
    assert table[0] == ["text", "n", "more", "prediction", "problem"]
    assert table[1:3] == [["ä", "1", "", "a", ""], ["", "", "", "", "bad"]]
    assert table[3][2] == '{"k": [1]}'


def test_csv_rows_end_at_line_feeds_only(tmp_path):
    output = tmp_path / "out.csv"
    texts = ["a\rb", "c\r", "d\r\ne", "f"]
    resumable_output.open_parts(output, None)
    resumable_output.write_part(output, 0, [{"text": text, "prediction": "a"} for text in texts])
    resumable_output.finish(output, 1)
    with output.open(encoding="utf-8", newline="") as stream:
        assert [row["text"] for row in csv.DictReader(stream)] == texts
    assert output.read_bytes().endswith(b"\nf,a\n")


def test_parquet_keeps_numbers(tmp_path):
    table = pq.read_table(made(tmp_path / "out.parquet"))
    assert table["n"].to_pylist() == [1.0, None, 1.5]
    assert table["more"].to_pylist() == [None, None, '{"k": [1]}']
    assert table["prediction"].to_pylist() == ["a", None, "b"]


def test_only_the_same_work_is_gone_on_with(tmp_path):
    output = tmp_path / "out.csv"
    resumable_output.open_parts(output, {"input": "x"})
    resumable_output.write_part(output, 0, ROWS[0])
    assert resumable_output.open_parts(output, {"input": "x"}) == resumable_output.Kept(1)
    assert resumable_output.read_part(output, 0) == ROWS[0]
    assert resumable_output.open_parts(output, {"input": "y"}) == resumable_output.Kept(0, 2, ("input",))
    resumable_output.write_part(output, 0, ROWS[0])
    assert resumable_output.open_parts(output, {"input": "y", "model": "m"}) == resumable_output.Kept(0, 2, ("model",))
    resumable_output.write_part(output, 0, ROWS[0])
    assert resumable_output.open_parts(output, None).thrown_away == 2
    (resumable_output.folder_of(output) / "identity.json").write_text("{", encoding="utf-8")
    assert resumable_output.open_parts(output, {"input": "x"}).parts == 0


def test_existing_or_unknown_output_is_rejected(tmp_path):
    (tmp_path / "out.csv").write_text("x", encoding="utf-8")
    with refused(ConfigError, "output.exists", "out.csv"):
        resumable_output.check_output(tmp_path / "out.csv")
    with refused(ConfigError, "output.unknown-format", ".csv"):
        resumable_output.check_output(tmp_path / "out.xls")


def test_parquet_keeps_lists_of_texts_and_writes_what_no_column_can_hold_as_text(tmp_path):
    output = tmp_path / "out.parquet"
    resumable_output.open_parts(output, {"input": "x"})
    rows = [
        {"words": ["ä", "\ud800"], "mixed": [1], "large": 2**70, "prediction": ["O", "O"], "problem": None},
        {"words": [], "mixed": None, "large": 1, "prediction": None, "problem": None},
    ]
    resumable_output.write_part(output, 0, rows)
    resumable_output.finish(output, 1)
    table = pq.read_table(output)
    assert table["words"].to_pylist() == [["ä", "?"], []]
    assert table["prediction"].to_pylist() == [["O", "O"], None]
    assert table["mixed"].to_pylist() == ["[1]", None]
    assert table["large"].to_pylist() == [str(2**70), "1"]
    assert table.schema.field("problem").type == pa.string()


def typed_rows(rows):
    return pa.table(
        {
            "text": pa.array(["a"] * rows, pa.large_string()),
            "day": pa.array([datetime.date(2020, 1, 2)] * rows),
            "at": pa.array([datetime.datetime(2020, 1, 2, 3)] * rows, pa.timestamp("us", "Europe/Berlin")),
            "took": pa.array([datetime.timedelta(seconds=1)] * rows, pa.duration("ms")),
            "price": pa.array([decimal.Decimal("1.10")] * rows, pa.decimal128(9, 2)),
            "small": pa.array([None, *range(99)] * (rows // 100), pa.int8()),
            "kind": pa.array(["x", "y"] * (rows // 2)).dictionary_encode(),
            "raw": pa.array([b"\xff"] * rows),
            "list": pa.array([[1, None]] * rows, pa.list_(pa.int16())),
            "nested": pa.array([{"a": [1], "b": {"c": 2.5}}] * rows),
            "o\u0308": pa.array([1] * rows, pa.int32()),  # in rows its name is in normal form
        }
    ).replace_schema_metadata({"mine": "kept"})


def write_typed(table, path):
    """Write a table as Parquet, as an Arrow file, or as the stream of batches that `datasets` writes."""
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=700)
    elif path.suffix == ".feather":
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table, 700)
    else:
        with pa.ipc.new_stream(path, table.schema) as writer:
            writer.write_table(table, 700)
    return path


def answered(output, source, table):
    resumable_output.open_parts(output, {"input": "x"})
    rows = [normal(row) for row in table.to_pylist()]
    lines = [{**row, "prediction": str(place), "problem": None} for place, row in enumerate(rows)]
    resumable_output.write_part(output, 0, lines[:2000])
    resumable_output.write_part(output, 1, lines[2000:])
    resumable_output.finish(output, 2, source=source)
    return pq.read_table(output) if output.suffix == ".parquet" else pa.ipc.open_file(output).read_all()


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".feather"])
@pytest.mark.parametrize("of_input", [".parquet", ".arrow", ".feather"])
def test_columns_of_a_typed_input_keep_types_values_and_metadata(tmp_path, of_input, suffix):
    given = typed_rows(2600)
    source = write_typed(given, tmp_path / f"in{of_input}")
    table = answered(tmp_path / f"out{suffix}", source, given)
    assert table.column_names == [*given.column_names, "prediction", "problem"]
    assert table.select(given.column_names).equals(given)
    assert table.schema.metadata == {b"mine": b"kept"}
    assert table["prediction"].to_pylist() == [str(place) for place in range(2600)]


def test_categories_that_differ_between_shards_become_one_list_of_values(tmp_path):
    folder = tmp_path / "saved"
    folder.mkdir()
    parts = [pa.array(letters).dictionary_encode() for letters in (["b", "a", None], ["c", "b"])]
    files = [write_typed(pa.table({"kind": part}), folder / f"{place}.arrow") for place, part in enumerate(parts)]
    state = {"_data_files": [{"filename": file.name} for file in files]}
    (folder / "state.json").write_text(json.dumps(state), encoding="utf-8")
    rows = pa.table({"kind": ["b", "a", None, "c", "b"]})
    for suffix in (".feather", ".parquet"):
        table = answered(tmp_path / f"out{suffix}", folder, rows)
        assert pa.types.is_dictionary(table["kind"].type)
        assert table["kind"].to_pylist() == rows["kind"].to_pylist()


def test_a_type_that_parquet_lacks_is_written_as_text(tmp_path):
    span = pa.array([pa.MonthDayNano([1, 2, 3])])
    source = write_typed(pa.table({"n": pa.array([1], pa.int8()), "span": span}), tmp_path / "in.feather")
    table = answered(tmp_path / "out.parquet", source, pa.table({"n": [1], "span": ["1 month"]}))
    assert table.schema.field("n").type == pa.int8()
    assert table["span"].to_pylist() == ["1 month"]
