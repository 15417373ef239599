"""`evaluate`: evaluate a model on its run's held-out rows or on other data."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from toolkit import runs
from toolkit.api.call import tables, words
from toolkit.api.call.caller import Caller, called
from toolkit.api.results import Evaluation
from toolkit.choices import CHECKS
from toolkit.commands.evaluate import run as command
from toolkit.commands.evaluate.prepare import prepare_evaluation
from toolkit.events import Note


def evaluate(
    run: Any = None,
    *,
    data: Any = None,
    recipe: str | None = None,
    output: str | Path | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    max_length: int | None = None,
    checks: str | Sequence[str] | None = None,
    glossary: str | Path | None = None,
    config: str | Path | None = None,
    set: Mapping[str, Any] | Sequence[str] | None = None,
    trust_remote_code: bool = False,
    fresh: bool = False,
    dry_run: bool = False,
    progress: bool | Caller = True,
) -> Evaluation:
    """Load a model from disk and evaluate it.

    Args:
        run: A run, the path of its directory, an alias, a folder or a Hub id; the newest run when None.
        data: The rows to evaluate on, as `finetune` takes it; the run's held-out rows when None.
        recipe: The task of a model that was not trained here, or the file of its recipe.
        output: Folder for the report; inside the run, or under runs/, when None.
        text_column: Column that holds the text.
        label_column: Column that holds the label.
        max_length: Tokens that an example may have.
        checks: Additional checks: some of `CHECKS`, or "all".
        glossary: CSV or TSV of terms and their translations.
        config: YAML file of values.
        set: Dotted key → value for any key of the configuration, or texts KEY=VALUE.
        trust_remote_code: Run Python code that comes with the checkpoint.
        fresh: Predict again, even where predictions for these rows are stored.
        dry_run: Check model, data and labels; the evaluation that is returned has a `.plan` and no folder.
        progress: Whether to show a bar.

    Raises:
        ToolkitError: As the command line prints it.
    """
    given = {**locals(), "data": tables.stored(data)}
    del given["run"]
    if output is not None:
        runs.check_place(str(output))
    target = str(runs.newest().path) if run is None else words.target_of(run)
    flags = {**words.flags(given), "evaluation.checks": words.names(checks, CHECKS)}
    values = words.merged(flags, words.assignments(set), config)
    with called(progress, "evaluate", [target], given) as caller:
        subject = prepare_evaluation(target, values, recipe, caller.observe)
        for text in subject.facts.get("notes", ()) if not subject.own else ():
            caller.observe(Note(text))
        if dry_run:
            rows = f"{subject.rows.num_rows:,} {subject.split} rows of {subject.facts['origin']}"
            return Evaluation(None, f"{subject.checkpoint.origin} fits {rows}.")
        place = None if output is None else str(output)
        folder, _ = command.evaluate(subject, place, caller.command, caller.observe, fresh=fresh)
    return Evaluation(folder)
