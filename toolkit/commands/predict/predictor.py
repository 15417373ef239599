"""Ask a loaded model about rows as they come: what `predict` does with a file, and `serve` with a request."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from toolkit.commands.evaluate import judge
from toolkit.commands.explain.service import Explainer
from toolkit.data.bitext.markup import keep_markup
from toolkit.data.formats.cells import BrokenListError
from toolkit.data.images import image_columns
from toolkit.data.sources.row_stream import Row
from toolkit.data.tables import columns
from toolkit.errors import DataError
from toolkit.evaluation.checks.calibration import scaled
from toolkit.events import Observe
from toolkit.recipes import Column


@dataclass(frozen=True)
class Asker:
    """A model that can be asked about rows.

    Attributes:
        stored: The model.
        inputs: The columns that its recipe asks about.
        roles: Role → column of the rows.
        temperature: For calibrated scores; None where none was fitted.
        all_scores: Whether to give the score of every class.
        root: Where files that rows name are; None where rows may name none.
        explainer: Says what each answer rests on; None where nobody asked.
        cut: Told how many of some rows were cut, because they have more tokens than are read.
    """

    stored: judge.StoredModel
    inputs: Sequence[Column]
    roles: Mapping[str, str]
    temperature: float | None
    all_scores: bool
    root: Path | None = None
    explainer: Explainer | None = None
    cut: Callable[[int], None] = lambda _rows: None

    def answer(self, rows: Sequence[Row], observe: Observe | None = None) -> list[dict[str, Any]]:
        """Return the rows with what the model says of them; a bad one with an empty prediction.

        Args:
            rows: Column → value, and what is wrong with it, if anything is.
            observe: Told how far it is with these rows.
        """
        required = {self.roles[column.role]: column.kind for column in self.inputs if column.required}
        rows = [row if row.problem else Row(row.values, _problem(row.values, required)) for row in rows]
        looked, rows = self._looked_at(rows)
        good = [number for number, row in enumerate(rows) if row.problem is None]
        said: list[dict[str, Any]] = [{} for _ in rows]
        looked = {name: column.take(pa.array(good, pa.int64())) for name, column in looked.items()}
        for number, answer in zip(good, self._ask([rows[number] for number in good], looked, observe), strict=True):
            said[number] = answer
        if self.explainer is not None:
            for place, number in enumerate(good):
                said[number]["explanation"] = self._explained(self.explainer, rows[number], looked, place)
        return [self._beside(row, answer) for row, answer in zip(rows, said, strict=True)]

    def _explained(
        self, explainer: Explainer, row: Row, looked: Mapping[str, pa.ChunkedArray], place: int
    ) -> dict[str, Any] | None:
        """Score the words of a row's texts, or the patches of its picture; None where there is nothing to score."""
        given: dict[str, Any] = {}
        for column in self.inputs:
            if column.role not in self.roles:
                continue
            name = self.roles[column.role]
            value = looked[name][place].as_py() if name in looked else row.values.get(name)
            if value is not None:
                given[column.role] = value if column.kind == "image" else str(value)
        try:
            found = explainer.explain(given, None)
        except DataError:  # signs, and no words among them
            return None
        kept: dict[str, Any] = {key: found[key] for key in ("words", "grid", "scores") if key in found}
        return {"method": found["method"]["name"], **kept}

    def _looked_at(self, rows: Sequence[Row]) -> tuple[dict[str, pa.ChunkedArray], list[Row]]:
        """Decode the rows' pictures: column → pictures; and the rows, with names in the places of pictures."""
        looked: dict[str, pa.ChunkedArray] = {}
        shown = list(rows)
        for column in self.inputs:
            if column.kind == "image":
                name = self.roles[column.role]
                values = [row.values.get(name) if row.problem is None else None for row in rows]
                raw = image_columns.column(pa.chunked_array([pa.array(values)]), [""] * len(rows), self.root)
                looked[name], problems = image_columns.looked_at(raw, self.stored.config.data.max_pixels)
                for number, problem in enumerate(problems):
                    row, value = shown[number], shown[number].values.get(name)
                    called = value if isinstance(value, str) else _called(raw[number].as_py())
                    shown[number] = Row(
                        {**row.values, name: called}, row.problem or (problem and f"{_quoted(called)} {problem}")
                    )
        return looked, shown

    def _ask(
        self, rows: Sequence[Row], looked: Mapping[str, pa.ChunkedArray], observe: Observe | None
    ) -> Iterator[dict[str, Any]]:
        if not rows:
            return
        recipe, labels = self.stored.recipe, self.stored.labels
        kinds = {self.roles[column.role]: column.kind for column in self.inputs if column.role in self.roles}
        raw = {
            name: looked[name] if name in looked else pa.array([_input(row.values.get(name), kind) for row in rows])
            for name, kind in kinds.items()
        }
        table = columns.take_roles(pa.table(raw), self.roles, recipe.COLUMNS)
        target = recipe.COLUMNS[-1]
        said = self._said(table, observe)
        chances = said.get("probabilities")
        calibrated = scaled(_array(chances), self.temperature) if chances is not None and self.temperature else None
        for number, prediction in enumerate(said["prediction"]):
            yield self._named(
                prediction,
                target.kind,
                labels,
                None if chances is None else chances[number],
                None if calibrated is None else calibrated[number],
            )

    def _said(self, table: pa.Table, observe: Observe | None) -> Mapping[str, Sequence[Any]]:
        """Ask the model; what it writes keeps placeholders and markup, where the recipe's options say so."""
        subject, config = self.stored.subject, self.stored.config

        def ask(rows: pa.Table, observe: Observe | None = None) -> Mapping[str, Sequence[Any]]:
            features = judge.encode_rows(rows, subject.recipe, subject.processor, config)
            self.cut(features.truncated)
            return judge.predict_features(subject, features, observe).columns

        said = ask(table, observe)
        if subject.recipe.COLUMNS[-1].kind != "target_text" or not config.options.get("protect"):
            return said
        role = self.inputs[0].role

        def translate(texts: list[str]) -> list[str]:
            return list(ask(pa.table({role: pa.array(texts, pa.string())}))["prediction"])

        return {**said, "prediction": keep_markup(table[role].to_pylist(), said["prediction"], translate)}

    def _named(
        self, prediction: Any, kind: str, labels: Sequence[str], chances: Sequence[float] | None, calibrated: Any
    ) -> dict[str, Any]:
        if kind == "labels":
            return {"prediction": [None if number is None else labels[number] for number in prediction]}
        if kind != "label":
            return {"prediction": prediction}
        answer: dict[str, Any] = {"prediction": labels[prediction]}
        if chances is not None:
            answer["score"] = round(float(chances[prediction]), 6)
            if calibrated is not None:
                answer["calibrated_score"] = round(float(calibrated[prediction]), 6)
            if self.all_scores:
                answer |= {f"score: {name}": round(float(one), 6) for name, one in zip(labels, chances, strict=True)}
        return answer

    def _beside(self, row: Row, answer: Mapping[str, Any]) -> dict[str, Any]:
        classifies = self.stored.recipe.COLUMNS[-1].kind == "label"
        empty = dict.fromkeys(["prediction", *(["score"] if classifies else [])])
        if classifies and self.temperature is not None:
            empty["calibrated_score"] = None
        if classifies and self.all_scores:
            empty |= dict.fromkeys(f"score: {name}" for name in self.stored.labels)
        if self.explainer is not None:
            empty["explanation"] = None
        return {**row.values, **empty, **answer, "problem": row.problem}


