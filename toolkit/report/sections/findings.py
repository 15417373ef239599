"""The report's findings as sections of blocks; each function takes a part of the report as `schema.fill` returns it."""

from collections.abc import Mapping, Sequence
from typing import Any

from toolkit.report import formats
from toolkit.report.plots import geometry
from toolkit.report.sections.blocks import (
    Block,
    Cell,
    Example,
    Examples,
    Reliability,
    Section,
    Table,
    Text,
    estimated,
    place,
)
from toolkit.report.sections.checks import bias, cost, explanations, fairness, faithfulness, robustness, untested
from toolkit.report.sections.comparison import comparison, seeds
from toolkit.report.sections.distillation import distillation
from toolkit.report.sections.gate import gate
from toolkit.report.sections.mistakes import mistakes
from toolkit.report.sections.own_checks import own
from toolkit.report.sections.promises import promises
from toolkit.report.sections.shift import shift
from toolkit.report.sections.targets import ordered, several_classes
from toolkit.report.sections.targets.generated_text import writing
from toolkit.report.sections.targets.recommendations import recommendations
from toolkit.report.sections.targets.transcripts import transcripts

LABELS = 10  # suspect labels that the page shows


def findings(report: Mapping[str, Any]) -> list[Section]:
    """Sections computed from the predictions, beyond the metrics."""
    evaluation = report["evaluation"]
    carved = not any(split["name"] == "validation" for split in report["data"]["splits"])
    few = bool(report["training"]["few_labels"]["candidates"]) and carved
    rows = "labelled rows (predicted by cross-validation)" if few else "validation rows"
    return [
        *shift(evaluation["shift"]),
        *distillation(report),
        *gate(report["gate"]),
        *comparison(report["comparison"]),
        *seeds(report["seeds"]),
        *ordered.distance(evaluation["distance"]),
        *ordered.residuals(evaluation["residuals"]),
        *several_classes.classes_per_row(evaluation["classes_per_row"]),
        *several_classes.confused(evaluation["confused"]),
        *screening(evaluation["screening"], rows),
        *ranking(evaluation["ranking"]),
        *calibration(evaluation["calibration"], rows),
        *promises(evaluation["promises"], rows),
        *groups(evaluation["slices"]),
        *writing(evaluation["writing"]),
        *transcripts(evaluation["transcripts"]),
        *recommendations(evaluation["recommendations"], evaluation["rows"]),
    ]


def checks(report: Mapping[str, Any]) -> list[Section]:
    """Rows that should be reviewed, and the optional checks."""
    evaluation = report["evaluation"]
    return [
        *mistakes(evaluation["errors"]),
        *label_errors(evaluation["label_errors"]),
        *near_duplicates(evaluation["near_duplicates"]),
        *explanations(evaluation["explanations"]),
        *faithfulness(evaluation["faithfulness"]),
        *robustness(evaluation["robustness"]),
        *bias(evaluation["bias"]),
        *fairness(evaluation["fairness"]),
        *cost(evaluation["cost"], report["model"]),
        *candidates(report["training"]["few_labels"]),
        *own(evaluation["own"]),
        *untested(evaluation),
    ]


def ranking(result: Mapping[str, Any]) -> list[Section]:
    """How well predictions rank the candidates of each query."""
    title = "Ranking of the candidates of a query"
    if not result["metrics"]:
        return [Section("ranking", title, f"Not tested. {result['not_tested']}")] if result["not_tested"] else []
    rows = [[Cell(metric["title"] or metric["name"]), estimated(metric, "score")] for metric in result["metrics"]]
    lead = f"{formats.count(result['rows'])} candidates of {formats.count(result['queries'])} queries, by the column "
    lead += f"{result['column']}. Figures are means over queries, and intervals resample queries."
    if result["left_out"]:
        lead += f" {formats.count(result['left_out'])} queries without a relevant candidate, or with one candidate "
        lead += "alone, are left out."
    return [Section("ranking", title, lead, [Table("Metrics", ["Metric", "Mean over queries"], rows)])]


