"""Data for the report's templates, prepared from a report dictionary in which anything may be missing.

`view` gives the dictionary its full shape, so that the templates meet no missing key, and adds what has to be
computed: the table of model and baselines, the confusion matrix, the geometry of plots.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from toolkit.report import formats
from toolkit.report.document.schema import REPORT, fill
from toolkit.report.plots import geometry
from toolkit.report.sections import findings as sections_findings
from toolkit.training.adaptation.linear_probe import in_words

MATRIX_LABELS = 12  # above this many classes, the confused pairs are shown instead of the matrix
PAIRS = 15


def view(report: Mapping[str, Any]) -> dict[str, Any]:
    """Everything a template needs, under names that always exist.

    Args:
        report: The report dictionary; any key may be missing, None or of a wrong type.
    """
    full: dict[str, Any] = fill(REPORT, report)
    evaluation, training = full["evaluation"], full["training"]
    known = {metric["name"]: metric for metric in evaluation["metrics"]}
    for baseline in full["baselines"]:  # compared by the first metric unless it names another
        baseline["difference"]["metric"] = baseline["difference"]["metric"] or next(iter(known), "")
    drawn = {
        "comparison": _comparison(evaluation["metrics"], full["baselines"]),
        "picture": _picture(evaluation["metrics"], full["baselines"]),
        "classes": _classes(evaluation["per_class"]),
        "thresholds": any(row["threshold"] is not None for row in evaluation["per_class"]),
        "confusion": _confusion(**evaluation["confusion"], ordered=bool(evaluation["distance"]["classes"])),
        "curve": _curve(training),
        "checkpoints": _checkpoints(training["evaluations"], known),
        "balance": _balance(full["data"]["splits"]),
        "training_facts": _training_facts(full["model"], training, full["config"]),
        "environment_facts": [(key, _text(value)) for key, value in full["environment"].items()],
        "config_text": yaml.safe_dump(full["config"], sort_keys=False, allow_unicode=True) if full["config"] else "",
    }
    findings = sections_findings.findings(full)
    checks = sections_findings.checks(full)
    conditions = {
        "results": ("Results", drawn["comparison"]),
        "classes": ("Metrics by type" if evaluation["unit"] else "Metrics by class", drawn["classes"]),
        "confusion": ("Confusion matrix", drawn["confusion"]),
        **{section.key: (section.title, True) for section in findings},
        **{section.key: (section.title, True) for section in checks},
        "training": ("Model and training", drawn["training_facts"] or drawn["curve"] or drawn["checkpoints"]),
        "data": ("Data", any(any(v.values()) if isinstance(v, dict) else v for v in full["data"].values())),
        "reproduce": ("Reproduce", full["command"] or drawn["environment_facts"] or drawn["config_text"]),
    }
    shown = {key: title for key, (title, present) in conditions.items() if present}
    level = f"{evaluation['confidence']:.0%}".replace("%", " %") if evaluation["confidence"] else ""
    return {**full, **drawn, "sections": shown, "findings": findings, "checks": checks, "level": level}


def _comparison(metrics: list[dict[str, Any]], baselines: list[dict[str, Any]]) -> dict[str, Any] | None:
    """A table with a row for each metric and a column for the model and each baseline, then their differences."""
    columns = [metrics, *(baseline["metrics"] for baseline in baselines)]
    by_name = [{metric["name"]: metric for metric in column} for column in columns]
    first = {metric["name"]: metric for column in reversed(columns) for metric in column}
    names = list(dict.fromkeys(metric["name"] for column in columns for metric in column))
    leads = [{d["metric"]: d for d in _differences(b)} for b in baselines]
    compared = dict.fromkeys(name for of_one in leads for name in of_one)
    if not names and not compared:
        return None
    return {
        "columns": ["This model", *(baseline["title"] or baseline["name"] for baseline in baselines)],
        "rows": [
            {
                "title": formats.metric_title(first[name]),
                "unit": first[name]["unit"],
                "signature": first[name]["signature"],
                "cells": [c.get(name) for c in by_name],
            }
            for name in names
        ],
        "differences": [
            {
                "title": formats.metric_title(first.get(name, {"title": "", "name": name})),
                "unit": first[name]["unit"] if name in first else "score",
                "cells": [of_one.get(name) for of_one in leads],
            }
            for name in compared
        ],
    }


def _differences(baseline: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The model's leads on a baseline that were measured, the one in the first metric first."""
    differences = [baseline["difference"], *baseline["further_differences"]]
    return [difference for difference in differences if difference["value"] is not None]


