"""A run directory is locked while a process trains there."""

import pytest

from tests.support.errors import refused
from toolkit import runs
from toolkit.errors import ConfigError
from toolkit.runs import lock


def test_a_run_in_which_somebody_trains_is_refused(tmp_path):
    run = runs.Run(tmp_path / "run")
    run.path.mkdir()
    run.record(status="running")
    with lock.claimed(run.path):
        for resume in (True, False):
            with refused(ConfigError, "run.in-use", str(run.path)):
                runs.check_place(str(run.path), resume=resume)
        with refused(ConfigError, "run.in-use", str(run.path)), lock.claimed(run.path):
            pass
        assert lock.is_claimed(run.path)
    assert [file.name for file in run.path.iterdir()] == ["run.json"]
    runs.check_place(str(run.path), resume=True)


def test_lock_of_killed_process_is_ignored(tmp_path):
    (tmp_path / lock.NAME).touch()
    assert not lock.is_claimed(tmp_path)
    with lock.claimed(tmp_path):
        assert lock.is_claimed(tmp_path)


@pytest.mark.parametrize("there", [False, True])
def test_an_output_has_one_writer(there, tmp_path):
    output = tmp_path / "made" / "out.csv"
    if there:
        output.mkdir(parents=True)
    with lock.sole_writer(output):
        with refused(ConfigError, "output.in-use", "out.csv"), lock.sole_writer(output):
            pass
        with lock.sole_writer(output.with_name("other.csv")):
            pass
        with (
            refused(ConfigError, "output.in-use"),
            lock.sole_writer(output),
        ):  # refused, and nothing is taken from the first
            pass
    with lock.sole_writer(output):
        pass
    assert [file.name for file in output.parent.iterdir()] == (["out.csv"] if there else [])
