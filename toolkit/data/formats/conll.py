"""CoNLL: a word in each line with its label in the last column, and a blank line between sentences.

-DOCSTART- -X- O O      passed over, like comments: lines that begin with # and hold no label
Peter NNP I-NP B-PER    columns with blanks or tabs between them
slept VBD I-VP O
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from toolkit.data.formats.text_decoding import open_text, whole_lines
from toolkit.errors import DataError

SUFFIXES = (".conll", ".conll2002", ".conll2003", ".iob", ".iob2", ".bio", ".bioes", ".bilou")
MAX_SENTENCE = 2**24  # characters; more have no blank lines between sentences
_LABEL = re.compile(r"O|[BIESLU]-\S+")
_DOCUMENT = "-DOCSTART-"
_INSPECTED = 1000  # lines

Sentence = list[tuple[int, list[str]]]  # number and columns of each line


@dataclass(frozen=True)
class Columns:
    """The columns of a file.

    Attributes:
        count: How many there are.
        label: Number of the column with the labels, from 0.
    """

    count: int
    label: int


def looks_like(path: Path, encoding: str | None) -> bool:
    """Whether a text file is CoNLL: each line ends in a label of the scheme IOB, and some lines are blank."""
    with open_text(path, encoding, "surrogateescape") as stream:
        head = [line.removeprefix("\ufeff").rstrip("\r\n") for line in itertools.islice(stream, _INSPECTED)]
    rows = [_fields(line) for line in head if line.strip() and not line.startswith((_DOCUMENT, "#"))]
    alike = {len(fields) for fields in rows}
    return len(alike) == 1 and alike != {1} and all(_LABEL.fullmatch(fields[-1]) for fields in rows)


def read(path: Path, encoding: str | None) -> tuple[pa.Table, pa.Array]:
    """Read the sentences of a file.

    Returns:
        A table with the columns "words" and "labels", and for each sentence the 1-based line of its first word.

    Raises:
        DataError: With the line that has more or fewer columns than those before it, or a label for no word.
    """
    words: list[list[str]] = []
    labels: list[list[str]] = []
    starts: list[int] = []
    columns = None
    with open_text(path, encoding) as stream:
        for sentence in _sentences(path, whole_lines(stream, path)):
            columns = columns or _columns(path, sentence)
            _check(path, sentence, columns.count)
            starts.append(sentence[0][0])
            words.append([fields[0] for _, fields in sentence])
            labels.append([fields[columns.label] for _, fields in sentence])
    if not words:
        raise DataError(f"{path} holds no words.", "Check that the file is complete.", id="data.no-rows")
    kind = pa.list_(pa.string())
    return pa.table({"words": pa.array(words, kind), "labels": pa.array(labels, kind)}), pa.array(starts, pa.int64())


def stream(path: Path, lines: Iterator[str]) -> Iterator[dict[str, list[str]]]:
    """Yield the "words" of each sentence, and their "labels" where there are some, in bounded memory."""
    columns = None
    for sentence in _sentences(path, lines):
        rows = [fields for _, fields in sentence]
        if columns is None and len(rows[0]) > 1:
            columns = _columns(path, sentence)
        words = {"words": [fields[0] for fields in rows]}
        labelled = columns is not None and all(len(fields) == columns.count for fields in rows)
        yield words | {"labels": [fields[columns.label] for fields in rows]} if columns and labelled else words


def _sentences(path: Path, lines: Iterator[str]) -> Iterator[Sentence]:
    sentence: Sentence = []
    held = 0
    for number, line in enumerate(lines, 1):
        line = line.removeprefix("\ufeff").rstrip("\r\n") if number == 1 else line.rstrip("\r\n")
        fields = _fields(line)
        blank = not line.strip() or fields[0].startswith(_DOCUMENT)
        if blank and sentence:
            yield sentence
            sentence = []
        if not blank and not _is_comment(line, fields):
            sentence.append((number, fields))
            held = held + len(line) if len(sentence) > 1 else len(line)
            if held > MAX_SENTENCE:
                raise DataError(
                    f"{path}:{sentence[0][0]}: this sentence has more than {MAX_SENTENCE:,} characters.",
                    "Write a blank line between sentences.",
                    id="data.too-long",
                )
    if sentence:
        yield sentence


def _fields(line: str) -> list[str]:
    """Return the columns of a line; between tabs a word may be empty, or hold blanks."""
    return line.split("\t") if "\t" in line else line.split()


def _is_comment(line: str, fields: Sequence[str]) -> bool:
    """Whether a line is a comment: "# id = 1", and not the word "#" or "#tag" with its label."""
    return line.startswith("#") and (len(fields) == 1 or not _LABEL.fullmatch(fields[-1]))


def _columns(path: Path, sentence: Sentence) -> Columns:
    """Find the columns by the first sentence: labels are in the last one that holds labels of the scheme IOB."""
    rows = [fields for _, fields in sentence]
    count = len(rows[0])
    if count == 1:
        raise DataError(
            f"{path}:{sentence[0][0]}: this line has one column, a word without a label.",
            "Write each word and its label into a line, with a tab between them.",
            id="label.missing",
        )
    if all(_LABEL.fullmatch(row[0]) for row in rows) and not all(_LABEL.fullmatch(row[-1]) for row in rows):
        raise DataError(
            f"{path}:{sentence[0][0]}: the first column holds labels of the scheme IOB, and the last one does not.",
            "Write the word first and its label last.",
            id="data.columns-swapped",
        )
    of_scheme = [n for n in range(1, count) if all(n < len(row) and _LABEL.fullmatch(row[n]) for row in rows)]
    return Columns(count, of_scheme[-1] if of_scheme else count - 1)


def _check(path: Path, sentence: Sentence, count: int) -> None:
    odd = next(((number, fields) for number, fields in sentence if len(fields) != count), None)
    if odd is not None:
        raise DataError(
            f"{path}:{odd[0]}: this line has {len(odd[1])} columns, but the previous lines have {count}.",
            "Write the same columns for each word, and a blank line between sentences.",
            id="data.wrong-row-width",
        )
