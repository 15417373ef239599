"""The checks that need further predictions: which are requested, and their requirements."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from toolkit import runs
from toolkit.commands.explain import examples, measure
from toolkit.commands.explain.inputs import aligns
from toolkit.config import RunConfig
from toolkit.errors import ConfigError, DataError
from toolkit.evaluation.check import Check, named
from toolkit.evaluation.checks import all_checks
from toolkit.evaluation.context import EvaluationContext
from toolkit.events import Note, Observe, Stage
from toolkit.report.document.command_lines import repeated
from toolkit.tasks.contract import Recipe

# Checks that a report offers where they were not run; the sections on explanations name the others.
_OFFERED = ("robustness", "bias", "cost")


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
        applies=lambda task: task.explained_by is not None or aligns(context),
        wanted=named("faithfulness"),
    )
    sections = {}
    for check in (*all_checks(), examples.CHECK, faithfulness):
        if check.wanted is None or not check.wanted(context):
            continue
        stage = check.stage(context)
        if not check.applies(context.task):
            observe(Note(f"The check {check.key} does not apply to this task; the report says why."))
        elif stage:
            observe(Stage(stage))
        section = check.run(context)
        if section is not None:
            sections[check.key] = section
    return sections


def not_checked(context: EvaluationContext, sections: Mapping[str, Any], command: str) -> dict[str, Any]:
    """Return the checks that apply and were not run, with the command that runs them.

    Args:
        context: Rows, truth and predictions.
        sections: Of the checks that were run, which the command runs again.
        command: Command line that evaluates the model on these rows.
    """
    config = context.config
    names = [c.key for c in all_checks() if c.key in _OFFERED and c.key not in sections and c.applies(context.task)]
    again = [name for name in config.evaluation.checks if name in sections]
    recipe = {"recipe": config.recipe} if config.recipe.endswith(".py") else {}
    checks = ",".join([*again, *names])
    words = [word for word in shlex.split(command) if word != "--fresh"]  # stored predictions serve
    return {"checks": names, "command": repeated(words, **recipe, checks=checks)} if names else {}


def check_columns(config: RunConfig, recipe: Recipe, names: Sequence[str]) -> None:
    """Refuse a missing column of groups or queries before anything is trained or predicted.

    Args:
        config: The run's configuration.
        recipe: The task.
        names: Columns of the rows that the model is evaluated on.

    Raises:
        ConfigError: The task gives nothing to compare or to rank by.
        DataError: There is no such column.
    """
    task, settings = recipe.task, config.evaluation
    predicted = task.target.kind.title or "something else"
    for key, column, fits, use in (
        (
            "group_column",
            settings.group_column,
            task.stratum is not None,
            "compares how often one class for each row is right in each group",
        ),
        ("query_column", settings.query_column, task.ranks, "ranks by a class or a number"),
    ):
        if column is None:
            continue
        if not fits:
            raise ConfigError(
                f"`evaluation.{key}` {use}, and this task predicts {predicted}.", "Unset it.", id="config.not-for-task"
            )
        if column not in names:
            raise DataError(
                f"`evaluation.{key}` names the column `{column}`, which the rows do not have.",
                f"They have {', '.join(name for name in names if not name.startswith('_'))}.",
                id="data.column-missing",
            )
