"""`toolkit dossier`."""

import json
from typing import Annotated

import typer

from toolkit.cli import options
from toolkit.cli.console import Watcher, say, say_json, table


def dossier(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Run directory.")],
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="Folder to write; dossier in the run when not given.")
    ] = None,
    pdf: Annotated[bool, typer.Option("--pdf", help="Also write dossier.pdf.")] = False,
    font: Annotated[
        list[str] | None,
        typer.Option("--font", help="TrueType font for characters that DejaVu Sans does not have; repeatable."),
    ] = None,
    card_extra: Annotated[
        str | None, typer.Option("--card-extra", help="YAML file of texts for the entries that only people can fill.")
    ] = None,
    recipe: options.RecipeOfModel = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the documentation as JSON, each figure with its file and key.")
    ] = False,
) -> None:
    """Write the technical documentation of a run, in the structure of Annex IV of the EU's AI Act."""
    given = {name: value for name, value in locals().items() if name != "as_json"}
    from toolkit.api.deployment import dossier as api

    with Watcher() as watch:
        written = api.dossier(**given, progress=options.caller(watch))
    if as_json:
        say_json(json.dumps(written.content, ensure_ascii=False))
        return
    say(table([(state, str(count)) for state, count in written.counts.items() if count]))
    say(written.summary)
    for name in written.files:
        say(f"written  {written.path / name}")
