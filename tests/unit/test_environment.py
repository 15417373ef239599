"""Where caches are kept when the home folder cannot be written, or there is none."""

import importlib
import inspect
import os
import re
import tempfile
from pathlib import Path

import pytest

from toolkit import environment

NOWHERE = "/dev/null/home"  # cannot be made, not even by the superuser


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    environment.temporary_folder.cache_clear()
    yield tmp_path / f"finetune-toolkit-{os.getuid()}"
    environment.temporary_folder.cache_clear()


def redirected(**given: str) -> dict[str, str]:
    environ = dict(given)
    environment.use_writable_caches(environ)
    return {name: value for name, value in environ.items() if name not in given}


def test_caches_that_can_be_written_stay(tmp_path, temporary, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert redirected() == {}
    assert redirected(HF_HOME=str(tmp_path / "new"), XDG_CACHE_HOME=str(tmp_path / "cache")) == {}
    assert not temporary.exists()
    empty = {"XDG_CACHE_HOME": ""}
    environment.use_writable_caches(empty)
    assert empty == {}


@pytest.mark.parametrize(
    ("home", "given"), [(NOWHERE, {}), ("/", {"XDG_CACHE_HOME": NOWHERE}), ("/", {"HF_HOME": NOWHERE})]
)
def test_caches_that_cannot_be_written_are_temporary(home, given, temporary, monkeypatch):
    monkeypatch.setenv("HOME", home)
    moved = redirected(**given)
    assert {"HF_DATASETS_CACHE", "HF_MODULES_CACHE", "HF_HUB_CACHE"} <= set(moved)
    assert all(Path(folder).is_relative_to(temporary) for folder in moved.values())
    assert temporary.stat().st_mode & 0o777 == 0o700


def test_models_in_a_cache_that_is_read_only_are_still_found(tmp_path, temporary, monkeypatch):
    monkeypatch.setattr(environment, "write_problem", lambda folder: "Read-only file system")
    (tmp_path / "huggingface" / "hub").mkdir(parents=True)
    moved = redirected(HF_HOME=str(tmp_path / "huggingface"))
    assert "HF_HUB_CACHE" not in moved
    assert "HF_DATASETS_CACHE" in moved


def test_what_the_user_set_stays(temporary, monkeypatch):
    monkeypatch.setenv("HOME", NOWHERE)
    assert "HF_DATASETS_CACHE" not in redirected(HF_DATASETS_CACHE="/data/cache")


def test_a_user_without_a_home_gets_no_folder_called_tilde(tmp_path, temporary, monkeypatch):
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as it answers where the user is not known
    monkeypatch.chdir(tmp_path)
    assert environment.cache_folder() == temporary
    assert "HF_HUB_CACHE" in redirected()
    assert not (tmp_path / "~").exists()


def test_a_folder_that_somebody_else_put_there_is_not_used(tmp_path, temporary):
    temporary.mkdir(mode=0o755)  # as another user would, for readable files
    temporary.chmod(0o777)
    assert environment.temporary_folder() != temporary
    environment.temporary_folder.cache_clear()
    temporary.rmdir()
    temporary.symlink_to(tmp_path)
    assert environment.temporary_folder() != temporary


def test_the_own_cache_is_temporary_where_home_cannot_be_written(temporary, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", NOWHERE)
    assert environment.cache_folder() == temporary


def test_threads_that_wait_give_up_their_core_unless_told_otherwise():
    for given in ({}, {"GOMP_SPINCOUNT": "7"}, {"OMP_WAIT_POLICY": "active"}):
        environ = dict(given)
        environment.wait_briefly(environ)
        assert environ == (given or {"GOMP_SPINCOUNT": "1000"})


def test_libraries_report_nothing_unless_told_otherwise():
    usual = {"ORT_DISABLE_TELEMETRY": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "GRADIO_ANALYTICS_ENABLED": "False"}
    for given in ({}, {"ORT_DISABLE_TELEMETRY": "0"}):
        environ = dict(given)
        environment.send_no_telemetry(environ)
        assert environ == usual | given


@pytest.mark.parametrize("module", ["toolkit.exporting.runtime", "toolkit.exporting.graph", "toolkit.cli"])
def test_what_imports_onnx_runtime_switches_its_reports_off(module):
    """Each function that imports it does that first, and so does the command line."""
    source = inspect.getsource(importlib.import_module(module))
    for before in re.split(r"(?:import onnxruntime\b|from onnxruntime\b)", source)[:-1]:
        assert "send_no_telemetry(os.environ)" in before.rpartition("\ndef ")[2]
    assert "send_no_telemetry(os.environ)" in source
