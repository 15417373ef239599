"""The input and the target of a task: everything that the toolkit needs to know about either, in one place.

An `Input` and a `Target` are values that hold plain functions. `tasks/inputs/` and `tasks/targets/` hold one file for
each kind; a recipe may define its own. Nothing outside `tasks/` depends on the kind of a column.
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from toolkit.tasks import shown_labels

if TYPE_CHECKING:
    from toolkit.config import DataConfig, RunConfig

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
    """

    column: Any
    problems: Sequence[str | None]
    shown: Sequence[Any]


@dataclass(frozen=True)
class Reading:
    """How values of rows are read.

    Attributes:
        root: Folder of the files that rows name; None where rows may name none.
        data: Settings that bound their size.
    """

    root: Path | None
    data: "DataConfig"


@dataclass(frozen=True)
class Likeness:
    """How near-duplicates of training rows in test are found.

    Attributes:
        find: (training rows, test rows, their columns) → pairs, or None where that takes too long.
        threshold: Similarity from which on two rows count as a pair.
    """

    find: Callable[[pa.Table, pa.Table, Sequence[str]], list[Any] | None]
    threshold: float


def _sizes(lengths: Any, unit: str) -> tuple[str, str]:
    import numpy as np

    median, high = np.quantile(lengths, [0.5, 0.95])
    return f"{unit} per row", f"median {median:.0f}, 95 % under {high:.0f}, longest {lengths.max()}"


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


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
        length: Size of one value without a tokenizer.
        length_unit: What `length` counts.
        sizes: (lengths of rows, their unit) → name and text: what `inspect` prints of a part.
        json: (most characters) → type of a value in a request.
        about: Describes a value in a request.
        of_json: A value of a request → a value as rows have it.
        plain: Value → text; None where a value is not text.
        shown: Value → what pages and messages show of it.
        thumbnail: Value → data address of a small picture of it, or None.
        preparing: What is done to rows before they are learned from.
        unit: What explanations score: `WORD`, `PATCH`, or None where predictions cannot be explained.
        likeness: How near-duplicates are found; None where they are not searched for.
        changes: (probe, values, places, truth, settings) → the report's section on robustness; None where
            there is none.
        swaps: (probe, values, places, settings) → the report's section on bias; None where people cannot be swapped.
        files: (values, their table or folder) → files that the values name; None where values name none.
        samples: Two values of different length, by which a service is warmed up; empty where there are none.
        few_labels: Whether training methods can be compared by cross-validation where labels are few.
        standalone: Whether the program in an ONNX export reads it.
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
    sizes: Callable[[Any, str], tuple[str, str]] = _sizes
    of_json: Callable[[Any], Any] = lambda value: value
    plain: Callable[[Any], str] | None = None
    shown: Callable[[Any], str] = _shown
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


@dataclass(frozen=True)
class AnswerFormat:
    """How predictions are written next to rows.

    Attributes:
        labels: Names of the classes.
        calibrated: Whether there are calibrated scores.
        all_scores: Whether the score of every class is wanted.
    """

    labels: Sequence[str]
    calibrated: bool
    all_scores: bool


def _each_once(numbers: Sequence[int | None]) -> list[int] | None:
    kept = sorted({number for number in numbers if number is not None})
    return kept if kept or not numbers else None


@dataclass(frozen=True)
class Target:
    """One kind of target.

    Attributes:
        name: Its name in recipes: "label".
        classes: Whether it is made of classes, whose names are numbered.
        single: Whether it is one class for a row: rows are divided by it, weighed and grouped by it.
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
        same: Whether two predictions are the same, as when an export is compared with its model.
        overview: (context of an evaluation) → further keys of the report's evaluation.
        finish: (inputs, predictions, predict, options of the recipe) → predictions: what `predict` does to them.
        hub_tasks: Modality of the input → the Hub's name of the task.
        standalone: Whether the program in an ONNX export predicts it.
    """

    name: str
    in_shape: Callable[[pa.Table, str], pa.ChunkedArray]
    answer: Callable[[Any, Any, Any, AnswerFormat], dict[str, Any]]
    shown: Callable[[Any, Sequence[str]], str]
    same: Callable[[Any, Any], bool] = operator.eq
    classes: bool = False
    single: bool = False
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
    finish: Callable[
        [Sequence[Any], Sequence[Any], Callable[[list[Any]], list[Any]], Mapping[str, Any]], Sequence[Any]
    ] = lambda _inputs, predictions, _predict, _options: predictions
    hub_tasks: Mapping[str, str] = field(default_factory=dict)
    standalone: bool = False


@dataclass(frozen=True)
class Auxiliary:
    """A kind of column that is only read in training.

    Attributes:
        name: Its name in recipes.
        in_shape: (table, name of a column) → the column in the shape that a recipe gets.
    """

    name: str
    in_shape: Callable[[pa.Table, str], pa.ChunkedArray]


Kind = Input | Target | Auxiliary
_OPTIONS = re.compile(r"{(\w+)}")


