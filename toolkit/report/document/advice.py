"""Advice: symptoms in the curves and metrics of a report, each with its evidence and a command that addresses it.

A piece of advice is {"id", "evidence", "advice", "command"}: a stable identifier, the observation, the remedy, and the
command that does it, None where there is none. A symptom is reported where its evidence exceeds chance;
a report without one gets no advice.
"""

import math
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from toolkit.config.time_budget import written
from toolkit.data.tables import wording
from toolkit.evaluation.statistics.label_noise import TOLERATED
from toolkit.report.document.command_lines import range_test, repeated
from toolkit.report.document.differences import is_worse

STILL_FALLING = 0.03  # share by which validation loss fell in the last pass, where more passes are worth trying
SHOWN = 0.001  # loss that is shown
HARDLY_LEARNT = 0.9  # share of the loss of guessing, above which the model underfits
LOSS_ROSE = 1.1  # times its lowest, by which validation loss rises when a model overfits
MANY_CUT = 0.05  # share of the examples
DOUBTED = 0.01  # chance of labels that contradict the model as much, where few are wrong
ACCURATE = 2 / 3  # accuracy below which a model's own mistakes cannot be told from wrong labels
FEW_ROWS = 100  # of validation, on which figures are too coarse to choose by
LEARNABLE = 3  # training rows of a class, below which it cannot be learned
RARE = 0.5  # times the mean training rows of a class, below which a class is rare
SIGNIFICANT = 0.05  # of McNemar's test
USUAL_LENGTH = 256  # tokens, as by default
NAMED = 3  # classes that a sentence names
_GAP = 0.1  # share of train loss within which validation loss equals it


