"""How new rows differ from the held-out rows of a run, and what that means for the model."""

from collections.abc import Mapping, Sequence
from typing import Any

from toolkit.report import formats
from toolkit.report.sections.blocks import Block, Cell, Example, Examples, Section, Table, Text, estimated, place

MOST_CLASSES = 20  # that are listed


def shift(result: Mapping[str, Any]) -> list[Section]:
    """Whether the rows differ, which words and properties do, class shares, and the accuracy that is expected."""
    if result["domain"]["value"] is None:
        return []
    blocks: list[Block] = [Text(sentence) for sentence in meaning(result)[1:]]
    blocks += [*metric(result["metric"]), *accuracy(result["accuracy"], claimed=result["claimed"]), *_predicted(result)]
    blocks += [*_classes(result), *_words(result), *_properties(result), *_examples(result["examples"])]
    return [
        Section(
            "shift",
            "Shift from the held-out rows of the run",
            f"{headline(result)} {meaning(result)[0]} {_method(result)}",
            blocks,
        )
    ]


def headline(result: Mapping[str, Any]) -> str:
    """Say whether the rows differ."""
    found = "differ from" if result["claimed"] else "are not shown to differ from"
    return f"The new rows {found} the held-out rows of the run."


def exact(p: float | None) -> str:
    """A p-value with as many decimals as tell it from a small level."""
    return "–" if p is None else f"{p:.2g}" if p < 0.1 else f"{p:.2f}"


def level(error: float | None) -> str:
    """The level of a test, in percent."""
    return "–" if error is None else f"{100 * error:.3g} %"


def meaning(result: Mapping[str, Any]) -> list[str]:
    """Say which test the claim rests on, and whether a difference is one of the shares of classes alone."""
    tested = f"Told apart best by {_figures(result['domain'])}; tested at {level(result['level'])}."
    if not result["claimed"]:
        return [tested]
    if not result["classes"]:
        reason = result["classes_reason"]
        return [tested, f"Shares of the classes are not estimated. {reason}"] if reason else [tested]
    within = result["within_classes"]
    if within["p"] is None:
        return [
            tested,
            "Too few held-out rows have the estimated shares of the classes to test whether only these changed.",
        ]
    if within["p"] > (result["level"] or 0):
        return [
            tested,
            "Held-out rows drawn in the estimated shares of the classes are not told from the new rows "
            f"({_figures(within)}): a change of these shares explains the difference, and the estimates of them are "
            "believable.",
        ]
    return [
        tested,
        "Held-out rows drawn in the estimated shares of the classes are still told from the new rows "
        f"({_figures(within)}): rows of one class look different too, so the estimated shares of the classes are not "
        "believable.",
    ]


def _figures(domain: Mapping[str, Any]) -> str:
    area = formats.estimate(domain, "score")
    return f"{domain['part'] or 'a classifier'}: area under the curve {area}, p = {exact(domain['p'])}"


def metric(result: Mapping[str, Any]) -> list[Block]:
    """The first metric on the new rows beside that of the run's test rows; nothing without labels."""
    if result["difference"]["value"] is None:
        return []
    unit = result["unit"] or "score"
    changed = "" if not result["claimed"] else "significant"
    row = [
        Cell(formats.metric_title(result)),
        estimated(result["reference"], unit),
        estimated(result["new"], unit),
        estimated(result["difference"], unit, signed=True, alert=changed),
    ]
    columns = ["Metric", "Test rows of the run", "These rows", "Difference"]
    title = f"The run's own figure (intervals at {level(result['confidence'])}; two independent samples)"
    return [Table(title, columns, [row])]


def accuracy(result: Mapping[str, Any], *, claimed: bool) -> list[Block]:
    """The accuracy that is expected without labels, beside what is known."""
    if result["estimate"]["value"] is None:
        return [Text(f"The accuracy is not estimated. {result['reason']}")] if result["reason"] else []
    held_out = [Cell("Held-out rows"), estimated(result["reference_confidence"]), Cell("–")]
    rows = [
        [*held_out, estimated(result["reference"])],
        [
            Cell("These rows"),
            *(estimated(result[key]) for key in ("confidence", "estimate", "truth")),
        ],
    ]
    if result["checked"]["value"] is not None:
        checked = [estimated(result["checked"]), estimated(result["checked_truth"])]
        rows.insert(1, [Cell("Test rows among them, estimated from the others"), Cell("–"), *checked])
    columns = ["Rows", "Mean confidence", "Estimated without labels", "True"]
    return [
        Table(f"Share of {result['title']}", columns, rows),
        Text(
            f"The estimated share of {result['title']} is the mean of confidences that are calibrated on "
            f"{formats.count(result['fitted_rows'])} held-out rows. It holds as far as predictions of one confidence "
            "are as often right on these rows as on those; it is too high where the model is sure and wrong, as of "
            "unknown classes, of labels whose meaning changed, and of inputs unlike any in training."
            + (" These rows are shown to differ: label some of them before you rely on it." if claimed else "")
        ),
    ]


