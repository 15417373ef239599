"""Baselines that rank items: by popularity, by items of the same users, by what usually follows the last item."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.data.batching.batch import Integers
from toolkit.metrics.ranking import LISTED

NEIGHBOURS = 200  # most similar items that are kept of each
_CELLS = 4_000_000  # scores in memory at a time
_APART = 1e-12  # what is taken off a score for each more popular item, to order equal ones


def most_popular(
    train: pa.Table, test: pa.Table, _labels: Sequence[str], options: Mapping[str, Any]
) -> list[list[str]]:
    """Rank items by their number of interactions in train, alike for everyone."""
    catalogue = _catalogue(train)
    return _rankings(catalogue, test, options, lambda rows: np.zeros((len(rows), len(catalogue.names))))


def item_neighbours(
    train: pa.Table, test: pa.Table, _labels: Sequence[str], options: Mapping[str, Any]
) -> list[list[str]]:
    """Rank items by the sum of their cosine similarities to those of the history (Deshpande and Karypis 2004).

    Two items are similar if the same users have both; of each the `NEIGHBOURS` most similar ones are kept.
    """
    from scipy import sparse

    catalogue = _catalogue(train)
    users, items = catalogue.users, catalogue.items
    used = sparse.csr_matrix((np.ones(len(items), np.float32), (users, items)), shape=catalogue.shape)
    used.data[:] = 1.0  # twice is once
    norms = np.sqrt(np.asarray(used.sum(axis=0)).ravel())
    scaled = (used @ sparse.diags(1 / np.maximum(norms, 1))).tocsc()  # (users, items)
    size = max(1, _CELLS // max(1, len(catalogue.names)))
    blocks = (_nearest(scaled, start, size) for start in range(0, len(catalogue.names), size))
    similar = sparse.vstack(list(blocks), format="csr")  # (items, items)
    histories = _history_matrix(catalogue, test)
    return _rankings(catalogue, test, options, lambda rows: (histories[rows] @ similar).toarray())


def _nearest(scaled: Any, start: int, size: int) -> Any:
    """Return the similarities of some items to their nearest others. Sparse, (size, items)."""
    from scipy import sparse

    block = (scaled[:, start : start + size].T @ scaled).toarray()  # (size, items)
    block[np.arange(len(block)), start + np.arange(len(block))] = 0.0
    if block.shape[1] > NEIGHBOURS:
        least = np.partition(block, -NEIGHBOURS, axis=1)[:, -NEIGHBOURS, None]
        block[block < least] = 0.0
    return sparse.csr_matrix(block)


def most_frequent_successor(
    train: pa.Table, test: pa.Table, _labels: Sequence[str], options: Mapping[str, Any]
) -> list[list[str]]:
    """Rank items by how often they follow the last item of the history in train: a Markov chain of first order."""
    from scipy import sparse

    catalogue = _catalogue(train)
    size = len(catalogue.names)
    same = catalogue.rows[1:] == catalogue.rows[:-1]
    before, after = catalogue.items[:-1][same], catalogue.items[1:][same]
    follows = sparse.csr_matrix((np.ones(len(before), np.float32), (before, after)), shape=(size, size))
    lists = _lists(test)
    ends = np.asarray(lists.offsets)[1:] - 1
    last = catalogue.numbers(pc.list_flatten(lists).take(pa.array(ends)))
    known = np.maximum(last, 0)
    return _rankings(catalogue, test, options, lambda rows: follows[known[rows]].toarray() * (last[rows] >= 0)[:, None])


@dataclass(frozen=True)
class _Catalogue:
    """The items of train, and its interactions.

    Attributes:
        names: Of the items.
        items: Number of each interaction's item, row by row in their order. Shape (N,).
        rows: Number of its row. Shape (N,).
        users: Number of its user, or of its row without a column of users. Shape (N,).
    """

    names: pa.Array
    items: Integers
    rows: Integers
    users: Integers

    @property
    def shape(self) -> tuple[int, int]:
        """Number of users and of items."""
        return int(self.users.max()) + 1, len(self.names)

    def numbers(self, names: pa.Array) -> Integers:
        """Return the number of each name, -1 for one that is not in train."""
        found: Integers = np.asarray(pc.fill_null(pc.index_in(names, self.names), -1)).astype(np.int64)
        return found


def _lists(rows: pa.Table) -> pa.ListArray:
    joined = rows["history"].combine_chunks()
    return joined if isinstance(joined, pa.ListArray) else pa.concat_arrays(joined.chunks)


def _catalogue(train: pa.Table) -> _Catalogue:
    lists = _lists(train)
    sizes = np.diff(np.asarray(lists.offsets))
    owners = np.concatenate([np.repeat(np.arange(train.num_rows), sizes), np.arange(train.num_rows)])
    joined = pa.concat_arrays([pc.list_flatten(lists), *train["item"].chunks])
    order = np.argsort(owners, kind="stable")  # the item of a row after its history
    encoded = joined.take(pa.array(order)).dictionary_encode()
    rows = owners[order]
    users = rows
    if "user" in train.column_names:
        user = train["user"].combine_chunks().dictionary_encode()
        users = np.asarray(user.indices.fill_null(0)).astype(np.int64)[rows]
    return _Catalogue(encoded.dictionary, np.asarray(encoded.indices).astype(np.int64), rows, users)


def _history_matrix(catalogue: _Catalogue, test: pa.Table) -> Any:
    """Return which items each row's history has. Sparse, (rows, items)."""
    from scipy import sparse

    owners, numbers = _seen(catalogue, test)
    shape = (test.num_rows, len(catalogue.names))
    seen = sparse.csr_matrix((np.ones(len(numbers), np.float32), (owners, numbers)), shape=shape)
    seen.data[:] = 1.0
    return seen


