"""From a log of interactions, or a table of histories, to rows that are divided by time.

Nothing is divided at random: a model that has seen later interactions, even of other users, is measured too
optimistically (Ji et al. 2023, "A Critical Study on Data Leakage in Recommender System Offline Evaluation").
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.data.batching.batch import Integers
from toolkit.data.formats import headers
from toolkit.data.interactions import division, lists, times
from toolkit.data.interactions.division import TEST, TRAIN, VALIDATION, Division
from toolkit.data.interactions.histories import HISTORY_COLUMN, LEARNED_COLUMN, Log, next_items, pieces
from toolkit.data.tables import columns as columns_
from toolkit.data.tables import wording
from toolkit.errors import DataError
from toolkit.tasks.contract import Tables
from toolkit.tasks.task import Column

PARTS = {"train": TRAIN, "validation": VALIDATION, "test": TEST}
REPEATED = 0.01  # share of test items in their history from which on it is said what excluding them means


@dataclass(frozen=True)
class LogSettings:
    """How a log becomes rows.

    Attributes:
        split: How it is divided.
        validation: Share of the interactions for validation.
        test: Share for test.
        longest: Items of a history that a model reads.
        least_rating: Interactions with a lower rating are left out; None keeps all.
        most_rows: Part → most rows of it.
        exclude_seen: Whether items of the history are not recommended.
    """

    split: Division
    validation: float
    test: float
    longest: int
    least_rating: float | None
    most_rows: Mapping[str, int]
    exclude_seen: bool


def arrange(
    parts: Mapping[str, pa.Table],
    columns: Sequence[Column],
    named: Mapping[str, str],
    settings: LogSettings,
    *,
    divide: bool,
) -> Tables:
    """Return rows of a history and the next item.

    Args:
        parts: Part → rows as they were read.
        columns: The recipe's: "user", "item", "time", "rating" and "history".
        named: Role → column, as the user named them.
        settings: How a log becomes rows.
        divide: Whether the rows are for training; else every interaction with an earlier one is a row.

    Raises:
        DataError: A column is missing, or there are too few interactions.
    """
    divide = divide and bool({"train", "all"} & parts.keys())
    roles = {part: _roles(rows, columns, named) for part, rows in parts.items()}
    if any(HISTORY_COLUMN in found for found in roles.values()):
        return _of_histories(parts, roles, settings, divide=divide)
    log, given, counts, notes = _read(parts, roles, settings)
    if not divide:
        chosen = {name: (given == code) & (log.earlier > 0) for name, code in _codes(parts).items()}
        tables = {name: next_items(log, np.flatnonzero(kept)) for name, kept in chosen.items() if kept.any()}
        return Tables(tables, [*notes, _described(log)], counts)
    tables, more = _divided(log, given, settings, whole=len(parts) == 1)
    notes += [_described(log), *more, *_of_test(tables, roles, settings)]
    return Tables(tables, notes, counts, given=len(parts) > 1)


def _divided(log: Log, given: Integers, settings: LogSettings, *, whole: bool) -> tuple[dict[str, pa.Table], list[str]]:
    """Return pieces for training and next items for validation and test, and sentences on what was left out."""
    if settings.split == "time" or not whole:
        codes, notes = division.by_time(log.times, given, settings.validation, settings.test)
    else:
        codes, notes = division.leave_one_out(log.earlier, log.later)
    tables = {"train": pieces(log.take(codes == TRAIN), settings.longest)}
    alone = int((codes == TRAIN).sum()) - int(pc.sum(tables["train"][LEARNED_COLUMN]).as_py() or 0)
    if alone:
        many, were = wording.rows(alone)
        notes = [*notes, f"{many} of users with a single interaction in train {were} left out."]
    for name in ("validation", "test"):
        rows = np.flatnonzero(codes == PARTS[name])
        known = rows[log.earlier[rows] > 0]
        kept = _of_some_users(log, known, settings.most_rows[name])
        tables[name] = next_items(log, kept)
        notes = [*notes, *_of_part(name, len(rows) - len(known), len(known), len(kept))]
    return tables, notes


def _roles(rows: pa.Table, columns: Sequence[Column], named: Mapping[str, str]) -> dict[str, str]:
    """Find the columns of a table of histories, or else of a log, which needs a user, an item and a time."""
    optional = [replace(column, required=False) for column in columns]
    found = columns_.find(rows.column_names, optional, named)
    if HISTORY_COLUMN in found:
        return found
    needed = {"user", "item", "time"}
    of_log = [replace(c, required=c.role in needed) for c in columns if c.role != HISTORY_COLUMN]
    likely = headers.of_table(rows.drop_columns(list(columns_.POSITION)))
    return columns_.find(rows.column_names, of_log, named, likely=likely)


def _codes(parts: Mapping[str, pa.Table]) -> dict[str, int]:
    """Return a number for each part; all that is not divided counts as train."""
    return {part: PARTS.get(part, TRAIN) for part in parts}


def _read(
    parts: Mapping[str, pa.Table], roles: Mapping[str, Mapping[str, str]], settings: LogSettings
) -> tuple[Log, Integers, dict[str, int], list[str]]:
    """Return the usable interactions in order, the part of each as given, and what was left out.

    Raises:
        DataError: None is usable.
    """
    users, items, when, liked = [], [], [], []
    for part, rows in parts.items():
        found = roles[part]
        users.append(columns_.single_labels(rows, found["user"]))
        items.append(columns_.single_labels(rows, found["item"]))
        when.append(times.parsed(rows[found["time"]]))
        liked.append(_ratings(rows, found, settings))
    table = pa.concat_tables(parts.values(), promote_options="permissive")
    given = np.repeat(list(_codes(parts).values()), [rows.num_rows for rows in parts.values()])
    user_codes, _ = _numbered(users)
    item_codes, item_names = _numbered(items)
    time, rating = np.concatenate(when), np.concatenate(liked)
    full = (user_codes >= 0) & (item_codes >= 0)
    timed = ~np.isnan(time)
    kept = full & timed & rating
    if 2 * int((full & ~timed).sum()) > len(time) or not kept.any():
        column = next(iter(roles.values()))["time"]
        raise DataError(
            f"{int((~timed).sum()):,} of {len(time):,} interactions have no readable time in `{column}`, "
            f"and {int(kept.sum()):,} can be used.",
            f"Give dates such as 2024-05-31 12:00 or numbers; select the column with {columns_.flag('time')}.",
            id="data.empty-column",
        )
    reasons = {"incomplete_interactions": ~full, "without_time": full & ~timed, "low_rating": full & timed & ~rating}
    counts = {reason: int(flags.sum()) for reason, flags in reasons.items() if flags.any()}
    notes = [f"{count:,} interactions left out: {reason.replace('_', ' ')}." for reason, count in counts.items()]
    order = np.lexsort((np.arange(len(time)), time, user_codes))
    order = order[kept[order]]
    log = Log(table.take(pa.array(order)), user_codes[order], item_codes[order], item_names, time[order])
    return log, given[order], counts, notes


def _numbered(values: Sequence[pa.ChunkedArray]) -> tuple[Integers, pa.Array]:
    """Return the number of each name, -1 for an empty one, and the names."""
    joined = pa.concat_arrays([chunk for array in values for chunk in array.chunks]).dictionary_encode()
    codes = np.asarray(joined.indices.fill_null(-1)).astype(np.int64)
    blank = np.asarray(pc.equal(joined.dictionary, ""))
    codes[np.append(blank, False)[codes]] = -1
    return codes, joined.dictionary


def _ratings(rows: pa.Table, found: Mapping[str, str], settings: LogSettings) -> Any:
    """Return which interactions count as liked.

    Raises:
        DataError: There is a least rating, and no column of ratings.
    """
    least = settings.least_rating
    if least is None:
        return np.ones(rows.num_rows, bool)
    if "rating" not in found:
        raise DataError(
            f"`options.min_rating` is {least:g}, but no column was recognised as the rating.",
            f"Select it with {columns_.flag('rating')}, or unset `options.min_rating`.",
            id="data.column-unrecognized",
        )
    return times.parsed(rows[found["rating"]]) >= least


def _of_some_users(log: Log, rows: Integers, most: int) -> Integers:
    """Return the rows of users drawn at random, as many as there may be; at least one user's."""
    if len(rows) <= most:
        return rows
    users, counts = np.unique(log.users[rows], return_counts=True)
    order = np.random.default_rng(0).permutation(len(users))
    fitting = max(1, int((np.cumsum(counts[order]) <= most).sum()))
    chosen: Integers = rows[np.isin(log.users[rows], users[order[:fitting]])]
    return chosen


