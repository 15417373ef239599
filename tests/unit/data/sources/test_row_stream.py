"""Rows one by one: values, invalid rows, and continued reading."""

import gzip
import itertools
import sys
import threading
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.errors import refused
from toolkit.data.formats import conll, csv_files, text_decoding
from toolkit.data.sources import row_stream
from toolkit.data.sources.local_files import read as load
from toolkit.data.sources.row_formats import Row
from toolkit.data.sources.row_stream import check_input, rows
from toolkit.errors import DataError, SourceError


def read(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return [(row.values, row.problem) for row in rows(str(path))]


def test_lines_of_text_stay_one_to_one(tmp_path):
    content = read(tmp_path / "a.txt", "\ufeffone\r\n\ntwo")
    assert content == [({"text": "one"}, None), ({"text": ""}, None), ({"text": "two"}, None)]


LINES = [
    "plain",
    "re\rturn",
    "line\u2028separator",
    "next\x85line",
    "form\x0cfeed",
    "file\x1csign",
    "last " * 100 + ".",
]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends_at_line_feed_only(end, monkeypatch, tmp_path):
    text = "".join(line + end for line in LINES)
    assert [values["text"] for values, _ in read(tmp_path / "a.txt", text)] == LINES
    with (tmp_path / "a.txt").open() as given:
        monkeypatch.setattr(sys, "stdin", given)
        assert [row.values["text"] for row in rows("-")] == LINES
    for name, header in (("one.csv", ""), ("two.csv", "id,")):
        table = f"{header}text{end}" + "".join(f"{'7,' if header else ''}{line}{end}" for line in LINES)
        assert [(values["text"], problem) for values, problem in read(tmp_path / name, table)] == [
            (line, None) for line in LINES
        ]
        assert load(tmp_path / name).parts["all"]["text"].to_pylist() == LINES
        assert load(tmp_path / name).parts["all"]["_row"].to_pylist() == list(range(2, len(LINES) + 2))


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        ('id,text\n7,"a, b"\n', {"known": ["text"]}, [{"id": "7", "text": "a, b"}]),
        ("\ufeffid;text\r\n7;a\r\n", {"known": ["text"]}, [{"id": "7", "text": "a"}]),
        ("id,text\n7,a\n", {"known": ["review"]}, [{"text": "id,text"}, {"text": "7,a"}]),
        ("text\n7,a\n", {"known": ["text"]}, [{"text": "text"}, {"text": "7,a"}]),
        ("id|review\n7|a\n", {"delimiter": "|"}, [{"id": "7", "review": "a"}]),
        ("7,a\n", {"names": ["id", "text"]}, [{"id": "7", "text": "a"}]),
        ('{"text": "a"}\n\n{"text": "b"}\n', {}, [{"text": "a"}, {"text": "b"}]),
        ("{a} film\n", {}, [{"text": "{a} film"}]),
        ("", {"known": ["text"]}, []),
    ],
)
def test_the_first_line_of_standard_input_tells_its_format(content, options, expected, monkeypatch, tmp_path):
    (tmp_path / "in").write_text(content, encoding="utf-8", newline="")
    with (tmp_path / "in").open(encoding="utf-8") as given:
        monkeypatch.setattr(sys, "stdin", given)
        assert [row.values for row in rows("-", **options)] == expected


def test_lines_of_a_file_without_line_feeds_end_in_carriage_returns(tmp_path):
    assert [values["text"] for values, _ in read(tmp_path / "a.txt", "one\rtwo\r")] == ["one", "two"]
    assert [values for values, _ in read(tmp_path / "a.csv", "id,text\r1,one\r")] == [{"id": "1", "text": "one"}]
    assert load(tmp_path / "a.csv").parts["all"]["text"].to_pylist() == ["one"]


def test_standard_input(monkeypatch, tmp_path):
    (tmp_path / "given").write_bytes(b"one\ntwo\xff\n")
    with (tmp_path / "given").open() as given:
        monkeypatch.setattr(sys, "stdin", given)
        results = [(row.values, row.problem) for row in rows("-")]
    assert results == read(tmp_path / "same.txt", b"one\ntwo\xff\n")
    assert results[0] == ({"text": "one"}, None)
    assert results[1][0] == {"text": "two\ufffd"}
    assert results[1][1].startswith("the byte 0xff does not decode: give another encoding with --set data.encoding=")


def test_a_mark_at_the_beginning_of_standard_input_is_no_text(monkeypatch, tmp_path):
    (tmp_path / "given").write_bytes(b"\xef\xbb\xbfone\r\n\r\ntwo")
    with (tmp_path / "given").open() as given:
        monkeypatch.setattr(sys, "stdin", given)
        assert [row.values["text"] for row in rows("-")] == ["one", "", "two"]


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("a.csv", (b"id,text\n1,good\n", b"2,b\xe4d\n", b"3,good\n")),
        ("a.jsonl", (b'{"text": "good"}\n', b'{"text": "b\xe4d"}\n', b'{"text": "good"}\n')),
    ],
)
def test_bytes_that_do_not_decode_cost_their_row_alone(name, lines, tmp_path):
    content = read(tmp_path / name, b"".join(lines))
    assert ["0xe4" in (problem or "") for _, problem in content] == [False, True, False]
    assert "b\ufffdd" in "".join(content[1][0].values())
    (tmp_path / name).write_bytes(b"".join(lines))
    named = list(rows(str(tmp_path / name), encoding="latin-1"))
    assert [row.problem for row in named] == [None] * 3
    assert named[1].values["text"] == "b\xe4d"


