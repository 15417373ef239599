"""Requirements of training options, checked before training."""

import pytest

from tests.support import checkpoints
from tests.support.errors import refused
from toolkit.commands.finetune.prepare import configure
from toolkit.commands.finetune.prepare import prepare as prepare_run
from toolkit.errors import ConfigError, ModelError, SourceError
from toolkit.tasks import loading


@pytest.fixture
def prepare(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    checkpoints.reviews(tmp_path / "reviews.csv", 60)

    def prepare(**sections):
        values = {"model": checkpoints.TINY, "data": {"source": "reviews.csv"}, **sections}
        recipe, resolved = configure("sentiment", [("flag", values)])
        return prepare_run(recipe, resolved, lambda _event: None)

    return prepare


def test_weights_of_unknown_classes_are_rejected(prepare):
    with refused(ConfigError, "config.unknown-class", "positiv", "`positive`"):
        prepare(loss={"class_weights": {"positiv": 2}})
    assert prepare(loss={"class_weights": {"positive": 2}}).config.loss.class_weights == {"positive": 2.0}


def test_a_model_that_writes_nothing_is_refused_for_translation():
    values = {"model": checkpoints.TINY, "options": {"source": "en", "target": "de"}}
    recipe, resolved = configure("translation", [("flag", values)])
    with refused(ModelError, "model.wrong-family", "family bert"):
        prepare_run(recipe, resolved, lambda _event: None)


def test_a_model_that_writes_nothing_is_refused_for_transcription():
    recipe, resolved = configure("transcribe", [("flag", {"model": checkpoints.TINY})])
    with refused(ModelError, "model.wrong-family", "family bert"):
        prepare_run(recipe, resolved, lambda _event: None)


@pytest.mark.parametrize(("family", "generates"), [("whisper", True), ("speech_to_text", True), ("wav2vec2", False)])
def test_a_recipe_generates_for_the_checkpoints_that_it_names(tmp_path, family, generates):
    (tmp_path / "config.json").write_text(f'{{"model_type": "{family}"}}')
    recipe = loading.load("transcribe").for_checkpoint(tmp_path)
    assert (recipe.generate is not None) == generates
    assert loading.load("translation").for_checkpoint(tmp_path).generate is not None


def test_cutmix_of_numbers_is_refused_before_the_data_are_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values = {"model": "vit-tiny", "loading": {"from_scratch": True}, "options": {"cutmix": 1.0}}
    recipe, resolved = configure(
        "image", [("flag", {**values, "data": {"source": "./absent.csv", "target": "number"}})]
    )
    with refused(ConfigError, "config.not-for-task", "CutMix"):
        prepare_run(recipe, resolved, lambda _event: None)
    recipe, resolved = configure("image", [("flag", {**values, "data": {"source": "./absent.csv", "target": "stars"}})])
    with refused(SourceError, "source.file-missing"):
        prepare_run(recipe, resolved, lambda _event: None)


@pytest.mark.parametrize(
    ("target", "key", "value", "taking"),
    [("stars", "label_smoothing", 0.1, "class."), ("number", "class_weights", "balanced", "class or classes.")],
)
def test_the_error_for_a_setting_names_the_targets_that_take_it(tmp_path, monkeypatch, target, key, value, taking):
    monkeypatch.chdir(tmp_path)
    values = {"model": checkpoints.TINY, "loss": {key: value}, "data": {"source": "./absent.csv", "target": target}}
    recipe, resolved = configure("text", [("flag", values)])
    with refused(ConfigError, "config.not-for-task", f"loss.{key}") as caught:
        prepare_run(recipe, resolved, lambda _event: None)
    assert caught.value.fix.endswith(f"--target {taking}")


def test_a_missing_glossary_is_refused_before_training(prepare):
    with refused(SourceError, "source.file-missing", "absent.csv"):
        prepare(evaluation={"glossary": "absent.csv"})


def test_adapters_and_freezing_are_refused_together(prepare):
    with refused(ConfigError, "config.conflict", "`training.freeze`", "`adapter.kind`"):
        prepare(adapter={"kind": "lora"}, training={"freeze": 1})


def test_the_learning_rate_of_adapters_is_decided_with_the_model(prepare):
    plain, adapted = prepare(), prepare(adapter={"kind": "dora"})
    assert adapted.config.training.learning_rate == pytest.approx(10 * plain.config.training.learning_rate)
    assert adapted.resolved.layer("training.learning_rate") == "from the model"
    own = prepare(adapter={"kind": "dora"}, training={"learning_rate": 1e-4})
    assert own.config.training.learning_rate == 1e-4


@pytest.mark.parametrize(
    ("sections", "identifier", "fact"),
    [
        ({"training": {"freeze": 99}}, "config.no-such-layer", "2 layers"),
        ({"training": {"freeze": "."}}, "config.nothing-to-train", "`training.freeze`"),
        ({"adapter": {"kind": "lora", "targets": "nothing"}}, "config.no-such-layer", "`adapter.targets`"),
        ({"training": {"precision": "fp16", "device": "cpu"}}, "device.unsupported", "fp16"),
        ({"training": {"attention_kernel": "varlen", "device": "cpu"}}, "device.unsupported", "NVIDIA"),
    ],
)
def test_what_model_or_machine_cannot_do_is_refused_before_weights_are_loaded(prepare, sections, identifier, fact):
    with refused(ConfigError, identifier, fact):
        prepare(**sections)


def test_what_the_model_can_do_is_not(prepare):
    assert prepare(training={"freeze": 1, "gradient_checkpointing": True}).notes == prepare().notes


def test_endless_warm_up_is_noted(prepare):
    assert not any("warmup" in note for note in prepare(training={"warmup_steps": 2}).notes)
    assert any("never reaches its peak" in note for note in prepare(training={"warmup_steps": 500}).notes)
