"""Rows of a query: types, one SELECT and nothing else, the file unchanged."""

import sqlite3
from contextlib import closing

import pytest

from tests.support.errors import refused
from toolkit.data.formats import database_files, text_decoding
from toolkit.data.sources import row_stream
from toolkit.data.sources.local_files import read
from toolkit.errors import DataError


def database(path, *statements):
    with closing(sqlite3.connect(path)) as made:
        made.execute("CREATE TABLE reviews (id INTEGER, text TEXT, label TEXT)")
        rows = [(1, "good", "pos"), (2, "bad", "neg"), (3, None, "neg")]
        made.executemany("INSERT INTO reviews VALUES (?, ?, ?)", rows)
        for statement in statements:
            made.execute(statement)
        made.commit()
    return path


SECOND = "CREATE TABLE more (a)"
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
QUERY = "SELECT text, upper(label) AS label FROM reviews ORDER BY id DESC"


def test_only_table_is_read_with_its_types(tmp_path):
    path = database(tmp_path / "a.db")
    table = read(path).parts["all"]
    assert table["id"].to_pylist() == [1, 2, 3]
    assert table["text"].to_pylist() == ["good", "bad", None]
    assert table["_row"].to_pylist() == [1, 2, 3]
    assert [row.values["label"] for row in row_stream.rows(str(path))] == ["pos", "neg", "neg"]


def test_query_selects_rows_and_columns(tmp_path):
    path = database(tmp_path / "a.sqlite", SECOND)
    with refused(DataError, "source.ambiguous", "reviews", "more"):
        read(path)
    table = read(path, query=QUERY).parts["all"].drop_columns(["_file", "_row"])
    assert table.to_pylist()[1:] == [{"text": "bad", "label": "NEG"}, {"text": "good", "label": "POS"}]
    assert [row.values for row in row_stream.rows(str(path), query=QUERY)] == table.to_pylist()


def test_mixed_types_of_a_column_become_texts(tmp_path):
    values = ", ".join(f"({number})" for number in range(5000))
    path = database(tmp_path / "a.db", SECOND, f"INSERT INTO more VALUES {values}, ('x'), (1.5), (NULL)")
    column = read(path, query="SELECT a FROM more").parts["all"]["a"].to_pylist()
    assert column[:2] + column[-3:] == ["0", "1", "x", "1.5", None]
    with refused(DataError, "data.not-text", "`b`"):
        read(path, query="SELECT x'00' AS b")


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM reviews",
        "INSERT INTO reviews VALUES (4, 'x', 'y')",
        "UPDATE reviews SET text = 'x'",
        "DROP TABLE reviews",
        "CREATE TEMP TABLE t AS SELECT 1",
        "ATTACH 'other.db' AS other",
        "PRAGMA writable_schema = ON",
        "SELECT * FROM pragma_database_list",
        "SELECT load_extension('x')",
        "VACUUM INTO 'copy.db'",
        "SELECT 1; SELECT 2",
        "WITH t AS (SELECT 1) INSERT INTO reviews SELECT 1, 'a', 'b'",
        "SELECT nothing FROM reviews",
        "SELEC",
        "SELECT 1 \0",
    ],
)
def test_everything_but_one_select_is_refused(query, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    path = database(tmp_path / "a.db")
    before = path.read_bytes()
    with refused(DataError, "data.query-refused", "a.db"):
        read(path, query=query)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.db"]


def test_view_of_the_file_may_be_read(tmp_path):
    path = database(tmp_path / "a.db", "CREATE VIEW v AS SELECT text, label FROM reviews WHERE text NOT NULL")
    assert read(path, query="SELECT * FROM v").parts["all"].num_rows == 2


def test_endless_and_damaged_databases_are_refused(monkeypatch, tmp_path):
    path = database(tmp_path / "a.db")
    monkeypatch.setattr(text_decoding, "_HARMLESS", 2**20)
    monkeypatch.setattr(text_decoding, "_RATIO", 1)
    with refused(DataError, "data.too-large", "a.db"):
        read(path, query="WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n")
    monkeypatch.setattr(database_files, "SECONDS", 0.05)
    with refused(DataError, "data.query-too-slow", "a.db"):
        read(path, query=ENDLESS)
    (tmp_path / "b.db").write_bytes(b"no database" * 100)
    with refused(DataError, "data.damaged-file", "b.db"):
        read(tmp_path / "b.db")


def test_query_of_another_format_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("text,label\na,b\n")
    with refused(DataError, "data.query-refused", "a.csv"):
        read(tmp_path / "a.csv", query="SELECT 1")
    with refused(DataError, "data.query-refused", "a.csv"):
        list(row_stream.rows(str(tmp_path / "a.csv"), query="SELECT 1"))


def test_duckdb_reads_its_own_file_alone(monkeypatch, tmp_path):
    duckdb = pytest.importorskip("duckdb")
    path = tmp_path / "a.duckdb"
    with duckdb.connect(str(path)) as made:
        made.execute("CREATE TABLE reviews AS SELECT 'good' AS text, 1 AS label UNION ALL SELECT 'bad', 0")
    assert sorted(read(path).parts["all"]["text"].to_pylist()) == ["bad", "good"]
    query = "SELECT text FROM reviews WHERE label = 1"
    assert [row.values for row in row_stream.rows(str(path), query=query)] == [{"text": "good"}]
    (tmp_path / "secret.csv").write_text("a\n1\n")
    for other in (
        f"SELECT * FROM '{tmp_path}/secret.csv'",
        f"SELECT * FROM read_text('{tmp_path}/secret.csv')",
        "DELETE FROM reviews",
        "SELECT 1; SELECT 2",
        "SET enable_external_access = true",
        f"COPY reviews TO '{tmp_path}/copy.csv'",
        "SELEC",
    ):
        with refused(DataError, "data.query-refused", "a.duckdb"):
            read(path, query=other)
    with monkeypatch.context() as patched:
        patched.setattr(database_files, "SECONDS", 0.05)
        with refused(DataError, "data.query-too-slow", "a.duckdb"):
            read(path, query=ENDLESS)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.duckdb", "secret.csv"]
    (tmp_path / "b.duckdb").write_bytes(b"no database" * 1000)
    with refused(DataError, "data.damaged-file", "b.duckdb"):
        read(tmp_path / "b.duckdb")
