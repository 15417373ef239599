"""Parts of a recipe that the user wrote, named on the command line.

Each name is `MODULE:NAME` of a module that can be imported, or `FILE.py:NAME`. Only the command of now may name one: a
file of values may come from elsewhere.
"""

from typing import Annotated

from pydantic import Field, StringConstraints

from toolkit.config.settings import Section

SECTION = "own"  # of the configuration

PartName = Annotated[str, StringConstraints(pattern="^.+:[A-Za-z_][A-Za-z0-9_.]*$", max_length=500)]


class OwnPartsConfig(Section):
    """Parts of your own, each as MODULE:NAME or FILE.py:NAME."""

    metrics: list[PartName] = Field(
        [], description="Further metrics: a Metric, or a function (predictions, references) → a number for each row"
    )
    loss: PartName | None = Field(
        None, description="The loss: a function (outputs, batch) → its mean over the batch, a scalar tensor"
    )
    augmentation: PartName | None = Field(None, description="Changes training batches: as `augmentation` of a recipe")
    read: PartName | None = Field(None, description="Reads files: as `read` of a recipe; None where it does not")
    checks: list[PartName] = Field(
        [], description="Sections of the report: functions (EvaluationContext) → title, text, columns and rows"
    )
