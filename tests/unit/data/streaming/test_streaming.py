"""Streamed rows: parts by a hash, an order by seed and step, and no more in memory than a buffer."""

from itertools import chain, islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from tests.support.errors import refused
from toolkit.config import RunConfig
from toolkit.config.settings import DataConfig
from toolkit.data.batching.batch import Features
from toolkit.data.streaming import load, survey, units
from toolkit.data.streaming.training_stream import TrainingStream
from toolkit.data.streaming.units import Unit
from toolkit.errors import ConfigError, DataError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(survey.environment, "cache_folder", lambda: tmp_path / "cache")


def rows_of(numbers) -> list[tuple[str, str]]:
    return [(f"film number {n}", ("bad", "good")[n % 2]) for n in numbers]


def write(folder: Path, rows, files: int = 3, group: int = 20) -> Path:
    folder.mkdir()
    for number, part in enumerate(np.array_split(np.arange(len(rows)), files)):
        table = pa.table({"text": [rows[n][0] for n in part], "label": [rows[n][1] for n in part]})
        parquet.write_table(table, folder / f"part-{number}.parquet", row_group_size=group)
    return folder


def splits_of(recipe, folder, **more):
    return load.load_splits(recipe, DataConfig(source=str(folder), streaming=True, **more), 0, {})


def texts(table) -> set[str]:
    return set(table["text"].to_pylist())


def streamed(splits) -> list[str]:
    stream = splits.stream
    return [text for unit in stream.units for text in stream.read(unit)["text"].to_pylist()]


def numbered(rows: pa.Table) -> Features:
    return Features({"labels": rows["n"].to_numpy()}, np.ones(rows.num_rows, np.int64))


def stream_of(sizes, buffer_rows=10, opened=None) -> TrainingStream:
    starts = np.cumsum([0, *sizes])

    def read(unit):
        if opened is not None:
            opened.append(unit.group)
        return pa.table({"n": np.arange(starts[unit.group], starts[unit.group + 1])})

    return TrainingStream([Unit(Path("x"), n) for n in range(len(sizes))], sizes, read, buffer_rows)


def seen(stream, taken, total, seed=0, batch_size=4) -> list[list[int]]:
    steps = stream.steps(numbered, batch_size, seed, taken, total)
    return [features.columns["labels"][rows].tolist() for features, rows in steps]


def test_every_usable_row_is_in_one_part(sentiment, tmp_path):
    rows = [*rows_of(range(300)), ("", "good"), ("film of no label", "")]
    splits = splits_of(sentiment, write(tmp_path / "data", rows))
    trained = streamed(splits)
    assert len(trained) == splits.train_rows == len(set(trained))
    assert set(trained) | texts(splits.validation) | texts(splits.test) == {text for text, _ in rows_of(range(300))}
    assert len(trained) + splits.validation.num_rows + splits.test.num_rows == 300


def test_parts_stay_with_rows_appended_and_in_another_order(sentiment, tmp_path):
    before = splits_of(sentiment, write(tmp_path / "a", rows_of(range(300))))
    after = splits_of(sentiment, write(tmp_path / "b", rows_of(reversed(range(400))), files=2))
    assert texts(before.test) < texts(after.test)
    assert texts(before.validation) < texts(after.validation)
    assert set(streamed(before)) < set(streamed(after))


def test_shares_are_halved_until_the_parts_fit_and_all_other_rows_train(sentiment, tmp_path, monkeypatch):
    monkeypatch.setattr(survey, "MOST_ROWS", {"train": 50, "validation": 30, "test": 30})
    before, after = (
        splits_of(sentiment, write(tmp_path / f"{number}", rows_of(range(number)))) for number in (1200, 1400)
    )
    for splits, rows in ((before, 1200), (after, 1400)):
        trained = streamed(splits)
        assert len(trained) == len(set(trained)) == splits.train_rows
        assert len(trained) + splits.validation.num_rows + splits.test.num_rows == rows
        assert not set(trained) & (texts(splits.validation) | texts(splits.test))
    assert texts(before.test) <= texts(after.test) and texts(before.validation) <= texts(after.validation)


