"""Point 2(g): how the model was tested, and with which results."""

import shlex
from collections.abc import Sequence

from toolkit.report import formats
from toolkit.report.document.command_lines import repeated
from toolkit.report.dossier.content import Block, Cell, Evidence, Gap, Rows, Table, Text
from toolkit.report.dossier.general import files
from toolkit.report.dossier.layout import facts, gap, listing, unit_of, written
from toolkit.report.dossier.traces import Figure, Node, estimate, measure, p_value, plain


def held_out(evidence: Evidence) -> Sequence[Block]:
    """State on which rows the model was tested, and how these were kept out of the training."""
    evaluation, settings = evidence.evaluation, evidence.config
    grouping = evaluation["grouping"]
    return written(
        facts(
            ("Rows that were evaluated", plain(evaluation["rows"])),
            ("Part", plain(evaluation["split"])),
            ("Share of the rows split off for testing, where none came with the data", _share(settings, "test")),
            ("Share split off for validation", _share(settings, "validation")),
            ("Rows that belong together stay together, by", plain(settings["data"]["group_column"])),
            ("Number of groups", plain(grouping["groups"])),
            ("Rows of the largest group", plain(grouping["largest"])),
            ("Independent rows that say as much", plain(grouping["effective_rows"])),
            ("Confidence of the intervals", measure(evaluation["confidence"], "fraction")),
            ("Bootstrap samples", plain(settings["evaluation"]["resamples"])),
            ("Evaluations on these rows, this one included", plain(evaluation["looks"])),
        ),
        Text(
            "Weights, thresholds and calibration are chosen on validation rows, or by cross-validation where labels "
            "are few; the rows of the test are used for the figures alone."
        ),
    )


def _share(settings: Node, part: str) -> Figure:
    return measure(settings["data"][f"{part}_fraction"], "fraction")


def _title(metric: Node) -> str:
    return formats.metric_title({"title": "", "name": "", **metric.value})


def metrics(evidence: Evidence) -> Sequence[Block]:
    """List each metric with its interval."""
    rows: Rows = [[_title(metric), estimate(metric, unit_of(metric))] for metric in evidence.evaluation["metrics"]]
    return written(
        facts(("Mean loss", measure(evidence.evaluation["loss"], "score"))),
        Table(["Metric", "Value (interval)"], rows),
    )


def baselines(evidence: Evidence) -> Sequence[Block] | Gap:
    """Compare the model with simple predictions on the same rows."""
    rows: list[list[Cell]] = []
    differences: list[list[Cell]] = []
    known = {metric["name"].value: metric for metric in evidence.evaluation["metrics"]}
    for baseline in evidence.report["baselines"]:
        title = str(baseline["title"].value or baseline["name"].value)
        rows += [[title, _title(metric), estimate(metric, unit_of(metric))] for metric in baseline["metrics"]]
        difference = baseline["difference"]
        metric = known.get(difference["metric"].value)
        if difference and metric is not None:
            cells = [
                estimate(difference, unit_of(metric), signed=True),
                measure(difference["confidence"], "fraction"),
                p_value(difference["p"]),
            ]
            differences.append([title, _title(metric), *cells])
    if not rows:
        if evidence.config["evaluation"]["baselines"].value is not False:
            return Gap("The recipe has no baselines.")
        command = repeated(shlex.split(str(evidence.run["command"].value)), evaluation__baselines="true")
        return Gap("Baselines were switched off.", command)
    return written(
        Table(["Baseline", "Metric", "Value (interval)"], rows),
        Table(["Model minus baseline", "Metric", "Difference (interval)", "Confidence", "p-value"], differences),
    )


def by_class(evidence: Evidence) -> Sequence[Block] | Gap:
    """List precision, recall and F1 of each class."""
    evaluation = evidence.evaluation
    if not evaluation["per_class"]:
        return Gap("The report has no figures by class: the target has no classes, or the recipe does not add them.")
    rows: Rows = [
        [
            str(row["label"].value),
            plain(row["support"]),
            *(estimate(row[name], "fraction") for name in ("precision", "recall", "f1")),
        ]
        for row in evaluation["per_class"]
    ]
    what = str(evaluation["unit"].value or "rows").capitalize()
    return [Table(["Class", what, "Precision", "Recall", "F1"], rows)]


