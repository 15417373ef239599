"""When an evaluation warns that its labels may be swapped."""

import json

import numpy as np
import pytest

from tests.support.errors import refused
from toolkit import runs
from toolkit.commands.evaluate.run import LOOKS, looks
from toolkit.commands.evaluate.warnings import far_below_chance, repeated_looks, rows_of_rare_class
from toolkit.errors import SourceError


def test_exchanged_labels_are_far_below_chance():
    truth = [0, 1] * 20
    assert far_below_chance(truth, [1 - label for label in truth])
    assert not far_below_chance(truth, truth)


def test_a_model_that_predicts_one_class_is_not():
    assert not far_below_chance([0] * 38 + [1] * 2, [1] * 40)


def test_few_correct_predictions_of_many_classes_are_chance():
    truth = [number % 10 for number in range(54)]
    predicted = [*truth[:2], *((label + 1) % 10 for label in truth[2:])]
    assert not far_below_chance(truth, predicted)


def test_models_that_guess_are_warned_of_in_one_of_a_hundred_at_most():
    random = np.random.default_rng(0)
    draws = [random.integers(0, classes, (2, rows)) for classes in (2, 3, 10) for rows in (10, 60) for _ in range(200)]
    assert np.mean([far_below_chance(truth.tolist(), predicted.tolist()) for truth, predicted in draws]) < 0.01


@pytest.mark.parametrize(
    ("counts", "rarest"), [((190, 10), 10), ((185, 15), None), ((10, 10), None), ((10,) * 50, None), ((), None)]
)
def test_a_rare_class_is_rarer_than_the_others(counts, rarest):
    assert rows_of_rare_class([label for label, rows in enumerate(counts) for _ in range(rows)]) == rarest


@pytest.mark.parametrize("count", [None, 1, 2])
def test_two_looks_are_usual(count):
    assert repeated_looks(count) == []


def test_the_third_look_is_warned_of_with_their_number():
    (warning,) = repeated_looks(3)
    assert " 3 times" in warning
    assert " 12 times" in repeated_looks(12)[0]


def test_a_run_counts_its_looks(tmp_path):
    run = runs.Run(tmp_path)
    assert looks(run) == 1  # after training
    (tmp_path / LOOKS).parent.mkdir()
    (tmp_path / LOOKS).write_text(json.dumps({"held_out": 2}))
    assert repeated_looks(looks(run) + 1)  # the next one is the third
    (tmp_path / LOOKS).write_text(json.dumps({"held": 2}))
    with refused(SourceError, "run.damaged", LOOKS.name):
        looks(run)
