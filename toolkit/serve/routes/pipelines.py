"""Answers in the form of the pipelines of transformers, which clients of Inference Endpoints expect, by Hub task."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from toolkit.serve.messages import Parameters, Problem, Ranked

Answer = Mapping[str, Any]  # a `Prediction` or a `Problem` as JSON


class Scored(BaseModel):
    """A class with its probability, or a number."""

    label: str
    score: float


class Entity(BaseModel):
    """An entity in a text."""

    entity_group: str
    score: float | None
    word: str
    start: int
    end: int


class Translation(BaseModel):
    """A translated text."""

    translation_text: str


class Transcript(BaseModel):
    """The words of a recording."""

    text: str


@dataclass(frozen=True)
class Pipeline:
    """The form of a task's answers.

    Attributes:
        one: Type of the answer to one input.
        shape: (`Prediction`, parameters) → what the pipeline returns for one input.
        parameters: What a client may choose.
        listed: Whether the answer to a single input is a list with it, too.
    """

    one: Any
    shape: Callable[[Answer, Parameters], Any]
    parameters: type[Parameters] = Parameters
    listed: bool = False

    @property
    def response(self) -> Any:
        """The type of a response."""
        several = list[self.one | Problem]  # type: ignore[name-defined]
        return several if self.listed else several | self.one

    def answer(self, answers: Sequence[Answer], parameters: Parameters, *, several: bool) -> Any:
        """Return the answers to the inputs of a request; an input without a prediction has its problem."""
        shaped = [answer if "problem" in answer else self.shape(answer, parameters) for answer in answers]
        return shaped if several or self.listed else shaped[0]


def first(scores: Mapping[str, float], parameters: Parameters) -> list[tuple[str, float]]:
    """Return the classes with their scores, the most probable first, as many as are wanted."""
    ranked = sorted(scores.items(), key=lambda pair: -pair[1])
    return ranked[: getattr(parameters, "top_k", None)]


def _classes(answer: Answer, parameters: Parameters) -> list[dict[str, Any]]:
    scores = answer.get("scores")
    if scores is None:  # a number; transformers gives the one output of such a model this name
        return [{"label": "LABEL_0", "score": answer["prediction"]}]
    return [{"label": label, "score": score} for label, score in first(scores, parameters)]


def _entities(answer: Answer, _parameters: Parameters) -> list[dict[str, Any]]:
    return [
        {
            "entity_group": entity["type"],
            "score": entity.get("score"),
            "word": entity["text"],
            "start": entity["start"],
            "end": entity["end"],
        }
        for entity in answer.get("columns", {}).get("entities") or ()
    ]


PIPELINES: Mapping[str, Pipeline] = {
    "text-classification": Pipeline(list[Scored], _classes, Ranked, listed=True),
    "image-classification": Pipeline(list[Scored], _classes, Ranked),
    "audio-classification": Pipeline(list[Scored], _classes, Ranked),
    "token-classification": Pipeline(list[Entity], _entities),
    "translation": Pipeline(Translation, lambda given, _: {"translation_text": given["prediction"]}, listed=True),
    "automatic-speech-recognition": Pipeline(Transcript, lambda given, _: {"text": given["prediction"]}),
}
