"""`dossier`: the technical documentation of a run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit import runs
from toolkit.api.call import words
from toolkit.api.call.caller import Caller, called
from toolkit.commands import dossier as command
from toolkit.report.dossier.content import STATES, as_json


@dataclass(frozen=True)
class Documentation:
    """A technical documentation that was written.

    Attributes:
        path: Its folder.
        files: Names of the files in it.
        content: Points, entries and figures, each figure with its file, key and value.
    """

    path: Path
    files: Sequence[str]
    content: dict[str, Any]

    @property
    def summary(self) -> str:
        """How much is filled."""
        return str(self.content["summary"])

    @property
    def counts(self) -> dict[str, int]:
        """State of an entry → how many have it."""
        return {state: self.content["counts"][state] for state in STATES}

    def __repr__(self) -> str:
        return f"<Documentation {self.path}: {self.summary}>"


def dossier(
    run: Any = None,
    *,
    output: str | Path | None = None,
    pdf: bool = False,
    font: Sequence[str | Path] | None = None,
    card_extra: str | Path | None = None,
    recipe: str | None = None,
    progress: bool | Caller = True,
) -> Documentation:
    """Write the technical documentation of a run, in the structure of Annex IV of the EU's AI Act.

    Args:
        run: A run, or the path of its directory; the newest run when None.
        output: Folder to write; dossier in the run when None.
        pdf: Also write it as PDF; needs the extra `dossier`.
        font: TrueType fonts for characters that DejaVu Sans does not have.
        card_extra: YAML file of texts for the entries that only people can fill.
        recipe: The task, or its file, where it is none that is installed.
        progress: Whether to show a bar.

    Raises:
        ToolkitError: As the command line prints it.
    """
    target = str(runs.newest().path) if run is None else words.target_of(run)
    with called(progress, "dossier", [target], {}) as caller:
        written = command.write(
            *(target, caller.observe),
            recipe_name=recipe,
            output=None if output is None else Path(output),
            pdf=pdf,
            fonts=tuple(Path(file) for file in font or ()),
            card_extra=None if card_extra is None else Path(card_extra),
        )
    return Documentation(written.folder, written.files, as_json(written.dossier))
