"""What is asked of a model beyond the rows it is judged on: robustness, bias, cost, explanations, faithfulness."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import pyarrow as pa

from toolkit import recipes, runs
from toolkit.commands.evaluate import judge
from toolkit.commands.explain import examples, measure
from toolkit.config import RunConfig
from toolkit.data.images import image_columns
from toolkit.errors import ConfigError, DataError
from toolkit.evaluation.checks import bias, cost, fairness, robustness
from toolkit.evaluation.perturbations.counterfactual import Probe, polarity
from toolkit.evaluation.perturbations.text_changes import load_lists
from toolkit.events import Observe, Stage
from toolkit.inference.predict import Predictions


def run_checks(
    stored: judge.StoredModel, rows: pa.Table, said: Predictions, run: runs.Run | None, observe: Observe
) -> dict[str, Any]:
    """Run the checks that `evaluation.checks` names, and return their sections of the report.

    Args:
        stored: The model.
        rows: Examples with their truth.
        said: What the model said of them.
        run: The run that the model belongs to.
        observe: Told what happens.
    """
    wanted = stored.config.evaluation.checks
    found: dict[str, Any] = {}
    role, kind = _only_input(stored, rows)
    if "robustness" in wanted:
        observe(Stage("Changing pictures" if kind == "image" else "Changing texts"))
        found["robustness"] = _robustness(stored, rows, role, kind)
    if "bias" in wanted:
        observe(Stage("Swapping who is spoken of"))
        found["bias"] = _bias(stored, rows, role, kind)
    if "bias" in wanted and stored.config.evaluation.group_column is not None:
        found["fairness"] = _fairness(stored, rows, said)
    if "cost" in wanted:
        observe(Stage("Measuring what a prediction costs"))
        found["cost"] = _cost(stored, rows)
    if "explanations" in wanted:
        observe(Stage("Looking at what answers rest on"))
        found["explanations"] = examples.section(stored, rows, said, role, kind)
    if "faithfulness" in wanted:
        found["faithfulness"] = measure.section(stored, rows, run, observe)
    return found


def check_columns(config: RunConfig, recipe: recipes.Recipe, names: Sequence[str]) -> None:
    """Refuse a column of groups that is not there before anything is trained or asked.

    Args:
        config: The run's configuration.
        recipe: The task.
        names: Columns of the rows that are judged on.

    Raises:
        ConfigError: The task gives no classes to compare.
        DataError: There is no such column.
    """
    column = config.evaluation.group_column
    if column is None:
        return
    if recipe.COLUMNS[-1].kind != "label":
        raise ConfigError(
            "`evaluation.group_column` compares classes by groups, and this task gives none.",
            "Leave it out.",
            id="config.not-for-task",
        )
    if column not in names:
        raise DataError(
            f"`evaluation.group_column` names the column `{column}`, which the rows do not have.",
            f"They have {', '.join(name for name in names if not name.startswith('_'))}.",
            id="data.column-missing",
        )


def _only_input(stored: judge.StoredModel, rows: pa.Table) -> tuple[str, str]:
    """Return the column and the kind of the input where a class is given to a single one; "" for other tasks."""
    inputs = [column for column in stored.recipe.COLUMNS if column.is_input and column.role in rows.column_names]
    single = len(inputs) == 1 and inputs[0].kind in ("text", "image") and stored.recipe.COLUMNS[-1].kind == "label"
    return (inputs[0].role, inputs[0].kind) if single else ("", "")


def _robustness(stored: judge.StoredModel, rows: pa.Table, role: str, kind: str) -> dict[str, Any]:
    if not kind:
        return {"not_tested": "Changed inputs are asked about where a class is given to single texts or pictures."}
    truth, places = judge.references(stored.recipe, rows), _places(rows)
    if kind == "image":
        return robustness.of_pictures(_probe(stored, role, image_columns.TYPE), rows[role].to_pylist(), places, truth)
    lists = load_lists(stored.config.evaluation.lists)
    return robustness.section(_probe(stored, role, pa.string()), rows[role].to_pylist(), places, truth, lists)


def _bias(stored: judge.StoredModel, rows: pa.Table, role: str, kind: str) -> dict[str, Any]:
    if kind == "text":
        lists = load_lists(stored.config.evaluation.lists)
        return bias.section(_probe(stored, role, pa.string()), rows[role].to_pylist(), _places(rows), lists)
    what = {"image": "pictures: who is in them cannot be swapped"}
    reason = what.get(kind, "this task: people are swapped where a class is given to single texts")
    return {"not_tested": f"Whether the answer depends on who is meant, in {reason}. {bias.BY_COLUMN}"}


def _places(rows: pa.Table) -> list[tuple[Any, Any]]:
    columns = [rows[n].to_pylist() if n in rows.column_names else [None] * rows.num_rows for n in ("_file", "_row")]
    return list(zip(*columns, strict=True))


def _probe(stored: judge.StoredModel, role: str, kind: pa.DataType) -> Probe:
    subject, settings = stored.subject, stored.config.evaluation

    def ask(inputs: Sequence[Any]) -> Any:
        table = pa.table({role: pa.array(inputs, kind)})
        features = judge.encode_rows(table, stored.recipe, subject.processor, stored.config)
        return judge.predict_features(subject, features).columns

    weights = polarity(stored.recipe, stored.labels)
    return Probe(ask, stored.labels, weights, settings.confidence, settings.resamples, stored.config.training.seed)


def _fairness(stored: judge.StoredModel, rows: pa.Table, said: Predictions) -> dict[str, Any]:
    settings = stored.config.evaluation
    column = str(settings.group_column)
    return fairness.section(
        column,
        rows[column].to_pylist(),
        said.columns["prediction"],
        judge.references(stored.recipe, rows),
        stored.labels,
        confidence=settings.confidence,
        seed=stored.config.training.seed,
    )


def _cost(stored: judge.StoredModel, rows: pa.Table) -> dict[str, Any]:
    import torch

    subject = stored.subject
    sample = rows.slice(0, 1000)
    features = judge.encode_rows(sample, stored.recipe, subject.processor, stored.config)
    device = subject.model.device

    ask: Callable[..., Any] = _forward
    if recipes.generates(stored.recipe):
        ask = partial(stored.recipe.generate, processor=subject.processor, config=stored.config)  # type: ignore[attr-defined]

    def run(numbers: Sequence[int]) -> None:
        batch = stored.recipe.collate([features[row] for row in numbers], subject.processor)
        with torch.inference_mode():
            ask(subject.model, {name: tensor.to(device) for name, tensor in batch.items()})
        if device.type == "cuda":
            torch.cuda.synchronize()

    found = cost.section(run, features, stored.folder, device.type, torch.get_num_threads())
    return {**found, "timed": "writing an answer" if recipes.generates(stored.recipe) else "forward passes"}


def _forward(model: Any, batch: Mapping[str, Any]) -> Any:
    return model(**batch)
