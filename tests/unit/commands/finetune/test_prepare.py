"""What the options that change training ask of each other and of the data, checked before anything is trained."""

import pytest

from tests.support import checkpoints
from toolkit.commands.finetune.prepare import configure
from toolkit.commands.finetune.prepare import prepare as prepare_run
from toolkit.errors import ConfigError, ModelError, SourceError


@pytest.fixture
def prepare(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    checkpoints.reviews(tmp_path / "reviews.csv", 60)

    def prepare(**sections):
        values = {"model": checkpoints.TINY, "data": {"source": "reviews.csv"}, **sections}
        recipe, resolved = configure("sentiment", [("flag", values)])
        return prepare_run(recipe, resolved, lambda _event: None)

    return prepare


def test_weights_for_classes_that_are_not_there_are_refused(prepare):
    with pytest.raises(ConfigError, match=r"names positiv, which is no class .* Did you mean `positive`"):
        prepare(loss={"class_weights": {"positiv": 2}})
    assert prepare(loss={"class_weights": {"positive": 2}}).config.loss.class_weights == {"positive": 2.0}


def test_a_model_that_writes_nothing_is_refused_for_translation():
    values = {"model": checkpoints.TINY, "options": {"source": "en", "target": "de"}}
    recipe, resolved = configure("translation", [("flag", values)])
    with pytest.raises(ModelError, match="family bert, which does not turn one text into another"):
        prepare_run(recipe, resolved, lambda _event: None)


def test_a_missing_glossary_is_refused_before_training(prepare):
    with pytest.raises(SourceError, match="no glossary"):
        prepare(evaluation={"glossary": "absent.csv"})


def test_adapters_and_freezing_are_refused_together(prepare):
    with pytest.raises(ConfigError, match="adapters freeze all weights already"):
        prepare(adapter={"kind": "lora"}, training={"freeze": 1})


def test_the_learning_rate_of_adapters_is_decided_with_the_model(prepare):
    plain, adapted = prepare(), prepare(adapter={"kind": "dora"})
    assert adapted.config.training.learning_rate == pytest.approx(10 * plain.config.training.learning_rate)
    assert adapted.resolved.origin("training.learning_rate") == "model"
    own = prepare(adapter={"kind": "dora"}, training={"learning_rate": 1e-4})
    assert own.config.training.learning_rate == 1e-4


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"training": {"freeze": 99}}, "has 2 layers"),
        ({"training": {"freeze": "."}}, "leaves nothing to train"),
        ({"adapter": {"kind": "lora", "targets": "nothing"}}, "matches no name of a linear layer"),
        ({"training": {"precision": "fp16", "device": "cpu"}}, "needs a GPU"),
        ({"training": {"attention_kernel": "varlen", "device": "cpu"}}, "NVIDIA"),
    ],
)
def test_what_the_model_or_the_machine_cannot_do_is_refused_before_weights_are_loaded(prepare, sections, said):
    with pytest.raises(ConfigError, match=said):
        prepare(**sections)


def test_what_the_model_can_do_is_not(prepare):
    assert prepare(training={"freeze": 1, "gradient_checkpointing": True}).notes == prepare().notes


def test_a_warm_up_without_an_end_is_said(prepare):
    assert not any("warmup" in note for note in prepare(training={"warmup_steps": 2}).notes)
    assert any("never reaches its peak" in note for note in prepare(training={"warmup_steps": 500}).notes)
