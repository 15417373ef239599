"""Explain a loaded model's predictions of single texts and pictures, prepared as in training."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from toolkit.commands.explain import images
from toolkit.commands.explain.request import Given, Texts
from toolkit.errors import DataError, ModelError
from toolkit.events import Counted, Observe
from toolkit.explanation import patches
from toolkit.explanation.attention import watchable
from toolkit.explanation.attributions import Explanation
from toolkit.explanation.attributions import explain as explain_text
from toolkit.explanation.patches import Picture
from toolkit.explanation.question import Model
from toolkit.explanation.words import Example, example
from toolkit.inference.model import LoadedModel

SHORT = 8  # examples in a forward pass, where other requests wait for the model


def explain_one(
    loaded: LoadedModel, given: Given, method: str, pause: Callable[[], None] | None = None
) -> tuple[Explanation, np.ndarray[Any, Any]]:
    """Explain the prediction for one example by one method; return it with the probability of each class.

    Args:
        loaded: A model that chooses one class for a text or a picture.
        given: One text, or two for a pair; or a picture, with "bytes" or "path".
        method: Name of a method.
        pause: Called between forward passes, which are then of few examples.

    Raises:
        DataError: The text holds no word, or the picture cannot be read.
    """
    model = model_for(loaded) if isinstance(given, tuple) else images.model_for(loaded)
    if pause is not None:
        model = replace(model, batch_size=min(model.batch_size, SHORT), pause=pause)
    (explanation,) = explained(model, loaded, [given], [method], lambda _event: None)
    return explanation


def model_for(loaded: LoadedModel) -> Model:
    """Return a forward function of the model on texts."""
    collate = partial(loaded.recipe.collate, processor=loaded.processor)
    padding = getattr(loaded.processor, "pad_token_id", None) or 0
    return Model(loaded.model, collate, padding, loaded.config.evaluation.batch_size)


def attention_fits(loaded: LoadedModel, given: Given) -> bool:
    """Whether the model's attention can be recorded, and covers the whole input."""
    if not watchable(loaded.model):
        return False
    if isinstance(given, tuple):
        return True
    (cut,) = images.prepare(loaded, [given])
    return patches.layout(images.model_for(loaded), cut) is not None


def explained(
    model: Model,
    loaded: LoadedModel,
    texts: Sequence[Given],
    methods: Sequence[str],
    observe: Observe,
    stop: Callable[[], bool] = lambda: False,
) -> list[tuple[Explanation, np.ndarray[Any, Any]]]:
    """Explain each example's most likely class; return it with the probability of every class.

    `stop` is called after each example and returns whether to stop.
    """
    examples = examples_of(model, loaded, texts)
    _check_classifier(model, examples[0])
    probabilities = model.probabilities([item.features for item in examples])
    explanations = []
    for number, (item, row) in enumerate(zip(examples, probabilities, strict=True), 1):
        explanations.append((explain_text(model, item, int(row.argmax()), methods), row))
        observe(Counted(number, len(examples)))
        if stop():
            break
    return explanations


def examples_of(model: Model, loaded: LoadedModel, given: Sequence[Given]) -> list[Example | Picture]:
    """Prepare texts or pictures, and divide them into the words or patches that are explained."""
    rows = [item for item in given if not isinstance(item, tuple)]
    if rows:
        cut = images.prepare(loaded, rows)
        return list(images.with_patches(model, cut, rows, watchable(loaded.model)))
    texts = [item for item in given if isinstance(item, tuple)]
    return [_example(loaded, item, number) for number, item in enumerate(texts, 1)]


def _check_classifier(model: Model, example: Example | Picture) -> None:
    import torch

    with torch.inference_mode():
        logits = getattr(model.network(**model.batch([example.features])), "logits", None)
    if logits is None or logits.ndim != 2 or logits.shape[1] < 2:
        raise ModelError(
            f"{type(model.network).__name__} does not classify texts.",
            "Explain a run of a recipe that classifies texts, such as `sentiment`.",
            id="model.not-a-classifier",
        )


def _example(loaded: LoadedModel, texts: Texts, number: int) -> Example:
    """Let the recipe prepare a text as it did in training."""
    roles = [column.role for column in loaded.recipe.task.inputs]
    rows = {role: [text] for role, text in zip(roles, texts, strict=False)}
    features = loaded.preprocess(rows)
    single = {name: values[0] for name, values in features.items() if name != "truncated"}
    made = example(texts, single, loaded.processor, loaded.config.data.max_length)
    if not made.words:
        raise DataError(
            f"Text {number}, “{' / '.join(texts)}”, contains no word.",
            "Give a sentence, or leave it out.",
            id="data.empty-text",
        )
    return made
