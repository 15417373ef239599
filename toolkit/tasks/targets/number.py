"""A number for each row: a price, a score, an age."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.config.settings import DataConfig
from toolkit.data.formats import written_numbers
from toolkit.data.tables import columns
from toolkit.data.tables.labels import FEW, MISSING
from toolkit.errors import DataError
from toolkit.evaluation.baselines import mean_value, median_value, ridge_pixels, ridge_tfidf
from toolkit.evaluation.overviews import residuals
from toolkit.evaluation.statistics.clusters import Integers
from toolkit.evaluation.statistics.promises.conformal import half_width
from toolkit.explanation.question import Outcome
from toolkit.tasks.task import AnswerFormat, Checked, Column, LabelColumn, Target
from toolkit.training.adaptation import probe_kinds
from toolkit.training.adaptation.number_head import Scale
from toolkit.training.loss.objective import Batch, Objective, count_items

OUTPUT = "number"  # name of the one output of the model
COVERAGE = 0.9  # of prediction intervals
MOST_UNREAD = 0.02  # share of cells that are no numbers, whose rows are left out


def _in_shape(table: pa.Table, name: str) -> pa.ChunkedArray:
    """Return a column as float64; null where a cell is empty or holds no finite number."""
    values = table[name]
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pa.types.is_integer(values.type) or pa.types.is_floating(values.type) or pa.types.is_decimal(values.type):
        numbers = values.cast(pa.float64())
        return pc.if_else(pc.is_finite(numbers), numbers, pa.scalar(None, pa.float64()))
    cells = [None if value is None or isinstance(value, bool) else str(value) for value in values.to_pylist()]
    numbers = written_numbers.numbers(cells, name)
    _check_readable(table, name, cells, numbers)
    return pa.chunked_array([pa.array(numbers, pa.float64())])


def _check_readable(table: pa.Table, name: str, cells: Sequence[str | None], numbers: Sequence[float | None]) -> None:
    """Refuse a column of which more than a few cells are neither empty nor numbers: the others are no fair sample.

    Raises:
        DataError: With the first such cell.
    """
    filled = [place for place, cell in enumerate(cells) if cell and cell.strip().casefold() not in MISSING]
    unread = [place for place in filled if numbers[place] is None]
    if not unread or len(unread) == len(filled) or len(unread) <= MOST_UNREAD * len(filled):
        return  # a column without any number has a message of its own
    written = (cells[unread[0]] or "").strip()[:40]
    raise DataError(
        f"{columns.place(table, unread[0])}: `{written}` is not a number; {len(unread):,} of {len(filled):,} cells of "
        f"`{name}` cannot be read as numbers.",
        "Write numbers as 1234.5 or 1234,5, without units, or leave the cells empty.",
        id="label.not-a-number",
    )


def _recognizes(column: LabelColumn) -> str:
    """Recognise many numbers with decimals.

    Raises:
        DataError: There are many whole numbers, which may be quantities or the numbers of classes.
    """
    numbers = column.numbers
    if numbers is None or len(numbers) <= FEW:
        return ""
    if all(number.is_integer() for number in numbers):
        raise DataError(
            f"The column `{column.name}` holds {len(numbers):,} different whole numbers, from {min(numbers):g} to "
            f"{max(numbers):g}: quantities, or the numbers of classes?",
            "Add --target number to predict quantities, or --target class if each number is the name of a class.",
            id="label.class-or-number",
        )
    return f"`{column.name}` holds {len(numbers):,} different numbers with decimals"


def _check(parts: Mapping[str, pa.Table], column: Column, _config: DataConfig) -> Checked:
    """Leave out rows without a number.

    Raises:
        DataError: A part has none at all.
    """
    kept, gone = {}, 0
    for part, rows in parts.items():
        if column.role not in rows.column_names:
            kept[part] = rows
            continue
        kept[part] = rows.filter(pc.is_valid(rows[column.role]))
        gone += rows.num_rows - kept[part].num_rows
        if rows.num_rows and not kept[part].num_rows:
            place = "" if part == "all" else f" of the {part} part"
            raise DataError(
                f"No row{place} has a number in the column of the {column.role}.",
                "Numbers are written as 1234.5 or 1234,5, without units. For labels that are names use --target class, "
                "and --target classes for lists of them.",
                id="label.not-a-number",
            )
    same = next((rows for part, rows in kept.items() if part in ("train", "all")), None)
    if same is not None and column.role in same.column_names and len(pc.unique(same[column.role])) == 1:
        raise DataError(
            f"All rows have the same number, {same[column.role][0].as_py():g}.",
            f"Check the column of the {column.role}.",
            id="label.one-class",
        )
    counts = {"without_label": gone} if gone else {}
    notes = [f"{gone:,} rows without a number in the column of the {column.role} were left out."] if gone else []
    return Checked(kept, counts, notes)


def _predictions(outputs: Any, _batch: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Outputs (B, 1) → a number for each row."""
    return {"prediction": outputs.logits.double().reshape(-1).cpu().tolist()}


