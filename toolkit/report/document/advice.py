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
from toolkit.evaluation.checks.label_noise import TOLERATED
from toolkit.report.document.differences import is_worse

STILL_FALLING = 0.03  # share by which validation loss fell in the last pass, where more passes are worth trying
SHOWN = 0.001  # loss that is shown
HARDLY_LEARNT = 0.9  # share of the loss of guessing, above which the model underfits
LOSS_ROSE = 1.1  # times its lowest, by which validation loss rises when a model overfits
MANY_CUT = 0.05  # share of the examples
DOUBTED = 0.01  # chance of labels that contradict the model as much, where few are wrong
FEW_ROWS = 100  # validation rows, on which metrics are too coarse for selection
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
        command = shlex.split(self.report.get("command") or "")
        if command[:2] != ["toolkit", "finetune"]:
            return None
        return repeated(command, **options)


def repeated(command: Sequence[str], **options: object) -> str:
    """Return a command line with other options, and without its output folder."""
    words = without_option(without_option(command, "--output"), "-o")
    words = [word for word in words if word != "--resume"]
    for name, value in options.items():
        words = with_option(words, name, value)
    return shlex.join(words)


def with_option(command: Sequence[str], name: str, value: object) -> list[str]:
    """Set an option of a command line, `epochs` as --epochs and `training__dropout` as --set training.dropout."""
    key = name.replace("__", ".")
    kept: list[str] = []
    if key != name:
        before = ""
        for word in command:
            if before == "--set" and word.partition("=")[0] == key:
                kept.pop()
            else:
                kept.append(word)
            before = word
        return [*kept, "--set", f"{key}={value}"]
    flag = f"--{name.replace('_', '-')}"
    return [*without_option(command, flag), flag, str(value)]


def without_option(command: Sequence[str], flag: str) -> list[str]:
    """Leave an option and its value out of a command line."""
    kept: list[str] = []
    skip = False
    for word in command:
        if skip or word.startswith(f"{flag}="):
            skip = False
        elif word == flag:
            skip = True
        else:
            kept.append(word)
    return kept


Advice = dict[str, Any]


def advise(report: Mapping[str, Any]) -> list[Advice]:
    """Return the advice, the most important first.

    Args:
        report: As `build` assembled it.
    """
    symptoms = Symptoms(report)
    return [advice for rule in _RULES for advice in rule(symptoms)]


def _piece(name: str, evidence: str, advice: str, command: str | None) -> Advice:
    return {"id": name, "evidence": evidence, "advice": advice, "command": command}


def _rate_too_high(symptoms: Symptoms) -> Iterator[Advice]:
    points, rate = symptoms.points, symptoms.settings.get("learning_rate")
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
    if last["train_loss"] > HARDLY_LEARNT * uniform and level and not _rising(points):
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
    other = budget["before_training"] + budget["kept_for_evaluation"]
    enough = other + training["seconds"] * min(4.0, whole / max(1, steps))
    yield _piece(
        "training.budget-too-short",
        f"The time budget ended training after {steps:,} of {whole:,} steps, and the last weights were the best.",
        "Increase --budget.",
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
    confusion = symptoms.report["evaluation"].get("confusion") or {}
    labels, matrix = confusion.get("labels") or [], confusion.get("matrix") or []
    splits = (symptoms.report.get("data") or {}).get("splits") or []
    learned = next((split.get("classes") or {} for split in splits if split["name"] == "train"), {})
    for number, label in enumerate(labels):
        truth = sum(matrix[number])
        if truth >= 5 and not sum(row[number] for row in matrix):  # with fewer, it may be chance
            rows = f" It has {learned[label]:,} training rows." if label in learned else ""
            yield _piece(
                "classes.never-predicted",
                f"“{label}” is never predicted, although {truth:,} rows have this label.{rows}",
                "Increase the weight of rare classes, or add examples of them.",
                symptoms.again(loss__class_weights="balanced"),
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
            "Use the baseline, or measure a learning rate and train for longer.",
            _range_test(symptoms),
        )


def _range_test(symptoms: Symptoms) -> str | None:
    """Return the command that measures a learning rate on the data of the run."""
    source, recipe = (symptoms.report.get("data") or {}).get("source"), symptoms.report.get("recipe")
    if not source or not recipe or symptoms.again() is None:
        return None
    model = symptoms.report["model"].get("name")
    return shlex.join(["toolkit", "lr-find", str(recipe), "--model", str(model), "--data", str(source)])


def _labels_doubted(symptoms: Symptoms) -> Iterator[Advice]:
    section = symptoms.report["evaluation"].get("label_errors") or {}
    noise = section.get("noise") or {}
    rate, p, doubted = noise.get("rate"), noise.get("p"), section.get("doubted")
    if rate is None or p is None or not doubted or p >= DOUBTED:
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
            f"{cut:,} of {rows:,} training examples were truncated to {length:,} tokens.",
            "Raise the maximum length if the model supports it and the truncated part matters.",
            symptoms.again(max_length=2 * length),
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
    _hardly_learned,
    _below_a_baseline,
    _never_predicted,
    _overfitting,
    _still_improving,
    _labels_doubted,
    _budget_too_short,
    _texts_cut,
    _few_validation_rows,
)
