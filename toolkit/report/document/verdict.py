"""The verdict on one model: its results in sentences that claim only what the intervals support."""

from collections.abc import Mapping, Sequence
from typing import Any

from toolkit.report.document import time_budget
from toolkit.report.document.differences import turned, upward
from toolkit.report.document.figures import bounds, compared, shown, sizes


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
    statements = [
        compared(baseline["title"], baseline["difference"], evaluation, first)
        for baseline in baselines
        if baseline.get("difference")
    ]
    statements += _weakest_class(evaluation) + _one_sided(evaluation) + _weak_quarter(evaluation) + _covered(evaluation)
    statements += _miscalibrated(evaluation) + _weak_groups(evaluation) + _fragile(evaluation)
    statements += _unfaithful(evaluation) + _later(evaluation, training, (data or {}).get("time") or {})
    statements += _biased(evaluation) + _unfair(evaluation)
    statements += _gap(training) + _start_kept(training) + _compared_ways(training)
    statements += time_budget.statements(training)
    if training is not None and training.get("stopped_early"):
        statements.append(
            f"Training stopped early at step {training['steps']:,}; "
            f"the weights of step {training['best_step']:,} were kept."
        )
    return {
        "headline": headline,
        "statements": statements,
        "warnings": [*warnings, *_collapsed(evaluation, training), *_missed(evaluation), *_leaked(evaluation)],
    }


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


def _weakest_class(evaluation: Mapping[str, Any]) -> list[str]:
    rows = [row for row in evaluation.get("per_class") or () if row["support"] and row["f1"]["low"] is not None]
    if len(rows) < 2:
        return []
    weakest = min(rows, key=lambda row: row["f1"]["value"])
    others = [row for row in rows if row is not weakest]
    if all(weakest["f1"]["high"] >= row["f1"]["low"] for row in others):
        return []
    unit = evaluation.get("unit") or "examples"
    what = "type" if evaluation.get("unit") else "class"
    return [
        f"Weakest {what} “{weakest['label']}”: F1 {shown(weakest['f1']['value'], 'fraction')}, "
        f"recall {shown(weakest['recall']['value'], 'fraction')} on {weakest['support']:,} {unit}."
    ]


def _one_sided(evaluation: Mapping[str, Any]) -> list[str]:
    """Say that ordered classes, or numbers, are predicted too low or too high, where chance does not explain it."""
    distance, residuals = evaluation.get("distance") or {}, evaluation.get("residuals") or {}
    centre = residuals.get("mean") or distance.get("signed") or {}
    if centre.get("low") is None or centre["low"] <= 0 <= centre["high"]:
        return []
    unit = "value" if residuals else "score"
    size, _, interval = sizes(upward(centre), unit, evaluation["confidence"])
    side = "high" if centre["value"] > 0 else "low"
    return [f"Predictions are too {side} on average, by {size}{'' if residuals else ' classes'} {interval}."]


def _weak_quarter(evaluation: Mapping[str, Any]) -> list[str]:
    """Name the quarter of the true values in which errors are largest, where they are significantly larger."""
    worse = [row for row in (evaluation.get("residuals") or {}).get("quarters") or () if row["worse"]]
    if not worse:
        return []
    row = max(worse, key=lambda row: row["difference"]["value"])
    error, other = row["error"]["value"], row["error"]["value"] - row["difference"]["value"]
    ends = f"{shown(row['low'], 'value')} to {shown(row['high'], 'value')}"
    return [
        f"Less accurate for true values from {ends}: mean absolute error {shown(error, 'value')} on {row['rows']:,} "
        f"examples, {shown(other, 'value')} on the others."
    ]


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


def _miscalibrated(evaluation: Mapping[str, Any]) -> list[str]:
    """Say that the model is overconfident or underconfident, where chance does not explain it."""
    calibration = evaluation.get("calibration")
    if calibration and calibration.get("classes"):
        return _miscalibrated_classes(calibration)
    if not calibration or calibration["p"] >= 1 - calibration["confidence"]:
        return []
    gap, error = calibration["mean_confidence"] - calibration["accuracy"], calibration["ece"]
    ordered = (evaluation.get("distance") or {}).get("classes")  # then the median is predicted
    right = "accuracy of the most probable class" if ordered else "accuracy"
    means = f"mean confidence {shown(calibration['mean_confidence'], 'fraction')}, "
    means += f"{right} {shown(calibration['accuracy'], 'fraction')}, "
    means += f"calibration error {shown(error['value'], 'fraction')}"
    bounds = f"({100 * calibration['confidence']:g} % interval {100 * error['low']:.1f} to {100 * error['high']:.1f})"
    kind = "Overconfident" if gap > 0.01 else "Underconfident" if gap < -0.01 else "Miscalibrated"
    mended = ""
    if calibration.get("scaled") and calibration["scaled"]["ece"]["value"] < calibration["ece"]["value"] - 0.005:
        mended = (
            f" The stored temperature {calibration['temperature']:.2f} reduces the error to "
            f"{shown(calibration['scaled']['ece']['value'], 'fraction')}."
        )
    return [f"{kind}: {means} {bounds}.{mended}"]