def screening(result: Mapping[str, Any], chosen_on: str = "validation rows") -> list[Section]:
    """Sensitivity, specificity and predictive values at thresholds that were chosen beforehand."""
    if not result["points"]:
        return []
    columns = ["Chosen for", "Threshold", "Sensitivity", "Specificity"]
    columns += ["Positive predictive value", "Negative predictive value"]
    keys = ("sensitivity", "specificity", "positive_predictive_value", "negative_predictive_value")
    rows, chosen = [], []
    for point in result["points"]:
        first = [Cell(str(point["name"])), Cell(formats.measure(point["threshold"], "score"))]
        rows.append([*first, *(estimated(point[key], alert=_missed(point, key, point["missed"])) for key in keys)])
        there, missed = point["on_validation"], point["missed_on_validation"]
        chosen.append([*first, *(estimated(there[key], alert=_missed(point, key, missed)) for key in keys[:2])])
    lead = f"The positive class is “{result['positive']}”: {formats.count(result['positives'])} positive and "
    lead += f"{formats.count(result['negatives'])} negative examples. The thresholds were chosen on "
    lead += f"{formats.count(result['validation_positives'])} positive and "
    lead += f"{formats.count(result['validation_negatives'])} negative {chosen_on} and are not changed here; intervals "
    lead += "are Wilson's. The predictive values hold where positives are as frequent as here; where they are rarer "
    lead += "the positive predictive value is lower and the negative one higher."
    tables: list[Block] = [
        Table("Operating points", columns, rows),
        Table(f"On the {chosen_on} that they were chosen on", columns[:4], chosen),
    ]
    return [Section("screening", "Operating points", lead, tables)]


def _missed(point: Mapping[str, Any], key: str, missed: bool | None) -> str:
    """Return the remark that a figure misses its target."""
    return "target missed" if missed and str(point["name"]).startswith(f"{key}=") else ""


def calibration(result: Mapping[str, Any], fitted_on: str = "validation rows") -> list[Section]:
    """Calibration: whether the model's confidence matches its accuracy, or the probability of each class its share."""
    if result["classes"]:
        return several_classes.calibration(result)
    bins = [row for row in result["bins"] if None not in (row["confidence"], row["count"], *row["accuracy"].values())]
    if not bins:
        return []
    accuracies = [row["accuracy"] for row in bins]
    points = [
        (row["confidence"], right["value"], right["low"], right["high"], row["count"])
        for row, right in zip(bins, accuracies, strict=True)
    ]
    plot = geometry.reliability(points)
    caption = f"Each dot is a tenth of the {result['unit'] or 'examples'}, sorted by confidence. On the dashed line "
    caption += "confidence equals accuracy; below it the model is overconfident, above it underconfident."
    blocks: list[Block] = [Reliability(plot, caption)] if plot is not None else []
    scaled, temperature = result["scaled"], result["temperature"]
    columns = ["", "Uncalibrated"]
    if temperature is not None:
        columns.append(f"At temperature {temperature:.2f}")
    figures = [
        ("Expected calibration error (ECE), ten bins of equal size, bias-corrected", "ece", "fraction"),
        (f"Brier score (0 to {formats.count(result['brier_scale'] or 2)})", "brier", "score"),
        ("Log loss", "log_loss", "score"),
    ]
    rows = [
        [Cell(title), *(estimated(part[key], unit) for part in (result, scaled)[: len(columns) - 1])]
        for title, key, unit in figures
    ]
    plain = [
        [Cell(title), *(Cell(formats.measure(part[key], "fraction")) for part in (result, scaled)[: len(columns) - 1])]
        for title, key in (
            ("ECE, ten bins of equal size, uncorrected", "ece_plain"),
            ("ECE, 15 bins of equal width, uncorrected (as papers give it)", "ece_equal_width"),
        )
    ]
    blocks.append(Table("Calibration metrics", columns, [rows[0], *plain, *rows[1:]]))
    if temperature is not None:
        fitted_on = f"words of {fitted_on}" if result["unit"] else fitted_on
        text = f"The temperature {temperature:.3f} was fitted on {_rows(result['fit'])}{fitted_on} and is stored "
        text += "with the model as an option: it divides the logits and changes no prediction. The weights are not "
        text += f"changed.{_gain(result['fit'], result['confidence'])}"
        before, after = result["ece"]["value"], scaled["ece"]["value"]
        if before is not None and after is not None and after > before:
            text += " On these rows the calibration error is larger with it."
        blocks.append(Text(text))
    elif result["fit"]["reason"]:
        fitted_on = f"words of {fitted_on}" if result["unit"] else fitted_on
        text = f"No temperature is stored with the model: {_rows(result['fit'])}{fitted_on} were examined, and "
        text += f"{result['fit']['reason']}.{_gain(result['fit'], result['confidence'])}"
        blocks.append(Text(text))
    what = f"Of the predicted {result['unit']}: mean confidence" if result["unit"] else "Mean confidence"
    right = "accuracy" if result["unit"] else "accuracy of the most probable class"
    lead = f"{what} {formats.measure(result['mean_confidence'], 'fraction')}, {right} "
    lead += f"{formats.measure(result['accuracy'], 'fraction')}. p-value of perfect calibration: "
    lead += f"{formats.p_value(result['p'])}."
    if result["unit"]:
        lead += " The confidence of one is the smallest probability of the label of any of its words."
    return [Section("calibration", "Calibration", lead, blocks)]


