"""Training rows as a stream of shuffled buffers, whose order is a function of seed and step.

    survey: units with the number of training rows of each
        │  shuffled once by the seed, and joined until a buffer is full
    buffers ──► their order is shuffled in each epoch, by seed and epoch
        │  read, tokenized, and divided into steps by `plan_epoch`, by seed, epoch and buffer
    steps

The steps of each buffer are known from the survey, so a resumed run goes to its buffer without reading others.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from toolkit.data.batching.batch import Features, Integers, plan_epoch
from toolkit.data.streaming.units import Unit
from toolkit.errors import DataError


@dataclass(frozen=True)
class TrainingStream:
    """The training rows of a survey.

    Attributes:
        units: The pieces of the data.
        rows: Training rows of each.
        read: Unit → its training rows, in the recipe's roles.
        buffer_rows: Rows of a buffer; the last unit of a buffer may exceed it.
    """

    units: Sequence[Unit]
    rows: Sequence[int]
    read: Callable[[Unit], pa.Table] = field(compare=False)
    buffer_rows: int

    def __len__(self) -> int:
        """Return the number of training rows."""
        return sum(self.rows)

    def buffers(self, seed: int) -> list[list[int]]:
        """Return the numbers of the units of each buffer."""
        made: list[list[int]] = []
        held = self.buffer_rows
        for number in np.random.default_rng(seed).permutation(len(self.units)).tolist():
            if not self.rows[number]:
                continue
            if held >= self.buffer_rows:
                made.append([])
                held = 0
            made[-1].append(number)
            held += self.rows[number]
        return made

    def steps_per_epoch(self, batch_size: int, seed: int) -> int:
        """Return the optimizer steps of a pass; no step has rows of two buffers."""
        return sum(self._steps(buffer, batch_size) for buffer in self.buffers(seed))

    def _steps(self, buffer: Sequence[int], batch_size: int) -> int:
        return math.ceil(sum(self.rows[number] for number in buffer) / batch_size)

    def steps(
        self, encode: Callable[[pa.Table], Features], batch_size: int, seed: int, taken: int, total: int
    ) -> Iterator[tuple[Features, Integers]]:
        """Yield the steps from `taken` to `total`, each as the model inputs of a buffer and row numbers in it.

        Args:
            encode: Rows in the recipe's roles → model inputs.
            batch_size: Examples of a step.
            seed: Of the run.
            taken: Steps that are done.
            total: Steps of the training.

        Raises:
            DataError: The data are not those of the survey any more.
        """
        buffers = self.buffers(seed)
        steps = [self._steps(buffer, batch_size) for buffer in buffers]
        epoch, offset = divmod(taken, sum(steps))
        while taken < total:
            for number in np.random.default_rng([seed, epoch]).permutation(len(buffers)).tolist():
                if offset >= steps[number]:
                    offset -= steps[number]
                    continue
                features = encode(self._rows(buffers[number]))
                plan = plan_epoch(features.lengths, batch_size, seed=seed, epoch=epoch * len(buffers) + number)
                for rows in plan[offset : offset + total - taken]:
                    taken += 1
                    yield features, rows
                offset = 0
                if taken >= total:
                    return
            epoch += 1

    def _rows(self, buffer: Sequence[int]) -> pa.Table:
        tables = []
        for number in buffer:
            rows = self.read(self.units[number])
            if rows.num_rows != self.rows[number]:
                raise DataError(
                    f"{self.units[number].file} had {self.rows[number]:,} training rows and now has {rows.num_rows:,}.",
                    "Do not change the files while a run reads them; start a new run.",
                    id="data.streaming-changed",
                )
            tables.append(rows)
        return pa.concat_tables(tables, promote_options="permissive")
