"""What the user is told of failures that are no fault of the toolkit."""

import errno
import os

import pytest

from toolkit.cli.console import report_failure
from toolkit.cli.faults import explained
from toolkit.cli.streams import OutputLost
from toolkit.errors import Interrupted, ModelError, RunError


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
def test_memory_that_ran_out_is_said(error, capsys):
    assert report_failure(error) == 1
    said = capsys.readouterr().err
    assert said.startswith("Error: Memory ran out.")


def test_refusals_keep_their_own_words():
    refused = caused(ModelError("No weights.", "Copy it."), KeyError("x"))
    assert explained(refused) is refused
    stopped = caused(RunError("Memory ran out.", "Lower `training.micro_batch_size`."), MemoryError())
    assert explained(stopped) is stopped


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (RecursionError(), 2, "nested too deep"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 1, "connection"),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), 1, "Connection reset by peer"),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "No space left on device"),
        (PermissionError(errno.EACCES, "Permission denied", "runs/a"), 1, "runs/a: Permission denied"),
        (OSError(errno.EROFS, "Read-only file system", "b"), 1, "b: Read-only file system"),
    ],
)
def test_the_machine_is_named(error, code, words, capsys):
    assert report_failure(error) == code
    said = capsys.readouterr().err
    assert words in said
    assert "fault in the toolkit" not in said


def test_a_fault_of_the_toolkit_is_called_one(capsys):
    assert report_failure(KeyError("x")) == 1
    assert "fault in the toolkit" in capsys.readouterr().err


def test_a_stop_that_the_user_asked_for_is_no_error(capsys):
    assert report_failure(Interrupted("Stopped at step 3.", "Go on with --resume.")) == 130
    assert capsys.readouterr().err == "\nStopped at step 3.\n  → Go on with --resume.\n"


def test_a_reader_that_is_gone_is_told_nothing(capsys):
    assert report_failure(OutputLost(BrokenPipeError(errno.EPIPE, "Broken pipe"))) == 141
    assert capsys.readouterr().err == ""
