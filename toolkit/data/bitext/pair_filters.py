"""Filters for bad training pairs: copies, implausible lengths, lost markup, the wrong language.

The usual values are learnt from the pairs themselves, independent of the language: how much longer translations
are, and which groups of three letters occur on which side.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.data.bitext.markup import markup, without_links

Flags = np.ndarray[Any, np.dtype[np.bool_]]
Floats = np.ndarray[Any, np.dtype[np.float64]]

FEWEST = 200  # pairs needed to distinguish the two languages
MOST_UPRIGHT = 0.6  # share of the pairs that must seem to be in the right order before any are rejected
SHORTEST = 30  # letters of a text whose language or length is checked
MARGIN = 0.5  # evidence for the other language, mean over the groups of letters, in nats
_SPARE = 10  # characters added to both lengths, so that short texts may differ freely
_BUCKETS = 2**17
_OTHERS = re.compile(r"[\W\d_]+")


def poor(sources: Sequence[str], targets: Sequence[str], most: float) -> dict[str, Flags]:
    """Find bad training pairs: reason → which.

    Args:
        sources: The texts.
        targets: Their translations.
        most: Factor by which lengths may differ from the usual ratio.
    """
    return {
        "the translation is identical to the source": copies(sources, targets),
        "the ratio of the lengths of source and translation is unusual": odd_lengths(sources, targets, most),
        "placeholders or markup of source and translation differ": other_markup(sources, targets),
        "one side seems to be in the language of the other": wrong_language(sources, targets),
    }


def copies(sources: Sequence[str], targets: Sequence[str]) -> Flags:
    """Find translations of two words or more that equal their source. Shape (N,)."""
    return np.array([is_copy(source, target) for source, target in zip(sources, targets, strict=True)], bool)


def is_copy(source: str, target: str) -> bool:
    """Whether a translation equals its source; for a single name or number that is valid."""
    words = [word for word in source.casefold().split() if any(sign.isalpha() for sign in word)]
    return len(words) > 1 and source.casefold().split() == target.casefold().split()


def odd_lengths(sources: Sequence[str], targets: Sequence[str], most: float) -> Flags:
    """Find pairs whose lengths differ from the usual ratio by more than a factor of `most`. Shape (N,)."""
    if not sources:
        return np.zeros(0, bool)
    ratios = np.log([(len(t) + _SPARE) / (len(s) + _SPARE) for s, t in zip(sources, targets, strict=True)])
    flags: Flags = np.abs(ratios - np.median(ratios)) > np.log(most)
    return flags


def other_markup(sources: Sequence[str], targets: Sequence[str]) -> Flags:
    """Find translations whose placeholders or tags are not those of the source; links may differ. Shape (N,)."""
    marks = [[without_links(markup(text)) for text in side] for side in (sources, targets)]
    return np.array([source != target for source, target in zip(*marks, strict=True)], bool)


def wrong_language(sources: Sequence[str], targets: Sequence[str]) -> Flags:
    """Find pairs one side of which is in the language of the other. Shape (N,)."""
    sides = Sides.learn(sources, targets)
    if sides is None:
        return np.zeros(len(sources), bool)
    flags: Flags = (sides.lean(targets) < -MARGIN) | (sides.lean(sources) > MARGIN)
    return flags


@dataclass(frozen=True)
class Sides:
    """Which groups of three letters occur on which side of a set of pairs.

    Attributes:
        odds: Logarithm of how much likelier each group is in targets than in sources. Shape (buckets,).
    """

    odds: Floats

    @classmethod
    def learn(cls, sources: Sequence[str], targets: Sequence[str]) -> "Sides | None":
        """Count both sides; return None where they are too few or too similar to be distinguished.

        Where many pairs seem to be exchanged, the sides are learnt again from the others. Of languages
        that are too similar one text of a pair seems wrong here, the other there; of exchanged pairs both
        do, which is required.
        """
        if len(sources) < FEWEST:
            return None
        sides = cls._counted(sources, targets)
        long = [pair for pair in zip(sources, targets, strict=True) if min(map(len, pair)) >= SHORTEST]
        if not long:
            return None
        left, right = (list(side) for side in zip(*long, strict=True))
        wrong = [np.mean(sides.lean(left) >= 0), np.mean(sides.lean(right) <= 0)]
        if max(wrong) < 0.1:
            return sides
        upright = (sides.lean(left) < 0) & (sides.lean(right) > 0)
        if upright.mean() < MOST_UPRIGHT:
            return None
        chosen = np.flatnonzero(upright)
        sides = cls._counted([left[place] for place in chosen], [right[place] for place in chosen])
        alike = np.mean((sides.lean(left) < 0) == (sides.lean(right) > 0))
        return sides if alike > 0.9 else None

    @classmethod
    def _counted(cls, sources: Sequence[str], targets: Sequence[str]) -> "Sides":
        counts = [np.bincount(_groups(side)[0], minlength=_BUCKETS) + 0.5 for side in (sources, targets)]
        shares = [count / count.sum() for count in counts]
        return cls(np.log(shares[1] / shares[0]))

    def lean(self, texts: Sequence[str]) -> Floats:
        """Return each text's evidence for the targets' language, in nats per group; 0 for short texts. Shape (N,)."""
        if not texts:
            return np.zeros(0)
        groups, starts = _groups(texts)
        sums = np.add.reduceat(self.odds[groups], starts)
        means: Floats = sums / np.diff([*starts, len(groups)])
        return np.where([len(text) >= SHORTEST for text in texts], means, 0.0)


def _groups(texts: Sequence[str]) -> tuple[np.ndarray[Any, np.dtype[np.int64]], np.ndarray[Any, np.dtype[np.int64]]]:
    """Return the hashed groups of three letters of all texts, one text after another, and where each text begins."""
    plain = [f" {_OTHERS.sub(' ', text.casefold()).strip()} " for text in texts]
    letters = np.frombuffer("".join([*plain, "  "]).encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.int64)
    hashed = (letters[:-2] * 1_000_003 + letters[1:-1] * 10_007 + letters[2:]) % _BUCKETS
    lengths = [len(text) for text in plain]
    return hashed, np.cumsum([0, *lengths[:-1]])
