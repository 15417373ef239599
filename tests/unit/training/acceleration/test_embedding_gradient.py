"""A gradient that keeps its memory has the values of torch's own, step after step."""

import pytest
import torch

from toolkit.training.acceleration import embedding_gradient

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
    assert embedding_gradient.keep_gradient(kept) == 1
    (expected, weights), (gradients, moved) = train(plain), train(kept)
    for item, other in zip(expected, gradients, strict=True):
        torch.testing.assert_close(item, other)
    torch.testing.assert_close(weights, moved)


def test_the_memory_is_the_same_from_step_to_step():
    model = Model()
    embedding_gradient.keep_gradient(model)
    places = set()
    for _ in range(3):
        model(torch.tensor([[1, 2]])).backward()
        places.add(model.table.weight.grad.data_ptr())
        model.zero_grad(set_to_none=True)
    assert len(places) == 1


def test_foreign_gradient_is_added_to():
    model = Model()
    embedding_gradient.keep_gradient(model)
    model.table.weight.grad = torch.ones_like(model.table.weight)
    model(torch.tensor([[1, 2]])).backward()
    assert torch.equal(model.table.weight.grad[5], torch.ones(WIDTH))
    assert not torch.equal(model.table.weight.grad[1], torch.ones(WIDTH))


class Pair(torch.nn.Module):
    """Two embeddings and, where `tied`, an output layer that share one table."""

    def __init__(self, tied=False):
        super().__init__()
        torch.manual_seed(0)
        self.source, self.target = (torch.nn.Embedding(ROWS, WIDTH, padding_idx=3) for _ in range(2))
        self.table = self.target
        self.source.weight = self.target.weight
        self.head = torch.nn.Linear(WIDTH, ROWS if tied else 2)
        if tied:
            self.head.weight = self.target.weight

    def forward(self, input_ids):
        return self.head((self.source(input_ids).sin() * self.target(input_ids + 5)).mean(dim=1)).square().mean()


@pytest.mark.parametrize("tied", [False, True], ids=["shared", "with an output layer"])
def test_a_table_that_several_use_has_the_sum_of_their_gradients(tied):
    plain, kept = Pair(tied), Pair(tied)
    assert embedding_gradient.keep_gradient(kept) == 2
    (expected, weights), (gradients, moved) = train(plain), train(kept)
    for item, other in zip(expected, gradients, strict=True):
        torch.testing.assert_close(item, other)
    torch.testing.assert_close(weights, moved)


def test_a_gradient_of_the_whole_table_is_not_left_for_the_next_step():
    """The order in which the two gradients arrive is autograd's affair."""
    model = Pair(tied=True)
    embedding_gradient.keep_gradient(model)
    model.target(torch.tensor([1])).sum().backward()
    model.head.weight.sum().backward()
    assert model.head.weight.grad[1, 0] == 2 and model.head.weight.grad[2, 0] == 1
    model.zero_grad(set_to_none=True)
    model.target(torch.tensor([1])).sum().backward()
    assert model.head.weight.grad[1, 0] == 1 and model.head.weight.grad[2, 0] == 0


def test_small_tables_are_left_alone():
    assert embedding_gradient.keep_gradient(torch.nn.Embedding(10, 4)) == 0


def test_frozen_tables_use_plain_lookup():
    model = Model()
    embedding_gradient.keep_gradient(model)
    with torch.no_grad():
        assert not model.table(torch.tensor([1])).requires_grad
    model.table.weight.requires_grad_(False)
    assert not model.table(torch.tensor([1])).requires_grad


def test_afterwards_the_model_is_as_before():
    model = Model()
    embedding_gradient.keep_gradient(model)
    embedding_gradient.restore(model)
    assert "forward" not in model.table.__dict__
