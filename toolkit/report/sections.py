"""The report's findings as sections of blocks; each function takes a part of the report as `schema.fill` returns it."""

from collections.abc import Mapping, Sequence
from typing import Any

from toolkit.report import formats, plots
from toolkit.report.blocks import (
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
from toolkit.report.comparison import comparison, seeds
from toolkit.report.writing import writing

LABELS = 10  # doubted labels that the page shows


def findings(report: Mapping[str, Any]) -> list[Section]:
    """What the predictions show beyond the figures."""
    evaluation = report["evaluation"]
    return [
        *comparison(report["comparison"]),
        *seeds(report["seeds"]),
        *screening(evaluation["screening"]),
        *calibration(evaluation["calibration"]),
        *groups(evaluation["slices"]),
        *writing(evaluation["writing"]),
    ]


def checks(report: Mapping[str, Any]) -> list[Section]:
    """What deserves a second look, and what was asked of the model beyond its test rows."""
    evaluation = report["evaluation"]
    return [
        *label_errors(evaluation["label_errors"]),
        *near_duplicates(evaluation["near_duplicates"]),
        *robustness(evaluation["robustness"]),
        *bias(evaluation["bias"]),
        *fairness(evaluation["fairness"]),
        *cost(evaluation["cost"], report["model"]),
    ]


def screening(found: Mapping[str, Any]) -> list[Section]:
    """What the model finds, and what it clears, at thresholds that were set beforehand."""
    if not found["points"]:
        return []
    columns = ["Chosen for", "Threshold", "Sensitivity", "Specificity", "Right when positive", "Right when negative"]
    keys = ("sensitivity", "specificity", "positive_predictive_value", "negative_predictive_value")
    rows = [
        [
            Cell(str(point["name"])),
            Cell(formats.measure(point["threshold"], "score")),
            *(estimated(point[key], "fraction") for key in keys),
        ]
        for point in found["points"]
    ]
    lead = f"“{found['positive']}” is what is to be found: {formats.count(found['positives'])} of the examples are, "
    lead += f"{formats.count(found['negatives'])} are not. The thresholds were chosen on validation rows and stand as "
    lead += "they were; intervals are Wilson's."
    return [Section("screening", "As a screening test", lead, [Table("Operating points", columns, rows)])]


def calibration(found: Mapping[str, Any]) -> list[Section]:
    """Whether the model is as often right as it is sure."""
    bins = [row for row in found["bins"] if None not in (row["confidence"], row["count"], *row["accuracy"].values())]
    if not bins:
        return []
    accuracies = [row["accuracy"] for row in bins]
    points = [
        (row["confidence"], right["value"], right["low"], right["high"], row["count"])
        for row, right in zip(bins, accuracies, strict=True)
    ]
    plot = plots.reliability(points)
    caption = (
        "Each dot is a tenth of the examples, sorted by confidence. On the dashed line confidence and truth agree; "
    )
    caption += "below it the model is too sure, above it too modest."
    blocks: list[Block] = [Reliability(plot, caption)] if plot is not None else []
    scaled, temperature = found["scaled"], found["temperature"]
    columns = ["", "As it is"]
    if temperature is not None:
        columns.append(f"At temperature {temperature:.2f}")
    figures = [
        ("Calibration error (ECE), corrected for its bias", "ece", "fraction"),
        ("Brier score", "brier", "score"),
        ("Log loss", "log_loss", "score"),
    ]
    rows = [
        [Cell(title), *(estimated(part[key], unit) for part in (found, scaled)[: len(columns) - 1])]
        for title, key, unit in figures
    ]
    plain = [Cell("Calibration error as usually computed")]
    plain += [Cell(formats.measure(part["ece_plain"], "fraction")) for part in (found, scaled)[: len(columns) - 1]]
    blocks.append(Table("Calibration", columns, [rows[0], plain, *rows[1:]]))
    if temperature is not None:
        text = f"The temperature {temperature:.3f} was fitted on validation rows and is stored with the model as an "
        text += "option: it divides the logits, and changes no prediction. The weights are as they were."
        blocks.append(Text(text))
    lead = f"On average the model is {formats.measure(found['mean_confidence'], 'fraction')} sure and right on "
    lead += f"{formats.measure(found['accuracy'], 'fraction')}. A perfectly calibrated model would show an error this "
    lead += f"large with probability {formats.p_value(found['p'])}."
    return [Section("calibration", "Is it as right as it is sure?", lead, blocks)]


def groups(found: Mapping[str, Any]) -> list[Section]:
    """Groups of examples, the clearly worse ones first."""
    if not found["looked_at"]:
        return []
    lead = f"{formats.count(found['looked_at'])} groups of at least {formats.count(found['smallest'])} examples were "
    lead += "looked at: by length, by class, by column, by the words in them. "
    level = 1 - found["confidence"] if found["confidence"] is not None else 0.05
    blocks: list[Block] = []
    if found["clear"]:
        lead += (
            f"{formats.count(found['clear'])} of them are worse than the rest by more than luck explains: the chance "
        )
        lead += f"of any false alarm among all of them is below {formats.measure(level, 'fraction')}."
        blocks.append(_group_table("Clearly worse groups", found["worst"]))
        if found["worst_confidence"] is not None:
            text = f"Intervals at {100 * found['worst_confidence']:.4g} %, wider because these groups were picked for "
            blocks.append(Text(text + "being bad."))
    else:
        lead += "No group is worse than the rest by more than luck explains."
    if found["groups"]:
        blocks.append(_group_table("By length, class and column", found["groups"]))
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


def label_errors(found: Mapping[str, Any]) -> list[Section]:
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
        )
        for row in found["examples"][:LABELS]
    ]
    if not rows:
        return []
    lead = f"{formats.count(found['doubted'])} labels are contradicted more firmly than the model usually speaks "
    lead += "(confident learning). Some are mistakes of the model, some of the label; the most doubtful come first."
    return [Section("labels", "Labels to check", lead, [Examples("Labels to check", rows)])]


