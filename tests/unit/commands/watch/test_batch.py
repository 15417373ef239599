"""A sample of a stream of rows, and the records of batches."""

from collections import Counter
from pathlib import Path

import pytest

from toolkit.commands.watch import batch, history
from toolkit.data.sources.row_stream import Row
from toolkit.errors import SourceError
from toolkit.evaluation.shift.periods import Look


def test_sample_is_even_in_order_and_repeatable() -> None:
    rows = [Row({"text": str(number)}) for number in range(1, 31)]
    counts: Counter[int] = Counter()
    for seed in range(600):
        kept, read = batch._sampled(iter(rows), 10, seed)
        numbers = [number for number, _ in kept]
        assert read == 30
        assert numbers == sorted(numbers)
        assert all(row.values["text"] == str(number) for number, row in kept)
        counts.update(numbers)
    assert len(counts) == 30
    assert all(140 <= count <= 260 for count in counts.values())  # 200 on average, five standard deviations
    assert batch._sampled(iter(rows), 10, 3) == batch._sampled(iter(rows), 10, 3)


def test_short_stream_is_kept_whole() -> None:
    kept, read = batch._sampled(iter([Row({"text": "a"})]), 10, 0)
    assert (len(kept), read) == (1, 1)
    assert batch._sampled(iter([]), 10, 0) == ([], 0)


def test_records_are_read_back(tmp_path: Path) -> None:
    record = {"period": 1, "look": 1, "fingerprint": "x", "shift": {"level": 0.01}}
    assert history.read(tmp_path) == []
    history.append(tmp_path, [], record)
    history.append(tmp_path, history.read(tmp_path), {**record, "look": 2})
    assert history.looks(history.read(tmp_path)) == [Look(1, 1, 0.01), Look(1, 2, 0.01)]


@pytest.mark.parametrize("content", ['{"period": 1', '{"period": 1}\n', "[]\n"])
def test_damaged_records_are_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / history.FILE).write_text(content, encoding="utf-8")
    with pytest.raises(SourceError) as refused:
        history.read(tmp_path)
    assert refused.value.id == "run.damaged"
