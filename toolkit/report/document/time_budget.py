"""Statements of the report on a time budget."""

from collections.abc import Mapping
from typing import Any

from toolkit.config.time_budget import written


def statements(training: Mapping[str, Any] | None) -> list[str]:
    """Describe the use of the budget, the number of steps, and the omitted rows; empty without a budget.

    Args:
        training: Facts of the training; None where the rows are not the run's own.
    """
    facts = (training or {}).get("budget")
    if training is None or not facts:
        return []
    steps, whole = training["steps"], facts["steps_without_limit"]
    if steps == 0:
        taken = "no optimizer step, so the model is not fine-tuned"
    elif steps < whole and not training.get("stopped_early"):
        taken = f"{steps:,} of {whole:,} optimizer steps"
    else:
        taken = f"all {steps:,} optimizer steps that were planned"
    sentences = [
        f"Of the time budget of {written(facts['seconds'])}, training took {training['seconds']:.0f} s: {taken}. "
        f"{facts['before_training']:.0f} s were reserved before it and {facts['kept_for_evaluation']:.0f} s after it."
    ]
    fewer = [f"{facts[f'{name}_rows']:,} {name} rows" for name in facts["fewer_rows"]]
    if fewer:
        sentences.append(f"To fit the budget, only {', '.join(fewer)} were used.")
    return sentences
