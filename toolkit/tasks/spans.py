"""Entities as spans of words, and the schemes in which labels of words write them.

B-PER I-PER O      IOB2: B- begins an entity, I- continues it, O is outside
I-PER I-PER O      IOB1: B- only where an entity follows another of its type
B-PER E-PER S-LOC  BIOES (BILOU: L- for E-, U- for S-): the last word, and an entity of one word, are marked
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

OUTSIDE = "O"
WORD_PROBABILITIES = "word_probabilities"  # column of predictions: of each class for each word; None for unread words
_LABEL = re.compile(r"[BIESLU]-\S.*", re.DOTALL)
_BEGINS, _ENDS = "BSU", "ESLU"


class Span(NamedTuple):
    """An entity in a sentence.

    Attributes:
        start: Its first word, from 0.
        end: The word after its last one.
        type: Its type, such as "PER".
    """

    start: int
    end: int
    type: str


def spans_of(labels: Sequence[str]) -> list[Span]:
    """Return the entities that labels of the scheme IOB write; an I- with nothing to continue begins one."""
    spans = []
    start, kind = 0, ""
    for place, label in enumerate([*labels, OUTSIDE]):
        prefix, _, name = label.partition("-")
        if kind and (prefix != "I" or name != kind):
            spans.append(Span(start, place, kind))
            kind = ""
        if prefix in ("B", "I") and not kind:
            start, kind = place, name
    return spans


def labels_of(spans: Sequence[Span], words: int) -> list[str]:
    """Write entities that do not overlap as labels of the scheme IOB2."""
    labels = [OUTSIDE] * words
    for start, end, kind in spans:
        labels[start:end] = [f"B-{kind}", *[f"I-{kind}"] * (end - start - 1)]
    return labels


def types_of(labels: Sequence[str]) -> list[str]:
    """Return the types of entities that names of classes write, sorted."""
    return sorted({label[2:] for label in labels if label.startswith(("B-", "I-")) and label[2:]})


def is_scheme(labels: Sequence[str]) -> bool:
    """Whether all labels that occur are of one of the schemes, and any of them begins an entity with a mark."""
    marked = [label for label in labels if label not in (OUTSIDE, "")]
    return all(_LABEL.fullmatch(label) for label in marked) and any(label[0] in _BEGINS for label in marked)


def in_iob2(labels: Sequence[str]) -> list[str]:
    """Rewrite the labels of one sentence in the scheme IOB2; the entities stay the same.

    I- (or E-, L-) with no entity of its type before it begins one; what follows E-, L-, S- or U- begins another.
    """
    written = []
    open_type = ""  # of the entity that the next word may continue
    for label in labels:
        prefix, _, kind = label.partition("-")
        if label in (OUTSIDE, ""):
            open_type = ""
            written.append(label)
            continue
        continues = prefix not in _BEGINS and kind == open_type
        written.append(f"{'I' if continues else 'B'}-{kind}")
        open_type = "" if prefix in _ENDS else kind
    return written