def _rows(fit: Mapping[str, Any]) -> str:
    return f"{formats.count(fit['rows'])} " if fit["rows"] is not None else ""


def _gain(fit: Mapping[str, Any], confidence: float | None) -> str:
    """Describe the gain of a fitted temperature in cross-validation."""
    if fit["gain"]["value"] is None or confidence is None:
        return ""
    text = (
        f" In cross-validation, a temperature ({formats.measure(fit['temperature'], 'score')} on all rows) lowers the "
    )
    return f"{text}log loss by {formats.estimate(fit['gain'], 'score')}, {100 * confidence:g} % interval."


def groups(result: Mapping[str, Any]) -> list[Section]:
    """Accuracy of groups of examples, the significantly worse ones first."""
    if not result["looked_at"]:
        return []
    figure = result["figure"] or "Accuracy"
    unit = result["unit"] or "examples"
    lead = f"{formats.count(result['looked_at'])} groups of at least {formats.count(result['smallest'])} {unit} were "
    named = {"class": "type"} if result["unit"] else {}
    known = ("length", "overlap", "class", "number of classes")
    by = list(
        dict.fromkeys(group["by"] if group["by"] in known or result["unit"] else "column" for group in result["groups"])
    )
    by = [named.get(name, name) for name in by]
    words = ["the words in them"] if result["looked_at"] > len(result["groups"]) else []
    lead += f"examined: by {', by '.join([*by, *words])}. "
    if result["unit"]:
        lead += f"True and predicted {unit} count once each; accuracy is the share of those that are correct. "
    level = 1 - (result["claims_confidence"] or result["confidence"] or 0.95)
    blocks: list[Block] = []
    if result["clear"]:
        lead += f"{formats.count(result['clear'])} of them are significantly worse than the rest: the probability "
        lead += f"of any false alarm among all groups is below {formats.measure(level, 'fraction')}."
        blocks.append(_group_table("Significantly worse groups", figure, result["worst"], unit, named))
        if result["worst_confidence"] is not None:
            text = f"Intervals at {100 * result['worst_confidence']:.4g} %, by which those of all groups hold "
            blocks.append(Text(f"{text}jointly."))
    else:
        lead += "No group is significantly worse than the rest."
    if result["groups"]:
        blocks.append(_group_table(f"By {', '.join(by)}", figure, result["groups"], unit, named))
    return [Section("groups", "Metrics by group", lead, blocks)]


def _group_table(
    title: str, figure: str, rows: Sequence[Mapping[str, Any]], unit: str, named: Mapping[str, str]
) -> Table:
    return Table(
        title,
        [title, "By", unit.capitalize(), figure, "p-value"],
        [
            [
                Cell(row["name"]),
                Cell(named.get(row["by"], row["by"])),
                Cell(formats.count(row["rows"])),
                estimated(row["accuracy"]),
                Cell(formats.p_value(row["p"])),
            ]
            for row in rows
        ],
        words=frozenset({1}),
    )


def candidates(result: Mapping[str, Any]) -> list[Section]:
    """Training methods that were compared where labels are few."""
    if not result["candidates"]:
        return []
    rows = [
        [
            Cell(f"{row['name']}, kept" if row["name"] == result["chosen"] else row["name"]),
            Cell(f"{formats.count(row['folds'])} of {formats.count(result['folds'])}"),
            Cell(formats.measure(row["accuracy"], "fraction")),
            Cell(formats.measure(row["log_likelihood"], "score"), _error(row["standard_error"])),
            Cell(formats.measure(row["difference"], "score", True), _error(row["difference_standard_error"])),
            Cell(formats.count(round(row["seconds"], 1)) if row["seconds"] is not None else "–"),
        ]
        for row in result["candidates"]
    ]
    rows_of = formats.count(result["rows"])
    lead = f"Each training method predicted the {rows_of} labelled rows by cross-validation, each "
    lead += (
        "row by a model that was not trained on it. Contrastive fine-tuning is kept unless another method is better "
    )
    lead += "by more than two standard errors; fine-tuning is dropped if it is clearly worse after one fold. The "
    lead += "kept method was then trained on all rows."
    pretraining = result["pretraining"]
    if pretraining["texts"] is not None:
        lead += (
            f" Pretraining is masked language modelling on {formats.count(pretraining['texts'])} texts without labels: "
            f"perplexity of {formats.count(pretraining['held_out_texts'])} other texts "
            f"{formats.measure(pretraining['perplexity_before'], 'score')} before, "
            f"{formats.measure(pretraining['perplexity'], 'score')} after, in "
            f"{formats.count(round(pretraining['seconds'], 1))} s."
        )
    columns = ["Training method", "Folds", "Accuracy", "Log-likelihood", "Difference from the kept method", "Seconds"]
    return [Section("few-labels", "Comparison of training methods", lead, [Table("Training methods", columns, rows)])]


