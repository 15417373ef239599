"""The records of batches."""

from pathlib import Path

import pytest

from toolkit.commands.watch import history
from toolkit.errors import SourceError
from toolkit.evaluation.shift.periods import Look


def test_records_are_read_back(tmp_path: Path) -> None:
    record = {"period": 1, "look": 1, "fingerprint": "x", "level": 0.01}
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