def near_duplicates(found: Mapping[str, Any]) -> list[Section]:
    """Test rows that repeat training rows."""
    if found["found"] is None:
        return []
    title = "Test rows that stand in train"
    alike = f"share at least {formats.measure(found['threshold'], 'fraction')} of their five-letter pieces"
    if not found["found"]:
        lead = f"No test row of {formats.count(found['rows'])} repeats a training row: no two texts {alike}."
        return [Section("near-duplicates", title, lead)]
    lead = f"Of {formats.count(found['rows'])} test rows {formats.count(found['found'])} nearly repeat a training row: "
    lead += f"the two {alike}. "
    without = found["without"]["metric"]
    if without["value"] is not None:
        lead += f"Without them: {without['title']} {formats.estimate(without, without['unit'])}. "
    if found["other_label"]:
        lead += f"With another label than in train: {formats.count(found['other_label'])}."
    rows = [
        Example(
            [formats.clip(pair["test"]["text"]), formats.clip(pair["train"]["text"])],
            truth=pair["test"]["label"],
            remarks=[
                f"{formats.measure(pair['similarity'], 'fraction')} alike",
                f"in train: {pair['train']['label']}, {place(pair['train']['file'], pair['train']['row'])}",
            ],
            place=place(pair["test"]["file"], pair["test"]["row"]),
        )
        for pair in found["pairs"]
    ]
    return [Section("near-duplicates", title, lead, [Examples(title, rows)] if rows else [])]


def robustness(found: Mapping[str, Any]) -> list[Section]:
    """Whether the model keeps its answer when a text changes and its meaning does not."""
    rows = [
        [
            Cell(one["title"] or one["name"]),
            Cell(formats.count(one["changed"])),
            estimated(one["difference"], signed=True, alert=_worse(one["difference"])),
            estimated(one["flipped"]),
        ]
        for one in found["invariance"]
    ]
    if not rows:
        return []
    columns = ["Change", "Texts changed", "Accuracy on these, after minus before", "Answers that changed"]
    blocks: list[Block] = [Table("Changes that leave the meaning alone", columns, rows)]
    expected = [
        [Cell(one["title"] or one["name"]), Cell(formats.count(one["tried"])), estimated(one["failed"])]
        for one in found["expectations"]
    ]
    if expected:
        blocks.append(Table("Expectations", ["Expectation", "Tried", "Failed"], expected))
    if found["not_tested"]:
        blocks.append(Text(f"Not tested. {found['not_tested']}"))
    failures = [
        _changed(failure, one["title"] or one["name"])
        for one in (*found["invariance"], *found["expectations"])
        for failure in one["failures"][:2]
    ]
    if failures:
        blocks.append(Examples("Failures", failures))
    lead = f"{formats.count(found['rows'])} texts were changed in ways that leave their meaning alone, in English. "
    lead += "Both answers are compared text by text; the intervals of the accuracy hold jointly for all changes."
    return [Section("robustness", "When the text changes", lead, blocks)]


def _worse(cell: Mapping[str, Any]) -> str:
    return "clearly worse" if cell["high"] is not None and cell["high"] < 0 else ""


def _changed(failure: Mapping[str, Any], title: str) -> Example:
    return Example(
        [formats.clip(failure["text"]), formats.clip(failure["changed"])],
        remarks=[title, f"{failure['before']} → {failure['after']}"],
        place=place(failure["file"], failure["row"]),
    )