def particulars(evidence: Evidence) -> Sequence[Block] | Gap:
    """List the figures that this kind of target has beside its metrics."""
    evaluation = evidence.evaluation
    distance, residuals = evaluation["distance"], evaluation["residuals"]
    several, confused = evaluation["classes_per_row"], evaluation["confused"]
    writing, items = evaluation["writing"], evaluation["recommendations"]
    unit = "value"
    blocks = written(
        facts(
            ("Mean of prediction minus truth, in classes", estimate(distance["signed"], "score", signed=True)),
            ("Mean of prediction minus truth", estimate(residuals["mean"], unit, signed=True)),
            ("Half width of prediction intervals", measure(residuals["intervals"]["half_width"], unit)),
            ("Coverage promised", measure(residuals["intervals"]["nominal"], "fraction")),
            ("Coverage on these rows", estimate(residuals["intervals"]["observed"], "fraction")),
            ("Classes of a row, true mean", plain(several["true_mean"])),
            ("Classes of a row, predicted mean", plain(several["predicted_mean"])),
            ("Rows with a wrong class", plain(confused["wrong"])),
            ("Transcripts with errors", plain(evaluation["transcripts"]["wrong"])),
            ("Users", plain(items["users"])),
            ("Items in the catalogue", plain(items["items"])),
            ("Share of the catalogue among the first ten", measure(items["coverage"], "fraction")),
            ("Popularity of the first ten over that of the histories", estimate(items["popularity_ratio"], "score")),
            ("Rows whose item is not in the catalogue", plain(items["unseen"])),
        ),
        Table(
            ["Distance from the truth, in classes", "Rows", "Share"],
            [[f"{row['distance'].value:g}", plain(row["count"]), estimate(row["share"], "fraction")]
             for row in distance["classes"] if row["distance"]],
        ),
        Table(
            ["True value from", "to", "Rows", "Mean absolute error"],
            [[measure(row["low"], unit), measure(row["high"], unit), plain(row["rows"]), estimate(row["error"], unit)]
             for row in residuals["quarters"]],
        ),
        Table(
            ["Fault of a generated text", "Predictions examined", "With the fault", "References with the fault"],
            [[str(row["title"].value), plain(row["tried"]), estimate(row["failed"], "fraction"),
              measure(row["references_failed"], "fraction")] for row in writing["checks"]],
        ),
        Table(
            ["Ranking of the candidates of a query", "Mean over queries (interval)"],
            [[_title(metric), estimate(metric, "score")] for metric in evidence.section("ranking")["metrics"]],
        ),
    )  # fmt: skip
    return blocks or Gap("This kind of target has no figures beside its metrics.")


def calibration(evidence: Evidence) -> Sequence[Block] | Gap:
    """State whether probabilities match frequencies."""
    section = evidence.section("calibration")
    if not section:
        return gap(evidence, "calibration", "Calibration")
    by_label: Rows = [
        [str(row["label"].value), measure(row["mean_probability"], "fraction"), measure(row["share"], "fraction"),
         estimate(row["ece"], "fraction"), p_value(row["p"])]
        for row in section["classes"]
    ]  # fmt: skip
    names = {"ece": "Expected calibration error, bias-corrected", "brier": "Brier score", "log_loss": "Log loss"}
    scaled = [
        (f"{title}, at the temperature", estimate(section["scaled"][name], _CALIBRATION_UNITS[name]))
        for name, title in names.items()
    ]
    return written(
        facts(
            ("Mean confidence", measure(section["mean_confidence"], "fraction")),
            ("Accuracy", measure(section["accuracy"], "fraction")),
            ("Mean confidence minus accuracy", estimate(section["gap"], "fraction", signed=True)),
            ("Confidence of the interval of that difference", measure(section["claims_confidence"], "fraction")),
            *((title, estimate(section[name], _CALIBRATION_UNITS[name])) for name, title in names.items()),
            ("Expected calibration error, 15 bins of equal width", measure(section["ece_equal_width"], "fraction")),
            ("p-value of perfect calibration", p_value(section["p"])),
            ("Temperature stored with the model", plain(section["temperature"])),
            ("Why a temperature is stored or not", plain(section["fit"]["reason"])),
            *scaled,
        ),
        Table(["Class", "Mean probability", "Share", "Expected calibration error", "p-value"], by_label),
    )


