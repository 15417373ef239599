"""Warnings about the rows of an evaluation that limit what its metrics show."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from toolkit.data.tables import wording
from toolkit.data.tables.columns import AT_RANDOM, SELECTED_BY
from toolkit.evaluation.context import EvaluationContext
from toolkit.evaluation.statistics.clusters import FEW as FEW_GROUPS
from toolkit.evaluation.statistics.clusters import count, effective
from toolkit.evaluation.statistics.significance import at_most
from toolkit.tasks.contract import Recipe

FAR_BELOW_CHANCE = 0.5  # share of the accuracy by chance, below which the labels may be swapped
UNLIKELY = 0.01  # probability of so few correct predictions by chance
MANY_COPIES = 0.05  # share of the rows
FEW = 100  # rows
FEW_OF_CLASS = 15  # rows of the rarest class
MANY_LOOKS = 3  # at the same held-out rows


def warnings(context: EvaluationContext, facts: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each warning.

    Args:
        context: Rows, truth and predictions.
        facts: Of the predictions: "unread", "truncated" and "cut".
    """
    rows, truncated = context.rows.num_rows, facts["truncated"]
    messages = [facts["unread"]] if facts.get("unread") else []
    if context.recipe.task.stratum is not None:
        messages += _of_classes(context)
    copies = _copies(context.recipe, context.rows)
    if copies > MANY_COPIES * rows:
        messages.append(
            f"{copies:,} of {rows:,} test examples are duplicates of others: they make the intervals too narrow."
        )
    if truncated:
        longest = context.config.data.max_length if context.recipe.task.longest_by_tokens else None
        which = wording.cut(facts.get("cut", ()))
        messages.append(f"{truncated:,} of {rows:,} test examples were truncated {wording.bound(longest)}{which}.")
    messages += _of_groups(context)
    messages += _of_selection(context.rows)
    if rows < FEW:
        messages.append(f"Only {rows} test examples: the intervals are wide, and small differences cannot be detected.")
    return messages


def repeated_looks(count: int | None) -> list[str]:
    """Warn from the third evaluation of the same held-out rows on."""
    if count is None or count < MANY_LOOKS:
        return []
    return [
        f"The run was evaluated on these held-out rows {count:,} times. If anything was chosen by the results, the "
        "figures are too optimistic: confirm the choice on rows that were not used yet."
    ]


def _of_groups(context: EvaluationContext) -> list[str]:
    """Warn where groups are too few for intervals over them, or where the rows lack the column that names them."""
    named, clusters = context.config.data.group_column, context.clusters
    if named is None:
        return []
    if context.group_column is None:
        return [
            f"The rows have no column {named}, by which `data.group_column` names rows that belong together: intervals "
            "and tests take them as independent, and are too optimistic if they are not."
        ]
    if clusters is None or effective(clusters) >= FEW_GROUPS:
        return []
    return [
        f"The rows belong to {count(clusters)} groups by {named}, which count as {effective(clusters):.1f} of equal "
        "size: intervals and tests over so few groups are not reliable."
    ]


def _of_selection(rows: pa.Table) -> list[str]:
    """Warn of test rows that were chosen by what a model says of them: they are harder than the rows to come."""
    if SELECTED_BY not in rows.column_names:
        return []
    chosen = sum(value not in (None, "", AT_RANDOM) for value in rows[SELECTED_BY].to_pylist())
    if not chosen:
        return []
    return [
        f"{chosen:,} of {rows.num_rows:,} test examples were chosen to be labelled by a strategy ({SELECTED_BY}), not "
        "at random: the figures are not those of the rows that the model will meet. `toolkit select RUN --labelled` "
        "keeps chosen rows in train."
    ]


def _of_classes(context: EvaluationContext) -> list[str]:
    truth, labels = context.references, context.labels
    predicted = context.classes if "prediction" in context.columns else ()
    messages = []
    if len(set(truth)) == 1:
        messages.append(
            f"All {len(truth):,} test examples have the label {labels[truth[0]]}: the evaluation does not show how "
            "well the model separates classes, and accuracy equals the recall of this class."
        )
    rarest = rows_of_rare_class(truth)
    if rarest is not None:
        messages.append(
            f"The rarest class has {rarest} test example{'s' if rarest > 1 else ''}: intervals of areas under curves "
            "and of means over classes may be too narrow; in simulations with ten such examples those of 95 % held the "
            "truth in 89 to 95 % of the samples."
        )
    if far_below_chance(truth, predicted):
        messages.append(
            "Accuracy is far below chance: the labels may be swapped. `data.label_map` corrects their names."
        )
    return messages


def rows_of_rare_class(truth: Sequence[int]) -> int | None:
    """Return how many rows the rarest class has, if they are few, and fewer than half of an equal share."""
    counts = Counter(truth)
    rarest = min(counts.values(), default=0)
    return rarest if 0 < rarest < FEW_OF_CLASS and 2 * rarest * len(counts) < len(truth) else None


def far_below_chance(truth: Sequence[int], predicted: Sequence[int]) -> bool:
    """Whether fewer predictions are correct than of a model that assigns the same classes at random."""
    rows = min(len(truth), len(predicted))
    if not rows:
        return False
    counts, guesses = Counter(truth[:rows]), Counter(predicted[:rows])
    chance = sum(counts[label] * guesses[label] for label in counts) / rows**2
    right = sum(prediction == label for prediction, label in zip(predicted, truth, strict=False))
    return right < FAR_BELOW_CHANCE * chance * rows and at_most(right, rows, chance) < UNLIKELY


def _copies(recipe: Recipe, rows: pa.Table) -> int:
    """Count the rows whose inputs repeat those of an earlier row; 0 for inputs that Arrow cannot group by."""
    inputs = recipe.task.inputs_in(rows)
    if not inputs or any(pa.types.is_nested(rows[role].type) for role in inputs):
        return 0
    return int(rows.num_rows - rows.select(inputs).group_by(inputs).aggregate([]).num_rows)
