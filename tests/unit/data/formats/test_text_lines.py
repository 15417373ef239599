"""Text with one example a line, read whole and row by row alike."""

import pytest

from tests.support.errors import refused
from toolkit.data.sources import row_stream
from toolkit.data.sources.local_files import read
from toolkit.errors import DataError


def both(path, content, **options):
    """Return the rows of a text and the notes, read whole; what is read row by row must be the same."""
    path.write_text(content, encoding="utf-8")
    tables = read(path, **options)
    (table,), notes = tables.parts.values(), tables.notes
    result = table.drop_columns(["_file", "_row"]).to_pylist()
    streamed = [row.values for row in row_stream.rows(str(path), **options)]
    joined = [
        {name: value if isinstance(value, str) else " ".join(value) for name, value in row.items()} for row in result
    ]
    assert [row for row in streamed if row["text"]] == joined
    return result, " ".join(notes)


def test_texts_alone(tmp_path):
    assert both(tmp_path / "a.txt", "\ufeffone\n\ntwo\twith a tab\n") == (
        [{"text": "one"}, {"text": "two\twith a tab"}],
        "",
    )


def test_labels_of_fasttext(tmp_path):
    result, _ = both(tmp_path / "a.txt", "__label__good  a film\n__label__bad another __label__x\n")
    assert result == [{"text": "a film", "label": "good"}, {"text": "another __label__x", "label": "bad"}]
    result, _ = both(tmp_path / "a.txt", "__label__good __label__long a film\n__label__bad another\n")
    assert [row["label"] for row in result] == [["good", "long"], ["bad"]]
    path = tmp_path / "b.txt"
    path.write_text("__label__good a film\n" * 1000 + "no label\n", encoding="utf-8")
    with refused(DataError, "label.missing", "b.txt:1001"):
        read(path)
    assert "line 1001" in (list(row_stream.rows(str(path)))[-1].problem or "")


@pytest.mark.parametrize("order", [("label", "text"), ("text", "label")])
def test_columns_with_tabs(tmp_path, order):
    rows = [{"label": "ab"[n % 2], "text": f'He said "no" {n}'} for n in range(10)]
    lines = "".join("\t".join(row[name] for name in order) + "\n" for row in rows)
    result, notes = both(tmp_path / "a.txt", lines)
    assert result == rows
    assert ", ".join(order) in notes
    result, notes = both(tmp_path / "a.txt", "\t".join(order) + "\n" + lines)
    assert (result, notes) == (rows, "")
    assert both(tmp_path / "a.txt", lines, names=[*order])[0] == rows


def test_fields_that_a_spreadsheet_quotes(tmp_path):
    result, _ = both(tmp_path / "a.txt", 'text\tscore\n"one, ""two"""\t3,5\n"open\t4,5\n')
    assert [row["text"] for row in result] == ['one, "two"', '"open']


def test_unnamed_columns_get_default_names(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("1\ta\tx\n2\tb\ty\n3\ta\tx\n", encoding="utf-8")
    (table,) = read(path).parts.values()
    assert table.column_names[:3] == ["column_1", "column_2", "column_3"]
    assert table.num_rows == 3


def test_another_delimiter_is_named(tmp_path):
    rows, _ = both(tmp_path / "a.txt", "a film;joy\nanother;joy\nthird;fear\nlast;fear\n", delimiter=";")
    assert rows[2] == {"text": "third", "label": "fear"}