def _seen(catalogue: _Catalogue, test: pa.Table) -> tuple[Integers, Integers]:
    """Return row and number of each known item of the histories."""
    lists = _lists(test)
    owners = np.repeat(np.arange(test.num_rows), np.diff(np.asarray(lists.offsets)))
    numbers = catalogue.numbers(pc.list_flatten(lists))
    return owners[numbers >= 0], numbers[numbers >= 0]


def _rankings(
    catalogue: _Catalogue, test: pa.Table, options: Mapping[str, Any], scores: Callable[[Integers], Any]
) -> list[list[str]]:
    """Rank all items for each row, some rows at a time; ties by popularity.

    Args:
        catalogue: The items.
        test: The rows.
        options: The recipe's; "exclude_seen" leaves out the items of the history.
        scores: Positions of rows → scores of all items, (B, I).
    """
    counts = np.bincount(catalogue.items, minlength=len(catalogue.names))
    order = np.argsort(-counts, kind="stable")  # items by popularity, which decides among equals
    names = catalogue.names.to_pylist()
    seen = _history_matrix(catalogue, test) if options.get("exclude_seen") else None
    rankings: list[list[str]] = []
    size = max(1, _CELLS // max(1, len(names)))
    for start in range(0, test.num_rows, size):
        rows = np.arange(start, min(start + size, test.num_rows))
        block = np.asarray(scores(rows), np.float64)
        if seen is not None:
            block[seen[rows].toarray() > 0] = -np.inf
        best = order[_first(block[:, order])]  # (B, k)
        worth = np.take_along_axis(block, best, axis=1)
        for items, values in zip(best, worth, strict=True):
            rankings.append([names[item] for item, value in zip(items, values, strict=True) if value > -np.inf])
    return rankings


def _first(scores: Any) -> Integers:
    """Return the positions of the largest scores, of equals the earlier ones first. (B, I) → (B, k)."""
    distinct = scores - _APART * np.arange(scores.shape[1])  # a stable sort of all items would take much longer
    most = min(LISTED, scores.shape[1])
    some = np.argpartition(-distinct, most - 1, axis=1)[:, :most]
    order = np.argsort(-np.take_along_axis(distinct, some, axis=1), axis=1)
    top: Integers = np.take_along_axis(some, order, axis=1)
    return top
