"""Explain a model's predictions, by the default method or by several whose faithfulness is measured."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from toolkit import runs
from toolkit.commands.evaluate.inputs import EvaluationInputs
from toolkit.commands.explain import images, store, translations, word_labels
from toolkit.commands.explain import measure as explain_measure
from toolkit.commands.explain import text as explain_text
from toolkit.commands.explain.inputs import aligns, class_number, labels_words, reads_pictures, text_columns
from toolkit.commands.explain.request import ALL, MOST_TEXTS, Budget, ExplanationRequest
from toolkit.commands.explain.service import ONE_PASS, QUICK, default_method
from toolkit.errors import ConfigError
from toolkit.events import Note, Observe, Stage
from toolkit.explanation.attributions import BY_NAME, Explanation, Method, available, described
from toolkit.inference.model import LoadedModel
from toolkit.report.document.head import head
from toolkit.report.pages.attention import explanation as document
from toolkit.report.pages.attention.explanation import Shown
from toolkit.report.plots import explanation_images
from toolkit.runs.lock import sole_writer

LONG = 64  # words of a text; leaving out each word of a longer text takes too long


def explain(
    subject: EvaluationInputs, request: ExplanationRequest, output: str | None, command: str, observe: Observe
) -> tuple[Path, dict[str, Any]]:
    """Explain the prediction for each text.

    Args:
        subject: The model, and rows where methods are measured, from `prepare_evaluation`.
        request: What to explain.
        output: Folder to write to; inside the run, or under runs/, when None.
        command: The command line, for the page.
        observe: Called with each event.

    Returns:
        The folder, and the explanation as explanation.json holds it.

    Raises:
        ConfigError: There is no such method, or matplotlib is not installed.
        ModelError: The model does not classify texts, or its attention cannot be recorded.
    """
    _check_methods(request.methods)
    if aligns(subject):
        return translations.explain(subject, request, output, command, observe)
    if request.gold is not None:
        raise ConfigError("Only translations have a gold alignment.", "Remove --gold.", id="config.not-for-task")
    of_pictures, of_words = reads_pictures(subject), labels_words(subject)
    if request.word is not None and not of_words:
        raise ConfigError(
            "--word is for models that label each word of a text.", "Remove it.", id="config.not-for-task"
        )
    if not of_pictures:
        text_columns(subject)
    wanted = class_number(request.wanted, subject, subject.labels)
    if request.pictures and not of_pictures:
        explanation_images.check()
    created, budget = datetime.now(UTC), Budget.of(request.minutes)
    stored = subject.stored(observe, slim=False)
    loaded = stored.loaded
    model = images.model_for(loaded) if of_pictures else explain_text.model_for(loaded)
    of_numbers = model.outcome.number
    measured = store.find_measurement(subject.run, stored) if not request.rows else None
    known = available(explain_text.attention_fits(loaded, request.texts[0]))
    methods = _methods(request, known, measured)
    number = min(len(request.texts), MOST_TEXTS)
    observe(Stage(f"Explaining {number} {_noun(of_pictures)}{'s' if number > 1 else ''}"))
    within = budget.part(0.5) if request.rows else budget
    texts = request.texts[:MOST_TEXTS]
    if of_words:
        named = [text for text in texts if isinstance(text, tuple)]
        explained = word_labels.explained(stored, named, methods, request.word, observe, within.spent)
    else:
        choose = None if wanted is None else (lambda _number, _values: [wanted])
        explained = explain_text.explained(model, loaded, texts, methods, observe, within.spent, choose)
    if request.rows:
        measured = explain_measure.measure(stored, subject.rows, request.rows, subject.run, observe, budget, methods)
    # each text may have several words or classes explained
    done = len({id(item.example) for item, _ in explained}) if within.spent() else number
    notes = _notes(len(request.texts), done, known, methods, of_pictures=of_pictures)
    for text in notes:
        observe(Note(text))
    built = document.build(
        explained,
        [_described(name, of_pictures=of_pictures, of_words=of_words, of_numbers=of_numbers) for name in methods],
        measured,
        head=head(command, created),
        model={"name": subject.checkpoint.name, "origin": subject.checkpoint.origin, "labels": list(subject.labels)},
        prediction=Shown(model.outcome, loaded.calibration, subject.recipe.target.shown),
        notes=notes,
        verdict=explain_measure.summary(stored, measured, request.to_measure),
        regions=_regions(loaded, request, [explanation for explanation, _ in explained], methods),
    )
    folder = store.folder(subject, output, created)
    with sole_writer(folder):
        runs.write_json(folder / "explanation.json", built)
        runs.write_text(folder / "explanation.html", document.to_html(built, explained))
        if request.pictures:
            document.draw(built, explained, folder)
    return folder, built


def _described(name: str, *, of_pictures: bool, of_words: bool, of_numbers: bool) -> Method:
    """Return a method with its description for what is explained."""
    method = described(name, of_pictures=of_pictures, of_numbers=of_numbers)
    return word_labels.for_labels(method) if of_words else method


def _noun(of_pictures: bool) -> str:
    return "picture" if of_pictures else "text"


def _notes(given: int, explained: int, known: Sequence[str], methods: Sequence[str], *, of_pictures: bool) -> list[str]:
    """Say which methods and which of the given inputs are omitted, and why."""
    notes = []
    if len(methods) > 1 and len(known) < len(available()):
        notes.append(
            "This model family has no attention over the whole picture, so the methods that need it are omitted."
            if of_pictures
            else "This model family computes attention with its own code, which cannot be recorded or drawn."
        )
    things, number = f"{_noun(of_pictures)}s", min(given, MOST_TEXTS)
    if given > number:
        notes.append(f"The page shows the first {number} of {given:,} {things}.")
    if explained < number:
        notes.append(f"The time limit allowed {explained} of {number} {things}; raise --minutes or name a --method.")
    if len(methods) > 1 and "integrated-gradients" not in available():
        notes.append("Integrated gradients are omitted: install captum with `pip install finetune-toolkit[explain]`.")
    return notes


def measure(subject: EvaluationInputs, request: ExplanationRequest, observe: Observe) -> dict[str, Any]:
    """Measure how faithful the methods are, without explaining inputs.

    Args:
        subject: The model and its data, from `prepare_evaluation`.
        request: Methods, on how many rows, and for how long.
        observe: Called with each event.

    Returns:
        The result in sentences: "headline", "statements" and "warnings".

    Raises:
        ConfigError: There is no such method.
        ModelError: The model's predictions cannot be explained.
    """
    _check_methods(request.methods)
    stored = subject.stored(observe, slim=False)
    methods = () if ALL in request.methods else request.methods
    budget = Budget.of(request.minutes)
    result = explain_measure.measure(stored, subject.rows, request.rows, subject.run, observe, budget, methods)
    return explain_measure.summary(stored, result, request.to_measure)


def _methods(request: ExplanationRequest, known: Sequence[str], measured: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return the methods to explain by."""
    if ALL in request.methods or (request.rows and not request.methods):
        return tuple(known)
    slow = any(not isinstance(text, tuple) or len(" ".join(text).split()) > LONG for text in request.texts)
    return tuple(request.methods) or (default_method(known, measured, ONE_PASS if slow else QUICK),)


def _regions(
    loaded: LoadedModel, request: ExplanationRequest, explained: Sequence[Explanation], methods: Sequence[str]
) -> dict[str, Any] | None:
    """Measure how well the regions of pictures match their boxes."""
    rows = [text for text in request.texts[:MOST_TEXTS] if not isinstance(text, tuple)]
    return images.evaluate_regions(loaded, rows, explained, methods) if rows else None


def _check_methods(wanted: Sequence[str]) -> None:
    unknown = [name for name in wanted if name not in (*BY_NAME, ALL)]
    if unknown:
        raise ConfigError(
            f"There is no method `{unknown[0]}`.", f"Methods: {', '.join(BY_NAME)}, {ALL}.", id="config.unknown-choice"
        )
    missing = [name for name in wanted if name not in (*available(), ALL)]
    if missing:
        raise ConfigError(
            "Integrated gradients need captum.", "pip install finetune-toolkit[explain]", id="machine.package-missing"
        )
