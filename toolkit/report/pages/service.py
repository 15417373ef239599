"""The page that sends inputs to a served model."""

from collections.abc import Mapping, Sequence
from typing import Any

from toolkit import __version__
from toolkit.report.pages.render import environment
from toolkit.report.plots import attention_maps
from toolkit.tasks.task import Column


def page(described: Mapping[str, Any], inputs: Sequence[Column], characters: int) -> str:
    """One self-contained page; its policy allows one script, by its hash, and connections to this server only.

    Args:
        described: Of the model: "model", "task", "labels", "calibrated", "explains".
        inputs: The fields of one input.
        characters: How long a text may be.
    """
    fields = [
        {
            "role": c.role,
            "kind": c.kind.name,
            "file": c.kind.files is not None,
            "noun": c.kind.nouns[0],
            "required": c.required,
            "title": c.role.replace("_", " ").capitalize(),
        }
        for c in inputs
    ]
    return (
        environment("html")
        .get_template("app/app.html.j2")
        .render(
            **described,
            inputs=fields,
            characters=characters,
            toolkit_version=__version__,
            **attention_maps.script("app/app.js"),
        )
    )
