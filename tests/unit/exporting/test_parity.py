"""What counts as the same prediction, and what passes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.errors import refused
from toolkit.errors import RunError
from toolkit.exporting import parity
from toolkit.tasks.targets.number import NUMBER
from toolkit.tasks.targets.single_label import SINGLE_LABEL


def said(answers, probabilities=None):
    columns = {"prediction": answers}
    return columns if probabilities is None else {**columns, "probabilities": probabilities}


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1))
def test_agreement_is_the_share_of_equal_answers_inside_its_interval(pairs):
    before, after = zip(*pairs, strict=True)
    result = parity.agreement(said(before), said(after), 0.95)
    assert (result.rows, result.same) == (len(pairs), sum(a == b for a, b in pairs))
    assert result.value == result.same / result.rows
    assert result.low <= result.value <= result.high


def test_lists_of_labels_agree_as_a_whole():
    assert parity.agreement(said([[0, 1], [1]]), said([[0, 0], [1]]), 0.95).same == 1


def test_drift_is_of_probabilities_where_there_are_some():
    moved = parity.drift(said([0, 1], [[0.9, 0.1], [0.5, 0.5]]), said([0, 1], [[0.7, 0.3], [0.5, 0.5]]))
    assert moved is not None
    assert moved.largest == pytest.approx(0.2)
    assert moved.mean == pytest.approx(0.1)
    assert parity.drift(said(["a"]), said(["a"])) is None


def test_the_form_decides_what_is_usual():
    assert parity.limits("onnx", None) == parity.Limits(0.001, 0.001)
    assert parity.limits("onnx-int8", None) == parity.Limits(0.05, None)
    assert parity.limits("onnx", 0.3) == parity.Limits(0.3, 0.001)


@given(st.integers(0, 50), st.integers(0, 50))
def test_one_row_too_many_fails(allowed, wrong):
    result = parity.agreement(said([0] * 50), said([1] * wrong + [0] * (50 - wrong)), 0.95)
    limits = parity.Limits(allowed / 50, None)
    if wrong <= allowed:
        parity.check(result, None, limits, "onnx-int8")
    else:
        with refused(RunError, "export.different-predictions", f"{wrong} of 50"):
            parity.check(result, None, limits, "onnx-int8")


@pytest.mark.parametrize("largest", [0.0011, float("inf")])
def test_probabilities_that_moved_fail_where_nothing_is_rounded(largest):
    result = parity.agreement(said([0]), said([0]), 0.95)
    moved = parity.Drift.model_construct(largest=largest, mean=0.0)
    with refused(RunError, "export.different-predictions", "Probabilities"):
        parity.check(result, moved, parity.limits("onnx", None), "onnx")
    parity.check(result, moved, parity.limits("onnx-int8", None), "onnx-int8")


@pytest.mark.parametrize("unit", [1e-4, 1.0, 1e4])
def test_numbers_are_compared_in_their_standard_deviations(unit):
    numbers = [unit * n for n in range(100)]  # of a standard deviation of 28.9 units
    scale = parity.number_scale(NUMBER, numbers)
    for form, least in (("onnx", 0.03), ("onnx-int8", 3.0)):
        equal = parity.equality(NUMBER, scale, form)
        assert equal(5 * unit, 5 * unit + 0.9 * least * unit)
        assert not equal(5 * unit, 5 * unit - 1.1 * least * unit)
    moved = parity.drift(said(numbers), said([*numbers[:-1], numbers[-1] + scale / 2]), scale)
    assert moved is not None
    assert (moved.largest, moved.mean, moved.of_numbers) == (pytest.approx(0.5), pytest.approx(0.005), True)


def test_rounding_of_float32_is_no_difference_of_numbers():
    numbers = [1e6 + n / 10 for n in range(10)]  # the spacing of float32 is a sixteenth here
    rounded = [float(np.float32(number)) for number in numbers]
    scale = parity.number_scale(NUMBER, numbers)
    assert all(map(parity.equality(NUMBER, scale, "onnx"), numbers, rounded))
    moved = parity.drift(said(numbers), said(rounded), scale)
    parity.check(parity.agreement(said([0]), said([0]), 0.95), moved, parity.limits("onnx", None), "onnx")
    assert parity.number_scale(NUMBER, [0.0, 0.0]) == 1
    assert parity.number_scale(SINGLE_LABEL, [0, 1]) is None


def test_agreement_is_over_groups():
    """Of 20 groups of 20 rows with an intraclass correlation of 0.2, whose predictions agree on 80 %."""
    held, clusters = {"groups": 0, "rows": 0}, np.repeat(np.arange(20), 20)
    for seed in range(300):
        random = np.random.default_rng(seed)
        shares = random.beta(0.8 * 4, 0.2 * 4, 20)
        other = (random.random((20, 20)) < shares[:, None]).ravel().astype(int)
        for name, together in (("groups", clusters), ("rows", None)):
            ends = parity.agreement(said([1] * 400), said(other.tolist()), 0.95, clusters=together)
            held[name] += ends.low <= 0.8 <= ends.high
    assert held["groups"] / 300 >= 0.93
    assert held["rows"] / 300 < 0.8
