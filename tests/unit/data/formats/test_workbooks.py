"""Excel workbooks: values as texts, headers, merged cells, sheets, hostile files, and workbooks that are written."""

import datetime
import re
import subprocess
import sys
import zipfile

import pytest

from tests.support.errors import refused
from toolkit.config.settings import DataConfig
from toolkit.data import resumable_output
from toolkit.data.formats.spreadsheets import workbook_format, workbook_reader, workbook_writer
from toolkit.data.load import load_table
from toolkit.data.sources import row_stream
from toolkit.data.sources.local_files import read
from toolkit.data.streaming import units
from toolkit.errors import ConfigError, DataError

openpyxl = pytest.importorskip("openpyxl")

ROWS = [["text", "label"], ["good film", "pos"], ["bad film", "neg"]]


def workbook(path, *sheets, merged=(), names=()):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for number, rows in enumerate(sheets):
        sheet = book.create_sheet(names[number] if names else f"S{number}")
        for row in rows:
            sheet.append(row)
        for cells in merged:
            sheet.merge_cells(cells)
    book.save(path)
    return path


def changed(path, member, change):
    """Rewrite one file in a workbook."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    assert change(files[member]) != files[member]
    files[member] = change(files[member])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def texts(path, **options):
    table = read(path, **options).parts["all"]
    return table.drop_columns(["_file", "_row"]).to_pylist()


def test_values_are_texts_as_a_spreadsheet_shows_them(tmp_path):
    day, moment = datetime.date(2024, 5, 1), datetime.datetime(2024, 5, 1, 12, 30)
    cells = ["007", 7, 4.5, 0.1 + 0.2, True, day, moment, "#N/A", " spaced ", "two\nlines"]
    path = workbook(tmp_path / "a.xlsx", [[f"c{place}" for place in range(len(cells))], cells])
    shown = ["007", "7", "4.5", "0.3", "TRUE", "2024-05-01", "2024-05-01 12:30:00", "", " spaced ", "two\nlines"]
    assert list(texts(path)[0].values()) == shown
    streamed = next(row_stream.rows(str(path))).values
    assert [streamed["c1"], streamed["c2"], streamed["c5"]] == [7, 4.5, "2024-05-01"]


def test_empty_rows_are_skipped_and_rows_keep_their_numbers(tmp_path):
    path = workbook(tmp_path / "a.xlsx", [[], *ROWS[:2], [], ROWS[2], [None, None], []])
    table = read(path).parts["all"]
    assert table["_row"].to_pylist() == [3, 5]
    assert [row.values["text"] for row in row_stream.rows(str(path))] == ["good film", "", "bad film"]


def test_title_above_the_header_is_passed_over(tmp_path):
    path = workbook(tmp_path / "a.xlsx", [["Survey of May"], [], *ROWS], merged=["A1:B1"])
    assert texts(path) == [dict(zip(ROWS[0], row, strict=True)) for row in ROWS[1:]]


def test_merged_cell_has_its_value_in_each_row(tmp_path):
    rows = [["label", "text"], ["pos", "a"], [None, "b"], ["neg", "c"], [None, "d"], [None, "e"]]
    path = workbook(tmp_path / "a.xlsx", rows, merged=["A2:A3", "A4:A5"])
    assert [row["label"] for row in texts(path)] == ["pos", "pos", "neg", "neg", ""]
    assert [row.values["label"] for row in row_stream.rows(str(path))] == ["pos", "pos", "neg", "neg", ""]
    assert any("2 merged cells" in note for note in read(path).notes)


def test_column_without_name_is_kept_only_with_values(tmp_path):
    path = workbook(tmp_path / "a.xlsx", [["text", None, None, "label"], ["a", None, "x", "pos"], ["b", None, "", "n"]])
    assert [*texts(path)[0]] == ["text", "column_3", "label"]
    assert [*next(row_stream.rows(str(path))).values] == ["text", "column_3", "label"]


def test_names_are_given_for_a_sheet_without_header(tmp_path):
    path = workbook(tmp_path / "a.xlsx", ROWS[1:])
    assert texts(path, names=["text", "label"])[0] == {"text": "good film", "label": "pos"}
    assert [row.values["label"] for row in row_stream.rows(str(path), names=["text", "label"])] == ["pos", "neg"]


def test_sheet_is_chosen_by_name(tmp_path):
    path = workbook(tmp_path / "a.xlsx", ROWS, [["text", "label"], ["third", "pos"]], names=("One", "Two"))
    assert texts(path)[0]["text"] == "good film"
    assert any("2 sheets" in note for note in read(path).notes)
    assert texts(path, sheet="two") == [{"text": "third", "label": "pos"}]
    assert not read(path, sheet="two").notes
    assert [row.values["text"] for row in row_stream.rows(str(path), sheet="Two")] == ["third"]
    with refused(DataError, "data.sheet-missing", "One", "Two"):
        read(path, sheet="Three")


def test_formulas_are_never_computed(tmp_path):
    path = workbook(tmp_path / "a.xlsx", [["text", "label"], ["a", '=CONCAT("p","os")'], ["b", "=1+1"]])
    assert [row["label"] for row in texts(path)] == ["", ""]
    (note,) = read(path).notes
    assert "2 formulas" in note
    assert "column B" in note
    assert row_stream.remarks(str(path)) == [note]  # as `predict` says it
    sheet = "xl/worksheets/sheet1.xml"
    changed(path, sheet, lambda xml: re.sub(rb"(<f>1\+1</f>)<v ?/>|(<f>1\+1</f>)<v></v>", rb"<f>1+1</f><v>5</v>", xml))
    assert [row["label"] for row in texts(path)] == ["", "5"]


def test_column_of_formulas_without_values_is_refused_where_it_is_needed(sentiment, tmp_path):
    rows = [["text", "length", "label"], ["a", "=LEN(A2)", "pos"], ["b", "=LEN(A3)", "neg"]]
    path = workbook(tmp_path / "a.xlsx", rows)
    assert load_table(sentiment, DataConfig(source=str(path))).parts["all"].num_rows == 2
    with refused(DataError, "data.formulas-without-values", "a.xlsx", "`length`", "2 formulas"):
        load_table(sentiment, DataConfig(source=str(path), columns={"label": "length"}))


def test_letters_of_columns():
    assert [workbook_reader._letters(n) for n in (1, 26, 27, 52, 703)] == ["A", "Z", "AA", "AZ", "AAA"]


def test_sheets_named_like_parts_are_the_parts(tmp_path):
    names = ("Readme", "Train", "dev", "Test set", "train 2")
    sheets = [[["x"]], ROWS, [ROWS[0], ["c", "pos"]], [ROWS[0], ["d", "neg"]], [ROWS[0], ["e", "neg"]]]
    path = workbook(tmp_path / "a.xlsx", *sheets, names=names)
    tables = read(path)
    assert {part: rows["text"].to_pylist() for part, rows in tables.parts.items()} == {
        "train": ["good film", "bad film", "e"],
        "validation": ["c"],
        "test": ["d"],
    }
    assert tables.parts["train"]["_file"].to_pylist()[1:] == ["a.xlsx, sheet Train", "a.xlsx, sheet train 2"]
    assert any("`Readme`" in note for note in tables.notes)
    assert texts(path, sheet="dev") == [{"text": "c", "label": "pos"}]
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.write(path, "inner/a.xlsx")
    assert [*read(tmp_path / "b.zip").parts] == [*tables.parts]
    with refused(ConfigError, "data.streaming-parts", "test", "validation"):
        units.read(units.Unit(path), DataConfig(source=str(path)))


def test_sheet_of_another_name_stays_the_first(tmp_path):
    for names in (("Data", "test"), ("trainer", "Validity"), ("Devices", "Values")):
        path = workbook(tmp_path / "a.xlsx", ROWS, [["x"], ["y"]], names=names)
        assert len(texts(path)) == 2


def test_parts_of_sheets_have_the_same_columns(tmp_path):
    path = workbook(tmp_path / "a.xlsx", ROWS, [["text"], ["c"]], names=("train 1", "train 2"))
    with refused(DataError, "data.column-missing", "sheet train 2", "`label`"):
        read(path)
    empty = workbook(tmp_path / "b.xlsx", ROWS, [ROWS[0]], names=("train", "test"))
    with refused(DataError, "data.no-rows", "b.xlsx, sheet test"):
        read(empty)


def test_stated_extent_is_not_relied_on(tmp_path):
    sheet = "xl/worksheets/sheet1.xml"
    for stated in (b"A1:XFD1048576", b"A1", b"A1:A1"):
        path = workbook(tmp_path / "a.xlsx", ROWS)
        changed(path, sheet, lambda xml, stated=stated: xml.replace(b'ref="A1:B3"', b'ref="' + stated + b'"'))
        assert len(texts(path)) == 2


def test_hostile_workbooks_are_refused(tmp_path):
    sheet = "xl/worksheets/sheet1.xml"
    far = changed(workbook(tmp_path / "far.xlsx", ROWS), sheet, lambda xml: xml.replace(b'"B3"', b'"XFD1048576"'))
    with refused(DataError, "data.too-large", "far.xlsx"):
        read(far)
    with refused(DataError, "data.too-large", "far.xlsx"):
        list(row_stream.rows(str(far)))
    beyond = changed(workbook(tmp_path / "beyond.xlsx", ROWS), sheet, lambda xml: xml.replace(b'"B3"', b'"ZZZZZZZ3"'))
    with refused(DataError, "data.damaged-file", "beyond.xlsx"):
        read(beyond)
    cut = tmp_path / "cut.xlsx"
    cut.write_bytes(workbook(tmp_path / "whole.xlsx", ROWS).read_bytes()[:2000])
    with refused(DataError, "data.damaged-file", "cut.xlsx"):
        read(cut)
    broken = changed(workbook(tmp_path / "broken.xlsx", ROWS), sheet, lambda xml: xml[: len(xml) // 2])
    with refused(DataError, "data.damaged-file", "broken.xlsx"):
        read(broken)


def test_zip_bomb_is_refused_before_it_is_parsed(monkeypatch, tmp_path):
    monkeypatch.setattr(workbook_reader, "_HARMLESS", 2**20)
    path = workbook(tmp_path / "bomb.xlsx", ROWS)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("xl/large.xml", "w") as member:
        member.write(bytes(2**22))
    assert path.stat().st_size < 2**15
    with refused(DataError, "data.too-large", "bomb.xlsx"):
        read(path)


def test_entities_do_not_multiply(tmp_path):
    nested = b"".join(
        b'<!ENTITY e%d "%s">' % (level, b"&e%d;" % (level - 1) * 10 if level else b"x" * 100) for level in range(9)
    )

    def declared(xml):
        return b"<!DOCTYPE worksheet [" + nested + b"]>" + xml.replace(b"good film", b"&e8;")

    path = changed(workbook(tmp_path / "a.xlsx", ROWS), "xl/worksheets/sheet1.xml", declared)
    with refused(DataError, "data.damaged-file", "a.xlsx"):
        read(path)


def test_encrypted_and_other_spreadsheets_are_refused(tmp_path):
    encrypted = tmp_path / "a.xlsx"
    encrypted.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    with refused(DataError, "data.encrypted", "password"):
        read(encrypted)
    for name in ("a.xls", "a.ods", "a.xlsb"):
        (tmp_path / name).write_bytes(encrypted.read_bytes())
        with refused(DataError, "data.unknown-format", ".xlsx"):
            read(tmp_path / name)
        with refused(DataError, "data.unknown-format", ".xlsx"):
            row_stream.check_input(str(tmp_path / name))


def test_folder_of_workbooks_is_read_without_the_locks_of_open_ones(tmp_path):
    workbook(tmp_path / "train.xlsx", ROWS)
    workbook(tmp_path / "test.xlsx", ROWS)
    (tmp_path / "~$train.xlsx").write_bytes(b"lock")
    assert {part: table.num_rows for part, table in read(tmp_path).parts.items()} == {"train": 2, "test": 2}


def test_missing_package_is_named(monkeypatch, tmp_path):
    path = workbook(tmp_path / "a.xlsx", ROWS)
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with refused(ConfigError, "machine.package-missing", "finetune-toolkit[excel]"):
        read(path)
    with refused(ConfigError, "machine.package-missing", "finetune-toolkit[excel]"):
        resumable_output.check_output(tmp_path / "b.xlsx")


def test_reading_tables_does_not_import_the_package():
    code = "import sys, toolkit.data.sources.row_stream; sys.exit('openpyxl' in sys.modules)"
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=False).returncode == 0


WRITTEN = ["=1+1", "+4", "@SUM(A1)", "#N/A", "007", "a\x01b\r\nc", "_x000D_", "x" * 40_000, "\ud800", "äöü 🎬", ""]


@pytest.fixture
def output(tmp_path):
    path = tmp_path / "out.xlsx"
    rows = [{"text": text, "n": number, "prediction": "=cmd", "score": 0.25} for number, text in enumerate(WRITTEN)]
    rows.append({"text": None, "n": 2**60, "prediction": None, "score": None, "problem": "unreadable"})
    resumable_output.open_parts(path, None)
    resumable_output.write_part(path, 0, rows)
    notes = resumable_output.finish(path, 1)
    assert len(notes) == 1
    assert f"{workbook_format.MOST_CHARACTERS:,}" in notes[0]
    return path


def test_written_texts_stay_texts(output):
    sheet = openpyxl.load_workbook(output).active
    assert [cell.value for cell in sheet[1]] == ["text", "n", "prediction", "score", "problem"]
    cells = [cell for row in sheet.iter_rows(min_row=2) for cell in row]
    assert not [cell for cell in cells if cell.data_type in "fe"]
    assert [cell.data_type for cell in sheet[2]][:4] == ["s", "n", "s", "n"]
    assert sheet.max_row == len(WRITTEN) + 2


def test_written_workbook_reads_as_it_was(output):
    read_back = list(row_stream.rows(str(output)))
    expected = [text[: workbook_format.MOST_CHARACTERS].replace("\ud800", "�") for text in WRITTEN]
    assert [row.values["text"] for row in read_back] == [*expected, ""]
    assert read_back[-1].values == {"text": "", "n": str(2**60), "prediction": "", "score": "", "problem": "unreadable"}
    assert read_back[1].values["score"] == 0.25


def test_too_many_rows_for_a_sheet_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(workbook_writer, "MOST_ROWS", 3)
    workbook_writer.write(tmp_path / "a.xlsx", ["a"], [["x"], ["y"]])
    with refused(DataError, "output.too-many-rows", ".csv"):
        workbook_writer.write(tmp_path / "b.xlsx", ["a"], [["x"], ["y"], ["z"]])
