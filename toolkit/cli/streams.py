"""Standard output and error: any text can be written, control characters are escaped, failures have a message.

Texts, labels and names of files come from other people. A terminal interprets the control characters in them: it sets
its title, moves the cursor, or shows a line in another order. So nothing but line ends and tabs is sent as it is.
"""

import codecs
import contextlib
import errno
import io
import os
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable
from typing import Any

from toolkit.errors import RunError

_PLAIN = {"→": "->", "–": "-", "—": "-", "−": "-", "×": "x", "“": '"', "”": '"', "’": "'", "⏎": "/"}

_ESCAPED = re.compile("[\udc80-\udcff]+")
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but for tab and line feed, DEL, C1
    "\u2028\u2029\u202a-\u202e\u2066-\u2069]"  # line separators, and what changes the order of letters
)
_LINE_UP = "\x1b[A"  # what progress bars of libraries write, as a whole, to reach the bar above


class OutputLost(RunError):
    """Standard output cannot be written.

    Attributes:
        reader_gone: Whether the reader closed it, as `head` does.
    """

    exit_code = 1

    def __init__(self, error: OSError) -> None:
        super().__init__(
            f"Standard output cannot be written: {error.strerror or error}.",
            "Free some space, or redirect the output.",
            id="output.stdout-lost",
        )
        self.reader_gone = error.errno == errno.EPIPE
        if self.reader_gone:
            self.exit_code = 128 + 13  # the exit code of a program that SIGPIPE ended


class Stream:
    """A text stream of the process that sends no control characters, whoever writes: the toolkit, Typer, a library.

    It has no `buffer`, so that no code bypasses it; bytes of data go through `write_data`.

    Args:
        stream: The underlying stream.
        vital: Whether a failure to write matters. A failure of standard error cannot be reported, and a run must
            not end because its log cannot be written.
        trusted: Whether control characters pass, as a progress bar needs them.
    """

    def __init__(self, stream: Any, *, vital: bool, trusted: bool = False) -> None:
        self._stream = stream
        self._vital = vital
        self._trusted = trusted

    def __getattr__(self, name: str) -> Any:
        """Delegate everything else to the stream."""
        if name in ("buffer", "detach"):
            raise AttributeError(name)
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text; a progress bar may begin its line again."""
        start = "\r" if text.startswith("\r") else ""
        as_is = self._trusted or text == _LINE_UP
        safe = text if as_is else start + shown(text.removeprefix("\r"))
        if safe:  # Click tests a stream with an empty text, and ignores the exception
            self._try(lambda: self._stream.write(safe))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Send what was written."""
        self._try(self._stream.flush)

    def write_data(self, data: bytes) -> None:
        """Send data byte for byte."""
        self.flush()
        self._try(lambda: self._stream.buffer.write(data))
        self._try(self._stream.buffer.flush)

    def drawn_on(self) -> "Stream":
        """Return the stream for code that draws on the terminal and escapes control characters itself."""
        return Stream(self._stream, vital=self._vital, trusted=True)

    def _try(self, action: Callable[[], object]) -> None:
        try:
            action()
        except OSError as error:
            with contextlib.suppress(OSError):  # so that the interpreter, which flushes at its end, does not fail again
                _open_nowhere(self._stream.fileno())
            if self._vital:
                raise OutputLost(error) from None


def prepare_streams() -> None:
    """Make standard output and error accept any text, and reopen them where the caller closed them."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            _open_nowhere(number)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
    codecs.register_error("toolkit-readable", _readable)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            ascii_alone = codecs.lookup(stream.encoding).name == "ascii"  # of a default locale
            stream.reconfigure(encoding="utf-8" if ascii_alone else None, errors="toolkit-readable")
            setattr(sys, name, Stream(stream, vital=name == "stdout"))


def _open_nowhere(number: int) -> None:
    """Give a standard stream's number to the null device; were it left closed, the next file would be opened as it."""
    opened = os.open(os.devnull, os.O_RDWR)
    if opened != number:
        os.dup2(opened, number)
        os.close(opened)
    os.set_inheritable(number, True)


def _readable(error: UnicodeError) -> tuple[str, int]:
    """é becomes e, an arrow ->, and a character without a counterpart its number."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    return "".join(_PLAIN.get(sign) or _like(sign) for sign in signs), error.end


def _like(sign: str) -> str:
    alike = unicodedata.normalize("NFKD", sign).encode("ascii", "ignore")
    return (alike or sign.encode("ascii", "backslashreplace")).decode("ascii")


def mended(text: str) -> str:
    """Return a text in which the bytes of file names, kept by Python as lone surrogates, are letters again."""
    return _ESCAPED.sub(lambda match: match[0].encode("utf-8", "surrogateescape").decode("utf-8", "replace"), text)


def shown(text: str) -> str:
    r"""Return a text that is safe for a terminal: control characters are escaped as in JSON, \u001b for ESC."""
    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", mended(text))
