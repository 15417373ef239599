"""Compare several evaluated models by their stored predictions; nothing is predicted again."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from toolkit import environment, model_metadata, runs
from toolkit.commands.evaluate.document import store_report
from toolkit.config import gate as gates
from toolkit.config.settings import EvaluationConfig
from toolkit.errors import ConfigError, DataError, SourceError
from toolkit.evaluation import prediction_store
from toolkit.evaluation.compare import align
from toolkit.evaluation.compare import compare as compare_aligned
from toolkit.evaluation.context import references
from toolkit.evaluation.gate.decide import judge
from toolkit.evaluation.gate.rule import Pair
from toolkit.evaluation.pareto import front
from toolkit.events import Observe, Stage
from toolkit.exporting import stored_exports
from toolkit.report.document.head import head
from toolkit.report.document.schema import REPORT, fill
from toolkit.report.document.several_models import comparison_verdict
from toolkit.report.junit import to_junit
from toolkit.runs import checksums
from toolkit.runs.lock import sole_writer
from toolkit.tasks import loading


def compare(
    targets: Sequence[str],
    recipe_name: str | None,
    output: str | None,
    command: str,
    config: EvaluationConfig,
    seed: int,
    observe: Observe,
    gate: str | None = None,
    junit: str | None = None,
) -> tuple[Path, dict[str, Any]]:
    """Compare models on the rows that all of them were evaluated on.

    Args:
        targets: Run directories, folders of evaluations, or their files of predictions; at least two.
        recipe_name: The task; that of the evaluation when None.
        output: Folder for the report; under runs/ when None.
        command: The command line, for the report.
        config: Confidence and resamples.
        seed: Of the bootstrap.
        observe: Called with each event.
        gate: File of rules for the second of two models, or "default"; None for none.
        junit: File to write the verdicts of the rules to, as JUnit XML.

    Returns:
        The folder of the report, and the report.

    Raises:
        ConfigError: There are fewer than two models, or not two and a gate, or the gate is wrong.
        RecipeError: They were evaluated with a recipe that is not installed, and its file was not given.
        SourceError: A target holds no predictions.
        DataError: The models were evaluated on different rows, or have different classes.
    """
    if len(targets) < 2:
        raise ConfigError(
            "One model cannot be compared with itself.", "Give two or more run directories.", id="compare.same-model"
        )
    rules = None if gate is None else gates.read(gate)
    if rules is not None and len(targets) != 2:
        raise ConfigError(
            f"A gate compares two models, and there are {len(targets)}.",
            "Give the old model first, then the new one.",
            id="compare.gate-models",
        )
    if junit is not None and rules is None:
        raise ConfigError("`--junit` needs a gate.", "Add --gate FILE, or --gate default.", id="config.conflict")
    observe(Stage("Reading predictions"))
    names = _names(targets)
    files = [prediction_store.read(_file(target)) for target in targets]
    for name, file in zip(names, files, strict=True):
        if not {"recipe", "labels", "split"} <= file.facts.keys():
            raise SourceError(
                f"{name} lacks the facts of its evaluation.", "Evaluate the model again.", id="run.damaged"
            )
    named = model_metadata.installed(files[0].facts["recipe"], names[0], [_file(targets[0]).parent], recipe_name)
    kinds = {file.facts.get("target") for file in files}
    if len(kinds) > 1:
        raise DataError(
            f"The models predict different kinds of targets: {', '.join(sorted(str(kind) for kind in kinds))}.",
            "Compare models of one kind.",
            id="compare.different-tasks",
        )
    recipe = loading.load(str(named), kinds.pop())
    aligned = align(names, files, recipe.task.target)
    pair = Pair(
        *(aligned, references(recipe, aligned.rows), recipe, config, seed),
        reports=[_report(target, aligned.rows.num_rows) for target in targets] if rules is not None else (None, None),
        bytes=[_size(file.facts) for file in files],
    )
    judged = None if rules is None else judge(rules, pair, lenient=gate == gates.DEFAULT)
    created = datetime.now(UTC)
    folder = runs.create(output, "compare", names[0], created).path
    observe(Stage(f"Comparing {len(names)} models on {aligned.rows.num_rows:,} rows"))
    comparison = compare_aligned(aligned, pair.references, recipe.metrics, config, seed, recipe.task)
    comparison["split"] = files[0].facts["split"]
    comparison["costs"] = _costs(targets, comparison["models"], [_size(file.facts) for file in files])
    report = {
        **head(command, created, title=f"Comparison of {', '.join(names)}", recipe=files[0].facts["recipe"]),
        "verdict": comparison_verdict(comparison, judged),
        "comparison": comparison,
        **({} if judged is None else {"gate": judged}),
        "environment": environment.describe(model=False),
    }
    with sole_writer(folder):
        store_report(report, folder)
    if junit is not None:
        runs.write_text(Path(junit), to_junit(report))
    return folder, report


def _costs(
    targets: Sequence[str], models: Sequence[Mapping[str, Any]], sizes: Sequence[float | None]
) -> list[dict[str, Any]]:
    """Return size and first metric of each model and of the exports of each run, and which are on the Pareto front.

    An export predicted some of the rows: its figure is that of its model plus the paired difference.
    """
    found: list[dict[str, Any]] = []
    for target, model, size in zip(targets, models, sizes, strict=True):
        if size is None or not model["metrics"]:
            return []
        metric = model["metrics"][0]
        if metric["value"] is None:
            return []
        keys = ("title", "unit", "better", "value", "low", "high")
        found.append({"name": model["name"], "bytes": size, **{key: metric[key] for key in keys if key in metric}})
        for export in stored_exports.of_run(runs.Run(Path(target))) if runs.is_run(Path(target)) else ():
            report = export.report
            if (
                not export.current
                or report is None
                or report.difference is None
                or report.difference.metric != metric["name"]
            ):
                continue
            bare = {key: metric[key] for key in keys[:3] if key in metric}
            value = metric["value"] + report.difference.value
            name = f"{model['name']}, {report.form}"
            found.append({"name": name, "bytes": float(report.exported_bytes), **bare, "value": value})
    upward = found[0].get("better") != "lower"
    on = front([point["bytes"] for point in found], [point["value"] for point in found], upward=upward)
    return [{**point, "front": best} for point, best in zip(found, on, strict=True)]


def _report(target: str, rows: int) -> dict[str, Any] | None:
    """Return the report next to a file of predictions, whole; None where there is none, or it is of other rows."""
    path = _file(target).with_name("report.json")
    if not path.is_file():
        return None
    checksums.check(path, "Evaluate the model again.")
    report: dict[str, Any] = fill(REPORT, runs.read_object(path))
    return report if report["evaluation"]["rows"] == rows else None


def _size(facts: Mapping[str, Any]) -> float | None:
    """Return the bytes of the model that made a file of predictions; None where it does not say."""
    size = facts.get("model", {}).get("size_bytes")
    return float(size) if isinstance(size, int | float) and size > 0 else None


def _file(target: str) -> Path:
    path = Path(target)
    file = path / prediction_store.FILE if path.is_dir() else path
    if not file.is_file():
        raise SourceError(
            f"{target} contains no predictions ({prediction_store.FILE}).",
            "Give a run directory or the folder of an evaluation; `toolkit evaluate MODEL --data DATA` creates one.",
            id="run.no-predictions",
        )
    return file


def _names(targets: Sequence[str]) -> list[str]:
    """Name each model by the shortest end of its path that is unique."""
    parts = [[part for part in Path(target).parts if part not in ("/", prediction_store.FILE)] for target in targets]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(path[-length:]) for path in parts]
        if len(set(names)) == len(names):
            return names
    raise ConfigError("A model is given twice.", "Give each run directory once.", id="compare.same-model")