@dataclass(frozen=True)
class Column:
    """A column that a recipe reads.

    Attributes:
        role: Its name in the recipe, independent of its name in the table.
        names: Names under which it is searched for in a table, most likely first; case does not matter. A name in
            braces is a key of the recipe's options, whose value replaces it: "{target}". A dot leads into a column
            of objects: "translation.{target}".
        kind: What it holds: an `Input`, the `Target`, or an `Auxiliary`; recipe files of older versions give its name.
        required: Whether a table without it is refused.
    """

    role: str
    names: tuple[str, ...]
    kind: Any = "text"
    required: bool = True

    @property
    def options(self) -> list[str]:
        """The keys of the recipe's options that its names contain."""
        return list(dict.fromkeys(key for name in self.names for key in _OPTIONS.findall(name)))


@dataclass(frozen=True)
class Task:
    """A task, as defined by a recipe's columns.

    Attributes:
        columns: All of them.
    """

    columns: tuple[Column, ...]

    @property
    def inputs(self) -> list[Column]:
        """The columns that a prediction is made from."""
        return [column for column in self.columns if isinstance(column.kind, Input)]

    @property
    def target(self) -> Column:
        """The column that is predicted."""
        return next(column for column in self.columns if isinstance(column.kind, Target))

    @property
    def written(self) -> bool:
        """Whether predictions are written token by token."""
        return any(isinstance(column.kind, Target) and column.kind.written for column in self.columns)

    @property
    def labelled(self) -> Column | None:
        """The target, where it is made of classes."""
        targets = (column for column in self.columns if isinstance(column.kind, Target))
        return next((column for column in targets if column.kind.classes), None)

    @property
    def stratum(self) -> str | None:
        """Role of the column with one class for a row, by which rows are divided; None for other tasks."""
        return self.target.role if self.target.kind.single else None

    @property
    def modality(self) -> str:
        """What its models read; of several inputs the first decides."""
        return str(self.inputs[0].kind.modality)

    @property
    def hub_task(self) -> str | None:
        """The Hub's name of the task, where it has one."""
        task: str | None = self.target.kind.hub_tasks.get(self.modality)
        return task

    @property
    def explained_by(self) -> str | None:
        """What explanations of a prediction score, `WORD` or `PATCH`; None where predictions cannot be explained."""
        units = {column.kind.unit for column in self.inputs}
        return units.pop() if len(units) == 1 and self.target.kind.single else None

    @property
    def takes_linear_probe(self) -> bool:
        """Whether a logistic regression on frozen features can do it."""
        return bool(self.target.kind.exclusive)

    @property
    def takes_few_labels(self) -> bool:
        """Whether training methods can be compared by cross-validation where labels are few."""
        return bool(self.target.kind.single) and all(column.kind.few_labels for column in self.inputs)

    @property
    def standalone(self) -> bool:
        """Whether the program in an ONNX export reads its input and predicts its target."""
        required = [column.kind for column in self.inputs if column.required]
        return len(required) == 1 and required[0].standalone and bool(self.target.kind.standalone)

    def meaningless(self, config: "RunConfig") -> list[str]:
        """Return the keys of a configuration that are set and have no meaning for the target."""
        target: Target = self.target.kind
        of_classes = ("class_weights", "focal_gamma", "label_smoothing", "logit_adjustment")
        wrong = [f"loss.{key}" for key in of_classes if getattr(config.loss, key)]
        wrong = [] if target.exclusive or target.written else wrong
        if not target.single:
            of_one = {
                "evaluation.positive_class": config.evaluation.positive_class,
                "data.min_label_rows": config.data.min_label_rows,
            }
            wrong += [key for key, value in of_one.items() if value is not None]
        return wrong

    def present(self, rows: pa.Table) -> list[str]:
        """Return the roles of the columns that `rows` have."""
        return [column.role for column in self.columns if column.role in rows.column_names]

    def inputs_in(self, rows: pa.Table) -> list[str]:
        """Return the roles of the inputs that `rows` have."""
        return [column.role for column in self.inputs if column.role in rows.column_names]

    def texts_in(self, rows: pa.Table) -> list[str]:
        """Return the roles of the inputs that `rows` have and that are text."""
        return [c.role for c in self.inputs if c.kind.plain is not None and c.role in rows.column_names]

    def narrowed(self, rows: pa.Table) -> "Task":
        """Return the task with those of its inputs that `rows` have."""
        there = (c for c in self.columns if not isinstance(c.kind, Input) or c.role in rows.column_names)
        return Task(tuple(there))

    @property
    def single_input(self) -> Column | None:
        """The input, where there is one alone and each row gets a class; None for other tasks."""
        return self.inputs[0] if len(self.inputs) == 1 and self.target.kind.single else None

    def named(self, options: Mapping[str, Any]) -> list[Column]:
        """Return the columns; names in braces take the values of options, or are left out where these are not set."""
        given = {key: value for key, value in options.items() if isinstance(value, str) and value}
        columns = []
        for column in self.columns:
            names = [
                name.format_map(given) if set(_OPTIONS.findall(name)) <= given.keys() else name for name in column.names
            ]
            columns.append(replace(column, names=tuple(names)))
        return columns

    def named_inputs(self, options: Mapping[str, Any]) -> list[Column]:
        """Return those columns of `named` that a prediction is made from."""
        return [column for column in self.named(options) if isinstance(column.kind, Input)]
