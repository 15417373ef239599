"""Several classes a row, as sections of blocks: their number, confusions, calibration and doubtful labels."""

from collections.abc import Mapping
from typing import Any

from toolkit.report import formats
from toolkit.report.sections.blocks import Block, Cell, Section, Table, estimated


def classes_per_row(result: Mapping[str, Any]) -> list[Section]:
    """How many classes rows have, and how many are predicted."""
    if not result["counts"]:
        return []
    rows = [[Cell(formats.count(row[key])) for key in ("classes", "true", "predicted")] for row in result["counts"]]
    lead = f"A row has {formats.measure(result['true_mean'], 'value')} classes on average; "
    lead += f"{formats.measure(result['predicted_mean'], 'value')} are predicted."
    table = Table(
        "Rows by number of classes", ["Classes", "Rows that have so many", "Rows with so many predicted"], rows
    )
    return [Section("classes-per-row", "Classes per row", lead, [table])]


def confused(result: Mapping[str, Any]) -> list[Section]:
    """Pairs of classes of which one is missed and the other one added in the same row."""
    if result["wrong"] is None:
        return []
    title = "Confused classes"
    lead = f"{formats.count(result['wrong'])} rows are not wholly right: {formats.count(result['missed'])} classes are "
    lead += f"missed in all, and {formats.count(result['added'])} added. "
    if not result["confusions"]:
        return [Section("confused", title, f"{lead}In no row is one class missed and another added.")]
    lead += "Pairs of classes of which one is missed and the other one added in the same row, the most frequent first; "
    lead += "“expected by chance” counts both directions, for errors that are independent of each other."
    rows = [
        [
            Cell(pair["missed"]),
            Cell(pair["added"]),
            *(Cell(formats.count(pair[key])) for key in ("count", "reverse")),
            Cell(formats.measure(pair["expected"], "points")),
        ]
        for pair in result["confusions"]
    ]
    columns = ["Missed", "Added", "Rows", "Rows with the reverse", "Expected by chance"]
    return [Section("confused", title, lead, [Table("Confused classes", columns, rows, words=frozenset({1}))])]


def calibration(result: Mapping[str, Any]) -> list[Section]:
    """Whether the probability of each class matches how often rows have it."""
    level = 1 - result["confidence"] if result["confidence"] is not None else 0.05
    clear = [row for row in result["classes"] if row["p"] is not None and row["p"] < level]
    rows = [
        [
            Cell(row["label"]),
            Cell(formats.measure(row["mean_probability"], "fraction")),
            Cell(formats.measure(row["share"], "fraction")),
            estimated(row["ece"]),
            Cell(formats.p_value(row["p"]), alert="miscalibrated" if row in clear else ""),
        ]
        for row in result["classes"]
    ]
    lead = "The calibration error compares the probability of each class with how often rows have it, over ten groups "
    lead += "of rows, and is corrected for its bias. The p-value is the probability of an error this large for a "
    lead += "perfectly calibrated class, adjusted for all classes by Holm’s method. "
    lead += f"{len(clear)} of {len(rows)} classes are miscalibrated."
    columns = ["Class", "Mean probability", "Rows that have it", "Calibration error (ECE)", "p-value"]
    return [
        Section("calibration", "Calibration of each class", lead, [Table("Calibration of each class", columns, rows)])
    ]


def doubtful_labels(result: Mapping[str, Any]) -> list[Block]:
    """For each class, how many labels are probably missing or wrong; none where no label is."""
    rows = [
        [Cell(row["label"]), *(Cell(formats.count(row[key])) for key in ("missing", "wrong"))]
        for row in result["classes"]
        if row["missing"] or row["wrong"]
    ]
    return [Table("Doubtful labels", ["Class", "Probably missing", "Probably wrong"], rows)] if rows else []


def suggestion(row: Mapping[str, Any]) -> str:
    """What is doubtful about the classes of a row."""
    kind = "missing" if row["missing"] else "wrong"
    present = row["suggestion_probability"] if row["missing"] else row["label_probability"]
    return f"{row['suggestion']} is probably {kind} (probability {formats.measure(present, 'fraction')})"