def test_a_file_of_no_text_is_refused_whatever_its_name(tmp_path):
    with refused(DataError, "data.not-text", "a.txt"):
        read(tmp_path / "a.txt", b"\x89PNG\r\n\x1a\n")


def test_csv_with_rows_of_another_width(tmp_path):
    content = read(tmp_path / "a.csv", 'id;text\n1;"a; b\nc"\n2\n\n3;d;e\n')
    assert content[0] == ({"id": "1", "text": "a; b\nc"}, None)
    assert content[1] == ({"id": "2", "text": None}, "line 4: 1 field where the header has 2")
    assert content[2] == ({"id": "3", "text": "d;e"}, "line 6: 3 fields where the header has 2")
    assert len(content) == 3


@pytest.mark.parametrize(("lines", "end"), [('2,"open\n3,bad\n', 4), ('2,"open\n3,bad\n4,"third"\n5,x\n', 5)])
def test_quotes_that_do_not_match_are_a_problem_of_the_row_that_they_make(lines, end, tmp_path):
    content = read(tmp_path / "a.csv", f"id,text\n1,good\n{lines}")
    assert content[0] == ({"id": "1", "text": "good"}, None)
    assert content[1][1] == f"line 3: its quotes do not match, so the row ends at line {end}"
    assert [problem for _, problem in content[2:]] == [None] * (len(content) - 2)
    assert read(tmp_path / "b.csv", 'text\n"two ""\nlines"')[0] == ({"text": 'two "\nlines'}, None)


def test_json_lines_with_a_broken_one(tmp_path):
    content = read(tmp_path / "a.jsonl.gz", gzip.compress(b'{"text": "one", "n": [1]}\n\n{"text": \n[1]\n'))
    assert content[0] == ({"text": "one", "n": [1]}, None)
    assert content[1] == ({"unread": '{"text":'}, "line 3: not JSON: Expecting value at character 9")
    assert content[2] == ({"unread": "[1]"}, "line 4: not an object with keys")


def test_parquet(tmp_path):
    pq.write_table(pa.table({"text": ["one", None]}), tmp_path / "a.parquet")
    assert [row.values for row in rows(str(tmp_path / "a.parquet"))] == [{"text": "one"}, {"text": None}]
    (tmp_path / "b.parquet").write_bytes(b"PAR1 no")
    with refused(DataError, "data.damaged-file", "b.parquet", "Parquet"):
        list(rows(str(tmp_path / "b.parquet")))


def test_unreadable_inputs_are_rejected_early(tmp_path):
    with refused(SourceError, "source.file-missing", "none.csv"):
        check_input(str(tmp_path / "none.csv"))
    (tmp_path / "a.xls").write_bytes(b"")
    with refused(DataError, "data.unknown-format", "a.xls", "CSV"):
        check_input(str(tmp_path / "a.xls"))
    check_input("-")


def test_rows_are_handed_over_as_they_arrive():
    more = threading.Event()

    def slow():
        yield from (Row({"text": str(n)}) for n in range(3))
        more.wait(60)
        yield Row({"text": "late"})

    chunks = row_stream.as_they_come(slow(), 2)
    seen = []
    while len(seen) < 3:  # all that are there, without the one that is not
        taken = next(chunks)
        assert 1 <= len(taken) <= 2
        seen += [row.values["text"] for row in taken]
    assert seen == ["0", "1", "2"]
    more.set()
    assert next(chunks) == [Row({"text": "late"})]
    assert list(chunks) == []


def test_an_error_of_the_source_is_raised_behind_the_rows_before_it():
    def broken():
        yield Row({"text": "good"})
        raise DataError("cut short", "Write it again.")

    chunks = row_stream.as_they_come(broken(), 10)
    seen = []
    with pytest.raises(DataError, match="cut short"):
        for taken in chunks:
            seen += taken
    assert seen == [Row({"text": "good"})]


def test_lines_that_are_too_long_cost_their_row_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(text_decoding, "MAX_LINE", 100)
    long = "x" * 1000
    content = read(tmp_path / "a.txt", f"one\n{long}\r\ntwo\n")
    assert [(values["text"], bool(problem)) for values, problem in content] == [
        ("one", False),
        ("x" * 101, True),
        ("two", False),
    ]
    content = read(tmp_path / "a.jsonl", f'{{"text": "one"}}\n{{"text": "{long}"}}\n{{"text": "two"}}\n')
    assert [bool(problem) for _, problem in content] == [False, True, False]
    assert content[2][0] == {"text": "two"}
    content = read(tmp_path / "a.csv", f"text,n\none,1\n{long},2\ntwo,3\n")
    assert [bool(problem) for _, problem in content] == [False, True, False]
    assert content[2][0] == {"text": "two", "n": "3"}


