"""`load`: a model that stays in memory between predictions."""

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from toolkit.api.call import words
from toolkit.api.call.caller import Caller, called
from toolkit.api.results import Prediction
from toolkit.errors import ConfigError
from toolkit.serve import service

Input = str | Path | bytes | Sequence[str] | Mapping[str, Any]


@dataclass(frozen=True)
class WordScores:
    """The importance of each word of a text, or of each patch of a picture, for one prediction.

    Attributes:
        prediction: The class.
        score: Its probability.
        words: The words of a text, or of a pair of texts; empty for a picture.
        scores: Of each word, or of each patch row by row.
        grid: Rows and columns of a picture's patches; None for a text.
        method: The method's name.
        belief: The measured reliability of this method for this model.
        sources: Number of each word's text of a pair, from 0; empty for one text or a picture.
    """

    prediction: str
    score: float
    words: Sequence[str]
    scores: Sequence[float]
    grid: tuple[int, int] | None
    method: str
    belief: str
    sources: Sequence[int] = ()


class Model:
    """A loaded model. It may be used by one thread at a time.

    Args:
        loaded: From `toolkit.serve.service.load`.
    """

    def __init__(self, loaded: service.Service) -> None:
        self._loaded = loaded
        weakref.finalize(self, loaded.prepared.close)  # also at exit, before modules are gone

    @property
    def labels(self) -> Sequence[str]:
        """Class names; empty for a task without classes."""
        return list(self._loaded.predictor.stored.labels)

    def predict(self, inputs: Input | Sequence[Input]) -> list[Prediction]:
        """Predict one or more inputs, together.

        Args:
            inputs: A list of inputs, or one. An input is a text; for a pair of texts a tuple, or a mapping from the
                recipe's column to its value; for a picture the name of its file, or the file's bytes.

        Returns:
            A prediction for each, in their order. An input that cannot be predicted has a `.problem`.
        """
        several = inputs if isinstance(inputs, list) else [inputs]
        answers = self._loaded.answer([self._columns(item) for item in several])
        target = self._loaded.predictor.stored.recipe.target
        return [Prediction.of(item, answer, target) for item, answer in zip(several, answers, strict=True)]

    def explain(self, text: Input, method: str | None = None) -> WordScores:
        """Score the words of a text, or the patches of a picture.

        Args:
            text: One input, as `predict` takes it.
            method: Name of a method; the most faithful known one when None.

        Raises:
            ModelError: This model's predictions cannot be explained.
            ConfigError: There is no such method.
        """
        answer = self._loaded.explain(self._columns(text), method, lambda: None)
        grid = answer.get("grid")
        return WordScores(
            answer["prediction"],
            answer["score"],
            answer.get("words", ()),
            answer["scores"],
            None if grid is None else (grid[0], grid[1]),
            answer["method"]["name"],
            answer["belief"],
            answer.get("sources", ()),
        )

    def _columns(self, given: Any) -> dict[str, Any]:
        """Return an input as column → value.

        Raises:
            ConfigError: It has more values than the task has columns, or others.
        """
        columns = self._loaded.inputs
        if isinstance(given, Mapping):
            values = dict(given)
        else:
            listed = given if isinstance(given, tuple) else (given,)
            values = dict(zip([column.role for column in columns], listed, strict=False))
            values = values if len(values) == len(listed) else {}
        known = {column.role: column for column in columns}
        if not values or not values.keys() <= known.keys():
            raise ConfigError(
                f"An input of {self._loaded.name} needs the columns {', '.join(known)}.",
                "Give one value for each, as a tuple or by name.",
                id="data.column-missing",
            )
        return {role: _file(value) if known[role].kind.files is not None else value for role, value in values.items()}

    def __repr__(self) -> str:
        described = self._loaded.describe()
        return f"<Model {described.model}: {described.task} on {described.device}>"


def _file(value: Any) -> Any:
    return {"bytes": value} if isinstance(value, bytes) else str(value)


def load(
    run: Any,
    *,
    recipe: str | None = None,
    max_length: int | None = None,
    set: Mapping[str, Any] | Sequence[str] | None = None,
    trust_remote_code: bool = False,
    progress: bool | Caller = True,
) -> Model:
    """Load a model for repeated predictions.

    Args:
        run: A run, the path of its directory, an alias, a folder or a Hub id.
        recipe: The task of a model that was not trained here, or the file of its recipe.
        max_length: Tokens that an input may have.
        set: Dotted key → value for any key of the configuration, or texts KEY=VALUE.
        trust_remote_code: Run Python code that comes with the checkpoint.
        progress: Whether to show a bar.

    Raises:
        CallError: The model cannot be used.
    """
    given = dict(locals())
    values = words.merged(words.flags(given), words.assignments(set))
    with called(progress, "serve", [words.target_of(run)], {}) as caller:
        loaded = service.load(words.target_of(run), values, recipe, caller.observe)
    return Model(replace(loaded, predictor=replace(loaded.predictor, root=Path.cwd())))
