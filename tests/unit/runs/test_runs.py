"""The run directory: files are written atomically, and an incomplete run is not used as a complete one."""

import json
import stat
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.errors import refused
from toolkit import runs
from toolkit.errors import ConfigError, RunError, SourceError

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Stopped(BaseException):
    """Ctrl-C in code that does not expect it."""


def files(folder: Path) -> dict[str, bytes]:
    """Return everything below a folder, hidden files included."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# --- aside ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, Stopped, MemoryError])
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_on_any_failure_the_old_one_stays_and_nothing_is_left(tmp_path, kind, error):
    target = tmp_path / "out"
    old = target if kind == "file" else target / "inside.txt"
    old.parent.mkdir(exist_ok=True)
    old.write_text("old", encoding="utf-8")
    with pytest.raises(error), runs.aside(target) as draft:
        new = draft if kind == "file" else draft / "inside.txt"
        new.parent.mkdir(exist_ok=True)
        new.write_text("half", encoding="utf-8")
        raise error
    assert files(tmp_path) == {old.relative_to(tmp_path).as_posix(): b"old"}
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("step", ["_sync", "replace"])
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_on_a_failure_of_the_disk_the_old_one_stays(tmp_path, monkeypatch, kind, step):
    target = tmp_path / "out"
    old = target if kind == "file" else target / "inside.txt"
    old.parent.mkdir(exist_ok=True)
    old.write_text("old", encoding="utf-8")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with (
        refused(RunError, "machine.disk-full", "No space left on device", "MiB"),
        monkeypatch.context() as broken,
        runs.aside(target) as draft,
    ):
        new = draft if kind == "file" else draft / "inside.txt"
        new.parent.mkdir(exist_ok=True)
        new.write_text("new", encoding="utf-8")
        if step == "_sync":
            broken.setattr(runs.files, "_sync", full)
        else:
            broken.setattr(Path, "replace", full)
    assert files(tmp_path) == {old.relative_to(tmp_path).as_posix(): b"old"}
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_is_replaced_whole(tmp_path):
    for names in (("a", "b"), ("b", "c")):
        with runs.aside(tmp_path / "deep" / "model") as draft:
            draft.mkdir()
            for name in names:
                (draft / name).write_text(name, encoding="utf-8")
    assert files(tmp_path) == {"deep/model/b": b"b", "deep/model/c": b"c"}


def test_until_the_end_the_old_one_is_seen(tmp_path):
    target = tmp_path / "report.json"
    runs.write_text(target, "old")
    with runs.aside(target) as draft:
        draft.write_text("new", encoding="utf-8")
        assert target.read_text(encoding="utf-8") == "old"
    assert target.read_text(encoding="utf-8") == "new"


def test_a_file_does_not_take_the_place_of_a_folder(tmp_path):
    (tmp_path / "page" / "deep").mkdir(parents=True)
    (tmp_path / "page" / "deep" / "kept.txt").write_text("kept")
    with refused(RunError, "output.is-folder", "page"):
        runs.write_text(tmp_path / "page", "text")
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == [
        "page", "page/deep", "page/deep/kept.txt"
    ]  # fmt: skip


def test_a_block_that_writes_nothing_is_a_failure(tmp_path):
    with refused(RunError, "output.not-writable", "out"), runs.aside(tmp_path / "out"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_files_are_readable_as_any_new_file_is(tmp_path):
    (tmp_path / "plain").touch()
    with runs.aside(tmp_path / "model") as draft:
        draft.mkdir()
        (draft / "private").touch(mode=0o600)
    assert stat.S_IMODE((tmp_path / "model" / "private").stat().st_mode) == stat.S_IMODE(
        (tmp_path / "plain").stat().st_mode
    )


def test_full_disk_error_names_free_space(tmp_path):
    with refused(RunError, "machine.disk-full") as caught, runs.disk_errors(tmp_path / "absent" / "file"):
        raise OSError(28, "No space left on device")
    assert "No space left on device" in caught.value.problem
    assert "MiB are free" in caught.value.fix


def test_read_only_disk_is_not_called_full(tmp_path):
    with refused(RunError, "output.not-writable", "Read-only file system") as caught, runs.disk_errors(tmp_path):
        raise OSError(30, "Read-only file system")
    assert "MiB" not in caught.value.fix


def test_safetensors_own_error_is_a_disk_error_and_no_other_is(tmp_path):
    kind = type("SafetensorError", (Exception,), {})
    with refused(RunError, "output.not-writable", "I/O error"), runs.disk_errors(tmp_path):
        raise kind("I/O error")
    with refused(RunError, "machine.disk-full", "MiB"), runs.disk_errors(tmp_path):
        raise kind("I/O error: No space left on device (os error 28)")
    with pytest.raises(ZeroDivisionError), runs.disk_errors(tmp_path):
        raise ZeroDivisionError


# --- run.json and metrics.jsonl -------------------------------------------------------------------------------------


@given(
    st.dictionaries(
        st.text(max_size=5),
        st.none() | st.integers() | st.text(max_size=5) | st.lists(st.booleans(), max_size=2),
        max_size=4,
    )
)
def test_written_json_reads_back_to_the_same(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "value.json"
    runs.write_json(path, value)
    assert json.loads(path.read_text(encoding="utf-8")) == value


def test_numbers_of_numpy_are_numbers(tmp_path):
    runs.write_json(tmp_path / "x.json", {"a": np.float32(0.5), "b": np.arange(3), "c": np.int64(4)})
    assert json.loads((tmp_path / "x.json").read_text(encoding="utf-8")) == {"a": 0.5, "b": [0, 1, 2], "c": 4}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}])
def test_what_is_not_json_is_refused_and_the_old_file_stays(tmp_path, value):
    runs.write_json(tmp_path / "x.json", 1)
    with pytest.raises((ValueError, TypeError)):
        runs.write_json(tmp_path / "x.json", {"value": value})
    assert files(tmp_path) == {"x.json": b"1\n"}


def test_recorded_facts_add_up(tmp_path):
    run = runs.Run(tmp_path)
    assert not runs.is_run(tmp_path)
    assert run.facts == {}
    run.record(status="running", recipe="x")
    assert runs.is_run(tmp_path)
    assert not run.complete
    run.record(status="complete")
    assert run.facts == {"status": "complete", "recipe": "x"}
    assert run.complete


@pytest.mark.parametrize("content", ["", "{", "[1]", "null", "\x00"])
def test_a_damaged_run_json_is_no_complete_run(tmp_path, content):
    (tmp_path / "run.json").write_text(content, encoding="utf-8")
    assert runs.Run(tmp_path).facts == {}
    assert not runs.Run(tmp_path).complete


def test_metrics_are_kept_line_by_line(tmp_path):
    run = runs.Run(tmp_path)
    run.log({"step": 1, "loss": 0.5})
    run.log({"step": 2, "loss": 0.25})
    lines = (tmp_path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2]


def test_unwritable_log_line_is_reported(tmp_path):
    (tmp_path / "metrics.jsonl").mkdir()
    with refused(RunError, "output.not-writable", "metrics.jsonl"):
        runs.Run(tmp_path).log({"step": 1})


# --- directories ----------------------------------------------------------------------------------------------------


def test_a_new_run_is_named_after_what_it_does(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [runs.create(None, "./my/sentiment.py", "org/some model@v1", NOW).path.name for _ in range(3)]
    assert names == [
        "sentiment-some-model-20260102-030405",
        "sentiment-some-model-20260102-030405-2",
        "sentiment-some-model-20260102-030405-3",
    ]


@pytest.mark.parametrize("model", ["pkg://x/model/", "../..", "/", "", "a/" + "b" * 300, "ü/ö*?", "\n"])
def test_any_model_gives_a_folder_below_runs(tmp_path, monkeypatch, model):
    monkeypatch.chdir(tmp_path)
    path = runs.create(None, "x", model, NOW).path
    assert path.resolve().parent == tmp_path / "runs"


def test_an_output_that_is_taken_is_refused_and_left_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work", encoding="utf-8")
    with refused(ConfigError, "output.exists", "mine"):
        runs.create(str(tmp_path / "mine"), "x", "y", NOW)
    with refused(ConfigError, "output.is-file", "thesis.txt"):
        runs.create(str(tmp_path / "mine" / "thesis.txt"), "x", "y", NOW)
    with refused(ConfigError, "output.is-file", "thesis.txt"):
        runs.create(str(tmp_path / "mine" / "thesis.txt" / "run"), "x", "y", NOW)
    assert files(tmp_path) == {"mine/thesis.txt": b"years of work"}


def test_a_place_is_checked_without_a_trace(tmp_path):
    runs.check_place(str(tmp_path / "deep" / "run"))
    runs.check_place(None)
    assert list(tmp_path.iterdir()) == []


def test_an_unfinished_run_is_no_place_for_another_and_resume_is_named(tmp_path):
    runs.Run(tmp_path).record(status="interrupted")
    (tmp_path / "checkpoints" / "step-00000002").mkdir(parents=True)
    with refused(ConfigError, "output.unfinished-run", "--resume") as caught:
        runs.check_place(str(tmp_path))
    assert "--resume" in caught.value.fix
    runs.check_place(str(tmp_path), resume=True)


@pytest.mark.parametrize("status", ["failed", "interrupted"])
def test_failed_run_may_be_replaced(tmp_path, status):
    runs.Run(tmp_path).record(status=status, precision="bf16")
    runs.Run(tmp_path).log({"step": 1})
    runs.check_place(str(tmp_path))
    assert runs.create(str(tmp_path), "x", "y", NOW).facts == {}
    assert not (tmp_path / "metrics.jsonl").exists()


def test_a_run_that_may_be_alive_is_left_alone(tmp_path):
    runs.Run(tmp_path).record(status="running")
    with refused(ConfigError, "output.unfinished-run", "--resume"):
        runs.check_place(str(tmp_path))


def test_run_without_run_json_is_recognized(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "config.yaml").touch()
    with refused(ConfigError, "run.file-missing", "run.json") as caught:
        runs.check_place(str(tmp_path), resume=True)
    assert "remove" not in caught.value.fix


def test_damaged_run_json_is_reported(tmp_path):
    (tmp_path / "run.json").write_text("{", encoding="utf-8")
    with refused(SourceError, "run.damaged", "run.json"):
        runs.check_place(str(tmp_path))


def test_a_complete_run_is_no_place_for_another(tmp_path):
    runs.Run(tmp_path).record(status="complete")
    with refused(ConfigError, "output.exists", "--output"):
        runs.check_place(str(tmp_path))
    with refused(ConfigError, "output.exists", "resume"):
        runs.check_place(str(tmp_path), resume=True)


def test_a_name_that_the_locale_cannot_read_is_refused_at_once(tmp_path):
    with refused(ConfigError, "machine.locale", "PYTHONUTF8=1") as caught:
        runs.check_place(str(tmp_path / "\udcc3\udcbc"))
    assert "PYTHONUTF8=1" in caught.value.fix


def test_a_name_that_the_locale_cannot_read_is_written_as_the_bytes_it_is(tmp_path):
    runs.write_json(tmp_path / "x.json", {"source": "caf\udcc3\udca9.csv"})
    assert json.loads((tmp_path / "x.json").read_text(encoding="utf-8")) == {"source": "café.csv"}


def test_unwritable_folder_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(runs.directory.os, "access", lambda *_: False)  # root may write everywhere
    with refused(ConfigError, "output.not-writable", "Permission denied"):
        runs.check_place(str(tmp_path / "run"))


@pytest.mark.parametrize(
    ("make", "reason"), [(None, "No such file"), ("mkdir", "Is a directory"), ("touch", "0 bytes")]
)
def test_unreadable_table_gives_the_reason(tmp_path, make, reason):
    path = tmp_path / "test.parquet"
    if make:
        getattr(path, make)()
    with refused(SourceError, "run.damaged", "test.parquet", reason) as caught:
        runs.read_table(path)
    assert caught.value.problem.startswith(f"{path} cannot be read: ")
    assert not caught.value.problem.endswith("..")


def test_an_empty_output_folder_is_taken(tmp_path):
    (tmp_path / "mine").mkdir()
    assert runs.create(str(tmp_path / "mine"), "x", "y", NOW).path == tmp_path / "mine"
    assert list((tmp_path / "mine").iterdir()) == []


def test_the_newest_whole_run_is_found(tmp_path):
    for name, created, status in [
        ("b", "2026-01-02", "complete"),
        ("a", "2026-01-03", "complete"),
        ("z", "2026-01-09", "failed"),
        ("y", "2026-01-08", "running"),
    ]:
        (tmp_path / name).mkdir()
        runs.Run(tmp_path / name).record(created=created, status=status)
    (tmp_path / "notes.txt").touch()
    (tmp_path / "empty").mkdir()
    assert runs.newest(tmp_path).path.name == "a"


def test_missing_complete_run_is_reported(tmp_path):
    with refused(SourceError, "run.not-found", "absent"):
        runs.newest(tmp_path / "absent")
    (tmp_path / "one").mkdir()
    runs.Run(tmp_path / "one").record(status="failed")
    with refused(SourceError, "run.not-found"):
        runs.newest(tmp_path)