def test_rows_of_a_group_are_in_one_part(sentiment, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    values = [(text, label, f"g{n % 60}") for n, (text, label) in enumerate(rows_of(range(300)))]
    table = pa.table(dict(zip(("text", "label", "who"), zip(*values, strict=True), strict=True)))
    parquet.write_table(table, folder / "x.parquet", row_group_size=50)
    splits = splits_of(sentiment, folder, group_column="who")
    held = [set(part["who"].to_pylist()) for part in (splits.train, splits.validation, splits.test)]
    assert sum(map(len, held)) == len(set.union(*held)) == 60


def test_memory_holds_a_sample_and_every_class(sentiment, tmp_path, monkeypatch):
    monkeypatch.setattr(survey, "MOST_ROWS", {"train": 50, "validation": 30, "test": 30})
    rows = [*rows_of(range(1, 3001, 2)), *rows_of(range(0, 200, 2))]  # 1,500 good, then 100 bad
    small = splits_of(sentiment, write(tmp_path / "small", rows[:100] + rows[-100:]))
    large = splits_of(sentiment, write(tmp_path / "large", rows))
    most = 50 + 2 * survey.OF_EACH_CLASS
    assert small.train.num_rows <= most and 50 <= large.train.num_rows <= most
    for part in (large.validation, large.test):
        assert 0 < part.num_rows <= 30
    assert large.labels == ("bad", "good") and large.train_rows > 1000
    facts = {part["name"]: part for part in large.facts["splits"]}
    assert facts["train"] == {"name": "train", "rows": large.train_rows, "given": True}  # not those of the sample
    assert sum(facts["test"]["classes"].values()) == facts["test"]["rows"] == large.test.num_rows


def test_surveys_not_used_for_longest_are_removed(sentiment, tmp_path):
    for number in range(3):
        splits_of(sentiment, write(tmp_path / f"d{number}", rows_of(range(300))))
    assert len([*(tmp_path / "cache" / "streams").iterdir()]) == 3
    splits_of(sentiment, write(tmp_path / "d3", rows_of(range(300))), cache_gib=0.0)
    assert not [*(tmp_path / "cache" / "streams").iterdir()]


def test_an_unchanged_survey_is_used_again(sentiment, tmp_path, monkeypatch):
    folder = write(tmp_path / "data", rows_of(range(300)))
    before = splits_of(sentiment, folder)
    monkeypatch.setattr(units, "read", None)
    again = splits_of(sentiment, folder)
    assert again.facts["fingerprint"] == before.facts["fingerprint"]
    assert again.test.equals(before.test) and again.train_rows == before.train_rows


@given(st.lists(st.integers(0, 9), min_size=1, max_size=8).filter(any), st.integers(0, 30), st.integers(0, 5))
def test_resumed_steps_are_those_of_the_whole(sizes, taken, seed):
    stream = stream_of(sizes)
    total = 3 * stream.steps_per_epoch(4, seed)
    whole = seen(stream, 0, total, seed)
    assert seen(stream, min(taken, total), total, seed) == whole[min(taken, total) :]
    each = stream.steps_per_epoch(4, seed)
    for epoch in range(3):
        assert sorted(chain.from_iterable(whole[epoch * each : (epoch + 1) * each])) == list(range(sum(sizes)))


def test_resuming_reads_no_buffer_before_its_own():
    opened: list[int] = []
    stream = stream_of([10] * 20, opened=opened)
    total = stream.steps_per_epoch(4, 0)
    assert total == 60
    seen(stream, 57, total)
    assert len(opened) == 1
    opened.clear()
    next(islice(stream.steps(numbered, 4, 0, 0, total), 1))
    assert len(opened) == 1


def test_seeds_and_epochs_have_other_orders():
    stream = stream_of([10] * 5)
    each = stream.steps_per_epoch(4, 0)
    whole = seen(stream, 0, 2 * each)
    assert whole[:each] != whole[each:] != seen(stream, 0, each, seed=1)


def test_changed_files_are_refused():
    stream = stream_of([10, 10])
    other = TrainingStream(stream.units, [10, 11], stream.read, 10)
    with refused(DataError, "data.streaming-changed"):
        seen(other, 0, 6)


def test_large_units_and_other_parts_are_refused(sentiment, tmp_path, monkeypatch):
    folder = write(tmp_path / "data", rows_of(range(60)))
    (folder / "part-0.parquet").rename(folder / "test-0.parquet")
    with refused(ConfigError, "data.streaming-parts"):
        splits_of(sentiment, folder)
    (folder / "test-0.parquet").rename(folder / "part-0.parquet")
    monkeypatch.setattr(units, "MOST_BYTES", 100)
    with refused(DataError, "data.streaming-unit"):
        splits_of(sentiment, folder)


@pytest.mark.parametrize("data", [{"where": {"a": "b"}}, {"max_train_rows": 5}, {"time_column": "day"}])
def test_what_needs_all_rows_is_refused(sentiment, data):
    config = RunConfig(recipe="sentiment", model="m", data={"source": "x", "streaming": True, **data})
    with refused(ConfigError, "data.streaming-unsupported"):
        load.check(sentiment, config)


def test_csv_and_json_lines_are_read_by_file(sentiment, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(3):
        lines = [f"{text},{label}" for text, label in rows_of(range(number * 100, number * 100 + 100))]
        (folder / f"part-{number}.csv").write_text("\n".join(["text,label", *lines]), encoding="utf-8")
    splits = splits_of(sentiment, folder)
    assert len(splits.stream.units) == 3
    assert len(streamed(splits)) + splits.validation.num_rows + splits.test.num_rows == 300
