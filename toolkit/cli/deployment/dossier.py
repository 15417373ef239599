"""`toolkit dossier`."""

from typing import Annotated

import typer

from toolkit.cli import completion, options
from toolkit.cli.console import Watcher, say, say_document, table


def dossier(
    run: Annotated[
        str | None,
        completion.run_argument("[RUN]", "Run directory; the newest run when not given."),
    ] = None,
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
) -> None:
    """Write the technical documentation of a run, in the structure of Annex IV of the EU's AI Act."""
    given = dict(locals())
    given["run"], command = options.run_or_newest(run)
    from toolkit.api.deployment import dossier as api
    from toolkit.api.documents.deployment import Dossier

    with Watcher() as watch:
        written = api.dossier(**given, progress=options.caller(watch, command))
    say_document(lambda: Dossier.of(written))
    say(table([(state, str(count)) for state, count in written.counts.items() if count]))
    say(written.summary)
    for name in written.files:
        say(f"written  {written.path / name}")
