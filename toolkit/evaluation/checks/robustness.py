"""Whether predictions stay the same when an input changes but not its meaning, and change when the meaning does.

After Ribeiro, Wu, Guestrin and Singh 2020, "Beyond Accuracy: Behavioral Testing of NLP Models with CheckList":
invariance, directional and minimum functionality tests.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from toolkit.data.audio import columns as audio_columns
from toolkit.data.images import image_columns, image_decoding
from toolkit.evaluation import scores
from toolkit.evaluation.check import Check, named
from toolkit.evaluation.context import EvaluationContext
from toolkit.evaluation.perturbations import audio_changes, image_changes
from toolkit.evaluation.perturbations.counterfactual import (
    CounterfactualModel,
    Example,
    PredictionColumns,
    counterfactual_model,
    examples,
)
from toolkit.evaluation.perturbations.text_changes import (
    Lists,
    Perturbation,
    of_examples,
    perturbations,
    word_perturbations,
)
from toolkit.evaluation.statistics.clusters import Integers, kept
from toolkit.tasks.task import Task

SHOWN = 5  # failures of each test
MOST_ROWS = 1000  # examples that are changed; chosen at random from more
MOST_FILES = 500  # pictures, or recordings
SHOWN_PICTURES = 2  # failures of each change; many pictures would make the page large
TOLERANCE = 0.05  # tolerated change of a score in the wrong direction

Texts = tuple[str, ...]
Show = Callable[[Example, Example, str], Mapping[str, Any]]  # (example, the changed one, title of the change) → shown


def section(
    model: CounterfactualModel,
    texts: Sequence[Texts],
    places: Sequence[tuple[Any, Any]],
    truth: Sequence[Any],
    lists: Lists,
) -> dict[str, Any]:
    """Return the report's section on robustness.

    Args:
        model: The model.
        texts: Of each example of the data: one, or two for pairs.
        places: File and row of each example.
        truth: The true class of each.
        lists: Words and sentences of the checks.
    """
    model, texts, places, truth = _chosen(model, MOST_ROWS, texts, places, truth)
    before = model.predict(texts)
    number = len(texts[0]) if texts else 1
    changes = of_examples(perturbations(lists), number)
    result = _invariances(model, changes, texts, places, truth, before, _texts)
    result["kind"] = "text" if number == 1 else "pair"
    if number > 1:
        reason = "a change of one text that changes the label, such as a negation, depends on the relation"
        return {**result, "expectations": [], "not_tested": f"Expected changes of the label: {reason}."}
    if model.weights is None:
        reason = "the recipe does not define which classes are positive and negative (POLARITY)"
        if model.measure != "score":
            reason = (
                "they need exactly one class for each text, of which some are positive and some negative (POLARITY)"
            )
        return {**result, "expectations": [], "not_tested": f"Direction, negation and paraphrases: {reason}."}
    expectations = [
        *_directions(model, texts, places, before, lists),
        _paraphrases(model, lists),
        _negations(model, lists),
    ]
    return {**result, "expectations": expectations, "not_tested": ""}


def of_pictures(
    model: CounterfactualModel,
    pictures: Sequence[Example],
    places: Sequence[tuple[Any, Any]],
    truth: Sequence[Any],
) -> dict[str, Any]:
    """Return the report's section on robustness of a classifier of pictures.

    Args:
        model: The model.
        pictures: Of each example of the data: one or more, each with "bytes" or "path".
        places: File and row of each.
        truth: The true class of each.
    """
    model, pictures, places, truth = _chosen(model, MOST_FILES, pictures, places, truth)
    pictures = [tuple(map(image_changes.reduced, example)) for example in pictures]
    before = model.predict(pictures)
    changes = [_of_each(change) for change in image_changes.changes()]
    result = _invariances(model, changes, pictures, places, truth, before, _thumbnails, SHOWN_PICTURES)
    return {
        **result,
        "kind": "image",
        "expectations": [],
        "not_tested": "Rotation, occlusion, other cameras or places, and adversarial pictures.",
    }


def of_words(
    model: CounterfactualModel,
    sentences: Sequence[tuple[Sequence[str]]],
    places: Sequence[tuple[Any, Any]],
    truth: Sequence[Sequence[int]],
) -> dict[str, Any]:
    """Return the report's section on robustness of labels of words.

    Args:
        model: The model.
        sentences: Of each example of the data: its words alone.
        places: File and row of each.
        truth: The true labels of each.
    """
    model, sentences, places, truth = _chosen(model, MOST_ROWS, sentences, places, truth)
    before = model.predict(sentences)
    changes = [_of_each(change) for change in word_perturbations()]
    result = _invariances(model, changes, sentences, places, truth, before, _sentences)
    return {
        **result,
        "kind": "words",
        "expectations": [],
        "not_tested": "Changes that add, remove or join words: each word keeps its label.",
    }


def of_recordings(
    model: CounterfactualModel,
    recordings: Sequence[Example],
    places: Sequence[tuple[Any, Any]],
    truth: Sequence[Any],
) -> dict[str, Any]:
    """Return the report's section on robustness of a classifier of recordings.

    Args:
        model: The model.
        recordings: Of each example of the data: one or more, each with "bytes" or "path", and "seconds".
        places: File and row of each.
        truth: The true class of each.
    """
    model, recordings, places, truth = _chosen(model, MOST_FILES, recordings, places, truth)
    before = model.predict(recordings)
    changes = [_of_each(change) for change in audio_changes.changes()]
    result = _invariances(model, changes, recordings, places, truth, before, _names)
    return {
        **result,
        "kind": "audio",
        "expectations": [],
        "not_tested": "Echo, other voices, other microphones, background speech and compression.",
    }


def _chosen(model: CounterfactualModel, most: int, *columns: Sequence[Any]) -> list[Any]:
    """Draw a sample of the rows if there are too many; return the model with their clusters, and the columns."""
    count = len(columns[0])
    rows = sorted(random.Random(model.seed).sample(range(count), min(count, most)))
    drawn = [[column[row] for row in rows] for column in columns]
    return [replace(model, clusters=kept(model.clusters, rows)), *drawn]


def _of_each(change: Perturbation) -> Perturbation:
    """Return the change of all inputs of an example."""
    return replace(change, change=lambda example, chance: tuple(change.change(value, chance) for value in example))


def _texts(texts: Texts, changed: Texts, _title: str) -> dict[str, Any]:
    return {"text": scores.joined(texts), "changed": scores.joined(changed)}


def _sentences(example: Example, changed_example: Example, _title: str) -> dict[str, Any]:
    (words,), (changed,) = example, changed_example
    return {"text": " ".join(words), "changed": " ".join(changed)}


def _thumbnails(example: Example, changed_example: Example, title: str) -> dict[str, Any]:
    picture, changed = example[0], changed_example[0]
    small = {"picture": image_decoding.thumbnail(picture), "changed_picture": image_decoding.thumbnail(changed)}
    return {"text": image_columns.name(picture), "changed": title, **small}


def _names(example: Example, _changed: Example, title: str) -> dict[str, Any]:
    return {"text": audio_columns.name(example[0]), "changed": title}


def _invariances(
    model: CounterfactualModel,
    changes: Sequence[Perturbation],
    inputs: Sequence[Any],
    places: Sequence[tuple[Any, Any]],
    truth: Sequence[Any],
    before: PredictionColumns,
    show: Show,
    most: int = SHOWN,
) -> dict[str, Any]:
    claimed = model.claims.get("robustness", model.confidence)
    joint = 1 - (1 - claimed) / len(changes)  # the intervals of all changes hold together (Bonferroni)
    return {
        "rows": len(inputs),
        "confidence": model.confidence,
        "claims_confidence": claimed,
        "difference_confidence": joint,
        **_measured_by(model),
        "accuracy": model.figure(before, truth),
        "invariance": [
            _invariance(model, change, inputs, places, truth, before, joint, show, most)
            for change in changes
            if len(inputs)
        ],
    }


def _measured_by(model: CounterfactualModel) -> dict[str, Any]:
    """Return the metric that the section is about, and its unit and direction; nothing for accuracy."""
    if model.metric is None:
        return {}
    lower = {} if model.metric.higher_is_better else {"better": "lower"}
    return {"metric": model.metric.title, "unit": model.metric.unit, **lower, "half_width": model.width}


def _invariance(
    model: CounterfactualModel,
    change: Perturbation,
    inputs: Sequence[Any],
    places: Sequence[tuple[Any, Any]],
    truth: Sequence[Any],
    before: PredictionColumns,
    joint: float,
    show: Show,
    most: int,
) -> dict[str, Any]:
    """Perturb the inputs, predict again, and count the predictions that changed."""
    chance = random.Random(f"{change.name} {model.seed}")
    changed = [change.change(given, chance) for given in inputs]
    rows = [row for row, (old, new) in enumerate(zip(inputs, changed, strict=True)) if old != new]
    result: dict[str, Any] = {"name": change.name, "title": change.title, "changed": len(rows), "failures": []}
    if not rows:
        return result
    predictions = model.predict([changed[row] for row in rows])
    true = [truth[row] for row in rows]
    after, earlier = predictions["prediction"], [before["prediction"][row] for row in rows]
    # The change among the changed inputs: the others cannot fall.
    together = kept(model.clusters, rows)
    changes = model.change(earlier, after, true, joint, together)
    result |= {"difference": changes, "flipped": model.changed(earlier, after, together)}
    if model.of_numbers:
        moves = np.abs(np.subtract(after, earlier))
        result["moved"] = model.mean(moves, together)
        fallen = [
            index for index in np.argsort(-moves, kind="stable").tolist() if model.differ(earlier[index], after[index])
        ]
    else:
        fallen = [index for index, truth_ in enumerate(true) if earlier[index] == truth_ and after[index] != truth_]
        if "probabilities" in before:
            fallen.sort(key=lambda index: -max(before["probabilities"][rows[index]]))
    result["failures"] = [
        {
            "file": places[rows[index]][0],
            "row": places[rows[index]][1],
            **show(inputs[rows[index]], changed[rows[index]], change.title),
            "before": model.shown(inputs[rows[index]], before["prediction"][rows[index]]),
            "after": model.shown(changed[rows[index]], predictions["prediction"][index]),
        }
        for index in fallen[:most]
    ]
    return result


def _directions(
    model: CounterfactualModel,
    texts: Sequence[Texts],
    places: Sequence[tuple[Any, Any]],
    before: PredictionColumns,
    lists: Lists,
) -> list[dict[str, Any]]:
    """Append a clearly positive or negative sentence: the score must not change in the opposite direction."""
    old, expectations = model.scores(before), []
    for sign, key, title in (
        (1, "positive_sentences", "A positive sentence added: the score must not decrease"),
        (-1, "negative_sentences", "A negative sentence added: the score must not increase"),
    ):
        chance = random.Random(f"{key} {model.seed}")
        changed = [(f"{text} {chance.choice(lists[key])}",) for (text,) in texts]
        predictions = model.predict(changed)
        failed = sign * (model.scores(predictions) - old) < -TOLERANCE
        failures = [
            (texts[row][0], changed[row][0], before, row, predictions, row, places[row])
            for row in np.flatnonzero(failed).tolist()
        ]
        expectations.append(_expectation(model, key, title, failed, failures, model.clusters))
    return expectations


def _paraphrases(model: CounterfactualModel, lists: Lists) -> dict[str, Any]:
    """Predict paraphrases: all must get the same class."""
    groups = [
        [sentence.format(thing) for sentence in group]
        for kind in lists["paraphrases"].values()
        for group in kind
        for thing in lists["things"]
    ]
    predictions = model.predict([(sentence,) for group in groups for sentence in group])
    failed, failures, start = [], [], 0
    for group in groups:
        first = predictions["prediction"][start]
        other = next((k for k in range(len(group)) if predictions["prediction"][start + k] != first), None)
        failed.append(other is not None)
        if other is not None:
            failures.append((group[0], group[other], predictions, start, predictions, start + other, (None, None)))
        start += len(group)
    title = "Paraphrases: all must get the same class"
    return _expectation(model, "paraphrases", title, failed, failures)


def _negations(model: CounterfactualModel, lists: Lists) -> dict[str, Any]:
    """Negate a sentence: its score must change sign, or at least move clearly in that direction."""
    signs = {"positive": 1, "negative": -1}
    sentences = [
        (signs[kind], plain.format(thing), negated.format(thing))
        for kind, pairs in lists["negations"].items()
        for plain, negated in pairs
        for thing in lists["things"]
    ]
    predictions = model.predict([(text,) for _, plain, negated in sentences for text in (plain, negated)])
    scores = model.scores(predictions)
    failed = [sign * (scores[2 * n] - scores[2 * n + 1]) < TOLERANCE for n, (sign, *_) in enumerate(sentences)]
    failures = [
        (plain, negated, predictions, 2 * n, predictions, 2 * n + 1, (None, None))
        for n, (_, plain, negated) in enumerate(sentences)
        if failed[n]
    ]
    return _expectation(model, "negations", "A sentence negated: the score must change its sign", failed, failures)


def _expectation(
    model: CounterfactualModel,
    name: str,
    title: str,
    failed: Sequence[bool] | Any,
    failures: Sequence[tuple[Any, ...]],
    clusters: Integers | None = None,
) -> dict[str, Any]:
    shown = random.Random(f"{name} {model.seed}").sample(list(failures), min(SHOWN, len(failures)))
    return {
        "name": name,
        "title": title,
        "tried": len(failed),
        "failed": model.share(failed, clusters) if len(failed) else None,
        "failures": [
            {
                "file": place[0],
                "row": place[1],
                "text": text,
                "changed": changed,
                "before": model.labels[first["prediction"][i]],
                "after": model.labels[second["prediction"][j]],
            }
            for text, changed, first, i, second, j, place in shown
        ],
    }


def _run(context: EvaluationContext) -> dict[str, Any]:
    kind = context.task.input_kind
    if kind is None or kind.changes is None:
        return {
            "not_tested": "The robustness check is only for classes and numbers of texts, pairs, words, pictures or "
            "recordings."
        }
    section: dict[str, Any] = kind.changes(
        counterfactual_model(context), examples(context), context.places, context.references, context.config.evaluation
    )
    return section


def _stage(context: EvaluationContext) -> str:
    return f"Perturbing {context.recipe.task.inputs[0].kind.nouns[1]}"


def _applies(task: Task) -> bool:
    return task.input_kind is not None and task.input_kind.changes is not None


CHECK = Check("robustness", _run, applies=_applies, wanted=named("robustness"), stage=_stage)
