"""Explain a model's predictions, and measure how far the explanations can be believed."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import toolkit
from toolkit import recipes, runs
from toolkit.claim import sole_writer
from toolkit.data import columns
from toolkit.data.read import read
from toolkit.errors import ConfigError, ModelError
from toolkit.explain import trust
from toolkit.explain.attributions import BY_NAME, Explanation, available
from toolkit.explain.question import Model
from toolkit.pipeline import explain_pictures, explain_translations, explanation_store, judge, questions
from toolkit.pipeline.evaluate import Examination
from toolkit.pipeline.events import Counted, Note, Observe, Stage
from toolkit.pipeline.explain_order import MOST_TEXTS, Budget, Given, Order, Texts, lines_or_table
from toolkit.recipes import Column
from toolkit.report import explanation as document
from toolkit.report import pictures


def read_texts(path: Path, subject: Examination) -> list[Texts]:
    """Read many texts: the lines of a .txt file, or the text columns of a table."""

    def of_table(path: Path) -> list[Texts]:
        return _texts_of(pa.concat_tables(read(path).values(), promote_options="permissive"), subject)

    return lines_or_table(path, of_table, "text")


def explain(
    subject: Examination, order: Order, output: str | None, command: str, observe: Observe
) -> tuple[Path, dict[str, Any]]:
    """Explain what the model says of each text.

    Args:
        subject: The model and its data, from `prepare_evaluation`.
        order: What to explain.
        output: Folder to write to; inside the run, or under runs/, when None.
        command: The command line, for the page.
        observe: Told what happens.

    Returns:
        The folder, and the explanation as explanation.json holds it.

    Raises:
        ConfigError: There is no such method, or what draws pictures is not installed.
        ModelError: The model does not classify texts, or its attention cannot be recorded.
    """
    _check_methods(order.methods)
    if recipes.generates(subject.recipe):
        return explain_translations.explain(subject, order, output, command, observe)
    if order.gold is not None:
        raise ConfigError("Only translations have a gold alignment.", "Leave out --gold.")
    of_pictures = reads_pictures(subject)
    if not of_pictures:
        _text_columns(subject)
    if order.pictures and not of_pictures:
        pictures.check()
    created, budget = datetime.now(UTC), Budget.of(order.minutes)
    stored = subject.stored(observe, slim=False)
    loaded = stored.subject
    model = explain_pictures.asked(loaded) if of_pictures else questions.asked(loaded)
    watched = questions.attention_fits(loaded, order.texts[0])
    methods = tuple(order.methods) or available(watched)
    notes = []
    if not watched:
        notes.append(
            "This family's attention is not over the whole picture, so the methods that need it are left out."
            if of_pictures
            else "This family computes attention in a way of its own, which cannot be recorded or drawn."
        )
    thing = "picture" if of_pictures else "text"
    if len(order.texts) > MOST_TEXTS:
        notes.append(f"The page holds the first {MOST_TEXTS} of {len(order.texts):,} {thing}s.")
    number = min(len(order.texts), MOST_TEXTS)
    observe(Stage(f"Explaining {number} {thing}{'s' if number > 1 else ''}"))
    measures = bool(order.rows and subject.rows.num_rows)
    within = budget.part(0.5) if measures else budget
    explained = questions.explained(model, loaded, order.texts[:MOST_TEXTS], methods, observe, within.spent)
    if len(explained) < number:
        notes.append(f"Time for {len(explained)} of {number} {thing}s; --minutes gives more, --method takes less.")
    measured = _trust(model, loaded, subject, methods, order.rows, observe, budget) if measures else None
    if order.rows and not measures:
        notes.append(
            "No examples come with this model, so how far to believe each method was not measured: name --data."
        )
    if measures and measured is None:
        notes.append(
            "How far to believe each method was not measured: that takes two examples, or time for "
            f"{trust.LEAST_TEXTS} of more."
        )
    if measured is not None and measured["texts"] < min(order.rows, subject.rows.num_rows):
        notes.append(f"Time to measure the methods on {measured['texts']} examples; --minutes gives more.")
    if "integrated-gradients" not in available():
        notes.append("Integrated gradients are left out: `pip install finetune-toolkit[explain]` brings captum.")
    for text in notes:
        observe(Note(text))
    built = document.build(
        explained,
        [BY_NAME[name].for_pictures() if of_pictures else BY_NAME[name] for name in methods],
        measured,
        model=subject.checkpoint.name,
        origin=subject.checkpoint.origin,
        labels=subject.labels,
        command=command,
        created=created.isoformat(timespec="seconds"),
        version=toolkit.__version__,
        notes=notes,
        regions=_regions(loaded, order, [one for one, _ in explained], methods),
    )
    folder = explanation_store.folder(subject, output, created)
    with sole_writer(folder):
        runs.write_json(folder / "explanation.json", built)
        runs.write_text(folder / "explanation.html", document.to_html(built, explained))
        if order.pictures:
            document.draw(built, explained, folder)
    return folder, built


def _regions(
    loaded: judge.Subject, order: Order, explained: Sequence[Explanation], methods: Sequence[str]
) -> dict[str, Any] | None:
    """Say how well the regions of pictures meet boxes that came with them."""
    rows = [one for one in order.texts[:MOST_TEXTS] if not isinstance(one, tuple)]
    return explain_pictures.judge_regions(loaded, rows, explained, methods) if rows else None


def reads_pictures(subject: Examination) -> bool:
    """Whether the model classifies pictures."""
    return any(column.kind == "image" for column in subject.recipe.COLUMNS)


def read_inputs(path: Path, subject: Examination) -> list[Any]:
    """Read many texts or pictures from a file or a folder, whichever the model takes."""
    if reads_pictures(subject):
        return list(explain_pictures.read_pictures(path, subject.recipe, subject.config))
    if recipes.generates(subject.recipe):
        return list(explain_translations.read_pairs(path, subject))
    return list(read_texts(path, subject))


def _check_methods(wanted: Sequence[str]) -> None:
    unknown = [name for name in wanted if name not in BY_NAME]
    if unknown:
        raise ConfigError(f"There is no method `{unknown[0]}`.", f"Methods: {', '.join(BY_NAME)}.")
    missing = [name for name in wanted if name not in available()]
    if missing:
        raise ConfigError("Integrated gradients need captum.", "pip install finetune-toolkit[explain]")


def _texts_of(rows: pa.Table, subject: Examination) -> list[Texts]:
    """Return the texts of each row of a table."""
    wanted = _text_columns(subject)
    named = {role: name for role, name in subject.config.data.columns.items() if name in rows.column_names}
    chosen = {column.role: named[column.role] for column in wanted if column.role in named}
    found = columns.find(rows.column_names, wanted, chosen)
    values = [rows[found[column.role]].to_pylist() for column in wanted if column.role in found]
    return [texts for row in zip(*values, strict=True) if (texts := tuple(str(t) for t in row if t and str(t).strip()))]


def _text_columns(subject: Examination) -> list[Column]:
    wanted = [column for column in subject.recipe.COLUMNS if column.kind == "text"]
    if not wanted:
        raise ModelError(
            f"The recipe {subject.config.recipe} reads no whole texts, so there is nothing to explain word by word.",
            "Explain a run of a recipe that classifies texts, such as `sentiment`.",
        )
    return wanted


def _pictures_of(subject: Examination) -> list[Given]:
    (role,) = (column.role for column in subject.recipe.COLUMNS if column.kind == "image")
    return [row for row in subject.rows[role].to_pylist() if row]


def _trust(
    model: Model,
    loaded: judge.Subject,
    subject: Examination,
    methods: Sequence[str],
    rows: int,
    observe: Observe,
    budget: Budget,
) -> dict[str, Any] | None:
    """Measure the methods on rows of the model's data, or read what was measured before.

    What is cut short for want of time is not kept for later calls, and None where it would say too little.
    """
    texts: list[Given] = _pictures_of(subject) if reads_pictures(subject) else list(_texts_of(subject.rows, subject))
    seed = subject.config.training.seed
    chosen = np.random.default_rng(seed).permutation(len(texts))[:rows]
    texts = [texts[row] for row in chosen]
    named = [one if isinstance(one, tuple) else one["digest"] for one in texts]
    store = explanation_store.measurement(subject, [named, list(methods)])
    if store is not None and store.is_file():
        return runs.read_object(store)
    observe(
        Stage(
            f"Measuring how far {', '.join(methods)} can be believed, on {len(texts)} examples; "
            "kept for calls with these methods and this --rows"
        )
    )
    within = budget.part(0.4)
    explained = [one for one, _ in questions.explained(model, loaded, texts, methods, observe, within.spent)]
    if len(explained) < max(2, min(len(texts), trust.LEAST_TEXTS)):
        return None

    def report(stage: str, done: int, total: int) -> None:
        observe(Stage(stage) if done == 0 else Counted(done, total))

    measured = trust.measure(
        model,
        explained,
        methods,
        confidence=subject.config.evaluation.confidence,
        resamples=subject.config.evaluation.resamples,
        seed=seed,
        observe=report,
        within=lambda share: budget.part(share).spent,
    )
    if store is not None and not trust.cut_short(measured, len(texts)):
        runs.write_json(store, measured)
    return measured
