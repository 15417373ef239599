"""Positions are repeated for every family, and the first ones are unchanged."""

import pytest
import torch

from tests.support import models
from tests.support.errors import refused
from toolkit import checkpoints
from toolkit.attention import positions
from toolkit.errors import ModelError


@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta"])
def test_a_model_reads_further_and_short_texts_as_before(family, tmp_path):
    model, batch = models.make(family)
    reach = checkpoints.reach(model.config.to_dict())
    with torch.no_grad():
        before = model(**batch).logits
        positions.extend(model, 3 * reach + 1)
        assert checkpoints.reach(model.config.to_dict()) == 3 * reach + 1
        torch.testing.assert_close(model(**batch).logits, before)
        ids = torch.randint(3, models.WORDS, (1, 3 * reach + 1))
        long = model(input_ids=ids).logits
        assert torch.isfinite(long).all()
        model.save_pretrained(tmp_path)
        again = type(model).from_pretrained(tmp_path).eval()
        torch.testing.assert_close(again(input_ids=ids).logits, long)


def test_positions_repeat():
    model, _ = models.make("bert")
    table = model.bert.embeddings.position_embeddings.weight.detach().clone()
    positions.extend(model, 2 * len(table))
    twice = model.bert.embeddings.position_embeddings.weight
    assert torch.equal(twice[: len(table)], table)
    assert torch.equal(twice[len(table) :], table)
    assert twice.requires_grad


def test_roberta_keeps_its_spare_rows():
    model, _ = models.make("roberta")
    table = model.roberta.embeddings.position_embeddings.weight.detach().clone()
    positions.extend(model, 40)
    longer = model.roberta.embeddings.position_embeddings.weight
    assert longer.shape[0] == 42
    assert torch.equal(longer[:2], table[:2])
    assert torch.equal(longer[len(table) :], table[2 : 2 + len(longer) - len(table)])


def test_a_model_with_no_table_is_refused():
    model, _ = models.make("llama")
    with refused(ModelError, "model.positions-fixed", "--max-length"):
        positions.extend(model, 9999)


def test_interpolated_positions_keep_their_ends_and_their_order():
    model, _ = models.make("roberta")
    table = model.roberta.embeddings.position_embeddings.weight.detach().clone()
    positions.extend(model, 39, "interpolate")  # 20 places become 39: one new place between each two
    longer = model.roberta.embeddings.position_embeddings.weight
    assert torch.equal(longer[:2], table[:2])
    torch.testing.assert_close(longer[2::2], table[2:])
    torch.testing.assert_close(longer[3::2], (table[2:-1] + table[3:]) / 2)
