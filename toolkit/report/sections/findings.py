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
from toolkit.report.sections.generated_text import writing

LABELS = 10  # doubted labels that the page shows


def findings(report: Mapping[str, Any]) -> list[Section]:
    """What the predictions show beyond the figures."""
    evaluation = report["evaluation"]
    carved = not any(split["name"] == "validation" for split in report["data"]["splits"])
    few = bool(report["training"]["few_labels"]["candidates"]) and carved
    rows = "labelled rows (predicted by cross-validation)" if few else "validation rows"
    return [
        *comparison(report["comparison"]),
        *seeds(report["seeds"]),
        *screening(evaluation["screening"], rows),
        *calibration(evaluation["calibration"], rows),
        *groups(evaluation["slices"]),
        *writing(evaluation["writing"]),
    ]


def checks(report: Mapping[str, Any]) -> list[Section]:
    """What deserves a second look, and what was asked of the model beyond its test rows."""
    evaluation = report["evaluation"]
    return [
        *label_errors(evaluation["label_errors"]),
        *near_duplicates(evaluation["near_duplicates"]),
        *explanations(evaluation["explanations"]),
        *faithfulness(evaluation["faithfulness"]),
        *robustness(evaluation["robustness"]),
        *bias(evaluation["bias"]),
        *fairness(evaluation["fairness"]),
        *cost(evaluation["cost"], report["model"]),
        *candidates(report["training"]["few_labels"]),
        *untested(evaluation),
    ]


def screening(result: Mapping[str, Any], chosen_on: str = "validation rows") -> list[Section]:
    """What the model finds, and what it clears, at thresholds that were set beforehand."""
    if not result["points"]:
        return []
    columns = ["Chosen for", "Threshold", "Sensitivity", "Specificity", "Right when positive", "Right when negative"]
    keys = ("sensitivity", "specificity", "positive_predictive_value", "negative_predictive_value")
    rows, chosen = [], []
    for point in result["points"]:
        first = [Cell(str(point["name"])), Cell(formats.measure(point["threshold"], "score"))]
        rows.append([*first, *(estimated(point[key], alert=_missed(point, key, point["missed"])) for key in keys)])
        there, missed = point["on_validation"], point["missed_on_validation"]
        chosen.append([*first, *(estimated(there[key], alert=_missed(point, key, missed)) for key in keys[:2])])
    lead = f"“{result['positive']}” is what is to be found: {formats.count(result['positives'])} of the examples are, "
    lead += f"{formats.count(result['negatives'])} are not. The thresholds were chosen on "
    lead += f"{formats.count(result['validation_positives'])} {chosen_on} that are and "
    lead += f"{formats.count(result['validation_negatives'])} that are not, and stand as they were; intervals are "
    lead += "Wilson's."
    tables: list[Block] = [
        Table("Operating points", columns, rows),
        Table(f"On the {chosen_on} that they were chosen on", columns[:4], chosen),
    ]
    return [Section("screening", "As a screening test", lead, tables)]


def _missed(point: Mapping[str, Any], key: str, missed: bool | None) -> str:
    """Say that a figure misses its target."""
    return "target missed" if missed and str(point["name"]).startswith(f"{key}=") else ""


