"""Parts of a recipe that the user wrote, named on the command line.

Each name is `MODULE:NAME` of a module that can be imported, `FILE.py:NAME`, or an entry point of an installed package.
Only the command of now may name one: a file of values may come from elsewhere.
"""

import importlib.metadata
import re
from typing import Annotated

from pydantic import Field, StringConstraints

from toolkit.config.settings import Section

SECTION = "own"  # of the configuration

GROUP = "finetune_toolkit"  # of entry points: finetune_toolkit.metrics, finetune_toolkit.attention …
_PART = "^(.+:[A-Za-z_][A-Za-z0-9_.]*|[A-Za-z_][A-Za-z0-9_-]*)$"
PartName = Annotated[str, StringConstraints(pattern=_PART, max_length=500)]
_NAMED_FORM = re.compile(r"(?P<part>.+:(?P<name>[A-Za-z_]\w*))(?P<numbers>(:\d+)*)")  # FILE.py:NAME:64


def installed(kind: str) -> dict[str, importlib.metadata.EntryPoint]:
    """Return the parts that installed packages name as entry points, by their names; nothing is run.

    Args:
        kind: Key of the configuration, such as "attention".
    """
    return {point.name: point for point in sorted(importlib.metadata.entry_points(group=f"{GROUP}.{kind}"))}


def split_attention(text: str) -> tuple[str, list[str]]:
    """Return forms of attention with those of one's own by their short names, and the parts that define these.

    Args:
        text: As of `--attention`, such as "masks.py:local:64+dense".
    """
    short, parts = [], []
    for form in map(str.strip, text.split("+")):
        match = _NAMED_FORM.fullmatch(form)
        short.append(form if match is None else match["name"] + match["numbers"])
        parts += [] if match is None else [match["part"]]
    return "+".join(short), list(dict.fromkeys(parts))


class OwnPartsConfig(Section):
    """Parts of your own, each as MODULE:NAME, FILE.py:NAME or an entry point of the group `finetune_toolkit.KEY`."""

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
    attention: list[PartName] = Field(
        [],
        description="Forms for `--attention`, by their names: functions (layer, query, key, real) → mask",
    )
