"""Events of a call: a bar for progress, the logger for the rest."""

from pathlib import Path

import pytest

from toolkit.api.call.caller import Caller, called
from toolkit.api.call.progress import Bar
from toolkit.events import Begun, Counted, Note, Settled, Stage


@pytest.mark.parametrize("visible", [True, False])
def test_the_bar_shows_how_far_a_stage_is(visible, capsys, caplog):
    caplog.set_level("INFO", "toolkit")
    with Bar(visible) as bar:
        bar(Stage("Reading"))
        bar(Settled("a", "b.csv", {"train": 9}, ["x", "y"]))
        bar(Counted(3, 10))
        bar(Note("half\x1bway"))
        bar(Counted(10, 10))
        bar(Begun("search", Path("runs/x")))
    shown = capsys.readouterr()
    assert shown.out == ""
    assert ("Reading" in shown.err and "10/10" in shown.err) is visible
    assert [record.levelname for record in caplog.records] == ["INFO", "INFO", "WARNING", "INFO"]
    assert caplog.records[2].getMessage() == "half\\u001bway"


def test_a_program_is_named_by_the_command_that_does_the_same():
    words = {"data": "my file.csv", "push_to": "a/b", "dry_run": True, "progress": False}
    with called(False, "finetune", ["sentiment"], words) as caller:
        assert caller.command == "toolkit finetune sentiment --data 'my file.csv'"
    own = Caller(print, "make model", 0.0)
    with called(own, "finetune", ["sentiment"], words) as caller:
        assert caller is own
