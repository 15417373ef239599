"""The checks that need further predictions: which are requested, and their requirements."""

from collections.abc import Sequence
from typing import Any

from toolkit import runs
from toolkit.commands.explain import examples, measure
from toolkit.config import RunConfig
from toolkit.errors import ConfigError, DataError
from toolkit.evaluation.check import Check, named
from toolkit.evaluation.checks import all_checks
from toolkit.evaluation.context import EvaluationContext
from toolkit.events import Observe, Stage
from toolkit.tasks.contract import Recipe


def run_checks(context: EvaluationContext, run: runs.Run | None, observe: Observe) -> dict[str, Any]:
    """Run the checks that the configuration requests, and return their sections of the report.

    Args:
        context: Rows, truth and predictions, with the stored model.
        run: The run that the model belongs to.
        observe: Called with each event.
    """
    faithfulness = Check(
        "faithfulness",
        lambda context: measure.section(context, run, observe),
        wanted=named("faithfulness"),
    )
    sections = {}
    for check in (*all_checks(), examples.CHECK, faithfulness):
        if check.wanted is None or not check.wanted(context) or not check.applies(context.recipe.task):
            continue
        stage = check.stage(context)
        if stage:
            observe(Stage(stage))
        section = check.run(context)
        if section is not None:
            sections[check.key] = section
    return sections


def check_columns(config: RunConfig, recipe: Recipe, names: Sequence[str]) -> None:
    """Refuse a missing column of groups before anything is trained or predicted.

    Args:
        config: The run's configuration.
        recipe: The task.
        names: Columns of the rows that the model is evaluated on.

    Raises:
        ConfigError: The task gives no classes to compare.
        DataError: There is no such column.
    """
    column = config.evaluation.group_column
    if column is None:
        return
    if recipe.task.stratum is None:
        raise ConfigError(
            "`evaluation.group_column` compares classes by groups, and this task has no classes.",
            "Unset it.",
            id="config.not-for-task",
        )
    if column not in names:
        raise DataError(
            f"`evaluation.group_column` names the column `{column}`, which the rows do not have.",
            f"They have {', '.join(name for name in names if not name.startswith('_'))}.",
            id="data.column-missing",
        )