def _described(log: Log) -> str:
    users, items = len(np.unique(log.users)), len(np.unique(log.items))
    pairs = len(np.unique(log.users * len(log.names) + log.items))
    return (
        f"{users:,} users, {items:,} items, {len(log.items):,} interactions: "
        f"{100 * pairs / (users * items):.3g} % of all pairs of a user and an item (density), from "
        f"{times.shown(float(log.times.min()))} to {times.shown(float(log.times.max()))}."
    )


def _of_part(name: str, new: int, rows: int, kept: int) -> list[str]:
    notes = [f"{new:,} first interactions of users in {name} left out: they have no history."] if new else []
    if kept < rows:
        notes.append(f"{name.capitalize()} has {kept:,} of {rows:,} rows, of users drawn at random.")
    return notes


def _of_test(
    tables: Mapping[str, pa.Table], roles: Mapping[str, Mapping[str, str]], settings: LogSettings
) -> list[str]:
    """Say how many items of test no model can rank: those that train lacks, and those that are excluded."""
    train, test = tables["train"], tables["test"]
    names, last = (columns_.single_labels(rows, next(iter(roles.values()))["item"]) for rows in (test, train))
    learned = pa.concat_arrays([pc.list_flatten(train[HISTORY_COLUMN].combine_chunks()), *last.chunks]).unique()
    unseen = test.num_rows - int(pc.sum(pc.is_in(names, learned)).as_py() or 0)
    notes = []
    user = next(iter(roles.values())).get("user")
    if user in test.column_names and len(pc.unique(test[user])) == 1:
        notes.append("All test rows are of one user: there are no intervals, which are over users.")
    if unseen:
        notes.append(
            f"{unseen:,} of {test.num_rows:,} test rows have an item that is not in train: it cannot be recommended, "
            "and these rows count as misses."
        )
    if settings.exclude_seen:
        lists = test[HISTORY_COLUMN].combine_chunks()
        owners = np.repeat(np.arange(test.num_rows), np.diff(np.asarray(lists.offsets)))
        same = np.asarray(pc.equal(pc.list_flatten(lists), names.combine_chunks().take(pa.array(owners))))
        repeated = len(np.unique(owners[same]))
        if repeated > REPEATED * test.num_rows:
            notes.append(
                f"{repeated:,} of {test.num_rows:,} test rows repeat an item of their history, which is not "
                "recommended: with `options.exclude_seen=false` it can be."
            )
    return notes


