"""Rationales: the words of a text that people gave as reasons for its label, and their tokens."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from toolkit.data.formats import cells


def phrases(value: Any) -> list[str]:
    """Return the phrases of one cell: a list, a list as text, or a string with phrases separated by |."""
    if value is None:
        return []
    if isinstance(value, str):
        text = value.strip()
        try:
            listed = json.loads(text) if text.startswith("[") else None
        except ValueError:
            listed = _written(text)
        value = listed if isinstance(listed, list) else text.split("|")
    return [cut for phrase in value if phrase is not None and (cut := str(phrase).strip())]


def _written(text: str) -> list[str] | None:
    try:
        return cells.items(text)
    except cells.BrokenListError:
        return None


def spans(text: str, wanted: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield every occurrence of the phrases in a text, ignoring case.

    A phrase that does not occur is searched for by its words.
    """
    for phrase in wanted:
        matches = list(_places(text, phrase))
        yield from matches or (place for word in phrase.split() for place in _places(text, word))


def _places(text: str, phrase: str) -> Iterator[tuple[int, int]]:
    before = r"(?<!\w)" if phrase[0].isalnum() else ""
    after = r"(?!\w)" if phrase[-1].isalnum() else ""
    for match in re.finditer(before + re.escape(phrase) + after, text, re.IGNORECASE):
        yield match.span()


def marks(encoding: Any, texts: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Return 1 for each token that overlaps a phrase, else 0.

    Args:
        encoding: Of the `tokenizers` package, of one text or of a pair.
        texts: The text, or both.
        wanted: The phrases.
    """
    phrase_spans = [list(spans(text, wanted)) for text in texts]
    return [
        int(
            number is not None
            and start < end
            and any(start < stop and begin < end for begin, stop in phrase_spans[number])
        )
        for number, (start, end) in zip(encoding.sequence_ids, encoding.offsets, strict=True)
    ]


def lost(rationales: Sequence[Sequence[str]], texts: Sequence[Sequence[str | None]]) -> int:
    """Count the rationales that do not occur in the example's texts."""
    return sum(
        bool(wanted) and not any(True for text in own for _ in spans(text or "", wanted))
        for wanted, own in zip(rationales, texts, strict=True)
    )