def calibration(result: Mapping[str, Any], fitted_on: str = "validation rows") -> list[Section]:
    """Whether the model is as often right as it is sure."""
    bins = [row for row in result["bins"] if None not in (row["confidence"], row["count"], *row["accuracy"].values())]
    if not bins:
        return []
    accuracies = [row["accuracy"] for row in bins]
    points = [
        (row["confidence"], right["value"], right["low"], right["high"], row["count"])
        for row, right in zip(bins, accuracies, strict=True)
    ]
    plot = geometry.reliability(points)
    caption = (
        "Each dot is a tenth of the examples, sorted by confidence. On the dashed line confidence and truth agree; "
    )
    caption += "below it the model is too sure, above it too modest."
    blocks: list[Block] = [Reliability(plot, caption)] if plot is not None else []
    scaled, temperature = result["scaled"], result["temperature"]
    columns = ["", "As it is"]
    if temperature is not None:
        columns.append(f"At temperature {temperature:.2f}")
    figures = [
        ("Calibration error (ECE), corrected for its bias", "ece", "fraction"),
        ("Brier score", "brier", "score"),
        ("Log loss", "log_loss", "score"),
    ]
    rows = [
        [Cell(title), *(estimated(part[key], unit) for part in (result, scaled)[: len(columns) - 1])]
        for title, key, unit in figures
    ]
    plain = [Cell("Calibration error as usually computed")]
    plain += [Cell(formats.measure(part["ece_plain"], "fraction")) for part in (result, scaled)[: len(columns) - 1]]
    blocks.append(Table("Calibration", columns, [rows[0], plain, *rows[1:]]))
    if temperature is not None:
        text = f"The temperature {temperature:.3f} was fitted on {_rows(result['fit'])}{fitted_on} and is stored "
        text += (
            "with the model as an option: it divides the logits, and changes no prediction. The weights are as they "
        )
        text += f"were.{_gain(result['fit'], result['confidence'])}"
        before, after = result["ece"]["value"], scaled["ece"]["value"]
        if before is not None and after is not None and after > before:
            text += " On these rows the calibration error is larger with it."
        blocks.append(Text(text))
    elif result["fit"]["reason"]:
        text = f"No temperature is stored with the model: {_rows(result['fit'])}{fitted_on} were looked at, and "
        text += f"{result['fit']['reason']}.{_gain(result['fit'], result['confidence'])}"
        blocks.append(Text(text))
    lead = f"On average the model is {formats.measure(result['mean_confidence'], 'fraction')} sure and right on "
    lead += f"{formats.measure(result['accuracy'], 'fraction')}. A perfectly calibrated model would show an error this "
    lead += f"large with probability {formats.p_value(result['p'])}."
    return [Section("calibration", "Is it as right as it is sure?", lead, blocks)]


def _rows(fit: Mapping[str, Any]) -> str:
    return f"{formats.count(fit['rows'])} " if fit["rows"] is not None else ""


def _gain(fit: Mapping[str, Any], confidence: float | None) -> str:
    """Say what cross-validation found of a fitted temperature."""
    if fit["gain"]["value"] is None or confidence is None:
        return ""
    text = (
        f" Cross-validated, a temperature ({formats.measure(fit['temperature'], 'score')} on all of them) lowers the "
    )
    return f"{text}log loss by {formats.estimate(fit['gain'], 'score')}, {100 * confidence:g} % interval."


def groups(result: Mapping[str, Any]) -> list[Section]:
    """Groups of examples, the clearly worse ones first."""
    if not result["looked_at"]:
        return []
    lead = f"{formats.count(result['looked_at'])} groups of at least {formats.count(result['smallest'])} examples were "
    by = list(
        dict.fromkeys(group["by"] if group["by"] in ("length", "class") else "column" for group in result["groups"])
    )
    words = ["the words in them"] if result["looked_at"] > len(result["groups"]) else []
    lead += f"looked at: by {', by '.join([*by, *words])}. "
    level = 1 - result["confidence"] if result["confidence"] is not None else 0.05
    blocks: list[Block] = []
    if result["clear"]:
        lead += (
            f"{formats.count(result['clear'])} of them are worse than the rest by more than luck explains: the chance "
        )
        lead += f"of any false alarm among all of them is below {formats.measure(level, 'fraction')}."
        blocks.append(_group_table("Clearly worse groups", result["worst"]))
        if result["worst_confidence"] is not None:
            text = f"Intervals at {100 * result['worst_confidence']:.4g} %, wider because these groups were picked for "
            blocks.append(Text(text + "being bad."))
    else:
        lead += "No group is worse than the rest by more than luck explains."
    if result["groups"]:
        blocks.append(_group_table(f"By {', '.join(by)}", result["groups"]))
    return [Section("groups", "Where it is weaker", lead, blocks)]


