"""What is asked of a model beyond the rows it is judged on: robustness, bias, cost."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from toolkit.errors import DataError
from toolkit.evaluation import bias, cost, fairness, robustness
from toolkit.evaluation.perturbations import load_lists
from toolkit.evaluation.predict import Predictions
from toolkit.evaluation.probe import Probe, polarity
from toolkit.pipeline import judge
from toolkit.pipeline.events import Note, Observe, Stage


def run_checks(stored: judge.StoredModel, rows: pa.Table, said: Predictions, observe: Observe) -> dict[str, Any]:
    """Run the checks that `evaluation.checks` names, and return their sections of the report.

    Args:
        stored: The model.
        rows: Examples with their truth.
        said: What the model said of them.
        observe: Told what happens.
    """
    wanted = stored.config.evaluation.checks
    found: dict[str, Any] = {}
    if "robustness" in wanted or "bias" in wanted:
        lists = load_lists(stored.config.evaluation.lists)
        role = _only_text(stored, rows)
        if role is None:
            observe(Note("Robustness and bias are checked for classes of single texts only; they are left out here."))
        else:
            probe = _probe(stored, role)
            texts, places = rows[role].to_pylist(), _places(rows)
            if "robustness" in wanted:
                observe(Stage("Changing texts"))
                truth = judge.references(stored.recipe, rows)
                found["robustness"] = robustness.section(probe, texts, places, truth, lists)
            if "bias" in wanted:
                observe(Stage("Swapping who is spoken of"))
                found["bias"] = bias.section(probe, texts, places, lists)
    if "bias" in wanted and stored.config.evaluation.group_column is not None:
        found["fairness"] = _fairness(stored, rows, said)
    if "cost" in wanted:
        observe(Stage("Measuring what a prediction costs"))
        found["cost"] = _cost(stored, rows)
    return found


def _only_text(stored: judge.StoredModel, rows: pa.Table) -> str | None:
    """Return the column of the text where a class is given to single texts; None for other tasks."""
    inputs = [column.role for column in stored.recipe.COLUMNS[:-1] if column.role in rows.column_names]
    kinds = {column.role: column.kind for column in stored.recipe.COLUMNS}
    single = len(inputs) == 1 and kinds[inputs[0]] == "text" and stored.recipe.COLUMNS[-1].kind == "label"
    return inputs[0] if single else None


def _places(rows: pa.Table) -> list[tuple[Any, Any]]:
    columns = [rows[n].to_pylist() if n in rows.column_names else [None] * rows.num_rows for n in ("_file", "_row")]
    return list(zip(*columns, strict=True))


def _probe(stored: judge.StoredModel, role: str) -> Probe:
    subject, settings = stored.subject, stored.config.evaluation

    def ask(texts: Sequence[str]) -> Any:
        features = judge.encode_rows(
            pa.table({role: pa.array(texts, pa.string())}), stored.recipe, subject.processor, stored.config
        )
        return judge.predict_features(subject, features).columns

    weights = polarity(stored.recipe, stored.labels)
    return Probe(ask, stored.labels, weights, settings.confidence, settings.resamples, stored.config.training.seed)


def _fairness(stored: judge.StoredModel, rows: pa.Table, said: Predictions) -> dict[str, Any]:
    settings = stored.config.evaluation
    column = str(settings.group_column)
    if column not in rows.column_names or stored.recipe.COLUMNS[-1].kind != "label":
        raise DataError(
            f"`evaluation.group_column` names the column `{column}`, which the rows do not have.",
            f"They have {', '.join(rows.column_names)}.",
        )
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

    def run(numbers: Sequence[int]) -> None:
        batch = stored.recipe.collate([features[row] for row in numbers], subject.processor)
        with torch.inference_mode():
            subject.model(**{name: tensor.to(device) for name, tensor in batch.items()})
        if device.type == "cuda":
            torch.cuda.synchronize()

    return cost.section(run, features, stored.folder, device.type, torch.get_num_threads())
