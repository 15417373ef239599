"""`toolkit evaluate`."""

import shlex
from typing import Annotated

import typer

from toolkit.cli import options
from toolkit.cli.console import Watcher, note, say

_CHECKS = ("robustness", "bias", "cost", "explanations", "faithfulness")


def evaluate(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]", help="Run directory, alias, folder or Hub id; the newest run when not given."
        ),
    ] = None,
    data: options.Data = None,
    recipe: options.RecipeOfModel = None,
    output: options.Output = None,
    text_column: options.TextColumn = None,
    label_column: options.LabelColumn = None,
    max_length: options.MaxLength = None,
    checks: Annotated[
        str | None,
        typer.Option("--checks", help=f"What to ask beyond the rows: {', '.join(_CHECKS)}, or all."),
    ] = None,
    glossary: options.Glossary = None,
    assignments: options.Assignments = None,
    trust_remote_code: options.TrustRemoteCode = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Ask the model again, even if it was asked about these rows before.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check model, data and labels; judge nothing.")] = False,
) -> None:
    """Reload a model from disk and judge it: on its run's held-out rows, or on data of yours."""
    from toolkit import runs
    from toolkit.commands import verbs

    command = options.command_line()
    if output is not None:
        runs.check_place(output)
    if target is None:
        target = str(runs.newest().path)
        command += f" {shlex.quote(target)}"
        note(f"The newest run is {target}.")
    flags = {
        "data.source": data,
        "data.columns.text": text_column,
        "data.columns.label": label_column,
        "data.max_length": max_length,
        "evaluation.glossary": glossary,
        "evaluation.checks": options.names(checks, _CHECKS),
        "loading.trust_remote_code": trust_remote_code or None,
    }

    values = options.merged(flags, assignments)
    with Watcher() as watch:
        subject = verbs.prepare_evaluation(target, values, recipe, watch)
        for text in subject.facts.get("notes", ()) if not subject.own else ():
            note(f"  note: {text}")
        if dry_run:
            rows = f"{subject.rows.num_rows:,} {subject.split} rows of {subject.facts['origin']}"
            say(f"Nothing was judged: this was a dry run. {subject.checkpoint.origin} fits {rows}.")
            return
        folder, report = verbs.evaluate(subject, output, command, watch, fresh=fresh)
    from toolkit.report.pages.terminal import to_text

    say(to_text(report))
    say(f"report  {folder / 'report.html'}")
