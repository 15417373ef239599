"""Measure on a few rows what a model costs on this machine: loading, inputs, predictions, written answers."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from toolkit import models, recipes
from toolkit.config import RunConfig
from toolkit.data.batch import Features
from toolkit.data.load import Splits
from toolkit.pipeline import judge
from toolkit.pipeline.build import build_model

SAMPLE = 256  # rows, drawn at random, on which inputs and predictions are timed at most
WRITTEN = 8  # rows that answers are written to
_FIRST = 4  # rows of the first pass, which warms up
_BACKWARD = 3.0  # times a forward pass: forward and backward together
_UPDATE = 1.5e-9  # seconds that AdamW takes for each parameter on a CPU core


@dataclass(frozen=True)
class Timings:
    """What a model costs here, in seconds.

    Attributes:
        load: To load it from the disk.
        encode: To make the inputs of a row.
        forward: To predict a row.
        write: To write the answer of a row; 0 where answers cost nothing.
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


def measure(
    path: Path, recipe: recipes.Recipe, splits: Splits, config: RunConfig, most: float
) -> tuple[Timings, judge.Subject]:
    """Load a checkpoint and time it on a few training rows.

    Args:
        path: Its folder.
        recipe: The task.
        splits: The data.
        config: The run's configuration.
        most: Seconds that predicting may take for the measurement, about.

    Returns:
        What it costs, and the model, whose head is new.
    """
    from toolkit.training.devices import pick_device

    start = time.perf_counter()
    processor = recipe.load_processor(path, config)
    model = build_model(recipe, path, splits.labels, config, None, new_head=True).eval()
    subject = judge.Subject(model.to(pick_device(config.training.device)), processor, recipe, splits.labels, config)
    load = time.perf_counter() - start
    rows = sample(splits.train, SAMPLE, config.training.seed)
    few = judge.encode_rows(rows.slice(0, min(_FIRST, rows.num_rows)), recipe, processor, config)  # warms up
    start = time.perf_counter()
    features = judge.encode_rows(rows, recipe, processor, config)
    encode = (time.perf_counter() - start) / rows.num_rows
    _predict(subject, few)  # warms up
    forward = _seconds_of_row(subject, features, most)
    write = 0.0
    if recipes.generates(recipe):
        asked = features.take(np.arange(min(WRITTEN, len(features))))
        start = time.perf_counter()
        judge.predict_features(subject, asked)
        write = (time.perf_counter() - start) / len(asked)
    return Timings(load, encode, forward, write, models.size(model)[0]), subject


def timed_again(subject: judge.Subject, rows: pa.Table, before: Timings) -> Timings:
    """Return what a model costs now, from predicting some rows; the rest is as it was.

    Args:
        subject: The model.
        rows: A few.
        before: An earlier measurement.
    """
    features = judge.encode_rows(rows, subject.recipe, subject.processor, subject.config)
    few = np.arange(min(_FIRST, len(features)))
    _predict(subject, features.take(few))  # warms up
    forward = _predict(subject, features) / len(features)
    return replace(before, load=0.0, forward=forward, write=before.write * forward / before.forward)


def sample(rows: pa.Table, most: int, seed: int) -> pa.Table:
    """Return `most` of the rows at most, drawn from `seed`, in their order."""
    return rows if rows.num_rows <= most else rows.take(chosen(rows.num_rows, most, seed))


def chosen(rows: int, few: int, seed: int) -> list[int]:
    """Return the numbers of `few` of the rows, drawn from `seed`, in their order."""
    drawn = np.random.default_rng([seed, 3]).choice(rows, few, replace=False)
    return [int(number) for number in np.sort(drawn)]


def _seconds_of_row(subject: judge.Subject, features: Features, most: float) -> float:
    """Predict larger and larger groups of rows, for `most` seconds about; return the seconds of a row of the last."""
    begun, size, start = time.perf_counter(), 2 * _FIRST, 0
    while True:
        rows = np.arange(start, min(start + size, len(features)))
        seconds = _predict(subject, features.take(rows))
        start += len(rows)
        size = min(2 * size, len(features) - start)
        if not size or time.perf_counter() - begun + 2 * seconds > most:  # the next would take longer than there is
            return seconds / len(rows)


def _predict(subject: judge.Subject, features: Features) -> float:
    """Return the seconds of predicting some rows, without writing answers."""
    start = time.perf_counter()
    judge.predict_features(subject, features, answers=False)
    return time.perf_counter() - start
