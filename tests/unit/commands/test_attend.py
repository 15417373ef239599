"""`attend` traces a model as its run uses it."""

import json

import pytest

from tests.support import models
from tests.support.errors import refused
from toolkit.commands.attend import attend
from toolkit.config.settings import LoadingConfig
from toolkit.errors import ModelError

TEXT = "the cat sat on a mat and the cat sleeps"


@pytest.fixture
def checkpoint(tmp_path):
    model, _ = models.make("bert")
    model.save_pretrained(tmp_path)
    models.tokenizer().save_pretrained(tmp_path)
    return tmp_path


def test_a_run_with_sparse_attention_is_shown_with_it(checkpoint):
    dense = attend(str(checkpoint), TEXT, loading=LoadingConfig())
    assert (dense.weights > 0).all()
    (checkpoint / "toolkit.json").write_text(json.dumps({"attention": "sliding-window:2:0"}), encoding="utf-8")
    seen = attend(str(checkpoint), TEXT, loading=LoadingConfig(), page=checkpoint / "page.html")
    assert (seen.weights[:, :, 0, 2:] == 0).all()
    assert seen.difference < 1e-3
    assert "Mask" in [step.title for step in seen.steps]
    assert "<script" in (checkpoint / "page.html").read_text(encoding="utf-8")


def test_what_is_no_transformer_of_texts_is_refused(tmp_path):
    model, _ = models.make("vit")
    model.save_pretrained(tmp_path)
    models.tokenizer().save_pretrained(tmp_path)
    with refused(ModelError, "model.wrong-input", "ViTModel"):
        attend(str(tmp_path), TEXT, loading=LoadingConfig())
