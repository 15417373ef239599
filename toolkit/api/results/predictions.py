"""Predictions of inputs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_SCORE = "score: "  # prefix of the name of a class's probability


@dataclass(frozen=True)
class Prediction:
    """The prediction of one input.

    Attributes:
        input: The input, as it was given.
        prediction: The class, the text that was written, or a class for each word; None where there is a problem.
        score: Probability of the class; None where no class is chosen.
        calibrated_score: The same with the temperature that was fitted on validation rows.
        scores: Probability of each class, by name; empty where not requested.
        problem: Why the input cannot be predicted, or None.
    """

    input: Any
    prediction: Any
    score: float | None
    calibrated_score: float | None
    scores: Mapping[str, float]
    problem: str | None

    @property
    def label(self) -> Any:
        """The prediction, under its name for tasks with classes."""
        return self.prediction

    @classmethod
    def of(cls, given: Any, answer: Mapping[str, Any]) -> "Prediction":
        """Convert the columns of a predicted row: "prediction", "score", "score: NAME" and "problem"."""
        scores = {name.removeprefix(_SCORE): value for name, value in answer.items() if name.startswith(_SCORE)}
        return cls(
            given,
            answer["prediction"],
            answer.get("score"),
            answer.get("calibrated_score"),
            scores,
            answer.get("problem"),
        )
