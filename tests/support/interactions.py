"""A generated log of interactions with a planted order: most items are followed by the next one of a ring."""

import csv
import random
from pathlib import Path


def log(path: Path, *, users: int, length: int, items: int, seed: int = 0, chaos: float = 0.2) -> Path:
    """Write a log with the columns userId, movieId, rating and timestamp.

    Users begin at any time. With the probability `chaos` the next item is another one instead, the first of the ring
    more often than the last; only items that the user does not have yet are taken.

    Args:
        path: CSV file.
        users: Number of users.
        length: Interactions of each.
        items: Number of items.
        seed: Of the draw.
        chaos: Share of interactions that are not in the planted order.
    """
    chance = random.Random(seed)
    rows = []
    for user in range(users):
        item, time = chance.randrange(items), 1_000_000_000 + chance.randrange(30 * 86400)
        had = set()
        for _ in range(length):
            jumps = chance.random() < chaos
            item = int(items * chance.random() ** 3) if jumps else (item + 1) % items
            while item in had:
                item = (item + 1) % items
            had.add(item)
            time += chance.randrange(60, 86400)
            rows.append((f"u{user}", f"m{item}", chance.randint(3, 5), time))
    chance.shuffle(rows)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["userId", "movieId", "rating", "timestamp"])
        writer.writerows(rows)
    return path
