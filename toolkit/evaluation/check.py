"""A check of an evaluation: when it applies, what it computes, and the section of the report that it fills."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from toolkit.evaluation.context import EvaluationContext
from toolkit.tasks.task import Task


@dataclass(frozen=True)
class Check:
    """A check.

    Attributes:
        key: Of its section in the report.
        run: Context → the section; None where there is nothing to report.
        applies: Whether it applies to a task. One that `evaluation.checks` names and that does not is run too, and its
            section is only {"not_tested": why}.
        wanted: Whether it runs, by the configuration; checks that need no further predictions always run.
        stage: (context) → text of the progress line; "" for a fast check.
    """

    key: str
    run: Callable[[EvaluationContext], dict[str, Any] | None]
    applies: Callable[[Task], bool] = lambda _task: True
    wanted: Callable[[EvaluationContext], bool] | None = None
    stage: Callable[[EvaluationContext], str] = lambda _context: ""


def named(name: str) -> Callable[[EvaluationContext], bool]:
    """Return whether `evaluation.checks` names a check."""
    return lambda context: name in context.config.evaluation.checks
