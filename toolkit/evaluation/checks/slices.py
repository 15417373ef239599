"""Groups of examples on which the model is significantly worse, with control of false alarms.

Many groups are examined, so some have a low accuracy by chance. A group counts as worse only if so many mistakes
would seldom fall into some group of the same collection when the mistakes are shuffled over all examples, and if its
interval, at the level that the shuffles leave to a single group, lies below the accuracy of all. Where examples belong
to clusters, signs of whole clusters are flipped instead: the mistakes of one cluster depend on each other, so shuffled
examples would be too much alike.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.data.tables.identifiers import is_index
from toolkit.evaluation import entities
from toolkit.evaluation.check import Check
from toolkit.evaluation.context import EvaluationContext
from toolkit.evaluation.statistics.claims.worst_groups import adjusted, flipped
from toolkit.evaluation.statistics.clusters import kept
from toolkit.evaluation.statistics.intervals import share
from toolkit.tasks.spans import Span, types_of
from toolkit.tasks.task import Task

SMALLEST = 20  # examples in a group
MOST_WORDS = 2000
MOST_VALUES = 30  # of a column, for its values to be groups
SHOWN = 10

Integers = np.ndarray[Any, np.dtype[np.int64]]

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")


@dataclass(frozen=True)
class Slice:
    """A group of examples.

    Attributes:
        by: The grouping: "length", "overlap" of the texts of pairs, "class", "word", or the name of a column.
        name: Of the group.
        members: Row numbers, ascending.
    """

    by: str
    name: str
    members: Integers


def section(
    right: Sequence[bool],
    rows: pa.Table,
    inputs: Mapping[str, Sequence[str]],
    classes: Sequence[str] | Sequence[Sequence[str]] | None,
    confidence: float,
    seed: int,
    clusters: Integers | None = None,
    sentences: Integers | None = None,
    further: Mapping[str, Sequence[Any]] = MappingProxyType({}),
    claimed: float | None = None,
) -> dict[str, Any]:
    """Return the report's section on groups of examples.

    Args:
        right: Whether each example's prediction is right.
        rows: The examples' metadata: columns beside those of the recipe.
        inputs: Role → the text of each example.
        classes: True class of each example by name, or all of its classes; None for a task without.
        confidence: Of the intervals.
        seed: Of the shuffles.
        clusters: Number of each example's cluster; None where examples, or `sentences`, are independent. Shape (N,).
        sentences: As of `adjusted`.
        further: Grouping → value of each example.
        claimed: One minus the chance of any false alarm among the worst groups; `confidence` when None.
    """
    wrong = ~np.asarray(right, bool)
    texts = [" ".join(row) for row in zip(*inputs.values(), strict=True)]
    others = [group for by, values in further.items() for group in _by_value(by, values)]
    slices = [*by_content(inputs, classes), *others, *by_column(rows, [*inputs]), *by_word(texts)]
    members = [group.members for group in slices]
    error = 1 - (confidence if claimed is None else claimed)
    tested = adjusted(wrong, members, seed, sentences) if clusters is None else flipped(wrong, members, seed, clusters)
    p_values, single = tested.p_values, tested.level(error)
    described = [_described(group, wrong, p, confidence, clusters) for group, p in zip(slices, p_values, strict=True)]
    overall = float(1 - wrong.mean()) if len(wrong) else 0.0
    worst = {
        number: _described(slices[number], wrong, p, single, clusters) for number, p in enumerate(p_values) if p < error
    }
    clear = [number for number, facts in worst.items() if facts["accuracy"]["high"] < overall]
    clear.sort(key=lambda number: (p_values[number], -float(wrong[slices[number].members].mean())))
    return {
        "confidence": confidence,
        "claims_confidence": 1 - error,
        "accuracy": overall if len(wrong) else None,
        "looked_at": len(slices),
        "smallest": SMALLEST,
        "clear": len(clear),
        "groups": [facts for group, facts in zip(slices, described, strict=True) if group.by != "word"],
        "worst_confidence": single if clear else None,
        "worst": [worst[number] for number in clear[:SHOWN]],
    }


def _described(
    group: Slice, wrong: np.ndarray[Any, Any], p: float, confidence: float, clusters: Integers | None
) -> dict[str, Any]:
    right = ~wrong[group.members]
    interval = share(right, np.ones(len(right), bool), confidence, kept(clusters, group.members))
    return {
        "by": group.by,
        "name": group.name,
        "rows": len(group.members),
        "accuracy": {"value": interval.value, "low": interval.low, "high": interval.high},
        "p": p,
    }


def by_content(
    inputs: Mapping[str, Sequence[str]], classes: Sequence[str] | Sequence[Sequence[str]] | None
) -> list[Slice]:
    """Group examples by the length of each text, the overlap of two, and the class; arguments as of `section`."""
    where = {role: f" in {role}" if len(inputs) > 1 else "" for role in inputs}
    lengths = [group for role, values in inputs.items() for group in by_length(values, where[role])]
    overlap = by_overlap(*inputs.values()) if len(inputs) == 2 else []
    return [*lengths, *overlap, *by_class(classes)]


def by_length(texts: Sequence[str], where: str = "") -> list[Slice]:
    """Group texts by their number of words, into four groups of about the same size; `where` ends their names."""
    lengths = np.array([len(text.split()) for text in texts], np.int64)
    return quarters("length", lengths.astype(np.float64), f" words{where}")


def by_overlap(first: Sequence[str], second: Sequence[str]) -> list[Slice]:
    """Group pairs by the share of the words of the text with fewer words that the other has, into four groups.

    Models of pairs often depend on this overlap alone (McCoy, Pavlick and Linzen 2019, "Right for the Wrong Reasons").
    """
    words = [[set(_WORD.findall(text.casefold())) for text in pair] for pair in zip(first, second, strict=True)]
    shares = [100 * len(a & b) / min(len(a), len(b)) if a and b else np.nan for a, b in words]
    return quarters("overlap", np.array(shares, np.float64).round(), " % of the words shared")


def quarters(by: str, values: np.ndarray[Any, np.dtype[np.float64]], unit: str = "") -> list[Slice]:
    """Group rows by a number, into four groups of about the same size; small ones are left out."""
    known = values[~np.isnan(values)]
    if not len(known):
        return []
    edges = np.unique(np.quantile(known, [0.25, 0.5, 0.75], method="lower"))
    number = np.where(np.isnan(values), -1, np.searchsorted(edges, values, side="left"))
    slices = []
    for index in np.unique(number[number >= 0]):
        members = np.flatnonzero(number == index)
        low, high = values[members].min(), values[members].max()
        name = f"{low:g}" if low == high else f"{low:g} to {high:g}"
        slices.append(Slice(by, name + unit, members))
    return _large(slices)


def by_class(classes: Sequence[str] | Sequence[Sequence[str]] | None) -> list[Slice]:
    """Group examples by their true class; by each of their classes and the number of these, where there are several."""
    if classes is None:
        return []
    if not len(classes) or isinstance(classes[0], str):
        return _by_value("class", classes)
    holding: dict[str, list[int]] = {}
    for row, names in enumerate(classes):
        for name in names:
            holding.setdefault(name, []).append(row)
    groups = _large([Slice("class", name, np.array(rows, np.int64)) for name, rows in sorted(holding.items())])
    return groups + _by_value("number of classes", [len(names) for names in classes])


def _by_value(by: str, values: Sequence[Any]) -> list[Slice]:
    places: dict[str, list[int]] = {}
    for row, value in enumerate(values):
        if value is not None:
            places.setdefault(str(value), []).append(row)
    if len(places) > MOST_VALUES and by != "class":
        return []
    return _large([Slice(by, name, np.array(rows, np.int64)) for name, rows in sorted(places.items())])


def metadata(rows: pa.Table, task: Task) -> pa.Table:
    """Return the columns that are not the recipe's."""
    return rows.drop_columns([column.role for column in task.columns if column.role in rows.column_names])


