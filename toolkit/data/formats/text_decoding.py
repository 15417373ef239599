"""Files as text: gzip, size limit and encoding, with errors that name the line and the fix."""

import codecs
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO, NoReturn, Protocol, cast

from toolkit.errors import DataError

MAX_UNPACKED = 8 * 2**30  # bytes; a small .gz can unpack to more than any memory holds
MAX_LINE = 16 * 2**20  # characters
_HARMLESS = 2**30  # bytes, which any machine holds
_RATIO = 200  # ordinary data is seldom compressed by a larger factor

# UTF-32 first: its little-endian mark begins with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_ORDERS = {
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
    codecs.BOM_UTF8: "utf-8",
}

# Encodings that tables come in, the commonest first; others are named only when none of them fits.
_COMMON = (
    "cp1252",
    "cp1251",
    "cp1250",
    "cp1253",
    "cp1254",
    "koi8_r",
    "cp866",
    "mac_roman",
    "cp850",
    "gb18030",
    "big5",
    "cp932",
    "euc_jp",
    "cp949",
    "utf_16_le",
    "utf_16_be",
)
# Files that are mistaken for a table by their name.
_SIGNATURES = {
    b"PK\x03\x04": "a ZIP archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an old Excel or Word document",
    b"\x1f\x8b": "data packed with gzip",
    b"%PDF": "a PDF document",
    b"PAR1": "a Parquet table",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
}
_CONTROLS = bytes({*range(32), 127} - set(b"\a\b\t\n\v\f\r\x0e\x0f\x1b"))  # never in text


def check_encoding(encoding: str) -> None:
    """Raise DataError if Python has no text encoding of this name."""
    try:
        " ".encode(encoding)
    except (LookupError, ValueError):
        raise DataError(
            f"Unknown text encoding {encoding!r}.",
            "Use a name that Python knows (utf-8, cp1252, latin-1, utf-16, …), as in --set data.encoding=cp1252.",
            id="config.unknown-encoding",
        ) from None


def most_unpacked(path: Path) -> int:
    """Return the maximum size of a file's content in memory, so that a few bytes cannot fill it."""
    return max(_HARMLESS, _RATIO * path.stat().st_size)


def too_large(path: Path) -> DataError:
    """Return the refusal of a file that unpacks to more than `most_unpacked`."""
    return DataError(
        f"{path} unpacks to more than {most_unpacked(path) / 2**30:.3g} GiB, out of {path.stat().st_size:,} bytes.",
        "If that is intended, split it into several files, or drop unneeded columns.",
        id="data.too-large",
    )


class Readable(Protocol):
    """An object whose lines can be read."""

    def readline(self, size: int, /) -> str:
        """Return the rest of the line, or `size` characters of it; nothing at the end."""


class Peeked:
    """A text whose first line can be looked at before it is read.

    Attributes:
        first: The first line, up to one character more than `MAX_LINE`.
    """

    def __init__(self, stream: Readable) -> None:
        self.first = stream.readline(MAX_LINE + 1)
        self._taken = False
        self._stream = stream

    def readline(self, size: int, /) -> str:
        """Return the rest of the line, or `size` characters of it; nothing at the end."""
        if self._taken:
            return self._stream.readline(size)
        self._taken = True
        return self.first


def lines(stream: Readable) -> Iterator[str]:
    """Yield the lines of a text; one longer than `MAX_LINE` is cut after one character more, and the rest skipped."""
    while line := stream.readline(MAX_LINE + 1):
        rest = line
        while len(rest) > MAX_LINE and not rest.endswith(("\n", "\r")):
            rest = stream.readline(MAX_LINE + 1)
        yield line


def whole_lines(stream: Readable, path: Path) -> Iterator[str]:
    """Yield the lines of a text.

    Raises:
        DataError: One is longer than `MAX_LINE`.
    """
    for number, line in enumerate(lines(stream), 1):
        if len(line) > MAX_LINE:
            raise DataError(
                f"{path}:{number}: {too_long('line')}.",
                "Write one example per line, and split longer ones.",
                id="data.too-long",
            )
        yield line


