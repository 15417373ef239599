"""Choose rows of a pool to label next, write them, and estimate what more labels are worth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import toolkit
from toolkit import runs
from toolkit.commands.evaluate.stored_model import find_stored, stored_card
from toolkit.commands.predict.input_rows import assign_columns, no_rows, note_assumptions, read_rows, root_of, sampled
from toolkit.commands.predict.predictor import Predictor
from toolkit.commands.select import files, labelled, pool
from toolkit.commands.select.files import Batch
from toolkit.config import RunConfig
from toolkit.data.sources import row_stream
from toolkit.data.tables.columns import SELECTED_BY
from toolkit.errors import ConfigError, DataError
from toolkit.evaluation.selection import strategies
from toolkit.evaluation.stored_calibration import stored_temperature
from toolkit.events import Note, Observe, Stage
from toolkit.inference.model import StoredModel
from toolkit.report.pages import selection as page
from toolkit.tasks.contract import Recipe

POOL_ROWS = 10_000  # rows of a pool that are predicted, by default


@dataclass(frozen=True)
class SelectOptions:
    """What is chosen, and how it is written.

    Attributes:
        rows: How many rows are wanted.
        strategy: One of `strategies.STRATEGIES`; by the rows and the model when None.
        random_share: Share of the rows that is drawn at random.
        pool_rows: Rows of the pool that are predicted at most, drawn at random of larger ones.
        tool: One of `files.TOOLS`.
        suggestions: Whether a labelling tool shows the model's predictions.
        stop_below: The least reduction of the error that is worth 100 more labels.
        curve: Whether to measure a learning curve.
    """

    rows: int = 100
    strategy: str | None = None
    random_share: float = 0.1
    pool_rows: int = POOL_ROWS
    tool: str = files.CSV
    suggestions: bool = False
    stop_below: float = 0.005
    curve: bool = True

    def check(self) -> None:
        """Refuse values that have no meaning.

        Raises:
            ConfigError: With the option.
        """
        for option, value, known in (
            ("--strategy", self.strategy, strategies.STRATEGIES),
            ("--for", self.tool, files.TOOLS),
        ):
            if value is not None and value not in known:
                raise ConfigError(
                    f"{option} is {value!r}.", f"Give one of {', '.join(known)}.", id="config.unknown-choice"
                )
        shares = (("--random-share", self.random_share), ("--stop-below", self.stop_below))
        wrong = next(((option, value) for option, value in shares if not 0 <= value <= 1), None)
        counts = (("--rows", self.rows), ("--pool-rows", self.pool_rows))
        wrong = wrong or next(((option, value) for option, value in counts if value < 1), None)
        if wrong is not None:
            raise ConfigError(
                f"{wrong[0]} is {wrong[1]:g}.",
                "Rows are at least 1, and shares are between 0 and 1.",
                id="config.out-of-range",
            )


def select(
    target: str,
    source: str,
    output: Path | None,
    values: Mapping[str, Any],
    recipe_name: str | None,
    wanted: SelectOptions,
    command: str,
    observe: Observe,
) -> dict[str, Any]:
    """Choose rows of a pool to label next.

    Args:
        target: Run directory, alias, folder or Hub id.
        source: The pool: what `predict` reads, or "-" for standard input.
        output: File to write the rows to, with a page next to it; None to write none.
        values: Nested configuration values laid over the stored ones.
        recipe_name: The task; the one stored with the model when None.
        wanted: What is chosen.
        command: The command line, for the page.
        observe: Called with each event.

    Returns:
        The answer as JSON: "pool", "strategy", "chosen", "rows", "curve" and more.

    Raises:
        CallError: Pool, output or model cannot be used.
    """
    wanted.check()
    if output is not None:
        files.check_output(output, wanted.tool)
        for file in (output.with_suffix(".html"),):
            if file.exists():
                raise ConfigError(f"{file} already exists.", "Remove it, or give another --output.", id="output.exists")
    row_stream.check_input(source)
    observe(Stage("Locating the model"))
    checkpoint, recipe, config, labels = find_stored(target, values, recipe_name)
    check_task(recipe)
    run = runs.Run(Path(target)) if runs.is_run(Path(target)) else None
    seed = config.training.seed
    observe(Stage("Reading the pool"))
    inputs = recipe.task.named_inputs(config.options)
    note_assumptions(source, values, observe)
    drawn, total = sampled(read_rows(source, values, config, inputs), wanted.pool_rows, seed)
    if not drawn:
        raise no_rows(source)
    roles = assign_columns(source, [row for _, row in drawn], inputs, config.data.columns, values)
    stored = StoredModel(checkpoint.path, recipe, labels, config, observe=observe)
    root = root_of(source)
    if output is not None and root is not None and any(column.kind.files is not None for column in inputs):
        files.check_served(output, root, wanted.tool)
    predictor = Predictor(
        stored, inputs, roles, stored_temperature(stored_card(checkpoint)), all_scores=False, root=root
    )
    gathered = pool.gather(predictor, drawn, total, run)
    for remark in _remarks(gathered.counts, run):
        observe(Note(remark))
    if not gathered.positions:
        raise DataError(
            f"No row of {source} is left to choose: {_counted(gathered.counts)}.",
            "Give rows that the run does not have yet.",
            id="select.nothing-left",
        )
    observe(Stage(f"Predicting {len(gathered.positions):,} rows of the pool"))
    predicted = pool.predict(predictor, gathered, observe)
    measure = recipe.target.uncertainty
    known = measure is not None and predicted.probabilities is not None
    uncertainty = measure(predicted.probabilities) if measure is not None and known else None
    strategy, reason = strategies.settled(wanted.strategy, _training_rows(run), len(labels), uncertain=known)
    if uncertainty is None and strategy in (strategies.HYBRID, strategies.UNCERTAIN):
        raise ConfigError(
            f"--strategy {strategy} needs probabilities, and this model predicts {recipe.target.title}.",
            f"Give {strategies.DIVERSE} or {strategies.RANDOM}.",
            id="config.not-for-task",
        )
    if reason is not None:
        observe(Note(f"Strategy {strategy}: {reason}."))
    choices = strategies.choose(
        predicted.vectors, uncertainty, wanted.rows, strategy, random_share=wanted.random_share, seed=seed
    )
    rows = [
        {
            "position": gathered.positions[choice.row],
            **gathered.values[choice.row],
            "prediction": predicted.answers[choice.row]["prediction"],
            "score": _score(predicted.answers[choice.row]),
            "uncertainty": None if uncertainty is None else round(float(uncertainty[choice.row]), 6),
            SELECTED_BY: choice.strategy,
        }
        for choice in choices
    ]
    curve, without = None, "No learning curve was asked for."
    if wanted.curve:
        curve, missing = (
            labelled.curve(target, recipe_name, values.get("loading", {}), wanted.rows, wanted.stop_below, observe)
            if run
            else (None, None)
        )
        without = missing or "A model without its run has no labelled rows to measure a learning curve on."
    label = _label_column(recipe, config)
    answer: dict[str, Any] = {
        "version": toolkit.__version__,
        "command": command,
        "model": target,
        "source": source,
        "pool": dict(gathered.counts),
        "candidates": len(gathered.positions),
        "strategy": strategy,
        "reason": reason,
        "random_share": wanted.random_share,
        "chosen": strategies.counts(choices),
        "label_column": label,
        "curve": curve,
        "curve_missing": None if curve else without,
        "rows": rows,
        "files": [],
    }
    if output is not None:
        batch = Batch(rows, roles, label, recipe.task, labels, Path(target).name, root)
        written = files.write(batch, output, wanted.tool, suggestions=wanted.suggestions)
        html = output.with_suffix(".html")
        answer["files"] = [str(file) for file in (*written, html)]
        runs.write_text(html, page.to_html(answer, list(roles.values())))
    return answer


def check_task(recipe: Recipe) -> None:
    """Refuse a task whose rows cannot be compared by one vector each.

    Raises:
        ConfigError: It is one.
    """
    if not recipe.task.takes_selection:
        raise ConfigError(
            f"Rows to label cannot be chosen for {recipe.target.title or recipe.target.name}: `select` is for tasks "
            "that predict classes, stars or a number for each row.",
            "Draw rows at random.",
            id="config.not-for-task",
        )


def _training_rows(run: runs.Run | None) -> int | None:
    """Return how many rows a run was trained on; None where that is not known."""
    parts = (run.facts.get("data") or {}).get("splits", ()) if run is not None else ()
    return next((int(part["rows"]) for part in parts if part.get("name") == "train"), None)


def _score(answer: Mapping[str, Any]) -> float | None:
    """Return the calibrated score of a prediction, or its own; the highest of several classes."""
    score = answer.get("calibrated_score", answer.get("score"))
    several: Sequence[float] = answer.get("scores") or ()
    return score if score is not None or not several else max(several)


def _label_column(recipe: Recipe, config: RunConfig) -> str:
    role = recipe.task.target.role
    return config.data.columns.get(role, role)


def _counted(counts: Mapping[str, int]) -> str:
    """Say in words what was left out of a pool."""
    said = {
        "unreadable": "unreadable",
        "known": "in the run's train, validation or test part",
        "near_duplicates": "near-duplicates of such rows",
        "repeated": "repeated in the pool",
    }
    parts = [f"{counts[key]:,} {text}" for key, text in said.items() if counts[key]]
    return ", ".join(parts) or "nothing left out"


def _remarks(counts: Mapping[str, int], run: runs.Run | None) -> list[str]:
    remarks = []
    if counts["read"] < counts["rows"]:
        remarks.append(
            f"Of {counts['rows']:,} rows of the pool {counts['read']:,} are considered, drawn at random (--pool-rows)."
        )
    if any(counts[key] for key in ("unreadable", "known", "near_duplicates", "repeated")):
        remarks.append(f"Left out of the pool: {_counted(counts)}.")
    if run is None:
        remarks.append("The model has no run, so rows that it was trained on are not recognised.")
    return remarks
