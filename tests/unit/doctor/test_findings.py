"""All checks, and that nothing stops them or shows secrets."""

import json
import os
import subprocess
import sys

import pytest
import typer

from tests.support.hub import LocalHub
from toolkit import doctor
from toolkit.cli.console import output_mode
from toolkit.cli.preparation.doctor import doctor as command
from toolkit.doctor import Check

TOKEN = "hf_secret123"


def test_check_that_fails_does_not_stop_the_others(monkeypatch):
    def partly():
        yield Check("first", "ok", "fine")
        raise ValueError("what\nnobody expected")

    def missing():
        raise ModuleNotFoundError("No module named 'psutil'")

    fine = Check("last", "ok", "fine")
    monkeypatch.setattr(doctor, "CHECKS", (("partly", partly), ("missing", missing), ("last", lambda: [fine])))
    first, broken, absent, last = doctor.examine()
    assert (first.verdict, last) == ("ok", fine)
    assert (broken.verdict, broken.finding) == ("fault", "could not be examined: ValueError: what nobody expected")
    assert broken.fix
    assert "pip install" in absent.fix


def test_findings_do_not_wait_for_a_check_that_ends_the_process(monkeypatch, capsys):
    def fatal():
        raise SystemExit(2)

    fine = Check("first", "ok", "fine")
    monkeypatch.setattr(doctor, "CHECKS", (("first", lambda: [fine]), ("fatal", fatal)))
    with pytest.raises(SystemExit):
        command()
    assert capsys.readouterr().out.split() == ["ok", "first", "fine"]


def test_nothing_secret_is_shown(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    text = f"Bearer {TOKEN} and hf_{'a' * 30} at http://user:password@proxy:80"
    monkeypatch.setattr(doctor, "CHECKS", (("talkative", lambda: [Check("talkative", "warning", text, text)]),))
    (result,) = doctor.examine()
    assert result.finding == result.fix == "Bearer (HF_TOKEN) and (token) at http://proxy:80"


@pytest.mark.parametrize("verdict, code", [("ok", 0), ("warning", 0), ("fault", 1)])
def test_exit_code_and_json(monkeypatch, capsys, verdict, code):
    results = [Check("one", "ok", "fine"), Check("two", verdict, "so", None if verdict == "ok" else "Do this.")]
    monkeypatch.setattr(doctor, "findings", lambda: iter(results))
    codes = []
    for as_json in (True, False):
        try:
            with output_mode(quiet=False, as_json=as_json):
                command()
            codes.append(0)
        except typer.Exit as stop:
            codes.append(stop.exit_code)
        text = capsys.readouterr().out
        if as_json:
            assert [Check(**entry) for entry in json.loads(text)["checks"]] == results
        else:
            assert ("\n  → Do this.\n" in text) == (verdict != "ok")
            assert text.splitlines()[-1].startswith("Not ready: 1 fault" if code else "Ready: no faults")
    assert codes == [code, code]


def test_command_line(tmp_path):
    with LocalHub() as hub:
        done = subprocess.run(
            [sys.executable, "-c", "from toolkit.cli import main; main()", "doctor"],
            env=os.environ | hub.environment(tmp_path / "hf", token=TOKEN),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert hub.seen("GET /api/whoami-v2")
        assert not hub.seen("CONNECT")
    assert done.returncode == 1, done.stderr  # the token is refused
    assert TOKEN not in done.stdout + done.stderr
    *lines, empty, verdict = done.stdout.splitlines()
    assert (empty, verdict.partition(":")[0]) == ("", "Not ready")
    checks = [line for line in lines if not line.startswith("  → ")]
    assert all(line.split()[0] in ("ok", "warning", "fault") for line in checks)
    assert len(checks) >= len(doctor.CHECKS)
    assert "token" in [line.split()[1] for line in checks if line.startswith("fault")]
    alarms = [line for line in checks if not line.startswith("ok")]
    assert len(lines) - len(checks) == len(alarms)
