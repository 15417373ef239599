"""Train, export, judge and report."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from toolkit import checksums, recipes, runs
from toolkit.claim import claimed
from toolkit.config import RunConfig
from toolkit.config_files import to_yaml
from toolkit.data import pictures
from toolkit.data.load import Splits
from toolkit.errors import Interrupted, RunError
from toolkit.evaluation import screening
from toolkit.evaluation.findings import repeated
from toolkit.pipeline import fresh, judge, seen
from toolkit.pipeline.calibrate import calibrate, settled
from toolkit.pipeline.checks import run_checks
from toolkit.pipeline.events import Observe, Stage
from toolkit.pipeline.fit import ADAPTER, fit
from toolkit.pipeline.fit_few_labels import fit_few_labels
from toolkit.pipeline.prepare import Prepared
from toolkit.pipeline.resume import find_state, terminable, unfinished
from toolkit.team import ALONE, Team
from toolkit.training import checkpoint

BEFORE = "Before fine-tuning"


def finetune(
    prepared: Prepared, command: str, observe: Observe, *, resume: bool = False, team: Team = ALONE
) -> runs.Run:
    """Train, export, judge and report.

    Args:
        prepared: From `prepare`.
        command: The command line, for the report.
        observe: Told what happens.
        resume: Go on with the run of the same configuration and data that did not finish.
        team: The processes that share the work; the main one alone writes.

    Returns:
        The complete run directory; in the other processes it may not be complete yet.

    Raises:
        RunError: The run could not go on; run.json says how it ended.
        Interrupted: Ctrl-C, or the machine asked the process to end.
    """
    config, splits = prepared.config, prepared.splits
    created = datetime.now(UTC)
    run, state = team.from_main(lambda: _open(prepared, created, observe, resume))
    with terminable(), claimed(run.path) if team.is_main else nullcontext(), _recorded(run, command, team):
        if team.is_main:
            _describe(run, prepared, command, created)
        few = config.training.few_labels == "on"
        fitted = fit_few_labels(run, prepared, observe, team) if few else fit(run, prepared, observe, state, team)
        best, training = fitted.best, fitted.facts
        observe(Stage("Judging on held-out data"))
        trained = config.loading.model_copy(update={"from_scratch": False})  # its weights are there now
        stored = judge.StoredModel(best, prepared.recipe, splits.labels, config.model_copy(update={"loading": trained}))
        said = judge.ask(stored, splits.test, "held-out test", observe, team)
        if fitted.out_of_fold is not None:
            calibration = settled(*fitted.out_of_fold, stored, "cross-validation")
        else:
            calibration = calibrate(stored, splits.validation, team)
        if not team.is_main:
            return run
        run.record(training=training)
        if config.evaluation.baselines:
            said = said.beside({**_baselines(prepared, observe), **fitted.baselines})
        circumstances = judge.Circumstances(
            command,
            created,
            "held-out test",
            prepared.checkpoint.origin,
            splits.facts,
            training,
            temperature=calibration.get("temperature"),
            fit=calibration.get("fit"),
            thresholds=screening.Chosen.of(calibration.get("screening")),
            repeated=_find_repeated(run, prepared, observe),
            checks=run_checks(stored, splits.test, said.predictions, observe),
            config=config.model_dump(),  # the run's own: it may have begun from scratch
        )
        verdict = judge.judge(stored, said, splits.test, circumstances, observe)
        judge.store(verdict, run.path)
        with runs.aside(run.model) as draft:
            shutil.copytree(best, draft, ignore=shutil.ignore_patterns(ADAPTER))
            write_card(draft, config, splits.labels, splits.label_map, calibration)
        if (best / ADAPTER).is_dir():
            with runs.aside(run.path / ADAPTER) as draft:
                shutil.copytree(best / ADAPTER, draft)
        checksums.record_weights(run)
        finished = datetime.now(UTC).isoformat(timespec="seconds")
        run.record(status="complete", environment=verdict.report["environment"], finished=finished)
    shutil.rmtree(run.path / "checkpoints", ignore_errors=True)  # of no more use
    return run


def _open(
    prepared: Prepared, created: datetime, observe: Observe, resume: bool
) -> tuple[runs.Run, checkpoint.State | None]:
    """Find the run to go on with and its newest state, or make a new one."""
    run = unfinished(prepared, observe) if resume else None
    if run is not None:
        return run, find_state(run, observe)
    config = prepared.config
    return runs.create(config.output, config.recipe, config.model, created), None


def _describe(run: runs.Run, prepared: Prepared, command: str, created: datetime) -> None:
    """Write into the run directory what is known before training, and the rows that the run is judged on."""
    run.record(
        status="running",
        command=command,
        recipe=prepared.config.recipe,
        created=created.isoformat(timespec="seconds"),
        model=prepared.checkpoint.origin,
        data=prepared.splits.facts,
        labels=list(prepared.splits.labels),
        notes=list(prepared.notes),
    )
    runs.write_text(run.path / "config.yaml", to_yaml(prepared.config))
    if prepared.config.recipe.endswith(".py"):  # a file of one's own, which may move or change
        source = Path(prepared.recipe.__file__)
        runs.write_text(run.path / source.name, source.read_text(encoding="utf-8"))
    _keep_held_out(run, prepared.splits)
    seen.remember(run, prepared.recipe, prepared.splits.train)


@contextmanager
def _recorded(run: runs.Run, command: str, team: Team) -> Iterator[None]:
    """Write into run.json how the run ended, if it does not end well; name the command that goes on."""
    again = command if "--resume" in command.split() else f"{command} --resume"

    def record(status: str) -> None:
        if team.is_main:
            with suppress(RunError, OSError):  # the disk that stopped the run may refuse this too
                run.record(status=status)

    try:
        yield
    except Interrupted as stop:
        record("interrupted")
        raise Interrupted(stop.problem, f"Go on with: {again}") from None
    except KeyboardInterrupt:
        record("interrupted")
        raise Interrupted(
            f"Interrupted. {run.path} is marked as such, and no command takes it for a whole run.",
            f"Go on with: {again}",
        ) from None
    except Exception:
        record("failed")
        raise


def _keep_held_out(run: runs.Run, splits: Splits) -> None:
    """Keep the rows that the run is judged on, so that it can be judged again on any machine."""
    parts = {"validation": splits.validation, "test": splits.test}
    kept = {name: rows for name, rows in parts.items() if rows.num_rows}  # with few labels there is no validation
    for name, rows in kept.items():
        runs.write_table(run.path / "data" / f"{name}.parquet", pictures.embedded(rows))
    checksums.record(run.path, [f"data/{name}.parquet" for name in kept])


def _find_repeated(run: runs.Run, prepared: Prepared, observe: Observe) -> list[dict[str, Any]] | None:
    """Find the test rows that repeat a training row, and keep them for later evaluations; None where nobody looked."""
    splits = prepared.splits
    observe(Stage("Looking for test rows in train"))
    pairs = repeated(prepared.recipe, splits.train, splits.test, splits.labels)
    if pairs is not None:
        runs.write_json(run.path / runs.NEAR_DUPLICATES, {"pairs": pairs})
    return pairs


def _baselines(prepared: Prepared, observe: Observe) -> dict[str, list[Any]]:
    """Return what the recipe's baselines say of test, and where answers are written what the model said untrained."""
    recipe, splits = prepared.recipe, prepared.splits
    found = judge.baseline_predictions(recipe, splits)
    if recipes.generates(recipe) and prepared.checkpoint.origin != fresh.NAME:
        observe(Stage("Asking the model as it was before fine-tuning"))
        before = judge.StoredModel(prepared.checkpoint.path, recipe, splits.labels, prepared.config)
        found[BEFORE] = list(judge.ask(before, splits.test, "held-out test", observe).predictions.columns["prediction"])
    return found


def write_card(
    folder: Path,
    config: RunConfig,
    labels: Sequence[str],
    label_map: Mapping[str, str | None],
    calibration: Mapping[str, Any],
) -> None:
    """Store beside the weights what later commands need to use them: the recipe, and how inputs are prepared."""
    keep = {"max_length": config.data.max_length, "columns": config.data.columns, "label_map": dict(label_map)}
    card = {
        "recipe": config.recipe,
        **({"labels": list(labels)} if labels else {}),
        "attention": config.attention,
        "data": keep,
        "evaluation": config.evaluation.model_dump(),
        "training": {"seed": config.training.seed},
        "options": config.options,
        **({"calibration": calibration} if calibration else {}),
    }
    runs.write_json(folder / runs.CARD, card)
