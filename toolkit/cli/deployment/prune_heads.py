"""`toolkit prune-heads`."""

from typing import Annotated

import typer

from toolkit.cli import completion, options
from toolkit.cli.console import Watcher, say, say_document, table


def prune_heads(
    run: Annotated[
        str,
        completion.run_argument("RUN", "Run directory of a model that chooses classes."),
    ],
    tolerance: Annotated[
        float,
        typer.Option("--tolerance", min=0, help="Largest accepted loss of the first metric on validation rows."),
    ] = 0.01,
    share: Annotated[
        float | None, typer.Option("--share", min=0, max=1, help="Share of the heads to prune, regardless of the loss.")
    ] = None,
    rows: Annotated[
        int, typer.Option("--rows", min=1, help="Maximum number of validation rows to measure importance on.")
    ] = 500,
    png: Annotated[bool, typer.Option("--png", help="Also write the curve as a PNG file.")] = False,
    recipe: options.RecipeOfModel = None,
    output: options.Output = None,
    trust_remote_code: options.TrustRemoteCode = False,
) -> None:
    """Prune the least important attention heads, with the curve of quality against cost.

    The pruned model is a new run, evaluated on the held-out rows like the full one: use it with `evaluate`, `predict`
    and `push`.
    """
    from toolkit.api.documents.deployment import PrunedHeads
    from toolkit.commands.evaluate.prepare import prepare_evaluation
    from toolkit.commands.prune_heads import Pruning
    from toolkit.commands.prune_heads import prune_heads as prune
    from toolkit.report.pages.attention import pruning

    values = {"loading": {"trust_remote_code": True}} if trust_remote_code else {}
    wanted = Pruning(rows, tolerance, share, png)
    with Watcher() as watch:
        subject = prepare_evaluation(run, values, recipe, watch)
        made, pruning_result = prune(subject, wanted, output, options.command_line(), watch)
    say_document(lambda: PrunedHeads.of(made.path, pruning_result))
    header = tuple(name or pruning_result["metric"] for name in pruning.COLUMNS)
    say(
        table(
            [
                tuple(pruning.row(point, pruning_result["curve"][0], pruning_result["metric"]))
                for point in pruning_result["curve"]
            ],
            header,
        )
    )
    say(f"\n{pruning.headline(pruning_result)}")
    pages = [(name, str(made.path / file)) for name, file in (("page", "pruning.html"), ("report", "report.html"))]
    say(table([("run", str(made.path)), *pages]))
