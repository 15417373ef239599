"""Teacher and student side by side: size, speed and figures."""

from collections.abc import Mapping
from typing import Any

from toolkit.report import formats
from toolkit.report.sections.blocks import Cell, Section, Table, estimated

# DistilBERT against BERT-base: Sanh et al. 2019, abstract and sections 3 and 4; CPU, batches of one example
_PUBLISHED = {"smaller": "40 % fewer", "faster": "60 % faster", "kept": "97 % kept"}
TITLE = "The teacher"  # of its predictions as a baseline


def distillation(report: Mapping[str, Any]) -> list[Section]:
    """What a student costs and predicts, beside its teacher; nothing for other models."""
    result = report["training"]["distillation"]
    if not result["teacher"]:
        return []
    lead = f"The student imitates the model of the run {result['teacher']}"
    weights = [
        f"{result[key]:g} × {what}"
        for key, what in (
            ("soft", f"soft targets at temperature {result['temperature'] or 1:g}"),
            ("hard", "labels"),
            ("hidden", "hidden states"),
            ("relations", "attention relations"),
        )
        if result[key]
    ]
    lead += f"; its loss is {' + '.join(weights)}. " if weights else ". "
    if result["unlabelled_rows"]:
        lead += f"The teacher labelled {formats.count(result['unlabelled_rows'])} further rows. "
    lead += f"Both were timed in turn in {formats.count(result['rounds'])} rounds on the same test rows, without "
    lead += "preprocessing; times are those of the processor on a CPU. "
    lead += f"Intervals are of {100 * result['confidence']:g} %, those of differences are joint. "
    lead += "Published are the figures of DistilBERT, of which BERT-base was the teacher (Sanh et al. 2019), on GLUE."
    return [Section("distillation", "Teacher and student", lead, [side_by_side(report)])]


def side_by_side(report: Mapping[str, Any]) -> Table:
    """Return the table of both; `report` is filled, and has a student."""
    result = report["training"]["distillation"]
    teacher, student = result["teacher_model"], result["student_model"]
    rows = [
        [Cell("Layers"), Cell(formats.count(teacher["layers"])), Cell(formats.count(student["layers"])), *_empty(2)],
        [
            Cell("Parameters"),
            *(Cell(formats.count(model["parameters"])) for model in (teacher, student)),
            Cell(_fewer(teacher["parameters"], student["parameters"])),
            Cell(_PUBLISHED["smaller"]),
        ],
        [
            Cell("Weights on disk"),
            *(Cell(formats.size(model["bytes"])) for model in (teacher, student)),
            Cell(_fewer(teacher["bytes"], student["bytes"])),
            Cell("–"),
        ],
    ]
    for time in result["times"]:
        size = time["batch_size"]
        rows.append(
            [
                Cell(f"Time of an example, in batches of {formats.count(size)}"),
                *(Cell(_milliseconds(time[model])) for model in ("teacher", "student")),
                _faster(time["faster"]),
                Cell(_PUBLISHED["faster"] if size == 1 else "–"),
            ]
        )
    return Table(
        "Teacher and student",
        ["", "Teacher", "Student", "Student against teacher", "DistilBERT, published"],
        [*rows, *_figures(report)],
    )


def _figures(report: Mapping[str, Any]) -> list[list[Cell]]:
    """The metrics of both on the test rows, with the paired difference where there is one."""
    baseline = next((entry for entry in report["baselines"] if entry["title"] == TITLE), None)
    if baseline is None:
        return []
    known = {metric["name"]: metric for metric in baseline["metrics"]}
    differences = {
        found["metric"]: found for found in (baseline["difference"], *baseline["further_differences"]) if found
    }
    rows = []
    for number, metric in enumerate(report["evaluation"]["metrics"]):
        theirs, unit = known.get(metric["name"]), metric["unit"]
        if theirs is None or theirs["value"] is None or metric["value"] is None:
            continue
        share = f"{100 * metric['value'] / theirs['value']:.1f} % kept" if theirs["value"] > 0 and not number else ""
        found = differences.get(metric["name"]) or (baseline["difference"] if not number else None)
        gap = estimated(found, unit, signed=True)
        against = Cell(f"{share}; {gap.text}" if share else gap.text, gap.small)
        title = Cell(formats.metric_title(metric))
        rows.append(
            [
                title,
                estimated(theirs, unit),
                estimated(metric, unit),
                against,
                Cell("–" if number else _PUBLISHED["kept"]),
            ]
        )
    return rows


def _empty(count: int) -> list[Cell]:
    return [Cell("–")] * count


def _fewer(teacher: float | None, student: float | None) -> str:
    if not teacher or student is None:
        return "–"
    share = 100 * (1 - student / teacher)
    return f"{share:.0f} % fewer" if share >= 0 else f"{-share:.0f} % more"


def _faster(ratio: Mapping[str, Any]) -> Cell:
    if ratio["value"] is None:
        return Cell("–")
    value, low, high = (100 * ((ratio[end] or 0) - 1) for end in ("value", "low", "high"))
    return Cell(
        f"{value:+.0f} % faster".replace("+", "").replace("-", "−"), f"{low:.0f} to {high:.0f}".replace("-", "−")
    )


def _milliseconds(seconds: float | None) -> str:
    return "–" if seconds is None else f"{1000 * seconds:.2f} ms"
