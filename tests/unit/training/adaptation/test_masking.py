"""Masked tokens: their number, their replacements, and tokens that are never chosen."""

from types import SimpleNamespace

import numpy as np
import pytest

from toolkit.training.adaptation import masking

SPECIAL = np.array([0, 1, 2, 3])  # padding, first, last, mask
WORDS = 1000


def tokens(rows=200, length=100):
    made = np.random.default_rng(0).integers(4, WORDS, (rows, length))
    made[:, 0], made[:, -1] = 1, 2
    made[::2, 60:] = 0
    return made


def test_shares_are_those_of_bert():
    before = tokens()
    hidden, labels = masking.masked(before, SPECIAL, 3, WORDS, np.random.default_rng(1))
    free = ~np.isin(before, SPECIAL)
    chosen = labels != -100
    assert not (chosen & ~free).any()
    assert (labels[chosen] == before[chosen]).all()
    assert (hidden[~chosen] == before[~chosen]).all()
    assert chosen.sum() / free.sum() == pytest.approx(0.15, abs=0.01)
    assert (hidden[chosen] == 3).mean() == pytest.approx(0.8, abs=0.03)
    assert (hidden[chosen] == before[chosen]).mean() == pytest.approx(0.1, abs=0.03)


def test_a_single_word_is_predicted():
    for seed in range(20):
        _, labels = masking.masked(np.array([[1, 7, 2]]), SPECIAL, 3, WORDS, np.random.default_rng(seed))
        assert labels.tolist() == [[-100, 7, -100]]


class Processor(SimpleNamespace):
    def __len__(self):
        return WORDS


def test_masks_change_in_training_and_stay_in_evaluation():
    processor = Processor(all_special_ids=[0, 1, 2, 3], pad_token_id=0, mask_token_id=3)
    rows = [{"input_ids": row[row > 0].astype(np.int32)} for row in tokens(4)]
    for fixed in (False, True):
        collate = masking.collate(processor, 0, fixed=fixed)
        first, second = (collate(rows)["labels"].tolist() for _ in range(2))
        assert (first == second) is fixed
