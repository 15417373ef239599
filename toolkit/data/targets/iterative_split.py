"""Stratified split of rows that have several classes: each class and each pair of classes keeps its share.

Sources: Sechidis et al. 2011, "On the Stratification of Multi-Label Data"; for pairs, Szymański and Kajdanowicz 2017,
"A Network Perspective on Stratification of Multi-Label Data".
"""

import heapq
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from toolkit.data.batching.batch import Integers

_MOST_IN_PAIRS = 16  # classes of a row of which all pairs are counted: they grow with the square

Key = tuple[int, ...]


def split(classes: Sequence[Sequence[int]], fractions: Mapping[str, float], seed: int) -> dict[str, Integers]:
    """Divide rows among train and held-out parts, so that each class, and each pair of classes, keeps its share.

    The rarest class or pair is distributed first: each of its rows goes to the part that lacks it most, and that has
    room. Before that, train gets a row of each class, the rarest first, for as long as it has room; so with as many
    rows as there are classes it has all of them.

    Args:
        classes: Numbers of the classes of each row; a row may have none.
        fractions: Part → share of the rows, of the parts other than train.
        seed: Decides among equals.

    Returns:
        Part → positions of its rows, ascending; train is the first part. A part has round(rows × fraction) rows.
    """
    rows = len(classes)
    sizes = {part: round(rows * fraction) for part, fraction in fractions.items()}
    sizes = {"train": rows - sum(sizes.values()), **sizes}
    if sizes["train"] < 0 or min(sizes.values()) < 0:
        raise ValueError(f"the fractions {dict(fractions)} are more than all rows")
    order = np.random.default_rng(seed).permutation(rows).tolist()
    keys = [_keys(row) for row in classes]
    waiting: dict[Key, list[int]] = defaultdict(list)
    for row in order:
        for key in keys[row]:
            waiting[key].append(row)
    part_of = _assign(keys, waiting, list(sizes.values()), rows)
    rest = [row for row in order if part_of[row] < 0]  # rows without classes: any part is as good
    filled = np.bincount(part_of[part_of >= 0], minlength=len(sizes))
    part_of[rest] = np.repeat(np.arange(len(sizes)), np.array(list(sizes.values())) - filled)
    return {part: np.flatnonzero(part_of == number) for number, part in enumerate(sizes)}


def _keys(classes: Sequence[int]) -> list[Key]:
    """Return what of a row is counted: its classes, and their pairs unless there are very many."""
    different = sorted(set(classes))
    pairs = combinations(different, 2) if len(different) <= _MOST_IN_PAIRS else ()
    keys: list[Key] = [(number,) for number in different]
    return keys + list(pairs)


def _assign(
    keys: Sequence[Sequence[Key]], waiting: Mapping[Key, Sequence[int]], sizes: list[int], rows: int
) -> Integers:
    """Assign every row that has classes to a part; the others are -1. Shape (rows,)."""
    part_of = np.full(rows, -1, np.int64)
    room = list(sizes)
    wanted = {key: [len(members) * size / rows for size in sizes] for key, members in waiting.items()}
    left = {key: len(members) for key, members in waiting.items()}

    def place(row: int, part: int) -> None:
        part_of[row] = part
        room[part] -= 1
        for key in keys[row]:
            wanted[key][part] -= 1
            left[key] -= 1

    covered: set[Key] = set()
    singles = [key for key in waiting if len(key) == 1]
    for single in sorted(singles, key=lambda key: (len(waiting[key]), key)):
        if single not in covered and room[0]:
            place(waiting[single][0], 0)
            covered.update(keys[waiting[single][0]])
    heap = [(count, key) for key, count in left.items() if count]
    heapq.heapify(heap)
    while heap:
        count, rarest = heapq.heappop(heap)
        if count != left[rarest]:  # an entry from before some of its rows were placed
            continue
        touched: set[Key] = set()
        for row in waiting[rarest]:
            if part_of[row] < 0:
                parts = [part for part in range(len(sizes)) if room[part]]
                place(row, max(parts, key=lambda part: (wanted[rarest][part], room[part])))
                touched.update(keys[row])
        for key in touched:
            if left[key]:
                heapq.heappush(heap, (left[key], key))
    return part_of
