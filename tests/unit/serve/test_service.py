"""A real model behind the service: predictions during an explanation."""

from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import transformers

from tests.support.classifiers import SMALL, classifier
from tests.support.models import tokenizer
from toolkit.errors import ConfigError
from toolkit.serve.service import check_alike, load

LONG = "a fine dull story one fine dull story a fine dull story one fine dull story"


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    folder = tmp_path_factory.mktemp("service") / "model"
    classifier("bert").save_pretrained(folder)
    tokenizer("a fine dull story one").save_pretrained(folder)
    loaded = load(str(folder), {"data": {"max_length": 30}}, "sentiment", lambda _event: None)
    yield loaded
    loaded.close()


def test_models_of_different_tasks_are_not_compared(service, tmp_path):
    config = transformers.BertConfig(**SMALL, max_position_embeddings=34, id2label={0: "O", 1: "B-LOC"})
    transformers.BertForTokenClassification(config).save_pretrained(tmp_path / "model")
    tokenizer("a fine dull story one").save_pretrained(tmp_path / "model")
    other = load(str(tmp_path / "model"), {"data": {"max_length": 30}}, "tokens", lambda _event: None)
    try:
        check_alike(service, service)
        with pytest.raises(ConfigError) as refused:
            check_alike(service, other)
        assert refused.value.id == "compare.different-tasks"
        assert other.example() == {"words": "Is it ready?"}
        assert len(other.answer([{"words": "A bare sentence"}])[0]["prediction"]) == 3
    finally:
        other.close()


def test_the_example_is_a_short_row_of_the_run(service, tmp_path):
    (tmp_path / "data").mkdir()
    rows = [{"text": "long " * 100}, {"text": " "}, {"text": "a fine story"}, {"text": "a dull one"}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "data" / "test.parquet")
    assert replace(service, run=tmp_path).example() == {"text": "a fine story"}
    (tmp_path / "data" / "test.parquet").write_bytes(b"not a table")
    assert replace(service, run=tmp_path).example() == service.example()


def test_without_a_run_the_example_is_a_sample(service):
    example = service.example()
    assert set(example) == {"text"}
    assert service.answer([example])[0]["prediction"] in service.describe().labels


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
