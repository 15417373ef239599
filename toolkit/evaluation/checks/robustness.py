"""Whether a classifier keeps its answer when an input changes and its meaning does not, and moves when it does.

After Ribeiro, Wu, Guestrin and Singh 2020, "Beyond Accuracy: Behavioral Testing of NLP Models with CheckList":
invariance, directional and minimum functionality tests.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from toolkit.data.images import image_columns as pictures_
from toolkit.evaluation.check import Check, named
from toolkit.evaluation.context import EvaluationContext
from toolkit.evaluation.perturbations import image_changes
from toolkit.evaluation.perturbations.counterfactual import Answer, Probe, probe_of
from toolkit.evaluation.perturbations.text_changes import Lists, Perturbation, perturbations

SHOWN = 5  # failures of each test
MOST_ROWS = 1000  # texts that are changed; chosen at random from more
MOST_PICTURES = 500
SHOWN_PICTURES = 2  # failures of each change: a page of many pictures would be heavy
TOLERANCE = 0.05  # a score may move the wrong way by so much

Show = Callable[[Any, Any, str], Mapping[str, Any]]  # input, the same changed, title of the change → what is shown


def section(
    probe: Probe, texts: Sequence[str], places: Sequence[tuple[Any, Any]], truth: Sequence[int], lists: Lists
) -> dict[str, Any]:
    """Return the report's section on robustness.

    Args:
        probe: The model.
        texts: Of the data.
        places: File and row of each text.
        truth: The true class of each.
        lists: Words and sentences of the checks.
    """
    texts, places, truth = _chosen(probe, MOST_ROWS, texts, places, truth)
    before = probe.ask(texts)
    found = _invariances(probe, perturbations(lists), texts, places, truth, before, _texts)
    found["kind"] = "text"
    if probe.weights is None:
        reason = "the recipe does not define which classes are positive and negative (POLARITY)"
        return {**found, "expectations": [], "not_tested": f"Direction, negation and paraphrases: {reason}."}
    expectations = [
        *_directions(probe, texts, places, before, lists),
        _paraphrases(probe, lists),
        _negations(probe, lists),
    ]
    return {**found, "expectations": expectations, "not_tested": ""}


def of_pictures(
    probe: Probe, pictures: Sequence[Mapping[str, Any]], places: Sequence[tuple[Any, Any]], truth: Sequence[int]
) -> dict[str, Any]:
    """Return the report's section on robustness of a classifier of pictures.

    Args:
        probe: The model.
        pictures: Of the data, each with "bytes" or "path".
        places: File and row of each.
        truth: The true class of each.
    """
    pictures, places, truth = _chosen(probe, MOST_PICTURES, pictures, places, truth)
    pictures = [image_changes.reduced(picture) for picture in pictures]
    before = probe.ask(pictures)
    found = _invariances(probe, image_changes.changes(), pictures, places, truth, before, _thumbnails, SHOWN_PICTURES)
    return {
        **found,
        "kind": "image",
        "expectations": [],
        "not_tested": "Rotation, occlusion, other cameras or places, and adversarial pictures.",
    }


def _chosen(probe: Probe, most: int, *columns: Sequence[Any]) -> list[list[Any]]:
    """Draw rows from more than can be changed."""
    count = len(columns[0])
    rows = sorted(random.Random(probe.seed).sample(range(count), min(count, most)))
    return [[column[row] for row in rows] for column in columns]


def _texts(text: str, changed: str, _title: str) -> dict[str, Any]:
    return {"text": text, "changed": changed}


def _thumbnails(picture: Mapping[str, Any], changed: Mapping[str, Any], title: str) -> dict[str, Any]:
    small = {"picture": pictures_.thumbnail(picture), "changed_picture": pictures_.thumbnail(changed)}
    return {"text": pictures_.name(picture), "changed": title, **small}


def _invariances(
    probe: Probe,
    changes: Sequence[Perturbation],
    inputs: Sequence[Any],
    places: Sequence[tuple[Any, Any]],
    truth: Sequence[int],
    before: Answer,
    show: Show,
    most: int = SHOWN,
) -> dict[str, Any]:
    joint = 1 - (1 - probe.confidence) / len(changes)  # the intervals of all changes hold together (Bonferroni)
    return {
        "rows": len(inputs),
        "confidence": probe.confidence,
        "accuracy": float(np.mean([said == true for said, true in zip(before["prediction"], truth, strict=True)])),
        "invariance": [
            _invariance(probe, one, inputs, places, truth, before, joint, show, most) for one in changes if len(inputs)
        ],
    }


def _invariance(
    probe: Probe,
    one: Perturbation,
    inputs: Sequence[Any],
    places: Sequence[tuple[Any, Any]],
    truth: Sequence[int],
    before: Answer,
    joint: float,
    show: Show,
    most: int,
) -> dict[str, Any]:
    """Perturb the inputs, predict again, and count the predictions that changed."""
    chance = random.Random(f"{one.name} {probe.seed}")
    changed = [one.change(given, chance) for given in inputs]
    rows = [row for row, (old, new) in enumerate(zip(inputs, changed, strict=True)) if old != new]
    found: dict[str, Any] = {"name": one.name, "title": one.title, "changed": len(rows), "failures": []}
    if not rows:
        return found
    said = probe.ask([changed[row] for row in rows])
    right = np.array([before["prediction"][row] == truth[row] for row in rows], np.float64)
    still = np.array([now == truth[row] for now, row in zip(said["prediction"], rows, strict=True)], np.float64)
    flipped = [now != before["prediction"][row] for now, row in zip(said["prediction"], rows, strict=True)]
    # The change of accuracy among the changed inputs: the others cannot fall.
    found |= {"difference": probe.mean(still - right, joint), "flipped": probe.share(flipped)}
    fallen = [index for index, row in enumerate(rows) if right[index] and not still[index]]
    fallen.sort(key=lambda index: -max(before["probabilities"][rows[index]]))
    found["failures"] = [
        {
            "file": places[rows[index]][0],
            "row": places[rows[index]][1],
            **show(inputs[rows[index]], changed[rows[index]], one.title),
            "before": probe.labels[before["prediction"][rows[index]]],
            "after": probe.labels[said["prediction"][index]],
        }
        for index in fallen[:most]
    ]
    return found


def _directions(
    probe: Probe, texts: Sequence[str], places: Sequence[tuple[Any, Any]], before: Answer, lists: Lists
) -> list[dict[str, Any]]:
    """Append a clearly positive or negative sentence: the score must not move the other way."""
    old, found = probe.scores(before), []
    for sign, key, title in (
        (1, "positive_sentences", "A positive sentence added: the score must not decrease"),
        (-1, "negative_sentences", "A negative sentence added: the score must not increase"),
    ):
        chance = random.Random(f"{key} {probe.seed}")
        changed = [f"{text} {chance.choice(lists[key])}" for text in texts]
        said = probe.ask(changed)
        failed = sign * (probe.scores(said) - old) < -TOLERANCE
        failures = [
            (texts[row], changed[row], before, row, said, row, places[row]) for row in np.flatnonzero(failed).tolist()
        ]
        found.append(_expectation(probe, key, title, failed, failures))
    return found


def _paraphrases(probe: Probe, lists: Lists) -> dict[str, Any]:
    """Predict paraphrases: all must get the same class."""
    groups = [
        [sentence.format(thing) for sentence in group]
        for kind in lists["paraphrases"].values()
        for group in kind
        for thing in lists["things"]
    ]
    said = probe.ask([sentence for group in groups for sentence in group])
    failed, failures, start = [], [], 0
    for group in groups:
        first = said["prediction"][start]
        other = next((k for k in range(len(group)) if said["prediction"][start + k] != first), None)
        failed.append(other is not None)
        if other is not None:
            failures.append((group[0], group[other], said, start, said, start + other, (None, None)))
        start += len(group)
    title = "Paraphrases: all must get the same class"
    return _expectation(probe, "paraphrases", title, failed, failures)


def _negations(probe: Probe, lists: Lists) -> dict[str, Any]:
    """Negate a sentence: its score must be on the other side, or at least well towards it."""
    signs = {"positive": 1, "negative": -1}
    asked = [
        (signs[kind], plain.format(thing), negated.format(thing))
        for kind, pairs in lists["negations"].items()
        for plain, negated in pairs
        for thing in lists["things"]
    ]
    said = probe.ask([text for _, plain, negated in asked for text in (plain, negated)])
    scores = probe.scores(said)
    failed = [sign * (scores[2 * n] - scores[2 * n + 1]) < TOLERANCE for n, (sign, *_) in enumerate(asked)]
    failures = [
        (plain, negated, said, 2 * n, said, 2 * n + 1, (None, None))
        for n, (_, plain, negated) in enumerate(asked)
        if failed[n]
    ]
    return _expectation(probe, "negations", "A sentence negated: the score must change its sign", failed, failures)


def _expectation(
    probe: Probe, name: str, title: str, failed: Sequence[bool] | Any, failures: Sequence[tuple[Any, ...]]
) -> dict[str, Any]:
    shown = random.Random(f"{name} {probe.seed}").sample(list(failures), min(SHOWN, len(failures)))
    return {
        "name": name,
        "title": title,
        "tried": len(failed),
        "failed": probe.share(failed) if len(failed) else None,
        "failures": [
            {
                "file": place[0],
                "row": place[1],
                "text": text,
                "changed": changed,
                "before": probe.labels[one["prediction"][i]],
                "after": probe.labels[other["prediction"][j]],
            }
            for text, changed, one, i, other, j, place in shown
        ],
    }


def _run(context: EvaluationContext) -> dict[str, Any]:
    column = context.recipe.task.only_input(context.rows)
    if column is None or column.kind.changes is None:
        return {"not_tested": "The robustness check is only for the classification of single texts or pictures."}
    values = context.rows[column.role].to_pylist()
    found: dict[str, Any] = column.kind.changes(
        probe_of(context, column), values, context.places, context.references, context.config.evaluation
    )
    return found


def _stage(context: EvaluationContext) -> str:
    return f"Perturbing {context.recipe.task.inputs[0].kind.nouns[1]}"


CHECK = Check("robustness", _run, wanted=named("robustness"), stage=_stage)
