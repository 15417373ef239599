"""Explain a loaded model's predictions of single texts and pictures, prepared as in training."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from toolkit.commands.explain import images
from toolkit.commands.explain.request import Given, RecipeAndConfig, Texts
from toolkit.errors import DataError, ModelError
from toolkit.evaluation.perturbations.text_changes import Lists, load_lists
from toolkit.events import Counted, Observe
from toolkit.explanation import patches
from toolkit.explanation.attention import watchable
from toolkit.explanation.attributions import Explanation
from toolkit.explanation.attributions import explain as explain_text
from toolkit.explanation.patches import Picture
from toolkit.explanation.question import ONE_CLASS, Model, Outcome
from toolkit.explanation.words import Example, example
from toolkit.inference.model import LoadedModel

SHORT = 8  # examples in a forward pass, where other requests wait for the model


Values = np.ndarray[Any, Any]  # of each output of the model: probabilities of the classes, or a number
Choose = Callable[[int, Values], Sequence[int]]  # (number of the example, its values) → the outputs to explain


def explain_one(
    loaded: LoadedModel, given: Given, method: str, pause: Callable[[], None] | None = None, wanted: int | None = None
) -> tuple[Explanation, Values]:
    """Explain the prediction for one example by one method; return it with the value of each output.

    Args:
        loaded: The model.
        given: One text, or two for a pair; or a picture, with "bytes" or "path".
        method: Name of a method.
        pause: Called between forward passes, which are then of few examples.
        wanted: The class to explain; of those predicted the most probable one when None.

    Raises:
        DataError: The text holds no word, or the picture cannot be read.
    """
    model = model_for(loaded) if isinstance(given, tuple) else images.model_for(loaded)
    if pause is not None:
        model = replace(model, batch_size=min(model.batch_size, SHORT), pause=pause)
    choose = first_of(loaded) if wanted is None else (lambda _number, _values: [wanted])
    (explanation,) = explained(model, loaded, [given], [method], lambda _event: None, choose=choose)
    return explanation


def outcome_of(subject: RecipeAndConfig) -> Outcome:
    """Return what the outputs of the model mean."""
    outcome: Outcome | None = subject.recipe.target.outcome
    return outcome or ONE_CLASS


def predicted_by(loaded: LoadedModel) -> Choose:
    """Return a function that chooses the predicted classes; the most probable class where none is predicted."""
    outcome = outcome_of(loaded)
    return lambda _number, values: outcome.chosen(values, loaded.calibration) or [int(values.argmax())]


def first_of(loaded: LoadedModel) -> Choose:
    """Return a function that chooses the most probable one of the predicted classes."""
    choose = predicted_by(loaded)
    return lambda number, values: choose(number, values)[:1]


def model_for(loaded: LoadedModel) -> Model:
    """Return a forward function of the model on texts."""
    collate = partial(loaded.recipe.collate, processor=loaded.processor)
    padding = getattr(loaded.processor, "pad_token_id", None) or 0
    return Model(loaded.model, collate, padding, loaded.config.evaluation.batch_size, outcome=outcome_of(loaded))


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
    choose: Choose | None = None,
) -> list[tuple[Explanation, Values]]:
    """Explain outputs of the model for each example; return each explanation with the values of all outputs.

    Args:
        model: From `model_for`.
        loaded: The same model.
        texts: The examples.
        methods: Names of methods.
        observe: Called with the progress.
        stop: Called after each example; returns whether to stop.
        choose: Chooses the outputs; the predicted classes, or the number, when None.
    """
    choose = choose or predicted_by(loaded)
    examples = examples_of(model, loaded, texts)
    _check_classifier(model, examples[0])
    values = model.values([item.features for item in examples])
    explanations = []
    for number, (item, row) in enumerate(zip(examples, values, strict=True)):
        explanations += [(explain_text(model, item, target, methods), row) for target in choose(number, row)]
        observe(Counted(number + 1, len(examples)))
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
    lists = load_lists(loaded.config.evaluation.lists)
    return [_example(loaded, item, number, lists) for number, item in enumerate(texts, 1)]


def _check_classifier(model: Model, example: Example | Picture) -> None:
    import torch

    with torch.inference_mode():
        logits = getattr(model.network(**model.batch([example.features])), "logits", None)
    if logits is None or logits.ndim != 2 or logits.shape[1] < model.outcome.least:
        raise ModelError(
            f"{type(model.network).__name__} does not classify texts.",
            "Explain a run of a recipe that classifies texts, such as `sentiment`.",
            id="model.not-a-classifier",
        )


def _example(loaded: LoadedModel, texts: Texts, number: int, lists: Lists) -> Example:
    """Let the recipe prepare a text as it did in training."""
    roles = [column.role for column in loaded.recipe.task.inputs]
    rows = {role: [text] for role, text in zip(roles, texts, strict=False)}
    features = loaded.preprocess(rows)
    single = {name: values[0] for name, values in features.items() if name != "truncated"}
    made = example(texts, single, loaded.processor, loaded.config.data.max_length, lists)
    if not made.words:
        raise DataError(
            f"Text {number}, “{' / '.join(texts)}”, contains no word.",
            "Give a sentence, or leave it out.",
            id="data.empty-text",
        )
    return made
