"""Entities of sentences whose words have labels: true and predicted ones, compared.

An entity is right where its first word, its last word and its type are those of a true one. Its confidence is the
smallest probability that the model gives to the label of one of its words.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.evaluation.context import EvaluationContext
from toolkit.evaluation.overviews.class_figures import class_figures
from toolkit.evaluation.statistics.intervals import Floats
from toolkit.tasks.spans import OUTSIDE, WORD_PROBABILITIES, Span, spans_of, types_of

UNIT = "entities"  # what the report counts, in the place of examples
NONE = "no entity"
SHOWN = 20  # errors
_AROUND = 12  # words that are shown before and after an entity

Integers = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Pair:
    """A true entity and the prediction for it; one of the two is None where there is no counterpart.

    Attributes:
        row: Number of the sentence.
        true: The true entity.
        predicted: The predicted one.
    """

    row: int
    true: Span | None
    predicted: Span | None

    @property
    def right(self) -> bool:
        """Whether the two are the same."""
        return self.true == self.predicted

    @property
    def kind(self) -> str:
        """What is wrong with the prediction; "" for a right one."""
        if self.predicted is None or self.true is None:
            return "missed" if self.predicted is None else "invented"
        where, what = self.true[:2] == self.predicted[:2], self.true.type == self.predicted.type
        wrong = [*([] if what else ["type"]), *([] if where else ["boundary"])]
        return f"wrong {' and '.join(wrong)}" if wrong else ""

    @property
    def words(self) -> range:
        """The words of both."""
        both = [span for span in (self.true, self.predicted) if span is not None]
        return range(min(span.start for span in both), max(span.end for span in both))


def pairs_of(row: int, true: Sequence[Span], predicted: Sequence[Span]) -> list[Pair]:
    """Pair each entity with at most one other: the same one, one with the same words, or the one that overlaps most.

    Args:
        row: Number of the sentence.
        true: Its true entities.
        predicted: Its predicted entities.
    """
    likely = sorted(
        (
            (one != other, one[:2] != other[:2], -_overlap(one, other), first, second)
            for first, one in enumerate(true)
            for second, other in enumerate(predicted)
            if _overlap(one, other)
        ),
    )
    found: dict[int, int] = {}
    for *_, first, second in likely:
        if first not in found and second not in found.values():
            found[first] = second
    pairs = [Pair(row, span, predicted[found[n]] if n in found else None) for n, span in enumerate(true)]
    pairs += [Pair(row, None, span) for n, span in enumerate(predicted) if n not in found.values()]
    return sorted(pairs, key=lambda pair: pair.words.start)


def _overlap(one: Span, other: Span) -> int:
    return max(0, min(one.end, other.end) - max(one.start, other.start))


def compared(predictions: Sequence[Any], references: Sequence[Any], names: Sequence[str]) -> list[Pair]:
    """Return the pairs of all sentences.

    Args:
        predictions: Numbers of the predicted labels of each sentence, None for words that the model does not read.
        references: Numbers of the true labels.
        names: Of the labels.
    """
    both = zip(predictions, references, strict=True)
    return [
        pair
        for row, (ours, theirs) in enumerate(both)
        for pair in pairs_of(row, spans_of(named(theirs, names)), spans_of(named(ours, names)))
    ]


def named(numbers: Sequence[int | None], names: Sequence[str]) -> list[str]:
    """Return the names of labels; words without one are outside."""
    return [OUTSIDE if number is None else names[number] for number in numbers]


def confidence(numbers: Sequence[int | None], probabilities: Sequence[Any], words: range | Span) -> float | None:
    """Return the smallest probability of the labels of some words; None where the model does not read one of them.

    Args:
        numbers: The labels of a sentence, by number.
        probabilities: Of each class for each word.
        words: The words.
    """
    places = range(words.start, words.end) if isinstance(words, Span) else words
    if any(probabilities[word] is None or numbers[word] is None for word in places):
        return None
    return min(float(probabilities[word][numbers[word]]) for word in places)


def overview(context: EvaluationContext) -> dict[str, Any]:
    """Return the figures of each type, the confusion of types, and the most confident errors, as the report has them.

    Types are confused where a predicted entity overlaps a true one, also where their boundaries differ.
    """
    types = types_of(context.labels)
    if not types:
        return {}
    pairs = compared(context.columns["prediction"], context.references, context.labels)
    number = {kind: place for place, kind in enumerate([*types, NONE])}
    matrix = np.zeros((len(number), len(number)), np.int64)
    for pair in pairs:
        matrix[number[_type(pair.true)], number[_type(pair.predicted)]] += 1
    counts = type_counts(pairs, types, context.rows.num_rows)
    section: dict[str, Any] = {
        "unit": UNIT,
        "per_class": class_figures(counts, types, context.config.evaluation, context.seed, context.clusters),
        "confusion": {"labels": list(number), "matrix": matrix.tolist()},
    }
    if WORD_PROBABILITIES in context.columns:
        section["errors"] = _errors(context, pairs)
    return section


def _type(span: Span | None) -> str:
    return NONE if span is None else span.type


def type_counts(pairs: Sequence[Pair], types: Sequence[str], sentences: int) -> Floats:
    """Return what a sentence adds to the counts of each type. Shape (sentences, 3 T): right, predicted, true."""
    number = {kind: place for place, kind in enumerate(types)}
    counts = np.zeros((sentences, 3, len(types)))
    for pair in pairs:
        if pair.right and pair.true is not None:
            counts[pair.row, 0, number[pair.true.type]] += 1
        if pair.predicted is not None:
            counts[pair.row, 1, number[pair.predicted.type]] += 1
        if pair.true is not None:
            counts[pair.row, 2, number[pair.true.type]] += 1
    return counts.reshape(sentences, -1)


def _errors(context: EvaluationContext, pairs: Sequence[Pair]) -> list[dict[str, Any]]:
    """Describe the errors of which the model is most confident."""
    numbers, probabilities = context.columns["prediction"], context.columns[WORD_PROBABILITIES]
    wrong = [(pair, pair.words if pair.predicted is None else pair.predicted) for pair in pairs if not pair.right]
    sure = [(confidence(numbers[pair.row], probabilities[pair.row], words), pair) for pair, words in wrong]
    known = sorted(((c, pair) for c, pair in sure if c is not None), key=lambda item: -item[0])[:SHOWN]
    return [{**described(context, pair), "kind": pair.kind, "confidence": score} for score, pair in known]


def described(context: EvaluationContext, pair: Pair) -> dict[str, Any]:
    """Return a pair as the report shows it: place, sentence with the entity in brackets, truth and prediction."""
    words = sentence(context, pair.row)
    file, row = context.places[pair.row]
    start, end = pair.words.start, pair.words.stop
    before, after = words[max(0, start - _AROUND) : start], words[end : end + _AROUND]
    parts = [*["…"] * (start > _AROUND), *before, f"[{' '.join(words[start:end])}]", *after]
    return {
        "file": file,
        "row": row,
        "text": " ".join([*parts, *["…"] * (end + _AROUND < len(words))]),
        "label": _shown(pair.true, words),
        "prediction": _shown(pair.predicted, words),
    }


def _shown(span: Span | None, words: Sequence[str]) -> str:
    return NONE if span is None else f"{span.type} “{' '.join(words[span.start : span.end])}”"


def listed(words: Sequence[str], numbers: Sequence[int | None], names: Sequence[str]) -> str:
    """Return the entities that labels mark among words, as text."""
    return ", ".join(_shown(span, words) for span in spans_of(named(numbers, names))) or NONE


def sentence(context: EvaluationContext, row: int) -> list[str]:
    """Return the words of a row."""
    role = context.recipe.task.inputs[0].role
    words: list[str] = context.rows[role][row].as_py()
    return words


def outcomes(context: EvaluationContext, probabilities: Sequence[Any] | None) -> tuple[Floats, Floats, Integers] | None:
    """Return each predicted entity's confidence, 1 where it is right, and its sentence; None where there are none.

    Args:
        context: Rows, truth and predictions.
        probabilities: Of each class for each word of each row.
    """
    if probabilities is None:
        return None
    numbers = context.columns["prediction"]
    pairs = compared(numbers, context.references, context.labels)
    predicted = [(pair, pair.predicted) for pair in pairs if pair.predicted is not None]
    known = [
        (score, pair.right, pair.row)
        for pair, span in predicted
        if (score := confidence(numbers[pair.row], probabilities[pair.row], span)) is not None
    ]
    if not known:
        return None
    scores, right, sentences = zip(*known, strict=True)
    return np.asarray(scores, np.float64), np.asarray(right, np.float64), np.asarray(sentences, np.int64)


@dataclass(frozen=True)
class Words:
    """The words that a model reads, of all sentences.

    Attributes:
        probabilities: Of each class. Shape (M, C).
        labels: The true ones, by number. Shape (M,).
        sentences: Numbers of their sentences. Shape (M,).
        places: Sentence and word of each.
    """

    probabilities: Floats
    labels: Integers
    sentences: Integers
    places: Sequence[tuple[int, int]]


def read_words(columns: Mapping[str, Sequence[Any]], references: Sequence[Sequence[int]]) -> Words | None:
    """Return the words that the model reads; None where there are no probabilities of words."""
    places = list(_read(columns.get(WORD_PROBABILITIES) or ()))
    if not places:
        return None
    probabilities = columns[WORD_PROBABILITIES]
    flat = np.array([probabilities[row][word] for row, word in places], np.float64)
    labels = np.array([references[row][word] for row, word in places], np.int64)
    return Words(flat, labels, np.array([row for row, _ in places], np.int64), places)


def _read(probabilities: Sequence[Any]) -> Iterator[tuple[int, int]]:
    for row, words in enumerate(probabilities):
        yield from ((row, word) for word, known in enumerate(words) if known is not None)


def suspects(context: EvaluationContext, flagged: Set[tuple[int, int]]) -> tuple[int, list[dict[str, Any]]]:
    """Return how many entities have a suspect label, and the most suspect ones as the report has them.

    An entity, true or predicted, is suspect if the label of one of its words is; those whose prediction is most
    probable in comparison with their label come first.

    Args:
        context: Rows, truth and predictions.
        flagged: Sentence and word of each suspect label.
    """
    numbers, by_word = context.columns["prediction"], context.columns[WORD_PROBABILITIES]
    found = []
    for pair in compared(numbers, context.references, context.labels):
        if pair.right or not any((pair.row, word) in flagged for word in pair.words):
            continue
        ours = confidence(numbers[pair.row], by_word[pair.row], pair.words)
        theirs = confidence(context.references[pair.row], by_word[pair.row], pair.words)
        if ours is not None and theirs is not None:
            found.append((theirs - ours, ours, theirs, pair))
    found.sort(key=lambda item: item[0])
    examples = []
    for _, ours, theirs, pair in found[:SHOWN]:
        shown = described(context, pair)
        suggestion = shown.pop("prediction")
        examples.append(
            {**shown, "suggestion": suggestion, "label_probability": theirs, "suggestion_probability": ours}
        )
    return len(found), examples


def known_texts(rows: Sequence[Sequence[str]], labels: Sequence[Sequence[int]], names: Sequence[str]) -> set[str]:
    """Return the texts of all entities of some sentences, in lower case."""
    both = zip(rows, labels, strict=True)
    return {text(words, span) for words, numbers in both for span in spans_of(named(numbers, names))}


def text(words: Sequence[str], span: Span) -> str:
    """Return the text of an entity by which it is recognised: in lower case, with single blanks."""
    return " ".join(words[span.start : span.end]).lower()