def test_a_field_that_is_too_long_is_a_problem_of_its_row(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_files, "MAX_FIELD", 50)
    content = read(tmp_path / "a.csv", "text,n\none,1\n" + "x" * 60 + ",2\ntwo,3\n")
    assert [bool(problem) for _, problem in content] == [False, True, False]
    assert content[2] == ({"text": "two", "n": "3"}, None)


def test_chunks_hold_so_many_bytes_at_most(monkeypatch):
    monkeypatch.setattr(row_stream, "_CHUNK_BYTES", 1000)
    given = [Row({"text": "x" * size}) for size in (10, 2000, 10, 10, 10, 10)]
    chunks = list(row_stream.in_chunks(iter(given), 3))
    assert [len(chunk) for chunk in chunks] == [2, 3, 1]
    assert list(itertools.chain(*chunks)) == given


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tab", "text\tlabel\none\tx\ntwo\t\n"),
        ("a.csv", "sep=;\ntext;label\none;x\ntwo;\n"),
        ("a.txt", "text\tlabel\none\tx\ntwo\t\n"),
        ("a.json", '[{"text": "one", "label": "x"}, {"text": "two", "label": ""}]'),
        ("a.json", '{"text": "one", "label": "x"}\n{"text": "two", "label": ""}'),
    ],
)
def test_formats(tmp_path, name, content):
    assert read(tmp_path / name, content) == [
        ({"text": "one", "label": "x"}, None),
        ({"text": "two", "label": ""}, None),
    ]
    check_input(str(tmp_path / name))


def test_names_of_columns_that_are_given(tmp_path):
    (tmp_path / "a.csv").write_text("one,1\ntwo,2\n")
    results = [row.values for row in rows(str(tmp_path / "a.csv"), names=["text", "n"])]
    assert results == [{"text": "one", "n": "1"}, {"text": "two", "n": "2"}]


def test_what_is_missing_and_what_classes_are_called(tmp_path):
    assert read(tmp_path / "a.jsonl", '{"text": NaN, "cafe\u0301": 1}') == [({"text": None, "caf\u00e9": 1}, None)]
    table = pa.table({"score": [float("nan"), 1.5], "kind": pa.array(["a", "b"]).dictionary_encode()})
    pq.write_table(table, tmp_path / "a.parquet")
    results = [row.values for row in rows(str(tmp_path / "a.parquet"))]
    assert results == [{"score": None, "kind": "a"}, {"score": 1.5, "kind": "b"}]


def test_an_archive_and_a_saved_data_set(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("deep/a.csv", "text\none\n")
    assert [row.values for row in rows(str(tmp_path / "a.zip"))] == [{"text": "one"}]
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        for name in ("cat/1.png", "dog/2.png", "__MACOSX/cat/._1.png"):
            archive.writestr(name, "x")
    assert [row.values for row in rows(str(tmp_path / "b.zip"))] == [{"file": "cat/1.png"}, {"file": "dog/2.png"}]
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved/state.json").write_text('{"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}')
    table = pa.table({"text": ["one", "two"]})
    with pa.ipc.new_stream(tmp_path / "saved/data-00000-of-00001.arrow", table.schema) as writer:
        writer.write_table(table)
    assert [row.values["text"] for row in rows(str(tmp_path / "saved"))] == ["one", "two"]


def test_sentences_of_labelled_and_of_bare_words(tmp_path):
    labelled = "-DOCSTART- O\n\nPeter\tB-PER\nslept\tO\n\nAnna\tB-PER\n"
    sentences = [
        ({"words": ["Peter", "slept"], "labels": ["B-PER", "O"]}, None),
        ({"words": ["Anna"], "labels": ["B-PER"]}, None),
    ]
    assert read(tmp_path / "a.conll", labelled) == sentences
    assert read(tmp_path / "a.txt", labelled) == sentences
    check_input(str(tmp_path / "a.conll"))
    assert read(tmp_path / "b.conll", "Peter\nslept\n\nAnna\n") == [
        ({"words": ["Peter", "slept"]}, None),
        ({"words": ["Anna"]}, None),
    ]
    assert read(tmp_path / "a.conll", "Peter B-PER\nslept\n") == [({"words": ["Peter", "slept"]}, None)]
    ((values, problem),) = read(tmp_path / "a.conll", b"Mal\xe9 B-PER\n")
    assert values["words"] == ["Mal\ufffd"]
    assert "0xe9" in problem


def test_sentences_without_an_end_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(conll, "MAX_SENTENCE", 20)
    with refused(DataError, "data.too-long", "a.conll"):
        read(tmp_path / "a.conll", "Peter O\n" * 9)
