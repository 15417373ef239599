"""Write the technical documentation of a run: its files, filled into the points of Annex IV."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit import model_metadata, runs
from toolkit.commands.evaluate.run import LOOKS
from toolkit.config.card_extra import CardExtra, read
from toolkit.config.files import read_file, values_to_yaml
from toolkit.evaluation.checks import all_checks
from toolkit.events import Note, Observe, Stage
from toolkit.report.document.schema import REPORT, fill, read_report
from toolkit.report.dossier import fill as filling
from toolkit.report.dossier import pdf as pages
from toolkit.report.dossier.content import Dossier, Evidence
from toolkit.report.dossier.fonts import Fonts
from toolkit.report.dossier.markdown import to_markdown
from toolkit.report.dossier.traces import Node
from toolkit.runs import checksums
from toolkit.tasks import catalogue, loading
from toolkit.tasks.task import Task

FOLDER = "dossier"
MARKDOWN, PDF, EXTRA = "dossier.md", "dossier.pdf", "card-extra.yaml"
_RECORDS = ("report.json", "predictions.parquet", "run.json", "config.yaml", "metrics.jsonl", "data/test.parquet")
_LATER = Path("evaluations", "held-out")  # of the same rows, perhaps with further checks


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        folder: Where.
        dossier: The documentation.
        files: Names in the folder.
    """

    folder: Path
    dossier: Dossier
    files: tuple[str, ...]


def write(
    target: str,
    observe: Observe,
    *,
    recipe_name: str | None = None,
    output: Path | None = None,
    pdf: bool = False,
    fonts: tuple[Path, ...] = (),
    card_extra: Path | None = None,
) -> Written:
    """Write the technical documentation of a run.

    The folder keeps the texts, which are used again where none are given; a PDF of earlier content is removed.

    Args:
        target: A run directory.
        observe: Called with each event.
        recipe_name: The task; the one stored with the model when None.
        output: Folder to write; dossier in the run when None.
        pdf: Whether to write a PDF beside the Markdown.
        fonts: TrueType fonts for characters that DejaVu Sans does not have.
        card_extra: YAML file of texts for the entries that only people can fill.

    Raises:
        ToolkitError: The run is not complete or was changed, a key of the texts is unknown, or a package is missing.
    """
    if pdf:
        pages.check_installed()
    drawn = Fonts(fonts) if pdf else None
    observe(Stage("Reading the run"))
    run = runs.finished(target)
    folder = output or run.path / FOLDER
    kept = folder / EXTRA
    if card_extra is None and kept.is_file():
        card_extra = kept
        observe(Note(f"Using the texts of {kept}; remove the file to leave them out."))
    extra = CardExtra() if card_extra is None else read(card_extra)
    dossier = filling.fill(collect(run, target, recipe_name), extra)
    runs.check_writable(folder)
    observe(Stage("Writing the documentation"))
    if card_extra not in (None, kept):
        runs.write_text(kept, values_to_yaml(extra.model_dump(exclude_none=True)))
    runs.write_text(folder / MARKDOWN, to_markdown(dossier))
    if drawn is None and (folder / PDF).is_file():
        (folder / PDF).unlink()
        observe(Note(f"Removed {folder / PDF}, which had other content; --pdf writes it again."))
    if drawn is not None:
        with runs.aside(folder / PDF) as draft:
            pages.write_pdf(dossier, draft, drawn)
        if drawn.undrawn:
            observe(Note(f"{PDF}: {drawn.note} --font FILE adds a TrueType font."))
    return Written(folder, dossier, (MARKDOWN, PDF) if pdf else (MARKDOWN,))


def collect(run: runs.Run, target: str, recipe_name: str | None = None) -> Evidence:
    """Read what a run knows.

    Args:
        run: A complete run.
        target: The run, as the user named it.
        recipe_name: The task; the one stored with the model when None.

    Raises:
        SourceError: A file is damaged, or was changed after it was written.
        RecipeError: The recipe is not installed, and was not given.
    """
    reports = _reports(run)
    card = model_metadata.read(run.model)
    named = model_metadata.recipe_of(card, run.model, recipe_name, trusted=False)
    task = loading.load(str(named), (card.get("data") or {}).get("target")).task
    task = Task(task.learned(card.get("inputs") or {}))
    applies = {check.key: check.applies(task) for check in all_checks()}
    applies["faithfulness"] = task.explained_by is not None or applies["writing"]  # of generated texts by alignment
    own = [] if str(named) in catalogue.available() else ["--recipe", str(named)]
    looks = run.path / LOOKS
    return Evidence(
        run=_node("run.json", runs.read_facts(run.path)),
        config=_node("config.yaml", read_file(run.path / "config.yaml")),
        card=_node(f"model/{runs.CARD}", card),
        reports=reports,
        looks=_node(LOOKS.as_posix(), runs.read_object(looks) if looks.is_file() else {}),
        model_files=_files(run, [*_inside(run, "model"), *_inside(run, "adapter"), *_inside(run, "exports")]),
        records=_files(run, [run.path / name for name in _RECORDS]),
        task=task,
        applies=applies,
        target=shlex.join([target, *own]),
    )


def _node(name: str, content: dict[str, Any]) -> Node:
    """Return what a file holds, without characters that cannot be shown."""
    return Node(name, "", fill({}, content))


def _reports(run: runs.Run) -> list[Node]:
    """Return the run's own report, and a later one on the same rows, if its metrics are the same."""
    own, later = run.path / "report.json", run.path / _LATER / "report.json"
    checksums.check(own, "Undo the change, or copy the run directory again.")
    found = [Node("report.json", "", fill(REPORT, read_report(own)))]
    if later.is_file():
        checksums.check(later, f"`toolkit evaluate {run.path}` writes it again.")
        again: dict[str, Any] = fill(REPORT, read_report(later))
        if again["evaluation"]["metrics"] == found[0].value["evaluation"]["metrics"]:
            found.append(Node((_LATER / "report.json").as_posix(), "", again))
    return found


def _inside(run: runs.Run, name: str) -> list[Path]:
    """Return the files in a folder of a run, in the order of their paths."""
    files = (file for file in (run.path / name).rglob("*") if file.is_file() and not file.name.startswith("."))
    return sorted(files, key=lambda file: file.relative_to(run.path).as_posix())


def _files(run: runs.Run, files: list[Path]) -> list[tuple[str, Node]]:
    """Return size and digest of files, those whose digest was recorded only if they still have it."""
    found = []
    for file in (file for file in files if file.is_file()):
        name = file.relative_to(run.path).as_posix()
        checksums.check(file, "Undo the change, or copy the run directory again.")
        facts = {"bytes": file.stat().st_size, "sha256": checksums.recorded(file) or runs.digest(file)}
        found.append((name, Node(name, "", facts)))
    return found
