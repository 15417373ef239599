"""Students with some layers of their teacher."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.support import models
from tests.support.errors import refused
from toolkit.errors import ConfigError, ModelError
from toolkit.inference import fewer_layers


def test_layers_of_published_students():
    assert fewer_layers.spaced(12, 6) == [0, 2, 4, 7, 9, 11]
    assert fewer_layers.spaced(6, 3) == [0, 2, 5]


@given(st.integers(2, 60), st.data())
def test_layers_are_different_ascending_and_have_both_ends(layers, data):
    wanted = data.draw(st.integers(1, layers - 1))
    numbers = fewer_layers.spaced(layers, wanted)
    assert len(numbers) == wanted == len(set(numbers))
    assert numbers == sorted(numbers)
    assert numbers[-1] == layers - 1
    assert wanted == 1 or numbers[0] == 0


@pytest.mark.parametrize("wanted", [0, 2, 3])
def test_student_as_large_as_its_teacher_is_rejected(wanted):
    with refused(ConfigError, "distill.layers"):
        fewer_layers.spaced(2, wanted)


@pytest.mark.parametrize("family", ["bert", "distilbert", "vit"])
def test_student_is_saved_and_loaded(family, tmp_path):
    model, batch = models.make(family)
    model.eval()
    before = len(list(model.parameters()))
    assert fewer_layers.keep(model, 1) == [1]
    assert model.config.num_hidden_layers == 1
    assert len(list(model.parameters())) < before
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path).eval()
    with torch.no_grad():
        torch.testing.assert_close(again(**batch).logits, model(**batch).logits)


def test_encoder_and_decoder_are_rejected():
    with refused(ModelError, "distill.no-layers", "MarianMTModel"):
        fewer_layers.keep(models.make("marian")[0], 1)
