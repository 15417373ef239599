"""`toolkit attend`."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli import completion, options
from toolkit.cli.console import say, say_document, table

if TYPE_CHECKING:
    from toolkit.attention.walk import Step

_ROWS = 12  # of a step that are printed; the page has all
_COLUMNS = 8
_LABEL = 12  # characters of a token


def attend(
    model: Annotated[
        str,
        completion.model_argument(None, "Run directory, alias, folder, Hub id or pkg://package/path."),
    ],
    text: Annotated[str, typer.Argument(help="A sentence.")],
    layer: Annotated[int, typer.Option("--layer", help="Number of the layer, from 1.")] = 1,
    head: Annotated[int, typer.Option("--head", help="Number of the head, from 1.")] = 1,
    html: Annotated[
        Path | None,
        typer.Option("--html", help="Also write an HTML page, with the attention maps of every layer and head."),
    ] = None,
    trust_remote_code: options.TrustRemoteCode = False,
) -> None:
    """Trace the computation of attention for a text in one head, with the shape and numbers of each step."""
    from toolkit.api.documents.explanation import Attended
    from toolkit.commands.attend import attend as walk
    from toolkit.config.settings import LoadingConfig

    loading = LoadingConfig(trust_remote_code=trust_remote_code)
    trace = walk(model, text, layer=layer, head=head, loading=loading, page=html)
    say_document(lambda: Attended.of(trace, html))
    for number, step in enumerate(trace.steps, 1):
        say(f"\n{number}. {step.title}  {step.shape}" + (f"  {step.equation}" if step.equation else ""))
        say(f"   {step.meaning}")
        say("\n".join(f"   {line}" for line in _lines(step)))
        if step.title == "Weights":
            say("\n".join(f"   → {line}" for line in trace.example))
    say(f"\nThe model's own attention gives the same output vectors within {trace.difference:.1g}.")
    if html is not None:
        say(f"page  {html}")


def _lines(step: "Step") -> Iterator[str]:
    """Format the numbers of a step as a table, cut to the width of a terminal."""
    from toolkit.report.pages.attention.walkthrough import number

    wide = step.cut or len(step.columns) > _COLUMNS
    header = ("", *(_short(column) for column in step.columns[:_COLUMNS]), "…" if wide else "")
    rows = [
        (_short(name), *(number(value, step.kind) for value in values[:_COLUMNS]), "…" if wide else "")
        for name, values in zip(step.rows[:_ROWS], step.values, strict=False)
    ]
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    right = [
        tuple(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)) for row in (header, *rows)
    ]
    yield from table(
        [(name, *cells) for name, cells in zip([row[0] for row in (header, *rows)], right, strict=True)]
    ).split("\n")
    if len(step.rows) > _ROWS:
        yield f"… {len(step.rows) - _ROWS} more"


def _short(token: str) -> str:
    return token if len(token) <= _LABEL else f"{token[: _LABEL - 1]}…"