def _group_table(title: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    return Table(
        title,
        [title, "By", "Examples", "Right", "Chance of so bad a group by luck"],
        [
            [
                Cell(row["name"]),
                Cell(row["by"]),
                Cell(formats.count(row["rows"])),
                estimated(row["accuracy"]),
                Cell(formats.p_value(row["p"])),
            ]
            for row in rows
        ],
        words=frozenset({1}),
    )


def candidates(result: Mapping[str, Any]) -> list[Section]:
    """Ways of training that were compared where labels are few."""
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
    lead = (
        f"Each way of training predicted the {formats.count(result['rows'])} labelled rows by cross-validation, every "
    )
    lead += "row by a model that did not learn from it. Contrastive fine-tuning is kept unless another way is ahead by "
    lead += "more than two standard errors; fine-tuning is dropped where it is clearly behind after a fold. The kept "
    lead += "way was then trained on all rows."
    columns = ["Way of training", "Folds", "Accuracy", "Log-likelihood", "Ahead of the kept one", "Seconds"]
    return [Section("few-labels", "Ways of training compared", lead, [Table("Ways of training", columns, rows)])]


def _error(value: float | None) -> str:
    return f"± {formats.measure(value, 'score')}" if value is not None else ""


def label_errors(result: Mapping[str, Any]) -> list[Section]:
    """Labels that are probably wrong."""
    rows = [
        Example(
            [formats.clip(row["text"])],
            truth=row["label"],
            remarks=[
                f"the model says {row['suggestion']} ({formats.measure(row['suggestion_probability'], 'fraction')}, "
                f"and {formats.measure(row['label_probability'], 'fraction')} for the label)"
            ],
            place=place(row["file"], row["row"]),
            pictures=[(row["picture"], row["text"])],
        )
        for row in result["examples"][:LABELS]
    ]
    if not rows:
        return []
    lead = f"{formats.count(result['doubted'])} labels are contradicted more firmly than the model usually speaks "
    lead += "(confident learning). Some are mistakes of the model, some of the label; the most doubtful come first."
    return [Section("labels", "Labels to check", lead, [Examples("Labels to check", rows)])]


def near_duplicates(result: Mapping[str, Any]) -> list[Section]:
    """Test rows that repeat training rows."""
    if result["found"] is None:
        return []
    title = "Test rows that stand in train"
    if result["kind"] == "image":
        ones = "pictures"
        alike = (
            f"are at least {formats.measure(result['threshold'], 'fraction')} alike at 16 × 16 pixels, as a whole and "
        )
        alike += "in detail, and much nearer to each other than pictures of this data usually are"
    else:
        ones = "texts"
        alike = f"share at least {formats.measure(result['threshold'], 'fraction')} of their five-letter pieces"
    if not result["found"]:
        lead = f"No test row of {formats.count(result['rows'])} repeats a training row: no two {ones} {alike}."
        return [Section("near-duplicates", title, lead)]
    lead = (
        f"Of {formats.count(result['rows'])} test rows {formats.count(result['found'])} nearly repeat a training row: "
    )
    lead += f"the two {alike}. "
    without = result["without"]["metric"]
    if without["value"] is not None:
        lead += f"Without them: {without['title']} {formats.estimate(without, without['unit'])}. "
    if result["other_label"]:
        lead += f"With another label than in train: {formats.count(result['other_label'])}."
    rows = [
        Example(
            [formats.clip(pair["test"]["text"]), formats.clip(pair["train"]["text"])],
            truth=pair["test"]["label"],
            remarks=[
                f"{formats.measure(pair['similarity'], 'fraction')} alike",
                f"in train: {pair['train']['label']}, {place(pair['train']['file'], pair['train']['row'])}",
            ],
            place=place(pair["test"]["file"], pair["test"]["row"]),
            pictures=[(pair[part]["picture"], f"in {part}: {pair[part]['text']}") for part in ("test", "train")],
        )
        for pair in result["pairs"]
    ]
    return [Section("near-duplicates", title, lead, [Examples(title, rows)] if rows else [])]
