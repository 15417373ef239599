"""Predict rows as they arrive: those of a file (`predict`) or of a request (`serve`)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from toolkit.commands.explain.service import Explainer
from toolkit.data.sources.row_formats import Row
from toolkit.data.tables import columns
from toolkit.errors import DataError, RecipeError
from toolkit.evaluation.statistics.temperature import at_temperature
from toolkit.events import Observe
from toolkit.inference.encode import encode_rows
from toolkit.inference.model import StoredModel
from toolkit.inference.predict_features import predict_features
from toolkit.tasks.spans import WORD_PROBABILITIES
from toolkit.tasks.task import NO_LIMITS, AnswerFormat, Column, Limits, Reading, Values


@dataclass(frozen=True)
class Predictor:
    """Predicts rows with a saved model.

    Attributes:
        stored: The model.
        inputs: The input columns of its recipe.
        roles: Role → column of the rows.
        temperature: For calibrated scores; None where none was fitted.
        all_scores: Whether to give the score of every class.
        root: Folder of the files that rows name; None where rows may name none.
        explainer: Explains each prediction; None where not requested.
        limits: By which answers keep a promise.
        cut: Called with the number of truncated rows, and for pairs of texts with that of each text.
    """

    stored: StoredModel
    inputs: Sequence[Column]
    roles: Mapping[str, str]
    temperature: float | None
    all_scores: bool
    root: Path | None = None
    explainer: Explainer | None = None
    limits: Limits = NO_LIMITS
    cut: Callable[[int, Sequence[int]], None] = lambda _rows, _texts: None

    def answer(self, rows: Sequence[Row], observe: Observe | None = None) -> list[dict[str, Any]]:
        """Return the rows with their predictions; invalid rows have an empty one.

        Args:
            rows: Column → value, and what is wrong with it, if anything is.
            observe: Called with the progress within these rows.
        """
        read = self._read(rows)
        problems = [row.problem or self._problem(read, number) for number, row in enumerate(rows)]
        good = [number for number, problem in enumerate(problems) if problem is None]
        taken = {name: values.column.take(pa.array(good, pa.int64())) for name, values in read.items()}
        located = next((values.located for values in read.values() if values.located), [None] * len(rows))
        places = [located[number] for number in good]
        answers: list[dict[str, Any]] = [{} for _ in rows]
        for number, answer in zip(good, self._predicted(taken, places, observe), strict=True):
            answers[number] = answer
        self._check_columns(next((answers[number] for number in good), {}))
        if self.explainer is not None:
            for place, number in enumerate(good):
                answers[number]["explanation"] = self._explained(self.explainer, taken, place)
        shown = (  # a value inside an object stays there
            {name: values.shown[number] for name, values in read.items() if name in row.values}
            for number, row in enumerate(rows)
        )
        return [
            {**row.values, **(there if row.problem is None else {}), **self._empty(), **answer, "problem": problem}
            for row, there, answer, problem in zip(rows, shown, answers, problems, strict=True)
        ]

    def table(self, rows: Sequence[Row]) -> tuple[pa.Table, list[int], list[dict[str, Any]]]:
        """Return the rows that can be predicted, as the recipe reads them, their positions and what is shown."""
        read = self._read(rows)
        good = [number for number, row in enumerate(rows) if not (row.problem or self._problem(read, number))]
        taken = {name: values.column.take(pa.array(good, pa.int64())) for name, values in read.items()}
        shown = [{name: values.shown[number] for name, values in read.items()} for number in good]
        return columns.take_roles(pa.table(taken), self.roles, self.stored.recipe.columns), good, shown

    def _read(self, rows: Sequence[Row]) -> dict[str, Values]:
        """Convert the values of each input column: column of the rows → values."""
        data, learned = self.stored.config.data, self.stored.learned
        values_of = {}
        for column in self.inputs:
            if column.role in self.roles:
                name = self.roles[column.role]
                values = [row.value(name) if row.problem is None else None for row in rows]
                reading = Reading(self.root, data, learned.get(column.role, {}))
                values_of[name] = column.kind.read(values, name, reading)
        return values_of

    def _problem(self, read: Mapping[str, Values], number: int) -> str | None:
        """Return why a row cannot be predicted; None when it can. An optional input may be empty."""
        for column in self.inputs:
            name = self.roles.get(column.role)
            if name is None:
                continue
            values = read[name]
            missing = values.shown[number] is None or not str(values.shown[number]).strip()
            if values.problems[number] is not None and (column.required or not missing):
                return values.problems[number]
        return None

    def _explained(self, explainer: Explainer, taken: Mapping[str, Any], place: int) -> dict[str, Any] | None:
        """Score the words of a row's texts, or the patches of its picture; None where there is nothing to score."""
        given = {c.role: taken[self.roles[c.role]][place].as_py() for c in self.inputs if c.role in self.roles}
        given = {role: value for role, value in given.items() if value is not None}
        try:
            explanation = explainer.explain(given, None)
        except DataError:  # punctuation without words
            return None
        kept: dict[str, Any] = {
            key: explanation[key] for key in ("words", "sources", "grid", "scores") if key in explanation
        }
        return {"method": explanation["method"]["name"], **kept}

    def _predicted(
        self, taken: Mapping[str, Any], located: Sequence[Any], observe: Observe | None
    ) -> Iterator[dict[str, Any]]:
        if not located:
            return
        table = columns.take_roles(pa.table(dict(taken)), self.roles, self.stored.recipe.columns)
        predictions = self._model_predictions(table, observe)
        probabilities = predictions.get("probabilities", predictions.get(WORD_PROBABILITIES))
        answer, how = self.stored.recipe.target.answer, self.how
        for number, (prediction, places) in enumerate(zip(predictions["prediction"], located, strict=True)):
            own = None if probabilities is None else probabilities[number]
            calibrated = at_temperature(own, self.temperature) if own is not None and self.temperature else None
            yield answer(prediction, own, calibrated, replace(how, located=places))

    @property
    def how(self) -> AnswerFormat:
        """How predictions are written next to rows."""
        calibration = self.stored.calibration
        return AnswerFormat(
            self.stored.labels,
            self.temperature is not None,
            self.all_scores,
            calibration=calibration,
            limits=self.limits,
        )

    def _empty(self) -> dict[str, Any]:
        """Return the columns of a row without a prediction."""
        explained = {"explanation": None} if self.explainer is not None else {}
        return {**self.stored.recipe.target.empty(self.how), **explained}

    def _check_columns(self, answer: Mapping[str, Any]) -> None:
        """Refuse a target whose columns of a row without a prediction lack one of a row with one.

        Raises:
            RecipeError: With the column.
        """
        known = self._empty()
        lacking = [name for name in answer if name not in known and name != "explanation"]
        if lacking:
            raise RecipeError(
                f"The target of {self.stored.config.recipe} writes the column `{lacking[0]}`, which its `empty` lacks.",
                "Let `empty` return the columns of `answer`, each with None.",
                id="recipe.answer-columns",
            )

    def _model_predictions(self, table: pa.Table, observe: Observe | None) -> Mapping[str, Sequence[Any]]:
        """Predict; generated texts keep placeholders and markup where the recipe's options say so."""
        loaded, config = self.stored.loaded, self.stored.config

        def predict(rows: pa.Table, observe: Observe | None = None) -> Mapping[str, Sequence[Any]]:
            features = encode_rows(rows, loaded)
            self.cut(features.truncated, features.cut)
            return predict_features(loaded, features, observe).columns

        predictions = predict(table, observe)
        role = self.inputs[0].role

        def predict_texts(values: list[Any]) -> list[Any]:
            return list(predict(pa.table({role: pa.array(values, self.inputs[0].kind.type)}))["prediction"])

        finished = loaded.recipe.target.finish(
            table[role].to_pylist(), predictions["prediction"], predict_texts, config.options
        )
        return {**predictions, "prediction": finished}