def _of_histories(
    parts: Mapping[str, pa.Table], roles: Mapping[str, Mapping[str, str]], settings: LogSettings, *, divide: bool
) -> Tables:
    """Divide a table that already has a history and the next item in each row: by its time, else by its order."""
    if not divide:
        return Tables({name: _learning(rows, roles[name][HISTORY_COLUMN], name) for name, rows in parts.items()})
    codes = _codes(parts)
    names = sorted(parts, key=lambda name: codes[name])
    table = pa.concat_tables([parts[name] for name in names], promote_options="permissive")
    given = np.repeat([codes[name] for name in names], [parts[name].num_rows for name in names])
    timed = all("time" in found for found in roles.values())
    when = np.arange(table.num_rows, dtype=np.float64)
    if timed:
        when = np.concatenate([times.parsed(parts[name][roles[name]["time"]]) for name in names])
    known = ~np.isnan(when)
    table, given, when = table.filter(pa.array(known)), given[known], when[known]
    divided, notes = division.by_time(when, given, settings.validation, settings.test)
    if not timed:
        notes.append("The table has no column of times: its rows count as ordered by time.")
    column = roles[names[0]][HISTORY_COLUMN]
    tables = {name: _learning(table.filter(pa.array(divided == code)), column, name) for name, code in PARTS.items()}
    counts = {} if known.all() else {"without_time": int((~known).sum())}
    return Tables(tables, notes, counts, given=len(parts) > 1)


def _learning(rows: pa.Table, column: str, part: str) -> pa.Table:
    """Add how many of each row's last items are learned: all in training, and the next item elsewhere."""
    learned = pa.array(np.ones(rows.num_rows, np.int64))
    if part == "train":
        lengths = pc.fill_null(pc.list_value_length(lists.item_lists(rows, column)), 0)
        learned = pc.add(lengths.cast(pa.int64()), 1)
    return rows.append_column(LEARNED_COLUMN, learned)