def too_long(what: str) -> str:
    """Return the message that a line, or an item, exceeds the limit."""
    return f"this {what} is longer than {MAX_LINE / 2**20:g} Mi characters"


def read_text(path: Path, encoding: str | None) -> str:
    """Return the text of a whole file, line ends as written and without a byte order mark."""
    with open_text(path, encoding) as stream:
        text = stream.read(MAX_LINE + 1)
        if len(text) > MAX_LINE:
            raise DataError(f"{path}: {too_long('text')}.", "Split it into several files.", id="data.too-long")
        return text.removeprefix("\ufeff")


def read_lines(path: Path, encoding: str | None) -> list[str]:
    """Return the lines of a whole file without their ends and without a byte order mark."""
    with open_text(path, encoding) as stream:
        lines = [line.rstrip("\r\n") for line in stream]
    return [lines[0].removeprefix("\ufeff"), *lines[1:]] if lines else []


@contextmanager
def open_text(path: Path, encoding: str | None, errors: str = "strict") -> Iterator[TextIOWrapper]:
    """Open a file to read text; bytes that do not decode, now or while reading, raise a DataError.

    A line ends at a line feed, with or without a carriage return before it; at a carriage return alone only in a file
    that holds no line feed. No other character ends a line, and all line ends stay as they are.

    Args:
        path: The file.
        encoding: Its encoding; that of its byte order mark, or UTF-8, when None.
        errors: "surrogateescape" reads a byte that does not decode as a lone surrogate; a binary file is still refused.
    """
    if path.suffix.lower() == ".gz":
        check_gzip(path)
    encoding = encoding or _marked_encoding(path)
    if errors != "strict":
        _check_text(path, encoding)
    try:
        line_end = _line_end(path, encoding)
        with _open_bytes(path) as raw, TextIOWrapper(raw, encoding, errors, newline=line_end) as stream:
            yield stream
    except UnicodeDecodeError:
        _raise_undecodable(path, encoding)
    except UnicodeError as error:
        raise DataError(
            f"{path} is not {encoding}: {error}.", "Give its encoding: --set data.encoding=…", id="data.wrong-encoding"
        ) from None


def _open_bytes(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path)) if path.suffix.lower() == ".gz" else path.open("rb")


def _line_end(path: Path, encoding: str) -> str:
    """Return the character that ends the lines of a file, reading as far as its first line feed."""
    returns = False
    with _open_bytes(path) as raw, TextIOWrapper(raw, encoding, "replace", newline="") as stream:
        while block := stream.read(2**16):
            if "\n" in block:
                return "\n"
            returns = returns or "\r" in block
    return "\r" if returns else "\n"


def check_gzip(path: Path) -> None:
    """Unpack once and keep nothing, so that a damaged or too large file fails before any row is read."""
    size, most = 0, min(MAX_UNPACKED, most_unpacked(path))
    try:
        with gzip.open(path) as stream:
            while block := stream.read(2**20):
                size += len(block)
                if size > most:
                    raise DataError(
                        f"{path} unpacks to more than {most / 2**30:.3g} GiB, the limit.",
                        "Split it into several files (train-1.csv.gz, train-2.csv.gz, …), or convert it to Parquet.",
                        id="data.too-large",
                    )
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"{path} cannot be unpacked: it is truncated, damaged or not a gzip file ({error}).",
            "Download or copy it again; `gzip -t FILE` tells whether a file is intact.",
            id="data.damaged-file",
        ) from None


def byte_order_mark(path: Path) -> str | None:
    """Return the encoding, with its order of bytes, that the byte order mark of a file names; None without one."""
    with _open_bytes(path) as stream:
        head = stream.read(4)
    return next((name for mark, name in _ORDERS.items() if head.startswith(mark)), None)