def _objective(_config: Any, _labels: Sequence[str], of_train: Any) -> Objective:
    """Return the Huber loss in standard units, in which the model predicts during training."""
    import torch

    scale = Scale.of(of_train)

    def mean(outputs: Any, batch: Batch) -> Any:
        predicted = outputs.logits.float().reshape(-1)
        wanted = (batch["labels"].to(predicted.device).double() - scale.mean) / scale.deviation
        return torch.nn.functional.huber_loss(predicted, wanted.float())

    return Objective("Huber loss in standard units", count_items, mean)


def _calibrate(
    columns: Mapping[str, Sequence[Any]],
    references: Sequence[float],
    _labels: Sequence[str],
    _settings: Any,
    _seed: int,
    clusters: Integers | None = None,
) -> dict[str, Any]:
    """Return the half width of prediction intervals by split-conformal prediction on validation rows."""
    errors = np.abs(np.asarray(columns["prediction"]) - np.asarray(references))
    width = half_width(errors, COVERAGE, clusters)
    return {} if width is None else {"half_width": width, "coverage": COVERAGE, "rows": len(errors)}


def _answer(prediction: Any, _probabilities: Any, _calibrated: Any, how: AnswerFormat) -> dict[str, Any]:
    """Return the number, and the bounds of its prediction interval; None where the model has none."""
    width = how.calibration.get("half_width")
    bounds = (prediction - width, prediction + width) if isinstance(width, int | float) else (None, None)
    return {"prediction": float(prediction), "low": bounds[0], "high": bounds[1]}


def _line(given: Any, columns: Mapping[str, Any]) -> str:
    low, high = columns.get("low"), columns.get("high")
    known = low is not None and high is not None
    between = f"  ({100 * COVERAGE:g} %: {_shown(low, ())} to {_shown(high, ())})" if known else ""
    return f"{_shown(columns['prediction'], ())}{between}  {given}"


def _shown(value: Any, _labels: Sequence[str]) -> str:
    if not isinstance(value, int | float):
        return str(value)
    return f"{value:,.0f}" if 1e5 <= abs(value) < 1e15 else f"{value:.6g}"


def _of_cell(text: str, _labels: Sequence[str]) -> float:
    number = written_numbers.number(text)
    if number is None:
        raise ValueError(f"`{text}` is not a number")
    return number


def _summary(column: pa.ChunkedArray, _labels: Sequence[str]) -> dict[str, str]:
    values = column.drop_null().to_numpy()
    if not len(values):
        return {"numbers": "none"}
    low, middle, high = np.quantile(values, [0.0, 0.5, 1.0])
    return {"numbers": f"{low:.4g} to {high:.4g}, median {middle:.4g}, mean {values.mean():.4g}"}


def _usage(given: str, _labels: Sequence[str], stored: Mapping[str, Any]) -> str:
    width, coverage = stored.get("half_width"), stored.get("coverage")
    lines = f'number = predict({given}, top_k=1)[0]["score"]\nprint(number)'
    if not isinstance(width, int | float) or not isinstance(coverage, int | float):
        return lines
    remark = f"contains {100 * coverage:g} % of the true values"
    return f"{lines}\nprint(number - {width:.6g}, number + {width:.6g})  # {remark}"


NUMBER = Target(
    name="number",
    title="a number for each row",
    in_shape=_in_shape,
    check=_check,
    answer=_answer,
    empty=lambda _how: {"prediction": None, "low": None, "high": None},
    line=_line,
    shown=_shown,
    cell=lambda value, _labels: f"{value:.12g}",
    of_cell=_of_cell,
    summary=_summary,
    recognizes=_recognizes,
    predictions=_predictions,
    metrics=("mae", "rmse", "r2", "pearson", "spearman"),
    best_metric="mae",
    baselines={
        "text": {
            "Mean of train": mean_value,
            "Median of train": median_value,
            "Ridge regression on TF-IDF": ridge_tfidf,
        },
        "image": {
            "Mean of train": mean_value,
            "Median of train": median_value,
            "Ridge regression on small pixels": ridge_pixels,
        },
    },
    constant=("Median of these rows", median_value),
    head=lambda _labels: (OUTPUT,),
    model_arguments={"problem_type": "regression"},
    model_labels=lambda values, _labels: np.asarray(list(values), np.float32),
    objective=_objective,
    outcome=Outcome(
        values=lambda logits: logits,
        score=lambda logits, number: logits[:, number],
        chosen=lambda _values, _stored: [0],
        number=True,
        change="change of the number, in standard deviations of the data",
    ),
    probe=probe_kinds.NUMBER,
    standardized=True,
    decision="number",
    calibrate=_calibrate,
    overview=residuals.sections,
    usage=_usage,
    loss_keys=(),
    hub_tasks={"text": "text-classification", "image": "image-classification"},
)
