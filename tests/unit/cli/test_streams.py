"""Whatever is said can be printed."""

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.cli.streams import mended, take_any_text


def printed(text: str, encoding: str, monkeypatch: pytest.MonkeyPatch) -> str:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        take_any_text()
        print(text, end="", flush=True)
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize(
    ("text", "encoding", "seen"),
    [
        ("très bon → 84 %", "ascii", "tres bon -> 84 %"),
        ("très bon → 84 %", "latin-1", "très bon -> 84 %"),
        ("“a” … – b × Ж", "ascii", '"a" ... - b x \\u0416'),
        ("très bon → 84 %", "utf-8", "très bon → 84 %"),
    ],
)
def test_what_a_terminal_cannot_show_becomes_something_like_it(text, encoding, seen, monkeypatch):
    assert printed(text, encoding, monkeypatch) == seen


@given(st.text(st.characters(codec=None)), st.sampled_from(["ascii", "cp1252", "utf-8", "cp850"]))
def test_any_text_can_be_printed(text, encoding):
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert bool(printed(mended(text), encoding, monkeypatch)) == bool(text)


def test_names_of_files_are_letters_again():
    assert mended("caf\udcc3\udca9.csv \ud83d") == "café.csv \ud83d"
    assert mended("caf\udce9.csv") == "caf\ufffd.csv"
