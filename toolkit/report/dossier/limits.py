"""Points 3 and 4: inputs, shortcomings that were found, and the metrics themselves."""

from collections.abc import Sequence

from toolkit.report import formats
from toolkit.report.dossier.content import Block, Evidence, Rows, Table, Text
from toolkit.report.dossier.layout import facts, written
from toolkit.report.dossier.traces import measure, plain


def inputs(evidence: Evidence) -> Sequence[Block]:
    """State what the model reads."""
    training, card = evidence.report["training"], evidence.card
    columns: Rows = [
        [column.role, column.kind.nouns[1], "yes" if column.required else "no", ", ".join(column.names)]
        for column in evidence.task.inputs
    ]
    return written(
        Table(["Input", "Kind", "Required", "Names of its column"], columns),
        facts(
            ("Most tokens of an input; longer ones are truncated", plain(card["data"]["max_length"])),
            ("Training examples that were truncated", plain(training["truncated"])),
            ("Mean tokens of a training example", plain(training["tokens_per_example"])),
        ),
    )


def shortcomings(evidence: Evidence) -> Sequence[Block]:
    """List symptoms that the report found, each with its evidence."""
    rows: Rows = [
        [str(row["id"].value), plain(row["evidence"]), plain(row["advice"])] for row in evidence.report["advice"]
    ]
    if not rows:
        return [Text("The report found no symptom of a problem for which it has advice.")]
    return [Table(["Symptom", "Evidence", "Advice"], rows)]


def metric_definitions(evidence: Evidence) -> Sequence[Block]:
    """State unit, direction and interval of each metric, and how many claims share one error."""
    metrics: Rows = [
        [
            formats.metric_title({"title": "", "name": "", **metric.value}),
            plain(metric["name"]),
            plain(metric["unit"]),
            "lower is better" if metric["better"].value == "lower" else "higher is better",
            plain(metric["signature"]),
        ]
        for metric in evidence.evaluation["metrics"]
    ]
    claims = evidence.report["claims"]
    kinds: Rows = [
        [str(kind["kind"].value), plain(kind["tested"]), measure(kind["error"], "fraction")] for kind in claims["kinds"]
    ]
    return written(
        Table(["Metric", "Name", "Unit", "Direction", "Computed by"], metrics),
        Text(
            "Intervals of metrics are by the bootstrap over rows, or over groups where rows belong together; those of "
            "shares are Wilson's. Sentences that claim a difference share one probability of error, which is divided "
            "between the kinds of claims and within each."
        ),
        facts(
            ("Hypotheses tested for the claims of the report", plain(claims["tested"])),
            ("Probability of any false claim, at most", measure(claims["error"], "fraction")),
        ),
        Table(["Kind of claim", "Tested", "Its part of the error"], kinds),
    )
