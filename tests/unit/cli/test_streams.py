"""Every output can be printed, and control characters are escaped."""

import io
import json
import os
import pty
import select
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.cli import console
from toolkit.cli.streams import OutputLost, Stream, mended, prepare_streams, shown


def printed(text: str, encoding: str, monkeypatch: pytest.MonkeyPatch) -> str:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        prepare_streams()
        print(text, end="", flush=True)
    return raw.getvalue().decode(stream.encoding)


@pytest.mark.parametrize(
    ("text", "encoding", "seen"),
    [
        ("très bon → 84 %", "ascii", "très bon → 84 %"),
        ("très bon → 84 %", "latin-1", "très bon -> 84 %"),
        ("“a” … – b × Ж", "latin-1", '"a" ... - b × \\u0416'),
        ("très bon → 84 %", "utf-8", "très bon → 84 %"),
    ],
)
def test_unsupported_characters_are_replaced(text, encoding, seen, monkeypatch):
    assert printed(text, encoding, monkeypatch) == seen


@given(st.text(st.characters(codec=None)), st.sampled_from(["ascii", "cp1252", "utf-8", "cp850"]))
def test_any_text_can_be_printed(text, encoding):
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert bool(printed(mended(text), encoding, monkeypatch)) == bool(text)


def test_names_of_files_are_letters_again():
    assert mended("caf\udcc3\udca9.csv \ud83d") == "café.csv \ud83d"
    assert mended("caf\udce9.csv") == "caf\ufffd.csv"


OBEYED = [
    "\x1b]0;title\x07",
    "\x1b[2J",
    "\x9b31m",
    "\x90+q\x9c",
    "\r",
    "\x08",
    "\x7f",
    "\x0b",
    "\u202e",
    "\u2066",
    "\u2028",
]


@pytest.mark.parametrize("text", OBEYED)
def test_control_characters_are_shown(text):
    result = shown(f"a{text}b")
    assert not set(text) & set(result) - set("]0;title[2J31m+q")
    assert json.loads(f'"{result}"') == f"a{text}b"


@pytest.mark.parametrize("text", [*OBEYED, "a\tb", "é 中 \u200d \u00a0"])
def test_the_program_beside_an_export_shows_the_same(text):
    from toolkit.exporting import run

    assert run.shown(text) == shown(text)


@given(st.text())
def test_nothing_else_changes(text):
    kept = "".join(sign for sign in text if sign in "\t\n" or (sign.isprintable() and sign.isascii()))
    assert shown(kept) == kept


def test_a_byte_of_a_file_name_is_no_control_character():
    assert shown(os.fsdecode(b"a\x9b31m\xc2\x9b2J.csv")) == "a\ufffd31m\\u009b2J.csv"


WRITERS = r"""
import logging, sys, warnings
from toolkit.cli.streams import prepare_streams
prepare_streams()
warnings.warn("warned \x1b[31m")
logging.getLogger("library").error("logged %s", "\x9b31m")
logging.basicConfig(); logging.error("handled \x07")
print("printed \x1b]0;t\x07\u202e", end=""); print()
sys.stderr.write("\rbar 10 %"); sys.stderr.write("\rbar 20 %\x1b[K"); sys.stderr.write("\x1b[A")
raise ValueError("raised \x1b[2J")
"""


def test_libraries_send_no_control_characters():
    done = subprocess.run([sys.executable, "-c", WRITERS], capture_output=True)
    text = (done.stdout + done.stderr).decode()
    for outcome in ("warned \\u001b", "logged \\u009b", "handled \\u0007", "printed \\u001b", "raised \\u001b"):
        assert outcome in text
    assert "\rbar 10 %\rbar 20 %\\u001b[K\x1b[A" in text, "a progress bar may go to the beginning of its line"
    assert text.count("\x1b") == 1
    assert not {"\x9b", "\x07", "\u202e"} & set(text)


def piped(monkeypatch: pytest.MonkeyPatch, action) -> bytes:
    """Return what `action` sends down a pipe that is standard output."""
    reading, writing = os.pipe()
    with monkeypatch.context() as patch, os.fdopen(writing, "w", encoding="latin-1") as stream:
        patch.setattr(sys, "stdout", stream)
        prepare_streams()
        action()
    with os.fdopen(reading, "rb") as stream:
        return stream.read()


def test_data_in_a_pipe_stays_as_it_is(monkeypatch):
    row = {"text": "très \x1b\x9b\u202e\r"}
    line = json.dumps(row, ensure_ascii=False)
    assert piped(monkeypatch, lambda: console.say_row(row)) == f"{line}\n".encode()


def test_data_on_a_terminal_is_the_same_json_without_control_characters(monkeypatch):
    texts = {"text": "très \x1b\x9b\u202e\r"}
    leader, follower = pty.openpty()
    with monkeypatch.context() as patch, os.fdopen(follower, "w", encoding="utf-8") as stream:
        patch.setattr(sys, "stdout", stream)
        prepare_streams()
        console.say_row(texts)
        seen = os.read(leader, 1000).decode()
    os.close(leader)
    assert json.loads(seen) == texts
    assert not {"\x9b", "\u202e", "\x1b"} & set(seen)


def _read_until(terminal: int, mark: str) -> str:
    """Return what a terminal shows, up to a mark; a terminal hands it on in pieces."""
    seen = b""
    while mark not in seen.decode(errors="replace"):
        assert select.select([terminal], [], [], 20)[0], seen
        seen += os.read(terminal, 100_000)
    return seen.decode()


def test_bar_and_other_output_share_a_terminal(monkeypatch):
    from toolkit.events import Counted

    leader, follower = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    with monkeypatch.context() as patch, os.fdopen(follower, "w", encoding="utf-8") as stream:
        patch.setattr(sys, "stderr", stream)
        prepare_streams()
        with console.Watcher() as watch:
            watch(Counted(1, 4))
            sys.stderr.write("library says \x9b31m\n")
        console.note("afterwards \x1b[31m")
        seen = _read_until(leader, "afterwards")
    os.close(leader)
    assert "1/4" in seen
    assert "\x1b[?25l" in seen, "the bar hides the cursor"
    assert "library says \\u009b31m" in seen
    assert "afterwards \\u001b[31m" in seen
    assert "\x9b" not in seen


@pytest.mark.parametrize(("vital", "raises"), [(True, True), (False, False)])
def test_a_full_disk_matters_to_results_and_not_to_notes(vital, raises):
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        stream = Stream(full, vital=vital)
        lost = []
        try:
            stream.write("text")
            stream.flush()
        except OutputLost as error:
            lost.append(error)
        assert [error.exit_code for error in lost] == [1] * raises
        stream.flush()  # the interpreter does at its end
