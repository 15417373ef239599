"""--quiet leaves results and failures alone on the screen."""

import pytest

from tests.support.cli import toolkit

ROWS = "text,label\n" + "".join(
    f"a film of {number} minutes,{'good' if number % 2 else 'bad'}\n" for number in range(40)
)


@pytest.mark.parametrize("place", [0, 1, 3])
def test_only_results_are_printed(tmp_path, write, place):
    write("rows.csv", ROWS)
    typed = ["inspect", "rows.csv", "--recipe", "text"]
    usual = toolkit(*typed, cwd=tmp_path)
    assert usual.err != ""
    typed.insert(place if place != 3 else len(typed), "--quiet")
    quiet = toolkit(*typed, cwd=tmp_path)
    assert (quiet.code, quiet.out, quiet.err) == (0, usual.out, "")


def test_no_note_says_how_a_name_was_read(tmp_path):
    usual, quiet = (
        toolkit("recipes", "show", "text", "--weight_decay", "0.25", *more, cwd=tmp_path) for more in ([], ["--quiet"])
    )
    assert "--weight_decay" in usual.err
    assert (quiet.out, quiet.err) == (usual.out, "")


def test_failures_are_printed(tmp_path):
    outcome = toolkit("inspect", "missing.csv", "--quiet", cwd=tmp_path)
    assert outcome.code == 2
    assert "Error [source.file-missing]" in outcome.err
    assert len(outcome.err.splitlines()) == 2