def _marked_encoding(path: Path) -> str:
    """Return the encoding that the byte order mark names; UTF-8 without one."""
    with _open_bytes(path) as stream:
        head = stream.read(16)
    for mark, encoding in _MARKS.items():
        if head.startswith(mark):
            return encoding
    # No table begins with a NUL, but ASCII letters in UTF-16 contain one each.
    first = head[:2].find(0)
    if first >= 0 and 2 * head[first::2].count(0) > len(head[first::2]):
        guess = "utf-16-be" if first == 0 else "utf-16-le"
        raise DataError(
            f"{path} is not UTF-8 text: NUL bytes in its first line.",
            f"If it is UTF-16 text, add --set data.encoding={guess}. Otherwise save it as UTF-8 text.",
            id="data.wrong-encoding",
        )
    return "utf-8-sig"


def _check_text(path: Path, encoding: str) -> None:
    """Raise the DataError that names the format of a file without text."""
    if encoding.startswith(("utf-16", "utf-32")):
        return
    with _open_bytes(path) as stream:
        kind = _binary_kind(stream.read(2**16))
    if kind is not None:
        raise DataError(
            f"{path} is not a text file: it holds {kind}.",
            "Give a text file that holds a table, or save this one as CSV in UTF-8.",
            id="data.not-text",
        ) from None


def _raise_undecodable(path: Path, encoding: str) -> NoReturn:
    """Raise the DataError that names the first byte that does not decode, its line, and a likely encoding."""
    decoder = codecs.getincrementaldecoder(encoding)()
    line, data, at = 1, b"", 0
    _check_text(path, encoding)
    with _open_bytes(path) as stream:
        try:
            while block := stream.read(2**16):
                line += decoder.decode(block).count("\n")
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            data, at = error.object, error.start
            line += data[:at].decode(encoding, "ignore").count("\n")
            data += stream.read(2**16)
    likely = _likely_encodings(data[data.rfind(b"\n", 0, at) + 1 :])
    fix = "Save the file as UTF-8."
    if likely:
        fix = f"If the file is in {likely[0]}, add --set data.encoding={likely[0]}. Otherwise save it as UTF-8."
    if likely[1:]:
        fix += f" Also possible: {', '.join(likely[1:3])}."
    name = "UTF-8" if encoding == "utf-8-sig" else encoding
    raise DataError(f"{path}:{line}: the byte 0x{data[at]:02x} is not {name}.", fix, id="data.wrong-encoding") from None


def _likely_encodings(sample: bytes) -> list[str]:
    """Return the encodings in which the bytes read like language, most likely first."""
    from charset_normalizer import from_bytes

    # Lines of plain ASCII fit every encoding and give no evidence.
    telling = b"\n".join(line for line in sample.splitlines() if not line.isascii())[: 2**14]
    scores: dict[str, tuple[float, float]] = {}
    for match in from_bytes(telling, cp_isolation=list(_COMMON), preemptive_behaviour=False, enable_fallback=False):
        for name in (match.encoding, *match.could_be_from_charset):
            if name in _COMMON:
                scores.setdefault(name, (match.chaos, match.coherence))
    if not scores:
        return [match.encoding for match in from_bytes(telling)]
    best = min(chaos for chaos, _ in scores.values())

    # Small differences mean nothing in a few words; there the more common encoding is the likelier one.
    def rank(name: str) -> tuple[float, float, int]:
        chaos, coherence = scores[name]
        return round(chaos - best, 1), -round(coherence, 1), _COMMON.index(name)

    return sorted(scores, key=rank)


def _binary_kind(head: bytes) -> str | None:
    """Name the format of a file by its first bytes if these are not text without NULs; else None."""
    for signature, kind in _SIGNATURES.items():
        if head.startswith(signature):
            return kind
    controls = len(head) - len(head.translate(None, _CONTROLS))
    return "binary data" if controls > len(head) / 100 else None
