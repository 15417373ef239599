"""The columns of a recipe, and the task that they define: what the whole toolkit asks about it, in one place.

Nothing outside `tasks/` depends on the kind of a column.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from toolkit.tasks.kinds import (
    NO_LIMITS,
    PATCH,
    WORD,
    AnswerFormat,
    Auxiliary,
    Checked,
    Input,
    LabelColumn,
    Likeness,
    Limits,
    Parts,
    Reading,
    Target,
    Values,
)

if TYPE_CHECKING:
    from toolkit.config import RunConfig

# What a recipe with kinds of its own imports, beside `Column` and `Task`.
__all__ = [
    "NO_LIMITS",
    "PATCH",
    "WORD",
    "AnswerFormat",
    "Auxiliary",
    "Checked",
    "Column",
    "Input",
    "Kind",
    "LabelColumn",
    "Likeness",
    "Limits",
    "Parts",
    "Reading",
    "Target",
    "Task",
    "Values",
]

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
        pairs: Names of the recipe's first column and of this one that belong together, in lower case: ("premise",
            "hypothesis"). Where a table has both, they are used before other names.
    """

    role: str
    names: tuple[str, ...]
    kind: Any = "text"
    required: bool = True
    pairs: tuple[tuple[str, str], ...] = ()

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
    def labels_words(self) -> bool:
        """Whether each word of a row has exactly one class."""
        return bool(self.target.kind.exclusive and not self.target.kind.single)

    @property
    def several(self) -> bool:
        """Whether a row has any number of the classes."""
        kind: Target = self.target.kind
        return kind.classes and not kind.single and not kind.exclusive

    @property
    def counted(self) -> str | None:
        """Role of the column whose classes are counted in each part: one for a row, or any number of them."""
        return self.target.role if self.several else self.stratum

    @property
    def modality(self) -> str:
        """What its models read; of several inputs the first decides."""
        return str(self.inputs[0].kind.modality)

    @property
    def longest_by_tokens(self) -> bool:
        """Whether `data.max_length` bounds the inputs, rather than what the model reads."""
        return any(column.kind.tokens for column in self.inputs)

    @property
    def hub_task(self) -> str | None:
        """The Hub's name of the task, where it has one."""
        task: str | None = self.target.kind.hub_tasks.get(self.modality)
        return task

    @property
    def explained_by(self) -> str | None:
        """What explanations of a prediction score, `WORD` or `PATCH`; None where predictions cannot be explained."""
        return None if self.input_kind is None else self.input_kind.unit

    @property
    def _compared(self) -> bool:
        """Whether the predictions for an input and for a changed one can be compared."""
        return bool(self.target.kind.single) or self.target.kind.outcome is not None

    @property
    def takes_linear_probe(self) -> bool:
        """Whether a logistic regression on frozen features can do it."""
        return bool(self.target.kind.exclusive) or self.target.kind.probe is not None

    @property
    def takes_selection(self) -> bool:
        """Whether rows to label can be chosen: a row has one vector, and a linear probe can learn from it."""
        return bool(self.target.kind.single) or self.target.kind.probe is not None

    @property
    def takes_calibration(self) -> bool:
        """Whether something is determined on validation rows after training."""
        return bool(self.target.kind.single) or self.target.kind.calibrate is not None

    @property
    def takes_distillation(self) -> bool:
        """Whether a student can learn a model's probabilities: each row has one class, learned by cross-entropy."""
        return bool(self.target.kind.single) and self.target.kind.objective is None

    @property
    def takes_few_labels(self) -> bool:
        """Whether training methods can be compared by cross-validation where labels are few."""
        return bool(self.target.kind.single) and all(column.kind.few_labels for column in self.inputs)

    @property
    def repairable(self) -> bool:
        """Whether doubtful labels of training rows can be found by a probe, and corrected."""
        return self.takes_linear_probe and self.target.kind.of_cell is not None

    @property
    def ranks(self) -> bool:
        """Whether predictions rank rows, by the probability of a class or by a number."""
        return bool(self.target.kind.single or self.target.kind.standardized)

    @property
    def takes_shift(self) -> bool:
        """Whether held-out rows and new rows can be compared: classes or numbers are predicted, not texts or items."""
        target: Target = self.target.kind
        return (target.classes or target.standardized) and not target.written

    @property
    def decision(self) -> str | None:
        """How the program in an ONNX export predicts, as of `Target`; None where it cannot read the inputs either."""
        required = [column.kind for column in self.inputs if column.required]
        readable = 1 <= len(required) <= 2 and all(kind.standalone for kind in required)
        return self.target.kind.decision if readable else None

    def meaningless(self, config: "RunConfig") -> list[str]:
        """Return the keys of a configuration that are set and have no meaning for the target."""
        target: Target = self.target.kind
        of_classes = ("class_weights", "focal_gamma", "label_smoothing", "logit_adjustment")
        usual = of_classes if target.exclusive or target.written else ()
        known = usual if target.loss_keys is None else target.loss_keys
        wrong = [f"loss.{key}" for key in of_classes if key not in known and getattr(config.loss, key)]
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

    def identifying_in(self, rows: pa.Table) -> list[str]:
        """Return the roles of the inputs that `rows` have and by which two rows are the same example."""
        return [column.role for column in self.inputs if column.kind.identifying and column.role in rows.column_names]

    def clusters_in(self, rows: pa.Table) -> str | None:
        """Return the role of the column whose equal values mark rows that depend on each other; None without one."""
        clusters = (c.role for c in self.columns if isinstance(c.kind, Auxiliary) and c.kind.clusters)
        return next((role for role in clusters if role in rows.column_names), None)

    def texts_in(self, rows: pa.Table) -> list[str]:
        """Return the roles of the inputs that `rows` have and that are text."""
        return [c.role for c in self.inputs if c.kind.plain is not None and c.role in rows.column_names]

    def narrowed(self, rows: pa.Table) -> "Task":
        """Return the task with those of its inputs that `rows` have."""
        there = (c for c in self.columns if not isinstance(c.kind, Input) or c.role in rows.column_names)
        return Task(tuple(there))

    def learned(self, inputs: Mapping[str, Mapping[str, Any]]) -> tuple[Column, ...]:
        """Return the columns of a model that learned from some of the inputs.

        Args:
            inputs: Role of each of these → "required", whether every training row had a value, and "learned", what
                `Input.learned` returned for these, where the kind has it; empty where that is not known.
        """
        if not inputs:
            return self.columns
        kept = (c for c in self.columns if c.required or not isinstance(c.kind, Input) or c.role in inputs)
        return tuple(replace(c, required=c.required or inputs.get(c.role, {}).get("required") is True) for c in kept)

    @property
    def input_kind(self) -> Input | None:
        """The kind of all inputs, where it is one and predictions for an example and a changed one can be compared."""
        kinds = {column.kind.name: column.kind for column in self.inputs}
        of_words = self.labels_words and len(self.inputs) == 1 and pa.types.is_list(self.inputs[0].kind.type)
        return next(iter(kinds.values())) if len(kinds) == 1 and (self._compared or of_words) else None

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
