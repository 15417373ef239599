"""Near-duplicates with other labels, and outliers."""

import numpy as np
import pyarrow as pa

from toolkit.evaluation.doubts import neighbours
from toolkit.tasks.inputs.text import LIKENESS

LETTERS = [*"abcdefghijklmnopqrstuvwxyz"]


def sentences(count: int) -> list[str]:
    """Return texts of nine words that no other has."""
    random = np.random.default_rng(0)
    return [" ".join("".join(random.choice(LETTERS, 7)) for _ in range(9)) for _ in range(count)]


def test_near_duplicates_with_other_labels_are_found_in_both_directions() -> None:
    texts = sentences(60)
    texts[40], texts[41] = f"{texts[3]} again", f"{texts[8]} again"
    labels = [row % 5 for row in range(60)]
    labels[40], labels[41] = (labels[3] + 2) % 5, labels[8]
    doubts = neighbours.contradictions(pa.table({"text": texts}), ["text"], LIKENESS, labels)
    assert doubts is not None
    assert {(doubt.row, doubt.other, doubt.suggestion) for doubt in doubts} == {
        (3, 40, labels[40]),
        (40, 3, labels[3]),
    }


def test_lists_are_labels_and_near_numbers_do_not_contradict() -> None:
    texts = sentences(20)
    texts[11], texts[12] = texts[1], texts[2]
    table = pa.table({"text": texts})
    lists = [[0]] * 20
    lists[11] = [0, 1]
    doubts = neighbours.contradictions(table, ["text"], LIKENESS, lists)
    assert doubts is not None
    assert {doubt.row for doubt in doubts} == {1, 11}
    numbers = [float(number) for number in range(20)]
    numbers[11], numbers[12] = numbers[1] + 0.2, numbers[2] + 30
    doubts = neighbours.contradictions(table, ["text"], LIKENESS, numbers, apart=1.0)
    assert doubts is not None
    assert {doubt.row for doubt in doubts} == {2, 12}


def test_rows_far_from_all_others_are_outliers() -> None:
    random = np.random.default_rng(1)
    vectors = random.normal(size=(400, 12)).astype(np.float32)
    vectors[17] += 30
    vectors[200] -= 20
    doubts = neighbours.outliers(vectors, seed=0)
    assert [doubt.row for doubt in doubts[:2]] in ([17, 200], [200, 17])
    assert len(doubts) <= 4
    assert neighbours.outliers(vectors[:15], seed=0) == []
