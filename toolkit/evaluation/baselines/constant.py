"""Baselines that count: the same prediction for every row or word, or the source itself."""

import statistics
from collections import Counter, defaultdict
from collections.abc import Sequence

import pyarrow as pa

from toolkit.evaluation.baselines.features import target


def majority(train: pa.Table, test: pa.Table, labels: Sequence[str], role: str = "label") -> list[int]:
    """Predict the most frequent class of train for every row; `role` is that of the target."""
    counted = Counter(train[role].to_pylist())
    winner = max(range(len(labels)), key=lambda number: counted[number])
    return [winner] * test.num_rows


def frequent_classes(train: pa.Table, test: pa.Table, labels: Sequence[str]) -> list[list[int]]:
    """Predict for every row the classes that more than half of train have; without any, the most frequent set."""
    sets: list[tuple[int, ...]] = [tuple(sorted(set(row))) for row in target(train)]
    counted = Counter(number for row in sets for number in row)
    frequent = [number for number in range(len(labels)) if 2 * counted[number] > len(sets)]
    if not frequent and sets:
        occurring = Counter(sets)
        most = max(occurring.values())
        frequent = list(min(row for row, count in occurring.items() if count == most))
    return [list(frequent) for _ in range(test.num_rows)]


def median_class(train: pa.Table, test: pa.Table, labels: Sequence[str]) -> list[int]:
    """Predict the median of train's ordered classes for every row, the lower of two."""
    return [int(statistics.median_low(target(train)))] * test.num_rows


def median_value(train: pa.Table, test: pa.Table, labels: Sequence[str]) -> list[float]:
    """Predict the median of train's numbers for every row."""
    return [float(statistics.median(target(train)))] * test.num_rows


def mean_value(train: pa.Table, test: pa.Table, labels: Sequence[str]) -> list[float]:
    """Predict the mean of train's numbers for every row."""
    return [statistics.fmean(target(train))] * test.num_rows


def most_frequent_label(train: pa.Table, test: pa.Table, labels: Sequence[str]) -> list[list[int]]:
    """Give each word the label it had most often in train, and words never seen the most frequent label."""
    seen: dict[str, Counter[int]] = defaultdict(Counter)
    for words, numbers in zip(train["words"].to_pylist(), train["labels"].to_pylist(), strict=True):
        for word, number in zip(words, numbers, strict=True):
            seen[word][number] += 1
    usual = {word: counted.most_common(1)[0][0] for word, counted in seen.items()}
    other = sum(seen.values(), Counter[int]()).most_common(1)[0][0]
    return [[usual.get(word, other) for word in words] for words in test["words"].to_pylist()]


def empty_text(train: pa.Table, test: pa.Table, labels: Sequence[str]) -> list[str]:
    """Write nothing for every row."""
    return [""] * test.num_rows


def most_frequent_text(train: pa.Table, test: pa.Table, labels: Sequence[str]) -> list[str]:
    """Write the most frequent transcript of train for every row."""
    ((text, _),) = Counter(train["transcript"].to_pylist()).most_common(1)
    return [text] * test.num_rows


def source_itself(train: pa.Table, test: pa.Table, labels: Sequence[str]) -> list[str]:
    """Return the source unchanged."""
    texts: list[str] = test["source"].to_pylist()
    return texts
