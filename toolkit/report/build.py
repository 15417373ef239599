"""Put what was measured into one report, verdict first; report.json is this dictionary as it is."""

from collections.abc import Mapping, Sequence
from typing import Any

SCHEMA_VERSION = 1


def build(
    *,
    title: str,
    recipe: str,
    command: str,
    created: str,
    version: str,
    model: Mapping[str, Any],
    evaluation: Mapping[str, Any],
    baselines: Sequence[Mapping[str, Any]],
    data: Mapping[str, Any],
    training: Mapping[str, Any] | None,
    environment: Mapping[str, Any],
    config: Mapping[str, Any],
    warnings: Sequence[str],
) -> dict[str, Any]:
    """Assemble the report; every argument becomes the section of its name."""
    return {
        "schema_version": SCHEMA_VERSION,
        "toolkit_version": version,
        "created": created,
        "title": title,
        "recipe": recipe,
        "command": command,
        "model": dict(model),
        "verdict": verdict(evaluation, baselines, training, warnings),
        "evaluation": dict(evaluation),
        "baselines": [dict(baseline) for baseline in baselines],
        "data": dict(data),
        "training": dict(training) if training is not None else None,
        "environment": dict(environment),
        "config": dict(config),
    }


def verdict(
    evaluation: Mapping[str, Any],
    baselines: Sequence[Mapping[str, Any]],
    training: Mapping[str, Any] | None,
    warnings: Sequence[str],
) -> dict[str, Any]:
    """Say in plain words what the numbers support, and no more."""
    first = evaluation["metrics"][0]
    rows, split = f"{evaluation['rows']:,}", evaluation["split"]
    if first["name"] == "accuracy":
        headline = (
            f"Right on {shown(first['value'], first['unit'])} of {rows} {split} examples{_bounds(first, evaluation)}."
        )
    else:
        figure = f"{first['title']} {shown(first['value'], first['unit'])}"
        headline = f"{figure} on {rows} {split} examples{_bounds(first, evaluation)}."
    statements = [
        compared(baseline["title"], baseline["difference"], evaluation, first)
        for baseline in baselines
        if baseline.get("difference")
    ]
    statements += _weakest_class(evaluation)
    if training is not None and training.get("stopped_early"):
        statements.append(
            f"Training stopped early at step {training['steps']:,}; "
            f"the weights of step {training['best_step']:,} were kept."
        )
    return {"headline": headline, "statements": statements, "warnings": [*warnings, *_overfitting(training)]}


def shown(value: float, unit: str) -> str:
    """Print a figure: 83.9 % for a fraction, 0.678 for a score."""
    return f"{100 * value:.1f} %" if unit == "fraction" else f"{value:.3f}"


def _bounds(figure: Mapping[str, Any], evaluation: Mapping[str, Any]) -> str:
    if figure.get("low") is None:
        return ""
    level = f"{100 * evaluation['confidence']:g} %"
    if figure["unit"] == "fraction":
        return f" ({level} interval {100 * figure['low']:.1f} to {100 * figure['high']:.1f})"
    return f" ({level} interval {figure['low']:.3f} to {figure['high']:.3f})"


def compared(name: str, difference: Mapping[str, Any], evaluation: Mapping[str, Any], figure: Mapping[str, Any]) -> str:
    """Put a paired difference into words; an interval that holds zero is no difference."""
    scale, places, unit = (100, 1, " points") if figure["unit"] == "fraction" else (1, 3, "")
    value, low, high = (scale * difference[key] for key in ("value", "low", "high"))
    interval = f"({100 * evaluation['confidence']:g} % interval {low:.{places}f} to {high:.{places}f})"
    subject = name[0].lower() + name[1:] if name[1:2].islower() else name
    if low > 0:
        return f"Better than {subject} by {value:.{places}f}{unit} {interval}."
    if high < 0:
        return f"Worse than {subject} by {-value:.{places}f}{unit} {interval}."
    return f"Not distinguishable from {subject}: difference {value:+.{places}f}{unit} {interval}."


def _weakest_class(evaluation: Mapping[str, Any]) -> list[str]:
    rows = [row for row in evaluation.get("per_class") or () if row["support"]]
    if len(rows) < 2:
        return []
    weakest = min(rows, key=lambda row: row["f1"]["value"])
    others = [row for row in rows if row is not weakest]
    if all(weakest["f1"]["high"] >= row["f1"]["low"] for row in others):
        return []
    return [
        f"Weakest on “{weakest['label']}”: F1 {shown(weakest['f1']['value'], 'fraction')} "
        f"on {weakest['support']:,} examples, where it finds {shown(weakest['recall']['value'], 'fraction')} of them."
    ]


def _overfitting(training: Mapping[str, Any] | None) -> list[str]:
    """Warn when the kept weights are not the last and validation loss has risen well above its best."""
    evaluations = (training or {}).get("evaluations") or []
    losses = [point["loss"] for point in evaluations if point.get("loss") is not None]
    if len(losses) < 2 or losses[-1] < 1.1 * min(losses):
        return []
    return [
        f"Validation loss rose from {min(losses):.3f} to {losses[-1]:.3f} by the end of training: "
        "the model began to overfit. "
        "Fewer epochs, more dropout or more data would help."
    ]