_CALIBRATION_UNITS = {"ece": "fraction", "brier": "score", "log_loss": "score"}


def operating_points(evidence: Evidence) -> Sequence[Block] | Gap:
    """List sensitivity, specificity and predictive values at thresholds that were chosen beforehand."""
    section = evidence.section("screening")
    if not section["points"]:
        options = "--set evaluation.positive_class=CLASS"
        return gap(evidence, "screening", "Sensitivity at chosen thresholds", options)
    keys = ("sensitivity", "specificity", "positive_predictive_value", "negative_predictive_value")
    rows: Rows = [
        [str(point["name"].value), measure(point["threshold"], "score"),
         *(estimate(point[key], "fraction") for key in keys), plain(point["missed"])]
        for point in section["points"]
    ]  # fmt: skip
    columns = ["Chosen for", "Threshold", *(key.replace("_", " ").capitalize() for key in keys), "Missed"]
    return [facts(("Positive class", plain(section["positive"]))), Table(columns, rows)]


def slices(evidence: Evidence) -> Sequence[Block] | Gap:
    """List the figure of each group of rows, by length, class and column."""
    section = evidence.section("slices")
    if not section:
        return gap(evidence, "slices", "Accuracy in groups of rows")
    figure = str(section["figure"].value or "Accuracy")
    rows: Rows = [
        [f"{group['by'].value}: {group['name'].value}", plain(group["rows"]), estimate(group["accuracy"], "fraction"),
         p_value(group["p"])]
        for group in section["groups"]
    ]  # fmt: skip
    return written(
        facts(
            ("Groups that were tested", plain(section["looked_at"])),
            ("Smallest group", plain(section["smallest"])),
            ("Groups that are significantly worse", plain(section["clear"])),
        ),
        Table(["Group", "Rows", figure, "p-value, adjusted for all groups"], rows),
    )


def near_duplicates(evidence: Evidence) -> Sequence[Block] | Gap:
    """Count rows of the test that nearly repeat a training row."""
    section = evidence.section("near_duplicates")
    if not section:
        if not any(column.kind.likeness for column in evidence.task.inputs):
            return Gap("Near-duplicates are not searched for among these inputs.")
        return gap(evidence, "near_duplicates", "The number of test rows that nearly repeat a training row")
    without = section["without"]["metric"]
    rows: list[tuple[str, Cell]] = [
        ("Test rows that were compared with train", plain(section["rows"])),
        ("Rows that nearly repeat a training row", plain(section["found"])),
        ("Of these with another label in train", plain(section["other_label"])),
    ]
    if without["value"].value is not None:
        rows.append((f"{_title(without)} without them", estimate(without, unit_of(without))))
    return [facts(*rows)]


def robustness(evidence: Evidence) -> Sequence[Block] | Gap:
    """State what small changes of the inputs cost."""
    section = evidence.section("robustness")
    changes = [row for row in section["invariance"] if row["changed"].value]
    if not changes and not section["expectations"]:
        why = section["not_tested"].value
        return Gap(str(why)) if why else gap(evidence, "robustness", "Robustness", "--checks robustness")
    unit = unit_of(section)
    return written(
        Table(
            ["Change of the input", "Inputs changed", "Difference", "Predictions that changed"],
            [[str(row["title"].value), plain(row["changed"]), estimate(row["difference"], unit, signed=True),
              estimate(row["flipped"], "fraction")] for row in changes],
        ),
        Table(
            ["Change that must alter the prediction", "Tried", "Failed"],
            [[str(row["title"].value), plain(row["tried"]), estimate(row["failed"], "fraction")]
             for row in section["expectations"]],
        ),
        facts(("Not tested", plain(section["not_tested"]))),
    )  # fmt: skip