def bias(found: Mapping[str, Any]) -> list[Section]:
    """Whether who is spoken of changes the answer."""
    studies = [study for study in found["studies"] if study["category"]]
    if not studies:
        return []
    where = {"data": "texts of the data", "sentences": "neutral sentences"}
    rows = [
        [
            Cell(study["category"]),
            Cell(where.get(study["source"], study["source"])),
            Cell(formats.count(study["texts"])),
            Cell(formats.count(study["versions"])),
            estimated(study["flipped"]),
        ]
        for study in studies
    ]
    columns = ["What is swapped", "In", "Texts", "Versions of each", "Answer depends on it"]
    blocks: list[Block] = [Table("Swaps", columns, rows, words=frozenset({1}))]
    gaps = [
        [
            Cell(f"{gap['group']} against {gap['versus']}"),
            Cell(f"{study['category']}, {where.get(study['source'], study['source'])}"),
            estimated(gap["score"], "score", signed=True, alert="clear" if gap["clear"] else ""),
        ]
        for study in studies
        for gap in study["gaps"]
    ]
    if gaps:
        title = "How much more positive, on a scale from −1 to 1"
        blocks.append(Table("Gaps", ["Group", "Swapped", title], gaps, words=frozenset({1})))
    categories = ", ".join(dict.fromkeys(study["category"] for study in studies))
    blocks.append(
        Text(
            f"Tested: whether the answer changes with {categories}, by English words swapped one for one. Not tested: "
            "other traits, other languages, indirect mentions, and whether errors fall more on some people who write."
        )
    )
    failures = [
        _changed(failure, failure["groups"] or study["category"])
        for study in studies
        for failure in study["failures"][:2]
    ]
    if failures:
        blocks.append(Examples("Answers that depend on who is spoken of", failures))
    lead = "The same texts, with other people in them. Intervals within one kind of swap hold jointly."
    return [Section("bias", "When other people are spoken of", lead, blocks)]


_RATES = {
    "accuracy": "Right",
    "selection_rate": "Given the second class",
    "true_positive_rate": "Given it where it is true",
    "false_positive_rate": "Given it where it is not",
}


def fairness(found: Mapping[str, Any]) -> list[Section]:
    """Figures for the groups of people that a column names."""
    if not found["groups"]:
        return []
    rates = [name for name in _RATES if any(name in group["rates"] for group in found["groups"])]
    rows = [
        [
            Cell(group["name"]),
            Cell(formats.count(group["rows"])),
            estimated(group["accuracy"]),
            *(Cell(_rate(group["rates"].get(name))) for name in rates),
        ]
        for group in found["groups"]
    ]
    blocks: list[Block] = [Table("Groups", [found["column"], "Rows", "Right", *(_RATES[name] for name in rates)], rows)]
    gaps = [
        [Cell(_RATES.get(gap["figure"], gap["figure"])), Cell(_rate(gap["value"])), Cell(formats.p_value(gap["p"]))]
        for gap in found["gaps"]
    ]
    if gaps:
        blocks.append(Table("Gaps", ["Widest gap between groups", "Gap", "Chance of so wide a gap by lot"], gaps))
    lead = f"By the column {found['column']}; groups of fewer than {formats.count(found['smallest'])} rows are left out"
    lead += f" ({', '.join(found['left_out'])})." if found["left_out"] else "."
    return [Section("fairness", "How groups of people are treated", lead, blocks)]


def _rate(value: Any) -> str:
    return formats.measure(value, "fraction") if isinstance(value, int | float) else "–"


def cost(found: Mapping[str, Any], model: Mapping[str, Any]) -> list[Section]:
    """What a prediction costs."""
    timings = [row for row in found["timings"] if row["p50_ms"] is not None]
    if not timings:
        return []
    energy = any(row["joules_per_example"] is not None for row in timings)
    columns = ["Batch", "Tokens", "Median", "99th percentile", "Examples per second"]
    rows = [
        [
            Cell(formats.count(row["batch_size"])),
            Cell(formats.count(row["length"])),
            Cell(f"{row['p50_ms']:.1f} ms"),
            Cell(f"{row['p99_ms']:.1f} ms" if row["p99_ms"] is not None else "–"),
            Cell(formats.count(round(row["examples_per_second"] or 0, 1))),
            *([Cell(f"{row['joules_per_example'] or 0:.3g} J")] if energy else []),
        ]
        for row in timings
    ]
    table = Table("Latency", [*columns, "Energy per example"] if energy else columns, rows)
    lead = f"{formats.count(model['parameters'])} parameters, {formats.size(found['bytes_on_disk'])} on disk. "
    lead += f"Timed on {found['device'] or 'this machine'}"
    lead += f" with {formats.count(found['threads'])} threads; " if found["threads"] is not None else "; "
    lead += "forward passes over real examples, without tokenizing. "
    return [Section("cost", "What a prediction costs", f"{lead}Energy: {found['energy'] or 'not measured'}.", [table])]
