"""Divide interactions into train, validation and test by time, so that nothing is learned from the future."""

from typing import Literal

import numpy as np

from toolkit.data.batching.batch import Integers
from toolkit.data.interactions.times import Floats, shown
from toolkit.errors import DataError

TRAIN, VALIDATION, TEST = 0, 1, 2  # numbers of the parts
Division = Literal["time", "leave-one-out"]


def by_time(times: Floats, parts: Integers, validation: float, test: float) -> tuple[Integers, list[str]]:
    """Move the latest interactions of train to the parts that are missing, at one time for all users.

    Interactions at the same time are never divided, so that every one in train is before every one in validation, and
    these before all in test.

    Args:
        times: Of each interaction. Shape (N,).
        parts: Part of each, as given; only train is divided. Shape (N,).
        validation: Share of train's interactions to move to validation.
        test: The same of test.

    Returns:
        Part of each, and sentences.

    Raises:
        DataError: There are too few different times.
    """
    parts = parts.copy()
    shares = {part: share for part, share in ((VALIDATION, validation), (TEST, test)) if not (parts == part).any()}
    free = parts == TRAIN
    cuts: dict[int, float] = {}
    left = 1.0
    for part in sorted(shares, reverse=True):
        left -= shares[part]
        cuts[part] = float(np.quantile(times[free], left, method="lower"))
    for part in sorted(cuts):  # validation first: test is what is later still
        parts[free & (times > cuts[part])] = part
    for part, name in ((TRAIN, "train"), (VALIDATION, "validation"), (TEST, "test")):
        if not (parts == part).any():
            raise DataError(
                f"The log cannot be divided by time: no interaction is left for {name}.",
                "Give a longer log with more different times, or separate parts; `options.split=leave-one-out` divides "
                "each user's interactions by their order.",
                id="data.too-few-rows",
            )
    first = {part: shown(float(times[parts == part].min())) for part in (VALIDATION, TEST)}
    note = f"Divided by time, for all users at once: validation from {first[VALIDATION]}, test from {first[TEST]}."
    return parts, [*([note] if cuts else []), *_overlapping(times, parts)]


def _overlapping(times: Floats, parts: Integers) -> list[str]:
    """Warn of given parts in which training interactions are later than test interactions."""
    late = int((times[parts == TRAIN] > times[parts == TEST].min()).sum())
    if not late:
        return []
    return [
        f"{late:,} interactions of train are later than the first one of test: the model learns from the future, and "
        "metrics are too optimistic. Give one log, which is divided by time."
    ]


def leave_one_out(earlier: Integers, later: Integers) -> tuple[Integers, list[str]]:
    """Give each user's last interaction to test, and the one before to validation, where there are three or more.

    Args:
        earlier: Number of earlier interactions of the same user. Shape (N,).
        later: Number of later ones. Shape (N,).

    Returns:
        Part of each interaction, and a sentence.
    """
    held_out = np.where(later == 0, TEST, np.where(later == 1, VALIDATION, TRAIN))
    parts = np.where(earlier + later >= 2, held_out, TRAIN)
    note = (
        "Divided by leave-one-out: each user's last interaction is test, the one before validation. Train contains "
        "interactions of other users that are later than those of test: the model learns from the future, and metrics "
        "are too optimistic. `options.split=time` measures what a deployed model would reach."
    )
    return parts, [note]
