"""The words of a text, separated as in the training rows.

Data sets of words separate punctuation ("Paris" ","), and many also clitics ("it" "'s"). Which ones is learned from the
training rows: a sign is separated from the words before or after it where it stands alone in the training rows more
often than attached to a word. Rows of texts that were cut at white space separate nothing, and neither is a new text.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Places = list[tuple[int, int]]  # start and end of each word, in characters

LEAST = 2  # times that a sign must stand alone
_LONGEST = 4  # characters of a sign
_CHUNK = re.compile(r"\S+")
_SIGN = re.compile(r"[^\w\s]{1,3}")
_CLITIC_AFTER = re.compile(r"(n['’]t|['’]\w{1,3})")
_CLITIC_BEFORE = re.compile(r"\w{1,3}['’]")


@dataclass(frozen=True)
class Splitting:
    """What is separated from words.

    Attributes:
        before: Signs that are words of their own at the beginning of a word, in lower case.
        after: The same at its end.
    """

    before: frozenset[str] = field(default_factory=frozenset)
    after: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> "Splitting":
        """Return what a model stores; nothing is separated where it stores nothing."""
        lists = (stored.get(side) for side in ("before", "after"))
        return cls(*(frozenset(map(str, listed)) if isinstance(listed, list) else frozenset() for listed in lists))

    def as_dict(self) -> dict[str, Any]:
        """Return it as a model stores it."""
        return {"before": sorted(self.before), "after": sorted(self.after)}


# For texts with marked entities, whose words the data do not give.
USUAL = Splitting(
    frozenset("([{<\"'“‘„«¿¡"),
    frozenset((*".,;:!?)]}>\"'”’»…%", "...", "'s", "’s", "n't", "n’t", "'m", "'re", "'ve", "'ll", "'d")),
)


def learned(rows: Iterable[Sequence[str]]) -> Splitting:
    """Return what training rows separate from words."""
    counts = Counter(word.lower() for words in rows for word in words)
    begins, ends = Counter[str](), Counter[str]()
    for word, count in counts.items():
        for size in range(1, min(_LONGEST + 1, len(word))):
            if any(map(str.isalnum, word[size:])):
                begins[word[:size]] += count
            if any(map(str.isalnum, word[:-size])):
                ends[word[-size:]] += count
    alone = {word: count for word, count in counts.items() if count >= LEAST and len(word) <= _LONGEST}
    return Splitting(
        frozenset(w for w, n in alone.items() if n > begins[w] and (_SIGN.fullmatch(w) or _CLITIC_BEFORE.fullmatch(w))),
        frozenset(w for w, n in alone.items() if n > ends[w] and (_SIGN.fullmatch(w) or _CLITIC_AFTER.fullmatch(w))),
    )


def places(text: str, splitting: Splitting) -> Places:
    """Return the place of each word of a text."""
    found: Places = []
    for chunk in _CHUNK.finditer(text):
        start, end = chunk.span()
        while size := _longest(text, start, end, splitting.before, at_end=False):
            found.append((start, start + size))
            start += size
        behind = []
        while size := _longest(text, start, end, splitting.after, at_end=True):
            behind.append((end - size, end))
            end -= size
        found += [(start, end), *reversed(behind)]
    return found


def _longest(text: str, start: int, end: int, signs: frozenset[str], *, at_end: bool) -> int:
    """Return the length of the longest sign at the beginning or end of a word; 0 where none leaves anything."""
    for size in range(min(_LONGEST, end - start - 1), 0, -1):
        sign = text[end - size : end] if at_end else text[start : start + size]
        if sign.lower() in signs and not (at_end and sign == "." and _abbreviated(text[start : end - 1])):
            return size
    return 0


def _abbreviated(word: str) -> bool:
    """Whether a stop after a word is part of it: "U.S.", "J."."""
    return "." in word.rstrip(".") or (len(word) == 1 and word.isalpha())


def joined(words: Sequence[str]) -> tuple[str, Places]:
    """Return the text of words with a blank between them, and the place of each."""
    found, start = [], 0
    for word in words:
        found.append((start, start + len(word)))
        start += len(word) + 1
    return " ".join(words), found