def by_column(rows: pa.Table, roles: Sequence[str]) -> list[Slice]:
    """Group examples by each metadata column: numbers by their quarters, other values as they are."""
    slices = []
    for name in rows.column_names:
        if name in roles or name in ("_row", "_key") or is_index(rows, name):
            continue
        column = rows[name]
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if pa.types.is_nested(kind):
            continue
        different = len(pc.unique(column))
        if (pa.types.is_integer(kind) or pa.types.is_floating(kind)) and different > MOST_VALUES // 3:
            values = np.array([np.nan if value is None else value for value in column.to_pylist()], np.float64)
            slices += quarters(name, values)
        elif different > 1 and not pa.types.is_nested(kind):
            slices += _by_value(name, column.to_pylist())
    return slices


def by_word(texts: Sequence[str]) -> list[Slice]:
    """Group texts by the words that they contain; words that occur in too many texts are excluded."""
    holding: dict[str, list[int]] = {}
    for row, text in enumerate(texts):
        for word in set(_WORD.findall(text.casefold())):
            holding.setdefault(word, []).append(row)
    counted = Counter({word: len(rows) for word, rows in holding.items() if SMALLEST <= len(rows) <= len(texts) / 2})
    return [Slice("word", word, np.array(holding[word], np.int64)) for word, _ in counted.most_common(MOST_WORDS)]