def _error(value: float | None) -> str:
    return f"± {formats.measure(value, 'score')}" if value is not None else ""


def label_errors(result: Mapping[str, Any]) -> list[Section]:
    """Labels that are probably wrong."""
    rows = [
        Example(
            [formats.clip(row["text"])],
            truth=row["label"],
            remarks=[_suggestion(row)],
            place=place(row["file"], row["row"]),
            pictures=[(row["picture"], row["text"])],
        )
        for row in result["examples"][:LABELS]
    ]
    if not rows:
        return []
    what = f"labels of {result['unit']}" if result["unit"] else "labels"
    lead = f"{formats.count(result['doubted'])} {what} are suspect: the model contradicts them with high confidence "
    lead += "(confident learning). Either the model or the label is wrong; the most suspect labels come first. "
    lead += _wrong_labels(result["noise"])
    blocks = [*several_classes.doubtful_labels(result), Examples("Labels to check", rows)]
    return [Section("labels", "Labels to check", lead, blocks)]


def _wrong_labels(noise: Mapping[str, Any]) -> str:
    """State how many labels are wrong by estimate, and how many of the suspect ones are expected to be."""
    if noise["rate"] is None or noise["low"] is None:
        return "How many of them are wrong was not estimated."

    def share(value: float) -> str:
        return str(formats.measure(value, "fraction"))

    rate = f"{share(noise['rate'])} (95 % interval {share(noise['low'])} to {share(noise['high'])})"
    sentence = f"By estimate, {rate} of all labels are wrong. "
    if noise["low"] == 0:
        return f"{sentence}Possibly none is, and all of these are mistakes of the model."
    of_these = noise["precision"]
    ends = f"{share(of_these['low'])} to {share(of_these['high'])}"
    return (
        f"{sentence}Of the suspect ones {share(of_these['value'])} are expected to be ({ends} at the interval’s ends)."
    )


def _suggestion(row: Mapping[str, Any]) -> str:
    if row["missing"] is not None:
        return several_classes.suggestion(row)
    return (
        f"predicted {row['suggestion']} ({formats.measure(row['suggestion_probability'], 'fraction')}; "
        f"{formats.measure(row['label_probability'], 'fraction')} for the label)"
    )


def near_duplicates(result: Mapping[str, Any]) -> list[Section]:
    """Test rows that are near-duplicates of training rows."""
    if result["found"] is None:
        return []
    title = "Near-duplicates between test and train"
    if result["kind"] == "image":
        ones = "pictures"
        alike = (
            f"are at least {formats.measure(result['threshold'], 'fraction')} similar at 16 × 16 pixels, as a whole "
        )
        alike += "and in detail, and much more similar than other pictures of this data"
    else:
        ones = "texts"
        alike = (
            f"share at least {formats.measure(result['threshold'], 'fraction')} of their character 5-grams, weighted "
        )
        alike += "by rarity"
    if not result["found"]:
        lead = f"None of {formats.count(result['rows'])} test rows is a near-duplicate of a training row: "
        lead += f"no two {ones} {alike}."
        return [Section("near-duplicates", title, lead)]
    lead = f"{formats.count(result['found'])} of {formats.count(result['rows'])} test rows are near-duplicates of a "
    lead += f"training row: the two {alike}. "
    without = result["without"]["metric"]
    if without["value"] is not None:
        lead += f"Without them: {without['title']} {formats.estimate(without, without['unit'])}. "
    if result["other_label"]:
        lead += f"With a label that differs from the one in train: {formats.count(result['other_label'])}."
    rows = [
        Example(
            [formats.clip(pair[part]["text"]) for part in ("test", "train") if pair[part]["text"]],
            truth=pair["test"]["label"],
            remarks=[
                f"{formats.measure(pair['similarity'], 'fraction')} similar",
                f"in train: {pair['train']['label']}, {place(pair['train']['file'], pair['train']['row'])}",
            ],
            place=place(pair["test"]["file"], pair["test"]["row"]),
            pictures=[
                (pair[part]["picture"], f"in {part}: {pair[part]['text']}")
                for part in ("test", "train")
                if pair[part]["picture"] or pair[part]["text"]
            ],
        )
        for pair in result["pairs"]
    ]
    return [Section("near-duplicates", title, lead, [Examples(title, rows)] if rows else [])]
