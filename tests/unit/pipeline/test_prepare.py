"""What the options that change training ask of each other and of the data, checked before anything is trained."""

import pytest

from tests.support import checkpoints
from toolkit import pipeline
from toolkit.errors import ConfigError


@pytest.fixture
def prepare(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    checkpoints.reviews(tmp_path / "reviews.csv", 60)

    def prepare(**sections):
        values = {"model": checkpoints.TINY, "data": {"source": "reviews.csv"}, **sections}
        recipe, resolved = pipeline.configure("sentiment", [("flag", values)])
        return pipeline.prepare(recipe, resolved, lambda _event: None)

    return prepare


def test_weights_for_classes_that_are_not_there_are_refused(prepare):
    with pytest.raises(ConfigError, match=r"names positiv, which is no class .* Did you mean `positive`"):
        prepare(loss={"class_weights": {"positiv": 2}})
    assert prepare(loss={"class_weights": {"positive": 2}}).config.loss.class_weights == {"positive": 2.0}


def test_adapters_and_freezing_are_refused_together(prepare):
    with pytest.raises(ConfigError, match="adapters freeze all weights already"):
        prepare(adapter={"kind": "lora"}, training={"freeze": 1})


def test_the_learning_rate_of_adapters_is_decided_with_the_model(prepare):
    plain, adapted = prepare(), prepare(adapter={"kind": "dora"})
    assert adapted.config.training.learning_rate == pytest.approx(10 * plain.config.training.learning_rate)
    assert adapted.resolved.origin("training.learning_rate") == "model"
    own = prepare(adapter={"kind": "dora"}, training={"learning_rate": 1e-4})
    assert own.config.training.learning_rate == 1e-4
