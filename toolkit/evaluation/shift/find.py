"""Compare new rows with reference rows: whether anything differs, what differs, and what that means for the model.

    domain classifier  ─ rejects ─→ words and properties (one family)
                       └──────────→ domain classifier with the reference rows in the estimated shares of the classes

One hypothesis after the other is tested at the same level, each only where the one before it is rejected, so that the
probability of any false claim is at most that level (Maurer, Hothorn and Lehmacher 1995, "Multiple Comparisons in Drug
Clinical Trials and Preclinical Assays: A-Priori Ordered Hypotheses").
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit.errors import DataError
from toolkit.evaluation.shift import accuracy, class_shares, differences, features
from toolkit.evaluation.shift.domain import Domain, told_apart
from toolkit.evaluation.shift.exchange import Division, division, draws_for, exchanged
from toolkit.evaluation.shift.predictions import decision_title, decisions, outputs, shares
from toolkit.evaluation.statistics import clusters as clusters_
from toolkit.evaluation.statistics import intervals
from toolkit.evaluation.statistics.clusters import Floats, Integers
from toolkit.evaluation.statistics.intervals import Interval
from toolkit.tasks.task import Task

LEAST_ROWS = 20  # on each side
SHOWN_WORDS = 15
_SHOWN_ROWS = 6
_RESAMPLES = 500  # in which confidences are calibrated anew
_TEXT = 300  # characters of a shown row


@dataclass(frozen=True)
class Side:
    """Rows of one side, with their predictions.

    Attributes:
        rows: The rows.
        columns: The predictions.
        clusters: Number of each row's group; None where rows are independent. Shape (N,).
        truth: Of each row; None where it is not known.
    """

    rows: pa.Table
    columns: Mapping[str, Sequence[Any]]
    clusters: Integers | None = None
    truth: Sequence[Any] | None = None


@dataclass(frozen=True)
class Settings:
    """How rows are compared.

    Attributes:
        level: Probability of a false claim.
        margin: Area under the curve above one half that does not matter.
        confidence: Of intervals.
        resamples: Of the bootstrap.
        seed: Of every draw.
    """

    level: float
    margin: float
    confidence: float
    resamples: int
    seed: int


def compare(
    task: Task,
    labels: Sequence[str],
    reference: Side,
    new: Side,
    validation: np.ndarray[Any, np.dtype[np.bool_]],
    vectors: Floats | None,
    settings: Settings,
) -> dict[str, Any]:
    """Return the section "shift" of a report, or of a batch.

    Args:
        task: The task, with `takes_shift`.
        labels: Names of the classes.
        reference: Held-out rows of the run, with their truth.
        new: The new rows.
        validation: Which reference rows are validation rows. Shape (reference rows,).
        vectors: What the model makes of each row, the reference rows first; None for texts. Shape (N, D).
        settings: Levels and draws.

    Raises:
        DataError: There are too few rows on one side.
    """
    check_rows(reference.rows.num_rows, new.rows.num_rows)
    task = task.narrowed(new.rows).narrowed(reference.rows)
    both = _Both.of(task, reference, new, vectors)
    everything = np.arange(both.division.rows)
    first = _one_of_each(reference.clusters, settings.seed) if new.clusters is None else None
    kept = everything if first is None else np.concatenate([first, everything[both.division.reference :]])
    domain, exchanges = both.told_apart(kept, settings)
    beyond = settings.margin == 0 or domain.least(settings.level) > 0.5 + settings.margin
    claimed = domain.p <= settings.level and beyond and first is None  # rows of unknown groups may be of a few
    result: dict[str, Any] = {
        "claimed": claimed,
        "level": settings.level,
        "margin": settings.margin,
        "confidence": settings.confidence,
        "rows": new.rows.num_rows,
        "reference_rows": reference.rows.num_rows,
        "groups": None if new.clusters is None else clusters_.count(new.clusters),
        "reference_groups": None if reference.clusters is None else clusters_.count(reference.clusters),
        "one_of_each_group": first is not None,
        "domain": {**asdict(domain.area), "p": domain.p, "part": domain.part},
        "draws": exchanges.shape[1] - 1,
        **both.differing(kept, exchanges, settings.level, claimed=claimed),
        "predicted": _predicted(task, labels, reference, new, settings.confidence),
        "examples": _examples(task, new, domain.scores[len(kept) - new.rows.num_rows :]) if claimed else [],
        **_classes(task, labels, reference, new, both, claimed, settings),
        "accuracy": _accuracy(task, reference, new, validation, settings),
    }
    return result


def check_rows(reference: int, new: int) -> None:
    """Refuse numbers of rows that are too few to be compared.

    Raises:
        DataError: They are.
    """
    for number, what in ((reference, "held-out rows of the run"), (new, "new rows that can be read")):
        if number < LEAST_ROWS:
            raise DataError(
                f"There are {number} {what}, and {LEAST_ROWS} are needed for a comparison.",
                "Give more rows.",
                id="watch.too-few-rows",
            )


@dataclass(frozen=True)
class _Both:
    """All rows, the reference rows first.

    Attributes:
        kernels: Part of what is known of them → inner products.
        division: Which are new.
        texts: Of each row; empty where the inputs are no texts.
        properties: Name → number of each row.
    """

    kernels: Mapping[str, np.ndarray[Any, np.dtype[np.float32]]]
    division: Division
    texts: Sequence[str]
    properties: Mapping[str, Floats]

    @classmethod
    def of(cls, task: Task, reference: Side, new: Side, vectors: Floats | None) -> "_Both":
        properties: dict[str, Floats] = {}
        texts: list[list[str]] = []
        for column in task.inputs:
            values = [value for side in (reference, new) for value in side.rows[column.role].to_pylist()]
            kind = column.kind
            measured = (
                kind.properties(values) if kind.properties else {kind.length_unit: [kind.length(v) for v in values]}
            )
            prefix = f"{column.role}: " if len(task.inputs) > 1 else ""
            properties |= {f"{prefix}{name}": np.asarray(numbers, np.float64) for name, numbers in measured.items()}
            if kind.plain is not None:
                texts.append([kind.plain(value) for value in values])
        joined = [" ".join(parts) for parts in zip(*texts, strict=True)]
        predicted = np.concatenate([outputs(reference.columns), outputs(new.columns)])
        kernels = {
            "the predictions": features.of_numbers(predicted),
            "properties": features.of_numbers(differences.ranks(np.stack([*properties.values()], axis=1))),
        }
        if joined:
            kernels["words"] = features.of_texts(joined)
        if vectors is not None:
            kernels["features of the model"] = features.of_numbers(vectors.astype(np.float64))
        rows = division(reference.rows.num_rows, new.rows.num_rows, reference.clusters, new.clusters)
        return cls(kernels, rows, joined, properties)

    def told_apart(self, kept: Integers, settings: Settings) -> tuple[Domain, np.ndarray[Any, np.dtype[np.float32]]]:
        rows = self.division.of(kept)
        exchanges = exchanged(rows, draws_for(settings.level), settings.seed)
        whole = len(kept) == self.division.rows
        kernels = {part: kernel if whole else kernel[np.ix_(kept, kept)] for part, kernel in self.kernels.items()}
        return told_apart(kernels, rows, exchanges, settings.confidence, settings.seed), exchanges

    def differing(self, kept: Integers, exchanges: Any, level: float, *, claimed: bool) -> dict[str, Any]:
        """Return the words and properties with their tests, which are one family."""
        values = np.stack([numbers[kept] for numbers in self.properties.values()], axis=1)
        words = features.words_of([self.texts[row] for row in kept]) if self.texts else None
        parts = [differences.ranks(values), *([] if words is None else [words.present])]
        by_property, *by_word = differences.tested(parts, exchanges)
        new = kept >= self.division.reference
        properties = [
            {
                "name": name,
                "reference": float(np.median(values[~new, number])),
                "new": float(np.median(values[new, number])),
                "p": float(by_property.p[number]),
                "claimed": bool(claimed and by_property.p[number] <= level),
            }
            for number, name in enumerate(self.properties)
        ]
        found = []
        for result in by_word:
            order = np.argsort(-np.abs(result.standardised), kind="stable")[:SHOWN_WORDS]
            found = [
                {
                    "word": words.names[number],  # type: ignore[union-attr]
                    "reference": float(result.reference[number]),
                    "new": float(result.new[number]),
                    "p": float(result.p[number]),
                    "claimed": bool(claimed and result.p[number] <= level),
                }
                for number in order
            ]
        return {"properties": properties, "words": found, "words_tested": 0 if words is None else len(words.names)}


def _one_of_each(clusters: Integers | None, seed: int) -> Integers | None:
    """Return one row of each group, drawn at random, in ascending order; None where rows are independent."""
    if clusters is None:
        return None
    order = np.random.default_rng([seed, 14]).permutation(len(clusters))
    return np.sort(order[np.unique(clusters[order], return_index=True)[1]])


def _predicted(
    task: Task, labels: Sequence[str], reference: Side, new: Side, confidence: float
) -> list[dict[str, Any]]:
    """Return the share of each class among the predictions of both sides, or the mean of the numbers."""
    sides = [shares(task, side.columns, len(labels)) for side in (reference, new)]
    hits = task.labelled is not None and not task.labels_words
    names = list(labels) if task.labelled is not None else ["mean"]
    rows = []
    for number, name in enumerate(names):
        found = [
            intervals.share(values[:, number] > 0.5, np.ones(len(values), bool), confidence, side.clusters)
            if hits
            else _mean(values[:, number], confidence, side.clusters)
            for values, side in zip(sides, (reference, new), strict=True)
        ]
        rows.append({"label": name, "reference": asdict(found[0]), "new": asdict(found[1])})
    return rows


def _mean(values: Floats, confidence: float, clusters: Integers | None) -> Interval:
    statistics = np.stack([values, np.ones_like(values)], axis=1)
    error = clusters_.standard_error(statistics, lambda sums: sums[..., 0] / sums[..., 1], clusters)
    mean, arm = float(values.mean()), clusters_.quantile(confidence, clusters) * error
    return Interval(mean, mean - arm, mean + arm)


def _examples(task: Task, new: Side, scores: Floats) -> list[dict[str, Any]]:
    """Return the new rows that look most like new ones."""
    chosen = np.argsort(-scores, kind="stable")[:_SHOWN_ROWS]
    shown = []
    for row, score in zip(new.rows.take(pa.array(chosen)).to_pylist(), scores[chosen], strict=True):
        there = [column for column in task.inputs if row[column.role] is not None]
        pictures = (column.kind.thumbnail(row[column.role]) for column in there)
        shown.append(
            {
                "text": " | ".join(column.kind.shown(row[column.role])[:_TEXT] for column in there),
                "picture": next(filter(None, pictures), None),
                "score": float(score),
                "file": row.get("_file"),
                "row": row.get("_row"),
            }
        )
    return shown


def _classes(
    task: Task,
    labels: Sequence[str],
    reference: Side,
    new: Side,
    both: _Both,
    claimed: bool,
    settings: Settings,
) -> dict[str, Any]:
    """Return the estimated shares of the classes, and whether more than these differs.

    Where the classifier still tells the rows apart when the reference rows are drawn in the estimated shares, the rows
    of a class look different too, and the estimate does not hold.
    """
    if task.stratum is None or reference.truth is None:
        return {"classes": [], "classes_reason": "Estimated where each row has one class.", "within_classes": None}
    truth = np.asarray(reference.truth, np.int64)
    why = class_shares.refusal(truth, labels)
    if why:
        return {"classes": [], "classes_reason": why, "within_classes": None}
    chosen = [shares(task, side.columns, len(labels)).argmax(axis=1) for side in (reference, new)]
    estimates = class_shares.estimated(
        truth,
        class_shares.Predicted(chosen[0], reference.clusters),
        class_shares.Predicted(chosen[1], new.clusters),
        len(labels),
        confidence=settings.confidence,
        resamples=settings.resamples,
        seed=settings.seed,
    )
    own = np.bincount(truth, minlength=len(labels)) / len(truth)
    rows = [
        {"label": label, "reference": float(share), **asdict(estimate)}
        for label, share, estimate in zip(labels, own, estimates, strict=True)
    ]
    within = None
    if claimed:
        kept = _in_shares(truth, [estimate.value for estimate in estimates], own, settings.seed)
        one_of_each = _one_of_each(reference.clusters, settings.seed) if new.clusters is None else None
        kept = kept if one_of_each is None else np.intersect1d(kept, one_of_each)
        if len(kept) >= LEAST_ROWS:
            everything = np.concatenate([kept, np.arange(len(truth), both.division.rows)])
            domain, _ = both.told_apart(everything, settings)
            within = {**asdict(domain.area), "p": domain.p, "part": domain.part, "rows": len(kept)}
    return {"classes": rows, "classes_reason": "", "within_classes": within}


def _in_shares(truth: Integers, wanted: Sequence[float], own: Floats, seed: int) -> Integers:
    """Return rows drawn so that their classes have the wanted shares, as many as there are; in ascending order."""
    weights = np.asarray(wanted) / own
    drawn = np.random.default_rng([seed, 15]).random(len(truth))
    return np.flatnonzero(drawn < weights[truth] / weights.max())


def _accuracy(
    task: Task, reference: Side, new: Side, validation: np.ndarray[Any, np.dtype[np.bool_]], settings: Settings
) -> dict[str, Any]:
    """Return the accuracy that is expected of the new rows, and a check: test rows estimated from validation rows.

    The estimate itself is from both: the model was chosen by its validation rows, which are a little too easy for it.
    """
    known = decisions(task, reference.columns, reference.truth, reference.clusters)
    ours = decisions(task, new.columns, new.truth, new.clusters)
    if known is None or ours is None or known.right is None:
        return {"reason": "It is estimated from probabilities of classes, which these predictions do not have."}
    draws: dict[str, Any] = {
        "confidence": settings.confidence,
        "resamples": min(settings.resamples, _RESAMPLES),
        "seed": settings.seed,
    }
    fitted = validation if known.rows is None else validation[known.rows]
    result: dict[str, Any] = {
        "title": decision_title(task),
        "fitted_rows": reference.rows.num_rows,
        "estimate": asdict(accuracy.estimated(known, ours, **draws)),
        "confidence": asdict(accuracy.mean_confidence(ours, settings.confidence)),
        "reference_confidence": asdict(accuracy.mean_confidence(known, settings.confidence)),
        "truth": None if ours.right is None else asdict(_share(ours, settings.confidence)),
        "reference": asdict(_share(known, settings.confidence)),
    }
    if fitted.any() and not fitted.all():
        test = _some(known, ~fitted)
        result["checked"] = asdict(accuracy.estimated(_some(known, fitted), test, **draws))
        result["checked_truth"] = asdict(_share(test, settings.confidence))
    return result


def _some(known: accuracy.Decisions, kept: Any) -> accuracy.Decisions:
    right = None if known.right is None else known.right[kept]
    return accuracy.Decisions(known.confidence[kept], right, clusters_.kept(known.clusters, kept))


def _share(known: accuracy.Decisions, confidence: float) -> Interval:
    return intervals.share(known.right, np.ones(len(known.confidence), bool), confidence, known.clusters)
