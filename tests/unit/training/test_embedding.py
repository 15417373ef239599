"""A gradient that keeps its memory has the values of torch's own, step after step."""

import pytest
import torch

from toolkit.training import embedding

ROWS, WIDTH = 50_000, 24  # large enough to be worth it


class Model(torch.nn.Module):
    def __init__(self, padding_idx=None, tied=False):
        super().__init__()
        torch.manual_seed(0)
        self.table = torch.nn.Embedding(ROWS, WIDTH, padding_idx=padding_idx)
        self.head = torch.nn.Linear(WIDTH, ROWS if tied else 2)
        if tied:
            self.head.weight = self.table.weight

    def forward(self, input_ids):
        return self.head(self.table(input_ids).tanh().mean(dim=1)).square().mean()


def train(model, steps=4, micro_batches=2):
    """Take a few steps; return the gradient of each, and the weights at the end."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, fused=True)
    draw = torch.Generator().manual_seed(1)
    gradients = []
    for _ in range(steps):
        for _ in range(micro_batches):
            model(torch.randint(0, ROWS, (4, 6), generator=draw) % 97).backward()
        gradients.append(model.table.weight.grad.clone())
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return gradients, model.table.weight.detach().clone()


@pytest.mark.parametrize("padding_idx", [None, 3])
def test_gradients_and_steps_are_torchs_own(padding_idx):
    plain, kept = Model(padding_idx), Model(padding_idx)
    assert embedding.keep_gradient(kept) == 1
    (expected, weights), (gradients, moved) = train(plain), train(kept)
    for one, other in zip(expected, gradients, strict=True):
        torch.testing.assert_close(one, other)
    torch.testing.assert_close(weights, moved)


def test_the_memory_is_the_same_from_step_to_step():
    model = Model()
    embedding.keep_gradient(model)
    places = set()
    for _ in range(3):
        model(torch.tensor([[1, 2]])).backward()
        places.add(model.table.weight.grad.data_ptr())
        model.zero_grad(set_to_none=True)
    assert len(places) == 1


def test_a_gradient_that_somebody_else_put_there_is_added_to():
    model = Model()
    embedding.keep_gradient(model)
    model.table.weight.grad = torch.ones_like(model.table.weight)
    model(torch.tensor([[1, 2]])).backward()
    assert torch.equal(model.table.weight.grad[5], torch.ones(WIDTH))
    assert not torch.equal(model.table.weight.grad[1], torch.ones(WIDTH))


def test_tables_that_are_used_elsewhere_and_small_ones_are_left_alone():
    assert embedding.keep_gradient(Model(tied=True)) == 0
    assert embedding.keep_gradient(torch.nn.Embedding(10, 4)) == 0


def test_frozen_and_unwatched_tables_are_looked_up_plainly():
    model = Model()
    embedding.keep_gradient(model)
    with torch.no_grad():
        assert not model.table(torch.tensor([1])).requires_grad
    model.table.weight.requires_grad_(False)
    assert not model.table(torch.tensor([1])).requires_grad


def test_afterwards_the_model_is_as_before():
    model = Model()
    embedding.keep_gradient(model)
    embedding.restore(model)
    assert "forward" not in model.table.__dict__
