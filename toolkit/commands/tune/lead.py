"""The lead of the best trial of a search, and advice where the lead may be chance."""

import math
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from toolkit.report.document.advice import Advice
from toolkit.report.document.command_lines import repeated

MOST_VALIDATION = 0.3  # share of the rows
CHEAPER = 0.9  # share of the winner's time, below which another trial is called cheaper


@dataclass(frozen=True)
class Trial:
    """The outcome of one trial.

    Attributes:
        number: From 0, in the order of their starts.
        state: "complete", "pruned", "failed" or "running".
        value: Best validation figure, or None.
        values: Dotted key → value that was tried.
        error: Why it failed, in one line.
        seconds: How long its training took, where that is known.
    """

    number: int
    state: str
    value: float | None
    values: dict[str, Any]
    error: str | None
    seconds: float | None = None


@dataclass(frozen=True)
class Lead:
    """How far the best trial is ahead of the next.

    Attributes:
        best: The best trial.
        second: The next one.
        value: Difference of the validation figure, zero or more.
        standard_error: Of the best trial's figure; zero where it is not a share of rows.
        rows: Validation rows; zero where they are not counted.
        near: Complete trials that are worse by less than the standard error, or by one row; without the best.
    """

    best: Trial
    second: Trial
    value: float
    standard_error: float
    rows: int
    near: Sequence[Trial]

    @property
    def rows_ahead(self) -> float | None:
        """The lead in validation rows; None where the figure is no share of them."""
        return self.value * self.rows if self.standard_error else None

    def sentence(self, metric: str) -> str:
        """Describe the lead of the best trial."""
        best, second = self.best.number + 1, self.second.number + 1
        if not self.value:
            return f"Trials {best} and {second} have the same {metric}; the one that started first is selected."
        ahead = f"Trial {best} is better than trial {second} by {self.value:.4f} {metric}"
        if self.rows_ahead is None:
            return f"{ahead}."
        return f"{ahead}, which is {self.rows_ahead:.3g} of {self.rows:,} validation rows."


def lead(
    trials: Sequence[Trial], best: Trial, tolerance: Callable[[float], float], rows: int, higher: bool
) -> Lead | None:
    """Compare the best trial with the others; None where it is the only complete one.

    Args:
        trials: All trials.
        best: The best one.
        tolerance: Figure → its standard error.
        rows: Validation rows.
        higher: Whether a larger figure is the better one.
    """
    complete = [trial for trial in trials if trial.state == "complete" and trial.value is not None]
    others = [trial for trial in complete if trial.number != best.number]
    if not others or best.value is None:
        return None
    behind = {other.number: abs(best.value - (other.value or 0.0)) for other in others}
    second = min(others, key=lambda other: (behind[other.number], other.number))
    error = tolerance(best.value)
    if rows and not error and higher and best.value == 1 and tolerance(0.5):
        error = 1 / rows  # every row is correct: the formula gives no error
    reach = max(error, 1.5 / rows if error else 0.0)  # a lead of one row is none, whatever the rounding
    near = [other for other in others if behind[other.number] < reach]
    return Lead(best, second, behind[second.number], error, rows, near)


def advice(
    lead: Lead, command: str, validation_fraction: float | None, preset_of: Callable[[Trial], str]
) -> Iterator[Advice]:
    """Return advice where the lead may be chance.

    Args:
        lead: From `lead`.
        command: The command line of the search.
        validation_fraction: Share of the rows that validation was carved from; None where it came with the data.
        preset_of: Trial → the command that trains with its values.
    """
    if not lead.near:
        return
    evidence = (
        f"{len(lead.near) + 1} trials are within one standard error ({lead.standard_error:.4f}) of each other on "
        f"{lead.rows:,} validation rows: the difference between them may be chance."
    )
    times = [trial for trial in lead.near if trial.seconds is not None]
    cheapest = min(times, key=lambda trial: trial.seconds or math.inf, default=None)
    if cheapest is not None and lead.best.seconds and (cheapest.seconds or 0) < CHEAPER * lead.best.seconds:
        yield {
            "id": "tune.cheaper-trial",
            "evidence": evidence,
            "advice": f"Trial {cheapest.number + 1} is equally good and trains in {cheapest.seconds:.0f} s, "
            f"trial {lead.best.number + 1} in {lead.best.seconds:.0f} s: use the cheaper one.",
            "command": preset_of(cheapest),
        }
    again = None
    larger = min(MOST_VALIDATION, 2 * validation_fraction) if validation_fraction else None
    if larger and larger > (validation_fraction or 0):
        again = repeated(shlex.split(command), data__validation_fraction=f"{larger:g}")
    yield {
        "id": "tune.more-validation-rows",
        "evidence": evidence,
        "advice": "Search again with more validation rows to distinguish them.",
        "command": again,
    }


def validation_part(facts: Mapping[str, Any]) -> tuple[int, bool]:
    """Return the number of validation rows, and whether they came with the data.

    Args:
        facts: About the data of a run.
    """
    part: Mapping[str, Any] = next((part for part in facts.get("splits", ()) if part["name"] == "validation"), {})
    return int(part.get("rows", 0)), bool(part.get("given", True))
