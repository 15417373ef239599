"""The report in a few lines, for a terminal or a log."""

import textwrap
from collections.abc import Mapping
from typing import Any

from toolkit.report import formats
from toolkit.report.document.figures import shown
from toolkit.report.document.schema import REPORT, fill
from toolkit.report.sections.blocks import Cell, Table
from toolkit.report.sections.distillation import side_by_side
from toolkit.report.sections.gate import explained, rules


def to_text(report: Mapping[str, Any], width: int = 100) -> str:
    """Return the verdict, the warnings, and the metrics with their intervals."""
    figures = [_figure(figure) for figure in report["evaluation"]["metrics"]]
    figures += [f"  {baseline['title']}: {_figure(baseline['metrics'][0]).strip()}" for baseline in report["baselines"]]
    lines = [*_verdict(report["verdict"], width), *_advice(report, width), "", *figures, *_candidates(report)]
    return "\n".join(["", *lines, ""])


def _candidates(report: Mapping[str, Any]) -> list[str]:
    """Return the training methods that were compared, a line each."""
    comparison = (report.get("training") or {}).get("few_labels")
    if not comparison:
        return []
    lines = ["", f"  Cross-validated on {comparison['rows']:,} labelled rows:"]
    for row in comparison["candidates"]:
        error = f" ± {row['standard_error']:.3f}" if row["standard_error"] is not None else ""
        folds = "" if row["folds"] == comparison["folds"] else f", {row['folds']} of {comparison['folds']} folds"
        kept = ", kept" if row["name"] == comparison["chosen"] else ""
        lines.append(
            f"    {row['name']}: accuracy {shown(row['accuracy'], 'fraction')}, "
            f"log-likelihood {row['log_likelihood']:.3f}{error}, {row['seconds']:.0f} s{folds}{kept}"
        )
    if comparison.get("reason"):
        lines.append(f"  {comparison['chosen'].capitalize()} is kept: {comparison['reason']}.")
    return lines


def comparison_to_text(report: Mapping[str, Any], width: int = 100) -> str:
    """Return the verdict on several models, the first metric of each, and the rules of a gate."""
    models = [model for model in report["comparison"]["models"] if model["metrics"]]
    figures = [f"  {model['name']}: {_figure(model['metrics'][0]).strip()}" for model in models]
    return "\n".join(["", *_verdict(report["verdict"], width), "", *figures, *_gate(report, width), ""])


def _gate(report: Mapping[str, Any], width: int) -> list[str]:
    """Return the table of the rules of a gate, and what their errors are."""
    if "gate" not in report:
        return []
    filled = fill(REPORT, report)["gate"]
    return ["", *_columns(rules(filled)), "", *textwrap.wrap(explained(filled), width)]


def distillation_to_text(report: Mapping[str, Any]) -> str:
    """Return the table of a teacher and its student."""
    return "\n".join([*_columns(side_by_side(fill(REPORT, report))), ""])


def _columns(table: Table) -> list[str]:
    """Return the lines of a table, with the small print of its cells in brackets."""
    rows = [table.columns, *([_written(cell) for cell in row] for row in table.rows)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(text.ljust(w) for text, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [f"  {line}" for line in lines]


def _written(cell: Cell) -> str:
    return f"{cell.text} ({cell.small})" if cell.small else cell.text


def verdict_to_text(report: Mapping[str, Any], width: int = 100) -> str:
    """Return the verdict alone."""
    return "\n".join(["", *_verdict(report["verdict"], width), ""])


def _verdict(verdict: Mapping[str, Any], width: int) -> list[str]:
    lines = [verdict["headline"], *verdict["statements"], *(f"Warning: {warning}" for warning in verdict["warnings"])]
    return [line for text in lines for line in textwrap.wrap(text, width, subsequent_indent="  ")]


def _advice(report: Mapping[str, Any], width: int) -> list[str]:
    """Return the advice, each piece with its command in one line, to be copied."""
    lines = []
    for piece in report.get("advice") or []:
        lines += ["", *textwrap.wrap(f"Advice: {piece['evidence']} {piece['advice']}", width, subsequent_indent="  ")]
        lines += [f"  {piece['command']}"] if piece["command"] else []
    return lines


def _figure(figure: Mapping[str, Any]) -> str:
    title, value = formats.metric_title(figure), shown(figure["value"], figure["unit"])
    if figure.get("low") is None:
        return f"  {title} {value}"
    low, high = (shown(figure[bound], figure["unit"]) for bound in ("low", "high"))
    return f"  {title} {value}  [{low} to {high}]"
