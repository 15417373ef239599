"""`toolkit export`."""

from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli import completion, options
from toolkit.cli.console import Watcher, say, say_document, table

if TYPE_CHECKING:
    from toolkit.exporting.schema import Export, Speed


def export(
    run: Annotated[
        str,
        completion.model_argument("MODEL", "Run directory, folder or Hub id."),
    ],
    form: Annotated[str, typer.Option("--to", help="onnx, onnx-int8, openvino, safetensors or torch-export.")],
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="Folder to write; exports/FORM in the run when not given.")
    ] = None,
    data: options.Data = None,
    rows: Annotated[int, typer.Option("--rows", min=1, help="Held-out rows to compare on, at most.")] = 1000,
    tolerance: Annotated[
        float | None,
        typer.Option(
            "--tolerance",
            min=0,
            max=1,
            help="Share of the rows that may get a different prediction; 0.001 when not given, 0.05 in 8 bits.",
        ),
    ] = None,
    recipe: options.RecipeOfModel = None,
    text_column: options.TextColumn = None,
    label_column: options.LabelColumn = None,
    max_length: options.MaxLength = None,
    config: options.ConfigFile = None,
    set: options.Assignments = None,
    trust_remote_code: options.TrustRemoteCode = False,
) -> None:
    """Export a model for other programs, and verify on held-out rows that its predictions are the same.

    export.json records the agreement with the model, the change of accuracy, the size and the speed.
    An export that disagrees on more than --tolerance is not written.
    """
    given = dict(locals())
    from toolkit.api.deployment import export as api
    from toolkit.api.documents.deployment import ExportedModel

    with Watcher() as watch:
        exported = api.export(**given, progress=options.caller(watch))
    say_document(lambda: ExportedModel.of(exported))
    say(table(_lines(exported.report)))
    say(f"export  {exported.path}")


def _lines(report: "Export") -> list[tuple[str, str]]:
    agreement = report.agreement
    same = f"{agreement.same:,} of {agreement.rows:,} {report.split} rows ({agreement.value:.2%})"
    lines = [("same prediction", same)]
    if report.drift is not None:
        lines.append((report.drift.what, f"differ by at most {report.drift.size}"))
    changed = report.difference
    if changed is not None:
        lines.append(
            (
                changed.title.lower(),
                f"{changed.original:.4f} → {changed.exported:.4f} "
                f"({changed.value:+.4f}, {report.confidence:.0%} interval {changed.low:+.4f} to {changed.high:+.4f})",
            )
        )
    lines.append(("size", f"{report.original_bytes / 1e6:,.1f} MB → {report.exported_bytes / 1e6:,.1f} MB"))
    if report.original_speed is not None and report.exported_speed is not None:
        lines.append(("one example", f"{report.original_speed.one_ms:.2f} ms → {report.exported_speed.one_ms:.2f} ms"))
        lines.append(
            (f"batches of {report.original_speed.batch_size}", _speeds(report.original_speed, report.exported_speed))
        )
    if report.bf16 is not None:
        agreement, speed = report.bf16.agreement, report.bf16.speed
        fast = f", {speed.examples_per_second:,.0f} examples/s" if speed is not None else ""
        lines.append(("in bf16", f"the same prediction for {agreement.same:,} rows ({agreement.value:.2%}){fast}"))
    return lines


def _speeds(before: "Speed", after: "Speed") -> str:
    return f"{before.examples_per_second:,.0f} → {after.examples_per_second:,.0f} examples/s"