def _picture(metrics: list[dict[str, Any]], baselines: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The model and the baselines on one axis, in the metric that they were compared by; None without baselines."""
    compared = [baseline["difference"]["metric"] for baseline in baselines]
    name = next(filter(None, [*compared, *(metric["name"] for metric in metrics)]), "")
    systems = [("This model", metrics), *((b["title"] or b["name"], b["metrics"]) for b in baselines)]
    columns = [
        (title, metric)
        for title, candidates in systems
        for metric in candidates
        if metric["name"] == name and metric["value"] is not None
    ]
    if len(columns) < 2:
        return None
    percent = columns[0][1]["unit"] == "fraction"
    plot = geometry.intervals([(metric["value"], metric["low"], metric["high"]) for _, metric in columns], percent)
    return {
        "title": formats.metric_title(columns[0][1]),
        "rows": columns,
        "plot": plot,
        "model": columns[0][0] == "This model",
    }


def _classes(per_class: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row for each class with its F1 placed on an axis from 0 to 1; of many classes, the weakest first."""
    rows = [
        {**row, "whisker": None if row["f1"]["value"] is None else _whisker(**row["f1"])}
        for row in per_class
        if row["label"] or row["support"] is not None
    ]
    if len(rows) <= MATRIX_LABELS:
        return rows
    return sorted(rows, key=lambda row: (row["f1"]["value"] is None, row["f1"]["value"] or 0.0))


def _whisker(value: float, low: float | None, high: float | None) -> geometry.Whisker:
    """The interval of a fraction in percent, kept inside the axis."""
    ends = (value if low is None else low, value, value if high is None else high)
    return geometry.Whisker(*(min(max(round(100 * end, 2), 0.0), 100.0) for end in ends))


def _confusion(labels: list[str], matrix: list[list[Any]], ordered: bool = False) -> dict[str, Any] | None:
    """Counts with their shares of the true class, or the most confused pairs where classes are many.

    Where classes are ordered, a cell also has its distance from the truth, as a share of the largest one.
    """
    square = [len(row) for row in matrix] == [len(labels)] * len(labels)
    if not labels or not square or any(value is None for row in matrix for value in row):
        return None
    totals = [sum(row) for row in matrix]
    cells = [
        [
            {
                "truth": truth,
                "prediction": prediction,
                "hit": i == j,
                "count": value,
                "share": value / (total or 1.0),
                "far": (abs(i - j) - 1) / max(1, len(labels) - 2),
            }
            for j, (prediction, value) in enumerate(zip(labels, row, strict=True))
        ]
        for i, (truth, row, total) in enumerate(zip(labels, matrix, totals, strict=True))
    ]
    if len(labels) <= MATRIX_LABELS:
        return {"labels": labels, "rows": cells, "pairs": [], "many": False, "ordered": ordered}
    wrong = [cell for row in cells for cell in row if not cell["hit"] and cell["count"]]
    wrong.sort(key=lambda cell: (cell["count"], cell["share"]), reverse=True)
    return {"labels": labels, "rows": [], "pairs": wrong[:PAIRS], "many": True, "ordered": ordered}


def _curve(training: Mapping[str, Any]) -> geometry.CurvePlot | None:
    """Training and validation loss against the steps."""
    recorded = [(p["step"], p["value"]) for p in training["loss"] if None not in (p["step"], p["value"])]
    losses = []
    for key in ("loss", "train_loss"):
        evaluated = [(e.get("step"), e.get(key)) for e in training["evaluations"]]
        losses.append([pair for pair in evaluated if all(isinstance(number, int | float) for number in pair)])
    return geometry.curve(recorded, losses[0], training["best_step"], losses[1])


def _checkpoints(evaluations: list[dict[str, Any]], metrics: Mapping[str, Any]) -> dict[str, Any] | None:
    """The evaluations during training as a table: a column for each key that any of them has."""
    keys = list(dict.fromkeys(key for evaluation in evaluations for key in evaluation))
    units = {"step": "count", "epoch": "plain", **{key: metric["unit"] for key, metric in metrics.items()}}
    named = {"loss": "Validation loss", **{key: formats.metric_title(metric) for key, metric in metrics.items()}}
    titles = {key: named.get(key) or key.replace("_", " ").capitalize() for key in keys}
    rows = [[_text(evaluation.get(key), units.get(key, "score")) for key in keys] for evaluation in evaluations]
    return {"columns": list(titles.values()), "rows": rows} if keys else None


def _text(value: Any, unit: str = "plain") -> str:
    """Any plain value as text, numbers according to their unit."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float) and unit in ("fraction", "score", "points", "value"):
        return formats.measure(value, unit)
    if isinstance(value, int | float):
        return formats.count(value) if unit == "count" else f"{value:.10g}".replace("e-0", "e-")
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False) if value else "none"
    return "–" if value is None else str(value)


def _balance(splits: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The classes' counts and shares in each split; with many classes, only how many and how large."""
    counts = [{k: v for k, v in split["classes"].items() if isinstance(v, int | float)} for split in splits]
    labels = list(dict.fromkeys(label for split in counts for label in split))
    many = len(labels) > MATRIX_LABELS
    rows = []
    for rows_of, split in zip(splits, counts, strict=True):
        total = rows_of["rows"] or sum(split.values()) or 1.0  # a row may have several classes
        smallest, largest = min(split.values(), default=0), max(split.values(), default=0)
        summary = f"{len(split)} classes, {formats.count(smallest)} to {formats.count(largest)} rows each"
        cells = [{"count": split.get(label, 0), "share": split.get(label, 0) / total} for label in labels]
        rows.append({"cells": [] if many else cells, "summary": summary if many and split else ""})
    return {"labels": [] if many else labels, "many": many, "rows": rows}


def _probe_facts(probe: Mapping[str, Any]) -> dict[str, str]:
    """The accuracy of the linear probe, and its effect on the training."""
    if probe["accuracy"] is None:
        return {}
    read = in_words(probe["pooling"])
    adjustment, figure = probe["logit_adjustment"], probe["figure"] or "accuracy"
    value = formats.measure(probe["accuracy"], probe["unit"] or "fraction")
    return {
        "Linear probe": f"{figure} {value} on the validation rows; its features are {read}",
        "Head initialised from": "the linear probe" if probe["installed"] else "",
        "Layers added": "mean pooling over tokens" if probe["pooling_layer"] else "",
        "Logit adjustment": f"{_text(adjustment)}, chosen by the linear probe" if adjustment else "",
    }


def _economies(training: Mapping[str, Any]) -> str:
    """Describe how a step was computed where it differs from the default."""
    if training["acceleration"] == "off":
        return "no acceleration"
    return "compiled layers" if training["compiled"] else ""


def _rule(training: Mapping[str, Any], key: str) -> str:
    """The rule that an automatic value follows, in brackets; with few labels each method has its own values."""
    origin = training["automatic"].get(f"training.{key}")
    return f" ({origin})" if isinstance(origin, str) and not training["few_labels"]["candidates"] else ""


def _training_facts(
    model: Mapping[str, Any], training: Mapping[str, Any], config: Mapping[str, Any]
) -> list[tuple[str, str]]:
    """Facts about the model and its training, the most important first."""
    configured = config.get("training")
    planned = configured.get("epochs") if isinstance(configured, Mapping) else None
    rule = _rule(training, "epochs")
    rate, speed, waiting = (training[name] for name in ("learning_rate", "samples_per_second", "waiting"))
    moved = training["steps"] != 0  # a logistic regression has no optimizer
    facts = {
        "Model": model["name"],
        "Model selection": training["model_choice"],
        "Weights from": model["origin"],
        "Architecture": model["architecture"],
        "Parameters": model["parameters"] and formats.count(model["parameters"]),
        "Size": model["size_bytes"] and formats.size(model["size_bytes"]),
        "Device": ", ".join(filter(None, (training["device"], training["precision"], _economies(training)))),
        "Duration": training["seconds"] and formats.duration(training["seconds"]),
        "Budget": training["budget"]["seconds"] and formats.duration(training["budget"]["seconds"]),
        "Speed": speed and f"{formats.count(round(speed, 1))} examples per second",
        "Waiting for data": waiting is not None and f"{100 * waiting:.1f} % of the training time",
        "Epochs": training["epochs"] is not None and _text(training["epochs"]),
        "Epochs planned": rule and isinstance(planned, int | float) and f"{_text(planned)}{rule}",
        "Steps": training["steps"] is not None and formats.count(training["steps"]),
        "Best step": training["best_step"] is not None and formats.count(training["best_step"]),
        "Stopped early": training["stopped_early"] is not None and _text(training["stopped_early"]),
        **_probe_facts(training["linear_probe"]),
        "Trained parameters": training["trainable_parameters"] and formats.count(training["trainable_parameters"]),
        "Objective": training["objective"],
        "Optimizer": moved and training["optimizer"],
        "Learning rate": moved and rate is not None and f"{_text(rate)}{_rule(training, 'learning_rate')}",
        "Batch size": moved and training["batch_size"] and f"{_batch_size(training)}{_rule(training, 'batch_size')}",
        "Seed": training["seed"] is not None and _text(training["seed"]),
    }
    return [(term, str(text)) for term, text in facts.items() if text]


def _batch_size(training: Mapping[str, Any]) -> str:
    """Return the examples of an optimizer step, and those of each process where there are several."""
    total, processes = training["batch_size"], training["processes"]
    each = f" ({total / processes:g} in each of {processes:g} processes)" if processes and processes > 1 else ""
    return f"{formats.count(total)}{each}"
