"""--json and --quiet are options of every command, and --json prints one document, whatever else is printed."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.support import error_page
from tests.support.cli import toolkit
from tests.support.json_documents import SCHEMAS, document, problems
from toolkit import errors
from toolkit.api.documents import schemas
from toolkit.api.documents.document import COMMANDS
from toolkit.cli import _run as run
from toolkit.cli import app, console, streams
from toolkit.cli.console import output_mode, report_failure
from toolkit.cli.preparation.doctor import doctor
from toolkit.distributed import launcher
from toolkit.errors import EXIT_CODES, ToolkitError

PAGE = Path(error_page.PAGE).with_name("json.md")
ROWS = "text,label\n" + "".join(
    f"a film of {number} minutes,{'good' if number % 2 else 'bad'}\n" for number in range(40)
)


def commands(group: Any, before: str = "") -> dict[str, Any]:
    """Return every command of the program by its name, those of groups included."""
    found = {}
    for name, command in group.commands.items():
        inner = commands(command, f"{before}{name} ") if hasattr(command, "commands") else {f"{before}{name}": command}
        found.update(inner)
    return found


EVERY = commands(typer.main.get_command(app))
CHEAP = {
    "inspect": ["rows.csv", "--recipe", "text"],
    "recipes list": [],
    "recipes show": ["text"],
    "recipes copy": ["text", "mine.py"],
    "recipes new": ["spam-cost"],
    "runs list": ["."],
    "schema": [],
}


@pytest.mark.parametrize("name", EVERY)
def test_every_command_has_the_options_and_a_document(name: str) -> None:
    options = {option for parameter in EVERY[name].params for option in parameter.opts}
    assert {"--json", "--quiet", "--debug"} <= options
    assert COMMANDS[name].__module__.startswith("toolkit.api.documents.")


def test_there_is_a_document_for_each_command_and_no_other() -> None:
    assert set(COMMANDS) == set(EVERY)
    assert len(EVERY) > 25
    assert set(SCHEMAS) == {name.replace(" ", "-") for name in EVERY} | {
        "failure",
        "report.json",
        "run.json",
        "export.json",
        "explanation.json",
        "toolkit.json",
        "batches.jsonl",
    }


@pytest.mark.parametrize("name", CHEAP)
def test_cheap_commands_print_one_document(tmp_path: Path, name: str) -> None:
    (tmp_path / "rows.csv").write_text(ROWS, encoding="utf-8")
    outcome = toolkit(*name.split(), *CHEAP[name], "--json", "--quiet", cwd=tmp_path)
    assert (outcome.code, outcome.err) == (0, "")
    assert document(outcome, name.replace(" ", "-"))["command"] == name


@pytest.mark.parametrize("name", EVERY)
def test_every_command_fails_with_a_document(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*name.split(), "--json", "--no-such-option"]) == 2
    content = json.loads(capsys.readouterr().out)
    assert problems("failure", content) == []
    assert (content["command"], content["error"]["id"]) == (name, "config.command-line")


@pytest.mark.parametrize("typed", [["--json"], ["runs", "--json"], ["--json", "nosuch"]])
def test_a_call_without_a_command_fails_with_a_document(typed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(typed) == 2
    assert problems("failure", json.loads(capsys.readouterr().out)) == []


@pytest.mark.parametrize("place", [0, 1, 3])
def test_the_option_is_read_at_any_place(tmp_path: Path, place: int) -> None:
    typed = ["recipes", "show", "text"]
    typed.insert(place, "--json")
    values = document(toolkit(*typed, cwd=tmp_path), "recipes-show")["values"]
    assert {"key", "value", "origin", "meaning"} == values[0].keys()


def test_after_two_dashes_it_is_an_argument(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["recipes", "show", "--", "--json"]) == 2
    assert capsys.readouterr().out == ""


def test_help_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--help", "--json"]) == 0
    assert "Usage:" in capsys.readouterr().out


def test_what_a_library_prints_is_not_in_the_document(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def talkative() -> list[Any]:
        print("a library says hello")
        return []

    monkeypatch.setattr("toolkit.doctor.findings", talkative)
    with output_mode(quiet=False, as_json=True):
        doctor()
    printed = capsys.readouterr()
    assert problems("doctor", json.loads(printed.out)) == []
    assert "a library says hello" in printed.err
    print("afterwards")
    assert capsys.readouterr().out == "afterwards\n"


def test_a_text_that_is_no_unicode_is_kept_as_an_escape(capsys: pytest.CaptureFixture[str]) -> None:
    name = "caf\udce9"
    with output_mode(quiet=False, as_json=True):
        report_failure(ToolkitError(name, "Rename it.", id="run.other"))
    assert json.loads(capsys.readouterr().out)["error"]["problem"] == name


def test_schemas_are_listed_and_printed(tmp_path: Path) -> None:
    listed = document(toolkit("schema", "--json", cwd=tmp_path), "schema")
    assert [entry["name"] for entry in listed["schemas"]] == list(SCHEMAS)
    assert listed["schema"] is None
    one = toolkit("schema", "report.json", cwd=tmp_path)
    assert json.loads(one.out) == SCHEMAS["report.json"]
    assert document(toolkit("schema", "failure", "--json", cwd=tmp_path), "schema")["schema"] == SCHEMAS["failure"]
    wrong = toolkit("schema", "nosuch", "--json", cwd=tmp_path)
    assert (wrong.code, document(wrong, "failure")["error"]["id"]) == (2, "config.unknown-choice")


def test_schemas_need_nothing_heavy() -> None:
    import subprocess

    program = "import sys; from toolkit.api.documents.schemas import all_schemas; all_schemas(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "datasets", "evaluate", "peft"} & set(done.stdout.split())


def test_exit_codes_are_those_of_the_code() -> None:
    classes = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, ToolkitError)]
    classes.append(streams.OutputLost)
    codes = {0, console.INTERRUPTED, console.NOT_PASSED, launcher.ECHO, *(kind.exit_code for kind in classes)}
    codes.add(streams.OutputLost(BrokenPipeError(32, "Broken pipe")).exit_code)
    assert set(EXIT_CODES) == codes
    assert list(EXIT_CODES) == sorted(EXIT_CODES)


@pytest.mark.parametrize(
    ("typed", "code"), [(["recipes", "list"], 0), (["evaluate", "nowhere"], 2), (["compare", "a", "--gate"], 2)]
)
def test_exit_code_of_a_command(tmp_path: Path, typed: list[str], code: int) -> None:
    outcome = toolkit(*typed, "--json", cwd=tmp_path)
    assert outcome.code == code
    if code:
        assert document(outcome, "failure")["error"]["exit_code"] == code


def test_exit_code_where_output_cannot_be_written(tmp_path: Path) -> None:
    import subprocess

    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run([sys.executable, "-m", "toolkit", "recipes", "list", "--json"], stdout=full, cwd=tmp_path)
    assert done.returncode == 1


def test_the_page_names_every_schema() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in schemas.all_schemas() if f"`{name}`" not in text] == []
