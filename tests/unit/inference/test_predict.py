"""Predictions are in the split's order, with the loss over its items."""

import weakref
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toolkit.data.batching.batch import Features, Ragged, pad
from toolkit.inference.predict import predict, probabilities


class Output(SimpleNamespace):
    """What a model returns."""

    def get(self, name):
        return getattr(self, name, None)


def features(rows, labels=None) -> Features:
    lengths = np.array([len(row) for row in rows], np.int64)
    flat = np.array([v for row in rows for v in row], np.int32)
    columns = {"input_ids": Ragged(flat, np.concatenate([[0], np.cumsum(lengths)]))}
    return Features(columns if labels is None else {**columns, "labels": np.array(labels)}, lengths)


def run(model, inputs, **options):
    def extract(outputs, batch):
        assert not torch.is_grad_enabled()
        return {"prediction": outputs.sums.tolist(), "tokens": batch["attention_mask"].sum(dim=1).tolist()}

    options = {"batch_size": 3, **options}
    return predict(model, inputs, lambda rows: pad(rows, {}), extract, **options)


def summing(input_ids, attention_mask, labels=None):
    sums = (input_ids * attention_mask).sum(dim=1)
    return Output(sums=sums) if labels is None else Output(sums=sums, loss=labels.double().mean())


@given(st.lists(st.lists(st.integers(0, 99), min_size=1, max_size=9), min_size=1, max_size=20), st.integers(1, 8))
def test_predictions_keep_the_order_of_the_rows(rows, batch_size):
    output = run(summing, features(rows), batch_size=batch_size)
    assert output.columns == {"prediction": [sum(row) for row in rows], "tokens": [len(row) for row in rows]}
    assert output.loss is None


@given(st.lists(st.integers(0, 9), min_size=1, max_size=20), st.integers(1, 8))
def test_the_loss_is_a_mean_over_examples_not_over_batches(labels, batch_size):
    output = run(summing, features([[1]] * len(labels), labels), batch_size=batch_size)
    assert output.loss == pytest.approx(np.mean(labels))


def test_outputs_of_a_batch_are_gone_before_the_next_but_one():
    born, most = [], []

    def model(input_ids, attention_mask):
        logits = torch.zeros(len(input_ids), 1000)
        born.append(weakref.ref(logits))
        most.append(sum(output() is not None for output in born))
        return Output(sums=input_ids.sum(dim=1), logits=logits)

    run(model, features([[1]] * 60))
    assert len(born) == 20
    assert max(most) <= 2  # its own, and the one before that is still named


def test_a_batch_in_which_nothing_counts_does_not_spoil_the_loss():
    def model(input_ids, attention_mask, labels):
        return Output(sums=input_ids.sum(dim=1), loss=labels[labels != -100].double().mean())

    output = run(model, features([[1]] * 4, [-100, 2, -100, 4]), batch_size=1)
    assert output.loss == pytest.approx(3)


@pytest.mark.parametrize(("precision", "kind"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_the_model_multiplies_in_the_precision_that_was_asked_for(precision, kind):
    kinds = []

    def model(input_ids, attention_mask):
        kinds.append((attention_mask.float() @ torch.ones(attention_mask.shape[1], 1)).dtype)
        return summing(input_ids, attention_mask)

    run(model, features([[1, 2]] * 3), precision=precision)
    assert kinds[-1] == kind


def test_progress_ends_with_all():
    notes = []
    run(summing, features([[1]] * 7), observe=lambda done, total: notes.append((done, total)))
    assert notes == [(3, 7), (6, 7), (7, 7)]


def test_probabilities_sum_to_one_even_for_large_logits():
    probs = probabilities(torch.tensor([[1000.0, 999.0], [-5.0, 5.0]], dtype=torch.float32))
    assert probs.dtype == np.float64
    assert probs.sum(axis=1) == pytest.approx([1, 1], abs=1e-15)
    assert probs[0] == pytest.approx([0.7310585786, 0.2689414214])
    assert probabilities(torch.tensor([[1.0, 2.0]], dtype=torch.bfloat16)).shape == (1, 2)
