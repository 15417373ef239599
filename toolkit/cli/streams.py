"""Standard output and error that take any text, whatever the terminal's encoding can hold."""

import codecs
import io
import re
import sys
import unicodedata

_PLAIN = {"→": "->", "–": "-", "—": "-", "−": "-", "×": "x", "“": '"', "”": '"', "’": "'", "⏎": "/"}

_ESCAPED = re.compile("[\udc80-\udcff]+")


def take_any_text() -> None:
    """Replace what a stream cannot encode by something like it, instead of failing."""
    codecs.register_error("toolkit-readable", _readable)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="toolkit-readable")


def _readable(error: UnicodeError) -> tuple[str, int]:
    """é becomes e, an arrow ->, and what resembles nothing its number."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    return "".join(_PLAIN.get(sign) or _like(sign) for sign in signs), error.end


def _like(sign: str) -> str:
    alike = unicodedata.normalize("NFKD", sign).encode("ascii", "ignore")
    return (alike or sign.encode("ascii", "backslashreplace")).decode("ascii")


def mended(text: str) -> str:
    """Return a text in which the bytes of file names, kept by Python as lone surrogates, are letters again."""
    return _ESCAPED.sub(lambda found: found[0].encode("utf-8", "surrogateescape").decode("utf-8", "replace"), text)