_GAP_UNITS = {"probability": "fraction", "number": "value"}


def bias(evidence: Evidence) -> Sequence[Block] | Gap:
    """State whether predictions depend on the people that a text mentions."""
    section = evidence.section("bias")
    studies = [study for study in section["studies"] if study["category"]]
    if not studies:
        why = section["not_tested"].value
        return Gap(str(why)) if why else gap(evidence, "bias", "Bias against groups of people", "--checks bias")
    unit = _GAP_UNITS.get(str(section["measure"].value), "score")
    gaps: Rows = [
        [f"{found['group'].value} against {found['versus'].value} ({study['category'].value})",
         estimate(found["score"], unit, signed=True), plain(found["clear"])]
        for study in studies
        for found in study["gaps"]
    ]  # fmt: skip
    swaps: Rows = [
        [str(study["category"].value), plain(study["texts"]), estimate(study["flipped"], "fraction")]
        for study in studies
    ]
    return written(
        Table(["Swapped", "Texts", "Predictions that changed"], swaps),
        Table(["Gap between groups", "Difference of predictions (joint interval)", "Excludes zero"], gaps),
        facts(("Not tested", plain(section["not_tested"]))),
    )


def fairness(evidence: Evidence) -> Sequence[Block] | Gap:
    """Compare groups of people that a column defines."""
    section = evidence.section("fairness")
    if not section["groups"]:
        options = "--set evaluation.group_column=COLUMN"
        return gap(evidence, "fairness", "Accuracy by groups of people", options)
    groups: Rows = [
        [str(group["name"].value), plain(group["rows"]), estimate(group["accuracy"], "fraction")]
        for group in section["groups"]
    ]
    largest: Rows = [
        [str(found["figure"].value).replace("_", " "), measure(found["value"], "fraction"), p_value(found["p"])]
        for found in section["gaps"]
    ]
    return written(
        facts(("Column", plain(section["column"]))),
        Table(["Group", "Rows", "Accuracy"], groups),
        Table(["Largest gap between groups", "Gap", "p-value"], largest),
    )


def explanations(evidence: Evidence) -> Sequence[Block] | Gap:
    """Point 2(e): how faithfully the methods explain predictions, which helps to interpret them."""
    section = evidence.section("faithfulness")
    rows: Rows = [
        [str(method["title"].value), estimate(method, unit_of(section, "score"))]
        for method in section["methods"]
        if method["value"].value is not None
    ]
    if rows:
        return written(
            facts(("Examples", plain(section["examples"])), ("Result", plain(section["headline"]))),
            Table(["Method of explanation", "Faithfulness"], rows),
        )
    if section["not_tested"]:
        return Gap(str(section["not_tested"].value))
    return gap(evidence, "faithfulness", "How faithfully predictions are explained", "--checks faithfulness")


def records(evidence: Evidence) -> Sequence[Block]:
    """List the files that hold the tests, each with its digest."""
    return [
        files("Record of the tests", evidence.records),
        Text("`sha256sum --check SHA256SUMS` in the run directory finds out whether one was changed afterwards."),
    ]


def statements(evidence: Evidence) -> Sequence[Block]:
    """Point 3: the verdict of the report, with its warnings."""
    verdict = evidence.report["verdict"]
    weak: Rows = [
        [f"{group['by'].value}: {group['name'].value}", plain(group["rows"]), estimate(group["accuracy"], "fraction")]
        for group in evidence.section("slices")["worst"]
    ]
    return written(
        facts(("Result", plain(verdict["headline"]))),
        listing("Statements", verdict["statements"]),
        listing("Warnings", verdict["warnings"]),
        Table(["Group that is significantly worse", "Rows", "Figure (joint interval)"], weak),
        Text(
            "Figures hold for rows like those of the test. Other languages, sources, times or groups of people were "
            "not measured unless a table of this document names them."
        ),
    )
