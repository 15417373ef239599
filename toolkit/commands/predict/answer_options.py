"""What `predict` answers, what it promises about that, and the limits on probabilities that keep the promise."""

from dataclasses import dataclass
from typing import Any

from toolkit.errors import ConfigError, ModelError
from toolkit.evaluation.statistics.promises import selective
from toolkit.inference.model import StoredModel
from toolkit.runs.trust import damage
from toolkit.tasks.task import NO_LIMITS, AnswerFormat, Limits


@dataclass(frozen=True)
class AnswerOptions:
    """What is answered, and what is promised of new rows that are like the validation rows.

    Attributes:
        all_scores: Whether the score of every class is given.
        max_error: Share of the answers that may be wrong; rows are left unanswered for it. None for no such promise.
        sets: Share of the rows whose set of classes holds the true one; None for no sets.
        by_class: Whether the sets hold it as often for the rows of each class.
    """

    all_scores: bool = False
    max_error: float | None = None
    sets: float | None = None
    by_class: bool = False

    def check(self) -> None:
        """Refuse shares that are none.

        Raises:
            ConfigError: With the option.
        """
        for option, value, example in (
            ("--max-error", self.max_error, "0.05 for one wrong answer in twenty"),
            ("--sets", self.sets, "0.9 for sets that hold the true class in nine of ten rows"),
        ):
            if value is not None and not 0 < value < 1:
                raise ConfigError(
                    f"{option} is {value:g}, but a share is between 0 and 1.",
                    f"Give a share, such as {example}.",
                    id="config.out-of-range",
                )
        if self.by_class and self.sets is None:
            raise ConfigError(
                "--sets-by-class says how sets are made.", "Give --sets 0.9 as well.", id="config.conflict"
            )

    def limits(self, stored: StoredModel) -> Limits:
        """Return the limits that keep the promises for a model.

        Raises:
            ConfigError: The task has no single class for each row, or a promise cannot be kept.
            ModelError: The model has no validation rows that it could rest on.
        """
        self.check()
        if self.max_error is None and self.sets is None:
            return NO_LIMITS
        target = stored.recipe.task.target.kind
        tried = AnswerFormat((), calibrated=False, all_scores=False, limits=Limits(0.0, 0.0, ()))
        if target.ordered or not {"abstained", "set"} <= target.empty(tried).keys():
            raise ConfigError(
                f"--max-error and --sets are for one class for each row, and this model predicts {target.title}.",
                "Leave them out.",
                id="config.not-for-task",
            )
        rows: Any = stored.calibration.get("validation_rows")
        if not rows:
            raise ModelError(
                "This model keeps no scores of validation rows, on which a promise could rest.",
                "Train it with `toolkit finetune`, with validation rows.",
                id="model.no-promise",
            )
        with damage(stored.folder):
            least = None if self.max_error is None else selective.threshold(rows, self.max_error)
            classes = len(stored.labels)
            sets = None if self.sets is None else selective.set_limits(rows, self.sets, classes, by_class=self.by_class)
            number = len(rows["score"])
        if self.max_error is not None and least is None:
            raise ConfigError(
                f"No score promises at most {100 * self.max_error:g} % of wrong answers: {number:,} validation rows "
                "are too few for it, or the most confident predictions are wrong more often.",
                "Allow more with --max-error, or train with more validation rows.",
                id="model.no-promise",
            )
        if self.sets is not None and sets is None:
            raise ConfigError(
                f"{number:,} validation rows are too few for sets that hold {100 * self.sets:g} % of the true classes.",
                "Give a lower share with --sets, or train with more validation rows.",
                id="model.no-promise",
            )
        return Limits(least, self.max_error, sets)


USUAL = AnswerOptions()
