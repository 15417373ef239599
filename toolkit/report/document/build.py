"""Assemble the report from measured results; report.json is this dictionary, unchanged."""

from collections.abc import Mapping, Sequence
from typing import Any

from toolkit.report.document import time_budget
from toolkit.report.document.advice import advise
from toolkit.report.document.differences import is_better, is_worse, turned, upward


def build(
    *,
    head: Mapping[str, Any],
    model: Mapping[str, Any],
    evaluation: Mapping[str, Any],
    baselines: Sequence[Mapping[str, Any]],
    data: Mapping[str, Any],
    training: Mapping[str, Any] | None,
    environment: Mapping[str, Any],
    config: Mapping[str, Any],
    warnings: Sequence[str],
) -> dict[str, Any]:
    """Assemble the report; every argument but `head` becomes the section of its name."""
    report: dict[str, Any] = {
        **head,
        "model": dict(model),
        "verdict": verdict(evaluation, baselines, training, warnings),
        "evaluation": dict(evaluation),
        "baselines": [dict(baseline) for baseline in baselines],
        "data": dict(data),
        "training": dict(training) if training is not None else None,
        "environment": dict(environment),
        "config": dict(config),
    }
    return {**report, "advice": advise(report)}


def verdict(
    evaluation: Mapping[str, Any],
    baselines: Sequence[Mapping[str, Any]],
    training: Mapping[str, Any] | None,
    warnings: Sequence[str],
) -> dict[str, Any]:
    """Summarise the results in sentences, claiming only what the intervals support."""
    first = evaluation["metrics"][0]
    rows, split = f"{evaluation['rows']:,}", evaluation["split"]
    if first["name"] == "accuracy":
        headline = (
            f"Accuracy {shown(first['value'], first['unit'])} on {rows} {split} examples{_bounds(first, evaluation)}."
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
    statements += _miscalibrated(evaluation) + _weak_groups(evaluation) + _fragile(evaluation)
    statements += _unfaithful(evaluation)
    statements += _biased(evaluation) + _unfair(evaluation)
    statements += _gap(training) + _probe_kept(training) + _compared_ways(training)
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


def shown(value: float, unit: str) -> str:
    """Format a metric: 83.9 % for a fraction, 0.678 for a score, 31.4 for points."""
    scale, places, _ = scale_of(unit)
    return f"{scale * value:.{places}f}{' %' if unit == 'fraction' else ''}"


def scale_of(unit: str) -> tuple[int, int, str]:
    """Return how a difference is printed: the factor, the decimals, and the suffix."""
    return {"fraction": (100, 1, " points"), "points": (1, 1, " points")}.get(unit, (1, 3, ""))


def _bounds(figure: Mapping[str, Any], evaluation: Mapping[str, Any]) -> str:
    if figure.get("low") is None:
        return ""
    level = f"{100 * evaluation['confidence']:g} %"
    scale, places, _ = scale_of(figure["unit"])
    return f" ({level} interval {scale * figure['low']:.{places}f} to {scale * figure['high']:.{places}f})"


def compared(name: str, difference: Mapping[str, Any], evaluation: Mapping[str, Any], figure: Mapping[str, Any]) -> str:
    """Describe a paired difference; where its interval contains zero it is not significant."""
    subject = name[0].lower() + name[1:] if name[1:2].islower() else name
    _, signed, interval = _sizes(difference, figure["unit"], evaluation["confidence"])
    size, _, above_zero = _sizes(upward(difference), figure["unit"], evaluation["confidence"])
    if is_better(difference):
        return f"Better than {subject} by {size} {above_zero}."
    if is_worse(difference):
        return f"Worse than {subject} by {size} {above_zero}."
    return f"No significant difference from {subject}: {signed} {interval}."


def _sizes(difference: Mapping[str, Any], unit: str, confidence: float) -> tuple[str, str, str]:
    """Format a difference without its sign, with it, and its interval."""
    scale, places, after = scale_of(unit)
    value, low, high = (scale * difference[key] for key in ("value", "low", "high"))
    interval = f"({100 * confidence:.4g} % interval {low:.{places}f} to {high:.{places}f})"
    return f"{abs(value):.{places}f}{after}", f"{value:+.{places}f}{after}", interval


def comparison_verdict(comparison: Mapping[str, Any]) -> dict[str, Any]:
    """Say which of several models is significantly better than the others, if any is."""
    statements = [statement for pair in comparison["pairs"] if (statement := _pair_statement(pair))]
    warnings = []
    if comparison["rows"] < 100:
        warnings.append(
            f"Only {comparison['rows']} examples: the intervals are wide, and small differences cannot be detected."
        )
    return {"headline": _leader(comparison), "statements": statements, "warnings": warnings}


def seeds_verdict(section: Mapping[str, Any], baselines: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """Summarise the results of several seeds, and with how many of them the model is better than each baseline.

    Args:
        section: The section on seeds.
        baselines: Those of each run, in one order.
    """
    first, count = section["summary"][0], len(section["runs"])
    scale, places, after = scale_of(first["unit"])
    figure = shown(first["value"], first["unit"])
    what = f"{'Accuracy' if first['name'] == 'accuracy' else first['title']} {figure}"
    ends = f"{scale * first['lowest']:.{places}f} to {scale * first['highest']:.{places}f}"
    spread = f"standard deviation {scale * first['deviation']:.{places + 1}f}{after}, {ends}"
    headline = f"{what} on average over {count} seeds ({spread}) on {section['rows']:,} {section['split']} examples."
    statements = []
    for several in zip(*baselines, strict=True):
        differences = [difference["difference"] for difference in several if difference.get("difference")]
        if differences:
            better, worse = sum(map(is_better, differences)), sum(map(is_worse, differences))
            mean = scale * sum(difference["value"] for difference in differences) / len(differences)
            statements.append(
                f"Compared with {several[0]['title']}: significantly better with {better} of {count} seeds, "
                f"significantly worse with {worse}; mean difference {mean:+.{places}f}{after}."
            )
    statements.append(
        f"All seeds give the same prediction for {shown(section['agreement'], 'fraction')} of the examples."
    )
    warnings = [] if count >= 5 else [f"{count} seeds are too few to estimate the spread well; use five or more."]
    return {"headline": headline, "statements": statements, "warnings": warnings}


def _leader(comparison: Mapping[str, Any]) -> str:
    """Return the model that is better than every other, by an interval that excludes zero."""
    rows = f"{comparison['rows']:,} {comparison['split']} examples"
    for model in comparison["models"]:
        ahead = [
            _lead(pair, model["name"]) for pair in comparison["pairs"] if model["name"] in (pair["one"], pair["other"])
        ]
        if all(ahead) and model["metrics"]:
            first = model["metrics"][0]
            value = shown(first["value"], first["unit"])
            figure = f"{'accuracy' if first['name'] == 'accuracy' else first['title']} {value}"
            return f"{model['name']} is the best: {figure} on {rows}."
    names = [model["name"] for model in comparison["models"]]
    if len(names) == 2:
        return f"{names[0]} and {names[1]} do not differ significantly on {rows}."
    return f"None of the {len(names)} models is significantly better than all the others on {rows}."


def _lead(pair: Mapping[str, Any], name: str) -> bool:
    """Whether the named model of a pair is better by the first metric."""
    if not pair["differences"]:
        return False
    first = pair["differences"][0]
    return is_better(first) if name == pair["one"] else is_worse(first)


def _pair_statement(pair: Mapping[str, Any]) -> str:
    if not pair["differences"]:
        return ""
    first = pair["differences"][0]
    if is_worse(first):  # the better one first
        first = turned(first)
        pair = {**pair, "one": pair["other"], "other": pair["one"]}
    if pair["agreement"] == 1:
        return f"{pair['one']} and {pair['other']} give the same prediction for every example."
    better = is_better(first)
    size, signed, interval = _sizes(upward(first) if better else first, first["unit"], pair["confidence"])
    agreement = f"they agree on {shown(pair['agreement'], 'fraction')} of the examples"
    if better:
        return f"{pair['one']} is better than {pair['other']} by {size} {interval}; {agreement}."
    return f"{pair['one']} and {pair['other']} do not differ significantly: {signed} {interval}; {agreement}."


def _weakest_class(evaluation: Mapping[str, Any]) -> list[str]:
    rows = [row for row in evaluation.get("per_class") or () if row["support"] and row["f1"]["low"] is not None]
    if len(rows) < 2:
        return []
    weakest = min(rows, key=lambda row: row["f1"]["value"])
    others = [row for row in rows if row is not weakest]
    if all(weakest["f1"]["high"] >= row["f1"]["low"] for row in others):
        return []
    return [
        f"Weakest class “{weakest['label']}”: F1 {shown(weakest['f1']['value'], 'fraction')}, "
        f"recall {shown(weakest['recall']['value'], 'fraction')} on {weakest['support']:,} examples."
    ]


def _miscalibrated(evaluation: Mapping[str, Any]) -> list[str]:
    """Say that the model is overconfident or underconfident, where chance does not explain it."""
    calibration = evaluation.get("calibration")
    if not calibration or calibration["p"] >= 1 - calibration["confidence"]:
        return []
    gap, error = calibration["mean_confidence"] - calibration["accuracy"], calibration["ece"]
    means = f"mean confidence {shown(calibration['mean_confidence'], 'fraction')}, "
    means += (
        f"accuracy {shown(calibration['accuracy'], 'fraction')}, calibration error {shown(error['value'], 'fraction')}"
    )
    bounds = f"({100 * calibration['confidence']:g} % interval {100 * error['low']:.1f} to {100 * error['high']:.1f})"
    kind = "Overconfident" if gap > 0.01 else "Underconfident" if gap < -0.01 else "Miscalibrated"
    mended = ""
    if calibration.get("scaled") and calibration["scaled"]["ece"]["value"] < calibration["ece"]["value"] - 0.005:
        mended = (
            f" The stored temperature {calibration['temperature']:.2f} reduces the error to "
            f"{shown(calibration['scaled']['ece']['value'], 'fraction')}."
        )
    return [f"{kind}: {means} {bounds}.{mended}"]


def _weak_groups(evaluation: Mapping[str, Any]) -> list[str]:
    worst = (evaluation.get("slices") or {}).get("worst") or []
    worst = [group for group in worst if group["by"] != "class"]
    if not worst:
        return []
    group = worst[0]
    right = shown(group["accuracy"]["value"], "fraction")
    overall = shown(evaluation["slices"]["accuracy"], "fraction")
    return [f"Weaker on {_group_name(group)}: accuracy {right} on {group['rows']:,} examples, {overall} on all."]


def _group_name(group: Mapping[str, Any]) -> str:
    if group["by"] == "word":
        return f"texts with the word “{group['name']}”"
    return f"texts of {group['name']}" if group["by"] == "length" else f"{group['by']} “{group['name']}”"


def _fragile(evaluation: Mapping[str, Any]) -> list[str]:
    """Name the perturbation that lowers accuracy most, where the loss is significant."""
    tested = (evaluation.get("robustness") or {}).get("invariance") or []
    costly = [change for change in tested if change.get("difference") and change["difference"]["high"] < 0]
    if not costly:
        return []
    worst = min(costly, key=lambda change: change["difference"]["value"])
    size, _, interval = _sizes(turned(worst["difference"]), "fraction", evaluation["robustness"]["confidence"])
    return [f"Not robust: “{worst['title']}” lowers accuracy by {size} {interval}."]


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
        clear = [gap for study in studies for gap in study["gaps"] if gap["clear"]]
        if clear:
            gap = max(clear, key=lambda gap: abs(gap["score"]["value"]))
            up = gap["score"]["value"] > 0
            kind = "more positive" if up else "more negative"
            size, _, interval = _sizes(gap["score"] if up else turned(gap["score"]), "score", bias["confidence"])
            statements.append(
                f"Depends on {category}: the same texts are scored {kind} with “{gap['group']}” than with "
                f"“{gap['versus']}”, by {size} on a scale from -1 to 1 {interval}."
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
    confusion = evaluation.get("confusion")
    if not confusion or sum(any(row) for row in confusion["matrix"]) < 2:
        return []
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
    why = ""
    if training is not None and training["steps"]:
        rate, steps = training["learning_rate"], training["steps"]
        why = f": the learning rate ({rate:g}) may be too high, or the number of steps ({steps:,}) too small"
    return [f"Every example is predicted as “{given[0]}”. The model does not separate the classes{why}."]


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


def _probe_kept(training: Mapping[str, Any] | None) -> list[str]:
    """Say that no step of fine-tuning was better than the linear probe that it started from."""
    probe = (training or {}).get("linear_probe") or {}
    if (training or {}).get("few_labels"):
        return []
    if not probe.get("installed") or (training or {}).get("best_step") != 0:
        return []
    return [
        "Fine-tuning was not better on validation rows than the logistic regression on frozen features that it started "
        "from: the backbone is unchanged, and that regression is the head of the model."
    ]


def _compared_ways(training: Mapping[str, Any] | None) -> list[str]:
    """Say which training method was selected, where labels are few."""
    comparison = (training or {}).get("few_labels") or {}
    if not comparison:
        return []
    names = [row["name"] for row in comparison["candidates"]]
    kept = next(row for row in comparison["candidates"] if row["name"] == comparison["chosen"])
    return [
        f"Few labels: {', '.join(names[:-1])} and {names[-1]} were compared by cross-validation on the "
        f"{comparison['rows']:,} labelled rows. {kept['name'].capitalize()} was selected "
        f"(accuracy {shown(kept['accuracy'], 'fraction')}) and trained on all of them."
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
