"""A report with the values that symptoms are derived from."""

import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from toolkit.report.document.command_lines import repeated

LOSS_ROSE = 1.1  # times its lowest, by which validation loss rises when a model overfits


@dataclass(frozen=True)
class Symptoms:
    """A report, with the values that symptoms are derived from.

    Attributes:
        report: As `build` assembled it.
    """

    report: Mapping[str, Any]

    @cached_property
    def training(self) -> Mapping[str, Any]:
        """Facts of the training; empty where the rows are not the run's own."""
        return self.report.get("training") or {}

    @cached_property
    def settings(self) -> Mapping[str, Any]:
        """The training section of the configuration."""
        settings: Mapping[str, Any] = (self.report.get("config") or {}).get("training") or {}
        return settings

    @cached_property
    def points(self) -> list[Mapping[str, Any]]:
        """Validations that hold both losses, after the first step."""
        every = self.training.get("evaluations") or []
        return [p for p in every if p.get("step") and None not in (p.get("loss"), p.get("train_loss"))]

    @cached_property
    def start(self) -> float | None:
        """The validation loss before the first step, of the linear probe; None where it was not computed."""
        every = self.training.get("evaluations") or []
        return next((p["loss"] for p in every if p.get("step") == 0 and p.get("loss") is not None), None)

    @cached_property
    def collapsed(self) -> bool:
        """Whether training made the model worse than it began, on its training rows as well."""
        if self.start is None or not self.points:
            return False
        return bool(min(self.points[-1]["train_loss"], self.points[-1]["loss"]) > LOSS_ROSE * self.start)

    @cached_property
    def learned(self) -> Mapping[str, float]:
        """Training rows of each class; empty for a task without classes."""
        splits = (self.report.get("data") or {}).get("splits") or []
        return next((split.get("classes") or {} for split in splits if split["name"] == "train"), {})

    @cached_property
    def several(self) -> bool:
        """Whether a row has any number of classes."""
        return bool(self.report["evaluation"].get("classes_per_row"))

    @cached_property
    def guessing(self) -> tuple[float, str] | None:
        """The validation loss without any knowledge of the inputs, and what predicts so; None where not known.

        In nats: of uniform guessing among classes, or of the shares of the training rows where a row has several.
        Of numbers: half the squared error of their mean, in standard units.
        """
        evaluation = self.report["evaluation"]
        if evaluation.get("residuals"):
            return 0.5, "the mean of the training rows gives"
        if self.several:
            rows = self.rows("train")
            weighted = ((self.report.get("config") or {}).get("loss") or {}).get("class_weights")
            if not rows or not self.learned or weighted:  # weights change the probabilities on purpose
                return None
            shares = [count / rows for count in self.learned.values()]
            return sum(map(_entropy, shares)) / len(shares), "the shares of the training rows give"
        classes = len(evaluation.get("labels") or ())
        return (math.log(classes), "random guessing gives") if classes > 1 else None

    @cached_property
    def selecting(self) -> str:
        """The metric that selects the weights."""
        return str(self.settings.get("best_metric") or "loss")

    @cached_property
    def figure(self) -> Mapping[str, Any]:
        """That metric on the rows of the report; empty where it is not among them."""
        metrics = self.report["evaluation"].get("metrics") or ()
        return next((metric for metric in metrics if metric["name"] == self.selecting), {})

    @cached_property
    def falls(self) -> bool:
        """Whether lower values of that metric are better."""
        return self.selecting == "loss" or self.figure.get("better") == "lower"

    def perfect(self, point: Mapping[str, Any]) -> bool:
        """Whether that metric cannot be better than at a validation."""
        return bool(point.get(self.selecting) == (0 if self.falls else 1))

    def fall(self, best: Mapping[str, Any], last: Mapping[str, Any]) -> float:
        """By how much that metric became worse between two validations."""
        change = float(last[self.selecting] - best[self.selecting])
        return change if self.falls else -change

    def chance(self, value: float) -> float:
        """Two standard errors of that metric on the validation rows."""
        rows, figure = self.rows("validation"), self.figure
        if figure.get("unit", "fraction") != "fraction" and None not in (figure.get("low"), figure.get("high")):
            half = (figure["high"] - figure["low"]) / 2  # of its interval on the rows of the report
            return float(half * math.sqrt(self.report["evaluation"]["rows"] / rows))
        return 2 * math.sqrt(max(0.0, value * (1 - value)) / rows) if 0 <= value <= 1 else 0.0

    @cached_property
    def ended_by_budget(self) -> bool:
        """Whether the time limit alone reduced the number of steps."""
        budget, steps = self.training.get("budget") or {}, self.training.get("steps")
        whole = budget.get("steps_without_limit")
        return bool(steps is not None and whole and steps < whole and not self.training.get("stopped_early"))

    def rows(self, part: str) -> int:
        """Return the rows of a part of the data."""
        splits = (self.report.get("data") or {}).get("splits") or []
        return int(next((split["rows"] for split in splits if split["name"] == part), 0))

    def again(self, **options: object) -> str | None:
        """Return the command of the run with other options; None where the report has no run."""
        return repeated(self.command, **options) if self.command else None

    @cached_property
    def command(self) -> list[str]:
        """The words of the command that made the run; empty where the report has no run."""
        command = shlex.split(self.report.get("command") or "")
        return command if command[:2] == ["toolkit", "finetune"] else []


def _entropy(share: float) -> float:
    """Return the entropy of an event, in nats."""
    return -sum(p * math.log(p) for p in (share, 1 - share) if p > 0)
