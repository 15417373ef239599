"""Word and character error rates of transcripts, in sums over recordings.

    error rate = edits / length of the reference

Edits are the fewest insertions, deletions and substitutions of words, or of characters, that turn one text into the
other. Both are sums over all recordings, so that long ones count more. The rate may exceed 100 %.

Source: Levenshtein 1966, "Binary codes capable of correcting deletions, insertions, and reversals".
"""

import functools
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.metrics.base import Floats, Metric
from toolkit.metrics.classification import divide

_KEPT = 2**16  # cached pairs: intervals and differences need the same sums again


@dataclass(frozen=True)
class Normalisation:
    """What is done to both texts before they are compared. Numbers stay as they are written.

    Attributes:
        fold_case: Whether the case of letters is ignored.
        remove_punctuation: Whether characters of Unicode's categories P are removed, apostrophes and hyphens too.
    """

    fold_case: bool
    remove_punctuation: bool

    def __call__(self, text: str) -> str:
        """Return a text in Unicode's form NFC, with one space between words."""
        text = unicodedata.normalize("NFC", text)
        if self.fold_case:
            text = text.casefold()
        if self.remove_punctuation:
            text = "".join(sign for sign in text if not unicodedata.category(sign).startswith("P"))
        return " ".join(text.split())

    def __str__(self) -> str:
        case = "folded" if self.fold_case else "kept"
        punctuation = "removed" if self.remove_punctuation else "kept"
        return f"case:{case}|punctuation:{punctuation}|space:single|unicode:NFC|numbers:as-written"


PLAIN = Normalisation(fold_case=True, remove_punctuation=True)
AS_WRITTEN = Normalisation(fold_case=False, remove_punctuation=False)


def edits(first: Sequence[str], second: Sequence[str]) -> int:
    """Return the fewest insertions, deletions and substitutions that turn one sequence into the other."""
    numbers = {item: number for number, item in enumerate(dict.fromkeys([*first, *second]))}
    across = np.array([numbers[item] for item in second], np.int64)
    places = np.arange(len(second) + 1)
    row = places
    for item in first:
        changed = np.minimum(row[1:] + 1, row[:-1] + (across != numbers[item]))  # deletion, substitution
        row = np.concatenate([row[:1] + 1, changed])
        row = np.minimum.accumulate(row - places) + places  # insertions
    return int(row[-1])


@functools.lru_cache(_KEPT)
def _sums(normalisation: Normalisation, words: bool, text: str, reference: str) -> tuple[int, int]:
    ours, true = normalisation(text), normalisation(reference)
    first, second = (ours.split(), true.split()) if words else (list(ours), list(true))
    return edits(first, second), len(second)


def error_rate(sums: Floats) -> Floats:
    """Edits, length of the reference → error rate. (..., 2) → (...).

    Where references are empty, it is 1 if anything was written, else 0.
    """
    changed, length = sums[..., 0], sums[..., 1]
    figures: Floats = np.where(length > 0, divide(changed, length), (changed > 0).astype(np.float64))
    return figures


def metric(name: str, title: str, normalisation: Normalisation, *, words: bool) -> Metric:
    """Return an error rate as a metric.

    Args:
        name: Its name.
        title: As reports print it.
        normalisation: Of both texts.
        words: Whether words are compared, and not characters.
    """
    return Metric(
        name,
        title,
        _statistics(normalisation, words),
        error_rate,
        value_type="string",
        higher_is_better=False,
        signature=lambda: f"unit:{'word' if words else 'character'}|{normalisation}",
    )


def _statistics(
    normalisation: Normalisation, words: bool
) -> Callable[[Sequence[Any], Sequence[Any], Sequence[str]], Floats]:
    def statistics(predictions: Sequence[Any], references: Sequence[Any], _labels: Sequence[str]) -> Floats:
        pairs = zip(predictions, references, strict=True)
        rows = [_sums(normalisation, words, text or "", true or "") for text, true in pairs]
        return np.array(rows, np.float64).reshape(len(rows), 2)

    return statistics


METRICS = {
    definition.name: definition
    for definition in (
        metric("wer", "Word error rate", PLAIN, words=True),
        metric("cer", "Character error rate", PLAIN, words=False),
        metric("wer_as_written", "Word error rate with case and punctuation", AS_WRITTEN, words=True),
        metric("cer_as_written", "Character error rate with case and punctuation", AS_WRITTEN, words=False),
    )
}
