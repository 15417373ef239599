"""The cache returns what was stored, only for the same inputs and values."""

import os
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from toolkit.data.batching import cache
from toolkit.data.batching.batch import Ragged, join


class Inner(BaseModel):
    length: int = 3
    other: int = 0


class Config(BaseModel):
    data: Inner = Inner()
    name: str = "x"


def ragged(rows) -> Ragged:
    flat = np.array([v for row in rows for v in row], np.int32)
    return Ragged(flat, np.cumsum([0, *map(len, rows)]).astype(np.int64))


class Encoder:
    """Yields two chunks of rows, and counts its calls."""

    def __init__(self, look=lambda config: config.data.length) -> None:
        self.calls = 0
        self.look = look

    def __call__(self, config):
        self.calls += 1
        length = self.look(config)
        yield {"ids": ragged([range(length), []]), "labels": np.array([1, 2]), "truncated": np.array([True, False])}
        yield {"ids": ragged([[7]]), "labels": np.array([3]), "truncated": np.array([True])}


def same(one, other) -> bool:
    assert one.columns.keys() == other.columns.keys()
    pairs = [(one.lengths, other.lengths)]
    for name, column in one.columns.items():
        theirs = other.columns[name]
        pairs += [(column.values, theirs.values)] if isinstance(column, Ragged) else [(column, theirs)]
    return one.truncated == other.truncated and all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in pairs)


def get(folder, encoder, config=None, identity="one", limit=2**30):
    return cache.remembered(folder, identity, config or Config(), encoder, limit)


def test_second_call_uses_the_cache(tmp_path):
    encoder = Encoder()
    (made, was_there), (found, is_there) = get(tmp_path, encoder), get(tmp_path, encoder)
    assert (was_there, is_there, encoder.calls) == (False, True, 1)
    assert same(made, join(Encoder()(Config())))
    assert same(found, made)
    assert isinstance(found.columns["ids"].values.base, np.memmap)  # mapped, not read
    assert [dict(found[row])["labels"] for row in range(3)] == [1, 2, 3]
    assert [list(found[row]["ids"]) for row in range(3)] == [[0, 1, 2], [], [7]]


@given(
    chunks=st.lists(st.lists(st.lists(st.integers(0, 2**31 - 1), max_size=4), max_size=3), min_size=1, max_size=4),
    shape=st.sampled_from([(), (2, 2)]),
)
def test_any_rows_come_back_as_they_were(tmp_path_factory, chunks, shape):
    def encode(_config):
        for rows in chunks:
            yield {"ids": ragged(rows), "x": np.full((len(rows), *shape), 0.5, np.float32)}

    folder = tmp_path_factory.mktemp("cache")
    made, _ = get(folder, encode)
    result, is_there = get(folder, encode)
    assert is_there
    assert same(made, join(encode(None)))
    assert same(result, made)


def test_changed_inputs_invalidate_the_cache(tmp_path):
    encoder = Encoder()
    get(tmp_path, encoder)
    assert not get(tmp_path, encoder, identity="two")[1]
    changed, is_there = get(tmp_path, encoder, Config(data=Inner(length=1)))
    assert not is_there
    assert changed.lengths.tolist() == [1, 0, 1]
    assert get(tmp_path, encoder)[0].lengths.tolist() == [3, 0, 1]
    assert encoder.calls == 3


def test_unread_values_do_not_invalidate_the_cache(tmp_path):
    encoder = Encoder()
    get(tmp_path, encoder)
    assert get(tmp_path, encoder, Config(data=Inner(other=9), name="y"))[1]


def test_reading_a_section_records_all_its_values(tmp_path):
    encoder = Encoder(lambda config: config.data.model_dump()["length"])
    get(tmp_path, encoder)
    assert get(tmp_path, encoder, Config(name="y"))[1]
    assert not get(tmp_path, encoder, Config(data=Inner(other=9)))[1]


@pytest.mark.parametrize("name", ["0.values", "0.offsets", "1.values", "manifest.json"])
@pytest.mark.parametrize("damage", [b"", b"\x01"])
def test_a_damaged_entry_is_made_again(tmp_path, name, damage):
    get(tmp_path, Encoder())
    (entry,) = tmp_path.iterdir()
    whole = (entry / name).read_bytes()
    (entry / name).write_bytes(whole[:-1] + damage)
    again, is_there = get(tmp_path, Encoder())
    assert not is_there
    assert same(again, join(Encoder()(Config())))
    assert [path.name for path in tmp_path.iterdir()] != [entry.name]
    assert get(tmp_path, Encoder())[1]


def test_what_was_not_used_for_longest_goes_first(tmp_path):
    get(tmp_path, Encoder(), identity="a")
    size = sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file())
    for number, identity in enumerate("bcd"):
        get(tmp_path, Encoder(), identity=identity, limit=10 * size)
        for entry in tmp_path.glob(f"{identity}-*"):
            os.utime(entry, (number, number))
    assert get(tmp_path, Encoder(), identity="b", limit=0)[1]  # used just now, and a hit removes nothing
    get(tmp_path, Encoder(), identity="e", limit=int(3.5 * size))
    assert {path.name.partition("-")[0] for path in tmp_path.iterdir()} == {"a", "b", "e"}


def test_an_entry_above_the_limit_serves_this_run_and_goes(tmp_path):
    made, _ = get(tmp_path, Encoder(), limit=10)
    assert not list(tmp_path.iterdir())
    assert same(made, join(Encoder()(Config())))


def test_drafts_of_killed_processes_go(tmp_path):
    for name, age in ((".old-1", 10**6), (".new-1", 10)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    get(tmp_path, Encoder())
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == [".new-1"]


def test_a_disk_that_cannot_be_written_is_no_failure(tmp_path):
    (tmp_path / "file").write_text("")
    features, is_there = get(tmp_path / "file" / "below", Encoder())
    assert not is_there
    assert same(features, join(Encoder()(Config())))


@pytest.mark.parametrize("second", [np.array([1.5]), np.array(["text"]), ragged([[1]])])
def test_columns_that_change_their_kind_stay_in_memory(tmp_path, second):
    def encode(_config):
        yield {"x": np.array([1])}
        yield {"x": second}

    if isinstance(second, Ragged):
        with pytest.raises((ValueError, TypeError, AttributeError)):
            get(tmp_path, encode)
    else:
        assert get(tmp_path, encode)[0].columns["x"].tolist() == [1, *second.tolist()] or second.dtype.kind == "U"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [ValueError("broken"), FileNotFoundError("picture.png")])
def test_an_error_of_preprocessing_comes_through(tmp_path, error):
    def encode(_config):
        raise error
        yield

    with pytest.raises(type(error), match=str(error)):
        get(tmp_path, encode)
    assert not list(tmp_path.iterdir())
