"""Rows of a history and the next item, from a log of interactions: pieces for training, single next items otherwise."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit.data.batching.batch import Integers
from toolkit.data.interactions.times import Floats

HISTORY_COLUMN, LEARNED_COLUMN = "history", "_learned"  # columns that are added
MOST_HISTORY = 500  # items of a history that are kept, so that heavy users do not fill the memory


@dataclass(frozen=True)
class Log:
    """Interactions in the order of the users' numbers, those of a user with the oldest first.

    Attributes:
        rows: The table, in this order.
        users: Number of each interaction's user. Shape (N,).
        items: Number of its item. Shape (N,).
        names: Names of the items.
        times: Shape (N,).
    """

    rows: pa.Table
    users: Integers
    items: Integers
    names: pa.Array
    times: Floats

    @property
    def earlier(self) -> Integers:
        """How many earlier interactions the same user has. Shape (N,)."""
        return np.arange(len(self.users)) - np.searchsorted(self.users, self.users, "left")

    @property
    def later(self) -> Integers:
        """How many later interactions the same user has. Shape (N,)."""
        return np.searchsorted(self.users, self.users, "right") - 1 - np.arange(len(self.users))

    def take(self, kept: Any) -> "Log":
        """Return the interactions of a mask or of positions, in their order."""
        positions = np.flatnonzero(kept) if kept.dtype == bool else kept
        rows = self.rows.take(pa.array(positions))
        return Log(rows, self.users[positions], self.items[positions], self.names, self.times[positions])


def next_items(log: Log, chosen: Integers) -> pa.Table:
    """Return a row for each chosen interaction, with the user's earlier ones as its history.

    Args:
        log: All interactions.
        chosen: Positions of interactions that have an earlier one.
    """
    lengths = np.minimum(log.earlier[chosen], MOST_HISTORY)
    rows = _with_history(log, chosen, lengths)
    return rows.append_column(LEARNED_COLUMN, pa.array(np.ones(len(chosen), np.int64)))


def pieces(log: Log, longest: int) -> pa.Table:
    """Return rows that cover each user's interactions once, cut into even pieces; every item of a piece is learned.

    Args:
        log: The training interactions.
        longest: Items of a history at most; a piece also has the item after it.
    """
    counts = log.earlier + log.later + 1  # of the user, (N,)
    cuts = -(-counts // (longest + 1))  # pieces of the user
    number = log.earlier * cuts // counts  # of the piece
    changes = (np.diff(log.users) != 0) | (np.diff(number) != 0)
    ends = np.flatnonzero(np.append(changes, True)) if len(counts) else np.zeros(0, np.int64)
    sizes = np.diff(np.append(-1, ends))
    ends, sizes = ends[sizes > 1], sizes[sizes > 1]
    rows = _with_history(log, ends, sizes - 1)
    return rows.append_column(LEARNED_COLUMN, pa.array(sizes.astype(np.int64)))


def _with_history(log: Log, chosen: Integers, lengths: Integers) -> pa.Table:
    """Return the chosen interactions, each with as many of the interactions before it as its history."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    flat = np.repeat(chosen - lengths - offsets[:-1], lengths) + np.arange(offsets[-1])
    names = log.names.take(pa.array(log.items[flat]))
    history = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), names)
    return log.rows.take(pa.array(chosen)).append_column(HISTORY_COLUMN, history)
