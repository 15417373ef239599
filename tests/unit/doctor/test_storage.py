"""The disks, and the place of runs."""

import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub import constants

from tests.support.doctor import one
from toolkit.doctor import storage


@pytest.mark.parametrize(
    "free, verdict", [(storage.FULL_DISK - 1, "fault"), (storage.LOW_DISK - 1, "warning"), (storage.LOW_DISK, "ok")]
)
def test_disk(monkeypatch, tmp_path, free, verdict):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "not" / "yet"))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free) if path.exists() else None)
    result = list(storage.disks())
    assert [(check.name, check.verdict) for check in result] == [("disk (cache)", verdict), ("disk (here)", verdict)]


def test_folder_that_cannot_be_written(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert one(storage.run_folder).verdict == "ok"
    assert list(tmp_path.iterdir()) == []

    def refuse(dir):  # noqa: A002 - the name in tempfile
        raise OSError(30, "Read-only file system", str(dir))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    result = one(storage.run_folder)
    assert (result.verdict, result.finding) == ("fault", "runs/ cannot be written here (Read-only file system)")


def test_current_folder_that_is_gone(monkeypatch, tmp_path):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert one(storage.run_folder).verdict == "fault"


def test_runs_that_is_a_file(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    Path("runs").touch()
    assert one(storage.run_folder).verdict == "fault"