def _miscalibrated_classes(calibration: Mapping[str, Any]) -> list[str]:
    """Say how many classes are miscalibrated, and which one most, where chance does not explain it."""
    rows = calibration["classes"]
    clear = [row for row in rows if row["p"] < 1 - calibration["confidence"]]
    if not clear:
        return []
    worst = max(clear, key=lambda row: row["ece"]["value"])
    return [
        f"Miscalibrated: {len(clear):,} of {len(rows):,} classes, most of all “{worst['label']}”: mean probability "
        f"{shown(worst['mean_probability'], 'fraction')}, {shown(worst['share'], 'fraction')} of the rows have it, "
        f"calibration error {shown(worst['ece']['value'], 'fraction')}."
    ]


def _weak_groups(evaluation: Mapping[str, Any]) -> list[str]:
    worst = (evaluation.get("slices") or {}).get("worst") or []
    worst = [group for group in worst if group["by"] != "class"]
    if not worst:
        return []
    group, unit = worst[0], evaluation["slices"].get("unit") or "examples"
    right = shown(group["accuracy"]["value"], "fraction")
    overall = shown(evaluation["slices"]["accuracy"], "fraction")
    figure = (evaluation["slices"].get("figure") or "Accuracy").lower()
    return [f"Weaker on {_group_name(group)}: {figure} {right} on {group['rows']:,} {unit}, {overall} on all."]


def _group_name(group: Mapping[str, Any]) -> str:
    if group["by"] == "word":
        return f"texts with the word “{group['name']}”"
    if group["by"] == "number of classes":
        return f"rows with {group['name']} classes" if group["name"] != "1" else "rows with one class"
    return f"texts of {group['name']}" if group["by"] == "length" else f"{group['by']} “{group['name']}”"


def _fragile(evaluation: Mapping[str, Any]) -> list[str]:
    """Name the perturbation that lowers accuracy most, where the loss is significant."""
    robustness = evaluation.get("robustness") or {}
    tested = [change for change in robustness.get("invariance") or [] if change.get("difference")]
    lower, metric = robustness.get("better") == "lower", robustness.get("metric") or "accuracy"
    losses = [(change["difference"] if lower else turned(change["difference"]), change) for change in tested]
    costly = [(loss, change) for loss, change in losses if loss["low"] > 0]
    if not costly:
        return []
    loss, worst = max(costly, key=lambda pair: pair[0]["value"])
    size, _, interval = sizes(loss, robustness.get("unit") or "fraction", robustness["confidence"])
    effect = f"increases the {metric[:1].lower()}{metric[1:]}" if lower else f"lowers {metric}"
    return [f"Not robust: “{worst['title']}” {effect} by {size} {interval}."]


def _unfaithful(evaluation: Mapping[str, Any]) -> list[str]:
    """Name the faults that generated texts have significantly more often than the references."""
    tested = (evaluation.get("writing") or {}).get("checks") or []
    clear = [check for check in tested if check["tried"] and check["clear"]]
    return [
        f"{check['title']}: {shown(check['failed']['value'], 'fraction')} of {check['tried']:,} translations, "
        f"{shown(check['references_failed'] or 0.0, 'fraction')} of the references."
        for check in clear
    ]


def _biased(evaluation: Mapping[str, Any]) -> list[str]:
    """Name the largest significant gap between groups of people, for each kind of swap."""
    bias = evaluation.get("bias") or {}
    statements = []
    for category in dict.fromkeys(study["category"] for study in bias.get("studies") or ()):
        studies = [study for study in bias["studies"] if study["category"] == category]
        clear = [(gap, study["gap_confidence"]) for study in studies for gap in study["gaps"] if gap["clear"]]
        if clear:
            gap, level = max(clear, key=lambda pair: abs(pair[0]["score"]["value"]))
            up, measure = gap["score"]["value"] > 0, bias.get("measure") or "score"
            unit = {"probability": "fraction", "number": "value"}.get(measure, "score")
            size, _, interval = sizes(gap["score"] if up else turned(gap["score"]), unit, level)
            kind = {
                "score": f"the same texts are scored {'more positive' if up else 'more negative'}",
                "probability": f"the probability of “{gap.get('label')}” for the same texts is "
                f"{'higher' if up else 'lower'}",
                "number": f"the number for the same texts is {'higher' if up else 'lower'}",
            }[measure]
            scale = " on a scale from -1 to 1" if measure == "score" else ""
            statements.append(
                f"Depends on {category}: {kind} with “{gap['group']}” than with “{gap['versus']}”, by "
                f"{size}{scale} {interval}."
            )
    return statements


def _unfair(evaluation: Mapping[str, Any]) -> list[str]:
    """Name the metrics in which groups of people differ more than chance explains."""
    fairness = evaluation.get("fairness") or {}
    clear = [gap for gap in fairness.get("gaps") or () if gap["p"] < 1 - fairness["confidence"]]
    names = {"accuracy": "accuracy", "selection_rate": "how often the second class is predicted"}
    return [
        f"Differs by {fairness['column']} in {names.get(gap['figure'], gap['figure'].replace('_', ' '))}: "
        f"{100 * gap['value']:.1f} points between the highest and the lowest group."
        for gap in clear
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
