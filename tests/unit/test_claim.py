"""A run directory in which somebody trains is nobody else's."""

import pytest

from toolkit import claim, runs
from toolkit.errors import ConfigError


def test_a_run_in_which_somebody_trains_is_refused(tmp_path):
    run = runs.Run(tmp_path / "run")
    run.path.mkdir()
    run.record(status="running")
    with claim.claimed(run.path):
        for resume in (True, False):
            with pytest.raises(ConfigError, match="Another process is training in"):
                runs.check_place(str(run.path), resume=resume)
        with pytest.raises(ConfigError, match="Another process"), claim.claimed(run.path):
            pass
        assert claim.is_claimed(run.path)
    assert [file.name for file in run.path.iterdir()] == ["run.json"]
    runs.check_place(str(run.path), resume=True)


def test_what_a_killed_process_left_holds_nobody_up(tmp_path):
    (tmp_path / claim.NAME).touch()
    assert not claim.is_claimed(tmp_path)
    with claim.claimed(tmp_path):
        assert claim.is_claimed(tmp_path)
