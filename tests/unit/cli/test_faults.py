"""Messages for failures that the machine causes."""

import errno
import json
import os

import pytest

from toolkit.cli import _run as run
from toolkit.cli.console import output_mode, report_failure
from toolkit.cli.faults import explained
from toolkit.cli.streams import OutputLost
from toolkit.errors import DataError, Interrupted, ModelError, RunError


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
        RuntimeError("unable to mmap 9 bytes from file: Cannot allocate memory (12)"),
        RuntimeError("can't start new thread"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
        caused(ModelError("The checkpoint cannot be loaded.", "Check it."), MemoryError()),
        caused(KeyError("x"), MemoryError()),
    ],
)
def test_out_of_memory_is_reported(error, capsys):
    assert report_failure(error) == 1
    output = capsys.readouterr().err
    assert output.startswith("Error [machine.out-of-memory]: ")


def test_refusals_keep_their_own_words():
    refused = caused(ModelError("No weights.", "Copy it."), KeyError("x"))
    assert explained(refused) is refused
    stopped = caused(RunError("Memory ran out.", "Lower `training.micro_batch_size`."), MemoryError())
    assert explained(stopped) is stopped


@pytest.mark.parametrize(
    ("error", "code", "identifier", "fact"),
    [
        (RecursionError(), 2, "data.nested-too-deeply", "--debug"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 1, "machine.connection-lost", "Broken pipe"),
        (ConnectionResetError(errno.ECONNRESET, "reset by peer"), 1, "machine.connection-lost", "reset by peer"),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "machine.disk-full", "No space left on device"),
        (PermissionError(errno.EACCES, "denied", "runs/a"), 1, "machine.permission-denied", "runs/a: denied"),
        (OSError(errno.EROFS, "Read-only", "b"), 1, "machine.read-only-disk", "b: Read-only"),
        ("\ud800".encode, 2, "machine.locale", "PYTHONUTF8=1"),
    ],
)
def test_the_machine_is_named(error, code, identifier, fact, capsys):
    if callable(error):
        with pytest.raises(UnicodeEncodeError) as caught:
            error()
        error = caught.value
    assert report_failure(error) == code
    output = capsys.readouterr().err
    assert output.startswith(f"Error [{identifier}]: ")
    assert fact in output


def test_a_fault_of_the_toolkit_is_called_one(capsys):
    assert report_failure(KeyError("x")) == 1
    assert capsys.readouterr().err.startswith("Error [internal.unexpected]: KeyError: 'x'")


def test_user_interruption_is_no_error(capsys):
    assert report_failure(Interrupted("Stopped at step 3.", "Go on with --resume.")) == 130
    assert capsys.readouterr().err == "\nStopped at step 3.\n  → Go on with --resume.\n"


def as_json(error: BaseException, capsys) -> tuple[int, dict, str]:
    """Return the exit code, what standard output holds of the failure, and standard error."""
    with output_mode(quiet=False, as_json=True, command="finetune"):
        code = report_failure(error)
    printed = capsys.readouterr()
    content = json.loads(printed.out)
    assert list(content) == ["command", "toolkit_version", "schema_version", "error"]
    assert content["command"] == "finetune"
    return code, content["error"], printed.err


@pytest.mark.parametrize(
    ("error", "identifier", "code"),
    [
        (DataError("No rows.", "Give some.", id="data.no-rows"), "data.no-rows", 2),
        (PermissionError(errno.EACCES, "Permission denied", "runs/a"), "machine.permission-denied", 1),
        (OSError(errno.ENOSPC, "No space left on device"), "machine.disk-full", 1),
        (OSError(errno.EMFILE, "Too many open files"), "machine.too-many-open-files", 1),
        (Interrupted("Stopped at step 3.", "Go on with --resume."), "run.interrupted", 130),
        (KeyboardInterrupt(), "run.interrupted", 130),
        (KeyError("x"), "internal.unexpected", 1),
    ],
)
def test_failures_as_json(error, identifier, code, capsys):
    ended, content, _ = as_json(error, capsys)
    assert (ended, content["exit_code"], content["id"]) == (code, code, identifier)
    assert set(content) == {"id", "problem", "fix", "exit_code"}


def test_json_holds_the_words_of_standard_error(capsys):
    _, content, err = as_json(DataError("Row 3: no “text”.", "Give one.", id="data.no-rows"), capsys)
    assert err == f"Error [data.no-rows]: {content['problem']}\n  → {content['fix']}\n"


def test_lost_output_gets_no_json(capsys):
    with output_mode(quiet=False, as_json=True):
        assert report_failure(OutputLost(OSError(errno.ENOSPC, "No space left on device"))) == 1
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("arguments", "expected"), [(["--json", "--nosuch"], "--nosuch"), (["--json", "x"], "x")])
def test_wrong_call_as_json(arguments, expected, capsys):
    assert run(["doctor", *arguments]) == 2
    printed = capsys.readouterr()
    content = json.loads(printed.out)["error"]
    assert (content["id"], content["exit_code"]) == ("config.command-line", 2)
    assert expected in content["problem"]
    assert expected in printed.err


def test_wrong_call_without_json_prints_nothing_on_standard_output(capsys):
    assert run(["doctor", "--nosuch"]) == 2
    assert capsys.readouterr().out == ""


def test_closed_reader_gets_no_message(capsys):
    assert report_failure(OutputLost(BrokenPipeError(errno.EPIPE, "Broken pipe"))) == 141
    assert capsys.readouterr().err == ""
