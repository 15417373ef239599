"""Measure on a few rows the cost of a model on this machine: loading, inputs, predictions, generation."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from toolkit import models
from toolkit.config import RunConfig
from toolkit.data.batching.batch import Features
from toolkit.data.load import Splits
from toolkit.events import Counted, Event
from toolkit.inference.build_model import build_model
from toolkit.inference.encode import encode_rows
from toolkit.inference.model import LoadedModel
from toolkit.inference.predict_features import predict_features
from toolkit.tasks.contract import Recipe

SAMPLE = 256  # rows, drawn at random, on which inputs and predictions are timed at most
WRITTEN = 8  # rows to generate texts for
_FIRST = 4  # rows of the first pass, which warms up
_FEW = 32  # rows that a large model is timed on
_BATCH = 16  # rows of a pass
_BACKWARD = 3.0  # times a forward pass: forward and backward together
_UPDATE = 1.5e-9  # seconds that AdamW takes for each parameter on a CPU core


@dataclass(frozen=True)
class Timings:
    """The cost of a model on this machine, in seconds.

    Attributes:
        load: To load it from the disk.
        encode: To make the inputs of a row.
        forward: To predict a row.
        write: To generate the text of a row; 0 where predictions are not generated.
        parameters: How many it has.
    """

    load: float
    encode: float
    forward: float
    write: float
    parameters: int

    def step(self, batch_size: int) -> float:
        """Return an estimate of the seconds of an optimizer step."""
        return _BACKWARD * batch_size * self.forward + _UPDATE * self.parameters


def measure(path: Path, recipe: Recipe, splits: Splits, config: RunConfig, most: float) -> tuple[Timings, LoadedModel]:
    """Load a checkpoint and time it on a few training rows.

    Args:
        path: Its folder.
        recipe: The task.
        splits: The data.
        config: The run's configuration.
        most: Seconds that predicting may take for the measurement, about.

    Returns:
        Its cost, and the model, whose head is new.
    """
    from toolkit.training.distributed.devices import pick_device

    start = time.perf_counter()
    processor = recipe.load_processor(path, config)
    model = build_model(recipe, path, splits.labels, config, None, new_head=True).eval()
    subject = LoadedModel(model.to(pick_device(config.training.device)), processor, recipe, splits.labels, config)
    return of_loaded(subject, splits.train, time.perf_counter() - start, most), subject


def of_loaded(subject: LoadedModel, train: pa.Table, load: float, most: float) -> Timings:
    """Time a model that is loaded.

    Args:
        subject: The model, on its device, in evaluation mode.
        train: The training rows.
        load: Seconds that loading took.
        most: Seconds that predicting may take for the measurement, about.
    """
    rows = sample(train, SAMPLE, subject.config.training.seed)
    few = encode_rows(rows.slice(0, min(_FIRST, rows.num_rows)), subject)  # warms up
    start = time.perf_counter()
    features = encode_rows(rows, subject)
    encode = (time.perf_counter() - start) / rows.num_rows
    start = time.perf_counter()
    _predict(subject, few)  # warms up
    first = time.perf_counter() - start
    more = features if first * SAMPLE / 8 / _BATCH < most else features.take(np.arange(min(_FEW, len(features))))
    forward = _predict(subject, more)
    return Timings(load, encode, forward, _write(subject, features), models.size(subject.model)[0])


def timed_again(subject: LoadedModel, rows: pa.Table, before: Timings) -> Timings:
    """Update the cost of predictions by predicting some rows; the rest is unchanged.

    Args:
        subject: The model.
        rows: A few.
        before: An earlier measurement.
    """
    features = encode_rows(rows, subject)
    return replace(before, load=0.0, forward=_predict(subject, features), write=_write(subject, features))


def _write(subject: LoadedModel, features: Features) -> float:
    """Return the seconds to generate the text of a row; 0 where predictions are not generated."""
    if subject.recipe.generate is None:
        return 0.0
    sample = features.take(np.arange(min(WRITTEN, len(features))))
    start = time.perf_counter()
    predict_features(subject, sample)
    return (time.perf_counter() - start) / len(sample)


def sample(rows: pa.Table, most: int, seed: int) -> pa.Table:
    """Return `most` of the rows at most, drawn from `seed`, in their order."""
    return rows if rows.num_rows <= most else rows.take(chosen(rows.num_rows, most, seed))


def chosen(rows: int, few: int, seed: int) -> list[int]:
    """Return the numbers of `few` of the rows, drawn from `seed`, in their order."""
    drawn = np.random.default_rng([seed, 3]).choice(rows, few, replace=False)
    return [int(number) for number in np.sort(drawn)]


def _predict(subject: LoadedModel, features: Features) -> float:
    """Return the seconds to predict a row, without generation and without the fixed cost of a call."""
    ends: list[tuple[int, float]] = []

    def observe(event: Event) -> None:
        if isinstance(event, Counted):
            ends.append((event.done, time.perf_counter()))

    evaluation = subject.config.evaluation.model_copy(update={"batch_size": _BATCH})
    small = replace(subject, config=subject.config.model_copy(update={"evaluation": evaluation}))
    start = time.perf_counter()
    predict_features(small, features, observe, answers=False)
    if len(ends) < 2:
        return (time.perf_counter() - start) / len(features)
    (before, begun), (done, ended) = ends[0], ends[-1]
    return (ended - begun) / (done - before)