def _large(slices: list[Slice]) -> list[Slice]:
    """Leave out small groups, and groups of all rows."""
    return [group for group in slices if len(group.members) >= SMALLEST] if len(slices) > 1 else []


def _run(context: EvaluationContext) -> dict[str, Any] | None:
    task, rows, references = context.recipe.task, context.rows, context.references
    if task.labels_words and types_of(context.labels):
        return _of_entities(context)
    right = [given == true for given, true in zip(context.classes, references, strict=True)]
    classes = classes_of(task, references, context.labels)
    confidence = context.config.evaluation.confidence
    claimed, seed = context.claims["slices"], context.seed
    texts = texts_of(task, rows)
    result = section(right, metadata(rows, task), texts, classes, confidence, seed, context.clusters, claimed=claimed)
    return {"figure": "Accuracy" if task.stratum is not None else "Exact match", **result}


def classes_of(task: Task, references: Sequence[Any], labels: Sequence[str]) -> Any:
    """Return the name of each row's true class, or of all of its classes; None for a task without."""
    if task.stratum is not None:
        return [labels[number] for number in references]
    return [[labels[number] for number in row] for row in references] if task.several else None


def texts_of(task: Task, rows: pa.Table) -> dict[str, list[str]]:
    """Return the text of each row for the role of each input that is text."""
    plain = {column.role: column.kind.plain for column in task.inputs}
    return {role: [plain[role](value) for value in rows[role].to_pylist()] for role in task.texts_in(rows)}


def _of_entities(context: EvaluationContext) -> dict[str, Any] | None:
    """Return the section on entities, true and predicted ones: a missed or invented one, too, is a mistake.

    Their length is that of their sentence, their class is their type.
    """
    pairs = entities.compared(context.columns["prediction"], context.references, context.labels)
    if not pairs:
        return None
    inputs, confidence = texts_of(context.recipe.task, context.rows), context.config.evaluation.confidence
    spans = [pair.true or pair.predicted or Span(0, 0, "") for pair in pairs]
    numbers = np.array([pair.row for pair in pairs], np.int64)
    further: dict[str, Sequence[Any]] = {}
    if context.known_entities is not None:
        known = [
            entities.text(entities.sentence(context, pair.row), span) in context.known_entities
            for pair, span in zip(pairs, spans, strict=True)
        ]
        further["seen in training"] = ["yes" if seen else "no" for seen in known]
    result = section(
        [pair.right for pair in pairs],
        metadata(context.rows, context.recipe.task).take(pa.array(numbers)),
        {role: [texts[row] for row in numbers] for role, texts in inputs.items()},
        [span.type for span in spans],
        confidence,
        context.seed,
        kept(context.clusters, numbers),
        numbers,
        further,
        context.claims["slices"],
    )
    return {"unit": entities.UNIT, **result}


CHECK = Check("slices", _run, applies=lambda task: task.labelled is not None)
