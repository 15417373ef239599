"""A real model behind the service: predictions during an explanation."""

import pytest

from tests.support.classifiers import classifier
from tests.support.models import tokenizer
from toolkit.serve.service import load

LONG = "a fine dull story one fine dull story a fine dull story one fine dull story"


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    folder = tmp_path_factory.mktemp("service") / "model"
    classifier("bert").save_pretrained(folder)
    tokenizer("a fine dull story one").save_pretrained(folder)
    return load(str(folder), {"data": {"max_length": 30}}, "sentiment", lambda _event: None)


@pytest.mark.parametrize("method", ["leave-one-out", "gradient-input", "rollout"])
def test_predictions_at_a_pause_change_neither_side(service, method):
    texts = [{"text": "a fine story"}, {"text": "a dull dull one"}]
    answers = service.answer(texts)
    alone = service.explain({"text": LONG}, method, lambda: None)
    between = []
    disturbed = service.explain({"text": LONG}, method, lambda: between.append(service.answer(texts)))
    assert between
    assert (len(between) > 1) == (method == "leave-one-out")
    assert disturbed["scores"] == pytest.approx(alone["scores"], abs=1e-6)
    for text in (*between, service.answer(texts)):
        assert [item["score"] for item in text] == pytest.approx([item["score"] for item in answers], abs=1e-5)
