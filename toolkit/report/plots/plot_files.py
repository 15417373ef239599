"""The report's plots as files of their own, for a model card: SVG, drawn by the report's own templates."""

from collections.abc import Mapping
from typing import Any

from toolkit.report.pages.render import environment
from toolkit.report.pages.view import view
from toolkit.report.sections.blocks import Reliability


def plot_files(report: Mapping[str, Any]) -> dict[str, bytes]:
    """Return a plot's name, such as "loss.svg", with its document, for each that the report has.

    Args:
        report: The report dictionary; any key may be missing.
    """
    content = view(report)
    files: dict[str, bytes] = {}
    if content["curve"]:
        files["loss.svg"] = _document(
            "Loss by step",
            "grey: training, smoothed; dashed: train rows, evaluated like validation rows; dots: validation",
            height=360,
            curve=content["curve"],
            best_step=content["training"]["best_step"],
        )
    blocks = [block for section in content["findings"] for block in section.blocks if isinstance(block, Reliability)]
    if blocks:
        files["calibration.svg"] = _document(
            "Calibration",
            "accuracy against confidence; each dot is a tenth of the examples",
            height=420,
            reliability=blocks[0].plot,
        )
    return files


def _document(title: str, subtitle: str, height: int, **plot: Any) -> bytes:
    parts = {"curve": None, "reliability": None, "best_step": None, **plot}
    template = environment("html").get_template("report/picture.svg.j2")
    return template.render(title=title, subtitle=subtitle, height=height, **parts).strip().encode() + b"\n"
