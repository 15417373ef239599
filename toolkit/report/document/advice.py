"""Advice: symptoms in the curves and metrics of a report, each with its evidence and a command that addresses it.

A piece of advice is {"id", "evidence", "advice", "command"}: a stable identifier, the observation, the remedy, and the
command that does it, None where there is none. A symptom is reported where its evidence exceeds chance;
a report without one gets no advice.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from toolkit.config.time_budget import written
from toolkit.data.tables import wording
from toolkit.evaluation.statistics.label_noise import TOLERATED
from toolkit.report.document.command_lines import range_test
from toolkit.report.document.figures import bare, is_worse
from toolkit.report.document.symptoms import LOSS_ROSE, Symptoms

STILL_FALLING = 0.03  # share by which validation loss fell in the last pass, where more passes are worth trying
SHOWN = 0.001  # loss that is shown
HARDLY_LEARNT = 0.9  # share of the loss of guessing, above which the model underfits
MANY_CUT = 0.05  # share of the examples
DOUBTED = 0.01  # chance of labels that contradict the model as much, where few are wrong
ACCURATE = 2 / 3  # accuracy below which a model's own mistakes cannot be told from wrong labels
FEW_ROWS = 100  # of validation, on which figures are too coarse to choose by
LEARNABLE = 3  # training rows of a class, below which it cannot be learned
RARE = 0.5  # times the mean training rows of a class, below which a class is rare
USUAL_LENGTH = 256  # tokens, as by default
NAMED = 3  # classes that a sentence names
_GAP = 0.1  # share of train loss within which validation loss equals it


Advice = dict[str, Any]


def advise(report: Mapping[str, Any]) -> list[Advice]:
    """Return the advice, the most important first.

    Args:
        report: As `build` assembled it.
    """
    symptoms = Symptoms(report)
    pieces = [advice for rule in _RULES for advice in rule(symptoms)]
    cause = next((_CAUSES[piece["id"]] for piece in pieces if piece["id"] in _CAUSES), ())
    return [piece for piece in pieces if piece["id"] not in cause]


def _piece(name: str, evidence: str, advice: str, command: str | None) -> Advice:
    return {"id": name, "evidence": evidence, "advice": advice, "command": command}


def _rate_too_high(symptoms: Symptoms) -> Iterator[Advice]:
    points, rate = symptoms.points, symptoms.settings.get("learning_rate")
    if symptoms.collapsed and rate:
        yield _piece(
            "training.rate-too-high",
            f"Validation loss was {symptoms.start:.3f} before the first step and is {points[-1]['loss']:.3f} at the "
            f"end; on train rows it is {points[-1]['train_loss']:.3f}.",
            "Training destroyed what the pretrained model knew: lower the learning rate.",
            symptoms.again(learning_rate=f"{rate / 10:.2g}"),
        )
        return
    if len(points) < 2 or not rate:
        return
    best, last = min(points, key=lambda p: p["train_loss"]), points[-1]
    if last["train_loss"] > LOSS_ROSE * best["train_loss"] and last["loss"] > LOSS_ROSE * best["loss"]:
        yield _piece(
            "training.rate-too-high",
            f"Loss on train rows rose from {best['train_loss']:.3f} to {last['train_loss']:.3f}, "
            f"and on validation rows from {best['loss']:.3f} to {last['loss']:.3f}.",
            "Training became unstable: lower the learning rate.",
            symptoms.again(learning_rate=f"{rate / 3:.2g}"),
        )


def _hardly_learned(symptoms: Symptoms) -> Iterator[Advice]:
    points, guessing, rate = symptoms.points, symptoms.guessing, symptoms.settings.get("learning_rate")
    if not points or guessing is None:
        return
    last, (ignorant, guesser) = points[-1], guessing
    level = last["loss"] < (1 + _GAP) * last["train_loss"]
    better_before = symptoms.start is not None and symptoms.start < last["loss"]
    if last["train_loss"] > HARDLY_LEARNT * ignorant and level and not better_before and not _rising(points):
        yield _piece(
            "training.hardly-learnt",
            f"At the end the loss is {last['train_loss']:.3f} on train rows and {last['loss']:.3f} on validation rows; "
            f"{guesser} {ignorant:.3f}.",
            "The model underfits: raise the learning rate, or train for longer.",
            symptoms.again(learning_rate=f"{3 * rate:.2g}") if rate else None,
        )


def _rising(points: Sequence[Mapping[str, Any]]) -> bool:
    return bool(points[-1]["train_loss"] > LOSS_ROSE * min(point["train_loss"] for point in points))


def _still_improving(symptoms: Symptoms) -> Iterator[Advice]:
    points, epochs = symptoms.points, symptoms.settings.get("epochs")
    if len(points) < 2 or not epochs or symptoms.training.get("stopped_early") or symptoms.ended_by_budget:
        return
    before, last = points[-2], points[-1]
    if symptoms.perfect(last) or before["loss"] - last["loss"] < SHOWN:
        return  # every validation row is correct, or the decrease is too small to show
    if last["step"] == symptoms.training.get("best_step") and last["loss"] < (1 - STILL_FALLING) * before["loss"]:
        yield _piece(
            "training.still-improving",
            f"Validation loss was still falling in the last epoch, from {before['loss']:.3f} to {last['loss']:.3f}.",
            "Train for longer.",
            symptoms.again(epochs=f"{2 * epochs:g}"),
        )


def _budget_too_short(symptoms: Symptoms) -> Iterator[Advice]:
    """The budget ended training while the last weights were the best."""
    budget, training = symptoms.training.get("budget") or {}, symptoms.training
    if not symptoms.ended_by_budget or training.get("best_step") != training.get("steps"):
        return
    if symptoms.points and symptoms.perfect(symptoms.points[-1]):
        return  # every validation row is right
    steps, whole = training["steps"], budget["steps_without_limit"]
    other = max(budget["before_training"] + budget["kept_for_evaluation"], budget["seconds"] - training["seconds"])
    enough = other + training["seconds"] * whole / max(1, steps)
    yield _piece(
        "training.budget-too-short",
        f"The time budget ended training after {steps:,} of {whole:,} steps, and the last weights were the best.",
        f"Increase --budget: for all steps it takes about {written(10 * math.ceil(enough / 10))}.",
        symptoms.again(budget=written(10 * math.ceil(max(1.5 * budget["seconds"], enough) / 10))),
    )


def _overfitting(symptoms: Symptoms) -> Iterator[Advice]:
    """Validation metrics fell by more than chance while training loss fell."""
    points, metric = symptoms.points, symptoms.selecting
    if len(points) < 3 or any(metric not in point for point in points):
        return
    best = max(points, key=lambda p: -p[metric] if symptoms.falls else p[metric])
    last, rows = points[-1], symptoms.rows("validation")
    if not rows or last["train_loss"] >= best["train_loss"] or last["loss"] < LOSS_ROSE * best["loss"]:
        return
    if metric == "loss" or symptoms.fall(best, last) > symptoms.chance(best[metric]):
        yield _piece(
            "training.overfitting",
            f"After epoch {best['epoch']:g} validation loss rose from {best['loss']:.3f} to {last['loss']:.3f}, "
            f"while loss on train rows fell from {best['train_loss']:.3f} to {last['train_loss']:.3f}.",
            "The model overfits: train for fewer epochs, or with more dropout.",
            symptoms.again(epochs=f"{max(1, math.ceil(best['epoch'])):g}"),
        )


def _never_predicted(symptoms: Symptoms) -> Iterator[Advice]:
    """Classes that are never predicted; the weights of classes help where these are rare, and training where not."""
    unit = symptoms.report["evaluation"].get("unit") or ""
    # of fewer rows, chance may have it so
    missing = {label: rows for label, rows, predicted in _predicted(symptoms) if rows >= 5 and not predicted}
    if not missing:
        return
    names = _first([f"“{label}”" for label in missing])
    listed = ", ".join(names[:-1]) + f" and {names[-1]}" if len(names) > 1 else names[0]
    truth = sum(missing.values())
    counts = [symptoms.learned[label] for label in missing if label in symptoms.learned]
    mean = sum(symptoms.learned.values()) / len(symptoms.learned) if symptoms.learned else 0.0
    rows = f" Training rows of these classes: {min(counts):,} to {max(counts):,}." if len(counts) > 1 else ""
    rows = f" It has {counts[0]:,} training rows." if len(counts) == len(missing) == 1 else rows
    rare = not counts or max(counts) < RARE * mean
    epochs = symptoms.settings.get("epochs")
    longer = symptoms.again(epochs=f"{2 * epochs:g}") if epochs else None
    ordered = bool(symptoms.report["evaluation"].get("distance"))  # their loss takes no weights
    weights = symptoms.again(loss__class_weights="balanced") if not ordered else None
    heavier = "Add examples of them." if ordered else "Increase the weight of rare classes, or add examples of them."
    yield _piece(
        "classes.never-predicted",
        f"{listed} {'is' if len(missing) == 1 else 'are'} never predicted, although {truth:,} {unit or 'rows'} have "
        f"{'this label' if len(missing) == 1 else 'these labels'}.{rows}",
        heavier
        if rare
        else "Train for longer; if that does not help, check whether their labels can be told from the input.",
        weights if rare else longer,
    )


def _predicted(symptoms: Symptoms) -> list[tuple[str, int, int]]:
    """Return each class with the numbers of rows that have it and that are predicted as it."""
    evaluation = symptoms.report["evaluation"]
    if symptoms.several:
        return [(row["label"], row["support"], row["predicted"]) for row in evaluation["per_class"]]
    confusion = evaluation.get("confusion") or {}
    matrix = confusion.get("matrix") or []
    columns = zip(*matrix, strict=True)
    counted = [
        (label, sum(row), sum(column))
        for label, row, column in zip(confusion.get("labels") or [], matrix, columns, strict=True)
    ]
    return counted[:-1] if evaluation.get("unit") else counted  # the last one stands for no entity


def _first(names: Sequence[str]) -> list[str]:
    """Return the first names, and how many more there are."""
    return [*names[:NAMED], *([f"{len(names) - NAMED:,} more"] if len(names) > NAMED else [])]


def _too_few_rows(symptoms: Symptoms) -> Iterator[Advice]:
    """Classes with next to no training rows."""
    few = {label: int(rows) for label, rows in symptoms.learned.items() if rows < LEARNABLE}
    if not few or not symptoms.training:
        return
    names = _first([f"“{label}” ({rows})" for label, rows in few.items()])
    yield _piece(
        "classes.too-few-rows",
        f"Classes with fewer than {LEARNABLE} training rows: {', '.join(names)}.",
        "So few examples cannot be learned: add some, or combine rare classes into one, other.",
        symptoms.again(data__min_label_rows=LEARNABLE, data__rare_labels="merge")
        if len(few) > 1 and not symptoms.several
        else None,
    )


def _below_a_baseline(symptoms: Symptoms) -> Iterator[Advice]:
    compared = [b for b in symptoms.report.get("baselines") or [] if b.get("difference")]
    worse = [baseline for baseline in compared if is_worse(baseline["difference"])]
    if worse:
        ahead = max(worse, key=lambda baseline: abs(float(baseline["difference"]["value"])))
        yield _piece(
            "result.below-a-baseline",
            f"{ahead['title']} is better by {100 * abs(ahead['difference']['value']):.1f} points."
            if ahead["metrics"][0]["unit"] == "fraction"
            else f"{ahead['title']} is better.",
            "Use the baseline where it suffices, or measure a learning rate for this model.",
            range_test(symptoms.command) if symptoms.command else None,
        )


def _labels_doubted(symptoms: Symptoms) -> Iterator[Advice]:
    section = symptoms.report["evaluation"].get("label_errors") or {}
    noise = section.get("noise") or {}
    rate, p, doubted = noise.get("rate"), noise.get("p"), section.get("doubted")
    accuracy = next((m["value"] for m in symptoms.report["evaluation"]["metrics"] if m["name"] == "accuracy"), None)
    if rate is None or p is None or not doubted or p >= DOUBTED or accuracy is None or accuracy < ACCURATE:
        return
    yield _piece(
        "labels.doubted",
        f"The disagreement between labels and predictions suggests that {100 * rate:.0f} % of the labels are wrong, "
        f"more than the model's confidence explains (p = {p:.2g} for {100 * TOLERATED:.0f} % or fewer); {doubted:,} "
        "labels are suspect.",
        "Check the labels listed in the report, and correct the wrong ones in your data.",
        None,
    )


def _texts_cut(symptoms: Symptoms) -> Iterator[Advice]:
    cut, rows = symptoms.training.get("truncated") or 0, symptoms.rows("train")
    length = ((symptoms.report.get("config") or {}).get("data") or {}).get("max_length")
    if not symptoms.training.get("truncated_by_length", True):
        return
    if rows and length and cut > MANY_CUT * rows:
        yield _piece(
            "data.texts-cut",
            f"{cut:,} of {rows:,} training examples were truncated to {length:,} tokens"
            f"{wording.cut(symptoms.training.get('truncated_texts') or ())}.",
            "Raise the maximum length if the model supports it and the truncated part matters.",
            symptoms.again(max_length=max(2 * length, USUAL_LENGTH)),
        )


def _few_validation_rows(symptoms: Symptoms) -> Iterator[Advice]:
    rows, train = symptoms.rows("validation"), symptoms.rows("train")
    splits = (symptoms.report.get("data") or {}).get("splits") or []
    given = next((split["given"] for split in splits if split["name"] == "validation"), True)
    if 0 < rows < FEW_ROWS and train >= 5 * FEW_ROWS and symptoms.training and not given:
        share = min(0.3, math.ceil(20 * FEW_ROWS / (rows + train)) / 20)
        yield _piece(
            "data.few-validation-rows",
            f"The checkpoint is selected on {rows:,} validation rows, on which {_variation(symptoms, rows)}.",
            "Set more rows aside for validation.",
            symptoms.again(data__validation_fraction=f"{share:g}"),
        )


def _variation(symptoms: Symptoms, rows: int) -> str:
    """Return by how much a metric varies on so few rows."""
    figure = symptoms.figure
    if figure.get("unit", "fraction") == "fraction" or figure.get("low") is None:
        return f"metrics vary by {100 * math.sqrt(0.25 / rows):.0f} points by chance"
    return f"the {figure['title']} varies by {bare(symptoms.chance(figure['value']) / 2, figure['unit'])} by chance"


_RULES: tuple[Callable[[Symptoms], Iterator[Advice]], ...] = (
    _rate_too_high,
    _budget_too_short,
    _hardly_learned,
    _texts_cut,
    _below_a_baseline,
    _never_predicted,
    _too_few_rows,
    _overfitting,
    _still_improving,
    _labels_doubted,
    _few_validation_rows,
)
_EFFECTS = ("training.hardly-learnt", "result.below-a-baseline", "classes.never-predicted", "training.still-improving")
# identifier → those of symptoms that it explains, and which are left out beside it
_CAUSES: Mapping[str, Sequence[str]] = {
    "training.rate-too-high": _EFFECTS,
    "training.budget-too-short": _EFFECTS,
    "training.hardly-learnt": _EFFECTS[1:],
}
