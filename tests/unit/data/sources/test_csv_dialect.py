"""How a CSV file is written, and outputs that are written the same."""

import codecs
from pathlib import Path

import pytest

from toolkit.commands.predict.input_rows import output_dialect
from toolkit.commands.predict.outcome import PredictedFile
from toolkit.data import resumable_output
from toolkit.data.sources import row_stream
from toolkit.data.sources.csv_dialect import Dialect

TEXT = "id;text{end}1;größer{end}2;a, b{end}"


def predicted(folder, source, output="out.csv", prediction="ja", **data):
    """Write rows of a file with a prediction, as the command does."""
    dialect = output_dialect(str(source), Path(output), {"data": data})
    rows = row_stream.rows(str(source), encoding=data.get("encoding"), delimiter=data.get("delimiter"))
    resumable_output.open_parts(folder / output, None)
    resumable_output.write_part(folder / output, 0, [{**row.values, "prediction": prediction} for row in rows])
    notes = resumable_output.finish(folder / output, 1, dialect=dialect)
    return PredictedFile(folder / output, 2, 0, None, dialect=dialect), notes


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("mark", "encoding", "given"),
    [
        (b"", "utf-8", None),
        (codecs.BOM_UTF8, "utf-8", None),
        (codecs.BOM_UTF8, "utf-8", "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le", None),
        (codecs.BOM_UTF16_BE, "utf-16-be", "utf-16"),
        (b"", "cp1252", "cp1252"),
    ],
)
def test_output_is_written_as_the_input(end, mark, encoding, given, tmp_path):
    source = tmp_path / "in.csv"
    source.write_bytes(mark + TEXT.format(end=end).encode(encoding))
    file, notes = predicted(tmp_path, source, encoding=given)
    expected = TEXT.format(end=end).replace("text", "text;prediction").replace("größer", "größer;ja")
    expected = expected.replace("a, b", "a, b;ja")
    assert file.path.read_bytes() == mark + expected.encode(encoding)
    assert notes == []
    assert file.table["text"].tolist() == ["größer", "a, b"]
    assert file.table.columns.tolist() == ["id", "text", "prediction"]


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
def test_line_that_names_the_separator_is_kept(mark, tmp_path):
    source = tmp_path / "in.csv"
    source.write_bytes(mark + b"sep=|\r\nid|text\r\n1|a\r\n")
    file, _ = predicted(tmp_path, source)
    assert file.path.read_bytes() == mark + b"sep=|\r\nid|text|prediction\r\n1|a|ja\r\n"
    assert file.table["prediction"].tolist() == ["ja"]
    assert output_dialect(str(source), Path("out.tsv"), {}) == Dialect("utf-8", mark != b"", "\t", "\r\n")


@pytest.mark.parametrize(
    ("source", "output", "delimiter"),
    [("in.tsv", "out.csv", ","), ("in.csv", "out.tsv", "\t"), ("in.csv", "out.csv", "|"), ("in.tab", "out.tab", "\t")],
)
def test_name_of_the_output_decides_between_tabs_and_others(source, output, delimiter, tmp_path):
    separator = "|" if source == "in.csv" else "\t"
    (tmp_path / source).write_text(f"id{separator}text\n1{separator}a\n")
    assert output_dialect(str(tmp_path / source), Path(output), {}).delimiter == delimiter


def test_characters_that_the_encoding_lacks_make_the_output_utf8(tmp_path):
    source = tmp_path / "in.csv"
    source.write_bytes(TEXT.format(end="\n").encode("cp1252"))
    file, notes = predicted(tmp_path, source, prediction="да", encoding="cp1252")
    assert len(notes) == 1
    assert "cp1252" in notes[0]
    assert file.path.read_bytes().startswith(codecs.BOM_UTF8)
    assert file.table["prediction"].tolist() == ["да", "да"]


def test_other_inputs_have_the_usual_dialect(tmp_path):
    (tmp_path / "in.jsonl").write_text('{"text": "a"}\n')
    assert output_dialect(str(tmp_path / "in.jsonl"), Path("out.csv"), {}) == Dialect()
    assert output_dialect("-", Path("out.csv"), {}) == Dialect()
