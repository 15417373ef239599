"""Explain the labels of single words: of one that is named, or of the first word of each predicted entity.

The words around a word give its label its meaning, so words are masked and not removed: every word keeps its place.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit.attention.walk import readable
from toolkit.commands.explain.request import Texts
from toolkit.commands.explain.text import model_for
from toolkit.errors import ConfigError, DataError, ModelError
from toolkit.evaluation.entities import named
from toolkit.events import Counted, Observe
from toolkit.explanation.attributions import Explanation, Method
from toolkit.explanation.attributions import explain as explain_class
from toolkit.explanation.words import Example
from toolkit.inference.encode import encode_rows
from toolkit.inference.model import StoredModel
from toolkit.inference.predict_features import predict_features
from toolkit.tasks.spans import spans_of
from toolkit.tasks.task import Reading

VERDICT = {
    "headline": "The faithfulness of explanations is not measured for labels of words.",
    "statements": [],
    "warnings": [],
}


class _AtToken:
    """A model that classifies one token of a text, with logits (B, C); everything else is the whole model's."""

    def __init__(self, network: Any, place: int) -> None:
        self._network, self._place = network, place

    def __call__(self, **batch: Any) -> Any:
        return SimpleNamespace(logits=self._network(**batch).logits[:, self._place])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)


def for_labels(method: Method) -> Method:
    """Return a method with its description for labels of words."""
    if method.name != "leave-one-out":
        return method
    return replace(method, title="Occlusion", about="drop in the label's log odds when the word is masked")


def explained(
    stored: StoredModel,
    texts: Sequence[Texts],
    methods: Sequence[str],
    word: int | None,
    observe: Observe,
    stop: Callable[[], bool] = lambda: False,
) -> list[tuple[Explanation, np.ndarray[Any, Any]]]:
    """Explain the labels of words; return each explanation with the probability of every label of its word.

    Args:
        stored: The model.
        texts: One text each.
        methods: Names of methods.
        word: Number of the word to explain, from 1; the first word of each predicted entity when None.
        observe: Called with the progress.
        stop: Called after each word; returns whether to stop.

    Raises:
        ConfigError: A text has no such word.
        DataError: No entity is predicted, or the model does not read the word.
        ModelError: The recipe does not say which token begins a word.
    """
    loaded = stored.loaded
    model = model_for(loaded)
    examples = [example for texts_ in texts for example in _examples(stored, texts_[0], word)]
    if not examples:
        raise DataError(
            "No entity is predicted in these texts.",
            "Name the word whose label is to be explained, by its number from 1: --word 3.",
            id="data.no-entity",
        )
    results = []
    for number, example in enumerate(examples, 1):
        asked = replace(model, network=_AtToken(model.network, example.spans[example.asked or 0][0]))
        (row,) = asked.values([example.features])
        results.append((explain_class(asked, example, int(row.argmax()), methods), row))
        observe(Counted(number, len(examples)))
        if stop():
            break
    return results


def _examples(stored: StoredModel, text: str, word: int | None) -> list[Example]:
    """Return the text once for each word that is explained."""
    loaded = stored.loaded
    (column,) = loaded.recipe.task.inputs
    reading = Reading(None, loaded.config.data, stored.learned.get(column.role, {}))
    values = column.kind.read([text], column.role, reading)
    words = values.column[0].as_py() or []
    if not words:
        raise DataError(f"“{text}” contains no word.", "Give a sentence, or leave it out.", id="data.empty-text")
    if word is not None and word > len(words):
        raise ConfigError(
            f"“{text}” has {len(words)} words: {' · '.join(words)}.",
            "Give the number of one of them, from 1.",
            id="config.out-of-range",
        )
    example = _example(stored, text, words)
    if word is None:
        predicted = predict_features(loaded, encode_rows(pa.table({column.role: [words]}), loaded))
        spans = spans_of(named(predicted.columns["prediction"][0], loaded.labels))
        return [replace(example, asked=span.start) for span in spans]
    if not example.spans[word - 1]:
        raise DataError(
            f"The model does not read word {word}, “{words[word - 1]}”.",
            "It is beyond the maximum length, or has no token; name another word.",
            id="data.word-not-read",
        )
    return [replace(example, asked=word - 1)]


def _example(stored: StoredModel, text: str, words: Sequence[str]) -> Example:
    """Let the recipe prepare words as it did in training, and find their tokens."""
    loaded = stored.loaded
    (column,) = loaded.recipe.task.inputs
    features = {name: values[0] for name, values in loaded.preprocess({column.role: [list(words)]}).items()}
    if "first_of" not in features:
        raise ModelError(
            f"The recipe {loaded.config.recipe} does not say which token begins a word, which explanations need.",
            "Let its `preprocess` return `first_of`, as the recipe `tokens` does.",
            id="model.wrong-input",
        )
    processor = loaded.processor
    ids = np.asarray(features["input_ids"])
    special = set(processor.all_special_ids) - {processor.unk_token_id}
    spans: list[list[int]] = [[] for _ in words]
    number = 0
    for place, (token, first) in enumerate(zip(ids.tolist(), features["first_of"], strict=True)):
        number = first or (0 if token in special else number)
        if number:
            spans[number - 1].append(place)
    tokens = tuple(readable(token) for token in processor.convert_ids_to_tokens(ids.tolist()))
    masks = (processor.mask_token_id, processor.unk_token_id, processor.pad_token_id, 0)
    mask = next(token for token in masks if token is not None)
    return Example((text,), {"input_ids": ids}, tokens, tuple(words), tuple(map(tuple, spans)), mask=mask)
