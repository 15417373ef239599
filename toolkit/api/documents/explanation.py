"""The documents of commands that look into single predictions."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.api.documents.document import Document, Verdict, place

if TYPE_CHECKING:
    from toolkit.api.analysis.explain import Explanation
    from toolkit.attention.walk import Walk


@dataclass(frozen=True)
class Link:
    """A word of a translation and a word of its source.

    Attributes:
        source: Number of the source word, from 0.
        target: Number of the translation's word, from 0.
    """

    source: int
    target: int


@dataclass(frozen=True)
class ExplainedInput:
    """The explanation of one prediction by the first method.

    Attributes:
        text: The text, or the name of the picture; of a translation the source.
        prediction: What is explained; of a translation its text.
        probability: Of the prediction; null where it has none.
        calibrated_probability: The same, calibrated; null where no calibration is stored with the model.
        word: Number of the word whose label is explained, from 1; null for other tasks.
        words: Words of the text, patches of the picture, or source words.
        sources: Number of the text of each of `words` in a pair, from 0; empty for one text, pictures and translations.
        scores: Importance of each of `words`; empty for a translation.
        target_words: Words of the translation; empty for other tasks.
        links: Word alignment of the translation; empty for other tasks.
    """

    text: str
    prediction: str
    probability: float | None
    calibrated_probability: float | None
    word: int | None
    words: list[str]
    sources: list[int]
    scores: list[float]
    target_words: list[str]
    links: list[Link]

    @classmethod
    def all_of(cls, content: Mapping[str, Any]) -> "list[ExplainedInput]":
        """Convert what explanation.json holds."""
        if content["unit"] == "link":
            return [
                cls(
                    text=text["source"],
                    prediction=text["translation"],
                    probability=None,
                    calibrated_probability=None,
                    word=None,
                    words=text["source_words"],
                    sources=[],
                    scores=[],
                    target_words=text["target_words"],
                    links=[Link(source, target) for source, target in text["links"]],
                )
                for text in content["texts"]
            ]
        method = content["methods"][0]["name"]
        return [
            cls(
                text=text["text"],
                prediction=text["prediction"],
                probability=None if content["of_numbers"] else text["probability"],
                calibrated_probability=text.get("calibrated_probability"),
                word=text["asked"]["number"] if text.get("asked") else None,
                words=text["words"],
                sources=text["sources"],
                scores=text["scores"][method],
                target_words=[],
                links=[],
            )
            for text in content["texts"]
        ]


@dataclass(frozen=True)
class Explained(Document, command="explain"):
    """Explained predictions, or the measured faithfulness of the methods.

    Attributes:
        path: Folder of the explanation; null where methods were measured alone, as are the next two.
        page: File explanation.html.
        file: File explanation.json, with all methods.
        method: Name of the method of `explained`; null for translations and where nothing was explained.
        explained: An entry for each explained prediction.
        verdict: Faithfulness of the methods.
    """

    path: str | None
    page: str | None
    file: str | None
    method: str | None
    explained: list[ExplainedInput]
    verdict: Verdict

    @classmethod
    def of(cls, explanation: "Explanation") -> "Explained":
        """Convert the result of `explain`."""
        content, verdict = explanation.content, Verdict.of(explanation.verdict)
        if "texts" not in content:
            return cls(None, None, None, None, [], verdict)
        path = explanation.path
        method = None if content["unit"] == "link" else content["methods"][0]["name"]
        files = (str(path), str(path / "explanation.html"), str(path / "explanation.json"))
        return cls(*files, method, ExplainedInput.all_of(content), verdict)


@dataclass(frozen=True)
class AttentionStep:
    """A step of the computation.

    Attributes:
        title: Its name.
        equation: How it is computed; empty where nothing is.
        shape: Of the whole tensor, over all heads.
        rows: Name of each row of `values`.
        columns: Name of each column of `values`.
        values: Numbers of the head, rows of columns.
        cut: Whether vectors continue beyond the last column.
    """

    title: str
    equation: str
    shape: str
    rows: list[str]
    columns: list[str]
    values: list[list[float]]
    cut: bool


@dataclass(frozen=True)
class Attended(Document, command="attend"):
    """The computation of attention in one head.

    Attributes:
        layer: Number of the layer, from 1.
        head: Number of the head, from 1.
        tokens: Tokens of the text.
        steps: In their order.
        difference: Largest difference from the model's own attention.
        page: HTML page; null without `--html`.
    """

    layer: int
    head: int
    tokens: list[str]
    steps: list[AttentionStep]
    difference: float
    page: str | None

    @classmethod
    def of(cls, trace: "Walk", page: Path | None) -> "Attended":
        """Convert the steps of a head."""
        steps = [
            AttentionStep(
                *(step.title, step.equation, step.shape, list(step.rows), list(step.columns)),
                values=step.values.tolist(),
                cut=step.cut,
            )
            for step in trace.steps
        ]
        return cls(trace.layer, trace.head, list(trace.tokens), steps, float(trace.difference), place(page))
