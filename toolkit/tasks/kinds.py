"""Kinds of inputs and targets: values that hold plain functions, everything that the toolkit needs to know of either.

`tasks/inputs/` and `tasks/targets/` hold one file for each kind; a recipe may define its own.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from toolkit.tasks import shown_labels

if TYPE_CHECKING:
    from toolkit.config import DataConfig
    from toolkit.tasks.task import Column

WORD, PATCH = "word", "patch"  # what explanations score
Parts = Mapping[str, pa.Table]  # name of a part → its rows in the recipe's roles


@dataclass(frozen=True)
class Checked:
    """The rows that are left after the values of a column were checked.

    Attributes:
        parts: Part → rows that can be used.
        counts: Reason → how many rows were left out.
        notes: What the user should know.
        unreadable: Files that were left out: {"file", "row", "name", "reason"}.
    """

    parts: Parts
    counts: Mapping[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()
    unreadable: Sequence[dict[str, Any]] = ()


@dataclass(frozen=True)
class Values:
    """The values of one column, converted to the form of the column.

    Attributes:
        column: One value for each row; null where there is a problem.
        problems: The problem with each value, or None.
        shown: Each value as it is written next to its prediction.
        located: Of values made of words, the text of each and the place (start, end) of each word in it.
    """

    column: Any
    problems: Sequence[str | None]
    shown: Sequence[Any]
    located: Sequence[tuple[str, Sequence[tuple[int, int]]]] = ()


@dataclass(frozen=True)
class Reading:
    """How values of rows are read.

    Attributes:
        root: Folder of the files that rows name; None where rows may name none.
        data: Settings that bound their size.
        learned: What `Input.learned` returned for the training rows.
    """

    root: Path | None
    data: "DataConfig"
    learned: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Likeness:
    """How near-duplicates of training rows in test are found.

    Attributes:
        summary: (training rows, their columns) → a row for each of them: what a run keeps to compare others with them.
        find: (summary of the training rows, test rows, their columns) → pairs, or None where that takes too long.
        threshold: Similarity from which on two rows count as a pair.
    """

    summary: Callable[[pa.Table, Sequence[str]], pa.Table]
    find: Callable[[pa.Table, pa.Table, Sequence[str]], list[Any] | None]
    threshold: float


@dataclass(frozen=True)
class Input:
    """One kind of input.

    Attributes:
        name: Its name in recipes, reports and requests: "text".
        nouns: Singular and plural in messages.
        modality: What models of it read: "text", "image" or another; decides families of checkpoints and the
            Hub's tags.
        type: Arrow type of a column of them.
        in_shape: (table, name of a column) → the column in the shape that a recipe gets.
        check: (parts, column, data settings) → the rows that can be used.
        read: (values, name of their column, how) → the same for values that come row by row.
        learned: Values of training rows → what `read` needs in addition; a JSON object that is stored with the model.
        length: Size of one value without a tokenizer.
        length_unit: What `length` counts.
        sizes: (lengths of rows, their unit) → name and text: what `inspect` prints of a part.
        properties: Values, of which some may be None → name → a number for each, by which samples of them can differ;
            None for `length` alone.
        json: (most characters) → type of a value in a request.
        about: Describes a value in a request.
        of_json: A value of a request → a value as rows have it.
        plain: Value → text; None where a value is not text.
        shown: Value → what pages and messages show of it.
        thumbnail: Value → data address of a small picture of it, or None.
        preparing: What is done to rows before they are learned from.
        unit: What explanations score: `WORD`, `PATCH`, or None where predictions cannot be explained.
        likeness: How near-duplicates are found; None where they are not searched for.
        changes: (model, examples, places, truth, settings) → the report's section on robustness; None where there is
            none. An example is a tuple with the value of each input.
        swaps: (model, examples, places, settings) → the report's section on bias; None where people cannot be swapped.
        files: (values, their table or folder) → files that the values name; None where values name none.
        samples: Two values of different length, by which a service is warmed up; empty where there are none.
        few_labels: Whether training methods can be compared by cross-validation where labels are few.
        standalone: Whether the program in an ONNX export reads it.
        tokens: Whether `data.max_length` is the maximum number of its tokens; if not, the model decides what it reads.
        identifying: Whether rows with the same value are the same example, which must not be in train and in test.
    """

    name: str
    nouns: tuple[str, str]
    modality: str
    type: pa.DataType
    in_shape: Callable[[pa.Table, str], pa.ChunkedArray]
    check: "Callable[[Parts, Column, DataConfig], Checked]"
    read: Callable[[Sequence[Any], str, Reading], Values]
    length: Callable[[Any], int]
    length_unit: str
    json: Callable[[int], Any]
    about: str
    sizes: Callable[[Any, str], tuple[str, str]] = shown_labels.sizes
    properties: Callable[[Sequence[Any]], Mapping[str, Sequence[float]]] | None = None
    learned: Callable[[pa.ChunkedArray], dict[str, Any]] | None = None
    of_json: Callable[[Any], Any] = lambda value: value
    plain: Callable[[Any], str] | None = None
    shown: Callable[[Any], str] = shown_labels.plain
    thumbnail: Callable[[Any], str | None] = lambda _value: None
    preparing: str = "Preparing rows"
    unit: str | None = None
    likeness: Likeness | None = None
    changes: Callable[..., dict[str, Any]] | None = None
    swaps: Callable[..., dict[str, Any]] | None = None
    files: Callable[[Sequence[Any], Path], Sequence[Path]] | None = None
    samples: tuple[Any, ...] = ()
    few_labels: bool = False
    standalone: bool = False
    tokens: bool = True
    identifying: bool = True


@dataclass(frozen=True)
class Limits:
    """Limits on probabilities by which answers keep a promise.

    Attributes:
        least_score: Predictions with a lower score are not given; None where all are.
        max_error: Share of the given ones that may be wrong.
        sets: Probability from which on each class is in the set of classes; None where there are no sets.
    """

    least_score: float | None = None
    max_error: float | None = None
    sets: Sequence[float] | None = None


NO_LIMITS = Limits()


@dataclass(frozen=True)
class AnswerFormat:
    """How predictions are written next to rows.

    Attributes:
        labels: Names of the classes.
        calibrated: Whether there are calibrated scores.
        all_scores: Whether the score of every class is wanted.
        located: As of `Values`, of the row; None for inputs that are not made of words.
        calibration: What is stored with the model of validation rows, as of `Target.calibrate`.
        limits: Of promises, for targets with one class for each row.
    """

    labels: Sequence[str]
    calibrated: bool
    all_scores: bool
    located: tuple[str, Sequence[tuple[int, int]]] | None = None
    calibration: Mapping[str, Any] = field(default_factory=dict)
    limits: Limits = NO_LIMITS

    @property
    def score_columns(self) -> list[str]:
        """Names of the columns of all scores; none where they are not wanted."""
        return [f"score: {name}" for name in self.labels] if self.all_scores else []

    def each_score(self, probabilities: Sequence[float]) -> dict[str, float]:
        """Return the score of every class by its column; none where they are not wanted."""
        if not self.all_scores:
            return {}
        return dict(zip(self.score_columns, (round(float(p), 6) for p in probabilities), strict=True))


def _each_once(numbers: Sequence[int | None]) -> list[int] | None:
    kept = sorted({number for number in numbers if number is not None})
    return kept if kept or not numbers else None


@dataclass(frozen=True)
class LabelColumn:
    """The label column of a table as it was read, from which the kind of target is inferred.

    Attributes:
        name: Its name in the table.
        values: Its values.
        different: The different ones as they are written, without empty ones; none for lists and truth values.
        numbers: The same as numbers; None where one of them is none.
    """

    name: str
    values: pa.ChunkedArray
    different: Sequence[str]
    numbers: Sequence[float] | None


@dataclass(frozen=True)
class Target:
    """One kind of target.

    Attributes:
        name: Its name in recipes: "label".
        title: In messages, with an article: "one class for each row".
        classes: Whether it is made of classes, whose names are numbered.
        single: Whether it is one class for a row: rows are divided by it, weighed and grouped by it.
        ordered: Whether the order of the classes has a meaning, which numbers have and names need.
        exclusive: Whether a row, or each token of it, has exactly one of the classes. A linear probe, and a loss that
            weighs classes (`loss.*`), need that.
        written: Whether it is a text that is written token by token.
        in_shape: (table, name of a column) → the column in the shape that a recipe gets.
        check: As of `Input`.
        aligned: (parts, columns of the recipe): refuses rows that it does not fit.
        kept: Class numbers of a list, None for labels that are mapped to null → the list that is learned from; None
            leaves the row out. By default each class once, and no row that had labels and has none left.
        of_class: (class number, names of the classes) → the prediction of that class alone, where another thing than a
            class number is predicted for a class; baselines and probes predict classes.
        predictions: (outputs of the model, batch) → columns, as of a recipe, where the recipe has no `predictions`.
        answer: (prediction, scores, calibrated scores, how) → what is written beside a row, "prediction" first.
        empty: The same without values, for a row without a prediction.
        line: (input, columns of `answer`) → what `predict` prints of one input.
        summary: (column, names of the classes) → name → text: what `inspect` prints of the values in one part.
        shown: (value, names of the classes) → text.
        cell: (value, names of the classes) → the value as a cell of a table of corrections; `shown` when None.
        of_cell: (text of such a cell, names of the classes) → the value; raises a ValueError that says why it is none.
            None where the values cannot be corrected in a table.
        same: Whether two predictions are the same, as when an export is compared with its model.
        overview: (context of an evaluation) → further keys of the report's evaluation.
        usage: (arguments of a transformers pipeline `predict`, names of the classes, what `calibrate` stored) → the
            lines of Python on a model card that print a prediction, like `predict` of the toolkit.
        finish: (inputs, predictions, predict, options of the recipe) → predictions: what `predict` does to them.
        hub_tasks: Modality of the input → the Hub's name of the task.
        decision: How the program in an ONNX export predicts it from the outputs of the model: "class", "median" of
            ordered classes, "classes" by their thresholds, or "number"; None where it does not.
        recognizes: `LabelColumn` → why a column without doubt holds it, as the end of a sentence; "" where it may not.
        from_binary_columns: Whether it may be written as a column of 0 and 1 for each class.
        metrics: Names of its metrics, the first of which is the headline, for recipes in which it is one of `TARGETS`.
        best_metric: Decides on the best checkpoint in those recipes.
        baselines: Modality of the input → title → function, as of a recipe's `BASELINES`, for those recipes.
        constant: Title and function of the baseline of rows without training rows: one prediction for all, from the
            rows themselves; None for the most common class where `single`, and for none elsewhere.
        head: Names of the classes → names of the outputs of the model's head.
        model_arguments: For `build_model` of those recipes: values of the model's configuration.
        model_labels: (values, names of the classes) → the column "labels" of model inputs, where `preprocess` of the
            recipe returns none.
        objective: (loss settings, names of the classes, model labels of the training rows) → what training minimises;
            None for the usual one.
        tried_before: Whether a checkpoint may have learned to predict it: then its predictions before fine-tuning are
            a baseline.
        loss_keys: Keys under `loss` that have a meaning for it; None for all where a row, or each token of it, has
            exactly one class or a text is written, and for none elsewhere.
        outcome: What is explained of its predictions, an `Outcome`; None for the usual of one class a row, where
            `single`, and for none elsewhere. Predictions for changed inputs are compared where there is one.
        probe: What a linear probe predicts for it, a `ProbeKind`; None for one class where `exclusive`, and for none
            elsewhere.
        standardized: Whether the model's one output is a number, for which training uses standard units.
        calibrate: (columns of predictions, references, names of the classes, evaluation settings, seed, number of each
            row's cluster or None where rows are independent) → what is stored with the model of validation rows, as
            JSON; None for the usual of one class a row.
        decide: (columns of predictions, what `calibrate` stored) → columns: predictions that depend on it; None where
            none does.
        uncertainty: Probabilities (N, C) → how uncertain each row is (N,), by which rows to label are chosen; None
            where a prediction has none.
        divide: (values, part → its share of the rows, seed) → part → positions of its rows, "train" among them; None
            for the usual.
    """

    name: str
    in_shape: Callable[[pa.Table, str], pa.ChunkedArray]
    answer: Callable[[Any, Any, Any, AnswerFormat], dict[str, Any]]
    shown: Callable[[Any, Sequence[str]], str]
    cell: Callable[[Any, Sequence[str]], str] | None = None
    of_cell: Callable[[str, Sequence[str]], Any] | None = None
    same: Callable[[Any, Any], bool] = operator.eq
    classes: bool = False
    single: bool = False
    ordered: bool = False
    exclusive: bool = False
    written: bool = False
    check: "Callable[[Parts, Column, DataConfig], Checked]" = lambda parts, _column, _config: Checked(parts)
    aligned: "Callable[[Parts, Sequence[Column]], None]" = lambda _parts, _columns: None
    kept: Callable[[Sequence[int | None]], list[int] | None] = _each_once
    of_class: Callable[[int, Sequence[str]], Any] = lambda number, _labels: number
    predictions: Callable[[Any, Mapping[str, Any]], dict[str, list[Any]]] | None = None
    empty: Callable[[AnswerFormat], dict[str, None]] = lambda _answers: {"prediction": None}
    line: Callable[[Any, Mapping[str, Any]], str] = shown_labels.line
    summary: Callable[[pa.ChunkedArray, Sequence[str]], Mapping[str, str]] = shown_labels.summary
    overview: Callable[[Any], dict[str, Any]] = lambda _context: {}
    usage: Callable[[str, Sequence[str], Mapping[str, Any]], str] = lambda given, _labels, _stored: (
        f"print(predict({given}))"
    )
    finish: Callable[
        [Sequence[Any], Sequence[Any], Callable[[list[Any]], list[Any]], Mapping[str, Any]], Sequence[Any]
    ] = lambda _inputs, predictions, _predict, _options: predictions
    hub_tasks: Mapping[str, str] = field(default_factory=dict)
    decision: str | None = None
    title: str = ""
    recognizes: Callable[[LabelColumn], str] = lambda _column: ""
    from_binary_columns: bool = False
    metrics: Sequence[Any] = ()
    best_metric: str = "loss"
    baselines: Mapping[str, Mapping[str, Callable[..., list[Any]]]] = field(default_factory=dict)
    constant: tuple[str, Callable[..., list[Any]]] | None = None
    head: Callable[[Sequence[str]], Sequence[str]] = lambda labels: labels
    model_arguments: Mapping[str, Any] = field(default_factory=dict)
    model_labels: Callable[[Sequence[Any], Sequence[str]], Any] | None = None
    objective: Callable[..., Any] | None = None
    tried_before: bool = False
    loss_keys: Sequence[str] | None = None
    outcome: Any = None
    probe: Any = None
    standardized: bool = False
    calibrate: Callable[..., dict[str, Any]] | None = None
    decide: Callable[[Mapping[str, Sequence[Any]], Mapping[str, Any]], Mapping[str, Sequence[Any]]] | None = None
    uncertainty: Callable[[Any], Any] | None = None
    divide: Callable[[Sequence[Any], Mapping[str, float], int], Mapping[str, Any]] | None = None


@dataclass(frozen=True)
class Auxiliary:
    """A kind of column that predictions are not made from, and that is not predicted.

    Attributes:
        name: Its name in recipes.
        in_shape: (table, name of a column) → the column in the shape that a recipe gets.
        clusters: Whether rows with the same value depend on each other, so that intervals are over its values.
    """

    name: str
    in_shape: Callable[[pa.Table, str], pa.ChunkedArray]
    clusters: bool = False
