"""Inputs keep their values in compact memory, and the plan of an epoch covers every row once."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.data.batching.batch import Features, Ragged, encode, pad, plan_epoch, plan_evaluation, probe, split_step

ragged_rows = st.lists(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=5), min_size=1, max_size=12)
lengths = st.lists(st.integers(0, 300), max_size=300).map(lambda values: np.array(values, np.int64))
batch_sizes = st.integers(1, 40)


def identity(columns):
    return columns


# --- compact memory -------------------------------------------------------------------------------------------------


@given(ragged_rows, st.integers(1, 15))
def test_ragged_rows_come_back_whatever_the_chunk(rows, chunk):
    table = pa.table({"ids": pa.array(rows, pa.list_(pa.int64())), "labels": range(len(rows))})
    features = encode(table, identity, chunk)
    assert isinstance(features.columns["ids"], Ragged)
    assert [features[n]["ids"].tolist() for n in range(len(features))] == rows
    assert [features[n]["labels"] for n in range(len(features))] == list(range(len(rows)))
    assert features.lengths.tolist() == features.columns["ids"].lengths.tolist() == [len(row) for row in rows]
    assert len(features) == len(features.columns["ids"]) == len(rows)


def test_numbers_that_do_not_fit_are_refused():
    with pytest.raises(OverflowError):
        encode(pa.table({"ids": [[2**31]]}), identity)


def test_cut_examples_are_counted_over_all_chunks_and_kept_from_the_model():
    table = pa.table({"ids": [[1]] * 5, "truncated": [True, False, True, True, False]})
    features = encode(table, identity, chunk=2)
    assert features.truncated == 3
    assert "truncated" not in features.columns


def test_examples_without_lists_cost_one_each():
    features = encode(pa.table({"x": [0.5, 1.5]}), identity)
    assert features.lengths.tolist() == [1, 1]
    assert features[1] == {"x": 1.5}


def test_lists_of_fractions_stay_fractions():
    features = encode(pa.table({"ids": [[1], [2, 3]], "labels": [[0.0, 1.0], [0.5, 0.0]]}), identity)
    assert features[1]["labels"].tolist() == [0.5, 0.0]
    assert features.lengths.tolist() == [1, 2]
    assert pad([features[0], features[1]], {})["labels"].tolist() == [[0.0, 1.0], [0.5, 0.0]]


def test_an_empty_table_gives_no_features():
    assert len(encode(pa.table({"ids": pa.array([], pa.list_(pa.int64()))}), identity)) == 0


# --- padding --------------------------------------------------------------------------------------------------------


@given(st.lists(st.lists(st.integers(1, 99), min_size=1, max_size=6), min_size=1, max_size=5), st.integers(-100, 0))
def test_padding_fills_up_and_changes_nothing(rows, filler):
    features = [{"input_ids": np.array(row, np.int32), "labels": np.int64(n)} for n, row in enumerate(rows)]
    padded = pad(features, {"input_ids": filler})
    longest = max(map(len, rows))
    assert padded["input_ids"].shape == padded["attention_mask"].shape == (len(rows), longest)
    for row, ids, mask in zip(rows, padded["input_ids"].tolist(), padded["attention_mask"].tolist(), strict=True):
        assert ids == row + [filler] * (longest - len(row))
        assert mask == [1] * len(row) + [0] * (longest - len(row))
    assert padded["labels"].tolist() == list(range(len(rows)))


def test_token_labels_are_padded_with_ignored_index():
    features = [
        {"input_ids": np.array([1, 2]), "labels": np.array([3, 4])},
        {"input_ids": np.array([5]), "labels": np.array([6])},
    ]
    assert pad(features, {"labels": -100})["labels"].tolist() == [[3, 4], [6, -100]]


# --- plans ----------------------------------------------------------------------------------------------------------


@given(lengths, batch_sizes, st.integers(0, 2**32 - 1), st.integers(0, 50))
def test_an_epoch_covers_every_row_once(costs, size, seed, epoch):
    steps = plan_epoch(costs, size, seed=seed, epoch=epoch)
    assert sorted(np.concatenate(steps).tolist()) == list(range(len(costs)))
    assert all(len(step) <= size for step in steps)
    assert sum(len(step) < size for step in steps) <= 1
    assert len(steps) == max(1, -(-len(costs) // size))


@given(lengths, batch_sizes, st.integers(0, 99), st.integers(0, 9))
def test_the_plan_is_decided_by_its_arguments(costs, size, seed, epoch):
    np.random.seed(0)
    first = plan_epoch(costs, size, seed=seed, epoch=epoch)
    np.random.seed(1)
    again = plan_epoch(costs.copy(), size, seed=seed, epoch=epoch)
    assert [step.tolist() for step in first] == [step.tolist() for step in again]


def test_epochs_and_seeds_differ():
    costs = np.arange(500) % 37
    plans = [plan_epoch(costs, 8, seed=seed, epoch=epoch) for seed, epoch in [(0, 0), (0, 1), (1, 0), (1, 1)]]
    flat = {tuple(np.concatenate(plan).tolist()) for plan in plans}
    assert len(flat) == 4


def test_examples_of_like_length_meet_and_long_ones_do_not_come_first():
    random = np.random.default_rng(0)
    costs = random.integers(1, 200, 4096)
    steps = plan_epoch(costs, 16, seed=0, epoch=0)
    padded = sum(costs[step].max() * len(step) for step in steps)
    assert padded < 1.1 * costs.sum()
    means = np.array([costs[step].mean() for step in steps])
    half = len(means) // 2
    assert abs(means[:half].mean() - means[half:].mean()) < 20


@given(lengths, batch_sizes)
def test_evaluation_covers_every_row_once_the_longest_first(costs, size):
    steps = plan_evaluation(costs, size)
    order = np.concatenate(steps) if steps else np.array([], int)
    assert sorted(order.tolist()) == list(range(len(costs)))
    assert (np.diff(costs[order]) <= 0).all()
    assert all(0 < len(step) <= size for step in steps)


def test_take_keeps_the_given_order():
    ids = Ragged(np.arange(6, dtype=np.int32), np.array([0, 1, 3, 6]))
    taken = Features({"input_ids": ids, "labels": np.array([7, 8, 9])}, ids.lengths).take(np.array([2, 0]))
    assert len(taken) == 2
    assert [taken[row]["input_ids"].tolist() for row in (0, 1)] == [[3, 4, 5], [0]]
    assert taken.columns["labels"].tolist() == [9, 7]
    assert taken.lengths.tolist() == taken.columns["input_ids"].lengths.tolist() == [3, 1]


# --- micro-batches --------------------------------------------------------------------------------------------------


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=40),
    st.integers(1, 10),
    st.one_of(st.none(), st.integers(16, 60)),
)
def test_a_step_is_cut_without_loss_and_within_both_bounds(lengths, examples, tokens):
    costs = np.array(lengths)
    indices = np.random.default_rng(0).permutation(len(costs))
    parts = split_step(indices, costs, examples, tokens)
    assert np.concatenate(parts).tolist() == indices.tolist()
    for part in parts:
        assert 1 <= len(part) <= examples
        assert tokens is None or len(part) == 1 or costs[part].sum() <= tokens
    if tokens is None:
        assert len(parts) == -(-len(costs) // examples)


def test_micro_batches_are_filled_up():
    assert [part.tolist() for part in split_step(np.arange(5), np.array([4, 4, 4, 9, 1]), 10, 8)] == [
        [0, 1],
        [2],
        [3],
        [4],
    ]


def test_a_probe_holds_examples_of_different_lengths():
    lengths = np.arange(1, 21)
    ids = Ragged(np.ones(int(lengths.sum()), np.int32), np.concatenate([[0], np.cumsum(lengths)]))
    batch = probe(Features({"input_ids": ids}, lengths), lambda rows: pad(rows, {}))
    result = batch["attention_mask"].sum(dim=1).tolist()
    assert result == sorted(set(result))
    assert result[0] == 1
    assert result[-1] <= 11
