"""Files as text: gzip, size limit and encoding, with errors that name the line and the way out."""

import codecs
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO, NoReturn, cast

from toolkit.errors import DataError

MAX_UNPACKED = 8 * 2**30  # bytes; a small .gz can unpack to more than any memory holds

# UTF-32 first: its little-endian mark begins with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def check_encoding(encoding: str) -> None:
    """Raise DataError if Python has no text encoding of this name."""
    try:
        " ".encode(encoding)
    except (LookupError, ValueError):
        raise DataError(
            f"There is no text encoding named {encoding!r}.",
            "Use a name that Python knows (utf-8, cp1252, latin-1, utf-16, …), as in --set data.encoding=cp1252.",
        ) from None


def read_text(path: Path, encoding: str | None) -> str:
    """Return the text of a whole file, line ends as written and without a byte order mark."""
    with open_text(path, encoding) as stream:
        return stream.read().removeprefix("\ufeff")


@contextmanager
def open_text(path: Path, encoding: str | None) -> Iterator[TextIOWrapper]:
    """Open a file to read text; bytes that do not decode, now or while reading, raise a DataError."""
    if path.suffix.lower() == ".gz":
        _check_gzip(path)
    encoding = encoding or _marked_encoding(path)
    # newline="" leaves line ends inside quoted CSV fields as they are.
    with _open_bytes(path) as raw, TextIOWrapper(raw, encoding, newline="") as stream:
        try:
            yield stream
        except UnicodeDecodeError:
            _raise_undecodable(path, encoding)
        except UnicodeError as error:
            raise DataError(f"{path} is not {encoding}: {error}.", "Name its encoding: --set data.encoding=…") from None


def _open_bytes(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path)) if path.suffix.lower() == ".gz" else path.open("rb")


def _check_gzip(path: Path) -> None:
    """Unpack once and keep nothing: a damaged or vast file is told before any row is read."""
    size = 0
    try:
        with gzip.open(path) as stream:
            while block := stream.read(2**20):
                size += len(block)
                if size > MAX_UNPACKED:
                    most = f"{MAX_UNPACKED / 2**30:g} GiB"
                    raise DataError(
                        f"{path} unpacks to more than {most}, the most that is read from one file.",
                        "Split it into several files (train-1.csv.gz, train-2.csv.gz, …), or convert it to Parquet.",
                    )
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"{path} cannot be unpacked: it is cut short, damaged or no gzip file ({error}).",
            "Download or copy it again; `gzip -t FILE` tells whether a file is whole.",
        ) from None


def _marked_encoding(path: Path) -> str:
    """Return the encoding that the byte order mark names; UTF-8 without one."""
    with _open_bytes(path) as stream:
        head = stream.read(4)
    for mark, encoding in _MARKS.items():
        if head.startswith(mark):
            return encoding
    if 0 in head[:2]:  # no table begins with a NUL, but half the bytes of plain letters in UTF-16 are NUL
        guess = "utf-16-be" if head[0] == 0 else "utf-16-le"
        raise DataError(
            f"{path} is not UTF-8 text: NUL bytes in its first line.",
            f"If it is text in UTF-16, add --set data.encoding={guess}. Otherwise save it as text in UTF-8.",
        )
    return "utf-8-sig"


def _raise_undecodable(path: Path, encoding: str) -> NoReturn:
    """Raise the DataError that names the first byte that does not decode, its line, and a likely encoding."""
    decoder = codecs.getincrementaldecoder(encoding)()
    line, data, at = 1, b"", 0
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
    raise DataError(f"{path}:{line}: the byte 0x{data[at]:02x} is not {name}.", fix) from None


def _likely_encodings(sample: bytes) -> list[str]:
    """Return what charset-normalizer takes the bytes for, best first."""
    from charset_normalizer import from_bytes

    # Lines of plain ASCII fit every encoding, and would only drown those that tell.
    telling = b"\n".join(line for line in sample.splitlines() if not line.isascii())
    matches = list(from_bytes(telling[: 2**14]))
    best = [match for match in matches if (match.chaos, match.coherence) == (matches[0].chaos, matches[0].coherence)]
    names = [match.encoding for match in best]
    # Among equals, the encoding of Windows in Western Europe and America is by far the most common.
    if any("cp1252" in (match.encoding, *match.could_be_from_charset) for match in best):
        names.insert(0, "cp1252")
    return list(dict.fromkeys(names))
