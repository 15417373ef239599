"""Entropy and rationales: the values, and the direction of the gradient."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.support import models
from toolkit.attention import penalties
from toolkit.attention.record import recording


@given(st.integers(1, 9))
def test_entropy_is_the_logarithm_of_how_many_share(count):
    weights = torch.zeros(1, 1, 1, 12)
    weights[..., :count] = 1 / count
    assert float(penalties.entropy(weights)) == pytest.approx(math.log(count), abs=1e-6)


def recorded(family="bert"):
    model, batch = models.make(family)
    with recording(model) as records:
        model(**batch)
    return model, batch, records


def test_padding_has_no_part_in_the_mean():
    model, batch, records = recorded()
    together = penalties.mean_entropy(records, batch["attention_mask"])
    alone = []
    for row, length in enumerate(batch["attention_mask"].sum(dim=1).tolist()):
        with recording(model) as item:
            model(**{name: values[row : row + 1, :length] for name, values in batch.items()})
        alone.append(penalties.mean_entropy(item))
    torch.testing.assert_close(together, torch.stack(alone).mean())


def test_pictures_have_no_padding():
    _, _, records = recorded("vit")
    assert 0 < float(penalties.mean_entropy(records).detach()) < math.log(5)


def test_gradients_are_finite_where_weights_are_zero():
    model, batch, records = recorded()
    marks = torch.tensor([[0, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1]])  # the second one's mark is on padding
    loss = penalties.mean_entropy(records, batch["attention_mask"]) + penalties.off_rationale(records[-1], marks)
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_example_without_marks_counts_as_zero():
    _, _, records = recorded()
    none = torch.zeros(2, 6, dtype=torch.long)
    assert penalties.off_rationale(records[-1], none).detach() == 0
    assert penalties.on_rationale(records[-1], none).tolist() == [0, 0]
    every = torch.tensor([[1] * 6, [1, 1, 1, 1, 0, 0]])
    torch.testing.assert_close(penalties.on_rationale(records[-1], every), torch.ones(2))


@pytest.mark.parametrize("sign", [1, -1])
def test_penalty_changes_entropy_in_its_direction(sign):
    model, batch, _ = recorded()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    values = []
    for _ in range(8):
        with recording(model) as records:
            model(**batch)
        entropy = penalties.mean_entropy(records, batch["attention_mask"])
        values.append(float(entropy.detach()))
        optimizer.zero_grad()
        (sign * entropy).backward()
        optimizer.step()
    assert sign * (values[0] - values[-1]) > 0.01


def test_a_few_steps_bring_attention_onto_the_marks():
    model, batch, _ = recorded()
    marks = torch.tensor([[0, 0, 1, 1, 0, 0], [0, 1, 0, 0, 0, 0]])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    shares = []
    for _ in range(8):
        with recording(model) as records:
            model(**batch)
        shares.append(float(penalties.on_rationale(records[-1], marks).mean().detach()))
        optimizer.zero_grad()
        penalties.off_rationale(records[-1], marks).backward()
        optimizer.step()
    assert shares[-1] > shares[0] + 0.05
