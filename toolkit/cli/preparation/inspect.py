"""`toolkit inspect`."""

import textwrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.cli import completion, options
from toolkit.cli.console import Watcher, say, say_document, table

if TYPE_CHECKING:
    from toolkit.data.tables.inspect import Part

_MOST_EXAMPLES = 12


def inspect(
    data: Annotated[
        str, typer.Argument(help="File, folder, Hub data set (org/name[:config][@revision]) or pkg://package/path.")
    ],
    recipe: Annotated[
        str, typer.Option("--recipe", help="The task the table is for.", autocompletion=completion.recipes)
    ] = "sentiment",
    model: options.Model = None,
    max_length: options.MaxLength = None,
    text_column: options.TextColumn = None,
    label_column: options.LabelColumn = None,
    target: options.Target = None,
    show: Annotated[
        bool,
        typer.Option("--show", help="Write a contact sheet of pictures of each class, original and augmented."),
    ] = False,
    config: options.ConfigFile = None,
    set: options.Assignments = None,
) -> None:
    """Show rows, classes, lengths in tokens, truncation, duplicates and anomalies of a table."""
    given = dict(locals())
    from toolkit.api.documents.preparation import Inspected
    from toolkit.api.preparation import inspect as api

    with Watcher() as watch:
        inspection = api.inspect(**given, progress=options.caller(watch))
    say_document(lambda: Inspected.of(inspection))
    for part in inspection.parts:
        say(f"\n{inspection.origin} — {part.name}")
        say(table(_rows(part, inspection.max_length)))
        if part.examples:
            say(
                table(
                    [
                        (f"  {label}", textwrap.shorten(text, 90, placeholder=" …"))
                        for label, text in list(part.examples.items())[:_MOST_EXAMPLES]
                    ]
                )
            )
    if inspection.sheet is not None:
        say(f"\nContact sheet: {inspection.sheet}")
    shared = [f"{count:,} {what}" for what, count in inspection.shared.items() if count]
    if shared:
        say(f"\nDuplicates between parts: {', '.join(shared)}; `finetune` removes them from train.")


def _rows(part: "Part", longest: int | None) -> list[tuple[str, ...]]:
    def share(count: int, of: int) -> str:
        return f"{count:,} ({100 * count / of:.1f} %)"

    rows: list[tuple[Any, ...]] = [("rows", f"{part.rows:,}"), *part.summary.items()]
    rows.append(part.sizes)
    if longest is not None:
        rows.append(("truncated", f"{share(part.cut_at(longest), part.rows)} are longer than {longest} tokens"))
    rows.append(
        ("duplicates", f"{part.repeated:,} repeat an earlier row; {part.contradictory:,} have contradictory labels")
    )
    return rows
