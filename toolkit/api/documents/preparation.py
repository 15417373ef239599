"""The documents of commands before training."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.api.documents.document import Document, place
from toolkit.doctor.check import Check

if TYPE_CHECKING:
    from toolkit.api.preparation.inspect import Inspection
    from toolkit.data.tables.inspect import Part


@dataclass(frozen=True)
class Lengths:
    """Lengths of the inputs.

    Attributes:
        shortest: The shortest one.
        median: The median.
        longest: The longest one.
        truncated: How many are longer than a run reads; null where lengths are not counted in tokens.
    """

    shortest: int
    median: float
    longest: int
    truncated: int | None


@dataclass(frozen=True)
class InspectedPart:
    """A part of a data set.

    Attributes:
        name: "train", "validation", "test" or "all".
        rows: Usable rows.
        classes: Class → number of labels; empty without classes.
        summary: What the target says of its values: name → text.
        duplicates: Rows whose input is in an earlier row.
        contradictory: Rows whose input is elsewhere with another label.
        lengths: Lengths of the inputs; null without any.
        examples: Class → the input of its first row.
    """

    name: str
    rows: int
    classes: dict[str, int]
    summary: dict[str, str]
    duplicates: int
    contradictory: int
    lengths: Lengths | None
    examples: dict[str, str]

    @classmethod
    def of(cls, part: "Part", longest: int | None) -> "InspectedPart":
        """Convert a part; a run reads `longest` tokens of a row."""
        lengths = None
        if len(part.lengths):
            cut = None if longest is None else part.cut_at(longest)
            ends = int(part.lengths.min()), float(np.median(part.lengths)), int(part.lengths.max())
            lengths = Lengths(*ends, cut)
        return cls(
            *(part.name, part.rows, dict(part.classes), dict(part.summary), part.repeated, part.contradictory),
            lengths=lengths,
            examples=dict(part.examples),
        )


@dataclass(frozen=True)
class Inspected(Document, command="inspect"):
    """A table as a run reads it.

    Attributes:
        origin: Where the rows come from.
        parts: The parts of the data.
        unit: What lengths are counted in: "tokens", "words" or "pixels".
        max_length: Tokens of a row that a run reads; null where lengths are not counted in tokens.
        shared: Duplicates between parts → number of rows.
        notes: Remarks on the data.
        sheet: Contact sheet of pictures; null without `--show`.
    """

    origin: str
    parts: list[InspectedPart]
    unit: str
    max_length: int | None
    shared: dict[str, int]
    notes: list[str]
    sheet: str | None

    @classmethod
    def of(cls, inspection: "Inspection") -> "Inspected":
        """Convert the result of `inspect`."""
        parts = [InspectedPart.of(part, inspection.max_length) for part in inspection.parts]
        return cls(
            *(inspection.origin, parts, inspection.unit, inspection.max_length, dict(inspection.shared)),
            *(list(inspection.notes), place(inspection.sheet)),
        )


@dataclass(frozen=True)
class NamedRecipe:
    """A recipe of the toolkit.

    Attributes:
        name: For `finetune NAME`.
        summary: What it is for.
    """

    name: str
    summary: str


@dataclass(frozen=True)
class NamedPreset:
    """A preset of the toolkit.

    Attributes:
        name: For `--preset`.
        command: Command line that runs it.
    """

    name: str
    command: str


@dataclass(frozen=True)
class NamedModel:
    """A short name of a model.

    Attributes:
        name: For `--model`.
        hub: Repository on the Hub; null for an architecture with random weights.
        packaged: Place in a Python package; null where there is none.
    """

    name: str
    hub: str | None
    packaged: str | None


@dataclass(frozen=True)
class RecipeList(Document, command="recipes list"):
    """What comes with the toolkit.

    Attributes:
        recipes: The recipes.
        presets: The presets.
        models: The short names of models.
    """

    recipes: list[NamedRecipe]
    presets: list[NamedPreset]
    models: list[NamedModel]


@dataclass(frozen=True)
class ResolvedValue:
    """A value that a run would use.

    Attributes:
        key: Of the configuration.
        value: The value; null where it is not set or not yet known.
        origin: Where it comes from.
        meaning: What it does.
    """

    key: str
    value: Any
    origin: str
    meaning: str


@dataclass(frozen=True)
class ShownRecipe(Document, command="recipes show"):
    """The values of a recipe.

    Attributes:
        recipe: Its name or file.
        values: Each value with its origin.
    """

    recipe: str
    values: list[ResolvedValue]


@dataclass(frozen=True)
class CopiedRecipe(Document, command="recipes copy"):
    """A copy of a recipe.

    Attributes:
        path: The file.
        run: Command line that runs it.
    """

    path: str
    run: str


@dataclass(frozen=True)
class NewRecipe(Document, command="recipes new"):
    """A package with a recipe to start from.

    Attributes:
        path: Its folder.
        recipe: The file of the recipe.
        test: Command line that tests it.
        run: Command line that runs it.
        install: Command line that installs it.
    """

    path: str
    recipe: str
    test: str
    run: str
    install: str


@dataclass(frozen=True)
class Diagnosis(Document, command="doctor"):
    """The state of the installation.

    Attributes:
        ready: Whether there is no fault.
        checks: What was checked.
    """

    ready: bool
    checks: list[Check]

    @classmethod
    def of(cls, checks: Sequence[Check]) -> "Diagnosis":
        """Convert the checks."""
        return cls(all(check.verdict != "fault" for check in checks), list(checks))


@dataclass(frozen=True)
class NamedSchema:
    """A JSON Schema.

    Attributes:
        name: For `toolkit schema NAME`.
        id: Its `$id`.
        title: What it describes.
    """

    name: str
    id: str
    title: str


@dataclass(frozen=True)
class Schemas(Document, command="schema"):
    """The JSON Schemas of this version.

    Attributes:
        schemas: All of them, or the one that was named.
        schema: The schema that was named; null where none was.
    """

    schemas: list[NamedSchema]
    schema: dict[str, Any] | None
