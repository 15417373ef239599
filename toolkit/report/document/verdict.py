"""The verdict on one model: its results in sentences that claim only what the intervals support."""

from collections.abc import Mapping, Sequence
from typing import Any

from toolkit.report.document import claims, time_budget
from toolkit.report.document.figures import bounds, shown


def verdict(
    evaluation: Mapping[str, Any],
    baselines: Sequence[Mapping[str, Any]],
    training: Mapping[str, Any] | None,
    warnings: Sequence[str],
    data: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Summarise the results in sentences, claiming only what the intervals support."""
    first = evaluation["metrics"][0]
    rows, split = f"{evaluation['rows']:,}", evaluation["split"]
    if first["name"] == "accuracy":
        headline = (
            f"Accuracy {shown(first['value'], first['unit'])} on {rows} {split} examples{bounds(first, evaluation)}."
        )
    else:
        figure = f"{first['title']} {shown(first['value'], first['unit'])}"
        headline = f"{figure} on {rows} {split} examples{bounds(first, evaluation)}."
    headline += _grouped(evaluation)
    statements = claims.statements(evaluation, baselines) + _covered(evaluation)
    statements += _later(evaluation, training, (data or {}).get("time") or {})
    statements += _gap(training) + _start_kept(training) + _compared_ways(training)
    statements += time_budget.statements(training)
    if training is not None and training.get("stopped_early"):
        statements.append(
            f"Training stopped early at step {training['steps']:,}; "
            f"the weights of step {training['best_step']:,} were kept."
        )
    statements += _one_training(training) + claims.summary(claims.tested(evaluation, baselines))
    return {
        "headline": headline,
        "statements": statements,
        "warnings": [*warnings, *_collapsed(evaluation, training), *_missed(evaluation), *_leaked(evaluation)],
    }


def _one_training(training: Mapping[str, Any] | None) -> list[str]:
    """Say that the intervals are for the weights of one training."""
    if training is None or not training.get("steps"):
        return []
    return [
        "The intervals hold for these weights: another training, with another seed, gives other figures. `--seeds 5` "
        "measures both."
    ]


def _later(evaluation: Mapping[str, Any], training: Mapping[str, Any] | None, division: Mapping[str, Any]) -> list[str]:
    """Compare validation rows, which are of the same time as train, with test rows, where these are later."""
    if "test_from" not in division:
        return []
    first, step = evaluation["metrics"][0], (training or {}).get("best_step")
    kept: Mapping[str, Any] = next(
        (entry for entry in (training or {}).get("evaluations") or () if entry["step"] == step), {}
    )
    sentence = f"On rows from {division['test_from']} on, later than all of train: {first['title']} "
    sentence += f"{shown(first['value'], first['unit'])}{bounds(first, evaluation)}"
    if first["name"] not in kept:
        return [f"{sentence}."]
    before = f"on validation rows, drawn at random from the time of train until {division['train_until']}"
    return [f"{sentence}; {before}: {shown(kept[first['name']], first['unit'])}."]


def _grouped(evaluation: Mapping[str, Any]) -> str:
    """State beside the headline how many groups the rows belong to, and as how many independent rows they count."""
    grouping = evaluation.get("grouping")
    if not grouping:
        return ""
    effect = ""
    if grouping["design_effect"] is not None:
        effect = f" count as {grouping['effective_rows']:,.0f} independent ones (design effect "
        effect += f"{grouping['design_effect']:.1f}): intervals and tests are over groups."
    else:
        effect = " depend on each other: intervals and tests are over groups."
    return f" The rows of {grouping['groups']:,} groups by {grouping['column']}{effect}"


def _covered(evaluation: Mapping[str, Any]) -> list[str]:
    """State how many of the true values prediction intervals contain."""
    intervals = (evaluation.get("residuals") or {}).get("intervals")
    if not intervals:
        return []
    observed = intervals["observed"]
    figure = {**observed, "unit": "fraction"}
    return [
        f"Prediction intervals of ± {shown(intervals['half_width'], 'value')} contain "
        f"{shown(observed['value'], 'fraction')} of the true values{bounds(figure, evaluation)}; "
        f"{shown(intervals['nominal'], 'fraction')} were intended."
    ]


def _collapsed(evaluation: Mapping[str, Any], training: Mapping[str, Any] | None) -> list[str]:
    """Warn of a model that predicts one class for every example, where there are several."""
    if evaluation.get("classes_per_row"):
        return _same_classes(evaluation, training)
    confusion = evaluation.get("confusion")
    if not confusion or sum(any(row) for row in confusion["matrix"]) < 2:
        return []
    if evaluation.get("unit"):
        predicted = any(row[:-1] for row in confusion["matrix"] if any(row[:-1]))
        return [] if predicted else ["No entity is predicted: train for longer, or with a higher learning rate."]
    given = [
        label
        for label, column in zip(confusion["labels"], zip(*confusion["matrix"], strict=True), strict=True)
        if any(column)
    ]
    if len(given) > 1:
        return []
    areas = [metric for metric in evaluation["metrics"] if metric["name"] == "auroc" and (metric["low"] or 0) > 0.5]
    if areas:
        return [
            f"Every example is predicted as “{given[0]}”, although the scores separate the classes (area under the ROC "
            f"curve {areas[0]['value']:.3f}): choose a threshold with `evaluation.positive_class`, or weight the "
            "classes (`loss.class_weights=balanced`)."
        ]
    return [f"Every example is predicted as “{given[0]}”. The model does not separate the classes{_why(training)}."]


def _same_classes(evaluation: Mapping[str, Any], training: Mapping[str, Any] | None) -> list[str]:
    """Warn of a model that predicts the same classes, or none, for every example."""
    rows, each = evaluation["rows"], evaluation["per_class"]
    constant = all(row["predicted"] in (0, rows) for row in each)
    if rows < 2 or not constant or all(row["support"] in (0, rows) for row in each):
        return []
    names = ", ".join(f"“{row['label']}”" for row in each if row["predicted"])
    return [
        f"{f'The same classes, {names}, are' if names else 'No class is'} predicted for every example. The model does "
        f"not separate the classes{_why(training)}."
    ]


def _why(training: Mapping[str, Any] | None) -> str:
    """Return the usual causes of a model that separates nothing."""
    if training is None or not training["steps"]:
        return ""
    rate, steps = training["learning_rate"], training["steps"]
    return f": the learning rate ({rate:g}) may be too high, or the number of steps ({steps:,}) too small"


def _missed(evaluation: Mapping[str, Any]) -> list[str]:
    """Name the operating points that miss their target."""
    screening = evaluation.get("screening") or {}
    warnings = []
    for point in screening.get("points") or ():
        figure = point["name"].partition("=")[0]
        for where, missed, figures in (
            ("validation", point.get("missed_on_validation"), point.get("on_validation")),
            (evaluation["split"], point.get("missed"), point),
        ):
            if missed and figures:
                reached, chosen = (
                    figures[figure],
                    [screening[f"validation_{kind}"] for kind in ("positives", "negatives")],
                )
                interval = f"{100 * screening['confidence']:g} % interval {100 * reached['low']:.1f} to "
                warnings.append(
                    f"{point['name']} is not reached on {where} rows: {shown(reached['value'], 'fraction')} ({interval}"
                    f"{100 * reached['high']:.1f}). The threshold was chosen on "
                    f"{chosen[0]:,} positive and {chosen[1]:,} negative validation rows."
                )
    return warnings


def _leaked(evaluation: Mapping[str, Any]) -> list[str]:
    """Warn of test rows that are near-duplicates of training rows, where they exceed 0.5 % of the test rows."""
    duplicates = evaluation.get("near_duplicates") or {}
    if not duplicates.get("found") or duplicates["found"] < 0.005 * duplicates["rows"]:
        return []
    without = ""
    if duplicates.get("without"):
        figure = duplicates["without"]["metric"]
        without = f" Without them: {figure['title']} {shown(figure['value'], figure['unit'])}."
    return [
        f"{duplicates['found']:,} of {duplicates['rows']:,} test rows are near-duplicates of training rows.{without}"
    ]


def _start_kept(training: Mapping[str, Any] | None) -> list[str]:
    """Say that no step of fine-tuning was better than the linear probe, or the model, that it started from."""
    if training is None or training.get("few_labels") or training.get("best_step") != 0:
        return []
    if (training.get("linear_probe") or {}).get("installed"):
        return [
            "Fine-tuning was not better on validation rows than the linear probe (a regression on frozen features) it "
            "started from: the backbone is unchanged, and that regression is the head of the model."
        ]
    if training.get("steps"):
        return [
            "Fine-tuning was not better on validation rows than the model as it was: its weights were kept unchanged."
        ]
    return []


def _compared_ways(training: Mapping[str, Any] | None) -> list[str]:
    """Say which training method was selected, where labels are few."""
    comparison = (training or {}).get("few_labels") or {}
    if not comparison:
        return []
    names = [row["name"] for row in comparison["candidates"]]
    kept = next(row for row in comparison["candidates"] if row["name"] == comparison["chosen"])
    reason = f"; {comparison['reason']}" if comparison.get("reason") else ""
    return [
        f"Few labels: {', '.join(names[:-1])} and {names[-1]} were compared by cross-validation on the "
        f"{comparison['rows']:,} labelled rows. {kept['name'].capitalize()} was selected "
        f"(accuracy {shown(kept['accuracy'], 'fraction')}{reason}) and trained on all of them."
    ]


def _gap(training: Mapping[str, Any] | None) -> list[str]:
    """State the gap between the validation loss and the training loss of the kept weights."""
    points = (training or {}).get("evaluations") or []
    kept = next((point for point in points if point.get("step") == (training or {}).get("best_step")), None)
    if kept is None or kept.get("loss") is None or kept.get("train_loss") is None:
        return []
    gap = kept["loss"] - kept["train_loss"]
    return [
        f"Loss of the kept weights: {kept['train_loss']:.3f} on train rows, {kept['loss']:.3f} on validation rows "
        f"(a gap of {gap:.3f})."
    ]