@dataclass(frozen=True)
class Symptoms:
    """A report, with the values that symptoms are derived from.

    Attributes:
        report: As `build` assembled it.
    """

    report: Mapping[str, Any]

    @cached_property
    def training(self) -> Mapping[str, Any]:
        """Facts of the training; empty where the rows are not the run's own."""
        return self.report.get("training") or {}

    @cached_property
    def settings(self) -> Mapping[str, Any]:
        """The training section of the configuration."""
        settings: Mapping[str, Any] = (self.report.get("config") or {}).get("training") or {}
        return settings

    @cached_property
    def points(self) -> list[Mapping[str, Any]]:
        """Validations that hold both losses, after the first step."""
        every = self.training.get("evaluations") or []
        return [p for p in every if p.get("step") and None not in (p.get("loss"), p.get("train_loss"))]

    @cached_property
    def start(self) -> float | None:
        """The validation loss before the first step, of the linear probe; None where it was not computed."""
        every = self.training.get("evaluations") or []
        return next((p["loss"] for p in every if p.get("step") == 0 and p.get("loss") is not None), None)

    @cached_property
    def collapsed(self) -> bool:
        """Whether training made the model worse than it began, on its training rows as well."""
        if self.start is None or not self.points:
            return False
        return bool(min(self.points[-1]["train_loss"], self.points[-1]["loss"]) > LOSS_ROSE * self.start)

    @cached_property
    def learned(self) -> Mapping[str, float]:
        """Training rows of each class; empty for a task without classes."""
        splits = (self.report.get("data") or {}).get("splits") or []
        return next((split.get("classes") or {} for split in splits if split["name"] == "train"), {})

    @cached_property
    def uniform(self) -> float | None:
        """The loss of uniform guessing among the classes, in nats; None for a task without classes."""
        classes = len(self.report["evaluation"].get("labels") or ())
        return math.log(classes) if classes > 1 else None

    @cached_property
    def ended_by_budget(self) -> bool:
        """Whether the time limit alone reduced the number of steps."""
        budget, steps = self.training.get("budget") or {}, self.training.get("steps")
        whole = budget.get("steps_without_limit")
        return bool(steps is not None and whole and steps < whole and not self.training.get("stopped_early"))

    def rows(self, part: str) -> int:
        """Return the rows of a part of the data."""
        splits = (self.report.get("data") or {}).get("splits") or []
        return int(next((split["rows"] for split in splits if split["name"] == part), 0))

    def again(self, **options: object) -> str | None:
        """Return the command of the run with other options; None where the report has no run."""
        return repeated(self.command, **options) if self.command else None

    @cached_property
    def command(self) -> list[str]:
        """The words of the command that made the run; empty where the report has no run."""
        command = shlex.split(self.report.get("command") or "")
        return command if command[:2] == ["toolkit", "finetune"] else []


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
    points, uniform, rate = symptoms.points, symptoms.uniform, symptoms.settings.get("learning_rate")
    if not points or uniform is None:
        return
    last = points[-1]
    level = last["loss"] < (1 + _GAP) * last["train_loss"]
    better_before = symptoms.start is not None and symptoms.start < last["loss"]
    if last["train_loss"] > HARDLY_LEARNT * uniform and level and not better_before and not _rising(points):
        yield _piece(
            "training.hardly-learnt",
            f"At the end the loss is {last['train_loss']:.3f} on train rows and {last['loss']:.3f} on validation rows; "
            f"random guessing gives {uniform:.3f}.",
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
    if last.get(symptoms.settings.get("best_metric") or "loss") == 1 or before["loss"] - last["loss"] < SHOWN:
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
    if symptoms.points and symptoms.points[-1].get(symptoms.settings.get("best_metric") or "loss") == 1:
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
    points, metric = symptoms.points, symptoms.settings.get("best_metric") or "loss"
    if len(points) < 3 or any(metric not in point for point in points):
        return
    best = max(points, key=lambda p: -p["loss"] if metric == "loss" else p[metric])
    last, rows = points[-1], symptoms.rows("validation")
    if not rows or last["train_loss"] >= best["train_loss"] or last["loss"] < LOSS_ROSE * best["loss"]:
        return
    chance = 2 * math.sqrt(max(0.0, best[metric] * (1 - best[metric])) / rows) if 0 <= best[metric] <= 1 else 0.0
    if metric == "loss" or best[metric] - last[metric] > chance:
        yield _piece(
            "training.overfitting",
            f"After epoch {best['epoch']:g} validation loss rose from {best['loss']:.3f} to {last['loss']:.3f}, "
            f"while loss on train rows fell from {best['train_loss']:.3f} to {last['train_loss']:.3f}.",
            "The model overfits: train for fewer epochs, or with more dropout.",
            symptoms.again(epochs=f"{max(1, math.ceil(best['epoch'])):g}"),
        )


def _never_predicted(symptoms: Symptoms) -> Iterator[Advice]:
    """Classes that are never predicted; the weights of classes help where these are rare, and training where not."""
    confusion = symptoms.report["evaluation"].get("confusion") or {}
    labels, matrix = confusion.get("labels") or [], confusion.get("matrix") or []
    unit = symptoms.report["evaluation"].get("unit") or ""
    missing = [
        number
        for number in range(len(labels) - bool(unit))  # the last one stands for no entity
        if sum(matrix[number]) >= 5 and not sum(row[number] for row in matrix)  # of fewer, chance may have it so
    ]
    if not missing:
        return
    names = _first([f"“{labels[number]}”" for number in missing])
    listed = ", ".join(names[:-1]) + f" and {names[-1]}" if len(names) > 1 else names[0]
    truth = sum(sum(matrix[number]) for number in missing)
    counts = [symptoms.learned[labels[number]] for number in missing if labels[number] in symptoms.learned]
    mean = sum(symptoms.learned.values()) / len(symptoms.learned) if symptoms.learned else 0.0
    rows = f" Training rows of these classes: {min(counts):,} to {max(counts):,}." if len(counts) > 1 else ""
    rows = f" It has {counts[0]:,} training rows." if len(counts) == len(missing) == 1 else rows
    rare = not counts or max(counts) < RARE * mean
    epochs = symptoms.settings.get("epochs")
    longer = symptoms.again(epochs=f"{2 * epochs:g}") if epochs else None
    yield _piece(
        "classes.never-predicted",
        f"{listed} {'is' if len(missing) == 1 else 'are'} never predicted, although {truth:,} {unit or 'rows'} have "
        f"{'this label' if len(missing) == 1 else 'these labels'}.{rows}",
        "Increase the weight of rare classes, or add examples of them."
        if rare
        else "Train for longer; if that does not help, check whether their labels can be told from the input.",
        symptoms.again(loss__class_weights="balanced") if rare else longer,
    )


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
        symptoms.again(data__min_label_rows=LEARNABLE, data__rare_labels="merge") if len(few) > 1 else None,
    )


def _below_a_baseline(symptoms: Symptoms) -> Iterator[Advice]:
    compared = [b for b in symptoms.report.get("baselines") or [] if b.get("difference")]
    worse = [baseline for baseline in compared if _significantly_worse(baseline["difference"])]
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


def _significantly_worse(difference: Mapping[str, Any]) -> bool:
    """Whether the interval says so, and McNemar's test where there is one: of a few rows the interval is too narrow."""
    test = difference.get("mcnemar") or {}
    return is_worse(difference) and (test.get("p") is None or test["p"] < SIGNIFICANT)


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
            f"The checkpoint is selected on {rows:,} validation rows, on which metrics vary by "
            f"{100 * math.sqrt(0.25 / rows):.0f} points by chance.",
            "Set more rows aside for validation.",
            symptoms.again(data__validation_fraction=f"{share:g}"),
        )


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
