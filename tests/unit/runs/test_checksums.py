"""A file that was changed after its digest was recorded is detected."""

import os
import subprocess

import pyarrow as pa
import pytest

from tests.support.errors import refused
from toolkit import runs
from toolkit.errors import SourceError
from toolkit.evaluation import prediction_store
from toolkit.runs import checksums


def test_a_change_is_noticed_wherever_the_folder_lies(tmp_path):
    run = tmp_path / "run"
    runs.write_text(run / "report.json", "{}")
    runs.write_table(run / "data" / "test.parquet", pa.table({"text": ["a"]}))
    checksums.record(run, ["data/test.parquet"])
    checksums.record(run, ["report.json"])
    run = run.rename(tmp_path / "moved")
    done = subprocess.run(["sha256sum", "--check", "--quiet", checksums.FILE], cwd=run, check=False)
    assert done.returncode == 0
    assert checksums.read_rows(run / "data" / "test.parquet").num_rows == 1
    for name in ("report.json", "data/test.parquet"):
        assert checksums.is_recorded(run / name)
        assert not checksums.is_changed(run / name)
        (run / name).write_bytes(b"[]")
        assert checksums.is_changed(run / name)
    with refused(SourceError, "run.changed", "test.parquet", "--data") as caught:
        checksums.read_rows(run / "data" / "test.parquet")
    assert caught.value.exit_code == 2
    checksums.record(run, ["report.json"])
    assert not checksums.is_changed(run / "report.json")


@pytest.mark.parametrize("picture", [{"bytes": None, "path": "/home/me/1.png"}, {"path": "1.png"}])
def test_files_that_kept_rows_name_are_not_opened(picture, tmp_path):
    runs.write_table(tmp_path / "test.parquet", pa.table({"image": [picture]}))
    with refused(SourceError, "run.picture-paths", "test.parquet", "--data"):
        checksums.read_rows(tmp_path / "test.parquet")


def test_pictures_that_kept_rows_hold_may_have_names(tmp_path):
    runs.write_table(tmp_path / "test.parquet", pa.table({"image": [{"bytes": b"P5", "path": "1.png"}]}))
    assert checksums.read_rows(tmp_path / "test.parquet").num_rows == 1


def test_digests_are_not_read_from_a_pipe(tmp_path):
    os.mkfifo(tmp_path / checksums.FILE)
    runs.write_text(tmp_path / "report.json", "{}")
    assert not checksums.is_changed(tmp_path / "report.json")


def test_files_without_digest_are_accepted(tmp_path):
    runs.write_text(tmp_path / "report.json", "{}")
    assert not checksums.is_recorded(tmp_path / "report.json")
    assert not checksums.is_changed(tmp_path / "report.json")
    assert not checksums.is_changed(tmp_path / "missing.json")


@pytest.mark.parametrize(("predictions", "believed"), [([0, 1, 1], True), ([0, 0, 1], False)])
def test_predictions_without_a_digest_agree_with_their_probabilities(predictions, believed, tmp_path):
    probabilities = [[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]]
    file = tmp_path / prediction_store.FILE
    table = pa.table({"prediction": predictions, "probabilities": probabilities})
    facts = {"identity": "x", "columns": ["prediction", "probabilities"]}
    prediction_store.write(file, prediction_store.StoredPredictions(table, facts))
    assert (prediction_store.find([file], "x") is not None) == believed
    if not believed:
        with refused(SourceError, "run.changed", "predictions.parquet"):
            prediction_store.read(file)
    checksums.record(tmp_path, [prediction_store.FILE])  # a recipe of one's own may choose otherwise
    assert prediction_store.read(file).table.num_rows == 3
