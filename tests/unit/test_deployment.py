"""The Dockerfile and the unit of docs/deployment.md fit the command line, and hold what they promise."""

import configparser
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import typer.main

import toolkit
from toolkit.cli import app

PAGE = (Path(toolkit.__file__).parents[1] / "docs" / "deployment.md").read_text(encoding="utf-8")
SECRET = re.compile(r"(token|password|secret|key)\s*=", re.IGNORECASE)


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return found


def instructions() -> list[tuple[str, str]]:
    lines = block("dockerfile").replace("\\\n", " ").splitlines()
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(block("ini"))
    return parser


def check(words: list[str]) -> None:
    """Parse a command line as the program does, without running it."""
    assert Path(words[0]).name == "toolkit"
    command = typer.main.get_command(app).commands[words[1]]  # type: ignore[attr-defined]
    context = command.make_context("serve", words[2:])
    assert context.params["target"].startswith("/")


def test_the_image_runs_a_known_command_without_rights():
    steps = instructions()
    known = {"FROM", "RUN", "COPY", "ENV", "USER", "EXPOSE", "HEALTHCHECK", "CMD"}
    assert {word for word, _ in steps} == known
    (command,) = [json.loads(rest) for word, rest in steps if word == "CMD"]
    check(command)
    (user,) = [rest for word, rest in steps if word == "USER"]
    assert user.isdigit() and int(user) > 0
    assert not SECRET.search(block("dockerfile"))
    (health,) = [rest for word, rest in steps if word == "HEALTHCHECK"]
    compile(json.loads(health.partition("CMD ")[2])[2], "health", "exec")


def test_the_unit_runs_a_known_command_without_rights():
    service = unit()["Service"]
    check(shlex.split(service["ExecStart"]))
    assert "--host" not in service["ExecStart"]
    assert (service["DynamicUser"], service["NoNewPrivileges"]) == ("yes", "yes")
    assert not SECRET.search(block("ini"))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze on PATH")
def test_systemd_finds_no_fault_with_the_unit(tmp_path):
    program = tmp_path / "toolkit"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    file = tmp_path / "reviews.service"
    for text, faults in ((block("ini"), False), (block("ini").replace("MemoryMax", "MemoryMaximum"), True)):
        file.write_text(text.replace("/opt/toolkit/bin/toolkit", str(program)))
        words = ["systemd-analyze", "verify", "--man=no", str(file)]
        outcome = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        assert bool(outcome.returncode or "reviews.service" in outcome.stderr) == faults, outcome.stderr
