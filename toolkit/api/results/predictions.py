"""Predictions of inputs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from toolkit.evaluation.scores import joined
from toolkit.tasks.task import Target

_SCORE = "score: "  # prefix of the name of a class's probability
_OTHER = ("input", "explanation", "problem")  # beside the columns of the target


@dataclass(frozen=True)
class Prediction:
    """The prediction of one input.

    Attributes:
        input: The input, as it was given.
        prediction: The class, the text that was written, a class for each word, or what else the target predicts; None
            where there is a problem.
        score: Probability of the class; None where no class is chosen.
        calibrated_score: The same with the temperature that was fitted on validation rows.
        scores: Probability of each class, by name; empty where not requested.
        problem: Why the input cannot be predicted, or None.
        columns: All of them as the target writes them, by name, "prediction" first.
        line: One line of text, as `toolkit predict` prints it.
    """

    input: Any
    prediction: Any
    score: float | None
    calibrated_score: float | None
    scores: Mapping[str, float]
    problem: str | None
    columns: Mapping[str, Any] = field(repr=False)
    line: str = field(repr=False)

    @property
    def label(self) -> Any:
        """The prediction, under its name for tasks with classes."""
        return self.prediction

    @classmethod
    def of(cls, given: Any, answer: Mapping[str, Any], target: Target) -> "Prediction":
        """Convert a predicted row: "problem", and the columns of the target.

        Args:
            given: The input.
            answer: The row.
            target: Of the recipe.
        """
        columns = {name: value for name, value in answer.items() if name not in _OTHER}
        problem = answer.get("problem")
        shown = joined(map(str, given)) if isinstance(given, tuple) else given
        line = f"(no prediction: {problem})  {shown}" if problem is not None else target.line(shown, columns)
        scores = {name.removeprefix(_SCORE): value for name, value in answer.items() if name.startswith(_SCORE)}
        return cls(
            given,
            answer["prediction"],
            answer.get("score"),
            answer.get("calibrated_score"),
            scores,
            problem,
            columns,
            line,
        )
