"""When an evaluation warns that its labels may be swapped."""

import numpy as np

from toolkit.commands.evaluate.warnings import far_below_chance


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
