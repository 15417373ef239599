import os

import pytest

from tests.support.errors import refused
from toolkit import runs
from toolkit.errors import ConfigError, SourceError
from toolkit.runs import trust


def test_links_that_lead_out_of_a_run_are_refused(tmp_path):
    run = tmp_path / "run"
    (run / "data").mkdir(parents=True)
    (run / "model").mkdir()
    (run / "data" / "inside").symlink_to(run / "model")
    (run / "model" / "model.safetensors").symlink_to(tmp_path / "blob")  # as caches keep them
    trust.check_links(run)
    for name, target in (
        ("evaluations", tmp_path),
        (".claim", tmp_path / "mine"),
        ("data/x", "../.."),
        ("loop", "loop"),
    ):
        (run / name).symlink_to(target)
        with refused(SourceError, "run.link-outside"):
            trust.check_links(run)
        (run / name).unlink()


def test_a_run_in_a_linked_folder_is_a_run(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "real")
    trust.check_links(tmp_path / "run")


def test_the_place_of_a_run_with_such_a_link_is_refused(tmp_path):
    runs.write_json(tmp_path / "run" / "run.json", {"status": "failed"})
    (tmp_path / "run" / ".write-test").symlink_to(tmp_path / "mine")
    with refused(SourceError, "run.link-outside", ".write-test"):
        runs.check_place(str(tmp_path / "run"))


def test_damage_names_the_file(tmp_path):
    for error in (KeyError("x"), IndexError(), AttributeError("x"), RecursionError(), MemoryError()):
        with refused(SourceError, "run.damaged", "damaged-file") as caught, trust.damage(tmp_path / "damaged-file"):
            raise error
        assert type(error).__name__ in caught.value.problem
    refusal = ConfigError("said", "so")
    with pytest.raises(ConfigError) as kept, trust.damage(tmp_path):
        raise refusal
    assert kept.value is refusal


@pytest.mark.parametrize("facts", [{"data": [1]}, {"training": "x"}, {"model": 7}, {"labels": {}}])
def test_facts_of_another_kind_are_damage(tmp_path, facts):
    runs.write_json(tmp_path / "run.json", {"status": "complete", **facts})
    with refused(SourceError, "run.damaged", "run.json"):
        runs.read_facts(tmp_path)
    assert runs.Run(tmp_path).facts == {}


def test_pipes_and_devices_in_a_run_are_refused(tmp_path):
    run = tmp_path / "run"
    (run / "data").mkdir(parents=True)
    trust.check_links(run)
    os.mkfifo(run / "data" / "test.parquet")
    with refused(SourceError, "run.special-file", "test.parquet"):
        trust.check_links(run)


def test_what_a_device_is(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "endless").symlink_to("/dev/zero")
    (tmp_path / "nowhere").symlink_to(tmp_path / "missing")
    (tmp_path / "file").write_text("")
    kinds = {name: trust.is_device(tmp_path / name) for name in ("pipe", "endless", "nowhere", "file", ".")}
    assert kinds == {"pipe": True, "endless": True, "nowhere": False, "file": False, ".": False}