def _problem(values: Mapping[str, Any], required: Mapping[str, str]) -> str | None:
    """Say why a row cannot be asked about; None when it can."""
    for name, kind in required.items():
        value = values.get(name)
        if kind == "image":
            if value is None:
                return f"`{name}` is empty"
            continue
        if isinstance(value, dict) or (isinstance(value, list) and kind != "words"):
            return f"`{name}` is no text"
        if value is None or not (value if isinstance(value, list) else str(value).strip()):
            return f"`{name}` is empty"
        if any("\ud800" <= sign <= "\udfff" for sign in str(value)):
            return f"`{name}` holds half a character"
        if kind == "words" and isinstance(value, str):
            try:
                if not columns.words_of(value):
                    return f"`{name}` is empty"
            except BrokenListError as error:
                return f"`{name}` {error}"
    return None


def _quoted(called: str | None) -> str:
    return f"`{called}`" if called else "the picture"


def _called(picture: Mapping[str, Any] | None) -> str | None:
    return image_columns.name(picture) if picture and picture.get("path") else None


def _input(value: Any, kind: str) -> Any:
    if value is None:
        return None
    if kind == "words":
        if isinstance(value, list):
            return ["" if word is None else str(word) for word in value]
        return columns.words_of(str(value))
    return str(value)


def _array(chances: Any) -> Any:
    import numpy as np

    return np.asarray(chances, np.float64)