def _method(result: Mapping[str, Any]) -> str:
    """Say which rows were compared, and by which test."""
    parts = [
        f"{formats.count(result['rows'])} new rows were compared with {formats.count(result['reference_rows'])} "
        "validation and test rows, which the model was not trained on. Classifiers learn to tell both apart, each by "
        "one part of what is known of a row, and are tested on rows that they did not learn from; the p-value "
        f"compares the best of them with that of {formats.count(result['draws'])} random divisions of all rows."
    ]
    if result["groups"]:
        parts.append(
            f"Groups are exchanged whole: {formats.count(result['groups'])} new ones, "
            f"{formats.count(result['reference_groups'])} held-out ones."
        )
    if result["one_of_each_group"]:
        parts.append(
            "The held-out rows belong to groups, and the new rows do not say to which, so that a few groups among them "
            "may explain any difference: none is claimed. Of the held-out rows one of each group is compared."
        )
    if result["margin"]:
        parts.append(f"An area up to {0.5 + result['margin']:.3g} is not claimed.")
    return " ".join(parts)


def _predicted(result: Mapping[str, Any]) -> list[Block]:
    rows = sorted(result["predicted"], key=_change, reverse=True)[:MOST_CLASSES]
    unit = "value" if [row["label"] for row in rows] == ["mean"] else "fraction"
    cells = [[Cell(row["label"]), estimated(row["reference"], unit), estimated(row["new"], unit)] for row in rows]
    title = "Mean of the predictions" if unit == "value" else "Predicted classes"
    return [Table(title, ["Predicted", "Held-out rows", "New rows"], cells)] if cells else []


def _change(row: Mapping[str, Any]) -> float:
    return abs(float(row["new"]["value"] or 0) - float(row["reference"]["value"] or 0))


def _classes(result: Mapping[str, Any]) -> list[Block]:
    within = result["within_classes"]["p"]
    if result["claimed"] and within is not None and within <= (result["level"] or 0):
        return []  # not believable, as `meaning` says
    rows = sorted(result["classes"], key=lambda row: -abs((row["value"] or 0) - (row["reference"] or 0)))
    cells = [
        [Cell(row["label"]), Cell(formats.measure(row["reference"], "fraction")), estimated(row)]
        for row in rows[:MOST_CLASSES]
    ]
    title = "Estimated shares of the true classes, if only these changed"
    return (
        [Table(title, ["Estimated share, if only shares changed", "Held-out rows", "New rows"], cells)] if cells else []
    )


def _words(result: Mapping[str, Any]) -> list[Block]:
    if not result["words"]:
        return []
    title = f"Words whose share of rows differs most, of {formats.count(result['words_tested'])}"
    return [_tested(title, "Word", result["words"], "word", "fraction")]


def _properties(result: Mapping[str, Any]) -> list[Block]:
    if not result["properties"]:
        return []
    return [_tested("Properties of the inputs", "Property (median)", result["properties"], "name", "value")]


def _tested(title: str, head: str, rows: Sequence[Mapping[str, Any]], name: str, unit: str) -> Table:
    """A table of what was tested on both sides, in one family of words and properties."""
    cells = [
        [
            Cell(row[name], alert="significant" if row["claimed"] else ""),
            Cell(formats.measure(row["reference"], unit)),
            Cell(formats.measure(row["new"], unit)),
            Cell(exact(row["p"])),
        ]
        for row in rows
    ]
    return Table(title, [head, "Held-out rows", "New rows", "p, for all words and properties"], cells)


def _examples(rows: Sequence[Mapping[str, Any]]) -> list[Block]:
    shown = [
        Example(
            [formats.clip(row["text"])],
            place=place(row["file"], row["row"]),
            pictures=[(row["picture"], row["text"])] if row["picture"] else [],
        )
        for row in rows
    ]
    return (
        [
            Text("The rows that the classifier finds most different from the held-out ones:"),
            Examples("Most different rows", shown),
        ]
        if shown
        else []
    )
