"""Agreement of annotators: alpha of published data, its interval, and agreement with the others."""

import numpy as np
import pytest

from toolkit.evaluation.doubts import agreement

# Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", section C: four observers, twelve units.
OBSERVERS = (
    (1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None),
    (1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3),
    (None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None),
    (1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None),
)
FLAT = [(unit, value) for values in OBSERVERS for unit, value in enumerate(values) if value is not None]
UNITS = np.array([unit for unit, _ in FLAT])
SETTINGS = {"confidence": 0.95, "resamples": 500, "seed": 0}


@pytest.mark.parametrize(("kind", "known"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_of_published_data(kind: str, known: float) -> None:
    paired = np.isin(UNITS, [unit for unit in range(12) if (unit == UNITS).sum() > 1])
    values = [value for (_, value), kept in zip(FLAT, paired, strict=True) if kept]
    classes = 0 if kind == "interval" else 5
    numbers = [value - 1 for value in values] if classes else values
    points = agreement.points(numbers, classes, ordered=kind == "ordinal")
    measured = agreement.alpha(points, UNITS[paired], **SETTINGS)
    assert measured is not None
    assert measured["value"] == pytest.approx(known, abs=0.002)
    assert measured["low"] < measured["value"] < measured["high"] <= 1.0
    assert (measured["items"], measured["labels"]) == (11, 40)


def test_interval_covers_the_alpha_of_many_items() -> None:
    """Three annotators who guess on 30 % of 60 items each: the interval holds the alpha of very many items."""

    def drawn(items: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        random = np.random.default_rng(seed)
        truth = np.repeat(random.integers(2, size=items), 3)
        labels = np.where(random.random(3 * items) < 0.3, random.integers(2, size=3 * items), truth)
        return labels, np.repeat(np.arange(items), 3)

    def alpha(items: int, seed: int) -> dict[str, float]:
        labels, numbers = drawn(items, seed)
        measured = agreement.alpha(agreement.points(labels.tolist(), 2, ordered=False), numbers, **SETTINGS)
        assert measured is not None
        return measured

    true = alpha(20_000, 99)["value"]
    held = sum(found["low"] <= true <= found["high"] for found in (alpha(60, seed) for seed in range(60)))
    assert held >= 53  # 57 are expected


def test_few_items_or_one_label_have_no_alpha() -> None:
    points = agreement.points([0, 1] * 8, 2, ordered=False)
    assert agreement.alpha(points, np.arange(16), **SETTINGS) is None
    assert agreement.alpha(np.zeros((40, 1)), np.arange(40) // 2, **SETTINGS) is None


def test_annotator_who_differs_is_first() -> None:
    random = np.random.default_rng(0)
    truth = random.integers(3, size=80)
    values, items, names = [], [], []
    for name, wrong in (("ann", 0.02), ("bo", 0.02), ("cy", 0.6)):
        values += np.where(random.random(80) < wrong, (truth + 1) % 3, truth).tolist()
        items += range(80)
        names += [name] * 80
    rows = agreement.annotators(values, np.array(items), names, 0.95)
    assert rows[0]["name"] == "cy"
    assert rows[0]["high"] < 0.7
    assert all(row["low"] <= row["value"] <= row["high"] for row in rows)
    alone = agreement.annotators([0, 1], np.array([0, 1]), ["ann", "bo"], 0.95)
    assert [(row["labels"], row["value"]) for row in alone] == [(0, None), (0, None)]
