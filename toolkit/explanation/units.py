"""Parts of a text that are one thing to a reader: words with apostrophes, and negations with what they negate."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Span = tuple[int, int]  # first character, and the one after the last

_APOSTROPHE = "['\u2019\u02bc]"
_WORD = rf"[^\W_]+(?:{_APOSTROPHE}[^\W_]+)*"  # isn't, rock'n'roll
_ENDING = rf"{_APOSTROPHE}(?:s|d|m|t|re|ve|ll)\b"  # of a word before a blank
_PART = re.compile(rf"{_WORD}|(?<!\S){_ENDING}|\S", re.IGNORECASE)
_LONGEST = 5  # words of a negation with what it negates


def units(text: str, lists: Mapping[str, Any]) -> list[Span]:
    """Return the parts of a text that a word of a tokenizer may be smaller than, in their order.

    A negation takes the next word with it, across the words of `negated_over` ("not a very good"): leaving out "good"
    alone would turn the text into its opposite, and leaving out "not" would too.

    Args:
        text: The text.
        lists: "negating_words", words that negate, where "n't" is any word that ends so; and "negated_over".
    """
    parts = [match.span() for match in _PART.finditer(text)]
    words = [_plain(text[start:end]) for start, end in parts]
    endings = tuple(word for word in map(_plain, lists["negating_words"]) if "'" in word)
    negations = {_plain(word) for word in lists["negating_words"]}
    over = {_plain(word) for word in lists["negated_over"]}
    found: list[Span] = []
    place = 0
    while place < len(parts):
        last = place
        if words[place] in negations or words[place].endswith(endings):
            last = _negated(words, place, over)
        found.append((parts[place][0], parts[last][1]))
        place = last + 1
    return found


def _negated(words: Sequence[str], place: int, over: set[str]) -> int:
    """Return the number of the word that a negation reaches; its own where a sign or the end follows."""
    for last in range(place + 1, min(len(words), place + _LONGEST)):
        if not words[last][0].isalnum():
            return place
        if words[last] not in over:
            return last
    return place


def _plain(word: str) -> str:
    return re.sub(_APOSTROPHE, "'", word).casefold()


def joined(spans: Sequence[Sequence[int]], offsets: Sequence[Span], parts: Sequence[Span]) -> list[tuple[int, ...]]:
    """Join the tokens of words that lie in one part of a text.

    Args:
        spans: Places of each word's tokens, in the order of the text.
        offsets: Characters of each token.
        parts: From `units`.
    """

    def within() -> Iterator[tuple[int, Sequence[int]]]:
        part = 0
        for span in spans:
            while part + 1 < len(parts) and offsets[span[0]][0] >= parts[part][1]:
                part += 1
            yield part, span

    groups: dict[int, list[int]] = {}
    for part, span in within():
        groups.setdefault(part, []).extend(span)
    return [tuple(group) for group in groups.values()]
