"""What a recipe file may define: every constant and function, with types and defaults.

A recipe is a Python file with the public names of `PARTS`; `recipes/sentiment.py` is one to read.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from toolkit.tasks.task import Column, Target, Task


class Rows(Mapping[str, Sequence[Any]]):
    """Some rows of a table: role → values.

    Attributes:
        classes: Names of the classes in the order of their numbers; empty for a task without classes.
    """

    def __init__(self, columns: Mapping[str, Sequence[Any]], classes: Sequence[str] = ()) -> None:
        self._columns = columns
        self.classes = tuple(classes)

    def __getitem__(self, role: str) -> Sequence[Any]:
        return self._columns[role]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)


@dataclass(frozen=True)
class Tables:
    """The tables that a file or folder holds.

    Attributes:
        parts: Part ("train", "validation", "test", or "all" where it is not divided) → rows.
        notes: What was passed over, or guessed.
        counts: Reason → how many rows were left out.
        given: Whether the parts came with the data; False where a recipe divided it.
    """

    parts: Mapping[str, pa.Table]
    notes: Sequence[str] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    given: bool = True


class Preprocess(Protocol):
    """Turn columns of raw values into columns of model inputs, row by row the same order."""

    def __call__(self, rows: Rows, processor: Any, config: Any) -> dict[str, Any]:
        """Return columns of model inputs; those that `collate` leaves out reach only `predictions`."""


class Collate(Protocol):
    """Stack examples into the tensors of one batch."""

    def __call__(self, features: Sequence[Mapping[str, Any]], processor: Any) -> dict[str, Any]:
        """Return the batch."""


class Arrange(Protocol):
    """Make the rows of a task from tables of another shape."""

    def __call__(
        self, parts: Mapping[str, pa.Table], config: Any, options: Mapping[str, Any], *, divide: bool
    ) -> Tables | None:
        """Return the rows, whose columns are then found by name; None where the tables have the right shape.

        Args:
            parts: Part → rows as they were read.
            config: Data settings.
            options: The recipe's own keys.
            divide: Whether the rows are for training: then they may be divided by an order of their own, such as time.
        """


class Generate(Protocol):
    """Write the answers to a batch, token by token."""

    def __call__(self, model: Any, batch: Mapping[str, Any], processor: Any, config: Any) -> dict[str, list[Any]]:
        """Return columns, one value an example."""


def _none(*_arguments: Any) -> list[str]:
    return []


def with_accepted(function: Callable[..., Any], **given: Any) -> Callable[..., Any]:
    """Return a function of a recipe with those of some keyword arguments that it has a parameter for."""
    parameters = inspect.signature(function).parameters
    return partial(function, **{name: value for name, value in given.items() if name in parameters})


@dataclass(frozen=True)
class Recipe:
    """A recipe, loaded.

    Attributes:
        file: Its path.
        about: Its docstring.
        defaults: `DEFAULTS`: nested configuration values.
        columns: `COLUMNS`: what it reads; inputs, one target, and what is read in training alone.
        metrics: `METRICS`: names of metrics or `toolkit.metrics.Metric`; the first is the headline.
        load_processor: (folder of a checkpoint, config) → its tokenizer or image processor.
        preprocess: (`Rows`, processor, config) → columns of model inputs, row by row the same order.
        build_model: (folder, names of the classes, config, **arguments) → the checkpoint with the right head.
        collate: (examples, processor) → the tensors of one batch; rows of integers padded to the longest, labels with
            -100, where a recipe has none.
        predictions: (outputs, batch) → columns, one value an example; "prediction" is what metrics compare. The batch
            holds the tensors that the model got, and lists of what `collate` left out. One with a parameter
            `processor` gets that too. The target's where a recipe has none.
        generate: (model, batch, processor, config) → the same columns, for a target that is written token by token;
            it stands in the place of `predictions`.
        generates: (folder of a checkpoint) → whether `generate` is for it; others predict in one forward pass.
        read: (path, data settings, options) → `Tables`, or None: reads files of a format of the task's own.
        arrange: (parts, data settings, options, divide=…) → `Tables`, or None: makes the rows of the task from tables
            of another shape, such as histories from a log.
        clean: (rows, options) → reason → which rows: what is not to be learned from.
        start: (rows, folder, config): writes a checkpoint with random weights and a vocabulary learned from the
            training rows, for `--from-scratch` where no `--model` is named.
        complete: (rows, folder of a checkpoint, config) → a function that writes the checkpoint to another folder, with
            what it lacks and training rows decide, such as a vocabulary; None where it lacks nothing.
        remarks: (rows, processor, config) → sentences: notes on the data before training starts.
        label_remarks: (names of the classes) → sentences: notes on unusual labels.
        augmentation: (processor, names of the classes, config) → a function on batches, or None: changes training
            batches at random, on the device of the model.
        check: (config, kind of the target): refuses settings that do not fit the kind, before the data are read where
            the kind is named.
        notes: Sentences for the user about the file.
        baselines: `BASELINES`: name → (training rows, test rows, names of the classes) → predictions. One with a
            parameter `options` gets the recipe's own keys too.
        targets: `TARGETS`: value of `data.target` → the kind of the target's column; empty where it has one kind. The
            first is that of `COLUMNS`; metrics, baselines and loss of the others are their own.
        fallback_data: `FALLBACK_DATA`: data settings that are used when the Hub cannot be reached.
        label_names: `LABEL_NAMES`: number of classes → names, for labels that are bare numbers; not used for pairs.
        outside: `OUTSIDE`: name of the class of words beyond the maximum length.
        polarity: `POLARITY`: name of a class in lower case → how positive it is, -1 to 1, for checks of direction and
            bias.
        loss: (outputs, batch) → the mean loss over the batch, a scalar tensor; the target's or the model's where there
            is none.
        checks: `CHECKS`: functions (EvaluationContext) → a section of the report: {"title", "text", "columns", "rows"}.
        own_metrics: Metrics that the user named beside the recipe; they are among `metrics`, of every target.
        options: `Options`: a pydantic model of the recipe's own keys, each of which is an option of the command line.
    """

    file: Path
    about: str
    defaults: Mapping[str, Any]
    columns: Sequence[Column]
    metrics: Sequence[Any]
    load_processor: Callable[[Path, Any], Any]
    preprocess: Preprocess
    build_model: Callable[..., Any]
    collate: Collate
    predictions: Callable[..., dict[str, list[Any]]] = lambda _outputs, _batch: {}
    generate: Generate | None = None
    generates: Callable[[Path], bool] = lambda _path: True
    read: Callable[[Path, Any, Mapping[str, Any]], Tables | None] | None = None
    arrange: Arrange | None = None
    clean: Callable[[Any, Mapping[str, Any]], Mapping[str, Any]] | None = None
    start: Callable[[Any, Path, Any], None] | None = None
    complete: Callable[[Any, Path, Any], Callable[[Path], None] | None] | None = None
    remarks: Callable[[Any, Any, Any], list[str]] = _none
    label_remarks: Callable[[Sequence[str]], list[str]] = _none
    augmentation: Callable[[Any, Sequence[str], Any], Any] = lambda *_: None
    check: Callable[[Any, Target], None] = lambda *_: None
    baselines: Mapping[str, Callable[..., list[Any]]] | None = None
    targets: Mapping[str, Target] = field(default_factory=dict)
    fallback_data: Mapping[str, Any] | None = None
    label_names: Mapping[int, Sequence[str]] | None = None
    outside: str | None = None
    polarity: Mapping[str, float] | None = None
    loss: Callable[[Any, Any], Any] | None = None
    checks: Sequence[Callable[[Any], Mapping[str, Any]]] = ()
    own_metrics: Sequence[Any] = ()
    options: Any = None
    notes: Sequence[str] = ()

    @property
    def task(self) -> Task:
        """The task that the columns define."""
        return Task(tuple(self.columns))

    @property
    def target(self) -> Target:
        """The kind of the target."""
        kind: Target = self.task.target.kind
        return kind

    def for_target(self, name: str | None) -> "Recipe":
        """Return the recipe with another kind of target; the same recipe where `name` is None.

        Args:
            name: One of `targets`.
        """
        if name is None or self.targets[name] is self.target:
            return self
        kind = self.targets[name]
        columns = tuple(replace(c, kind=kind) if c is self.task.target else c for c in self.columns)
        training = {**self.defaults.get("training", {}), "best_metric": kind.best_metric}
        return replace(
            self,
            columns=columns,
            defaults={**self.defaults, "training": training},
            metrics=(*kind.metrics, *self.own_metrics),
            baselines=kind.baselines.get(self.task.modality, {}),
            predictions=kind.predictions or self.predictions,
            label_names=None,
            polarity=None,
        )

    def for_checkpoint(self, path: Path) -> "Recipe":
        """Return the recipe for a checkpoint: without `generate` where that is for others."""
        return self if self.generate is None or self.generates(path) else replace(self, generate=None)

    def features(self, rows: "Rows", processor: Any, config: Any) -> dict[str, Any]:
        """Return columns of model inputs, with "labels" by the target where `preprocess` returns none."""
        made = self.preprocess(rows, processor, config)
        role = self.task.target.role
        if "labels" not in made and role in rows and self.target.model_labels is not None:
            made["labels"] = self.target.model_labels(rows[role], rows.classes)
        return made


# Public name in a file → attribute of `Recipe`.
PARTS = {
    "DEFAULTS": "defaults",
    "COLUMNS": "columns",
    "METRICS": "metrics",
    "BASELINES": "baselines",
    "TARGETS": "targets",
    "FALLBACK_DATA": "fallback_data",
    "LABEL_NAMES": "label_names",
    "OUTSIDE": "outside",
    "POLARITY": "polarity",
    "Options": "options",
    "CHECKS": "checks",
    **{
        name: name
        for name in (
            *("load_processor", "preprocess", "build_model", "collate", "predictions", "generate", "generates"),
            *(
                "read",
                "arrange",
                "clean",
                "start",
                "complete",
                "remarks",
                "label_remarks",
                "augmentation",
                "check",
                "loss",
            ),
        )
    },
}

REQUIRED = ("DEFAULTS", "COLUMNS", "METRICS", "load_processor", "preprocess", "build_model")
